//! The model table, as far as upstreams are concerned: read from its JSON where it is asked, the operator's before the
//! built-in one.

use std::borrow::Cow;
use std::time::Duration;

use hybrid_guest::table;

use crate::config::Base;
use crate::upstream::Task;
use hybrid_guest::json;

/// A service of the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    name: String,
    pub(crate) base: Base,
    pub(crate) api: Api,
    pub(crate) authorization: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    OpenAi,
    Tei,
    Tasks,
}

#[derive(Debug)]
pub(crate) struct Table {
    own: Part,
    built_in: Part,
    endpoints: Vec<Endpoint>,
    /// When a second call is sent, for vectors and for transcripts: asked for at every request.
    hedges: [Option<Duration>; 2],
}

/// One of the two tables, taken apart once: names, and what is said of each as JSON.
#[derive(Debug)]
struct Part {
    models: Vec<(String, String)>,
    capabilities: Vec<(String, String)>,
    hosts: String,
}

impl Part {
    fn of(table: &str) -> Part {
        let groups = json::members(table).unwrap_or_default();
        let group = |name: &str| json::get(&groups, name).unwrap_or_default();
        let each = |name: &str| {
            let members = json::members(group(name)).unwrap_or_default();
            members.into_iter().map(|(name, said)| (name.into_owned(), said.get().to_owned())).collect()
        };
        let hosts = json::member(group("results"), "hosts").unwrap_or_default().to_owned();
        Part { models: each("models"), capabilities: each("capabilities"), hosts }
    }
}

/// What one of the two tables says of `name` under `key`.
fn said<'a>(group: &'a [(String, String)], name: &str, key: &str) -> Option<&'a str> {
    let (_, said) = group.iter().find(|(known, _)| known == name)?;
    json::member(said, key)
}

impl Table {
    /// `text` gives settings; a secret of an endpoint's is one where no host adds it.
    pub(crate) fn read(text: &impl Fn(&str) -> Option<String>) -> Table {
        let own = text("models").unwrap_or_default();
        let mut endpoints = Vec::new();
        for (name, endpoint) in json::member(&own, "endpoints").and_then(json::members).unwrap_or_default() {
            let word = |key: &str| json::member(endpoint.get(), key).and_then(json::text);
            let Some(base) = word("url").and_then(|url| Base::parse(&url)) else { continue };
            let api = match word("api").as_deref() {
                Some("tei") => Api::Tei,
                Some("tasks") => Api::Tasks,
                _ => Api::OpenAi,
            };
            let authorization = word("secret").and_then(|secret| text(&secret)).map(|key| format!("Bearer {key}"));
            endpoints.push(Endpoint { name: name.into_owned(), base, api, authorization });
        }
        let mut table =
            Table { own: Part::of(&own), built_in: Part::of(table::BUILT_IN), endpoints, hedges: [None; 2] };
        table.hedges = ["embedding", "stt"].map(|capability| {
            let millis = table.capability(capability, "hedge_ms").and_then(|number| number.parse().ok());
            millis.filter(|millis| *millis > 0).map(Duration::from_millis)
        });
        table
    }

    fn model(&self, model: &str, key: &str) -> Option<&str> {
        said(&self.own.models, model, key).or_else(|| said(&self.built_in.models, model, key))
    }

    fn capability(&self, capability: &str, key: &str) -> Option<&str> {
        said(&self.own.capabilities, capability, key).or_else(|| said(&self.built_in.capabilities, capability, key))
    }

    pub(crate) fn hedge(&self, task: Task) -> Option<Duration> {
        match task {
            Task::Embed => self.hedges[0],
            Task::Transcribe => self.hedges[1],
            _ => None,
        }
    }

    pub(crate) fn word(&self, model: &str, name: &str) -> Option<Cow<'_, str>> {
        json::text(self.model(model, name)?)
    }

    /// A number of a model's.
    pub(crate) fn number(&self, model: &str, name: &str) -> Option<u64> {
        self.model(model, name)?.parse().ok()
    }

    /// The endpoint that a model is asked of, and what it calls the model.
    pub(crate) fn endpoint_of<'a>(&'a self, model: &'a str) -> Option<(&'a str, Cow<'a, str>)> {
        if self.endpoints.is_empty() {
            return None;
        }
        let named = self.word(model, "endpoint");
        let (first, rest) = model.split_once('/')?;
        let name = named.as_deref().unwrap_or(first);
        let endpoint = self.endpoints.iter().find(|endpoint| endpoint.name == name);
        let default = if named.is_some() { model } else { rest };
        let id = self.word(model, "id").unwrap_or(Cow::Borrowed(default));
        match (endpoint, named) {
            (Some(endpoint), _) => Some((&endpoint.name, id)),
            (None, _) => None,
        }
    }

    pub(crate) fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name)
    }

    /// The providers to be asked for a model, in order.
    pub(crate) fn providers(&self, capability: &str, model: &str) -> Vec<String> {
        let list = self.model(model, "providers").or_else(|| self.capability(capability, "providers"));
        words(list.unwrap_or_default())
    }

    /// Whether a model repaints what a mask shows.
    pub(crate) fn mask(&self, model: &str) -> bool {
        self.model(model, "mask") != Some("false")
    }

    /// The voice of that number, for providers that know voices by name.
    pub(crate) fn voice(&self, model: &str, number: Option<u32>) -> Option<String> {
        let voices = self.word(model, "voice")?;
        let mut names = voices.split(',').map(str::trim);
        names.clone().nth(number.unwrap_or_default() as usize).or_else(|| names.next()).map(str::to_owned)
    }

    /// Whether a result may be fetched from there.
    pub(crate) fn holds_results(&self, base: &Base) -> bool {
        let hosts = if self.own.hosts.is_empty() { &self.built_in.hosts } else { &self.own.hosts };
        let scheme = if base.https { "https://" } else { "http://" };
        words(hosts).iter().filter_map(|host| host.strip_prefix(scheme)).any(|host| match host.strip_prefix('*') {
            Some(below) => base.authority.len() > below.len() && base.authority.ends_with(below),
            None => base.authority == host,
        })
    }
}

fn words(list: &str) -> Vec<String> {
    let words = json::elements(list).unwrap_or_default();
    words.iter().filter_map(|word| json::text(word.get()).map(Cow::into_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(own: &str) -> Table {
        Table::read(&|name| match name {
            "models" => Some(own.to_owned()),
            "box_key" => Some("s3cret".to_owned()),
            _ => None,
        })
    }

    const OWN: &str = r#"{
        "endpoints": {"box": {"url": "http://10.0.0.1:8000/v1", "secret": "box_key"}, "tei": {"url": "http://h", "api": "tei"}},
        "models": {"acme/big": {"endpoint": "box", "id": "big:7b", "mask": false}, "hexgrad/Kokoro-82M": {"voice": "a, b"}},
        "capabilities": {"image": {"providers": ["nscale"]}},
        "results": {"hosts": ["http://127.0.0.1:9", "https://*.cdn.example"]}
    }"#;

    #[test]
    fn models_are_found_at_their_endpoints() {
        let table = table(OWN);
        assert_eq!(table.endpoint_of("acme/big"), Some(("box", "big:7b".into())));
        assert_eq!(table.endpoint_of("box/llama"), Some(("box", "llama".into())));
        assert_eq!(table.endpoint_of("tei/x"), Some(("tei", "x".into())));
        assert_eq!(table.endpoint_of("acme/small"), None);
        let own = table.endpoint("box").expect("it is there");
        assert_eq!((own.authorization.as_deref(), own.api), (Some("Bearer s3cret"), Api::OpenAi));
        assert_eq!(table.endpoint("tei").expect("it is there").api, Api::Tei);
    }

    #[test]
    fn the_operators_words_come_before_the_built_in_ones() {
        let own = table(OWN);
        assert_eq!(own.providers("image", "a/b"), ["nscale"]);
        assert_eq!(own.providers("tts", "a/b")[0], "hf-inference");
        assert_eq!(own.voice("hexgrad/Kokoro-82M", Some(1)).as_deref(), Some("b"));
        assert_eq!(own.voice("hexgrad/Kokoro-82M", Some(7)).as_deref(), Some("a"));
        assert_eq!(table("").voice("hexgrad/Kokoro-82M", None).as_deref(), Some("af_heart"));
        assert!(!own.mask("acme/big") && own.mask("acme/small"));
    }

    #[test]
    fn results_lie_where_the_table_says() {
        let holds = |table: &Table, url: &str| table.holds_results(&Base::parse(url).expect("a URL"));
        let own = table(OWN);
        assert!(holds(&own, "http://127.0.0.1:9/a.png") && holds(&own, "https://v1.cdn.example/a"));
        assert!(!holds(&own, "https://127.0.0.1:9/a.png") && !holds(&own, "https://v3.fal.media/a"));
        let plain = table("");
        assert!(holds(&plain, "https://v3.fal.media/a") && holds(&plain, "https://replicate.delivery/a"));
        for other in
            ["http://v3.fal.media/a", "https://evil.example/a", "https://evilfal.media/a", "https://.fal.media/"]
        {
            assert!(!holds(&plain, other), "{other}");
        }
    }
}
