//! GET /models, GET /v1/models and GET /v1/models/{model}: what there is to choose from.

use std::collections::HashSet;

use hybrid_guest::catalogue::{State, offers};
use hybrid_guest::table::Table;
use serde_json::{Value, json};

use crate::refusal::Refusal;

/// The body of GET /models: by capability, the models in the order in which they are asked.
pub(crate) fn offer() -> Vec<u8> {
    let mut capabilities = serde_json::Map::new();
    for offer in offers() {
        let all = capabilities.entry(offer.capability).or_insert_with(|| json!({ "models": [] }));
        let Some(models) = all["models"].as_array_mut() else { continue };
        let mut model = json!({
            "id": offer.model,
            "default": offer.default,
            "upstream": offer.upstream,
            "placeholder": offer.placeholder,
            "state": offer.state.name(),
        });
        if let State::CircuitOpen(seconds) = offer.state {
            model["retry_after"] = seconds.into();
        }
        models.push(model);
    }
    let table = Table::read();
    let aliases: serde_json::Map<String, Value> =
        table.aliases().map(|(name, model)| (name.to_owned(), model.into())).collect();
    json!({ "capabilities": capabilities, "aliases": aliases }).to_string().into_bytes()
}

/// Every name that may stand for a model, once.
fn names() -> Vec<String> {
    let table = Table::read();
    let aliases = table.aliases().map(|(name, _)| name.to_owned());
    let mut seen = HashSet::new();
    let mut names: Vec<String> = offers().into_iter().map(|offer| offer.model).chain(aliases).collect();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn entry(model: &str) -> Value {
    let owner = model.split_once('/').map_or("platform", |(owner, _)| owner);
    // When a model was made, nobody here knows.
    json!({ "id": model, "object": "model", "created": 0, "owned_by": owner })
}

/// The body of GET /v1/models.
pub(crate) fn list() -> Vec<u8> {
    let data: Vec<Value> = names().iter().map(|model| entry(model)).collect();
    json!({ "object": "list", "data": data }).to_string().into_bytes()
}

/// The body of GET /v1/models/{model}; the slash of a name may be escaped.
pub(crate) fn one(model: &str) -> Result<Vec<u8>, Refusal> {
    let model = model.replace("%2F", "/").replace("%2f", "/");
    if names().contains(&model) {
        return Ok(entry(&model).to_string().into_bytes());
    }
    Err(Refusal::no_model(&model))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_has_models_with_a_state() {
        let offer: Value = serde_json::from_slice(&offer()).expect("JSON");
        for capability in ["llm", "embedding", "image", "image_edit", "tts", "stt"] {
            let models = offer["capabilities"][capability]["models"].as_array().expect("models");
            let inside = |model: &Value| model["id"].as_str().is_some_and(|id| id.starts_with("local/"));
            assert!(models.iter().any(|model| inside(model) && model["state"] == "served"), "{capability}");
            assert!(models.iter().all(|model| model["state"].is_string()), "{capability}");
        }
    }

    #[test]
    fn models_are_listed_once_and_found_however_their_slash_is_written() {
        let list: Value = serde_json::from_slice(&list()).expect("JSON");
        let ids: Vec<_> = list["data"].as_array().expect("a list").iter().map(|model| &model["id"]).collect();
        assert!(ids.iter().all(|id| ids.iter().filter(|other| other == &id).count() == 1));
        for model in ["local/extractive", "local%2Fextractive", "local%2fextractive"] {
            let found: Value = serde_json::from_slice(&one(model).expect("it is there")).expect("JSON");
            assert_eq!((&found["id"], &found["owned_by"]), (&"local/extractive".into(), &"local".into()));
        }
        assert_eq!(one("no/such").expect_err("it is not there").status, 404);
    }
}
