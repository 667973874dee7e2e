//! Chat: an answer that quotes the question.

use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::errors;
use crate::tasks::Call;
use crate::tasks::body;

const CREATED: u64 = 1_790_000_000;

/// What a question gets, whole or in pieces.
struct Said {
    pieces: Vec<String>,
    finish: &'static str,
    usage: Value,
}

pub(crate) fn answer(call: &Call<'_>) -> Result<Answer, Answer> {
    let asked = body::object(call)?;
    check(&asked)?;
    let said = said(&asked);
    let answer = if asked.get("stream") == Some(&Value::Bool(true)) {
        Answer::events(events(call, &asked, &said))
    } else {
        Answer::json(
            200,
            &json!({
                "id": "chatcmpl-standin",
                "object": "chat.completion",
                "created": CREATED,
                "model": call.model,
                "system_fingerprint": "fp_standin",
                "choices": [{
                    "index": 0,
                    "message": { "role": "assistant", "content": said.pieces.concat() },
                    "logprobs": null,
                    "finish_reason": said.finish,
                }],
                "usage": said.usage,
            }),
        )
    };
    Ok(answer.with("x-inference-provider", "standin"))
}

/// A short answer that needs no reading of the question: what a benchmark's upstream sends.
pub(crate) fn fixed() -> Vec<u8> {
    json!({
        "id": "chatcmpl-fixed", "object": "chat.completion", "created": CREATED, "model": "fixed/model",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "The capital of France is Paris." },
            "logprobs": null, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 24, "completion_tokens": 8, "total_tokens": 32 },
    })
    .to_string()
    .into_bytes()
}

fn check(asked: &Map<String, Value>) -> Result<(), Answer> {
    let mut problems = Vec::new();
    let mut wrong = |good: bool, name: &str| {
        if !good {
            problems.push(format!("Input should be valid: received `{name}`"));
        }
    };
    let given = |name: &str| asked.get(name).filter(|value| !value.is_null());
    wrong(given("model").is_some_and(Value::is_string), "model");
    wrong(given("max_tokens").is_none_or(|value| value.as_u64().is_some_and(|tokens| tokens > 0)), "max_tokens");
    wrong(
        given("temperature").is_none_or(|value| value.as_f64().is_some_and(|value| (0.0..=2.0).contains(&value))),
        "temperature",
    );
    wrong(given("stream").is_none_or(Value::is_boolean), "stream");
    let messages = asked.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty());
    wrong(messages.is_some(), "messages");
    for (index, message) in messages.into_iter().flatten().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        wrong(["system", "user", "assistant", "tool"].contains(&role), &format!("messages[{index}].role"));
        let content = message.get("content").unwrap_or(&Value::Null);
        wrong(content.is_string() || content.is_array() || content.is_null(), &format!("messages[{index}].content"));
    }
    if problems.is_empty() { Ok(()) } else { Err(errors::refused(&problems)) }
}

fn said(asked: &Map<String, Value>) -> Said {
    let messages = asked["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |message: &Value| match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    };
    let question = messages.iter().rev().find(|message| message["role"] == "user").map(text).unwrap_or_default();
    let whole = format!("You said: {question}");
    let mut pieces: Vec<String> = whole.split_inclusive(' ').map(str::to_owned).collect();
    let limit = asked.get("max_tokens").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let cut = pieces.len() as u64 > limit;
    if cut {
        pieces.truncate(limit as usize);
    }
    let prompt: usize = messages.iter().map(|message| text(message).split_whitespace().count()).sum();
    let usage = json!({
        "prompt_tokens": prompt,
        "completion_tokens": pieces.len(),
        "total_tokens": prompt + pieces.len(),
    });
    Said { pieces, finish: if cut { "length" } else { "stop" }, usage }
}

fn events(call: &Call<'_>, asked: &Map<String, Value>, said: &Said) -> Vec<String> {
    let tgi = call.named("tgi");
    let end = if call.named("crlf") { "\r\n\r\n" } else { "\n\n" };
    let event = |data: &Value| format!("data: {data}{end}");
    let chunk = |delta: Value, finish: Option<&str>| {
        let mut chunk = json!({
            "id": if tgi { "" } else { "chatcmpl-standin" },
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": call.model,
            "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }],
        });
        if tgi {
            chunk["usage"] = Value::Null;
        }
        event(&chunk)
    };
    let mut events = Vec::with_capacity(said.pieces.len() + 4);
    if tgi {
        events.push(format!(": {end}"));
        let last = said.pieces.len().saturating_sub(1);
        for (index, piece) in said.pieces.iter().enumerate() {
            let finish = (index == last).then_some(said.finish);
            events.push(chunk(json!({ "role": "assistant", "content": piece }), finish));
        }
    } else {
        events.push(chunk(json!({ "role": "assistant", "content": "" }), None));
        events.extend(said.pieces.iter().map(|piece| chunk(json!({ "content": piece }), None)));
        events.push(chunk(json!({}), Some(said.finish)));
    }
    if asked.get("stream_options").is_some_and(|options| options["include_usage"] == true) {
        events.push(event(&json!({
            "id": "chatcmpl-standin", "object": "chat.completion.chunk", "created": CREATED, "model": call.model,
            "choices": [], "usage": said.usage,
        })));
    }
    if !call.named("nodone") {
        events.push(format!("data: [DONE]{end}"));
    }
    events
}

/// The event that some providers send when they break down in the middle.
pub(crate) fn error_event() -> String {
    let error =
        json!({ "message": "upstream closed", "type": "server_error", "param": null, "code": "upstream_error" });
    format!("data: {}\n\n", json!({ "error": error }))
}
