//! A chat's answer as it streams in: server-sent events, and the dialects of those who send them.

use hybrid_guest::types::{Token, Usage};

use crate::chat;
use crate::error::{Fault, in_stream};
use hybrid_guest::json::{self, Members};

/// Longer events are no piece of an answer.
const MAX_EVENT: usize = 1024 * 1024;

/// Lines put together to events, however the network cut them.
#[derive(Default)]
struct Events {
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// A `\r` ended the last piece: a `\n` that follows belongs to it.
    after_return: bool,
}

impl Events {
    /// Takes the next bytes and calls `each` with the data of every event that they complete.
    fn feed(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        if self.after_return {
            self.after_return = bytes.is_empty();
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            let returned = bytes[end] == b'\r';
            self.after_return = returned && rest.is_empty();
            bytes = if returned { rest.strip_prefix(b"\n").unwrap_or(rest) } else { rest };
            if self.line.is_empty() {
                self.take_line(line, each)?;
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.take_line(&whole, each)?;
            }
        }
        self.line.extend_from_slice(bytes);
        if self.line.len() + self.data.len() > MAX_EVENT {
            return Err(Fault::useless("the model's answer came in a piece too long to be one"));
        }
        Ok(())
    }

    /// Takes what was cut off before its empty line, as some servers end.
    fn end(&mut self, each: &mut impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        let line = std::mem::take(&mut self.line);
        self.take_line(&line, each)?;
        self.take_line(b"", each)
    }

    fn take_line(&mut self, line: &[u8], each: &mut impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                let outcome = each(&self.data);
                self.data.clear();
                return outcome;
            }
        } else if let Some(data) = line.strip_prefix(b"data:") {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
            self.has_data = true;
        }
        // Comments (`:` first) keep the line alive; `event`, `id` and `retry` say nothing here.
        Ok(())
    }
}

/// A streamed answer: bytes in, tokens out.
#[derive(Default)]
pub(crate) struct Answer {
    events: Events,
    reading: Reading,
}

#[derive(Default)]
struct Reading {
    /// Why the first choice ended; held until the others have, too.
    finish: Option<String>,
    /// Choices after the first that have begun and not ended.
    open: Vec<u32>,
    done: bool,
    /// Held until the end: some send it with every chunk, some after the last.
    usage: Option<Usage>,
}

impl Answer {
    /// Takes the next bytes; the tokens they complete are appended to `out`. After a fault nothing more may be fed.
    pub(crate) fn feed(&mut self, bytes: &[u8], out: &mut Vec<Token>) -> Result<(), Fault> {
        let Answer { events, reading } = self;
        events.feed(bytes, &mut |data| reading.take(data, out))
    }

    /// Nothing more will be said; what the sender still sends can be left unread.
    pub(crate) fn is_done(&self) -> bool {
        self.reading.done
    }

    /// The upstream has ended, with its `[DONE]` or without: the last tokens, or a fault when the model had not finished.
    pub(crate) fn end(&mut self, out: &mut Vec<Token>) -> Result<(), Fault> {
        let Answer { events, reading } = self;
        let cut = if reading.done { Ok(()) } else { events.end(&mut |data| reading.take(data, out)) };
        match reading.finish.take() {
            Some(word) if reading.open.is_empty() => out.push(Token::Finished(word)),
            _ => {
                cut?;
                return Err(Fault::garbage("the model's answer ended too early"));
            }
        }
        out.extend(reading.usage.take().map(Token::Usage));
        Ok(())
    }
}

impl Reading {
    fn take(&mut self, data: &[u8], out: &mut Vec<Token>) -> Result<(), Fault> {
        if self.done {
            return Ok(());
        }
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        if data.is_empty() {
            return Ok(());
        }
        let garbled = || Fault::garbage("a piece of the model's answer could not be read");
        let data = std::str::from_utf8(data).map_err(|_| garbled())?;
        let chunk = json::members(data).ok_or_else(garbled)?;
        let get = |name: &str| json::get(&chunk, name);
        if get("error").is_some() {
            return Err(in_stream(data));
        }
        if let Some(usage) = get("usage").and_then(chat::usage) {
            self.usage = Some(usage);
        }
        let choices = get("choices").and_then(json::elements).unwrap_or_default();
        for choice in choices.iter().filter_map(|choice| json::members(choice.get())) {
            self.take_choice(&choice, out);
        }
        Ok(())
    }

    fn take_choice(&mut self, choice: &Members<'_>, out: &mut Vec<Token>) {
        let index: u32 = json::get(choice, "index").and_then(|index| index.parse().ok()).unwrap_or_default();
        let delta = json::get(choice, "delta").and_then(json::members).unwrap_or_default();
        let finish = json::get(choice, "finish_reason").and_then(json::text);
        let finish = finish.as_deref().map(chat::finish_word);
        let logprobs = json::get(choice, "logprobs");
        if index == 0 {
            if self.finish.is_some() {
                return;
            }
            if logprobs.is_some() {
                out.push(Token::Choice(chat::choice_piece(0, &delta, logprobs, None)));
            } else {
                out.extend(chat::content(&delta).filter(|text| !text.is_empty()).map(Token::Text));
                out.extend(chat::more(&delta).map(Token::More));
            }
            self.finish = finish.map(str::to_owned);
            return;
        }
        self.open.retain(|open| *open != index);
        if finish.is_none() {
            self.open.push(index);
        }
        let says = chat::content(&delta).is_some_and(|text| !text.is_empty()) || chat::more(&delta).is_some();
        if says || logprobs.is_some() || finish.is_some() {
            out.push(Token::Choice(chat::choice_piece(index, &delta, logprobs, finish)));
        }
    }
}

#[cfg(test)]
mod tests {
    use hybrid_guest::types::Reason;

    use super::*;
    use crate::tests::reply;

    /// The tokens of an answer that came in these pieces, in words; a fault as the last of them.
    fn heard<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let (mut answer, mut out, mut fault) = (Answer::default(), Vec::new(), None);
        for piece in pieces {
            if let Err(found) = answer.feed(piece, &mut out) {
                fault = Some(found);
                break;
            }
        }
        let fault = fault.or_else(|| answer.end(&mut out).err());
        let word = |token: &Token| match token {
            Token::Text(text) => format!("text {text}"),
            Token::More(more) => format!("more {more}"),
            Token::Choice(choice) => format!("choice {choice}"),
            Token::Finished(word) => format!("finished {word}"),
            Token::Usage(usage) => format!("usage {} {}", usage.prompt_tokens, usage.completion_tokens),
            Token::Failed(_) => panic!("a fault is not a token here"),
        };
        let told = fault.map(|fault| match fault.reason {
            Reason::Failed(failure) | Reason::Unavailable(failure) => format!("fault {}", failure.message),
            other => format!("fault {other:?}"),
        });
        out.iter().map(word).chain(told).collect()
    }

    fn recorded(name: &str) -> Vec<String> {
        let bytes = reply(name);
        let whole = heard([bytes.as_slice()]);
        assert_eq!(heard(bytes.chunks(1)), whole, "{name} byte by byte");
        for at in 0..bytes.len() {
            assert_eq!(heard([&bytes[..at], &bytes[at..]]), whole, "{name} cut at {at}");
        }
        for (from, to) in [("\n", "\r\n"), ("\n", "\r"), ("data: ", "data:")] {
            let other = String::from_utf8(bytes.clone()).expect("text").replace(from, to).into_bytes();
            for at in 0..other.len() {
                assert_eq!(heard([&other[..at], &other[at..]]), whole, "{name} with {to:?} cut at {at}");
            }
        }
        whole
    }

    #[test]
    fn every_recorded_dialect_is_understood_wherever_it_is_cut() {
        for (name, wanted) in [
            ("basic", vec!["text Spring", "text  tide.", "finished stop"]),
            ("usage", vec!["text Hi", "finished stop", "usage 3 1"]),
            ("usage-every-chunk", vec!["text Hi", "finished stop", "usage 3 2"]),
            ("usage-nonempty-choices", vec!["text Hi", "finished stop", "usage 3 1"]),
            ("tgi", vec!["text Hi", "text !", "finished stop"]),
            ("no-done", vec!["text Hi", "finished length", "usage 3 1"]),
            ("error-openai", vec!["text Hi", "fault upstream closed"]),
            ("error-tgi-openai", vec!["text Hi", "fault Incomplete generation"]),
            ("error-tgi-native", vec!["fault Model is overloaded"]),
        ] {
            assert_eq!(recorded(&format!("chat.stream.{name}.sse")), wanted, "{name}");
        }
    }

    #[test]
    fn tool_calls_come_as_pieces() {
        let tokens = recorded("chat.stream.tools.sse");
        assert_eq!(tokens.len(), 4);
        assert!(tokens[0].starts_with(r#"more {"tool_calls":[{"index":0,"id":"call_1""#), "{tokens:?}");
        assert_eq!(tokens[3], "finished tool_calls");
    }

    #[test]
    fn several_choices_are_told_apart() {
        let chunk = |choice: &str| format!("data: {{\"choices\":[{choice}]}}\n\n");
        let both = [
            chunk(r#"{"index":0,"delta":{"content":"a"}}"#),
            chunk(r#"{"index":1,"delta":{"role":"assistant","content":""}}"#),
            chunk(r#"{"index":0,"delta":{},"finish_reason":"stop"},{"index":1,"delta":{"content":"b"}}"#),
        ]
        .concat();
        let end = chunk(r#"{"index":1,"delta":{},"finish_reason":"length"}"#);
        let second = r#"choice {"index":1,"delta":{"content":"b"},"logprobs":null,"finish_reason":null}"#;
        let over = r#"choice {"index":1,"delta":{},"logprobs":null,"finish_reason":"length"}"#;
        assert_eq!(heard([(both.clone() + &end).as_bytes()]), ["text a", second, over, "finished stop"]);
        assert_eq!(heard([both.as_bytes()]), ["text a", second, "fault the model's answer ended too early"]);
        let likely = chunk(r#"{"index":0,"delta":{"content":"a"},"logprobs":{"content":[1]},"finish_reason":"stop"}"#);
        let piece = r#"choice {"index":0,"delta":{"content":"a"},"logprobs":{"content":[1]},"finish_reason":null}"#;
        assert_eq!(heard([likely.as_bytes()]), [piece, "finished stop"]);
    }

    #[test]
    fn an_answer_that_breaks_off_is_a_fault() {
        let bytes = reply("chat.stream.basic.sse");
        let text = String::from_utf8(bytes).expect("text");
        let cut = text.find("finish_reason\":\"stop").expect("there");
        let heard_of = |text: &str| heard([text.as_bytes()]);
        assert_eq!(
            heard_of(&text[..cut]).last().expect("tokens"),
            "fault a piece of the model's answer could not be read"
        );
        let early = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
        assert_eq!(heard_of(early), ["text a", "fault the model's answer ended too early"]);
        assert_eq!(
            heard_of(&format!("{early}data: [DONE]\n\n")),
            ["text a", "fault the model's answer ended too early"]
        );
        assert_eq!(heard_of(""), ["fault the model's answer ended too early"]);
    }

    #[test]
    fn events_may_span_lines_and_carry_other_fields() {
        let text = "event: x\nid: 1\n: hello\nretry: 5\ndata: {\"choices\":[{\"delta\":\ndata: {\"content\":\"a\"},\
                    \ndata: \"finish_reason\":\"eos_token\"}]}";
        assert_eq!(heard([text.as_bytes()]), ["text a", "finished stop"]);
    }

    #[test]
    fn endless_events_are_refused() {
        let (mut answer, mut out) = (Answer::default(), Vec::new());
        let piece = vec![b'x'; 100_000];
        let fault = (0..20).find_map(|_| answer.feed(&piece, &mut out).err());
        assert!(fault.is_some());
    }
}
