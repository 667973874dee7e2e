//! What the operator set, parsed once for each instance.

use std::rc::Rc;
use std::time::Duration;

use hybrid_guest::settings;

use crate::health::Breaker;
use crate::retry::Policy;
use crate::table::Table;

const BASE_URL: &str = "https://router.huggingface.co";
const HUB_URL: &str = "https://huggingface.co";

/// How to reach the upstream; lives as long as the instance.
#[derive(Debug)]
pub(crate) struct Config {
    /// None when nothing says that there is an account to call with; the text says what to set.
    pub(crate) base: Result<Base, &'static str>,
    /// Where to ask who serves a model; none where the upstream is one that the Hub knows nothing of.
    pub(crate) hub: Option<Base>,
    pub(crate) table: Table,
    /// `Bearer …`; none when the host adds it, or when a private upstream needs none.
    pub(crate) authorization: Option<String>,
    /// The host that adds the key also ends connections that are silent for too long, as it is asked to.
    pub(crate) watched: bool,
    pub(crate) policy: Policy,
    pub(crate) breaker: Breaker,
    /// Between two looks at a job that an upstream has queued.
    pub(crate) longest_look: Duration,
    /// For one attempt; the request's budget caps it.
    pub(crate) attempt_timeout: Duration,
}

thread_local! {
    static CONFIG: Rc<Config> = Rc::new(Config::from(settings::text));
}

/// The settings, read when first needed.
pub(crate) fn config() -> Rc<Config> {
    CONFIG.with(Rc::clone)
}

impl Config {
    fn from(text: impl Fn(&str) -> Option<String>) -> Config {
        let text = |name: &str| text(name).map(|value| value.trim().to_owned());
        let millis = |name: &str, default: u64| {
            Duration::from_millis(text(name).and_then(|value| value.parse().ok()).unwrap_or(default))
        };
        let url = text("hf_base_url").unwrap_or_else(|| BASE_URL.to_owned());
        let by_host = text("hf_auth").as_deref() == Some("host");
        let key = text("hf_api_key").filter(|_| !by_host);
        let own_upstream = url.trim_end_matches('/') != BASE_URL;
        let base = if by_host || key.is_some() || own_upstream {
            Base::parse(&url).ok_or("`hf_base_url` must be an `http://` or `https://` address")
        } else {
            Err("no Hugging Face key is set: set `HF_API_KEY`, or ask for a `local/` model")
        };
        let hub_url = text("hf_hub_url").unwrap_or_else(|| HUB_URL.to_owned());
        let own_hub = hub_url.trim_end_matches('/') != HUB_URL;
        let attempt_timeout = millis("attempt_timeout_ms", 60_000).max(Duration::from_millis(1));
        Config {
            base,
            hub: if own_hub || !own_upstream { Base::parse(&hub_url) } else { None },
            table: Table::read(&text),
            authorization: key.map(|key| format!("Bearer {key}")),
            watched: by_host,
            policy: Policy {
                attempts: text("retry_attempts").and_then(|value| value.parse().ok()).unwrap_or(3).max(1),
                first: millis("retry_initial_ms", 1_000),
                longest: millis("retry_max_ms", 30_000),
                patient: false,
            },
            breaker: Breaker {
                failures: text("breaker_failures").and_then(|value| value.parse().ok()).unwrap_or(5),
                open: millis("breaker_open_ms", 30_000),
                not_served: millis("not_served_ms", 3_600_000),
                fair: attempt_timeout.min(Duration::from_secs(10)),
            },
            longest_look: millis("poll_ms", 3_000),
            attempt_timeout,
        }
    }
}

/// A URL taken apart the way `wasi:http` wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) https: bool,
    pub(crate) authority: String,
    /// Starts with `/` or is empty, and never ends with `/`.
    pub(crate) path: String,
}

impl Base {
    pub(crate) fn parse(url: &str) -> Option<Base> {
        let (https, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return None,
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // A name and password in a URL would end in logs; no upstream of ours wants them.
        let sound = !authority.is_empty()
            && authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
            && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        sound.then(|| Base { https, authority: authority.to_owned(), path: path.trim_end_matches('/').to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        Config::from(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn nothing_set_means_not_configured() {
        assert!(config(&[]).base.is_err());
        assert!(config(&[("hf_base_url", "https://router.huggingface.co/")]).base.is_err());
    }

    #[test]
    fn a_key_a_host_or_an_upstream_of_ones_own_configure() {
        let keyed = config(&[("hf_api_key", "hf_x")]);
        assert_eq!(keyed.base.expect("configured").authority, "router.huggingface.co");
        assert_eq!(keyed.authorization.as_deref(), Some("Bearer hf_x"));
        let hosted = config(&[("hf_auth", "host"), ("hf_api_key", "hf_x")]);
        assert!(hosted.base.is_ok());
        assert_eq!(hosted.authorization, None);
        let own = config(&[("hf_base_url", "http://127.0.0.1:8080/x/")]).base.expect("configured");
        assert_eq!(own, Base { https: false, authority: "127.0.0.1:8080".into(), path: "/x".into() });
        assert!(config(&[("hf_base_url", "ftp://x")]).base.is_err());
        assert_eq!(Base::parse("https://user:pass@host/"), None);
    }
}
