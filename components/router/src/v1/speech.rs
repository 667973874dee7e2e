//! POST /v1/audio/speech.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use spin_sdk::wasip3::wit_bindgen::{StreamReader, StreamResult, StreamWriter, spawn};
use spin_sdk::wasip3::wit_stream;

use super::{checked, json};
use crate::answer::Answer;
use crate::bindings::hybrid::tts::tts::{self, Form};
use crate::input::{Fields, Parameters, Wrong, characters};
use crate::limits::{Limits, SPEAKER, SPEED};
use crate::refusal::Refusal;
use crate::serve::Visit;
use crate::stream::event;

/// Sound in one event: a multiple of three.
const EVENT_BYTES: usize = 24 * 1024;

#[derive(Debug)]
pub(crate) struct Input {
    text: String,
    model: Option<String>,
    speaker_id: Option<u32>,
    speed: Option<f32>,
    form: Form,
    events: bool,
}

pub(crate) fn parse(body: &[u8], limits: &Limits) -> Result<Input, Wrong> {
    let mut fields = Fields::read(body)?;
    let form = match fields.text("response_format").as_deref() {
        Some("flac") => Form::Flac,
        Some("pcm") => Form::Pcm,
        // There is no free encoder of these that fits into a component; what comes says truly that it is WAV, and every
        // player takes it. Clients ask for mp3 where their callers ask for nothing.
        None | Some("wav" | "mp3" | "opus" | "aac") => Form::Wav,
        Some(_) => {
            fields.problem("response_format", "must be `wav`, `flac` or `pcm`; `mp3`, `opus` and `aac` come as WAV");
            Form::Wav
        }
    };
    let events = match fields.text("stream_format").as_deref() {
        None | Some("audio") => false,
        Some("sse") => true,
        Some(_) => {
            fields.problem("stream_format", "must be `audio` or `sse`");
            false
        }
    };
    let input = Input {
        text: fields.required_text("input", limits.tts_chars),
        model: fields.any_model(false),
        speaker_id: speaker(&mut fields),
        speed: fields.number("speed", SPEED),
        form,
        events,
    };
    fields.finish(input)
}

/// A number is one of the model's voices; a name is of somebody else's, and means the model's own.
fn speaker(fields: &mut Fields<'_>) -> Option<u32> {
    let json = fields.raw("voice")?;
    let name = if json.starts_with('{') {
        #[derive(serde::Deserialize)]
        struct Voice {
            id: String,
        }
        serde_json::from_str::<Voice>(json).map(|voice| voice.id)
    } else {
        serde_json::from_str::<String>(json)
    };
    match name {
        Ok(name) => name.parse().ok().filter(|speaker| SPEAKER.contains(&u64::from(*speaker))),
        Err(_) => {
            fields.problem("voice", "must be a voice's name or number, as a text");
            None
        }
    }
}

impl Input {
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.add("text", characters(&self.text));
        parameters.maybe("speaker_id", self.speaker_id);
        parameters.maybe("model", self.model.as_deref());
        parameters
    }
}

pub(crate) async fn answer(visit: Visit<'_>) -> Result<Answer, Refusal> {
    let Visit { head, request, parameters, limits, control, wrong } = visit;
    let body = json(head, request, Limits::json_bytes(limits.tts_chars)).await?;
    let input = checked(parse(&body, limits), wrong)?;
    *parameters = input.parameters();
    let Input { text, model, speaker_id, speed, form, events } = input;
    let speech = tts::speak(tts::Utterance { text, model, speaker_id, speed, form }, control).await?;
    if !events {
        let answer = Answer::stream(&speech.audio.content_type, speech.audio.body).by(&speech.served);
        return Ok(answer.repeatable(&speech.served, true));
    }
    let (to, from) = wit_stream::new();
    spawn(deltas(speech.audio.body, to));
    Ok(Answer::stream("text/event-stream", from).with("cache-control", "no-cache").by(&speech.served))
}

/// The sound as events. Nobody counts tokens of speech.
async fn deltas(mut sound: StreamReader<u8>, mut to: StreamWriter<u8>) {
    let mut piece = Vec::with_capacity(EVENT_BYTES);
    let mut open = true;
    while open {
        while open && piece.len() < EVENT_BYTES {
            let result;
            (result, piece) = sound.read(piece).await;
            open = matches!(result, StreamResult::Complete(_));
        }
        let whole = if open { piece.len() / 3 * 3 } else { piece.len() };
        let mut out = Vec::new();
        if whole > 0 {
            let audio = STANDARD.encode(&piece[..whole]);
            event(None, format!(r#"{{"type":"speech.audio.delta","audio":"{audio}"}}"#).as_bytes(), &mut out);
            piece.drain(..whole);
        }
        if !open {
            const USAGE: &str = r#"{"input_tokens":0,"output_tokens":0,"total_tokens":0}"#;
            event(None, format!(r#"{{"type":"speech.audio.done","usage":{USAGE}}}"#).as_bytes(), &mut out);
        }
        if !to.write_all(out).await.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read() {
        let body = br#"{"model": "tts-1", "input": "hello", "voice": "alloy", "response_format": "mp3", "speed": 1.0,
            "instructions": "softly"}"#;
        let input = parse(body, &Limits::default()).expect("a text");
        assert_eq!(
            (input.text.as_str(), input.speaker_id, input.form, input.events),
            ("hello", None, Form::Wav, false)
        );
        let body = br#"{"input": "hello", "voice": {"id": "3"}, "response_format": "pcm", "stream_format": "sse"}"#;
        let input = parse(body, &Limits::default()).expect("a text");
        assert_eq!((input.speaker_id, input.form, input.events), (Some(3), Form::Pcm, true));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let body = br#"{"voice": 3, "response_format": "ogg", "stream_format": "x", "speed": 9}"#;
        let Err(Wrong::Invalid(problems)) = parse(body, &Limits::default()) else { panic!("it is invalid") };
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["response_format", "stream_format", "input", "voice", "speed"]);
    }
}
