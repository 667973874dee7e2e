//! The Hub's model card, as far as providers are concerned, and the router's list of chat models.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::faults::Fault;
use crate::route::Task;

pub(crate) fn answer(model: &str) -> Answer {
    let task = match Task::of_model(model) {
        Some(Task::Speak) => "text-to-speech",
        Some(Task::Transcribe) => "automatic-speech-recognition",
        Some(Task::Draw) => "text-to-image",
        Some(Task::Edit) => "image-to-image",
        Some(Task::Features) => "feature-extraction",
        Some(Task::Chat) | None => "conversational",
    };
    let mut card = json!({ "_id": "000000000000000000000000", "id": model, "pipeline_tag": task, "tags": [] });
    if !matches!(Fault::of(model), Some(Fault::Unserved | Fault::Gone)) {
        let live = json!({ "status": "live", "providerId": model, "task": task, "isModelAuthor": false });
        card["inferenceProviderMapping"] = json!({ "hf-inference": live });
    }
    Answer::json(200, &card)
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
