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
    /// A call of a tool, in place of words.
    call: Option<Value>,
    /// Answers to the one question.
    choices: u64,
    logprobs: bool,
}

impl Said {
    fn logprobs(&self, piece: &str) -> Value {
        match self.logprobs {
            true => json!({ "content": [{ "token": piece, "logprob": -0.5, "bytes": null, "top_logprobs": [] }] }),
            false => Value::Null,
        }
    }
}

pub(crate) fn answer(call: &Call<'_>) -> Result<Answer, Answer> {
    let asked = body::object(call)?;
    check(&asked)?;
    let said = said(call, &asked);
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
                "choices": (0..said.choices).map(|index| json!({
                    "index": index,
                    "message": match &said.call {
                        Some(call) => json!({ "role": "assistant", "content": null, "tool_calls": [call] }),
                        None => json!({ "role": "assistant", "content": said.pieces.concat() }),
                    },
                    "logprobs": said.logprobs(&said.pieces.concat()),
                    "finish_reason": said.finish,
                })).collect::<Vec<_>>(),
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

/// The same in pieces.
pub(crate) fn fixed_events() -> Vec<u8> {
    let chunk = |delta: Value, finish: Option<&str>| {
        let chunk = json!({
            "id": "chatcmpl-fixed", "object": "chat.completion.chunk", "created": CREATED, "model": "fixed/model",
            "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }],
        });
        format!("data: {chunk}\n\n")
    };
    let mut events = vec![chunk(json!({ "role": "assistant", "content": "" }), None)];
    let words = "The capital of France is Paris.".split_inclusive(' ');
    events.extend(words.map(|word| chunk(json!({ "content": word }), None)));
    events.push(chunk(json!({}), Some("stop")));
    events.push("data: [DONE]\n\n".to_owned());
    events.concat().into_bytes()
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

fn said(call: &Call<'_>, asked: &Map<String, Value>) -> Said {
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
    let name = asked.get("tools").map(|tools| tools[0]["function"]["name"].clone()).filter(|_| call.named("calls"));
    let called = name.map(|name| {
        let arguments = json!({ "asked": question }).to_string();
        json!({ "id": "call_standin", "type": "function", "function": { "name": name, "arguments": arguments } })
    });
    let finish = match (&called, cut) {
        (Some(_), _) => "tool_calls",
        (None, true) => "length",
        (None, false) => "stop",
    };
    let choices = asked.get("n").and_then(Value::as_u64).unwrap_or(1).clamp(1, 8);
    let logprobs = asked.get("logprobs") == Some(&Value::Bool(true));
    Said { pieces, finish, usage, call: called, choices, logprobs }
}

fn events(call: &Call<'_>, asked: &Map<String, Value>, said: &Said) -> Vec<String> {
    let tgi = call.named("tgi");
    let end = if call.named("crlf") { "\r\n\r\n" } else { "\n\n" };
    let event = |data: &Value| format!("data: {data}{end}");
    let chunk = |index: u64, delta: Value, finish: Option<&str>| {
        let logprobs = delta["content"].as_str().filter(|piece| !piece.is_empty()).map(|piece| said.logprobs(piece));
        let mut chunk = json!({
            "id": if tgi { "" } else { "chatcmpl-standin" },
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": call.model,
            "choices": [{ "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish }],
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
            events.push(chunk(0, json!({ "role": "assistant", "content": piece }), finish));
        }
    } else if let Some(call) = &said.call {
        // As providers send it: the name first, then the arguments piece by piece.
        let mut begun = call.clone();
        (begun["index"], begun["function"]["arguments"]) = (0.into(), "".into());
        events.push(chunk(0, json!({ "role": "assistant", "content": null, "tool_calls": [begun] }), None));
        let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
        for piece in arguments.split_inclusive(':') {
            events.push(chunk(0, json!({ "tool_calls": [{ "index": 0, "function": { "arguments": piece } }] }), None));
        }
        events.push(chunk(0, json!({}), Some(said.finish)));
    } else {
        let all = || 0..said.choices;
        events.extend(all().map(|index| chunk(index, json!({ "role": "assistant", "content": "" }), None)));
        for piece in &said.pieces {
            events.extend(all().map(|index| chunk(index, json!({ "content": piece }), None)));
        }
        events.extend(all().map(|index| chunk(index, json!({}), Some(said.finish))));
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
