//! The providers that Hugging Face routes to, each with its own wire, and services that speak OpenAI's or TEI's.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::{ImageFormat, RgbImage};
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::errors;
use crate::media;
use crate::route::Task;
use crate::tasks::{Call, body, edit, features, transcribe};

/// Whose wire it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    Fal,
    Replicate,
    Together,
    Nscale,
    /// DeepInfra, and any service of one's own.
    OpenAi,
    Tei,
}

impl Provider {
    fn queues(self) -> bool {
        matches!(self, Provider::Fal | Provider::Replicate)
    }
}

/// Jobs of the providers that queue, by id.
#[derive(Default)]
pub(crate) struct Jobs(Mutex<HashMap<String, Job>>);

#[derive(Clone)]
struct Job {
    model: String,
    result: Value,
    looks: u32,
}

impl Jobs {
    fn put(&self, model: &str, result: Value) -> String {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = format!("job-{}", jobs.len() + 1);
        jobs.insert(id.clone(), Job { model: model.to_owned(), result, looks: 0 });
        id
    }

    fn look(&self, id: &str) -> Option<Job> {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let job = jobs.get_mut(id)?;
        job.looks += 1;
        Some(job.clone())
    }
}

/// What a model is asked for, by the fields of the body.
fn task(call: &Call<'_>, path: &str, fields: &Map<String, Value>) -> Task {
    let has = |name: &str| fields.contains_key(name);
    match () {
        () if path.ends_with("/embeddings") || path.ends_with("/embed") => Task::Features,
        () if path.ends_with("/speech") || has("text") => Task::Speak,
        () if has("audio_url") || has("audio") => Task::Transcribe,
        () if has("image") || has("image_url") || has("image_urls") || has("reference_images") => Task::Edit,
        () => Task::of_model(call.model).unwrap_or(Task::Draw),
    }
}

pub(crate) fn answer(call: &Call<'_>, provider: Provider, path: &str, jobs: &Jobs) -> Result<Answer, Answer> {
    if path.ends_with("/transcriptions") {
        return form_transcript(call);
    }
    let all = body::object(call)?;
    let fields = match provider {
        Provider::Replicate => all.get("input").and_then(Value::as_object).cloned().unwrap_or_default(),
        _ => all,
    };
    let done = match task(call, path, &fields) {
        Task::Features => return vectors(call, provider, &fields),
        Task::Speak => sound(call, provider, &fields)?,
        Task::Transcribe => heard(provider, &fields)?,
        Task::Edit => pictures(call, provider, edited(&fields)?),
        _ => {
            let (width, height) = size(provider, &fields)?;
            let seed = media::hash(text(&fields, "prompt")?) ^ fields.get("seed").and_then(Value::as_u64).unwrap_or(0);
            pictures(call, provider, media::picture(width, height, seed))
        }
    };
    let done = match done {
        Done::Bytes(kind, bytes) => return Ok(Answer::bytes(kind, bytes)),
        Done::Json(value) => value,
    };
    if !provider.queues() {
        return Ok(Answer::json(200, &done));
    }
    if provider == Provider::Replicate && !call.named("later") && !call.named("stuck") && !call.named("broken") {
        // It waits where it is asked to, and most are done in time.
        let waited = call.header("prefer") == "wait";
        let status = if waited { 201 } else { 202 };
        let output = if waited { done["output"].clone() } else { Value::Null };
        let id = jobs.put(call.model, done);
        return Ok(Answer::json(
            status,
            &json!({ "id": id, "status": "processing", "output": output, "error": null,
            "urls": { "get": format!("https://api.replicate.com/v1/predictions/{id}") } }),
        ));
    }
    let id = jobs.put(call.model, done);
    Ok(match provider {
        Provider::Replicate => Answer::json(
            202,
            &json!({ "id": id, "status": "starting", "output": null,
            "urls": { "get": format!("https://api.replicate.com/v1/predictions/{id}") } }),
        ),
        _ => {
            let url = format!("https://queue.fal.run/{}/requests/{id}", call.model);
            Answer::json(
                200,
                &json!({ "status": "IN_QUEUE", "request_id": id, "response_url": url,
                "status_url": format!("{url}/status"), "cancel_url": format!("{url}/cancel") }),
            )
        }
    })
}

/// How a queued job is doing: it runs when it is first looked at, and is done at the second look.
pub(crate) fn status(provider: Provider, id: &str, result: bool, jobs: &Jobs) -> Answer {
    let Some(job) = jobs.look(id) else { return errors::status(404) };
    let named = |word: &str| job.model.split(['-', '/', '_']).any(|part| part == word);
    let done = job.looks > 1 && !named("stuck");
    let broken = done && named("broken");
    match provider {
        Provider::Replicate => {
            let status = if broken {
                "failed"
            } else if done {
                "succeeded"
            } else {
                "processing"
            };
            let output = if done && !broken { job.result["output"].clone() } else { Value::Null };
            let error = if broken { json!("CUDA out of memory") } else { Value::Null };
            Answer::json(
                200,
                &json!({ "id": id, "status": status, "output": output, "error": error,
                "urls": { "get": format!("https://api.replicate.com/v1/predictions/{id}") } }),
            )
        }
        _ if result && broken => Answer::json(422, &json!({ "detail": "the job failed" })),
        _ if result => Answer::json(200, &job.result),
        _ => Answer::json(200, &json!({ "status": if done { "COMPLETED" } else { "IN_PROGRESS" }, "request_id": id })),
    }
}

enum Done {
    Json(Value),
    Bytes(&'static str, Vec<u8>),
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, Answer> {
    fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Answer {
    Answer::json(
        422,
        &json!({ "detail": [{ "loc": ["body", name], "msg": format!("Field required: {name}"), "type": "missing" }] }),
    )
}

fn size(provider: Provider, fields: &Map<String, Value>) -> Result<(u32, u32), Answer> {
    let side = |value: Option<&Value>| value.and_then(Value::as_u64).filter(|side| (1..=4096).contains(side));
    let sides = match provider {
        Provider::Fal => {
            let size = fields.get("image_size").ok_or_else(|| missing("image_size"))?;
            (side(size.get("width")), side(size.get("height")))
        }
        Provider::Nscale | Provider::OpenAi => {
            let (width, height) = text(fields, "size")?.split_once('x').ok_or_else(|| missing("size"))?;
            (width.parse().ok(), height.parse().ok())
        }
        _ => (side(fields.get("width")), side(fields.get("height"))),
    };
    match sides {
        (Some(width), Some(height)) => Ok((width as u32, height as u32)),
        _ => Err(missing("width")),
    }
}

/// Where a result lies: beside us, or where the model's name says that it is worth a try.
fn place(call: &Call<'_>, file: &str) -> String {
    match () {
        () if call.named("moved") => format!("{}/moved/{file}", call.origin),
        () if call.named("astray") => format!("{}/astray/{file}", call.origin),
        () if call.named("metadata") => format!("http://169.254.169.254/{file}"),
        () => format!("{}/files/{file}", call.origin),
    }
}

fn pictures(call: &Call<'_>, provider: Provider, picture: RgbImage) -> Done {
    let (width, height) = picture.dimensions();
    let url = place(call, &format!("{width}x{height}.png"));
    Done::Json(match provider {
        Provider::Fal => {
            json!({ "images": [{ "url": url, "width": width, "height": height, "content_type": "image/png" }],
            "seed": 7, "has_nsfw_concepts": [false], "prompt": "" })
        }
        Provider::Replicate => json!({ "output": [url] }),
        _ => {
            let (bytes, _) = media::encoded(picture, ImageFormat::Png);
            json!({ "created": 1_790_000_000, "data": [{ "index": 0, "b64_json": BASE64_STANDARD.encode(bytes) }] })
        }
    })
}

fn data_uri(value: &Value) -> Result<Vec<u8>, Answer> {
    let text = value.as_str().or_else(|| value.get(0).and_then(Value::as_str)).unwrap_or_default();
    let coded = text.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")).map(|(_, coded)| coded);
    body::base64(coded.ok_or_else(|| missing("data URI"))?, "data URI")
}

fn edited(fields: &Map<String, Value>) -> Result<RgbImage, Answer> {
    text(fields, "prompt")?;
    let find = |names: &[&str]| names.iter().find_map(|name| fields.get(*name));
    let image = find(&["image", "image_url", "reference_images"]).ok_or_else(|| missing("image"))?;
    let mask = find(&["mask", "mask_url"]).map(data_uri).transpose()?;
    edit::edited(&data_uri(image)?, mask.as_deref())
}

fn sound(call: &Call<'_>, provider: Provider, fields: &Map<String, Value>) -> Result<Done, Answer> {
    let said = text(fields, if provider.queues() { "text" } else { "input" })?;
    let samples = said.chars().count().max(5) * media::RATE as usize / 15;
    let url = place(call, &format!("{samples}.wav"));
    Ok(match provider {
        Provider::Fal => Done::Json(json!({ "audio": { "url": url, "content_type": "audio/wav" } })),
        Provider::Replicate => Done::Json(json!({ "output": url })),
        _ => {
            text(fields, "voice")?;
            Done::Bytes("audio/wav", media::wav(samples))
        }
    })
}

fn heard(provider: Provider, fields: &Map<String, Value>) -> Result<Done, Answer> {
    let audio = fields.get("audio_url").or_else(|| fields.get("audio")).ok_or_else(|| missing("audio"))?;
    if provider == Provider::Fal {
        let uri = audio.as_str().unwrap_or_default();
        let known = ["data:audio/mpeg;", "data:audio/x-wav;", "data:video/webm;"];
        if !known.iter().any(|kind| uri.starts_with(kind)) {
            return Err(Answer::json(422, &json!({ "detail": "unsupported audio" })));
        }
    }
    let text = transcribe::text(&data_uri(audio)?).ok_or_else(|| missing("audio"))?;
    Ok(Done::Json(match provider {
        Provider::Fal => json!({ "text": text, "chunks": [{ "timestamp": [0.0, 0.5], "text": text, "speaker": null }],
            "inferred_languages": ["en"] }),
        _ => json!({ "output": { "transcription": text, "segments": [] } }),
    }))
}

fn form_transcript(call: &Call<'_>) -> Result<Answer, Answer> {
    let boundary = call.header("content-type").split_once("multipart/form-data; boundary=").map(|(_, edge)| edge);
    let Some(boundary) = boundary else { return Err(errors::status(415)) };
    let part = |name: &str| part(call.body, boundary, name);
    part("model").ok_or_else(|| missing("model"))?;
    let audio = part("file").ok_or_else(|| missing("file"))?;
    let text = transcribe::text(audio).ok_or_else(|| errors::status(400))?;
    let language = part("language").and_then(|language| std::str::from_utf8(language).ok()).unwrap_or("en");
    Ok(Answer::json(
        200,
        &json!({ "text": text, "language": language,
        "segments": [{ "id": 0, "start": 0.0, "end": 0.5, "text": text }] }),
    ))
}

/// The content of a form's part.
pub(crate) fn part<'a>(body: &'a [u8], boundary: &str, name: &str) -> Option<&'a [u8]> {
    let find = |from: usize, what: &[u8]| {
        body[from..].windows(what.len()).position(|window| window == what).map(|at| from + at)
    };
    let head = find(0, format!("name=\"{name}\"").as_bytes())?;
    let start = find(head, b"\r\n\r\n")? + 4;
    let end = find(start, format!("\r\n--{boundary}").as_bytes())?;
    Some(&body[start..end])
}

fn vectors(call: &Call<'_>, provider: Provider, fields: &Map<String, Value>) -> Result<Answer, Answer> {
    let name = if provider == Provider::Tei { "inputs" } else { "input" };
    let texts: Vec<&str> = match fields.get(name) {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).collect(),
        _ => return Err(missing(name)),
    };
    if provider == Provider::Tei {
        let vectors: Vec<_> = texts.iter().map(|text| features::vector(text)).collect();
        return Ok(Answer::json(200, &json!(vectors)));
    }
    let item = |(index, text): (usize, &&str)| json!({ "object": "embedding", "index": index, "embedding": features::vector(text) });
    let data: Vec<Value> = texts.iter().enumerate().map(item).collect();
    Ok(Answer::json(
        200,
        &json!({ "object": "list", "model": call.model, "data": data,
        "usage": { "prompt_tokens": texts.len(), "total_tokens": texts.len() } }),
    ))
}
