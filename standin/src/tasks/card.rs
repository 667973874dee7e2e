//! The Hub's model card, as far as providers are concerned, and the router's list of chat models.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::faults::Fault;
use crate::route::Task;

pub(crate) fn answer(model: &str, unserved: bool) -> Answer {
    let task = match Task::of_model(model) {
        Some(Task::Speak) => "text-to-speech",
        Some(Task::Transcribe) => "automatic-speech-recognition",
        Some(Task::Draw) => "text-to-image",
        Some(Task::Edit) => "image-to-image",
        Some(Task::Features) => "feature-extraction",
        Some(Task::Chat) | None => "conversational",
    };
    let mut card = json!({ "_id": "000000000000000000000000", "id": model, "pipeline_tag": task, "tags": [] });
    if !unserved && !matches!(Fault::of(model), Some(Fault::Unserved | Fault::Gone)) {
        card["inferenceProviderMapping"] = mapping(model, task);
    }
    Answer::json(200, &card)
}

const ROUTED: &[&str] = &["fal", "replicate", "together", "nscale", "deepinfra"];

/// Who serves a model: the providers that its name has among its words, else Hugging Face itself. After a provider's name
/// `down` or `staging` says how it does there.
fn mapping(model: &str, task: &str) -> Value {
    let words: Vec<&str> = model.rsplit('/').next().unwrap_or_default().split(['-', '_', '.']).collect();
    let mut mapping = Value::Object(serde_json::Map::new());
    for (at, word) in words.iter().enumerate().filter(|(_, word)| ROUTED.contains(word)) {
        let provider = if *word == "fal" { "fal-ai" } else { word };
        let next = words.get(at + 1).copied().unwrap_or_default();
        let id = if next == "down" { format!("fault/always-503-{}", words.join("-")) } else { model.to_owned() };
        let status = if next == "staging" { "staging" } else { "live" };
        mapping[provider] = json!({ "status": status, "providerId": id, "task": task });
    }
    if mapping.as_object().is_some_and(serde_json::Map::is_empty) {
        mapping["hf-inference"] =
            json!({ "status": "live", "providerId": model, "task": task, "isModelAuthor": false });
    }
    mapping
}

pub(crate) fn models() -> Answer {
    let models: Vec<Value> = ["openai/gpt-oss-20b", "meta-llama/Llama-3.1-8B-Instruct"]
        .iter()
        .map(|id| {
            let owner = id.split('/').next();
            json!({ "id": id, "object": "model", "created": 1_790_000_000, "owned_by": owner,
                "providers": [{ "provider": "standin", "status": "live" }] })
        })
        .collect();
    Answer::json(200, &json!({ "object": "list", "data": models }))
}
