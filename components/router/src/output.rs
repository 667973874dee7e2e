//! The JSON that goes out, in the plan's words.

use hybrid_guest::json;
use hybrid_guest::time;
use hybrid_guest::types::{Completion, Served, Usage};

use crate::input::Problem;
use crate::refusal::Refusal;
use crate::stream::{Dialect, event, one_line};

/// A JSON object written field by field, in the order given: for a whole tree of values there is no need.
struct Writer(Vec<u8>);

impl Writer {
    fn new(capacity: usize) -> Writer {
        Writer(Vec::with_capacity(capacity))
    }

    fn field<T: serde::Serialize + ?Sized>(&mut self, name: &str, value: &T) -> &mut Writer {
        self.name(name);
        serde_json::to_writer(&mut self.0, value)
            .expect("plain values are JSON, and memory does not fail to be written");
        self
    }

    fn text(&mut self, name: &str, text: &str) -> &mut Writer {
        self.name(name);
        json::push_text(&mut self.0, text);
        self
    }

    /// A value that is JSON already.
    fn raw(&mut self, name: &str, json: &str) -> &mut Writer {
        self.name(name);
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(if self.0.is_empty() { b"{\"" } else { b",\"" });
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    /// What is not a model's work says so.
    fn end(&mut self, served: Option<&Served>) -> Vec<u8> {
        if served.is_some_and(|served| served.placeholder) {
            self.field("placeholder", &true);
        }
        self.0.push(b'}');
        std::mem::take(&mut self.0)
    }
}

pub(crate) fn health(timestamp: &str) -> Vec<u8> {
    Writer::new(64).field("status", "healthy").field("timestamp", timestamp).end(None)
}

pub(crate) fn error(code: &str, message: &str, details: &[Problem], timestamp: &str) -> Vec<u8> {
    let mut fields = Writer::new(64 * details.len());
    for (index, problem) in details.iter().enumerate() {
        // Two things may be wrong with one field; the first is told.
        if !details[..index].iter().any(|earlier| earlier.field == problem.field) {
            let name = serde_json::Value::from(problem.field.as_str()).to_string();
            fields.field(&name[1..name.len() - 1], &problem.message);
        }
    }
    let details = if fields.0.is_empty() { b"{}".to_vec() } else { fields.end(None) };
    let details = String::from_utf8(details).expect("JSON is UTF-8");
    Writer::new(256)
        .field("error", code)
        .field("message", message)
        .raw("details", &details)
        .field("timestamp", timestamp)
        .end(None)
}

pub(crate) fn completion(completion: &Completion, served: &Served) -> Vec<u8> {
    let text = completion.text.as_deref().unwrap_or_default();
    let mut writer = Writer::new(text.len() + text.len() / 8 + 192);
    writer.text("response", text).text("model", &served.model).field("tokens_used", &tokens(completion.usage.as_ref()));
    // Only where there is more than text: calls of tools, reasoning.
    if let Some(more) = &completion.more {
        writer.field("finish_reason", &completion.finish_reason).raw("message", more);
    }
    writer.end(Some(served))
}

fn tokens(usage: Option<&Usage>) -> Option<u32> {
    usage.map(|usage| usage.total_tokens)
}

pub(crate) fn embedding(values: &[f32], served: &Served) -> Vec<u8> {
    // A number takes about eleven characters.
    Writer::new(values.len() * 13 + 192)
        .field("embedding", values)
        .field("dimension", &values.len())
        .field("model", &served.model)
        .end(Some(served))
}

/// What speech was found in a recording.
pub(crate) struct Transcript<'a> {
    pub text: &'a str,
    pub language: Option<&'a str>,
    pub confidence: Option<f32>,
    pub duration: Option<f64>,
    /// Start, end, text.
    pub segments: Vec<(f64, Option<f64>, &'a str)>,
    /// dB of full scale.
    pub loudness: Option<f32>,
}

pub(crate) fn transcript(transcript: &Transcript<'_>, served: &Served) -> Vec<u8> {
    let mut writer = Writer::new(transcript.text.len() + 128 * transcript.segments.len() + 256);
    writer
        .field("text", transcript.text)
        .field("language", &transcript.language)
        .field("confidence", &transcript.confidence)
        .field("model", &served.model);
    if let Some(duration) = transcript.duration {
        writer.field("duration", &duration);
    }
    if !transcript.segments.is_empty() {
        let segments: Vec<_> = transcript
            .segments
            .iter()
            .map(|(start, end, text)| serde_json::json!({"start": start, "end": end, "text": text}))
            .collect();
        writer.field("segments", &segments);
    }
    if let Some(loudness) = transcript.loudness {
        writer.field("loudness_dbfs", &loudness);
    }
    // Where no model listened, an empty text does not mean that nothing was said.
    if served.placeholder {
        writer.field("transcript_available", &false);
    }
    writer.end(Some(served))
}

/// The pieces of a chat as server-sent events, in the plan's words.
#[derive(Default)]
pub(crate) struct Events {
    served: Option<Served>,
}

impl Dialect for Events {
    fn served(&mut self, served: Served) {
        self.served = Some(served);
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        event(None, &Writer::new(text.len() + 32).field("response", text).end(None), out);
    }

    fn more(&mut self, delta: &str, out: &mut Vec<u8>) {
        event(None, &Writer::new(delta.len() + 16).raw("delta", &one_line(delta)).end(None), out);
    }

    /// The plan's answer is the first choice.
    fn choice(&mut self, choice: &str, out: &mut Vec<u8>) {
        #[derive(serde::Deserialize)]
        struct Choice<'a> {
            index: u32,
            #[serde(borrow)]
            delta: Delta<'a>,
        }
        #[derive(serde::Deserialize)]
        struct Delta<'a> {
            #[serde(borrow)]
            content: Option<std::borrow::Cow<'a, str>>,
        }
        if let Ok(Choice { index: 0, delta: Delta { content: Some(text) } }) = serde_json::from_str(choice)
            && !text.is_empty()
        {
            self.text(&text, out);
        }
    }

    fn done(&mut self, finish_reason: &str, usage: Option<&Usage>, out: &mut Vec<u8>) {
        let mut data = Writer::new(192);
        data.field("done", &true)
            .field("model", &self.served.as_ref().map(|served| served.model.as_str()))
            .field("tokens_used", &tokens(usage))
            .field("finish_reason", finish_reason);
        event(None, &data.end(self.served.as_ref()), out);
    }

    fn failed(&mut self, refusal: &Refusal, out: &mut Vec<u8>) {
        event(Some("error"), &refusal.body(&time::now()), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::problem;

    fn served(placeholder: bool) -> Served {
        Served { model: "a/b".into(), provider: "p".into(), attempts: 1, fallback_index: 0, placeholder }
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn an_error_has_four_keys_always() {
        assert_eq!(
            text(error("not_found", "no", &[], "T")),
            r#"{"error":"not_found","message":"no","details":{},"timestamp":"T"}"#
        );
        let details = [problem("a\"b", "x"), problem("c", "y"), problem("c", "z")];
        assert_eq!(
            text(error("validation_error", "`a`", &details, "T")),
            r#"{"error":"validation_error","message":"`a`","details":{"a\"b":"x","c":"y"},"timestamp":"T"}"#
        );
    }

    #[test]
    fn health_is_exactly_the_plans() {
        assert_eq!(text(health("T")), r#"{"status":"healthy","timestamp":"T"}"#);
    }

    #[test]
    fn a_completion_is_the_plans() {
        let usage = Usage { prompt_tokens: 40, completion_tokens: 5, total_tokens: 45, more: None };
        let mut answer = Completion {
            text: Some("\"Paris\"\n".into()),
            finish_reason: "stop".into(),
            usage: Some(usage),
            more: None,
            choices: None,
        };
        assert_eq!(
            text(completion(&answer, &served(false))),
            r#"{"response":"\"Paris\"\n","model":"a/b","tokens_used":45}"#
        );
        (answer.usage, answer.text, answer.more) = (None, None, Some(r#"{"tool_calls":[]}"#.into()));
        assert_eq!(
            text(completion(&answer, &served(true))),
            r#"{"response":"","model":"a/b","tokens_used":null,"finish_reason":"stop","message":{"tool_calls":[]},"placeholder":true}"#
        );
    }

    #[test]
    fn an_embedding_has_the_shortest_numbers_that_are_the_same() {
        let values = [0.1_f32, -0.456, 1.0, 1e-8, f32::MIN_POSITIVE];
        let written = text(embedding(&values, &served(false)));
        let read: serde_json::Value = serde_json::from_str(&written).expect("JSON");
        let numbers: Vec<f32> = read["embedding"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| it.as_f64().expect("a number") as f32)
            .collect();
        assert_eq!(numbers, values);
        assert!(written.starts_with(r#"{"embedding":[0.1,-0.456,1.0,"#), "{written}");
        assert_eq!((&read["dimension"], &read["model"]), (&5.into(), &"a/b".into()));
    }

    #[test]
    fn a_transcript_says_what_is_not_known() {
        let mut answer = Transcript {
            text: "hi",
            language: Some("en"),
            confidence: None,
            duration: None,
            segments: Vec::new(),
            loudness: None,
        };
        assert_eq!(
            text(transcript(&answer, &served(false))),
            r#"{"text":"hi","language":"en","confidence":null,"model":"a/b"}"#
        );
        (answer.duration, answer.segments, answer.loudness) = (Some(1.5), vec![(0.0, None, "hi")], Some(-20.5));
        let read: serde_json::Value = serde_json::from_str(&text(transcript(&answer, &served(true)))).expect("JSON");
        assert_eq!(read["segments"][0], serde_json::json!({"start": 0.0, "end": null, "text": "hi"}));
        assert_eq!((&read["duration"], &read["placeholder"]), (&1.5.into(), &true.into()));
        assert_eq!((&read["transcript_available"], &read["loudness_dbfs"]), (&false.into(), &serde_json::json!(-20.5)));
    }

    #[test]
    fn events_are_lines() {
        let (mut events, mut out) = (Events::default(), Vec::new());
        events.served(served(false));
        events.text("a\nb", &mut out);
        events.more("{\n\"x\":1}", &mut out);
        events.choice(r#"{"index":0,"delta":{"content":"c"}}"#, &mut out);
        events.choice(r#"{"index":1,"delta":{"content":"d"}}"#, &mut out);
        events.done("stop", None, &mut out);
        events.failed(&Refusal::useless("no"), &mut out);
        let told = text(out);
        assert!(
            told.starts_with(
                "data: {\"response\":\"a\\nb\"}\n\ndata: {\"delta\":{ \"x\":1}}\n\ndata: {\"response\":\"c\"}\n\n\
                 data: {\"done\":true,\"model\":\"a/b\",\"tokens_used\":null,\"finish_reason\":\"stop\"}\n\n\
                 event: error\ndata: {\"error\":"
            ),
            "{told}"
        );
    }
}
