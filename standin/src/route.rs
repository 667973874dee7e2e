//! Which task a request is for.

use std::sync::OnceLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::media;
use crate::tasks::routed::Provider;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Route {
    /// A bare model route: which of four tasks it is, the body tells.
    Model(String),
    Features(String),
    /// With the model of the path; absent on the router's own route, where the body names it.
    Chat(Option<String>),
    Models,
    Card(String),
    File {
        width: u32,
        height: u32,
    },
    /// A sound of so many samples.
    Sound(usize),
    /// What lies elsewhere: beside us, or where nobody should go.
    Moved {
        file: String,
        astray: bool,
    },
    /// A provider's own route, and the model where the path names it.
    Routed(Provider, Option<String>),
    /// A look at a queued job, or for its result.
    Job {
        provider: Provider,
        id: String,
        result: bool,
    },
    /// Nothing here, or not with this method.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Task {
    Speak,
    Transcribe,
    Draw,
    Edit,
    Features,
    Chat,
}

impl Route {
    pub(crate) fn of(method: &Method, path: &str) -> Route {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method.as_str(), parts.as_slice()) {
            ("POST", ["v1", "chat", "completions"]) => Route::Chat(None),
            ("POST", ["hf-inference", "models", org, name]) => Route::Model(format!("{org}/{name}")),
            ("POST", ["hf-inference", "models", org, name, "pipeline", "feature-extraction"]) => {
                Route::Features(format!("{org}/{name}"))
            }
            ("POST", ["hf-inference", "models", org, name, "v1", "chat", "completions"]) => {
                Route::Chat(Some(format!("{org}/{name}")))
            }
            ("GET", ["v1", "models"]) => Route::Models,
            ("GET", ["api", "models", org, name]) => Route::Card(format!("{org}/{name}")),
            ("GET", ["files", name]) => size(name).unwrap_or(Route::Nothing),
            ("GET", [how @ ("moved" | "astray"), file]) => {
                Route::Moved { file: (*file).to_owned(), astray: *how == "astray" }
            }
            ("POST", ["box", "v1", "chat", "completions"]) => Route::Chat(None),
            ("POST", ["v1" | "box", rest @ ..]) if openai(rest) => Route::Routed(Provider::OpenAi, None),
            ("POST", ["embed"]) => Route::Routed(Provider::Tei, None),
            ("POST", ["together", rest @ ..]) if openai(rest) => Route::Routed(Provider::Together, None),
            ("POST", ["nscale", rest @ ..]) if openai(rest) => Route::Routed(Provider::Nscale, None),
            ("POST", ["deepinfra", "v1", rest @ ..]) if rest.first() == Some(&"openai") && openai(rest) => {
                Route::Routed(Provider::OpenAi, None)
            }
            ("POST", ["replicate", "v1", "models", org, name, "predictions"]) => {
                Route::Routed(Provider::Replicate, Some(format!("{org}/{name}")))
            }
            ("POST", ["replicate", "v1", "predictions"]) => Route::Routed(Provider::Replicate, None),
            ("GET", ["replicate", "v1", "predictions", id]) => {
                Route::Job { provider: Provider::Replicate, id: (*id).to_owned(), result: true }
            }
            ("POST", ["fal-ai", org, name]) => Route::Routed(Provider::Fal, Some(format!("{org}/{name}"))),
            ("GET", ["fal-ai", _, _, "requests", id]) => {
                Route::Job { provider: Provider::Fal, id: (*id).to_owned(), result: true }
            }
            ("GET", ["fal-ai", _, _, "requests", id, "status"]) => {
                Route::Job { provider: Provider::Fal, id: (*id).to_owned(), result: false }
            }
            _ => Route::Nothing,
        }
    }
}

/// What OpenAI's API ends with.
fn openai(path: &[&str]) -> bool {
    const ENDS: [&[&str]; 4] =
        [&["embeddings"], &["images", "generations"], &["audio", "speech"], &["audio", "transcriptions"]];
    ENDS.iter().any(|end| path.ends_with(end) && path.len() <= end.len() + 1)
}

fn size(name: &str) -> Option<Route> {
    if let Some(samples) = name.strip_suffix(".wav") {
        return samples.parse().ok().filter(|samples| *samples < 1 << 20).map(Route::Sound);
    }
    let (width, height) = name.strip_suffix(".png")?.split_once('x')?;
    let (width, height) = (width.parse().ok()?, height.parse().ok()?);
    (width <= 4096 && height <= 4096).then_some(Route::File { width, height })
}

impl Task {
    /// What a bare model route is asked for.
    pub(crate) fn of(model: &str, headers: &HeaderMap, body: &[u8]) -> Task {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if header("content-type").starts_with("audio/") {
            return Task::Transcribe;
        }
        if header("content-type").starts_with("image/") {
            return Task::Edit;
        }
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let accept = header("accept");
        Task::of_model(model)
            .or_else(|| Task::of_body(&body))
            .or_else(|| accept.starts_with("image/").then_some(Task::Draw))
            .unwrap_or(Task::Speak)
    }

    pub(crate) fn of_model(model: &str) -> Option<Task> {
        known(model).or_else(|| Task::of_name(model))
    }

    fn of_name(model: &str) -> Option<Task> {
        let name = model.rsplit('/').next()?.to_ascii_lowercase();
        name.split(['-', '_', '.']).find_map(|word| match word {
            "tts" | "speech" | "voice" => Some(Task::Speak),
            "asr" | "stt" | "whisper" => Some(Task::Transcribe),
            "edit" | "inpaint" | "inpainting" => Some(Task::Edit),
            "image" | "draw" => Some(Task::Draw),
            "embed" | "embedding" | "vectors" => Some(Task::Features),
            "chat" | "llm" => Some(Task::Chat),
            _ => None,
        })
    }

    fn of_body(body: &Value) -> Option<Task> {
        let has = |names: &[&str]| names.iter().any(|name| body["parameters"].get(name).is_some());
        if body.get("image").is_some() || has(&["prompt", "mask_image", "strength", "target_size"]) {
            return Some(Task::Edit);
        }
        if has(&["width", "height", "negative_prompt", "num_inference_steps", "guidance_scale", "scheduler", "seed"]) {
            return Some(Task::Draw);
        }
        let inputs = BASE64_STANDARD.decode(body["inputs"].as_str()?).ok()?;
        if media::audio_type(&inputs).is_some() {
            return Some(Task::Transcribe);
        }
        image::guess_format(&inputs).is_ok().then_some(Task::Edit)
    }
}

/// What the platform itself uses a model for.
fn known(model: &str) -> Option<Task> {
    static TABLE: OnceLock<Value> = OnceLock::new();
    let table = TABLE
        .get_or_init(|| toml::from_str(include_str!("../../components/models.toml")).expect("models.toml is TOML"));
    let tasks = [
        ("tts", Task::Speak),
        ("stt", Task::Transcribe),
        ("image", Task::Draw),
        ("image_edit", Task::Edit),
        ("llm", Task::Chat),
        ("embedding", Task::Features),
    ];
    let names = |capability: &str| {
        table["capabilities"][capability]["models"]
            .as_array()
            .is_some_and(|models| models.iter().any(|listed| listed == model))
    };
    tasks.into_iter().find(|(capability, _)| names(capability)).map(|(_, task)| task)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn task(model: &str, content_type: &'static str, body: &Value) -> Task {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().expect("a header"));
        Task::of(model, &headers, body.to_string().as_bytes())
    }

    #[test]
    fn paths_become_routes() {
        let post = |path| Route::of(&Method::POST, path);
        assert_eq!(post("/v1/chat/completions"), Route::Chat(None));
        assert_eq!(post("/hf-inference/models/a/b"), Route::Model("a/b".into()));
        assert_eq!(post("/hf-inference/models/a/b/pipeline/feature-extraction"), Route::Features("a/b".into()));
        assert_eq!(post("/hf-inference/models/a/b/v1/chat/completions"), Route::Chat(Some("a/b".into())));
        assert_eq!(post("/v1/models"), Route::Nothing);
        assert_eq!(Route::of(&Method::GET, "/files/64x32.png"), Route::File { width: 64, height: 32 });
        assert_eq!(Route::of(&Method::GET, "/files/64000x32.png"), Route::Nothing);
    }

    #[test]
    fn the_task_is_told_by_type_then_model_then_body() {
        let words = json!({ "inputs": "hello", "parameters": {} });
        assert_eq!(task("a/b", "audio/wav", &words), Task::Transcribe);
        assert_eq!(task("a/b", "image/png", &words), Task::Edit);
        assert_eq!(task("microsoft/speecht5_tts", "application/json", &words), Task::Speak);
        assert_eq!(task("black-forest-labs/FLUX.1-dev", "application/json", &words), Task::Draw);
        assert_eq!(task("acme/image-fast", "application/json", &words), Task::Draw);
        assert_eq!(task("acme/edit-x", "application/json", &words), Task::Edit);
        assert_eq!(
            task("a/b", "application/json", &json!({ "inputs": "x", "parameters": { "width": 8 } })),
            Task::Draw
        );
        let wav = BASE64_STANDARD.encode(media::wav(100));
        assert_eq!(task("a/b", "application/json", &json!({ "inputs": wav })), Task::Transcribe);
        assert_eq!(task("a/b", "application/json", &words), Task::Speak);
    }
}
