//! Text to speech.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::answer::Answer;
use crate::media;
use crate::tasks::Call;
use crate::tasks::body::{Inputs, Kind};

/// The generation parameters, flat as the Python client sends them or nested as the schema has them, and what models
/// with several voices take.
const PARAMETERS: &[(&str, Kind)] = &[
    ("generation_parameters", Kind::Object),
    ("do_sample", Kind::Bool),
    ("max_new_tokens", Kind::Whole),
    ("temperature", Kind::Number),
    ("top_k", Kind::Whole),
    ("top_p", Kind::Number),
    ("speaker_id", Kind::Whole),
    ("speaker", Kind::Any),
    ("voice", Kind::Text),
    ("speed", Kind::Number),
];

pub(crate) fn answer(call: &Call<'_>) -> Result<Answer, Answer> {
    let inputs = Inputs::of(call, PARAMETERS)?;
    let text = inputs.text()?;
    // As long as somebody would take to say it.
    let samples = text.chars().count().max(5) * media::RATE as usize / 15;
    let accepts_wav = call.header("accept").starts_with("audio/wav");
    let answer = if call.named("json") {
        Answer::json(200, &json!({ "audio": [media::tone(samples)], "sampling_rate": media::RATE }))
    } else if call.named("b64") {
        Answer::json(200, &json!({ "audio": BASE64_STANDARD.encode(media::wav(samples)) }))
    } else if call.named("wav") || (accepts_wav && !call.named("flac")) {
        Answer::bytes("audio/wav", media::wav(samples))
    } else {
        Answer::bytes("audio/flac", media::FLAC)
    };
    Ok(answer.with("x-compute-characters", &text.chars().count().to_string()))
}
