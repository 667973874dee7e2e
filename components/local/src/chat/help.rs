//! What the platform says of itself: short texts, each about one thing that people ask.

use super::text::{is_common, words};

/// The first is the answer to everything that none of the others fits.
pub(super) const PASSAGES: &[&str] = &[
    "This platform serves text-to-speech, speech-to-text, pictures, picture editing, language models and embeddings behind one \
     HTTP API; `/docs` describes it and lets you try it, `/openapi.json` is for programs.",
    "To make a picture from words, POST JSON with `prompt` (and `width`, `height`, `seed`) to `/image`; the answer is a PNG.",
    "To edit a picture, POST `image` (base64), `prompt` and, to change only a part, `mask` to `/edit-image`; white in the mask is \
     painted anew.",
    "To have a text read aloud, POST `text` (and `speaker_id`, `speed`) to `/tts`; the answer is a WAV file.",
    "To have a recording written down (transcribed), POST it as the form field `audio` to `/stt`.",
    "To talk to a language model, POST `messages` to `/llm`; `\"stream\": true` streams the answer piece by piece.",
    "To turn text into a vector (an embedding) for search and comparison, POST `text` to `/embedding`; with no key it is computed \
     by all-MiniLM-L6-v2 inside the platform, and is no stand-in.",
    "To choose a model, name it in the request's field `model`, as `org/name` or as `local/name` for one inside the platform; the \
     header `x-model` tells which one answered.",
    "To use real language, picture and speech models, start the platform with the environment variable HF_API_KEY, a Hugging Face \
     token, or configure an OpenAI-compatible endpoint.",
    "An answer that no model gave is marked by the header `x-placeholder: true`, and by `\"placeholder\": true` in JSON.",
    "When something is wrong with a request, the answer is JSON with `error`, `message` and, field by field, `details`.",
    "Settings, limits and the order of models are in `hybrid.toml`; `hybrid.example.toml` has every key with its default.",
    "A capability is replaced while requests run by putting another component's file into the folder of components; requests that \
     run end on the version they began with.",
];

/// Words of questions about all of it: "what can this platform do?"
const ALL_OF_IT: &[&str] = &[
    "platform",
    "api",
    "server",
    "service",
    "feature",
    "capability",
    "capabilities",
    "offer",
    "offers",
    "use",
    "work",
    "works",
    "help",
    "everything",
    "about",
];

/// Whether a question is about the platform as a whole, so that no passage about one thing fits.
pub(super) fn is_about_all(question: &str) -> bool {
    words(question).iter().all(|word| is_common(word) || ALL_OF_IT.contains(&word.as_str()))
}

const ENDPOINTS: &[&str] = &["/image", "/edit-image", "/tts", "/stt", "/llm", "/embedding", "/health", "/docs", "/v1/"];

pub(super) fn names_endpoint(text: &str) -> bool {
    ENDPOINTS.iter().any(|endpoint| {
        text.match_indices(endpoint)
            .any(|(at, _)| !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '/'))
    })
}
