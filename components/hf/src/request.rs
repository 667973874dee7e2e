//! What goes over the wire: a path, headers and a body for each task. Nothing is sent here.

use std::borrow::Cow;

use hybrid_guest::types::{Conversation, Message, PicturePrompt, Problem, Reason, Role};

use crate::body::{Body, Chunks, Part};
use hybrid_guest::json;

/// One call, as often as it is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) target: Target,
    pub(crate) accept: &'static str,
    pub(crate) content_type: Cow<'static, str>,
    /// The upstream is to wait for the result where it can (`prefer: wait`).
    pub(crate) prefer: bool,
    pub(crate) body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Below the upstream's base.
    Task(String),
    /// A chat, whose path the base may hold already.
    Chat,
}

impl Request {
    pub(crate) fn task(path: String, body: Body) -> Request {
        Request { target: Target::Task(path), accept: "*/*", content_type: JSON, prefer: false, body }
    }
}

const JSON: Cow<'static, str> = Cow::Borrowed("application/json");

/// The chat path below a base, as HF's own clients append it: once, however much of it the base already has.
pub(crate) fn chat_path(base: &str) -> String {
    if base.contains("/chat/completions") {
        return base.to_owned();
    }
    format!("{}/v1/chat/completions", base.strip_suffix("/v1").unwrap_or(base))
}

/// The path of a task below the base, with what `pipeline` adds to it.
#[inline(never)]
fn task_path(model: &str, pipeline: &str) -> Result<String, Reason> {
    if !is_model(model) {
        return Err(Reason::invalid("model", "must be of the form `org/name`"));
    }
    Ok(format!("/hf-inference/models/{model}{pipeline}"))
}

/// `org/name`: all that may become part of a URL, and no way to climb out of its place there.
fn is_model(model: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let parts = model.split_once('/');
    model.len() <= 200 && !model.contains("..") && parts.is_some_and(|(org, name)| part(org) && part(name))
}

/// As `is_model`, and what chat may add to it: `:fastest`, `:provider`.
fn is_chat_model(model: &str) -> bool {
    let (model, suffix) = model.split_once(':').unwrap_or((model, "fastest"));
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    is_model(model) && !suffix.is_empty() && suffix.len() <= 64 && suffix.bytes().all(legal)
}

pub(crate) fn speak(model: &str, text: &str, speaker: Option<u32>, speed: Option<f32>) -> Result<Request, Reason> {
    let mut parameters = Vec::new();
    push_some(&mut parameters, "speaker_id", speaker);
    push_some(&mut parameters, "speed", finite(speed));
    Ok(Request::task(task_path(model, "")?, Body::text(inputs(text, &parameters))))
}

/// `{"inputs": text, "parameters": {…}}`, the parameters as `push_member` leaves them.
fn inputs(text: &str, parameters: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8 + parameters.len() + 40);
    out.extend_from_slice(b"{\"inputs\":");
    json::push_text(&mut out, text);
    out.extend_from_slice(b",\"parameters\":{");
    out.extend_from_slice(parameters.strip_prefix(b",").unwrap_or(parameters));
    out.extend_from_slice(b"}}");
    out
}

/// Without a language the recording goes as it is. With one, or for timestamps, it goes as JSON, since only that form has parameters; the
/// language is a generation parameter there: pipelines hand `generation_parameters` to the model and refuse names they do
/// not know beside it. Timestamps come along: longer recordings need them, and they make the segments.
pub(crate) fn transcribe(
    model: &str,
    kind: &str,
    audio: Chunks,
    language: Option<&str>,
    timestamps: bool,
) -> Result<Request, Reason> {
    let path = task_path(model, "")?;
    if language.is_none() && !timestamps {
        let request = Request::task(path, Body(vec![Part::Bytes(audio)]));
        return Ok(Request { content_type: Cow::Owned(audio_type(kind).to_owned()), ..request });
    }
    let mut tail = b"\",\"parameters\":{\"return_timestamps\":true".to_vec();
    if let Some(language) = language {
        tail.extend_from_slice(b",\"generation_parameters\":{\"language\":");
        json::push_text(&mut tail, language);
        tail.push(b'}');
    }
    tail.extend_from_slice(b"}}");
    let parts = vec![Part::Text(b"{\"inputs\":\"".to_vec()), Part::Base64(audio), Part::Text(tail)];
    Ok(Request::task(path, Body(parts)))
}

/// The spelling that upstreams compare whole; they know M4A by another name than we.
fn audio_type(kind: &str) -> &str {
    match kind {
        "audio/mp4" => "audio/m4a",
        other => other,
    }
}

pub(crate) fn draw(model: &str, prompt: &PicturePrompt) -> Result<Request, Reason> {
    let mut parameters = Vec::new();
    push_some(&mut parameters, "width", Some(prompt.width));
    push_some(&mut parameters, "height", Some(prompt.height));
    push_wishes(&mut parameters, prompt);
    let body = Body::text(inputs(&prompt.text, &parameters));
    Ok(Request { accept: "image/png", ..Request::task(task_path(model, "")?, body) })
}

/// What drawing and editing both take.
fn push_wishes(out: &mut Vec<u8>, prompt: &PicturePrompt) {
    if let Some(negative) = &prompt.negative {
        out.extend_from_slice(b",\"negative_prompt\":");
        json::push_text(out, negative);
    }
    push_some(out, "num_inference_steps", prompt.steps);
    push_some(out, "guidance_scale", finite(prompt.guidance));
    push_some(out, "seed", prompt.seed);
}

/// Image-to-image; with a mask, what HF's clients pass on untouched and diffusers' inpainting takes: `mask_image`, with
/// the size under its own names.
pub(crate) fn edit(
    model: &str,
    prompt: &PicturePrompt,
    image: Chunks,
    mask: Option<Chunks>,
    strength: Option<f32>,
) -> Result<Request, Reason> {
    let mut middle = b"\",\"parameters\":{\"prompt\":".to_vec();
    json::push_text(&mut middle, &prompt.text);
    push_wishes(&mut middle, prompt);
    push_some(&mut middle, "strength", finite(strength));
    let (width, height) = (prompt.width, prompt.height);
    let size = match mask {
        Some(_) => format!(",\"width\":{width},\"height\":{height}"),
        None => format!(",\"target_size\":{{\"width\":{width},\"height\":{height}}}"),
    };
    middle.extend_from_slice(size.as_bytes());
    let mut parts = vec![Part::Text(b"{\"inputs\":\"".to_vec()), Part::Base64(image), Part::Text(middle)];
    match mask {
        None => parts.push(Part::Text(b"}}".to_vec())),
        Some(mask) => {
            parts.extend([
                Part::Text(b",\"mask_image\":\"".to_vec()),
                Part::Base64(mask),
                Part::Text(b"\"}}".to_vec()),
            ]);
        }
    }
    Ok(Request { accept: "image/png", ..Request::task(task_path(model, "")?, Body(parts)) })
}

/// Text Embeddings Inference takes no more in one call.
pub(crate) const EMBED_BATCH: usize = 32;

/// The bare route of a model runs its own task, which for many is comparing sentences: hence the pipeline's name.
pub(crate) fn embed(model: &str, texts: &[String]) -> Result<Request, Reason> {
    let mut out = b"{\"inputs\":".to_vec();
    match texts {
        [one] => json::push_text(&mut out, one),
        many => {
            for (index, text) in many.iter().enumerate() {
                out.push(if index == 0 { b'[' } else { b',' });
                json::push_text(&mut out, text);
            }
            out.push(b']');
        }
    }
    out.push(b'}');
    Ok(Request::task(task_path(model, "/pipeline/feature-extraction")?, Body::text(out)))
}

/// Chat in OpenAI's format. `model` comes first: the router reads it from the beginning of the body.
pub(crate) fn chat(model: &str, conversation: &Conversation, stream: bool) -> Result<Request, Reason> {
    if !is_chat_model(model) {
        return Err(Reason::invalid("model", "must be of the form `org/name` or `org/name:provider`"));
    }
    chat_at(model, conversation, stream)
}

/// As `chat`, of an endpoint that calls its models as it likes.
pub(crate) fn chat_at(model: &str, conversation: &Conversation, stream: bool) -> Result<Request, Reason> {
    let texts: usize = conversation.messages.iter().map(|message| message.text.as_ref().map_or(0, String::len)).sum();
    let mut out = Vec::with_capacity(256 + texts + texts / 8 + conversation.messages.len() * 40);
    out.extend_from_slice(b"{\"model\":");
    json::push_text(&mut out, model);
    out.extend_from_slice(b",\"messages\":[");
    for (index, message) in conversation.messages.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_message(&mut out, message).map_err(|problem| {
            Reason::Invalid(vec![Problem { field: format!("messages[{index}]"), message: problem.to_owned() }])
        })?;
    }
    out.push(b']');
    push_more(&mut out, conversation, stream)?;
    out.extend_from_slice(if stream { b",\"stream\":true}" } else { b",\"stream\":false}" });
    let accept = if stream { "text/event-stream" } else { "application/json" };
    Ok(Request { target: Target::Chat, accept, content_type: JSON, prefer: false, body: Body::text(out) })
}

#[inline(never)]
fn push_message(out: &mut Vec<u8>, message: &Message) -> Result<(), &'static str> {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    out.extend_from_slice(b"{\"role\":\"");
    out.extend_from_slice(role.as_bytes());
    out.push(b'"');
    let more = match &message.more {
        Some(more) => json::members(more).ok_or("must be a JSON object")?,
        None => Vec::new(),
    };
    if let (Some(text), false) = (&message.text, more.iter().any(|(key, _)| key == "content")) {
        out.extend_from_slice(b",\"content\":");
        json::push_text(out, text);
    }
    for (key, value) in more.iter().filter(|(key, _)| key != "role") {
        push_member(out, key, value.get());
    }
    out.push(b'}');
    Ok(())
}

/// The settings of a conversation, the named ones before those the caller has of his own.
fn push_more(out: &mut Vec<u8>, conversation: &Conversation, stream: bool) -> Result<(), Reason> {
    let more = match &conversation.more {
        Some(more) => json::members(more).ok_or_else(|| Reason::Internal("`more` must be a JSON object".to_owned()))?,
        None => Vec::new(),
    };
    let has = |name: &str| more.iter().any(|(key, _)| key == name);
    push_some(out, "max_tokens", conversation.max_tokens);
    push_some(out, "temperature", finite(conversation.temperature));
    // HF's schema has no `max_completion_tokens`; many providers refuse `stream_options` without a stream.
    if stream && !has("stream_options") {
        push_member(out, "stream_options", "{\"include_usage\":true}");
    }
    for (key, value) in &more {
        let value = value.get();
        match &**key {
            "model" | "messages" | "stream" => {}
            "stream_options" if !stream => {}
            "max_tokens" | "max_completion_tokens" if conversation.max_tokens.is_some() => {}
            "temperature" if conversation.temperature.is_some() => {}
            "max_completion_tokens" if has("max_tokens") => {}
            "max_completion_tokens" => push_member(out, "max_tokens", value),
            "response_format" => push_member(out, key, &response_format(value)),
            key => push_member(out, key, value),
        }
    }
    Ok(())
}

/// A schema in the form that some clients send (`{"type": "json_object", "value": …}`) becomes OpenAI's, which is what
/// providers know.
fn response_format(format: &str) -> Cow<'_, str> {
    match json::member(format, "value") {
        Some(schema) if schema.starts_with('{') => Cow::Owned(format!(
            "{{\"type\":\"json_schema\",\"json_schema\":{{\"name\":\"answer\",\"schema\":{schema}}}}}"
        )),
        _ => Cow::Borrowed(format),
    }
}

#[inline(never)]
pub(crate) fn push_member(out: &mut Vec<u8>, key: &str, value: &str) {
    out.push(b',');
    json::push_text(out, key);
    out.push(b':');
    out.extend_from_slice(value.as_bytes());
}

/// A number, where there is one.
pub(crate) fn push_some(out: &mut Vec<u8>, key: &str, value: Option<impl json::Scalar>) {
    if let Some(value) = value {
        push_member(out, key, "");
        value.push(out);
    }
}

/// JSON has no infinity.
pub(crate) fn finite(number: Option<f32>) -> Option<f32> {
    number.filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests;
