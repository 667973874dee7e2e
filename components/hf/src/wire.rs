//! What goes over the wire to the providers that HuggingFace routes to, and to endpoints that speak OpenAI's API or TEI's.

use std::borrow::Cow;

use hybrid_guest::types::{PicturePrompt, Reason};

use crate::body::{Body, Chunks, Part};
use crate::request::{Request, finite, push_member, push_some};
use crate::upstream::{Upstream, Wire, is_path};
use hybrid_guest::json;

/// A JSON object in the making; bytes go into it as data URIs, made when they are sent.
struct Object {
    parts: Vec<Part>,
    text: Vec<u8>,
}

impl Object {
    /// For `{` followed by a comma, the comma is taken back by `done`.
    fn new(open: &str) -> Object {
        Object { parts: Vec::new(), text: open.as_bytes().to_vec() }
    }

    #[inline(never)]
    fn text(&mut self, key: &str, value: &str) {
        push_member(&mut self.text, key, &json::quoted(value));
    }

    #[inline(never)]
    fn raw(&mut self, key: &str, json: &str) {
        push_member(&mut self.text, key, json);
    }

    fn maybe(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// `"key":"data:KIND;base64,…"`, in a list where `list` says so.
    #[inline(never)]
    fn data(&mut self, key: &str, kind: &str, bytes: &Chunks, list: bool) {
        let (open, close) = if list { ("[\"", "\"]") } else { ("\"", "\"") };
        push_member(&mut self.text, key, open);
        self.text.extend_from_slice(format!("data:{kind};base64,").as_bytes());
        self.parts.push(Part::Text(std::mem::take(&mut self.text)));
        self.parts.push(Part::Base64(bytes.clone()));
        self.text.extend_from_slice(close.as_bytes());
    }

    fn done(mut self, close: &str) -> Body {
        self.text.extend_from_slice(close.as_bytes());
        self.parts.push(Part::Text(self.text));
        // Members bring a comma before them, and the first has nothing to be parted from.
        for part in &mut self.parts {
            if let Part::Text(text) = part
                && let Some(at) = text.windows(2).position(|pair| pair == b"{,")
            {
                text.remove(at + 1);
                break;
            }
        }
        Body(self.parts)
    }
}

/// A job for a provider that queues: its fields stand at the root (fal) or under `input` (replicate).
fn job(upstream: &Upstream, fill: impl FnOnce(&mut Object)) -> Result<Request, Reason> {
    let id = upstream.id.as_str();
    let (name, version) = id.split_once(':').unwrap_or((id, ""));
    let sound = is_path(name) && version.bytes().all(|b| b.is_ascii_alphanumeric());
    if !sound {
        return Err(Reason::UnknownModel(id.to_owned()));
    }
    if upstream.wire == Wire::Fal {
        let mut fields = Object::new("{");
        fill(&mut fields);
        if let Some(weights) = &upstream.lora {
            let path = json::quoted(&format!("https://huggingface.co/{weights}"));
            fields.raw("loras", &format!("[{{\"path\":{path},\"scale\":1}}]"));
        }
        return Ok(Request::task(format!("/{id}?_subdomain=queue"), fields.done("}")));
    }
    let mut fields = Object::new("{\"input\":{");
    fill(&mut fields);
    if let Some(weights) = &upstream.lora {
        let repository = weights.split("/resolve/").next().unwrap_or_default();
        fields.text("lora_weights", &format!("https://huggingface.co/{repository}"));
    }
    let request = match version {
        "" => Request::task(format!("/v1/models/{name}/predictions"), fields.done("}}")),
        version => {
            let close = format!("}},\"version\":{}}}", json::quoted(version));
            Request::task("/v1/predictions".to_owned(), fields.done(&close))
        }
    };
    // It answers within a minute where it can.
    Ok(Request { prefer: true, ..request })
}

fn open(upstream: &Upstream) -> Object {
    let mut fields = Object::new("{");
    fields.text("model", &upstream.id);
    fields
}

pub(crate) fn speak(
    upstream: &Upstream,
    text: &str,
    voice: Option<&str>,
    speed: Option<f32>,
) -> Result<Request, Reason> {
    if upstream.wire.queues() {
        return job(upstream, |fields| {
            fields.text("text", text);
            // Some of fal's routes for speech call the text so.
            if upstream.wire == Wire::Fal {
                fields.text("prompt", text);
            }
            fields.maybe("voice", voice);
            push_some(&mut fields.text, "speed", finite(speed));
        });
    }
    let mut fields = open(upstream);
    fields.text("input", text);
    fields.text("voice", voice.unwrap_or("alloy"));
    fields.text("response_format", "wav");
    push_some(&mut fields.text, "speed", finite(speed));
    Ok(Request::task("/audio/speech".to_owned(), fields.done("}")))
}

pub(crate) fn transcribe(
    upstream: &Upstream,
    kind: &str,
    audio: &Chunks,
    language: Option<&str>,
    boundary: &str,
) -> Result<Request, Reason> {
    if upstream.wire == Wire::Fal {
        // fal knows three kinds, by these names, and refuses others.
        let kind = match kind {
            "audio/mpeg" => "audio/mpeg",
            "audio/wav" => "audio/x-wav",
            "audio/webm" => "video/webm",
            _ => return Err(Reason::UnknownModel(upstream.id.clone())),
        };
        return job(upstream, |fields| {
            fields.data("audio_url", kind, audio, false);
            fields.text("task", "transcribe");
            fields.maybe("language", language);
        });
    }
    if upstream.wire == Wire::Replicate {
        return job(upstream, |fields| {
            fields.data("audio", kind, audio, false);
            fields.maybe("language", language);
        });
    }
    let extension = match kind.split_once('/').map_or(kind, |(_, name)| name) {
        "mpeg" => "mp3",
        "mp4" => "m4a",
        other => other,
    };
    let mut fields = vec![("model", upstream.id.as_str()), ("response_format", "verbose_json")];
    fields.extend(language.map(|language| ("language", language)));
    Ok(form("/audio/transcriptions", boundary, &fields, "file", &format!("audio.{extension}"), kind, audio))
}

/// A form with fields of text and one file.
fn form(
    path: &str,
    boundary: &str,
    fields: &[(&str, &str)],
    name: &str,
    file: &str,
    kind: &str,
    bytes: &Chunks,
) -> Request {
    let mut head = String::new();
    for (name, value) in fields {
        head.push_str(&format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    head.push_str(&format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\ncontent-type: {kind}\r\n\r\n"
    ));
    let tail = format!("\r\n--{boundary}--\r\n").into_bytes();
    let body = Body(vec![Part::Text(head.into_bytes()), Part::Bytes(bytes.clone()), Part::Text(tail)]);
    let content_type = Cow::Owned(format!("multipart/form-data; boundary={boundary}"));
    Request { content_type, ..Request::task(path.to_owned(), body) }
}

pub(crate) fn draw(upstream: &Upstream, prompt: &PicturePrompt) -> Result<Request, Reason> {
    if upstream.wire.queues() {
        return job(upstream, |fields| wishes(fields, prompt, upstream.wire, true));
    }
    let mut fields = open(upstream);
    wishes(&mut fields, prompt, upstream.wire, true);
    Ok(Request::task("/images/generations".to_owned(), fields.done("}")))
}

/// What drawing and editing both take, by each provider's names.
fn wishes(fields: &mut Object, prompt: &PicturePrompt, wire: Wire, sized: bool) {
    fields.text("prompt", &prompt.text);
    fields.maybe("negative_prompt", prompt.negative.as_deref());
    let (width, height) = (prompt.width, prompt.height);
    match wire {
        Wire::Together => fields.text("response_format", "base64"),
        Wire::OpenAi | Wire::Nscale => fields.text("response_format", "b64_json"),
        _ => {}
    }
    match wire {
        Wire::Fal if sized => fields.raw("image_size", &format!("{{\"width\":{width},\"height\":{height}}}")),
        Wire::OpenAi | Wire::Nscale if sized => fields.text("size", &format!("{width}x{height}")),
        _ if sized => {
            push_some(&mut fields.text, "width", Some(width));
            push_some(&mut fields.text, "height", Some(height));
        }
        _ => {}
    }
    let (steps, guidance) = match wire {
        Wire::Together => (Some("steps"), Some("guidance_scale")),
        // It refuses both.
        Wire::Nscale => (None, None),
        Wire::Replicate => (Some("num_inference_steps"), Some("guidance")),
        _ => (Some("num_inference_steps"), Some("guidance_scale")),
    };
    if let Some(steps) = steps {
        push_some(&mut fields.text, steps, prompt.steps);
    }
    if let Some(guidance) = guidance {
        push_some(&mut fields.text, guidance, finite(prompt.guidance));
    }
    push_some(&mut fields.text, "seed", prompt.seed);
}

const PNG: &str = "image/png";

pub(crate) fn edit(
    upstream: &Upstream,
    prompt: &PicturePrompt,
    (image, kind): (&Chunks, &str),
    mask: Option<&Chunks>,
    strength: Option<f32>,
    boundary: &str,
) -> Result<Request, Reason> {
    match (upstream.wire, mask) {
        (Wire::Fal, mask) => job(upstream, |fields| {
            wishes(fields, prompt, Wire::Fal, mask.is_none());
            fields.data("image_url", kind, image, false);
            match mask {
                Some(mask) => fields.data("mask_url", PNG, mask, false),
                None => fields.data("image_urls", kind, image, true),
            }
            push_some(&mut fields.text, "strength", finite(strength));
        }),
        (Wire::Replicate, Some(mask)) => job(upstream, |fields| {
            wishes(fields, prompt, Wire::Replicate, false);
            fields.data("image", kind, image, false);
            fields.data("mask", PNG, mask, false);
        }),
        // Its models differ in the name by which they take the picture.
        (Wire::Replicate, None) => job(upstream, |fields| {
            wishes(fields, prompt, Wire::Replicate, false);
            for (name, list) in [("image", false), ("images", true), ("input_image", false), ("input_images", true)] {
                fields.data(name, kind, image, list);
            }
            push_some(&mut fields.text, "prompt_strength", finite(strength));
        }),
        (Wire::Together, None) => {
            let mut fields = open(upstream);
            wishes(&mut fields, prompt, Wire::Together, true);
            let id = upstream.id.to_ascii_lowercase();
            match id.contains("flux.1") && id.contains("kontext") {
                true => fields.data("image_url", kind, image, false),
                false => fields.data("reference_images", kind, image, true),
            }
            Ok(Request::task("/images/generations".to_owned(), fields.done("}")))
        }
        (Wire::OpenAi, None) => {
            let size = format!("{}x{}", prompt.width, prompt.height);
            let id = upstream.id.as_str();
            let fields = [("model", id), ("prompt", &prompt.text), ("size", &size), ("response_format", "b64_json")];
            Ok(form("/images/edits", boundary, &fields, "image", "image.png", kind, image))
        }
        _ => Err(Reason::UnknownModel(upstream.id.clone())),
    }
}

pub(crate) fn embed(upstream: &Upstream, texts: &[String]) -> Request {
    let mut list = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        list.push(if index == 0 { b'[' } else { b',' });
        json::push_text(&mut list, text);
    }
    list.push(b']');
    let list = String::from_utf8_lossy(&list);
    if upstream.wire == Wire::Tei {
        return Request::task("/embed".to_owned(), Body::text(format!("{{\"inputs\":{list}}}")));
    }
    let mut fields = open(upstream);
    fields.raw("input", &list);
    fields.text("encoding_format", "float");
    Request::task("/embeddings".to_owned(), fields.done("}"))
}

/// What a request is told by in tests.
#[cfg(test)]
pub(crate) fn path(request: &Request) -> &str {
    match &request.target {
        crate::request::Target::Task(path) => path,
        crate::request::Target::Chat => panic!("a chat has no path of its own"),
    }
}

#[cfg(test)]
mod tests;
