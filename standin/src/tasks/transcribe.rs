//! Speech to text.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::errors;
use crate::media;
use crate::tasks::Call;
use crate::tasks::body::{self, Inputs, Kind};

const PARAMETERS: &[(&str, Kind)] = &[
    ("return_timestamps", Kind::Any),
    ("generation_parameters", Kind::Object),
    ("generate_kwargs", Kind::Object),
    ("language", Kind::Text),
    ("task", Kind::Text),
];

pub(crate) fn answer(call: &Call<'_>) -> Result<Answer, Answer> {
    let json = call.header("content-type").starts_with("application/json");
    let (audio, timestamps) = if json {
        let inputs = Inputs::of(call, PARAMETERS)?;
        let asked = inputs.parameter("return_timestamps").is_some_and(|asked| *asked != Value::Bool(false));
        (body::base64(inputs.text()?, "inputs")?, asked)
    } else {
        if call.header("content-type").is_empty() {
            return Err(errors::refused(&["Content type \"None\" not supported: received the body".to_owned()]));
        }
        (call.body.to_vec(), false)
    };
    let Some((first, second)) = heard(&audio) else {
        return Err(errors::refused(&["Malformed soundfile: received `inputs`".to_owned()]));
    };
    let mut answer = json!({ "text": format!("{first}{second}") });
    if timestamps {
        let half = media::wav_seconds(&audio).unwrap_or(1.0) / 2.0;
        answer["chunks"] = json!([
            { "text": first, "timestamp": [0.0, half] },
            { "text": second, "timestamp": [half, null] },
        ]);
    }
    Ok(Answer::json(200, &answer).with("x-compute-audio-length", "1.0"))
}

/// What is heard, in two pieces; none when it is no sound.
fn heard(audio: &[u8]) -> Option<(String, String)> {
    let kind = media::audio_type(audio)?;
    // Whisper's texts begin with a space.
    Some(match media::wav_seconds(audio).filter(|_| kind == "wav") {
        Some(seconds) => (format!(" {seconds:.1} seconds"), format!(" of {kind}.")),
        None => (format!(" {} bytes", audio.len()), format!(" of {kind}.")),
    })
}

pub(crate) fn text(audio: &[u8]) -> Option<String> {
    heard(audio).map(|(first, second)| first + &second)
}
