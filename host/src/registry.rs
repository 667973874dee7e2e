//! The components in service: which files, linked how, and the instances that wait for requests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, bail};
use arc_swap::ArcSwap;
use wasmtime::component::{Instance, Linker, TypedFunc};
use wasmtime::{Engine, Store};
use wasmtime_wasi_http::handler::Proxy;
use wasmtime_wasi_http::p3::bindings::{Service, ServicePre};

use crate::component::Loaded;
use crate::config::{Config, Grant, Outbound};
use crate::link::{Member, Wiring};
use crate::outbound::{Hooks, Pool};
use crate::store::{self, State};

/// The interface on which requests come in.
const HANDLER: &str = "wasi:http/handler";

/// The components as they were when a request came in.
///
/// A request keeps the snapshot it started with, so a swap never changes a request half way.
pub struct Snapshot {
    pub members: Vec<Member>,
    pub entry: Entry,
    /// `name@digest` by member.
    labels: Arc<[String]>,
}

/// The function that takes requests from outside.
pub enum Entry {
    /// `wasi:http/handler@0.3`, and where it is exported.
    Handler { member: usize },
    /// A stock WASI 0.2 `wasi:http/incoming-handler`, served alone.
    Incoming(crate::compat::Incoming),
}

impl Snapshot {
    fn new(base: &Linker<State>, loaded: &[Arc<Loaded>], config: &Config) -> Result<Self> {
        let wiring = Wiring::new(loaded, &config.chains);
        let members = loaded
            .iter()
            .enumerate()
            .map(|(index, component)| {
                wiring.link(base, index, config).with_context(|| format!("`{}` cannot be linked", component.name))
            })
            .collect::<Result<Vec<_>>>()?;
        let entry = wiring.entry(HANDLER).with_context(|| format!("no component exports `{HANDLER}`"))?;
        // The functions are looked up by type once here, so that a misfit is refused before it serves.
        ServicePre::new(members[entry].pre.clone())?;
        Ok(Self { labels: labels(loaded), members, entry: Entry::Handler { member: entry } })
    }

    /// One component, with nothing of ours in front.
    fn alone(base: &Linker<State>, loaded: &Arc<Loaded>, config: &Config) -> Result<Self> {
        if loaded.exports.iter().any(|export| export.name.starts_with(HANDLER)) {
            return Self::new(base, std::slice::from_ref(loaded), config);
        }
        let (member, incoming) = crate::compat::link(base, loaded).with_context(|| {
            format!("`{}` exports neither `{HANDLER}` nor a WASI 0.2 incoming-handler", loaded.name)
        })?;
        let labels = labels(std::slice::from_ref(loaded));
        Ok(Self { members: vec![member], entry: Entry::Incoming(incoming), labels })
    }
}

/// A store with the instances that requests have needed so far. It serves one request at a time, so that a trap costs
/// one.
pub struct Worker {
    pub store: Store<State>,
    pub entry: Option<Live>,
    pub served: u32,
    lane: usize,
    pub generation: Arc<Generation>,
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

/// A snapshot and the instances made from it. Lives as long as the newest request that saw it.
pub struct Generation {
    pub snapshot: Snapshot,
    /// By lane.
    idle: Vec<Mutex<Vec<IdleWorker>>>,
    retired: AtomicBool,
}

/// A worker without its generation, which owns it.
struct IdleWorker {
    store: Store<State>,
    entry: Option<Live>,
    served: u32,
}

/// Lives as long as the process.
pub struct Registry {
    pub engine: Engine,
    pub config: Arc<Config>,
    /// Upstream connections, by lane.
    pools: Vec<Arc<Pool>>,
    settings: Arc<BTreeMap<String, String>>,
    alone: Option<Arc<Grant>>,
    /// What a component served alone sees; the others see settings only.
    environment: Vec<(String, String)>,
    base: Linker<State>,
    current: ArcSwap<Generation>,
}

impl Registry {
    /// Serves the components of a directory.
    pub fn open(config: Arc<Config>, components: &Path) -> Result<Arc<Self>> {
        Self::start(config, None, |engine, base, config| {
            let loaded = read_all(engine, components, &config.data_dir)?;
            if loaded.is_empty() {
                bail!("no .wasm file in {}: start with `--components DIR`", components.display());
            }
            Snapshot::new(base, &loaded, config)
        })
    }

    /// Serves one file alone.
    pub fn open_file(config: Arc<Config>, file: &Path) -> Result<Arc<Self>> {
        let alone = Grant { outbound: Outbound::Anywhere, ..Grant::default() };
        Self::start(config, Some(Arc::new(alone)), |engine, base, config| {
            let name = component_name(file).context("the file needs a name")?;
            let loaded = Loaded::read(engine, &name, file, &cache(&config.data_dir))?;
            Snapshot::alone(base, &loaded, config)
        })
    }

    fn start(
        config: Arc<Config>,
        alone: Option<Arc<Grant>>,
        snapshot: impl FnOnce(&Engine, &Linker<State>, &Config) -> Result<Snapshot>,
    ) -> Result<Arc<Self>> {
        let lanes = std::thread::available_parallelism().map_or(1, usize::from);
        let engine = store::engine(&config.limits)?;
        store::tick(&engine)?;
        let base = crate::link::base(&engine)?;
        let snapshot = snapshot(&engine, &base, &config)?;
        Ok(Arc::new(Self {
            pools: (0..lanes).map(|_| Pool::new(&config.limits)).collect::<Result<_>>()?,
            settings: Arc::new(config.settings.clone()),
            current: ArcSwap::from_pointee(Generation::new(snapshot, lanes)),
            engine,
            environment: if alone.is_some() { std::env::vars().collect() } else { Vec::new() },
            config,
            alone,
            base,
        }))
    }

    /// Threads that serve: as many as there are cores.
    pub fn lanes(&self) -> usize {
        self.pools.len()
    }

    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Looks at the directory again and puts what is there into service, whole or not at all. What did not change
    /// keeps its compiled code. Tells which components changed.
    pub fn reload(&self, components: &Path) -> Result<Vec<String>> {
        let old = self.current();
        let before = |name: &str| old.snapshot.members.iter().map(|m| &m.loaded).find(|loaded| loaded.name == name);
        let cache = cache(&self.config.data_dir);
        let mut loaded = Vec::new();
        let mut changed = Vec::new();
        for (name, file) in files(components)? {
            let bytes = std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            match before(&name) {
                Some(same) if same.is(&bytes) => loaded.push(Arc::clone(same)),
                _ => {
                    let component = Loaded::from_bytes(&self.engine, &name, &bytes, &cache)?;
                    changed.push(component.label.clone());
                    loaded.push(component);
                }
            }
        }
        for member in &old.snapshot.members {
            let name = &member.loaded.name;
            if !loaded.iter().any(|component| component.name == *name) {
                changed.push(format!("{name} (gone)"));
            }
        }
        if changed.is_empty() {
            return Ok(changed);
        }
        let snapshot = Snapshot::new(&self.base, &loaded, &self.config)?;
        let old = self.current.swap(Arc::new(Generation::new(snapshot, self.lanes())));
        old.retire();
        Ok(changed)
    }

    /// A worker for one request: one that waits in this lane, or a fresh one.
    pub fn worker(&self, lane: usize) -> Worker {
        let generation = self.current();
        let waiting = generation.idle[lane].lock().expect("nobody panics holding it").pop();
        match waiting {
            Some(IdleWorker { store, entry, served }) => Worker { store, entry, served, lane, generation },
            None => {
                let hooks = Hooks::new(Arc::clone(&self.pools[lane]), self.alone.clone());
                let limits = &self.config.limits;
                let labels = Arc::clone(&generation.snapshot.labels);
                let state = State::new(labels, limits, Arc::clone(&self.settings), &self.environment, hooks);
                Worker { store: store::store(&self.engine, state, limits), entry: None, served: 0, lane, generation }
            }
        }
    }

    /// Workers that wait for a request.
    pub fn idle(&self) -> usize {
        self.current().idle.iter().map(|lane| lane.lock().expect("nobody panics holding it").len()).sum()
    }

    /// Keeps a worker for the next request, unless it has served its time.
    pub fn give_back(&self, worker: Worker) {
        let Worker { store, entry, served, lane, generation } = worker;
        let limits = &self.config.limits;
        // What a component's own file brought, weights above all, is mapped from it, and takes up nothing by itself.
        let live = store.data().live.iter().zip(&generation.snapshot.members);
        let mapped: u64 = live.filter(|(live, _)| live.is_some()).map(|(_, member)| member.loaded.size_bytes).sum();
        let grown = (store.data().memory.bytes as u64).saturating_sub(mapped);
        let spent = served >= limits.requests_per_instance || grown > limits.kept_memory_bytes as u64;
        if spent || generation.retired.load(Ordering::Acquire) {
            return;
        }
        generation.idle[lane].lock().expect("nobody panics holding it").push(IdleWorker { store, entry, served });
        // A retirement between the look and the push has cleared the list already; nobody will take from it again.
        if generation.retired.load(Ordering::Acquire) {
            generation.retire();
        }
    }
}

impl Generation {
    fn new(snapshot: Snapshot, lanes: usize) -> Self {
        Self { snapshot, idle: (0..lanes).map(|_| Mutex::default()).collect(), retired: AtomicBool::new(false) }
    }

    fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        for idle in &self.idle {
            let idle = std::mem::take(&mut *idle.lock().expect("nobody panics holding it"));
            drop(idle);
        }
    }
}

impl Worker {
    /// Instantiates a member in this worker's store.
    pub async fn instantiate(&mut self, member: usize) -> Result<Instance> {
        let Member { loaded, pre, functions } = &self.generation.snapshot.members[member];
        let instance = pre
            .instantiate_async(&mut self.store)
            .await
            .map_err(anyhow::Error::from)
            .with_context(|| format!("instantiating `{}`", loaded.name))?;
        let live = functions
            .iter()
            .map(|index| instance.get_func(&mut self.store, index).context("an exported function is there"))
            .collect::<Result<Arc<[_]>>>()?;
        self.store.data_mut().live[member] = Some(live);
        Ok(instance)
    }

    /// Makes the entry live, and tells that it works on the request.
    pub async fn enter(&mut self) -> Result<()> {
        let generation = Arc::clone(&self.generation);
        match &generation.snapshot.entry {
            Entry::Handler { member } => {
                self.store.data_mut().note_use(*member);
                if self.entry.is_none() {
                    let instance = self.instantiate(*member).await?;
                    let service = Service::new(&mut self.store, &instance)?;
                    self.entry = Some(Live::Handler(service.wasi_http_handler().func_handle()));
                }
            }
            Entry::Incoming(incoming) => {
                self.store.data_mut().note_use(0);
                if self.entry.is_none() {
                    self.entry = Some(Live::Incoming(incoming.instantiate(&mut self.store).await?));
                }
            }
        }
        Ok(())
    }
}

fn labels(loaded: &[Arc<Loaded>]) -> Arc<[String]> {
    loaded.iter().map(|component| component.label.clone()).collect()
}

fn cache(data_dir: &Path) -> PathBuf {
    data_dir.join("compiled")
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

fn read_all(engine: &Engine, dir: &Path, data_dir: &Path) -> Result<Vec<Arc<Loaded>>> {
    let cache = cache(data_dir);
    files(dir)?.into_iter().map(|(name, file)| Loaded::read(engine, &name, &file, &cache)).collect()
}
