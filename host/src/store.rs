//! What a store holds while requests run in it, and the engine that all stores share.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use wasmtime::component::{Func, ResourceTable};
use wasmtime::{
    CacheStore, Config as EngineConfig, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    ResourceLimiter, Store, StoreContextMut, UpdateDeadline, WasmBacktrace,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::apart::Home;
use crate::config::{ComponentLimits, Isolation, Limits};
use crate::leaning::Leaning;
use crate::limits::{Hit, Kind};
use crate::metrics::Metrics;
use crate::outbound::Hooks;
use crate::stats::Stats;
use crate::stdio::Pipe;
use crate::typed::Compared;
use crate::waiting::Waiting;

/// CPU time is counted in ticks, and a component that computes yields to other requests once a tick.
pub const TICK: Duration = Duration::from_millis(5);

/// A member as its stores know it.
pub struct Seat {
    /// `name@digest`, as answers name it.
    pub label: String,
    pub name: String,
    pub stats: Arc<Stats>,
    pub limits: ComponentLimits,
    /// Where only so many requests may be at work in it at once.
    pub places: Option<Arc<Semaphore>>,
    /// Where its code lies.
    pub code: Range<usize>,
    pub leaning: Leaning,
}

/// One store's data. Lives as long as its store: up to `limits.requests_per_instance` requests, one after the other.
pub struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    pub hooks: Hooks,
    pub memory: Memory,
    pub settings: Arc<BTreeMap<String, String>>,
    pub output: Pipe,
    /// By member of the snapshot.
    roster: Arc<[Seat]>,
    lane: usize,
    /// By member of the snapshot; its functions once it is instantiated.
    pub live: Vec<Option<Arc<[Func]>>>,
    /// Those of them whose types are known.
    pub typed: Compared,
    /// Members that worked on the request, in the order of their first call.
    pub used: Vec<usize>,
    /// Members that a call waits for.
    pub wanted: Vec<(usize, oneshot::Sender<()>)>,
    /// Of the task that drives this store; woken when something is wanted.
    pub driver: Option<Waker>,
    pub root_done: bool,
    pub meter: Arc<Meter>,
    /// In whose code the request was found to compute.
    computing: Option<usize>,
    pub metrics: Arc<Metrics>,
    /// Random bytes in one call.
    pub random_bytes: u64,
    /// Places in members that let in only so many requests.
    pub permits: Vec<OwnedSemaphorePermit>,
    pub home: Home,
}

impl State {
    pub fn new(
        roster: Arc<[Seat]>,
        lane: usize,
        limits: &Limits,
        settings: Arc<BTreeMap<String, String>>,
        environment: &[(String, String)],
        hooks: Hooks,
        metrics: Arc<Metrics>,
    ) -> Self {
        let output = Pipe::default();
        let wasi = WasiCtx::builder()
            .stdout(output.clone())
            .stderr(output.clone())
            .envs(environment)
            .max_random_size(limits.random_bytes)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits.header_bytes);
        let memory = Memory {
            bytes: 0,
            member: 0,
            each: Vec::new(),
            roster: Arc::clone(&roster),
            metrics: Arc::clone(&metrics),
        };
        Self {
            table,
            wasi,
            http,
            hooks,
            memory,
            metrics,
            random_bytes: limits.random_bytes,
            permits: Vec::new(),
            home: Home::default(),
            settings,
            output,
            live: vec![None; roster.len()],
            typed: Compared::default(),
            meter: Arc::new(Meter::new(roster.len(), None)),
            computing: None,
            roster,
            lane,
            used: Vec::with_capacity(8),
            wanted: Vec::new(),
            driver: None,
            root_done: false,
        }
    }

    /// Makes the store ready for its next request. Gives where it is counted how long that waits for others.
    pub fn begin(&mut self) -> Arc<Waiting> {
        self.used.clear();
        self.wanted.clear();
        self.root_done = false;
        self.computing = None;
        self.meter.reset();
        self.hooks.begin()
    }

    /// Makes the store ready for a call that a request makes from another store: it uses up what that one may.
    pub fn begin_apart(&mut self, member: usize, meter: &Arc<Meter>) {
        self.begin();
        self.used.push(member);
        self.meter = Arc::new(Meter::new(0, Some(Arc::clone(meter))));
    }

    /// Who worked on a call of the request in another store.
    pub fn note_others(&mut self, used: &[usize]) {
        let others = used.iter().filter(|member| !self.used.contains(member)).copied().collect::<Vec<_>>();
        self.used.extend(others);
    }

    /// The request is over: what it held is free for others, although the store waits for its next.
    pub fn end(&mut self) {
        self.permits.clear();
        self.used.iter().filter(|member| self.computing != Some(**member)).for_each(|member| {
            self.roster[*member].leaning.passed();
        });
    }

    /// The request was found to compute in a member's code.
    fn note_computing(&mut self, member: usize) {
        self.computing = Some(member);
        self.roster[member].leaning.computed();
        if !self.meter.leaves.load(Ordering::Relaxed) {
            self.metrics.computing.add(&[&self.roster[member].name, "no"], 1);
        }
    }

    /// A member is about to work on the request that is known to compute: where the request runs on its lane, from its next
    /// turn on it does so where that disturbs nobody. Gives where that can be waited for.
    pub fn leave_for(&mut self, member: usize) -> Option<Arc<Meter>> {
        let seat = &self.roster[member];
        if !seat.leaning.is_to_compute() || self.meter.by_thread.load(Ordering::Relaxed) {
            return None;
        }
        if !self.meter.leaves.swap(true, Ordering::Relaxed) {
            self.metrics.computing.add(&[&seat.name, "yes"], 1);
        }
        Some(Arc::clone(&self.meter))
    }

    /// Who worked on the request so far, as answers name them.
    pub fn components(&self) -> String {
        self.used.iter().map(|member| self.roster[*member].label.as_str()).collect::<Vec<_>>().join(",")
    }

    /// A member works on the request. Tells where a place in it must be had first.
    pub fn note_use(&mut self, member: usize) -> Option<Arc<Semaphore>> {
        if self.used.contains(&member) {
            return None;
        }
        self.used.push(member);
        self.roster[member].stats.request(self.lane);
        self.roster[member].places.clone()
    }

    /// Whether a member that worked on the request wants fresh instances for the next.
    pub fn is_for_one_request(&self) -> bool {
        self.used.iter().any(|member| self.roster[*member].limits.isolation == Isolation::Request)
    }

    pub fn lane(&self) -> usize {
        self.lane
    }

    pub fn seat(&self, member: usize) -> &Seat {
        &self.roster[member]
    }

    /// A request met a limit of a member.
    pub fn hit(&self, member: usize, kind: Kind, what: String) -> Hit {
        Hit { component: self.roster[member].name.clone(), kind, what }
    }

    /// The member that was entered first, and how long a call of it may take.
    pub fn entry(&self) -> (usize, Option<Duration>) {
        let entry = self.used.first().copied().unwrap_or_default();
        (entry, self.roster[entry].limits.call)
    }

    /// The call of the member that was entered first returned.
    pub fn note_entry_call(&mut self, time: Duration) {
        if let Some(entry) = self.used.first() {
            self.note_call(*entry, time);
        }
    }

    /// A call of a member returned.
    pub fn note_call(&mut self, member: usize, time: Duration) {
        self.roster[member].stats.call(self.lane, time);
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
/// passed. Time counts only while the store runs. Runs that end before the clock finds them count together: a component
/// that does a little and yields, again and again, computes as well as one that never yields.
pub struct Meter {
    started: Instant,
    /// It runs where others come first: what counts is the time that its thread got.
    by_thread: AtomicBool,
    /// Nanoseconds from `started` to when the store last began to run, and to when it last ended.
    entered: AtomicU64,
    left: AtomicU64,
    /// From when on its running is not counted yet.
    counted: AtomicU64,
    /// Nanoseconds of earlier runs that are not counted yet.
    uncounted: AtomicU64,
    /// Nanoseconds that it ran of late.
    busy: AtomicU64,
    /// Of this store, each in one run.
    ticks: AtomicU64,
    /// Of the request, in all stores that work on it.
    all: AtomicU64,
    /// Of the request, by member; counted where a member has less than all together.
    each: Box<[AtomicU64]>,
    /// It is about to be worked on by a member that computes.
    leaves: AtomicBool,
    /// Told when it has left for where that disturbs nobody.
    moved: Notify,
    /// The request's, for a store that works on a call of it.
    request: Option<Arc<Meter>>,
}

/// One who runs for less than this part of the time waits rather than computes: a long stream must not become a
/// computation by and by.
const IDLE_SHARE: u64 = 16;

impl Meter {
    fn new(members: usize, request: Option<Arc<Meter>>) -> Self {
        Self {
            started: Instant::now(),
            by_thread: AtomicBool::new(false),
            entered: AtomicU64::new(0),
            left: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            uncounted: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            ticks: AtomicU64::new(0),
            all: AtomicU64::new(0),
            each: (0..members).map(|_| AtomicU64::new(0)).collect(),
            leaves: AtomicBool::new(false),
            moved: Notify::new(),
            request,
        }
    }

    /// Where the request's time is counted.
    pub fn of_request(self: &Arc<Self>) -> &Arc<Self> {
        self.request.as_ref().unwrap_or(self)
    }

    fn now(&self) -> u64 {
        if self.by_thread.load(Ordering::Relaxed) {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            return time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned();
        }
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn reset(&self) {
        self.by_thread.store(false, Ordering::Relaxed);
        self.leaves.store(false, Ordering::Relaxed);
        for number in [&self.ticks, &self.all, &self.uncounted, &self.busy].into_iter().chain(&self.each) {
            number.store(0, Ordering::Relaxed);
        }
        let now = self.now();
        for time in [&self.entered, &self.left, &self.counted] {
            time.store(now, Ordering::Relaxed);
        }
    }

    /// Lets the store run, until it waits for something or yields.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = self.now();
        let waited = began.saturating_sub(self.left.load(Ordering::Relaxed));
        let busy = self.busy.load(Ordering::Relaxed).saturating_sub(waited / IDLE_SHARE);
        self.entered.store(began, Ordering::Relaxed);
        self.counted.store(began, Ordering::Relaxed);
        let done = work();
        // Once its request is over the store may have begun another, on another thread.
        if self.entered.load(Ordering::Relaxed) != began {
            return done;
        }
        let ended = self.now();
        self.left.store(ended, Ordering::Relaxed);
        self.busy.store(busy + ended.saturating_sub(began), Ordering::Relaxed);
        self.uncounted.fetch_add(ended.saturating_sub(self.counted.load(Ordering::Relaxed)), Ordering::Relaxed);
        done
    }

    /// The same on a thread that computes.
    pub fn run_apart<T>(&self, work: impl FnOnce() -> T) -> T {
        if !self.by_thread.load(Ordering::Relaxed) {
            self.by_thread.store(true, Ordering::Relaxed);
            self.moved.notify_waiters();
        }
        self.run(work)
    }

    /// Waits until it runs on a thread that computes.
    pub async fn has_left(&self) {
        let mut moved = std::pin::pin!(self.moved.notified());
        moved.as_mut().enable();
        if !self.by_thread.load(Ordering::Relaxed) {
            moved.await;
        }
    }

    /// The engine's clock found the store running: how many ticks its request has computed, or none if it has hardly run
    /// since the last.
    fn tick(self: &Arc<Self>) -> Option<u64> {
        let now = self.now();
        let run = now.saturating_sub(self.counted.load(Ordering::Relaxed));
        let most_of_a_tick = TICK.as_nanos() as u64 * 3 / 4;
        if run + self.uncounted.load(Ordering::Relaxed) < most_of_a_tick {
            return None;
        }
        if now.saturating_sub(self.entered.load(Ordering::Relaxed)) >= most_of_a_tick {
            self.ticks.fetch_add(1, Ordering::Relaxed);
        }
        self.counted.store(now, Ordering::Relaxed);
        self.uncounted.store(0, Ordering::Relaxed);
        Some(self.of_request().all.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The tick was a member's: how many it has computed for the request.
    fn tick_of(self: &Arc<Self>, member: usize) -> u64 {
        self.of_request().each[member].fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether it computes rather than waits, or is going to; a single tick may be chance.
    pub fn computes(&self) -> bool {
        let busy = Duration::from_nanos(self.busy.load(Ordering::Relaxed));
        self.leaves.load(Ordering::Relaxed) || self.ticks.load(Ordering::Relaxed) >= 2 || busy >= TICK * 2
    }
}

/// Counts the linear memories of a store, and holds each to the limit.
pub struct Memory {
    /// Of all linear memories in this store.
    pub bytes: usize,
    /// Whose memories are being made.
    pub member: usize,
    /// Member and size of each memory.
    each: Vec<(usize, usize)>,
    roster: Arc<[Seat]>,
    metrics: Arc<Metrics>,
}

impl Memory {
    /// Which memory grows. wasmtime does not say whose it is, but the size it has tells, nearly always: where several
    /// members have memories of one size, it is taken for one that may grow so far, and among those for the one that
    /// grew last.
    fn place(&self, current: usize, desired: usize) -> Option<usize> {
        let alike = |place: &usize| current != 0 && self.each[*place].1 == current;
        let may = |place: &usize| self.roster[self.each[*place].0].limits.memory_bytes >= desired;
        let all = 0..self.each.len();
        all.clone().rev().find(|place| alike(place) && may(place)).or_else(|| all.rev().find(alike))
    }
}

/// A table of a million entries is 8 MB; toolchains make tables of hundreds.
const MAX_TABLE_ENTRIES: usize = 100_000;

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let place = self.place(current, desired);
        let member = place.map_or(self.member, |place| self.each[place].0);
        let seat = &self.roster[member];
        if desired > seat.limits.memory_bytes {
            self.metrics.limits.add(&[&seat.name, "memory"], 1);
            return Ok(false);
        }
        seat.stats.memory(desired);
        self.bytes += desired.saturating_sub(current);
        if let Some(place) = place {
            self.each.remove(place);
        }
        self.each.push((member, desired));
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired <= MAX_TABLE_ENTRIES;
        if !allowed {
            // Nobody says whose table it is.
            self.metrics.limits.add(&["", "table"], 1);
        }
        Ok(allowed)
    }
}

/// What decides how code is compiled: the same for the engine that compiles and the one that runs.
fn features() -> EngineConfig {
    let mut config = EngineConfig::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        // Nobody unwinds through Wasm but Windows; telling the system of it costs memory for each version.
        .native_unwind_info(cfg!(windows))
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(32));
    config
}

/// The engine of a process that only compiles.
pub fn compiler(functions: Arc<dyn CacheStore>) -> Result<Engine> {
    let mut config = features();
    config.enable_incremental_compilation(functions)?;
    Ok(Engine::new(&config)?)
}

/// What a machine of the last ten years has: code that is compiled before its machine is known is for this. Where it has
/// less, components are compiled at the first start.
#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
const COMMON: (&str, &[&str]) = (
    "x86_64-unknown-linux-gnu",
    &[
        "has_sse3",
        "has_ssse3",
        "has_sse41",
        "has_sse42",
        "has_popcnt",
        "has_cmpxchg16b",
        "has_avx",
        "has_avx2",
        "has_fma",
        "has_bmi1",
        "has_bmi2",
        "has_lzcnt",
    ],
);

/// The engine of a process that compiles for other machines.
pub fn common_engine() -> Result<Engine> {
    let mut config = features();
    #[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
    {
        config.target(COMMON.0)?;
        for flag in COMMON.1 {
            #[expect(unsafe_code, reason = "nothing is run by this engine")]
            // SAFETY: these are what the compiler may use, and whoever loads the code is checked for them.
            unsafe {
                config.cranelift_flag_enable(flag);
            }
        }
    }
    Ok(Engine::new(&config)?)
}

/// The engine for every version of every component.
pub fn engine(limits: &Limits) -> Result<Engine> {
    let mut config = features();
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
        // What an instance has mapped of its file stays mapped where the scan finds it clean: the next fresh instance
        // takes it over. Where fresh ones are rare, the pages of weights of one that went would only lie there.
        .pagemap_scan(if limits.has_fresh_instances() { Enabled::Auto } else { Enabled::No });
    if limits.has_fresh_instances() {
        // Every request makes fresh ones, which this makes cheap; what was not used is not touched.
        pool.linear_memory_keep_resident(2 * 1024 * 1024).decommit_batch_size(64);
    } else {
        // Freed memory goes back to the system at once. What is kept is the beginning of each memory, which is written over
        // whether it was used or not: the stack's, mostly never touched, and half a megabyte of it for each instance that
        // went. Giving back in batches keeps the memory of up to a batch of large requests.
        pool.linear_memory_keep_resident(0).decommit_batch_size(1);
    }
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

/// Whose code runs in a store just now.
pub fn running(store: &StoreContextMut<'_, State>) -> Option<usize> {
    let trace = WasmBacktrace::force_capture(store);
    let place = trace.frames().first()?.module().image_range().start as usize;
    store.data().roster.iter().position(|seat| seat.code.contains(&place))
}

pub fn store(engine: &Engine, state: State, limits: &Limits) -> Store<State> {
    let all = limits.cpu_ms;
    // Whose code it is costs a look at the stack, so it is asked only where somebody may compute less than all together.
    let is_told_apart = state.roster.iter().any(|seat| seat.limits.cpu_ms < all);
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(limits.hostcall_bytes);
    store.set_max_component_handles(limits.handles);
    let ticks_in = |limit_ms: u64| (limit_ms / TICK.as_millis() as u64).max(1);
    store.epoch_deadline_callback(move |mut store| {
        let Some(ticks) = store.data_mut().meter.tick() else { return Ok(UpdateDeadline::Continue(1)) };
        let too_much = |store: &StoreContextMut<'_, State>, member: Option<usize>, limit_ms: u64| {
            let what = format!("used more than {limit_ms} ms of CPU time");
            Err(store.data().hit(member.unwrap_or_default(), Kind::Cpu, what).into())
        };
        if ticks > ticks_in(all) {
            return too_much(&store, running(&store), all);
        }
        // Where a call apart computes, the request does not.
        if ticks == 2
            && store.data().meter.request.is_none()
            && let Some(member) = running(&store)
        {
            store.data_mut().note_computing(member);
        }
        if is_told_apart && let Some(member) = running(&store) {
            let limit_ms = store.data().roster[member].limits.cpu_ms;
            if store.data().meter.tick_of(member) > ticks_in(limit_ms) {
                return too_much(&store, Some(member), limit_ms);
            }
        }
        Ok(UpdateDeadline::Yield(1))
    });
    store
}
