//! `hybrid.toml`, the environment and the command line become one [`Config`], once. Past this file nobody checks
//! again and nobody reads the environment.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http::HeaderValue;
use http::uri::{Authority, Scheme, Uri};
use serde::Deserialize;

use crate::error::Form;
use crate::fleet;
use crate::forwarded::Proxies;
use crate::jobs;
use crate::keyvalue::{Kind, Place};
pub use crate::limits::{ComponentLimits, Isolation};
use crate::limits::{LimitsText, SmokeText};
use crate::models::Models;
use crate::oci;
use crate::otlp::{Target, TargetText};
use crate::redis_link::Address;
use crate::smoke::Call;
use crate::telemetry::Level;
use crate::tls;
use crate::trust::Trust;
use crate::{again, batch, cache};

/// The secret that opens the admin address.
const ADMIN_TOKEN: &str = "admin_token";
const WEBHOOK_SECRET: &str = "webhook_secret";
const REGISTRY_ACCOUNT: &str = "registry_account";

#[derive(Debug, Clone, Copy)]
struct Ceiling {
    memory_bytes: usize,
    concurrent_requests: usize,
}

/// Everything the host was told. Lives as long as the process.
#[derive(Debug)]
pub struct Config {
    pub listen: SocketAddr,
    /// Where clients come with TLS.
    pub tls: Option<tls::Files>,
    /// Who is believed about who asks.
    pub trusted_proxies: Proxies,
    /// Whether other hosts serve the same components.
    pub fleet: fleet::Terms,
    pub admin: Admin,
    pub log_level: Level,
    /// Compiled components are kept here.
    pub data_dir: PathBuf,
    /// What is to last is kept here.
    pub state_dir: PathBuf,
    /// Where the stores of `wasi:keyvalue` are kept.
    pub place: Place,
    /// Nobody said where.
    pub place_unsaid: bool,
    /// Stores by name.
    pub stores: BTreeMap<String, Kind>,
    /// Where the spans of traces go.
    pub traces: Option<Target>,
    /// The app's build; empty for none, absent for where one is looked for.
    pub app_dir: Option<PathBuf>,
    pub limits: Limits,
    /// Interface (without version) → the components of its chain, in order.
    pub chains: BTreeMap<String, Vec<String>>,
    /// Component → what it may do.
    pub grants: BTreeMap<String, Grant>,
    /// Component → what it may use, where that is not the default.
    pub component_limits: BTreeMap<String, ComponentLimits>,
    /// Component → the call that a new version must answer.
    pub smoke: BTreeMap<String, Call>,
    pub trust: Trust,
    pub jobs: jobs::Limits,
    pub batch: batch::Limits,
    pub again: again::Limits,
    pub cache: cache::Limits,
    /// What signs webhooks; none are sent without.
    pub webhook_secret: Option<jobs::Secret>,
    /// Who asks registries of OCI images.
    pub registry_account: Option<HeaderValue>,
    /// This program, which compiles in processes of its own.
    pub program: PathBuf,
    /// What the engine was made for; larger values wait for the next start.
    ceiling: Ceiling,
    /// What `wasi:config/store` answers.
    pub settings: BTreeMap<String, String>,
    /// The operator's model table, whether it is there or not; read with the rest.
    pub models_file: PathBuf,
    /// The beginning of a path, and how the host's own refusals are written there.
    pub forms: Vec<(String, Arc<Form>)>,
}

/// Where the operator is listened to.
#[derive(Clone)]
pub struct Admin {
    /// `None` for nowhere.
    pub listen: Option<SocketAddr>,
    /// Nobody chose the address: where it is taken, the host does without.
    pub by_default: bool,
    /// Without one only loopback may be listened on.
    pub token: Option<String>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("listen", &self.listen).finish_non_exhaustive()
    }
}

impl Admin {
    /// By default on loopback, on the port after the one that serves: two hosts on one machine have two.
    fn new(told: Option<&str>, serving: SocketAddr, token: Option<String>) -> Result<Self> {
        let beside =
            SocketAddr::from(([127, 0, 0, 1], if serving.port() == 0 { 0 } else { serving.port().wrapping_add(1) }));
        let listen = match told {
            None => Some(beside),
            Some("off") => None,
            Some(address) => Some(
                address.parse().with_context(|| format!("`admin.listen` is `{address}`, not address:port or off"))?,
            ),
        };
        if token.is_none() && listen.is_some_and(|listen: SocketAddr| !listen.ip().is_loopback()) {
            bail!("`admin.listen` is not on loopback, so it needs a token: set HYBRID_ADMIN_TOKEN");
        }
        Ok(Self { listen, by_default: told.is_none(), token })
    }
}

/// What one component may do beyond computing.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    pub outbound: Outbound,
    /// Where it may also send, as long as that is no address of ours: others name what lies there.
    pub results: Vec<Pattern>,
    pub credentials: Vec<Credential>,
    /// Stores that it may open.
    pub stores: Vec<String>,
    /// Headers of a request that end here: who comes next in a chain does not get them.
    pub withholds: Arc<[http::HeaderName]>,
    /// Its calls are worked on in stores of their own (`apart.rs`).
    pub apart: bool,
}

/// Where a component may send HTTP.
#[derive(Debug, Clone, Default)]
pub enum Outbound {
    #[default]
    Nowhere,
    To(Vec<Origin>),
    /// For a component served alone, which is the operator's own word.
    Anywhere,
}

/// A secret that the host adds, so that no guest ever holds it.
#[derive(Clone)]
pub struct Credential {
    pub value: http::HeaderValue,
    pub hosts: Vec<Origin>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// scheme://host:port, the port always filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub scheme: Scheme,
    pub host: String,
    pub port: u16,
}

impl Origin {
    pub fn new(scheme: &Scheme, authority: &Authority) -> Option<Self> {
        let port = match authority.port_u16() {
            Some(port) => port,
            None if *scheme == Scheme::HTTP => 80,
            None if *scheme == Scheme::HTTPS => 443,
            None => return None,
        };
        Some(Self { scheme: scheme.clone(), host: authority.host().to_ascii_lowercase(), port })
    }

    /// The address, where the host is one rather than a name.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    pub fn parse(text: &str) -> Result<Self> {
        let uri: Uri = text.parse().with_context(|| format!("`{text}` is no URL"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            bail!("`{text}` must be scheme://host[:port]");
        };
        if authority.as_str().contains('@') {
            bail!("`{}` must hold no user name or password", authority.host());
        }
        Self::new(scheme, authority).with_context(|| format!("`{text}` must be http or https"))
    }
}

/// An origin, or all origins of one kind: `https://*.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    origin: Origin,
    below: bool,
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self> {
        let plain = text.replacen("://*.", "://", 1);
        let origin = Origin::parse(&plain)?;
        Ok(Self { origin, below: plain != text })
    }

    pub fn matches(&self, other: &Origin) -> bool {
        let Origin { scheme, host, port } = &self.origin;
        let host = match self.below {
            true => other.host.strip_suffix(host.as_str()).is_some_and(|name| name.len() > 1 && name.ends_with('.')),
            false => other.host == *host,
        };
        host && other.scheme == *scheme && other.port == *port
    }

    /// The operator wrote an address: it is meant, wherever it leads.
    pub fn is_address(&self) -> bool {
        !self.below && self.origin.address().is_some()
    }
}

/// Every limit, with its default and its reason.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests at work at once. Each holds an instance of every component on its path, about 2 MB.
    pub concurrent_requests: usize,
    /// Requests an instance serves before it is replaced: at 128 fresh ones still cost 5 % of all CPU time.
    pub requests_per_instance: u32,
    /// A larger request body is refused whatever the component says: 25 MiB as base64, twice, and some JSON.
    pub request_body_bytes: u64,
    /// Bodies that the host itself holds at once (jobs that come or run, batches, repeated requests): three of the
    /// largest. Who would need more is asked to come again.
    pub held_bytes: u64,
    /// One linear memory. A 40 MP picture is 160 MB as RGBA, and is read beside its source.
    pub memory_bytes: usize,
    /// An instance set that has grown this far beyond its files is not kept for the next request: linear memory never
    /// shrinks.
    pub kept_memory_bytes: usize,
    /// Wasm running, not waiting. A 40 MP picture takes 3 s.
    pub cpu_ms: u64,
    /// From the head of the request to the end of the answer. The longest total timeout a caller may ask for is 10 min.
    pub request_ms: u64,
    /// Reading a request's head; also how long an idle connection is kept.
    pub header_ms: u64,
    /// Waiting for a request's body, beside a second for each 1000 bytes of it.
    pub body_ms: u64,
    /// A client that takes nothing of its answer for so long is gone.
    pub write_ms: u64,
    /// Header fields of a request, and of an answer.
    pub headers: usize,
    /// Opening a connection upstream.
    pub connect_ms: u64,
    /// Requests and streams that run when the host is told to stop get this long to end.
    pub shutdown_ms: u64,
    /// Connections kept open to one upstream host while idle. HuggingFace closes them after about 60 s.
    pub idle_upstream_connections: usize,
    pub idle_upstream_ms: u64,
    /// Whether instances serve more than one request. Fresh ones cost about as much as the rest of a request.
    pub isolation: Isolation,
    /// What a component may pass to the host, or on to another component, in one call; large things are streams.
    pub hostcall_bytes: usize,
    /// Handles (bodies, streams, calls under way) that a request may hold at once.
    pub handles: usize,
    /// Random bytes in one call.
    pub random_bytes: u64,
    /// Names and values of one set of header fields that a component makes, together.
    pub header_bytes: usize,
    /// What one component may send for one request: six tries of six models, hedged, and polling for a job's end.
    pub outbound_requests: u32,
    /// Both ways together: a 300 MB answer passes.
    pub outbound_bytes: u64,
    /// A component's file. One may carry a model of some hundred megabytes.
    pub component_bytes: u64,
    /// Compiling one component. The largest takes 10 s on one busy core.
    pub compile_ms: u64,
    /// The largest takes 300 MB.
    pub compile_memory_bytes: u64,
    /// Instantiating a new version for the first time.
    pub start_ms: u64,
    /// Requests and streams on a version that was replaced get this long to end: most answers of a language model.
    pub drain_deadline_ms: u64,
    /// Versions that may be draining at once; the next swap waits for the first of them to be done.
    pub draining_versions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_requests: 256,
            requests_per_instance: 1000,
            request_body_bytes: 72 * 1024 * 1024,
            held_bytes: 256 * 1024 * 1024,
            memory_bytes: 512 * 1024 * 1024,
            kept_memory_bytes: 24 * 1024 * 1024,
            cpu_ms: 30_000,
            request_ms: 630_000,
            header_ms: 30_000,
            body_ms: 20_000,
            write_ms: 30_000,
            headers: 100,
            connect_ms: 10_000,
            shutdown_ms: 30_000,
            idle_upstream_connections: 128,
            idle_upstream_ms: 50_000,
            isolation: Isolation::Reuse,
            hostcall_bytes: 64 * 1024 * 1024,
            handles: 10_000,
            random_bytes: 1024 * 1024,
            header_bytes: 128 * 1024,
            outbound_requests: 200,
            outbound_bytes: 1024 * 1024 * 1024,
            component_bytes: 512 * 1024 * 1024,
            compile_ms: 120_000,
            compile_memory_bytes: 2 * 1024 * 1024 * 1024,
            start_ms: 5_000,
            drain_deadline_ms: 120_000,
            draining_versions: 4,
        }
    }
}

impl Limits {
    fn check(&self) -> Result<()> {
        let zero = [
            ("concurrent_requests", self.concurrent_requests as u64),
            ("requests_per_instance", u64::from(self.requests_per_instance)),
            ("memory_bytes", self.memory_bytes as u64),
            ("cpu_ms", self.cpu_ms),
            ("request_ms", self.request_ms),
            ("header_ms", self.header_ms),
            ("body_ms", self.body_ms),
            ("write_ms", self.write_ms),
            ("headers", self.headers as u64),
            ("connect_ms", self.connect_ms),
            ("hostcall_bytes", self.hostcall_bytes as u64),
            ("handles", self.handles as u64),
            ("header_bytes", self.header_bytes as u64),
            ("component_bytes", self.component_bytes),
            ("compile_ms", self.compile_ms),
            ("compile_memory_bytes", self.compile_memory_bytes),
            ("start_ms", self.start_ms),
            ("draining_versions", self.draining_versions as u64),
        ]
        .into_iter()
        .find(|(_, value)| *value == 0);
        if let Some((name, _)) = zero {
            bail!("`limits.{name}` must be at least 1");
        }
        if self.held_bytes < self.request_body_bytes {
            bail!("`limits.held_bytes` must be at least `limits.request_body_bytes`");
        }
        if self.memory_bytes > u32::MAX as usize {
            bail!("`limits.memory_bytes` must be below 4 GiB, the most a component can address");
        }
        if self.concurrent_requests > 4096 {
            bail!("`limits.concurrent_requests` must be at most 4096");
        }
        Ok(())
    }

    pub fn request(&self) -> Duration {
        Duration::from_millis(self.request_ms)
    }

    pub fn body(&self) -> Duration {
        Duration::from_millis(self.body_ms)
    }
}

/// A configuration file as written. `default.toml` uses every key.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    listen: Option<SocketAddr>,
    tls: Option<tls::Files>,
    trusted_proxies: Vec<String>,
    fleet: fleet::Terms,
    admin: AdminText,
    log_level: Option<String>,
    data_dir: Option<PathBuf>,
    models_file: Option<PathBuf>,
    store: Option<String>,
    store_ca: Option<PathBuf>,
    stores: BTreeMap<String, Kind>,
    telemetry: TargetText,
    app_dir: Option<PathBuf>,
    limits: Option<Limits>,
    chains: BTreeMap<String, Vec<String>>,
    components: BTreeMap<String, ComponentText>,
    trust: TrustText,
    jobs: Option<jobs::Limits>,
    batch: Option<batch::Limits>,
    idempotency: Option<again::Limits>,
    cache: Option<cache::Limits>,
    choice: BTreeMap<String, Choice>,
    settings: BTreeMap<String, Setting>,
    environment: BTreeMap<String, Vec<String>>,
    secrets: BTreeMap<String, Vec<String>>,
    present: BTreeMap<String, BTreeMap<String, String>>,
    errors: BTreeMap<String, Form>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AdminText {
    listen: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TrustText {
    sha256: Vec<String>,
    minisign: Vec<String>,
}

/// What is said of one component. Said again, only what is said again changes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ComponentText {
    outbound: Option<Vec<String>>,
    credential: Option<CredentialText>,
    smoke: Option<SmokeText>,
    limits: LimitsText,
    stores: Option<Vec<String>>,
    withholds: Option<Vec<String>>,
    /// It may call the endpoints of the model table, with their secrets added, and fetch from its hosts of results.
    models: Option<bool>,
    /// Calls of it are worked on apart from the requests that make them, one for each core at once.
    apart: Option<bool>,
}

/// Where a capability may be answered.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Choice {
    Local,
    Remote,
    Auto,
}

impl Choice {
    fn text(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialText {
    secret: String,
    hosts: Vec<String>,
}

/// Settings are text to components; numbers and truth values are taken as people write them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Setting {
    Text(String),
    Whole(i64),
    Number(f64),
    Truth(bool),
    List(Vec<String>),
}

impl Setting {
    fn text(self) -> String {
        match self {
            Setting::Text(text) => text,
            Setting::Whole(number) => number.to_string(),
            Setting::Number(number) => number.to_string(),
            Setting::Truth(truth) => truth.to_string(),
            Setting::List(list) => list.join(","),
        }
    }
}

/// What the command line adds.
#[derive(Debug, Default)]
pub struct Overrides {
    pub listen: Option<SocketAddr>,
    pub file: Option<PathBuf>,
}

impl Config {
    /// The whole configuration: built-in defaults, then the file, then the environment, then the command line.
    pub fn load(overrides: &Overrides, environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = match &overrides.file {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .with_context(|| format!("reading the configuration {}", path.display()))?,
            ),
            None => None,
        };
        let place = overrides.file.as_deref().unwrap_or(Path::new("hybrid.toml")).display().to_string();
        Self::merge(text.as_deref(), &place, overrides, environment)
    }

    fn merge(
        text: Option<&str>,
        place: &str,
        overrides: &Overrides,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let environment = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
        let built_in: File = toml::from_str(include_str!("../default.toml")).expect("default.toml is tested");
        let file: File = match text {
            Some(text) => toml::from_str(text).with_context(|| format!("in {place}"))?,
            None => File::default(),
        };

        let mut settings: BTreeMap<String, String> =
            built_in.settings.into_iter().chain(file.settings).map(|(name, value)| (name, value.text())).collect();
        for (setting, variables) in built_in.environment.iter().chain(&file.environment) {
            if let Some(value) = variables.iter().find_map(|name| environment(name)) {
                settings.insert(setting.clone(), value.trim().to_owned());
            }
        }

        for (capability, choice) in &file.choice {
            settings.insert(format!("{capability}_choice"), choice.text());
        }

        let models_file = beside(place, file.models_file.as_deref().unwrap_or(Path::new("models.toml")));
        let table = match std::fs::read_to_string(&models_file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound && file.models_file.is_none() => None,
            Err(error) => {
                return Err(error).with_context(|| format!("reading the model table {}", models_file.display()));
            }
        };
        let models = Models::read(table.as_deref()).with_context(|| format!("in {}", models_file.display()))?;
        settings.extend(models.told.clone().map(|told| ("models".to_owned(), told)));

        let mut secrets = BTreeMap::new();
        for (secret, variables) in built_in.secrets.iter().chain(&file.secrets) {
            for name in variables {
                if let Some(value) = secret_of(name, environment)? {
                    secrets.insert(secret.clone(), value);
                    break;
                }
            }
        }
        // A secret that only the model table names is the variable of that name.
        for secret in models.endpoints.iter().filter_map(|endpoint| endpoint.secret.as_ref()) {
            if !secrets.contains_key(secret)
                && let Some(value) = secret_of(&secret.to_uppercase(), environment)?
            {
                secrets.insert(secret.clone(), value);
            }
        }
        for (secret, told) in built_in.present.iter().chain(&file.present) {
            if secrets.contains_key(secret) {
                settings.extend(told.clone());
            }
        }

        let mut chains = built_in.chains;
        chains.extend(file.chains);
        let limits = file.limits.unwrap_or_default();
        limits.check().with_context(|| format!("in {place}"))?;
        let mut written = built_in.components;
        for (name, text) in file.components {
            let before = written.remove(&name).unwrap_or_default();
            written.insert(name, text.over(before));
        }
        let (mut grants, mut component_limits, mut smoke) =
            (BTreeMap::<String, Grant>::new(), BTreeMap::new(), BTreeMap::new());
        for (name, text) in written {
            let of = || format!("in `components.{name}`");
            component_limits.insert(name.clone(), ComponentLimits::new(&text.limits, &limits).with_context(of)?);
            if let Some(call) = text.smoke.clone() {
                smoke.insert(name.clone(), call.parse().with_context(of)?);
            }
            let grant = text.grant(&settings, &secrets, &models).with_context(of)?;
            grants.insert(name, grant);
        }
        let mut stores = built_in.stores;
        stores.extend(file.stores);
        for (name, grant) in &grants {
            if let Some(unknown) = grant.stores.iter().find(|store| !stores.contains_key(*store)) {
                bail!("`components.{name}.stores` names `{unknown}`, which is not among `stores`");
            }
        }
        let trust = Trust::new(file.trust.sha256, &file.trust.minisign).with_context(|| format!("in {place}"))?;
        let port = match environment("PORT") {
            Some(port) => Some(port.trim().parse::<u16>().with_context(|| format!("PORT is `{port}`, not a port"))?),
            None => None,
        };
        // A platform that sets PORT routes traffic from outside to it; loopback would never be reached.
        let listen = overrides
            .listen
            .or(port.map(|port| SocketAddr::from(([0, 0, 0, 0], port))))
            .or(file.listen)
            .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 3000)));
        let tls = file
            .tls
            .map(|files| tls::Files { certificate: beside(place, &files.certificate), key: beside(place, &files.key) });
        let trusted_proxies = Proxies::parse(&file.trusted_proxies).with_context(|| format!("in {place}"))?;
        let mut fleet = file.fleet;
        fleet.layout = fleet.layout.map(|layout| beside(place, &layout));
        let admin = Admin::new(file.admin.listen.as_deref(), listen, secrets.remove(ADMIN_TOKEN))
            .with_context(|| format!("in {place}"))?;
        let jobs = file.jobs.unwrap_or_default();
        jobs.check().with_context(|| format!("in {place}"))?;
        let cache = file.cache.unwrap_or_default();
        cache.check().with_context(|| format!("in {place}"))?;
        let webhook_secret = secrets.remove(WEBHOOK_SECRET).map(|secret| jobs::Secret::parse(&secret));
        let level = environment("LOG_LEVEL").or(file.log_level).unwrap_or_else(|| "info".to_owned());
        let log_level = Level::parse(&level)
            .with_context(|| format!("LOG_LEVEL is `{level}`, not one of error, warn, info, debug"))?;
        let named = environment("HYBRID_DATA_DIR").map(PathBuf::from).or(file.data_dir);
        let state_dir = named
            .clone()
            .or_else(|| environment("XDG_DATA_HOME").map(|dir| PathBuf::from(dir).join("hybrid-ai")))
            .or_else(|| environment("HOME").map(|dir| PathBuf::from(dir).join(".local/share/hybrid-ai")))
            .unwrap_or_else(|| std::env::temp_dir().join("hybrid-ai"));
        let store = environment("HYBRID_STORE").or(file.store);
        let ca = file.store_ca.map(|ca| beside(place, &ca));
        let (place, place_unsaid) = (Place::parse(store.as_deref(), ca.as_deref(), &state_dir)?, store.is_none());
        if jobs.store == jobs::Keep::Redis && !matches!(place, Place::Redis(_)) {
            bail!("`jobs.store` is redis, so `store` (or HYBRID_STORE) must be redis://HOST[:PORT]");
        }
        let data_dir = named
            .or_else(|| environment("XDG_CACHE_HOME").map(|dir| PathBuf::from(dir).join("hybrid-ai")))
            .or_else(|| environment("HOME").map(|dir| PathBuf::from(dir).join(".cache/hybrid-ai")))
            .unwrap_or_else(|| std::env::temp_dir().join("hybrid-ai"));
        let traces = Target::read(file.telemetry, environment).context("in `telemetry`")?;
        let mut forms = built_in.errors;
        forms.extend(file.errors);
        let forms = forms.into_iter().map(|(path, form)| (path, Arc::new(form))).collect();
        let program = std::env::current_exe().context("finding this program")?;
        let ceiling = Ceiling { memory_bytes: limits.memory_bytes, concurrent_requests: limits.concurrent_requests };
        Ok(Self {
            listen,
            tls,
            trusted_proxies,
            fleet,
            admin,
            log_level,
            data_dir,
            state_dir,
            traces,
            app_dir: file.app_dir,
            place,
            place_unsaid,
            stores,
            limits,
            chains,
            grants,
            component_limits,
            smoke,
            trust,
            jobs,
            batch: file.batch.unwrap_or_default(),
            again: file.idempotency.unwrap_or_default(),
            cache,
            webhook_secret,
            registry_account: secrets.remove(REGISTRY_ACCOUNT).as_deref().map(oci::account).transpose()?,
            program,
            ceiling,
            settings,
            models_file,
            forms,
        })
    }

    /// How the host's own refusals are written at a path; none where its own way will do.
    pub fn form(&self, path: &str) -> Option<Arc<Form>> {
        self.forms.iter().find(|(prefix, _)| path.starts_with(prefix.as_str())).map(|(_, form)| Arc::clone(form))
    }

    /// The Redis that jobs are shared in, and what is kept under `Idempotency-Key`.
    pub fn shared_jobs(&self) -> Option<&Address> {
        match &self.place {
            Place::Redis(address) if self.jobs.store == jobs::Keep::Redis => Some(address),
            _ => None,
        }
    }

    /// Lets one component served alone send HTTP wherever it likes, and gives it no chain.
    pub fn alone(mut self, name: &str) -> Self {
        self.chains.clear();
        self.grants.clear();
        self.place = Place::Memory;
        self.grants.insert(name.to_owned(), Grant { outbound: Outbound::Anywhere, ..Grant::default() });
        self
    }

    /// What a component may use.
    pub fn limits_of(&self, component: &str) -> ComponentLimits {
        let all = || ComponentLimits::new(&LimitsText::default(), &self.limits).expect("what is left out is sane");
        self.component_limits.get(component).cloned().unwrap_or_else(all)
    }

    /// This configuration in place of `before` in a host that runs, and which keys wait for the next start.
    pub fn after(mut self, before: &Config) -> (Self, Vec<&'static str>) {
        let mut waiting = Vec::new();
        let mut keep = |differs: bool, name: &'static str| {
            if differs {
                waiting.push(name);
            }
            differs
        };
        if keep(self.listen != before.listen, "listen") {
            self.listen = before.listen;
        }
        if keep(self.fleet != before.fleet, "fleet") {
            self.fleet = before.fleet.clone();
        }
        if keep(self.tls != before.tls, "tls") {
            self.tls.clone_from(&before.tls);
        }
        let admin = &before.admin;
        if keep(self.admin.listen != admin.listen || self.admin.token != admin.token, "admin") {
            self.admin = admin.clone();
        }
        if keep(self.data_dir != before.data_dir, "data_dir") {
            self.data_dir.clone_from(&before.data_dir);
            self.state_dir.clone_from(&before.state_dir);
        }
        if keep(self.place != before.place || self.stores != before.stores, "store") {
            self.place = before.place.clone();
            self.stores.clone_from(&before.stores);
        }
        let shared = |jobs: &jobs::Limits| (jobs.store, jobs.lease_ms);
        if keep(shared(&self.jobs) != shared(&before.jobs), "jobs.store") {
            (self.jobs.store, self.jobs.lease_ms) = shared(&before.jobs);
        }
        if keep(self.traces != before.traces, "telemetry") {
            self.traces.clone_from(&before.traces);
        }
        let (ours, theirs, ceiling) = (&mut self.limits, &before.limits, before.ceiling);
        if keep(ours.memory_bytes > ceiling.memory_bytes, "limits.memory_bytes") {
            ours.memory_bytes = ceiling.memory_bytes;
        }
        if keep(ours.concurrent_requests > ceiling.concurrent_requests, "limits.concurrent_requests") {
            ours.concurrent_requests = ceiling.concurrent_requests;
        }
        if keep(ours.connect_ms != theirs.connect_ms, "limits.connect_ms") {
            ours.connect_ms = theirs.connect_ms;
        }
        let idle = |limits: &Limits| (limits.idle_upstream_connections, limits.idle_upstream_ms);
        if keep(idle(ours) != idle(theirs), "limits.idle_upstream_*") {
            (ours.idle_upstream_connections, ours.idle_upstream_ms) = idle(theirs);
        }
        self.program.clone_from(&before.program);
        self.ceiling = before.ceiling;
        (self, waiting)
    }
}

impl ComponentText {
    /// What is said here, and what was said `before` of the rest.
    fn over(self, before: Self) -> Self {
        Self {
            outbound: self.outbound.or(before.outbound),
            credential: self.credential.or(before.credential),
            smoke: self.smoke.or(before.smoke),
            stores: self.stores.or(before.stores),
            withholds: self.withholds.or(before.withholds),
            models: self.models.or(before.models),
            apart: self.apart.or(before.apart),
            limits: self.limits,
        }
    }

    fn grant(
        self,
        settings: &BTreeMap<String, String>,
        secrets: &BTreeMap<String, String>,
        models: &Models,
    ) -> Result<Grant> {
        let origins = |hosts: &[String]| -> Result<Vec<Origin>> {
            hosts
                .iter()
                .map(|host| match host.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                    Some(name) => {
                        let value = settings.get(name).with_context(|| format!("there is no setting `{name}`"))?;
                        Origin::parse(value).with_context(|| format!("the setting `{name}`"))
                    }
                    None => Origin::parse(host),
                })
                .collect()
        };
        let mut to = origins(&self.outbound.unwrap_or_default())?;
        let mut credentials = Vec::new();
        if let Some(text) = &self.credential
            && let Some(secret) = secrets.get(&text.secret)
        {
            credentials.push(Credential::new(&text.secret, secret, origins(&text.hosts)?)?);
        }
        let mut results = Vec::new();
        if self.models.unwrap_or_default() {
            for endpoint in &models.endpoints {
                to.push(endpoint.origin.clone());
                if let Some(name) = &endpoint.secret {
                    let told = || format!("there is no secret `{name}`: set {}", name.to_uppercase());
                    let secret = secrets.get(name).with_context(told)?;
                    credentials.push(Credential::new(name, secret, vec![endpoint.origin.clone()])?);
                }
            }
            results.clone_from(&models.results);
        }
        let outbound = if to.is_empty() { Outbound::Nowhere } else { Outbound::To(to) };
        let withholds = self.withholds.unwrap_or_default();
        let name =
            |name: &String| name.parse().with_context(|| format!("`withholds` names `{name}`, which is no header"));
        let withholds = withholds.iter().map(name).collect::<Result<_>>()?;
        let apart = self.apart.unwrap_or_default();
        if apart && !matches!(outbound, Outbound::Nowhere) {
            bail!("`apart` is for components that compute: what one sends counts for the request that it works on");
        }
        Ok(Grant { outbound, results, credentials, stores: self.stores.unwrap_or_default(), withholds, apart })
    }
}

impl Credential {
    fn new(name: &str, secret: &str, hosts: Vec<Origin>) -> Result<Self> {
        let value = http::HeaderValue::try_from(format!("Bearer {secret}"));
        let mut value =
            value.ok().with_context(|| format!("the secret `{name}` holds characters that no header may"))?;
        value.set_sensitive(true);
        Ok(Self { value, hosts })
    }
}

/// The value of a variable, or what the file holds that the variable NAME_FILE names: secrets are mounted as files.
fn secret_of(name: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Option<String>> {
    if let Some(value) = environment(name) {
        return Ok(Some(value.trim().to_owned()));
    }
    let Some(file) = environment(&format!("{name}_FILE")) else { return Ok(None) };
    let text = std::fs::read_to_string(file.trim()).with_context(|| format!("reading {file}, {name}_FILE"))?;
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// A file that is named in another, or lies beside it.
fn beside(place: &str, file: &Path) -> PathBuf {
    Path::new(place).parent().unwrap_or(Path::new("")).join(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str, environment: &[(&str, &str)]) -> Result<Config> {
        let environment: BTreeMap<_, _> = environment.iter().copied().collect();
        Config::merge(Some(text), "test", &Overrides::default(), |name| environment.get(name).map(|v| (*v).to_owned()))
    }

    #[test]
    fn nothing_said_listens_on_loopback_3000() {
        let config = config("", &[]).expect("the defaults hold");
        assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
        assert!(!config.settings.contains_key("hf_auth"));
    }

    #[test]
    fn port_opens_the_outside() {
        assert_eq!(config("", &[("PORT", "8080")]).expect("valid").listen.to_string(), "0.0.0.0:8080");
        assert!(config("", &[("PORT", "many")]).is_err());
    }

    #[test]
    fn the_token_stays_out_of_the_settings() {
        let config = config("", &[("HF_TOKEN", "hf_secret"), ("HF_BASE_URL", "http://127.0.0.1:9")]).expect("valid");
        assert_eq!(config.settings["hf_auth"], "host");
        assert!(config.settings.values().all(|value| !value.contains("hf_secret")));
        assert!(!format!("{config:?}").contains("hf_secret"));
        let credential = &config.grants["hf"].credentials[0];
        assert_eq!(credential.value, "Bearer hf_secret");
        assert_eq!((credential.hosts[0].host.as_str(), credential.hosts[0].port), ("127.0.0.1", 9));
    }

    #[test]
    fn a_secret_may_be_in_a_file() {
        let file = std::env::temp_dir().join(format!("hybrid-ai-secret-{}", std::process::id()));
        std::fs::write(&file, "hf_from_a_file\n").expect("a file");
        let place = file.display().to_string();
        let of = |environment: &[(&str, &str)]| config("", environment).map(|it| it.grants["hf"].credentials.clone());
        let told = of(&[("HF_API_KEY_FILE", &place)]).expect("valid");
        assert_eq!(told[0].value, "Bearer hf_from_a_file");
        // The variable itself wins.
        let told = of(&[("HF_API_KEY_FILE", &place), ("HF_API_KEY", "hf_told")]).expect("valid");
        assert_eq!(told[0].value, "Bearer hf_told");
        std::fs::remove_file(&file).expect("it was there");
        assert!(of(&[("HF_API_KEY_FILE", &place)]).is_err());
    }

    #[test]
    fn choices_become_settings() {
        let chosen = config("[choice]\nllm = \"local\"\ntts = \"auto\"", &[]).expect("valid");
        assert_eq!((chosen.settings["llm_choice"].as_str(), chosen.settings["tts_choice"].as_str()), ("local", "auto"));
        assert!(config("[choice]\nllm = \"nearby\"", &[]).is_err());
    }

    #[test]
    fn endpoints_of_the_model_table_may_be_called_with_their_secret() {
        let folder = std::env::temp_dir().join(format!("hybrid-ai-models-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("models.toml");
        let table = "[endpoints.box]\nurl = \"http://10.0.0.1:8000/v1\"\nsecret = \"box_key\"\n[results]\nhosts = [\"https://*.example.com\"]";
        std::fs::write(&file, table).expect("a file");
        let text = format!("models_file = {:?}", file.display().to_string());
        let missing = format!("{:#}", config(&text, &[]).expect_err("the secret is not there"));
        assert!(missing.contains("BOX_KEY"), "{missing}");
        let config = config(&text, &[("BOX_KEY", "s3cret")]).expect("valid");
        std::fs::remove_dir_all(&folder).expect("it was there");
        assert!(config.settings["models"].contains("http://10.0.0.1:8000/v1"));
        assert!(config.settings.values().all(|value| !value.contains("s3cret")));
        let grant = &config.grants["hf"];
        assert_eq!((grant.credentials[0].value.as_bytes(), grant.results.len()), (b"Bearer s3cret".as_slice(), 1));
        assert!(matches!(&grant.outbound, Outbound::To(to) if to.iter().any(|origin| origin.host == "10.0.0.1")));
    }

    #[test]
    fn patterns_match_what_lies_below() {
        let matches = |pattern: &str, origin: &str| {
            Pattern::parse(pattern).expect("a pattern").matches(&Origin::parse(origin).expect("an origin"))
        };
        assert!(matches("https://*.fal.media", "https://v3.fal.media"));
        assert!(matches("https://fal.media", "https://FAL.media:443"));
        for other in ["https://fal.media", "https://evilfal.media", "http://v3.fal.media", "https://v3.fal.media:8443"]
        {
            assert!(!matches("https://*.fal.media", other), "{other}");
        }
    }

    #[test]
    fn an_unknown_key_is_told() {
        let error = config("[limits]\nmemory_byte = 1", &[]).expect_err("a misspelt key");
        assert!(format!("{error:#}").contains("memory_byte"), "{error:#}");
    }

    #[test]
    fn the_example_file_says_what_the_defaults_are() {
        let built_in = config("", &[]).expect("valid");
        let example = config(include_str!("../../hybrid.example.toml"), &[]).expect("the example is valid");
        assert_eq!(example.limits, built_in.limits);
        assert_eq!((&example.jobs, &example.batch), (&built_in.jobs, &built_in.batch));
        assert_eq!((&example.again, &example.cache), (&built_in.again, &built_in.cache));
        assert_eq!((example.listen, example.log_level), (built_in.listen, built_in.log_level));
        assert_eq!(example.chains, built_in.chains);
        assert!(
            built_in
                .settings
                .iter()
                .all(|(name, value)| example.settings.get(name) == Some(value) || name == "access_log")
        );
        assert_eq!(format!("{:?}", example.grants), format!("{:?}", built_in.grants));
    }

    #[test]
    fn the_admin_address_is_beside_the_serving_one_and_closed_to_the_outside() {
        let listen = |text: &str, token: &[(&str, &str)]| {
            config(text, token).map(|config| config.admin.listen.map(|listen| listen.to_string()))
        };
        assert_eq!(listen("", &[]).expect("valid").as_deref(), Some("127.0.0.1:3001"));
        assert_eq!(listen("", &[("PORT", "8080")]).expect("valid").as_deref(), Some("127.0.0.1:8081"));
        assert_eq!(listen("admin.listen = \"off\"", &[]).expect("valid"), None);
        assert!(listen("admin.listen = \"0.0.0.0:3001\"", &[]).is_err());
        assert!(listen("admin.listen = \"0.0.0.0:3001\"", &[("HYBRID_ADMIN_TOKEN", "secret")]).is_ok());
    }

    #[test]
    fn limits_of_zero_are_refused() {
        assert!(config("[limits]\ncpu_ms = 0", &[]).is_err());
    }
}
