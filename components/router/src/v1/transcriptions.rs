//! POST /v1/audio/transcriptions.

use hybrid_guest::types::Segment;

use super::chat::placeholder;
use super::{checked, quoted};
use crate::answer::{Answer, JSON};
use crate::bindings::hybrid::stt::stt;
use crate::body::{Body, sent};
use crate::head::Kind;
use crate::input::stt::code;
use crate::input::{Fields, Parameters, Problem, Wrong, check_any_model, problem};
use crate::multipart::{Chunks, Form};
use crate::refusal::Refusal;
use crate::serve::Visit;
use crate::stream::event;

const FILES: &[&str] = &["file"];
const TEXT: &str = "text/plain; charset=utf-8";

/// What the transcript comes as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Json,
    Text,
    Srt,
    Vtt,
    Verbose,
}

#[derive(Debug)]
struct Input {
    audio: Chunks,
    model: Option<String>,
    language: Option<String>,
    shape: Shape,
    /// Whether times of words are wanted, too.
    words: bool,
    events: bool,
}

fn parse(mut form: Form) -> Result<Input, Wrong> {
    let mut problems: Vec<Problem> = Vec::new();
    let audio = form.take_file("file").unwrap_or_default();
    if audio.is_empty() {
        problems.push(problem("file", "is required: a part of the form with the recording's bytes"));
    }
    let model = form.text("model").and_then(|model| match check_any_model(model, false) {
        Ok(named) => named.then(|| model.to_owned()),
        Err(message) => {
            problems.push(problem("model", message));
            None
        }
    });
    let language = form.text("language").map(code);
    if let Some(None) = language {
        problems.push(problem("language", "must be a language's ISO 639-1 code, like `en`"));
    }
    let shape = match form.text("response_format") {
        None | Some("json") => Shape::Json,
        Some("text") => Shape::Text,
        Some("srt") => Shape::Srt,
        Some("vtt") => Shape::Vtt,
        Some("verbose_json") => Shape::Verbose,
        Some(_) => {
            problems.push(problem("response_format", "must be `json`, `text`, `srt`, `verbose_json` or `vtt`"));
            Shape::Json
        }
    };
    let events = match form.text("stream") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            problems.push(problem("stream", "must be true or false"));
            false
        }
    };
    // The rules for a number are those of JSON.
    let body = form.json(&["temperature"]);
    let mut fields = Fields::read(body.as_bytes())?;
    fields.number("temperature", 0.0..=1.0);
    problems.extend(fields.into_problems());
    if !problems.is_empty() {
        return Err(Wrong::Invalid(problems));
    }
    let words = form.texts.iter().any(|(name, text)| name == "timestamp_granularities[]" && text.trim() == "word");
    Ok(Input { audio, model, language: language.flatten(), shape, words, events })
}

impl Input {
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.add("audio_bytes", self.audio.iter().map(Vec::len).sum::<usize>());
        parameters.maybe("language", self.language.as_deref());
        parameters.maybe("model", self.model.as_deref());
        parameters
    }
}

pub(crate) async fn answer(visit: Visit<'_>) -> Result<Answer, Refusal> {
    let Visit { head, request, parameters, limits, control, wrong } = visit;
    if head.kind() != Kind::Form {
        return Err(Refusal::unsupported("`multipart/form-data` with a file `file`"));
    }
    let content_type = head.get("content-type").unwrap_or_default();
    let form = Body::of(request, head, limits.form_bytes())?.form(content_type, FILES).await?;
    let input = checked(parse(form), wrong)?;
    *parameters = input.parameters();
    let Input { audio, model, language, shape, words, events } = input;
    let timestamps = matches!(shape, Shape::Srt | Shape::Vtt | Shape::Verbose);
    let recording = stt::Recording { audio: sent(audio), model, language, timestamps };
    let found = stt::transcribe(recording, control).await?;
    let mut labels = placeholder(&found.served).to_owned();
    // Where no model listened, an empty text does not mean that nothing was said.
    if found.served.placeholder {
        labels.push_str(r#","transcript_available":false"#);
    }
    if let (Shape::Verbose, Some(loudness)) = (&shape, found.loudness.filter(|it| it.is_finite())) {
        labels.push_str(&format!(r#","loudness_dbfs":{loudness}"#));
    }
    let text = found.text.trim();
    let answer = if events {
        let mut out = Vec::new();
        let quoted = quoted(text);
        event(None, format!(r#"{{"type":"transcript.text.delta","delta":{quoted}}}"#).as_bytes(), &mut out);
        event(None, format!(r#"{{"type":"transcript.text.done","text":{quoted}{labels}}}"#).as_bytes(), &mut out);
        Answer::bytes("text/event-stream", out).with("cache-control", "no-cache")
    } else {
        let spans = spans(text, &found.segments, found.duration);
        match shape {
            Shape::Json => Answer::bytes(JSON, format!(r#"{{"text":{}{labels}}}"#, quoted(text)).into_bytes()),
            Shape::Text => Answer::bytes(TEXT, format!("{text}\n").into_bytes()),
            Shape::Srt => Answer::bytes(TEXT, subtitles(&spans, ',').into_bytes()),
            Shape::Vtt => Answer::bytes(TEXT, format!("WEBVTT\n\n{}", subtitles(&spans, '.')).into_bytes()),
            Shape::Verbose => {
                let language = found.language.as_deref();
                let body = verbose(text, language, found.duration, &spans, words, &labels);
                Answer::bytes(JSON, body.into_bytes())
            }
        }
    };
    Ok(answer.by(&found.served).heard(found.duration))
}

/// Start and end in seconds, and what is said between.
type Span<'a> = (f64, f64, &'a str);

/// The segments, each with an end; one for the whole where the model told none.
fn spans<'a>(text: &'a str, segments: &'a [Segment], duration: Option<f64>) -> Vec<Span<'a>> {
    if segments.is_empty() {
        return if text.is_empty() { Vec::new() } else { vec![(0.0, duration.unwrap_or_default(), text)] };
    }
    let ends = segments.iter().skip(1).map(|next| Some(next.start)).chain([duration]);
    let of = |(segment, next): (&'a Segment, Option<f64>)| {
        let end = segment.end.or(next).unwrap_or(segment.start).max(segment.start);
        (segment.start, end, segment.text.as_str())
    };
    segments.iter().zip(ends).map(of).collect()
}

/// SubRip, whose fractions begin with a comma; WebVTT takes the same with a point.
fn subtitles(spans: &[Span<'_>], point: char) -> String {
    let mut out = String::new();
    for (index, (start, end, text)) in spans.iter().enumerate() {
        if point == ',' {
            out.push_str(&format!("{}\n", index + 1));
        }
        // An arrow or an empty line would end the cue.
        let text = text
            .trim()
            .replace("-->", "->")
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect::<Vec<_>>()
            .join("\n");
        out.push_str(&format!("{} --> {}\n{text}\n\n", clock(*start, point), clock(*end, point)));
    }
    out
}

fn clock(seconds: f64, point: char) -> String {
    let millis = (seconds.max(0.0) * 1000.0).round() as u64;
    let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{:03}", millis % 1000)
}

/// What models told no number for is 0, as OpenAI's clients want numbers.
fn verbose(
    text: &str,
    language: Option<&str>,
    duration: Option<f64>,
    spans: &[Span<'_>],
    words: bool,
    placeholder: &str,
) -> String {
    let duration = duration.or(spans.last().map(|(_, end, _)| *end)).unwrap_or_default();
    let number = |value: f64| serde_json::Value::from(if value.is_finite() { value } else { 0.0 });
    let segment = |(id, (start, end, text)): (usize, &Span<'_>)| {
        format!(
            r#"{{"id":{id},"seek":0,"start":{},"end":{},"text":{},"tokens":[],"temperature":0.0,"avg_logprob":0.0,"compression_ratio":0.0,"no_speech_prob":0.0}}"#,
            number(*start),
            number(*end),
            quoted(text)
        )
    };
    let segments: Vec<String> = spans.iter().enumerate().map(segment).collect();
    let words = if words {
        let all: Vec<String> = spans
            .iter()
            .flat_map(words_of)
            .map(|(start, end, word)| {
                format!(r#"{{"word":{},"start":{},"end":{}}}"#, quoted(word), number(start), number(end))
            })
            .collect();
        format!(",\"words\":[{}]", all.join(","))
    } else {
        String::new()
    };
    let (language, text, duration) = (quoted(language.map_or("", name)), quoted(text), number(duration));
    format!(
        r#"{{"task":"transcribe","language":{language},"duration":{duration},"text":{text},"segments":[{}]{words}{placeholder}}}"#,
        segments.join(",")
    )
}

/// The words of a span, as if each took as long as it has letters: models here tell times of segments alone.
fn words_of<'a>(&(start, end, text): &Span<'a>) -> Vec<Span<'a>> {
    let all = text.split_whitespace();
    let letters: usize = all.clone().map(|word| word.chars().count()).sum();
    let (mut at, each) = (start, (end - start) / letters.max(1) as f64);
    all.map(|word| {
        let begin = at;
        at += each * word.chars().count() as f64;
        (begin, at, word)
    })
    .collect()
}

/// OpenAI's name for a language; its code where we know none.
fn name(code: &str) -> &str {
    const NAMES: &[(&str, &str)] = &[
        ("ar", "arabic"),
        ("bg", "bulgarian"),
        ("ca", "catalan"),
        ("cs", "czech"),
        ("da", "danish"),
        ("de", "german"),
        ("el", "greek"),
        ("en", "english"),
        ("es", "spanish"),
        ("et", "estonian"),
        ("fa", "persian"),
        ("fi", "finnish"),
        ("fr", "french"),
        ("he", "hebrew"),
        ("hi", "hindi"),
        ("hr", "croatian"),
        ("hu", "hungarian"),
        ("id", "indonesian"),
        ("it", "italian"),
        ("ja", "japanese"),
        ("ko", "korean"),
        ("lt", "lithuanian"),
        ("lv", "latvian"),
        ("ms", "malay"),
        ("nl", "dutch"),
        ("no", "norwegian"),
        ("pl", "polish"),
        ("pt", "portuguese"),
        ("ro", "romanian"),
        ("ru", "russian"),
        ("sk", "slovak"),
        ("sl", "slovenian"),
        ("sr", "serbian"),
        ("sv", "swedish"),
        ("ta", "tamil"),
        ("th", "thai"),
        ("tr", "turkish"),
        ("uk", "ukrainian"),
        ("ur", "urdu"),
        ("vi", "vietnamese"),
        ("zh", "chinese"),
    ];
    NAMES.iter().find(|(known, _)| *known == code).map_or(code, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn form(texts: &[(&str, &str)]) -> Form {
        Form {
            texts: texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
            files: vec![("file".into(), vec![b"RIFF".to_vec()])],
            ..Form::default()
        }
    }

    #[test]
    fn a_form_is_read() {
        let input = parse(form(&[
            ("model", "whisper-1"),
            ("language", "de"),
            ("response_format", "verbose_json"),
            ("timestamp_granularities[]", "word"),
            ("timestamp_granularities[]", "segment"),
            ("temperature", "0.2"),
        ]))
        .expect("a recording");
        assert_eq!((input.shape, input.words, input.language.as_deref()), (Shape::Verbose, true, Some("de")));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let texts = [("model", "a b"), ("language", "german"), ("response_format", "xml"), ("temperature", "hot")];
        let wrong = parse(Form { files: Vec::new(), ..form(&texts) }).expect_err("it is refused");
        let Wrong::Invalid(problems) = wrong else { panic!("it is a form") };
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["file", "model", "language", "response_format", "temperature"]);
    }

    fn segment(start: f64, end: Option<f64>, text: &str) -> Segment {
        Segment { start, end, text: text.to_owned() }
    }

    #[test]
    fn subtitles_have_their_two_forms() {
        let segments = [segment(0.0, None, " The"), segment(3_661.5, None, " tide -->.")];
        let spans = spans("x", &segments, Some(3_662.0));
        assert_eq!(
            subtitles(&spans, ','),
            "1\n00:00:00,000 --> 01:01:01,500\nThe\n\n2\n01:01:01,500 --> 01:01:02,000\ntide ->.\n\n"
        );
        assert!(subtitles(&spans, '.').starts_with("00:00:00.000 --> 01:01:01.500\nThe\n\n01:"));
        assert_eq!(super::spans("all", &[], Some(2.0)), [(0.0, 2.0, "all")]);
    }

    #[test]
    fn the_long_answer_has_every_key() {
        let segments = [segment(0.0, Some(1.0), " The tide.")];
        let text = verbose("The tide.", Some("en"), None, &spans("The tide.", &segments, None), true, "");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&answer["language"], &answer["duration"]), (&"english".into(), &1.0.into()));
        for key in ["id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob", "no_speech_prob"] {
            assert!(answer["segments"][0].get(key).is_some(), "{key}");
        }
        assert_eq!((&answer["words"][1]["word"], &answer["words"][1]["end"]), (&"tide.".into(), &1.0.into()));
    }
}
