//! `hybrid.toml` as it is written, and how the one [`Config`] comes of it, the environment and the command line.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{Admin, Ceiling, Config, Credential, Grant, Limits, Origin, Outbound};
use crate::error::Form;
use crate::fleet;
use crate::forwarded::Proxies;
use crate::jobs;
use crate::keyvalue::{Kind, Place};
use crate::limits::{ComponentLimits, LimitsText, SmokeText};
use crate::models::Models;
use crate::oci;
use crate::otlp::{Target, TargetText};
use crate::telemetry::Level;
use crate::tls;
use crate::trust::Trust;
use crate::{again, batch, cache};

/// The secret that opens the admin address.
const ADMIN_TOKEN: &str = "admin_token";
const WEBHOOK_SECRET: &str = "webhook_secret";
const REGISTRY_ACCOUNT: &str = "registry_account";

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
        let built_in: File = toml::from_str(include_str!("../../default.toml")).expect("default.toml is tested");
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
    fn an_unknown_key_is_told() {
        let error = config("[limits]\nmemory_byte = 1", &[]).expect_err("a misspelt key");
        assert!(format!("{error:#}").contains("memory_byte"), "{error:#}");
    }

    #[test]
    fn the_example_file_says_what_the_defaults_are() {
        let built_in = config("", &[]).expect("valid");
        let example = config(include_str!("../../../hybrid.example.toml"), &[]).expect("the example is valid");
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
