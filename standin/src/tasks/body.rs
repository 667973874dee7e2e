//! Holding a JSON body to the wire.

use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::errors;
use crate::tasks::Call;

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Whole,
    Number,
    Bool,
    Object,
    Any,
}

impl Kind {
    fn fits(self, value: &Value) -> bool {
        match self {
            Kind::Text => value.is_string(),
            Kind::Whole => value.is_u64() || value.is_i64(),
            Kind::Number => value.is_number(),
            Kind::Bool => value.is_boolean(),
            Kind::Object => value.is_object(),
            Kind::Any => true,
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Kind::Text => "a valid string",
            Kind::Whole => "a valid integer",
            Kind::Number => "a valid number",
            Kind::Bool => "a valid boolean",
            Kind::Object => "a valid dictionary",
            Kind::Any => "valid",
        }
    }
}

/// A body `{"inputs": …, "parameters": {…}}`, with parameters of the names and kinds listed and no others.
pub(crate) struct Inputs {
    all: Map<String, Value>,
}

impl Inputs {
    pub(crate) fn of(call: &Call<'_>, parameters: &[(&str, Kind)]) -> Result<Inputs, Answer> {
        let all = object(call)?;
        let mut problems = Vec::new();
        match all.get("parameters") {
            None => {}
            Some(Value::Object(given)) => {
                for (name, value) in given {
                    match parameters.iter().find(|(known, _)| known == name) {
                        None => {
                            problems.push(format!("Extra inputs are not permitted: received `{name}` in `parameters`"));
                        }
                        Some((_, kind)) if !kind.fits(value) => {
                            let wanted = kind.wanted();
                            problems.push(format!("Input should be {wanted}: received `{name}` in `parameters`"));
                        }
                        Some(_) => {}
                    }
                }
            }
            Some(_) => problems.push("Input should be a valid dictionary: received `parameters`".to_owned()),
        }
        if problems.is_empty() { Ok(Inputs { all }) } else { Err(errors::refused(&problems)) }
    }

    /// `inputs`, where it must be text.
    pub(crate) fn text(&self) -> Result<&str, Answer> {
        let text = self.all.get("inputs").and_then(Value::as_str).unwrap_or_default();
        if text.is_empty() {
            return Err(errors::refused(&["Input should be a valid string: received `inputs`".to_owned()]));
        }
        Ok(text)
    }

    /// A field at the root.
    pub(crate) fn root(&self, name: &str) -> Option<&Value> {
        self.all.get(name)
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&Value> {
        self.all.get("parameters")?.get(name)
    }

    pub(crate) fn whole(&self, name: &str) -> Option<u64> {
        self.parameter(name)?.as_u64()
    }
}

/// A JSON object that says it is one.
pub(crate) fn object(call: &Call<'_>) -> Result<Map<String, Value>, Answer> {
    let content_type = call.header("content-type");
    if !content_type.starts_with("application/json") {
        return Err(errors::refused(&[format!("Content type \"{content_type}\" not supported: received the body")]));
    }
    match serde_json::from_slice(call.body) {
        Ok(Value::Object(all)) => Ok(all),
        _ => Err(errors::refused(&["Input should be a valid dictionary: received the body".to_owned()])),
    }
}

/// Strict base64: no line breaks, no `data:` in front.
pub(crate) fn base64(text: &str, field: &str) -> Result<Vec<u8>, Answer> {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD
        .decode(text)
        .map_err(|_| errors::refused(&[format!("Input should be base64: received `{field}`")]))
}
