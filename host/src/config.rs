//! `hybrid.toml`, the environment and the command line become one [`Config`], once. Past this file nobody checks
//! again and nobody reads the environment.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http::uri::{Authority, Scheme, Uri};
use serde::Deserialize;

use crate::models::Models;
use crate::telemetry::Level;

/// Everything the host was told. Lives as long as the process.
#[derive(Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub log_level: Level,
    /// Compiled components are kept here.
    pub data_dir: PathBuf,
    /// The app's build; empty for none, absent for where one is looked for.
    pub app_dir: Option<PathBuf>,
    pub limits: Limits,
    /// Interface (without version) → the components of its chain, in order.
    pub chains: BTreeMap<String, Vec<String>>,
    /// Component → what it may do.
    pub grants: BTreeMap<String, Grant>,
    /// What `wasi:config/store` answers.
    pub settings: BTreeMap<String, String>,
    /// The operator's model table, whether it is there or not; read with the rest.
    pub models_file: PathBuf,
}

/// What one component may do beyond computing.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    pub outbound: Outbound,
    /// Where it may also send, as long as that is no address of ours: others name what lies there.
    pub results: Vec<Pattern>,
    pub credentials: Vec<Credential>,
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
    /// One linear memory. A 40 MP picture is 160 MB as RGBA, and is read beside its source.
    pub memory_bytes: usize,
    /// An instance set that has grown past this is not kept for the next request: linear memory never shrinks.
    pub kept_memory_bytes: usize,
    /// Wasm running, not waiting. A 40 MP picture takes 3 s.
    pub cpu_ms: u64,
    /// From the head of the request to the end of the answer. The longest total timeout a caller may ask for is 10 min.
    pub request_ms: u64,
    /// Reading a request's head; also how long an idle connection is kept.
    pub header_ms: u64,
    /// Header fields of a request.
    pub headers: usize,
    /// Opening a connection upstream.
    pub connect_ms: u64,
    /// Requests and streams that run when the host is told to stop get this long to end.
    pub shutdown_ms: u64,
    /// Connections kept open to one upstream host while idle. HuggingFace closes them after about 60 s.
    pub idle_upstream_connections: usize,
    pub idle_upstream_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_requests: 256,
            requests_per_instance: 1000,
            request_body_bytes: 72 * 1024 * 1024,
            memory_bytes: 512 * 1024 * 1024,
            kept_memory_bytes: 24 * 1024 * 1024,
            cpu_ms: 30_000,
            request_ms: 630_000,
            header_ms: 30_000,
            headers: 100,
            connect_ms: 10_000,
            shutdown_ms: 30_000,
            idle_upstream_connections: 128,
            idle_upstream_ms: 50_000,
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
            ("headers", self.headers as u64),
            ("connect_ms", self.connect_ms),
        ]
        .into_iter()
        .find(|(_, value)| *value == 0);
        if let Some((name, _)) = zero {
            bail!("`limits.{name}` must be at least 1");
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
}

/// A configuration file as written. `default.toml` uses every key.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    listen: Option<SocketAddr>,
    log_level: Option<String>,
    data_dir: Option<PathBuf>,
    models_file: Option<PathBuf>,
    app_dir: Option<PathBuf>,
    limits: Option<Limits>,
    chains: BTreeMap<String, Vec<String>>,
    components: BTreeMap<String, GrantText>,
    choice: BTreeMap<String, Choice>,
    settings: BTreeMap<String, Setting>,
    environment: BTreeMap<String, Vec<String>>,
    secrets: BTreeMap<String, Vec<String>>,
    present: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GrantText {
    outbound: Vec<String>,
    credential: Option<CredentialText>,
    /// It may call the endpoints of the model table, with their secrets added, and fetch from its hosts of results.
    models: bool,
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
            if let Some(value) = variables.iter().find_map(|name| environment(name)) {
                secrets.insert(secret.clone(), value.trim().to_owned());
            }
        }
        // A secret that only the model table names is the variable of that name.
        for secret in models.endpoints.iter().filter_map(|endpoint| endpoint.secret.as_ref()) {
            if let (false, Some(value)) = (secrets.contains_key(secret), environment(&secret.to_uppercase())) {
                secrets.insert(secret.clone(), value.trim().to_owned());
            }
        }
        for (secret, told) in built_in.present.iter().chain(&file.present) {
            if secrets.contains_key(secret) {
                settings.extend(told.clone());
            }
        }

        let mut chains = built_in.chains;
        chains.extend(file.chains);
        let mut written = built_in.components;
        written.extend(file.components);
        let grants = written
            .into_iter()
            .map(|(name, grant)| {
                let parsed = grant
                    .parse(&settings, &secrets, &models)
                    .with_context(|| format!("what `components.{name}` may do"))?;
                Ok((name, parsed))
            })
            .collect::<Result<_>>()?;

        let limits = file.limits.unwrap_or_default();
        limits.check().with_context(|| format!("in {place}"))?;
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
        let level = environment("LOG_LEVEL").or(file.log_level).unwrap_or_else(|| "info".to_owned());
        let log_level = Level::parse(&level)
            .with_context(|| format!("LOG_LEVEL is `{level}`, not one of error, warn, info, debug"))?;
        let data_dir = environment("HYBRID_DATA_DIR")
            .map(PathBuf::from)
            .or(file.data_dir)
            .or_else(|| environment("XDG_CACHE_HOME").map(|dir| PathBuf::from(dir).join("hybrid-ai")))
            .or_else(|| environment("HOME").map(|dir| PathBuf::from(dir).join(".cache/hybrid-ai")))
            .unwrap_or_else(|| std::env::temp_dir().join("hybrid-ai"));
        Ok(Self { listen, log_level, data_dir, app_dir: file.app_dir, limits, chains, grants, settings, models_file })
    }

    /// Lets one component served alone send HTTP wherever it likes, and gives it no chain.
    pub fn alone(mut self, name: &str) -> Self {
        self.chains.clear();
        self.grants.clear();
        self.grants.insert(name.to_owned(), Grant { outbound: Outbound::Anywhere, ..Grant::default() });
        self
    }
}

impl GrantText {
    fn parse(
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
        let mut to = origins(&self.outbound)?;
        let mut credentials = Vec::new();
        if let Some(text) = &self.credential
            && let Some(secret) = secrets.get(&text.secret)
        {
            credentials.push(Credential::new(&text.secret, secret, origins(&text.hosts)?)?);
        }
        let mut results = Vec::new();
        if self.models {
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
        Ok(Grant { outbound, results, credentials })
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
    fn limits_of_zero_are_refused() {
        assert!(config("[limits]\ncpu_ms = 0", &[]).is_err());
    }
}
