//! What a store holds while requests run in it, and the engine that all stores share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::oneshot;
use wasmtime::component::{Func, ResourceTable};
use wasmtime::{
    Config as EngineConfig, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, ResourceLimiter,
    Store, UpdateDeadline,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::config::Limits;
use crate::outbound::Hooks;
use crate::stdio::Pipe;

/// CPU time is counted in ticks, and a component that computes yields to other requests once a tick.
pub const TICK: Duration = Duration::from_millis(5);

/// One store's data. Lives as long as its store: up to `limits.requests_per_instance` requests, one after the other.
pub struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    pub hooks: Hooks,
    pub memory: Memory,
    pub settings: Arc<BTreeMap<String, String>>,
    pub output: Pipe,
    /// `name@digest` by member.
    labels: Arc<[String]>,
    /// By member of the snapshot; its functions once it is instantiated.
    pub live: Vec<Option<Arc<[Func]>>>,
    /// Members that worked on the request, in the order of their first call.
    pub used: Vec<usize>,
    /// Members that a call waits for.
    pub wanted: Vec<(usize, oneshot::Sender<()>)>,
    /// Of the task that drives this store; woken when something is wanted.
    pub driver: Option<Waker>,
    pub root_done: bool,
    pub meter: Arc<Meter>,
}

impl State {
    pub fn new(
        labels: Arc<[String]>,
        limits: &Limits,
        settings: Arc<BTreeMap<String, String>>,
        environment: &[(String, String)],
        hooks: Hooks,
    ) -> Self {
        let output = Pipe::default();
        let wasi = WasiCtx::builder().stdout(output.clone()).stderr(output.clone()).envs(environment).build();
        Self {
            table: ResourceTable::new(),
            wasi,
            http: WasiHttpCtx::new(),
            hooks,
            memory: Memory { bytes: 0, limit: limits.memory_bytes },
            settings,
            output,
            live: vec![None; labels.len()],
            labels,
            used: Vec::with_capacity(8),
            wanted: Vec::new(),
            driver: None,
            root_done: false,
            meter: Arc::default(),
        }
    }

    /// Makes the store ready for its next request.
    pub fn begin(&mut self) {
        self.used.clear();
        self.wanted.clear();
        self.root_done = false;
        self.meter.reset();
    }

    /// Who worked on the request so far, as answers name them.
    pub fn components(&self) -> String {
        self.used.iter().map(|member| self.labels[*member].as_str()).collect::<Vec<_>>().join(",")
    }

    pub fn note_use(&mut self, member: usize) {
        if !self.used.contains(&member) {
            self.used.push(member);
        }
    }

    pub fn wake_driver(&self) {
        if let Some(driver) = &self.driver {
            driver.wake_by_ref();
        }
    }

    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

/// Counts the time that a request computes, in ticks.
///
/// The engine's clock goes on while a request waits, so that the first check after a wait always finds its deadline
/// passed. Time counts only from when the store was last resumed.
pub struct Meter {
    started: Instant,
    /// Nanoseconds from `started` to when the store was last resumed.
    resumed: AtomicU64,
    ticks: AtomicU64,
}

impl Default for Meter {
    fn default() -> Self {
        Self { started: Instant::now(), resumed: AtomicU64::new(0), ticks: AtomicU64::new(0) }
    }
}

impl Meter {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn reset(&self) {
        self.ticks.store(0, Ordering::Relaxed);
        self.resume();
    }

    /// The store is about to run.
    pub fn resume(&self) {
        self.resumed.store(self.now(), Ordering::Relaxed);
    }

    /// The engine's clock found the store running: how many ticks it has computed, or none if it has only just begun.
    fn tick(&self) -> Option<u64> {
        let running = self.now().saturating_sub(self.resumed.load(Ordering::Relaxed));
        let most_of_a_tick = TICK.as_nanos() as u64 * 3 / 4;
        (running >= most_of_a_tick).then(|| self.ticks.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Whether it computes rather than waits; a single tick may be chance.
    pub fn computes(&self) -> bool {
        self.ticks.load(Ordering::Relaxed) >= 2
    }
}

/// Counts the linear memories of a store, and holds each to the limit.
pub struct Memory {
    /// Of all linear memories in this store.
    pub bytes: usize,
    limit: usize,
}

/// A table of a million entries is 8 MB; toolchains make tables of hundreds.
const MAX_TABLE_ENTRIES: usize = 100_000;

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired <= self.limit;
        if allowed {
            self.bytes += desired.saturating_sub(current);
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ENTRIES)
    }
}

/// The engine for every version of every component.
pub fn engine(limits: &Limits) -> Result<Engine> {
    let mut config = EngineConfig::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(32));
    let places = u32::try_from(limits.concurrent_requests).unwrap_or(u32::MAX);
    // A request touches up to six components, each of one to four core instances; idle instances hold places too.
    let components = places.saturating_mul(16);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(components)
        .total_core_instances(components.saturating_mul(4))
        .total_memories(components)
        .total_tables(components.saturating_mul(4))
        .total_stacks(places.saturating_mul(4))
        .max_memory_size(limits.memory_bytes)
        .table_elements(MAX_TABLE_ENTRIES)
        .max_memories_per_module(1)
        .max_component_instance_size(8 * 1024 * 1024)
        .max_core_instance_size(4 * 1024 * 1024)
        // Freed memory goes back to the system at once but for this much, which makes the next fresh instance cheap.
        // Giving back in batches makes fresh instances cheaper still, but keeps the memory of up to a batch of large
        // requests: instances are reused, so it is not worth it.
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(512 * 1024)
        .decommit_batch_size(1);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    match Engine::new(&config) {
        Ok(engine) => Ok(engine),
        // A machine that grants little address space still serves, with slower fresh instances.
        Err(_) => {
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            Ok(Engine::new(&config)?)
        }
    }
}

/// Advances the engine's clock for as long as the engine lives.
pub fn tick(engine: &Engine) -> Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("ticks".into()).spawn(move || {
        loop {
            std::thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    })?;
    Ok(())
}

/// A component computed longer than it may.
#[derive(Debug, thiserror::Error)]
#[error("used more than {limit_ms} ms of CPU time")]
pub struct OutOfCpu {
    limit_ms: u64,
}

pub fn store(engine: &Engine, state: State, limits: &Limits) -> Store<State> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    let limit_ms = limits.cpu_ms;
    let most = (limit_ms / TICK.as_millis() as u64).max(1);
    store.epoch_deadline_callback(move |mut store| match store.data_mut().meter.tick() {
        None => Ok(UpdateDeadline::Continue(1)),
        Some(ticks) if ticks > most => Err(OutOfCpu { limit_ms }.into()),
        Some(_) => Ok(UpdateDeadline::Yield(1)),
    });
    store
}
