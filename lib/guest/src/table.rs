//! The model table: the built-in one (`components/models.toml`), with the operator's laid over it.
//!
//! The operator's comes as JSON in the setting `models`; the host makes it from `models.toml`, elsewhere it is set as it is.

use serde_json::Value;

use crate::settings;

/// The table that is compiled in, as JSON.
pub const BUILT_IN: &str = include_str!(concat!(env!("OUT_DIR"), "/models.json"));

/// What the operator lays over it; none when nothing is set.
pub fn operators() -> Option<String> {
    settings::text("models")
}

/// The table as it counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Table(Value);

/// Where a model is reached. What is wrong with one upstream says nothing about the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream<'a> {
    /// A component of the platform.
    Local,
    HuggingFace,
    /// Of the table, by name.
    Endpoint(&'a str),
}

impl Table {
    pub fn read() -> Table {
        Table::laid_over(operators().as_deref().unwrap_or("{}"))
    }

    /// The built-in table with `over` on top. What is no JSON object changes nothing: the host has checked what it passes on.
    pub fn laid_over(over: &str) -> Table {
        let mut table: Value = serde_json::from_str(BUILT_IN).expect("the built-in table is JSON");
        if let Ok(over @ Value::Object(_)) = serde_json::from_str(over) {
            lay(&mut table, over);
        }
        Table(table)
    }

    /// The model that a name stands for.
    pub fn resolve<'a>(&'a self, name: &'a str) -> &'a str {
        self.0["aliases"][name].as_str().unwrap_or(name)
    }

    pub fn is_alias(&self, name: &str) -> bool {
        self.0["aliases"][name].is_string()
    }

    /// Names that stand for models, and for which.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        members(&self.0["aliases"]).filter_map(|(name, model)| Some((name, model.as_str()?)))
    }

    /// The capabilities by name, `image_edit`.
    pub fn capabilities(&self) -> impl Iterator<Item = &str> {
        members(&self.0["capabilities"]).map(|(name, _)| name)
    }

    /// A list of a capability's: `models`, `local` or `providers`.
    pub fn list(&self, capability: &str, name: &str) -> Vec<String> {
        let list = self.0["capabilities"][capability][name].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    pub fn stand_in(&self, capability: &str) -> Option<&str> {
        self.0["capabilities"][capability]["stand_in"].as_str().filter(|model| *model != "off")
    }

    /// A number of a capability's: `timeout_ms`, `hedge_ms`.
    pub fn number(&self, capability: &str, name: &str) -> Option<u64> {
        self.0["capabilities"][capability][name].as_u64()
    }

    /// The same model inside the platform.
    pub fn same(&self, model: &str) -> Option<&str> {
        self.0["models"][model]["same"].as_str()
    }

    pub fn upstream<'a>(&'a self, model: &'a str) -> Upstream<'a> {
        if model.starts_with("local/") {
            return Upstream::Local;
        }
        if let Some(endpoint) = self.0["models"][model]["endpoint"].as_str() {
            return Upstream::Endpoint(endpoint);
        }
        // `ollama/llama3` where there is an endpoint `ollama`.
        match model.split_once('/') {
            Some((name, _)) if self.0["endpoints"][name].is_object() => Upstream::Endpoint(name),
            _ => Upstream::HuggingFace,
        }
    }

    /// The models that the table puts at endpoints, each with the capabilities it is for (all when it does not say).
    pub fn at_endpoints(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        members(&self.0["models"]).filter(|(_, of)| of["endpoint"].is_string()).map(|(model, of)| {
            let named = of["capabilities"].as_array().map(Vec::as_slice).unwrap_or_default();
            (model, named.iter().filter_map(Value::as_str).collect())
        })
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// Objects are merged, everything else is replaced.
fn lay(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                lay(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_table_is_laid_over_the_built_in_one() {
        let table = Table::laid_over(
            r#"{"capabilities": {"llm": {"models": ["box/qwen"], "timeout_ms": 5000}},
                "endpoints": {"box": {"url": "http://10.0.0.1:8000/v1"}},
                "models": {"acme/big": {"endpoint": "box", "capabilities": ["llm"]}},
                "aliases": {"gpt-4o": "box/qwen"}}"#,
        );
        assert_eq!(table.list("llm", "models"), ["box/qwen"]);
        assert_eq!(table.stand_in("llm"), Some("local/extractive"));
        assert_eq!((table.number("llm", "timeout_ms"), table.number("tts", "timeout_ms")), (Some(5000), None));
        assert_eq!((table.resolve("gpt-4o"), table.resolve("a/b")), ("box/qwen", "a/b"));
        assert_eq!(table.upstream("box/anything"), Upstream::Endpoint("box"));
        assert_eq!(table.upstream("acme/big"), Upstream::Endpoint("box"));
        assert_eq!(table.upstream("acme/small"), Upstream::HuggingFace);
        assert_eq!(table.upstream("local/extractive"), Upstream::Local);
        assert_eq!(table.at_endpoints().collect::<Vec<_>>(), [("acme/big", vec!["llm"])]);
        assert_eq!(table.same("sentence-transformers/all-MiniLM-L6-v2"), Some("local/all-MiniLM-L6-v2"));
    }

    #[test]
    fn a_table_that_is_none_changes_nothing() {
        assert_eq!(Table::laid_over("[]"), Table::laid_over("{}"));
        assert_eq!(Table::laid_over("{\"cap"), Table::laid_over("{}"));
    }
}
