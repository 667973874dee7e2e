//! The components in service: which versions, and the instances that wait for requests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Instance, TypedFunc};
use wasmtime::{Engine, Store};
use wasmtime_wasi_http::handler::Proxy;
use wasmtime_wasi_http::p3::bindings::Service;

use crate::apart::Home;
use crate::canary::Trial;
use crate::compile::Compiler;
use crate::component::Loaded;
use crate::compute;
use crate::config::{Config, Grant, Outbound};
use crate::fleet::Fleet;
use crate::gen_ai::GenAi;
use crate::idle::{IdleWorker, Shelf};
use crate::inside;
use crate::intake::Intake;
use crate::keyvalue::Stores;
use crate::link::Base;
use crate::memory;
use crate::metrics::Metrics;
use crate::otlp::Traces;
use crate::outbound::{Hooks, Pool, Sender};
use crate::payload::{Inside, Payload};
use crate::rounds::Begun;
use crate::snapshot::{Entry, Snapshot};
use crate::stats::Ledger;
use crate::store::{self, State};
use crate::trust;
use crate::usage::Usage;

/// A store with the instances that requests have needed so far. It serves one request at a time, so that a trap costs
/// one.
pub struct Worker {
    pub store: Store<State>,
    pub entry: Option<Live>,
    pub served: u32,
    /// Where it waits.
    shelf: usize,
    pub generation: Arc<Generation>,
    /// Where it has a request of its own, that one's.
    pub begun: Option<Begun>,
}

/// The entry's instance in a worker's store.
#[derive(Clone)]
pub enum Live {
    Handler(HandleFunc),
    Incoming(Arc<Proxy>),
}

pub type HandleFunc = TypedFunc<
    (wasmtime::component::Resource<wasmtime_wasi_http::p3::Request>,),
    (
        Result<
            wasmtime::component::Resource<wasmtime_wasi_http::p3::Response>,
            wasmtime_wasi_http::p3::bindings::http::types::ErrorCode,
        >,
    ),
>;

/// A snapshot, the configuration it was made with, and the instances made from it. Lives as long as the newest request
/// that saw it.
pub struct Generation {
    /// No other has it.
    pub number: u64,
    pub snapshot: Snapshot,
    pub config: Arc<Config>,
    settings: Arc<BTreeMap<String, String>>,
    /// By lane, and then those for calls apart, by member.
    idle: Vec<Shelf>,
    /// By member.
    pub apart: Vec<Apart>,
    retired: AtomicBool,
    retired_at: Mutex<Option<Instant>>,
    /// Told when `limits.drain_deadline_ms` has passed since the retirement: what still runs ends now.
    pub expired: CancellationToken,
}

/// The calls of a member that are worked on apart.
pub struct Apart {
    /// How many may be at work at once: more than there are cores would be no faster.
    pub places: Arc<Semaphore>,
    /// A worker was given back.
    back: Notify,
    /// Somebody looks later whether fewer workers are enough.
    is_watched: AtomicBool,
}

/// A new instance costs as much: whose turn it is may wait so long for one that is about to be free.
const MOMENT: Duration = Duration::from_millis(2);
/// A second worker apart that had nothing to do for so long goes: it has the pages of its weights mapped as the first has.
const SPARE: Duration = Duration::from_millis(10);

/// Lives as long as the process.
pub struct Registry {
    pub engine: Engine,
    pub metrics: Arc<Metrics>,
    /// What was used, by whom.
    pub usage: Arc<Usage>,
    pub gen_ai: Arc<GenAi>,
    /// Where spans go; nowhere, where the configuration names no collector.
    pub traces: Option<Arc<Traces>>,
    pub intake: Intake,
    pub base: Base,
    /// Requests at work at once; [`Registry::resize`] follows the configuration.
    pub places: Arc<Semaphore>,
    places_now: Mutex<usize>,
    /// Upstream connections, by lane.
    pools: Vec<Arc<Pool>>,
    alone: Option<Arc<Sender>>,
    /// Where calls are worked on apart from their requests.
    pub compute: tokio::runtime::Handle,
    /// Where this host is one of several that serve the same.
    pub fleet: OnceLock<Arc<Fleet>>,
    /// What this program brings with it, where that is what serves.
    pub payload: Option<Arc<Payload>>,
    /// What a component served alone sees; the others see settings only.
    environment: Vec<(String, String)>,
    current: ArcSwap<Generation>,
    /// A version on trial, beside the current one.
    pub canary: ArcSwapOption<Trial>,
    draining: Mutex<Vec<Weak<Generation>>>,
}

/// Where what serves comes from.
enum Provenance {
    Folder,
    Inside(Arc<Payload>),
    Alone(Arc<Sender>),
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Registry {
    /// Serves the components of a directory.
    pub fn open(config: Arc<Config>, components: &Path) -> Result<Arc<Self>> {
        Self::start(config, Provenance::Folder, |intake, engine, base, config| {
            let mut loaded = Vec::new();
            for (name, file) in files(components)? {
                loaded.push(intake.file(engine, config, &name, &file)?);
            }
            if loaded.is_empty() {
                bail!("no .wasm file in {}: start with `--components DIR`", components.display());
            }
            Snapshot::new(base, loaded, config)
        })
    }

    /// Serves what is inside this program, and in place of that what lies in a folder: what was swapped in before.
    pub fn open_inside(config: Arc<Config>, payload: Arc<Payload>, over: Option<&Path>) -> Result<Arc<Self>> {
        let inside = Arc::clone(&payload);
        Self::start(config, Provenance::Inside(payload), |intake, engine, base, config| {
            let mut replaced: BTreeMap<_, _> = match over {
                Some(folder) => files(folder).unwrap_or_default().into_iter().collect(),
                None => BTreeMap::new(),
            };
            let mut places = Vec::new();
            for inside in inside.components() {
                places.push((inside.name.clone(), replaced.remove(&inside.name), Some(inside)));
            }
            places.extend(replaced.into_iter().map(|(name, file)| (name, Some(file), None)));
            // Each costs a copy of its code, so all cores take part.
            let load = |(name, file, within): &(String, Option<PathBuf>, Option<&Inside>)| match (file, within) {
                (Some(file), _) => intake.file(engine, config, name, file),
                (None, Some(within)) => intake.inside(engine, config, &inside, within),
                (None, None) => bail!("`{name}` is nowhere"),
            };
            let next = std::sync::atomic::AtomicUsize::new(0);
            let loaded = std::thread::scope(|scope| {
                let work = || {
                    let mut done = Vec::new();
                    while let Some(place) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                        done.push(load(place));
                    }
                    done
                };
                let others: Vec<_> = (1..cores()).map(|_| scope.spawn(work)).collect();
                let mut done = work();
                done.extend(others.into_iter().flat_map(|other| other.join().expect("loading does not panic")));
                done.into_iter().collect::<Result<Vec<_>>>()
            })?;
            Snapshot::new(base, loaded, config)
        })
    }

    /// Serves one file alone.
    pub fn open_file(config: Arc<Config>, file: &Path) -> Result<Arc<Self>> {
        let name = component_name(file).context("the file needs a name")?;
        let grant = Grant { outbound: Outbound::Anywhere, ..Grant::default() };
        let alone = Sender { grant, limits: config.limits_of(&name), component: name };
        Self::start(config, Provenance::Alone(Arc::new(alone)), |intake, engine, base, config| {
            let name = component_name(file).context("the file needs a name")?;
            Snapshot::alone(base, intake.file(engine, config, &name, file)?, config)
        })
    }

    fn start(
        config: Arc<Config>,
        provenance: Provenance,
        snapshot: impl FnOnce(&Intake, &Engine, &Base, &Config) -> Result<Snapshot>,
    ) -> Result<Arc<Self>> {
        let (alone, payload) = match provenance {
            Provenance::Folder => (None, None),
            Provenance::Inside(payload) => (None, Some(payload)),
            Provenance::Alone(sender) => (Some(sender), None),
        };
        let lanes = cores();
        let engine = store::engine(&config.limits)?;
        store::tick(&engine)?;
        let stores = Stores::open(&config.place, &config.stores, &config.state_dir)?;
        let usage = Usage::start(lanes + 1, Arc::clone(&stores))?;
        let base = crate::link::base(&engine, stores)?;
        // One more than serve: versions are tried out on a lane of their own.
        let ledger = Arc::new(Ledger::new(lanes + 1));
        let metrics = Arc::new(Metrics::new(lanes + 1));
        metrics.add(Arc::clone(&ledger) as _);
        let gen_ai = Arc::new(GenAi::new(lanes + 1));
        metrics.add(Arc::clone(&gen_ai) as _);
        let traces = config.traces.as_ref().map(Traces::start).transpose()?;
        if let Some(traces) = &traces {
            metrics.add(Arc::clone(traces) as _);
        }
        let intake = Intake { compiler: Compiler::new(&engine, &config.program, &config.data_dir), ledger };
        let snapshot = snapshot(&intake, &engine, &base, &config)?;
        // This thread has read the files, and will do nothing more of that kind.
        memory::give_back();
        let places = config.limits.concurrent_requests;
        Ok(Arc::new(Self {
            pools: (0..=lanes).map(|_| Pool::new(&config.limits)).collect::<Result<_>>()?,
            current: ArcSwap::from_pointee(Generation::new(snapshot, config, lanes + 1)),
            engine,
            environment: if alone.is_some() { std::env::vars().collect() } else { Vec::new() },
            metrics,
            usage,
            gen_ai,
            traces,
            intake,
            alone,
            compute: compute::threads()?.clone(),
            payload,
            fleet: OnceLock::new(),
            base,
            places: Arc::new(Semaphore::new(places)),
            places_now: Mutex::new(places),
            canary: ArcSwapOption::empty(),
            draining: Mutex::default(),
        }))
    }

    /// Threads that serve: as many as there are cores.
    pub fn lanes(&self) -> usize {
        self.pools.len() - 1
    }

    /// Where versions are tried out before they serve.
    pub fn trial_lane(&self) -> usize {
        self.pools.len() - 1
    }

    /// What components keep.
    pub fn stores(&self) -> &Arc<Stores> {
        &self.base.stores
    }

    /// The bytes of a version that served here, where they are still there.
    pub fn kept(&self, name: &str, sha256: &str) -> Option<Vec<u8>> {
        if let Some(payload) = &self.payload
            && let Some(inside) = payload.components().iter().find(|one| one.name == name && one.sha256 == sha256)
        {
            return payload.wasm(inside).ok();
        }
        std::fs::read(self.version(sha256)?).ok()
    }

    pub fn is_kept(&self, name: &str, sha256: &str) -> bool {
        let inside = self.payload.iter().flat_map(|payload| payload.components());
        self.version(sha256).is_some_and(|file| file.exists())
            || inside.into_iter().any(|one| one.name == name && one.sha256 == sha256)
    }

    /// The signature that a kept version came with.
    pub fn kept_signature(&self, sha256: &str) -> Option<String> {
        trust::beside(&self.version(sha256)?)
    }

    /// The file of a version; none where that is no hash, but somebody's path.
    fn version(&self, sha256: &str) -> Option<PathBuf> {
        let is_digest = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_digest.then(|| self.versions().join(format!("{sha256}.wasm")))
    }

    /// Where the bytes of what serves and served are kept.
    pub fn versions(&self) -> PathBuf {
        self.config().data_dir.join("versions")
    }

    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// The configuration that new requests get.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.current.load().config)
    }

    /// The generation for one request: the current one, or the one on trial where that gets a share.
    pub fn pick(&self, headers: &http::HeaderMap, client: &str) -> Arc<Generation> {
        if let Some(trial) = &*self.canary.load()
            && trial.takes(headers, client)
        {
            return Arc::clone(&trial.generation);
        }
        self.current.load_full()
    }

    pub fn generation(&self, snapshot: Snapshot, config: Arc<Config>) -> Arc<Generation> {
        Arc::new(Generation::new(snapshot, config, self.pools.len()))
    }

    /// Puts a generation into service: the next request gets it. What runs ends on the one before.
    pub fn publish(&self, generation: Arc<Generation>) {
        let old = self.current.swap(generation);
        self.retire(&old);
    }

    /// A generation that new requests no longer get.
    pub fn retire(&self, old: &Arc<Generation>) {
        old.retire();
        self.draining.lock().expect("nobody panics holding it").push(Arc::downgrade(old));
    }

    /// Generations whose requests still run. Those past the deadline are told to end.
    pub fn draining(&self) -> Vec<Arc<Generation>> {
        let mut draining = self.draining.lock().expect("nobody panics holding it");
        draining.retain(|generation| generation.strong_count() > 0);
        let alive: Vec<_> = draining.iter().filter_map(Weak::upgrade).collect();
        drop(draining);
        for generation in &alive {
            let since = *generation.retired_at.lock().expect("nobody panics holding it");
            let limit = Duration::from_millis(generation.config.limits.drain_deadline_ms);
            if since.is_some_and(|since| since.elapsed() >= limit) {
                generation.expired.cancel();
            }
        }
        alive
    }

    /// Everything that runs ends now.
    pub fn expire(&self) {
        self.current.load().expired.cancel();
        if let Some(trial) = &*self.canary.load() {
            trial.generation.expired.cancel();
        }
        self.draining().iter().for_each(|generation| generation.expired.cancel());
    }

    /// Follows a new number of places.
    pub fn resize(&self, places: usize) {
        let mut now = self.places_now.lock().expect("nobody panics holding it");
        if places >= *now {
            self.places.add_permits(places - *now);
            *now = places;
        } else {
            // Those in use are not taken away; a later resize finds them.
            *now -= self.places.forget_permits(*now - places);
        }
    }

    /// A worker for one request: one that waits in this lane, or a fresh one.
    pub fn worker(self: &Arc<Self>, generation: Arc<Generation>, lane: usize) -> Worker {
        self.worker_of(generation, lane, lane)
    }

    /// A worker for a call of a member apart, made from a lane.
    pub async fn worker_apart(self: &Arc<Self>, generation: Arc<Generation>, member: usize, lane: usize) -> Worker {
        let shelf = self.pools.len() + member;
        let apart = &generation.apart[member];
        let back = apart.back.notified();
        let is_empty = generation.idle[shelf].is_empty();
        // One place is the caller's; whoever holds another has a worker, or had it until now.
        let others = cores().saturating_sub(apart.places.available_permits() + 1);
        if is_empty && others > 0 {
            let _ = tokio::time::timeout(MOMENT, back).await;
        } else {
            drop(back);
        }
        self.worker_of(generation, shelf, lane)
    }

    fn worker_of(self: &Arc<Self>, generation: Arc<Generation>, shelf: usize, lane: usize) -> Worker {
        match generation.idle[shelf].take() {
            Some(IdleWorker { store, entry, served }) => {
                Worker { store, entry, served, shelf, generation, begun: None }
            }
            None => {
                let limits = &generation.config.limits;
                let pool = Arc::clone(&self.pools[lane]);
                let hooks = Hooks::new(pool, self.alone.clone(), Arc::clone(&self.metrics));
                let roster = Arc::clone(&generation.snapshot.roster);
                let settings = Arc::clone(&generation.settings);
                let metrics = Arc::clone(&self.metrics);
                let mut state = State::new(roster, lane, limits, settings, &self.environment, hooks, metrics);
                state.home = Home { registry: Arc::downgrade(self), generation: Arc::downgrade(&generation) };
                let store = store::store(&self.engine, state, limits);
                Worker { store, entry: None, served: 0, shelf, generation, begun: None }
            }
        }
    }

    /// Workers that wait for a request.
    pub fn idle(&self) -> usize {
        self.current().idle.iter().map(Shelf::len).sum()
    }

    /// Lets the workers of a lane go that it did not need since this was last called.
    pub fn spare(&self, lane: usize) {
        let spare = self.current().idle[lane].spare(|| {});
        if !spare.is_empty() {
            // Each gives back some megabytes, while the lane has requests to serve.
            self.compute.spawn(async move { drop(spare) });
        }
    }

    /// Keeps a worker for the next request, unless it has served its time.
    pub fn give_back(&self, worker: Worker) {
        let Worker { store, entry, served, shelf, generation, begun } = worker;
        drop(begun);
        let limits = &generation.config.limits;
        let spent = served >= limits.requests_per_instance
            // WASI 0.2 promises its components an instance for each request; those made of JavaScript need it.
            || matches!(entry, Some(Live::Incoming(_)))
            || has_grown(&store, &generation, limits.kept_memory_bytes)
            || store.data().is_for_one_request();
        let apart = shelf.checked_sub(self.pools.len()).map(|member| &generation.apart[member]);
        if spent || generation.retired.load(Ordering::Acquire) {
            drop(store);
        } else {
            let waiting = generation.idle[shelf].put(IdleWorker { store, entry, served });
            // A retirement between the look and the push has cleared the list already; nobody will take from it again.
            if generation.retired.load(Ordering::Acquire) {
                generation.retire();
            }
            if let Some(apart) = apart
                && waiting > 1
                && !apart.is_watched.swap(true, Ordering::AcqRel)
            {
                self.compute.spawn(spare_apart(Arc::downgrade(&generation), shelf, shelf - self.pools.len()));
            }
        }
        if let Some(apart) = apart {
            apart.back.notify_waiters();
        }
    }
}

/// Lets workers apart go that nobody needs, until one is left.
async fn spare_apart(generation: Weak<Generation>, shelf: usize, member: usize) {
    let mut is_over = false;
    while !is_over {
        tokio::time::sleep(SPARE).await;
        let Some(generation) = generation.upgrade() else { return };
        let watched = &generation.apart[member].is_watched;
        drop(generation.idle[shelf].spare(|| {
            // Whoever puts another there has it looked at again.
            watched.store(false, Ordering::Release);
            is_over = true;
        }));
    }
}

/// Whether the memories in a store have grown past what is kept. What a component's own file brought, weights above all,
/// is mapped from it, and takes up nothing by itself.
fn has_grown(store: &Store<State>, generation: &Generation, kept: usize) -> bool {
    let state = store.data();
    if state.memory.bytes <= kept {
        return false;
    }
    let live = state.live.iter().zip(&generation.snapshot.members);
    let mapped: u64 = live.filter(|(live, _)| live.is_some()).map(|(_, member)| member.loaded.size_bytes).sum();
    (state.memory.bytes as u64).saturating_sub(mapped) > kept as u64
}

impl Apart {
    fn new() -> Self {
        let places = Arc::new(Semaphore::new(cores()));
        Self { places, back: Notify::new(), is_watched: AtomicBool::new(false) }
    }
}

impl Generation {
    fn new(snapshot: Snapshot, config: Arc<Config>, lanes: usize) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let members = snapshot.members.len();
        let mut settings = config.settings.clone();
        settings.insert(inside::SECRET_SETTING.to_owned(), inside::secret().to_owned());
        Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            snapshot,
            settings: Arc::new(settings),
            config,
            idle: (0..lanes + members).map(|_| Shelf::default()).collect(),
            apart: (0..members).map(|_| Apart::new()).collect(),
            retired: AtomicBool::new(false),
            retired_at: Mutex::default(),
            expired: CancellationToken::new(),
        }
    }

    fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.retired_at.lock().expect("nobody panics holding it").get_or_insert_with(Instant::now);
        self.idle.iter().for_each(Shelf::clear);
    }

    /// The version of a component that serves here.
    pub fn member(&self, name: &str) -> Option<&Arc<Loaded>> {
        self.snapshot.members.iter().map(|member| &member.loaded).find(|loaded| loaded.name == name)
    }
}

impl Worker {
    /// Instantiates a member in this worker's store.
    pub async fn instantiate(&mut self, member: usize) -> Result<Instance> {
        let generation = Arc::clone(&self.generation);
        let member_of = &generation.snapshot.members[member];
        self.store.data_mut().memory.member = member;
        let instance = member_of
            .pre
            .instantiate_async(&mut self.store)
            .await
            .map_err(anyhow::Error::from)
            .with_context(|| format!("instantiating `{}`", member_of.loaded.name))?;
        let live = member_of
            .functions
            .iter()
            .map(|index| instance.get_func(&mut self.store, index).context("an exported function is there"))
            .collect::<Result<Arc<[_]>>>()?;
        self.store.data_mut().live[member] = Some(live);
        member_of.loaded.stats.instance();
        Ok(instance)
    }

    async fn note_use(&mut self, member: usize) -> Result<()> {
        if let Some(places) = self.store.data_mut().note_use(member) {
            let place = crate::link::place(places).await;
            let state = self.store.data_mut();
            match place {
                Some(place) => state.permits.push(place),
                None => return Err(crate::link::crowded(state, member).into()),
            }
        }
        Ok(())
    }

    /// Makes the entry live, and tells that it works on the request.
    pub async fn enter(&mut self) -> Result<()> {
        let generation = Arc::clone(&self.generation);
        match &generation.snapshot.entry {
            Entry::Handler { member } => {
                self.note_use(*member).await?;
                if self.entry.is_none() {
                    let instance = self.instantiate(*member).await?;
                    let service = Service::new(&mut self.store, &instance)?;
                    self.entry = Some(Live::Handler(service.wasi_http_handler().func_handle()));
                }
            }
            Entry::Incoming(incoming) => {
                self.note_use(0).await?;
                if self.entry.is_none() {
                    self.entry = Some(Live::Incoming(incoming.instantiate(&mut self.store).await?));
                }
            }
        }
        Ok(())
    }
}

pub fn component_name(file: &Path) -> Option<String> {
    Some(file.file_stem()?.to_str()?.to_owned())
}

/// The `.wasm` files of a directory by name. Files that begin with a dot are somebody's half-written ones.
pub fn files(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("reading the components in {}", dir.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_component = path.extension().is_some_and(|extension| extension == "wasm");
        if let (true, Some(name)) = (is_component, component_name(&path))
            && !name.starts_with('.')
        {
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}
