//! A chat's answer: whole, and what whole and streamed answers share.

use std::borrow::Cow;

use hybrid_guest::types::{Completion, Usage};

use crate::error::{Fault, in_stream};
use hybrid_guest::json::{self, Members, Raw};

/// Reads a whole answer.
pub(crate) fn completion(body: &str) -> Result<Completion, Fault> {
    let answer = json::members(body).ok_or_else(|| Fault::garbage("the model's answer could not be read"))?;
    let choices = json::get(&answer, "choices").and_then(json::elements).unwrap_or_default();
    let Some(choice) = choices.first().and_then(|choice| json::members(choice.get())) else {
        return Err(match json::get(&answer, "error") {
            Some(_) => in_stream(body),
            None => Fault::garbage("the model's answer holds nothing"),
        });
    };
    let members = json::get(&choice, "message").and_then(json::members);
    let members = members.ok_or_else(|| Fault::garbage("the model's answer holds no message"))?;
    let text = content(&members);
    let more = more(&members);
    let finish_reason = finish_reason(&choice, more.as_deref());
    let tells_more = choices.len() > 1 || json::get(&choice, "logprobs").is_some();
    let choices = tells_more.then(|| self::choices(&choices));
    Ok(Completion { text, finish_reason, usage: json::get(&answer, "usage").and_then(usage), more, choices })
}

fn finish_reason(choice: &Members<'_>, more: Option<&str>) -> String {
    match json::get(choice, "finish_reason").and_then(json::text) {
        Some(word) => finish_word(&word).to_owned(),
        None if more.is_some_and(|more| more.contains("\"tool_calls\"")) => "tool_calls".to_owned(),
        None => "stop".to_owned(),
    }
}

/// All choices as a JSON list, in OpenAI's words.
fn choices(choices: &[Raw<'_>]) -> String {
    let mut out = String::from("[");
    for (place, choice) in choices.iter().enumerate() {
        let choice = json::members(choice.get()).unwrap_or_default();
        let message = json::get(&choice, "message").and_then(json::members).unwrap_or_default();
        let more = more(&message);
        let finish = finish_reason(&choice, more.as_deref());
        let index = json::get(&choice, "index").and_then(|index| index.parse().ok()).unwrap_or(place);
        if place > 0 {
            out.push(',');
        }
        out.push_str(&format!("{{\"index\":{index},\"message\":{{\"role\":\"assistant\",\"content\":"));
        out.push_str(&content(&message).map_or_else(|| "null".to_owned(), |text| json::quoted(&text)));
        if let Some(more) = more {
            out.push(',');
            out.push_str(&more[1..more.len() - 1]);
        }
        let logprobs = json::get(&choice, "logprobs").unwrap_or("null");
        out.push_str(&format!("}},\"logprobs\":{logprobs},\"finish_reason\":{}}}", json::quoted(&finish)));
    }
    out + "]"
}

/// A piece of a choice as one JSON object, in OpenAI's words. `finish` only for choices after the first.
pub(crate) fn choice_piece(index: u32, delta: &Members<'_>, logprobs: Option<&str>, finish: Option<&str>) -> String {
    let mut out = format!("{{\"index\":{index},\"delta\":{{");
    let text = content(delta).map(|text| format!("\"content\":{}", json::quoted(&text)));
    let more = more(delta).map(|more| more[1..more.len() - 1].to_owned());
    let parts: Vec<String> = [text, more].into_iter().flatten().collect();
    out.push_str(&parts.join(","));
    out.push_str(&format!("}},\"logprobs\":{},\"finish_reason\":", logprobs.unwrap_or("null")));
    out.push_str(&finish.map_or_else(|| "null".to_owned(), json::quoted));
    out + "}"
}

/// The text of a message or delta; it may come as a list of parts.
pub(crate) fn content(members: &Members<'_>) -> Option<String> {
    let content = json::get(members, "content")?;
    if let Some(text) = json::text(content) {
        return Some(text.into_owned());
    }
    let parts = json::elements(content)?;
    let texts: Vec<_> = parts.iter().filter_map(|part| json::text(json::member(part.get(), "text")?)).collect();
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
            [b'[', rest @ ..] | [b'{', rest @ ..] => {
                rest.iter().any(|b| !b.is_ascii_whitespace() && !b"]}".contains(b))
            }
            [first, ..] => *first == b'"',
            [] => false,
        };
        if !says || matches!(&**key, "role" | "content") {
            continue;
        }
        out.push(if out.is_empty() { '{' } else { ',' });
        out.push_str(&json::quoted(key));
        out.push(':');
        out.push_str(&if key == "tool_calls" { tool_calls(value) } else { Cow::Borrowed(value) });
    }
    (!out.is_empty()).then(|| out + "}")
}

/// Tool calls with their arguments as text, as OpenAI has them; older servers send an object.
fn tool_calls(calls: &str) -> Cow<'_, str> {
    let of = |call: Raw<'_>| json::member(json::member(call.get(), "function")?, "arguments").map(str::to_owned);
    let mut out = Cow::Borrowed(calls);
    for arguments in json::elements(calls).unwrap_or_default().into_iter().filter_map(of) {
        if arguments.starts_with('{') {
            out = Cow::Owned(out.replacen(&arguments, &json::quoted(&arguments), 1));
        }
    }
    out
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
    let counted = json::members(json)?;
    let count = |name: &str| json::get(&counted, name)?.parse().ok();
    let prompt_tokens: u32 = count("prompt_tokens")?;
    let completion_tokens = count("completion_tokens").unwrap_or_default();
    let total_tokens = count("total_tokens").unwrap_or(prompt_tokens.saturating_add(completion_tokens));
    let mut more = String::new();
    for (key, value) in counted.iter().filter(|(key, value)| key.ends_with("_details") && value.get().starts_with('{'))
    {
        more.push(if more.is_empty() { '{' } else { ',' });
        more.push_str(&format!("{}:{}", json::quoted(key), value.get()));
    }
    let more = (!more.is_empty()).then(|| more + "}");
    Some(Usage { prompt_tokens, completion_tokens, total_tokens, more })
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
        assert_eq!(
            answer.more.as_deref(),
            Some(r#"{"tool_calls":[{"function":{"name":"f","arguments": "{\"x\":1}"}}]}"#)
        );
        assert!(answer.usage.is_none() && answer.choices.is_none());
    }

    #[test]
    fn several_choices_and_probabilities_are_kept() {
        let body = r#"{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"},
            {"index":1,"message":{"content":null,"tool_calls":[{"id":"x"}]},"finish_reason":"eos_token","logprobs":{"content":[]}}],
            "usage":{"prompt_tokens":1,"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":1},"queue_time":0.1}}"#;
        let answer = completion(body).expect("an answer");
        assert_eq!(answer.text.as_deref(), Some("a"));
        assert_eq!(
            answer.choices.as_deref(),
            Some(
                r#"[{"index":0,"message":{"role":"assistant","content":"a"},"logprobs":null,"finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"x"}]},"logprobs":{"content":[]},"finish_reason":"stop"}]"#
            )
        );
        let more = answer.usage.expect("counted").more.expect("details");
        assert_eq!(more, r#"{"completion_tokens_details":{"reasoning_tokens":1}}"#);
        assert!(recorded("chat.response.logprobs.json").choices.expect("probabilities").contains("\"logprob\":"));
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
