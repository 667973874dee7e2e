//! A chat's answer: whole, and what whole and streamed answers share.

use std::borrow::Cow;

use hybrid_guest::types::{Completion, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Fault, in_stream};
use crate::json::{self, Members};

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

/// Reads a whole answer. Further choices than the first are nobody's wish here.
pub(crate) fn completion(body: &str) -> Result<Completion, Fault> {
    let answer: Answer<'_> =
        serde_json::from_str(body).map_err(|_| Fault::garbage("the model's answer could not be read"))?;
    let Some(choice) = answer.choices.first() else {
        return Err(match answer.error {
            Some(_) => in_stream(body),
            None => Fault::garbage("the model's answer holds nothing"),
        });
    };
    let members = choice.message.and_then(|message| json::members(message.get()));
    let members = members.ok_or_else(|| Fault::garbage("the model's answer holds no message"))?;
    let text = content(&members);
    let more = more(&members);
    let finish = choice.finish_reason.and_then(|word| json::text(word.get()));
    let finish_reason = match finish {
        Some(word) => finish_word(&word).to_owned(),
        None if more.as_deref().is_some_and(|more| more.contains("\"tool_calls\"")) => "tool_calls".to_owned(),
        None => "stop".to_owned(),
    };
    Ok(Completion { text, finish_reason, usage: answer.usage.and_then(|raw| usage(raw.get())), more })
}

/// The text of a message or delta; it may come as a list of parts.
pub(crate) fn content(members: &Members<'_>) -> Option<String> {
    let (_, content) = members.iter().find(|(key, _)| key == "content")?;
    if let Some(text) = json::text(content.get()) {
        return Some(text.into_owned());
    }
    let parts = json::elements(content.get())?;
    let texts: Vec<_> = parts.iter().filter_map(|part| json::text(json::member(part.get(), "text")?.get())).collect();
    (!texts.is_empty()).then(|| texts.concat())
}

/// What a message or delta holds besides its text, as one JSON object: tool calls, reasoning. Numbers and flags are a
/// provider's bookkeeping, and empty things say nothing.
pub(crate) fn more(members: &Members<'_>) -> Option<String> {
    let mut out = String::new();
    for (key, value) in members {
        let value = value.get();
        let says = match value.as_bytes() {
            [b'"', b'"'] => false,
            [b'[', rest @ ..] | [b'{', rest @ ..] => rest.iter().any(|b| !b.is_ascii_whitespace() && !b"]}".contains(b)),
            [first, ..] => *first == b'"',
            [] => false,
        };
        if !says || matches!(&**key, "role" | "content") {
            continue;
        }
        out.push(if out.is_empty() { '{' } else { ',' });
        out.push_str(&serde_json::to_string(key).expect("a string is JSON"));
        out.push(':');
        out.push_str(&if key == "tool_calls" { tool_calls(value) } else { Cow::Borrowed(value) });
    }
    (!out.is_empty()).then(|| out + "}")
}

/// Tool calls with their arguments as text, as OpenAI has them; older servers send an object.
fn tool_calls(calls: &str) -> Cow<'_, str> {
    if !calls.contains("\"arguments\":{") && !calls.contains("\"arguments\": {") {
        return Cow::Borrowed(calls);
    }
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(calls) else { return Cow::Borrowed(calls) };
    for call in value.as_array_mut().into_iter().flatten() {
        if let Some(arguments) = call.pointer_mut("/function/arguments").filter(|arguments| arguments.is_object()) {
            *arguments = serde_json::Value::String(arguments.to_string());
        }
    }
    Cow::Owned(value.to_string())
}

/// OpenAI's word for why a model stopped.
pub(crate) fn finish_word(word: &str) -> &str {
    match word {
        "eos_token" | "stop_sequence" | "end_turn" => "stop",
        "max_tokens" => "length",
        "function_call" => "tool_calls",
        other => other,
    }
}

pub(crate) fn usage(json: &str) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Counted {
        prompt_tokens: Option<u32>,
        completion_tokens: Option<u32>,
        total_tokens: Option<u32>,
    }
    let counted: Counted = serde_json::from_str(json).ok()?;
    let prompt_tokens = counted.prompt_tokens?;
    let completion_tokens = counted.completion_tokens.unwrap_or_default();
    let total_tokens = counted.total_tokens.unwrap_or(prompt_tokens.saturating_add(completion_tokens));
    Some(Usage { prompt_tokens, completion_tokens, total_tokens })
}

#[cfg(test)]
mod tests {
    use hybrid_guest::types::Reason;

    use super::*;
    use crate::tests::reply;

    fn recorded(name: &str) -> Completion {
        completion(&String::from_utf8(reply(name)).expect("text")).expect("an answer")
    }

    #[test]
    fn recorded_answers_are_read() {
        let plain = recorded("chat.response.json");
        assert_eq!((plain.text.as_deref(), plain.finish_reason.as_str()), (Some("Spring tide."), "stop"));
        let usage = plain.usage.expect("counted");
        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (14, 4, 18));
        assert_eq!(plain.more, None);
        assert_eq!(recorded("chat.response.logprobs.json").finish_reason, "length");
    }

    #[test]
    fn tool_calls_and_reasoning_are_kept() {
        let called = recorded("chat.response.tool_calls.json");
        assert_eq!((called.text, called.finish_reason.as_str()), (None, "tool_calls"));
        let more: serde_json::Value = serde_json::from_str(&called.more.expect("calls")).expect("JSON");
        assert_eq!(more["tool_calls"][0]["function"]["arguments"], r#"{"port":"Brest"}"#);
        let thought = recorded("chat.response.reasoning.json").more.expect("thoughts");
        assert_eq!(thought, r#"{"reasoning":"The user wants one."}"#);
    }

    #[test]
    fn dialects_become_openai_s() {
        let body = r#"{"choices":[{"message":{"role":"assistant","content":[{"type":"text","text":"a"},{"text":"b"}],
            "token_id":3,"refusal":"","annotations":[],"tool_calls":[{"function":{"name":"f","arguments": {"x":1}}}]},
            "finish_reason":"eos_token"}],"usage":null}"#;
        let answer = completion(body).expect("an answer");
        assert_eq!((answer.text.as_deref(), answer.finish_reason.as_str()), (Some("ab"), "stop"));
        assert_eq!(answer.more.as_deref(), Some(r#"{"tool_calls":[{"function":{"arguments":"{\"x\":1}","name":"f"}}]}"#));
        assert!(answer.usage.is_none());
    }

    #[test]
    fn what_is_no_answer_is_a_fault() {
        for body in ["", "{", "[]", "{}", r#"{"choices":[]}"#, r#"{"choices":[{}]}"#, "<html>"] {
            assert!(matches!(completion(body).expect_err(body).reason, Reason::Failed(_)), "{body}");
        }
        let told = completion(r#"{"error":{"message":"no room","type":"overloaded"}}"#).expect_err("an error");
        assert!(matches!(told.reason, Reason::Unavailable(failure) if failure.message == "no room"));
    }
}
