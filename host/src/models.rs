//! `models.toml`: checked here, told to components as JSON in the setting `models`, and turned into what may be called.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::config::{Origin, Pattern};

/// What the built-in table says; the operator's is laid over it, key by key.
const BUILT_IN: &str = include_str!("../../components/models.toml");

/// The model table, as far as the host has to know it.
#[derive(Debug)]
pub struct Models {
    /// The operator's part for the components; none when there is none.
    pub told: Option<String>,
    pub endpoints: Vec<Reached>,
    /// Where results may be fetched from.
    pub results: Vec<Pattern>,
}

/// A service of the operator's.
#[derive(Debug)]
pub struct Reached {
    pub origin: Origin,
    pub secret: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    aliases: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    capabilities: BTreeMap<String, Capability>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    models: BTreeMap<String, Model>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    endpoints: BTreeMap<String, Endpoint>,
    results: Results,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Capability {
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stand_in: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    providers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hedge_ms: Option<u64>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Model {
    #[serde(skip_serializing_if = "Option::is_none")]
    same: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    providers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    voice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_timeout_ms: Option<u64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<Api>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// What an endpoint speaks.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Api {
    Openai,
    Tei,
    Tasks,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Results {
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts: Option<Vec<String>>,
}

impl Models {
    /// The built-in table alone, or with the operator's text over it.
    pub fn read(text: Option<&str>) -> Result<Models> {
        let built_in: File = toml::from_str(BUILT_IN).expect("the built-in table is tested");
        let own: File = match text {
            Some(text) => toml::from_str(text)?,
            None => File::default(),
        };
        own.check()?;
        let endpoints = own.endpoints.iter().map(|(name, endpoint)| {
            let origin = Origin::parse(&endpoint.url).with_context(|| format!("`endpoints.{name}.url`"))?;
            Ok(Reached { origin, secret: endpoint.secret.clone() })
        });
        let endpoints = endpoints.collect::<Result<_>>()?;
        let hosts = own.results.hosts.as_ref().or(built_in.results.hosts.as_ref());
        let results = hosts.into_iter().flatten().map(|host| Pattern::parse(host).context("`results.hosts`"));
        let results = results.collect::<Result<_>>()?;
        let told = text.map(|_| serde_json::to_string(&own).expect("a table is JSON"));
        Ok(Models { told, endpoints, results })
    }
}

impl File {
    fn check(&self) -> Result<()> {
        for (name, endpoint) in &self.endpoints {
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            if name.is_empty() || !plain {
                bail!("`endpoints.{name}`: letters, digits, `.`, `_` and `-` make the name of an endpoint");
            }
            if !endpoint.url.starts_with("http://") && !endpoint.url.starts_with("https://") {
                bail!("`endpoints.{name}.url` must begin with http:// or https://");
            }
        }
        for (name, model) in &self.models {
            if let Some(endpoint) = &model.endpoint
                && !self.endpoints.contains_key(endpoint)
            {
                bail!("`models.\"{name}\".endpoint`: there is no endpoint `{endpoint}`");
            }
            if model.batch == Some(0) {
                bail!("`models.\"{name}\".batch` must be at least 1");
            }
        }
        let named = self.capabilities.iter().flat_map(|(name, of)| {
            let lists = of.models.iter().chain(&of.local).flatten();
            lists.chain(&of.stand_in).map(move |model| (name, model))
        });
        for (capability, model) in named {
            let alias = self.aliases.contains_key(model) || model == "off";
            if !alias && !model.contains('/') {
                bail!("`capabilities.{capability}`: `{model}` is no model, which are `org/name`");
            }
        }
        if let Some(name) = self.capabilities.iter().find(|(_, of)| of.models.as_ref().is_some_and(Vec::is_empty)) {
            bail!("`capabilities.{}.models` must name a model", name.0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_holds() {
        let models = Models::read(None).expect("it holds");
        assert!(models.told.is_none() && models.endpoints.is_empty() && !models.results.is_empty());
        Models::read(Some(BUILT_IN)).expect("it may be copied");
        Models::read(Some(include_str!("../../models.example.toml"))).expect("the example is valid");
    }

    #[test]
    fn what_is_said_is_told_and_nothing_else() {
        let text = "[capabilities.llm]\nmodels = [\"box/qwen\"]\n[endpoints.box]\nurl = \"http://10.0.0.1:8000/v1\"\n\
                    secret = \"box_key\"\napi = \"openai\"";
        let models = Models::read(Some(text)).expect("valid");
        assert_eq!(
            models.told.as_deref(),
            Some(
                r#"{"capabilities":{"llm":{"models":["box/qwen"]}},"endpoints":{"box":{"url":"http://10.0.0.1:8000/v1","api":"openai","secret":"box_key"}},"results":{}}"#
            )
        );
        assert_eq!((models.endpoints[0].origin.host.as_str(), models.endpoints[0].origin.port), ("10.0.0.1", 8000));
        assert_eq!(models.endpoints[0].secret.as_deref(), Some("box_key"));
    }

    #[test]
    fn mistakes_are_told() {
        for (text, wanted) in [
            ("[capability.x]", "capability"),
            ("[capabilities.x]\nmodel = []", "model"),
            ("[capabilities.x]\nmodels = []", "must name a model"),
            ("[capabilities.x]\nmodels = [\"gpt\"]", "`gpt` is no model"),
            ("[endpoints.box]\nurl = \"10.0.0.1\"", "endpoints.box.url"),
            ("[endpoints.box]\nurl = \"http://a\"\napi = \"soap\"", "soap"),
            ("[models.\"a/b\"]\nendpoint = \"box\"", "there is no endpoint `box`"),
            ("[results]\nhosts = [\"ftp://x\"]", "results.hosts"),
        ] {
            let error = format!("{:#}", Models::read(Some(text)).expect_err(text));
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
