//! POST /v1/completions: the older form of asking, answered by the same models as a chat of one turn.

use hybrid_guest::types::{Completion, Served, Usage};
use serde_json::Value;

use super::chat::placeholder;
use super::{checked, id, json, now, quoted, usage};
use crate::answer::{Answer, JSON};
use crate::bindings::hybrid::llm::llm as chats;
use crate::input::llm;
use crate::refusal::Refusal;
use crate::serve::Visit;
use crate::stream::{self, Dialect, event};

pub(crate) async fn answer(visit: Visit<'_>) -> Result<Answer, Refusal> {
    let Visit { head, request, parameters, limits, control, wrong } = visit;
    let body = json(head, request, limits.chat_bytes()).await?;
    let input = checked(llm::parse_prompt(&body, limits), wrong)?;
    drop(body);
    *parameters = input.parameters();
    let id = id("cmpl", head);
    if input.stream {
        let dialect = Pieces { id, include_usage: input.include_usage, begin: String::new(), end: "" };
        return stream::answer(chats::complete_stream(input.conversation, input.model, control), dialect).await;
    }
    let by_chance = input.conversation.temperature != Some(0.0);
    let answer = chats::complete(input.conversation, input.model, control).await?;
    let told = Answer::bytes(JSON, whole(&id, &answer.completion, &answer.served))
        .by(&answer.served)
        .tokens(answer.completion.usage.as_ref());
    Ok(told.repeatable(&answer.served, !by_chance))
}

fn begin(id: &str, served: &Served) -> String {
    let (id, created, model) = (quoted(id), now(), quoted(&served.model));
    format!(r#"{{"id":{id},"object":"text_completion","created":{created},"model":{model},"choices":"#)
}

fn choice(index: u64, text: &str, finish: Option<&str>) -> String {
    let (text, finish) = (quoted(text), finish.map_or_else(|| "null".to_owned(), quoted));
    format!(r#"{{"text":{text},"index":{index},"logprobs":null,"finish_reason":{finish}}}"#)
}

fn whole(id: &str, completion: &Completion, served: &Served) -> Vec<u8> {
    let all: Vec<Value> =
        completion.choices.as_deref().and_then(|all| serde_json::from_str(all).ok()).unwrap_or_default();
    let choices = if all.is_empty() {
        choice(0, completion.text.as_deref().unwrap_or_default(), Some(&completion.finish_reason))
    } else {
        let one = |(place, it): (usize, &Value)| {
            let text = it["message"]["content"].as_str().unwrap_or_default();
            choice(it["index"].as_u64().unwrap_or(place as u64), text, it["finish_reason"].as_str())
        };
        all.iter().enumerate().map(one).collect::<Vec<_>>().join(",")
    };
    let (begin, usage, end) = (begin(id, served), usage(completion.usage.as_ref()), placeholder(served));
    format!("{begin}[{choices}],\"usage\":{usage}{end}}}").into_bytes()
}

struct Pieces {
    id: String,
    include_usage: bool,
    begin: String,
    end: &'static str,
}

impl Pieces {
    fn piece(&self, choices: &str, usage: Option<&str>, out: &mut Vec<u8>) {
        let usage = match usage {
            Some(usage) => format!(",\"usage\":{usage}"),
            None if self.include_usage => ",\"usage\":null".to_owned(),
            None => String::new(),
        };
        let (begin, end) = (&self.begin, self.end);
        event(None, format!("{begin}[{choices}]{usage}{end}}}").as_bytes(), out);
    }
}

impl Dialect for Pieces {
    fn served(&mut self, served: Served) {
        (self.begin, self.end) = (begin(&self.id, &served), placeholder(&served));
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.piece(&choice(0, text, None), None, out);
    }

    /// This form has a place for text alone.
    fn more(&mut self, _: &str, _: &mut Vec<u8>) {}

    fn choice(&mut self, piece: &str, out: &mut Vec<u8>) {
        let piece: Value = serde_json::from_str(piece).unwrap_or_default();
        let text = piece["delta"]["content"].as_str().unwrap_or_default();
        let piece = choice(piece["index"].as_u64().unwrap_or_default(), text, piece["finish_reason"].as_str());
        self.piece(&piece, None, out);
    }

    fn done(&mut self, finish_reason: &str, counted: Option<&Usage>, out: &mut Vec<u8>) {
        self.piece(&choice(0, "", Some(finish_reason)), None, out);
        if self.include_usage {
            self.piece("", Some(&usage(counted)), out);
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

    #[test]
    fn an_answer_is_text() {
        let completion = Completion {
            text: Some("a".into()),
            finish_reason: "stop".into(),
            usage: None,
            more: None,
            choices: Some(
                r#"[{"index":0,"message":{"content":"a"},"finish_reason":"stop"},
                    {"index":1,"message":{"content":"b"},"finish_reason":"length"}]"#
                    .into(),
            ),
        };
        let served =
            Served { model: "a/b".into(), provider: "p".into(), attempts: 1, fallback_index: 0, placeholder: false };
        let answer: Value = serde_json::from_slice(&whole("cmpl-1", &completion, &served)).expect("JSON");
        assert_eq!((&answer["object"], &answer["choices"][1]["text"]), (&"text_completion".into(), &"b".into()));
        assert_eq!(answer["choices"][1]["finish_reason"], "length");
    }
}
