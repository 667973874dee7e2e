//! POST /v1/chat/completions.

use hybrid_guest::types::{Completion, Served, Usage};
use serde_json::value::RawValue;

use super::{checked, id, json, members, now, quoted, usage};
use crate::answer::{Answer, JSON};
use crate::bindings::hybrid::llm::llm as chats;
use crate::input::llm;
use crate::refusal::Refusal;
use crate::serve::Visit;
use crate::stream::{self, Dialect, event, one_line};

pub(crate) async fn answer(visit: Visit<'_>) -> Result<Answer, Refusal> {
    let Visit { head, request, parameters, limits, control, wrong } = visit;
    let body = json(head, request, limits.chat_bytes()).await?;
    let input = checked(llm::parse_openai(&body, limits), wrong)?;
    drop(body);
    *parameters = input.parameters();
    let id = id("chatcmpl", head);
    if input.stream {
        let dialect = Chunks::new(id, input.include_usage);
        return stream::answer(chats::complete_stream(input.conversation, input.model, control), dialect).await;
    }
    let by_chance = input.conversation.temperature != Some(0.0);
    let answer = chats::complete(input.conversation, input.model, control).await?;
    let told = Answer::bytes(JSON, whole(&id, now(), &answer.completion, &answer.served))
        .by(&answer.served)
        .tokens(answer.completion.usage.as_ref());
    Ok(told.repeatable(&answer.served, !by_chance))
}

fn whole(id: &str, created: u64, completion: &Completion, served: &Served) -> Vec<u8> {
    let choices = match &completion.choices {
        Some(choices) => choices.clone(),
        None => {
            let content = completion.text.as_deref().map_or_else(|| "null".to_owned(), quoted);
            let more = completion.more.as_deref().and_then(members).map(|more| format!(",{more}")).unwrap_or_default();
            let refusal = if more.contains("\"refusal\"") { "" } else { ",\"refusal\":null" };
            let finish = quoted(&completion.finish_reason);
            format!(
                r#"[{{"index":0,"message":{{"role":"assistant","content":{content}{refusal}{more}}},"logprobs":null,"finish_reason":{finish}}}]"#
            )
        }
    };
    let (id, model, usage) = (quoted(id), quoted(&served.model), usage(completion.usage.as_ref()));
    let placeholder = placeholder(served);
    format!(
        r#"{{"id":{id},"object":"chat.completion","created":{created},"model":{model},"choices":{choices},"usage":{usage}{placeholder}}}"#
    )
    .into_bytes()
}

/// What is not a model's work says so.
pub(super) fn placeholder(served: &Served) -> &'static str {
    if served.placeholder { ",\"placeholder\":true" } else { "" }
}

/// The pieces of a chat, as OpenAI's chunks.
struct Chunks {
    id: String,
    include_usage: bool,
    /// What every chunk begins and ends with.
    begin: String,
    end: String,
    /// Choices that have begun: the first piece of each says whose turn it is.
    begun: Vec<u32>,
}

impl Chunks {
    fn new(id: String, include_usage: bool) -> Chunks {
        Chunks { id, include_usage, begin: String::new(), end: String::new(), begun: Vec::new() }
    }

    fn chunk(&self, choice: &str, out: &mut Vec<u8>) {
        let (begin, end) = (&self.begin, &self.end);
        let usage = if self.include_usage { ",\"usage\":null" } else { "" };
        event(None, format!("{begin}[{choice}]{usage}{end}").as_bytes(), out);
    }

    /// A choice's delta, of which `inner` is what stands between the braces.
    fn delta(&mut self, index: u32, inner: &str, logprobs: &str, finish: &str, out: &mut Vec<u8>) {
        let role = if self.begun.contains(&index) {
            ""
        } else {
            self.begun.push(index);
            if inner.is_empty() { "\"role\":\"assistant\"" } else { "\"role\":\"assistant\"," }
        };
        let choice =
            format!(r#"{{"index":{index},"delta":{{{role}{inner}}},"logprobs":{logprobs},"finish_reason":{finish}}}"#);
        self.chunk(&choice, out);
    }
}

impl Dialect for Chunks {
    fn served(&mut self, served: Served) {
        let (id, created, model) = (quoted(&self.id), now(), quoted(&served.model));
        self.begin =
            format!(r#"{{"id":{id},"object":"chat.completion.chunk","created":{created},"model":{model},"choices":"#);
        self.end = format!("{}}}", placeholder(&served));
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        let inner = format!("\"content\":{}", quoted(text));
        self.delta(0, &inner, "null", "null", out);
    }

    fn more(&mut self, delta: &str, out: &mut Vec<u8>) {
        let delta = one_line(delta);
        self.delta(0, members(&delta).unwrap_or_default(), "null", "null", out);
    }

    fn choice(&mut self, choice: &str, out: &mut Vec<u8>) {
        #[derive(serde::Deserialize)]
        struct Choice<'a> {
            index: u32,
            #[serde(borrow)]
            delta: &'a RawValue,
            #[serde(borrow)]
            logprobs: Option<&'a RawValue>,
            #[serde(borrow)]
            finish_reason: Option<&'a RawValue>,
        }
        let choice = one_line(choice);
        let Ok(Choice { index, delta, logprobs, finish_reason }) = serde_json::from_str(&choice) else { return };
        let raw = |value: Option<&RawValue>| value.map_or("null", RawValue::get).to_owned();
        self.delta(index, members(delta.get()).unwrap_or_default(), &raw(logprobs), &raw(finish_reason), out);
    }

    fn done(&mut self, finish_reason: &str, counted: Option<&Usage>, out: &mut Vec<u8>) {
        self.delta(0, "", "null", &quoted(finish_reason), out);
        if self.include_usage {
            let (begin, end, usage) = (&self.begin, &self.end, one_line(&usage(counted)).into_owned());
            event(None, format!("{begin}[],\"usage\":{usage}{end}").as_bytes(), out);
        }
        event(None, b"[DONE]", out);
    }

    fn failed(&mut self, refusal: &Refusal, out: &mut Vec<u8>) {
        event(Some("error"), &super::problem(refusal).1, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn served(placeholder: bool) -> Served {
        Served { model: "a/b".into(), provider: "p".into(), attempts: 1, fallback_index: 0, placeholder }
    }

    fn counted() -> Usage {
        Usage { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3, more: None }
    }

    #[test]
    fn a_whole_answer_is_openais() {
        let completion = Completion {
            text: Some("\"hi\"\n".into()),
            finish_reason: "stop".into(),
            usage: Some(counted()),
            more: None,
            choices: None,
        };
        let answer: Value = serde_json::from_slice(&whole("chatcmpl-1", 7, &completion, &served(false))).expect("JSON");
        assert_eq!(
            answer,
            json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "a/b",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "\"hi\"\n", "refusal": null},
                    "logprobs": null, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}})
        );
        let completion = Completion {
            text: None,
            more: Some(r#"{"tool_calls":[{"id":"x"}]}"#.into()),
            choices: None,
            usage: None,
            finish_reason: "tool_calls".into(),
        };
        let answer: Value = serde_json::from_slice(&whole("c", 7, &completion, &served(true))).expect("JSON");
        let message = &answer["choices"][0]["message"];
        assert_eq!((&message["content"], &message["tool_calls"][0]["id"]), (&Value::Null, &"x".into()));
        assert_eq!((&answer["placeholder"], &answer["usage"]["total_tokens"]), (&true.into(), &0.into()));
    }

    fn events(include_usage: bool, say: impl FnOnce(&mut Chunks, &mut Vec<u8>)) -> Vec<Value> {
        let (mut chunks, mut out) = (Chunks::new("chatcmpl-1".into(), include_usage), Vec::new());
        chunks.served(served(false));
        say(&mut chunks, &mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        let data = text.split("\n\n").filter_map(|event| event.split_once("data: ")).map(|(_, data)| data);
        data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| data.into())).collect()
    }

    #[test]
    fn chunks_are_openais() {
        let told = events(true, |chunks, out| {
            chunks.text("Hi", out);
            chunks.more("{\"tool_calls\":[{\n\"index\":0}]}", out);
            chunks.choice(r#"{"index":1,"delta":{"content":"b"},"logprobs":null,"finish_reason":"length"}"#, out);
            chunks.done("stop", Some(&counted()), out);
        });
        assert_eq!(told.len(), 6);
        assert_eq!(told[0]["choices"][0]["delta"], json!({"role": "assistant", "content": "Hi"}));
        assert_eq!((&told[0]["object"], &told[0]["usage"]), (&"chat.completion.chunk".into(), &Value::Null));
        assert_eq!(told[1]["choices"][0]["delta"], json!({"tool_calls": [{"index": 0}]}));
        assert_eq!(told[2]["choices"][0]["delta"], json!({"role": "assistant", "content": "b"}));
        assert_eq!(
            (&told[2]["choices"][0]["index"], &told[2]["choices"][0]["finish_reason"]),
            (&1.into(), &"length".into())
        );
        assert_eq!(told[3]["choices"][0]["finish_reason"], "stop");
        assert_eq!((&told[4]["choices"], &told[4]["usage"]["total_tokens"]), (&json!([]), &3.into()));
        assert_eq!(told[5], "[DONE]");
    }

    #[test]
    fn a_broken_answer_is_never_done() {
        let told = events(false, |chunks, out| {
            chunks.text("Hi", out);
            chunks.failed(&Refusal::useless("it broke off"), out);
        });
        assert_eq!(told.len(), 2);
        assert!(told[0].get("usage").is_none());
        assert_eq!(told[1]["error"]["type"], "server_error");
    }
}
