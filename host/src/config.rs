//! What the host was told: `hybrid.toml`, the environment and the command line become one [`Config`], once
//! (`written.rs`). Past these files nobody checks again and nobody reads the environment.

mod written;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
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
use crate::limits::LimitsText;
pub use crate::limits::{ComponentLimits, Isolation};
use crate::otlp::Target;
use crate::redis_link::Address;
use crate::smoke::Call;
use crate::telemetry::Level;
use crate::tls;
use crate::trust::Trust;
use crate::{again, batch, cache};
pub use written::Overrides;

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
    /// Whether every request gets instances of its own.
    pub fn has_fresh_instances(&self) -> bool {
        self.isolation == Isolation::Request || self.requests_per_instance == 1
    }

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

impl Config {
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

impl Credential {
    fn new(name: &str, secret: &str, hosts: Vec<Origin>) -> Result<Self> {
        let value = http::HeaderValue::try_from(format!("Bearer {secret}"));
        let mut value =
            value.ok().with_context(|| format!("the secret `{name}` holds characters that no header may"))?;
        value.set_sensitive(true);
        Ok(Self { value, hosts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
