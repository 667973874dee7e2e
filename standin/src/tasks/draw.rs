//! Text to picture.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::{ImageFormat, RgbImage};
use serde_json::json;

use crate::answer::Answer;
use crate::errors;
use crate::media;
use crate::tasks::Call;
use crate::tasks::body::{Inputs, Kind};

const PARAMETERS: &[(&str, Kind)] = &[
    ("guidance_scale", Kind::Number),
    ("negative_prompt", Kind::Text),
    ("num_inference_steps", Kind::Whole),
    ("width", Kind::Whole),
    ("height", Kind::Whole),
    ("scheduler", Kind::Text),
    ("seed", Kind::Whole),
];

/// More than any model draws.
const MAX_SIDE: u64 = 4096;

pub(crate) fn answer(call: &Call<'_>) -> Result<Answer, Answer> {
    let inputs = Inputs::of(call, PARAMETERS)?;
    let side = |name| inputs.whole(name).unwrap_or(512).clamp(1, MAX_SIDE) as u32;
    for name in ["width", "height"] {
        if inputs.whole(name).is_some_and(|side| side > MAX_SIDE) {
            return Err(errors::refused(&[format!(
                "Input should be at most {MAX_SIDE}: received `{name}` in `parameters`"
            )]));
        }
    }
    let seed = media::hash(inputs.text()?) ^ inputs.whole("seed").unwrap_or_default();
    let (width, height) = (side("width"), side("height"));
    if call.named("url") {
        let url = format!("{}/files/{width}x{height}.png", call.origin);
        return Ok(Answer::json(200, &json!({ "output": [url] })));
    }
    Ok(reply(call, media::picture(width, height, seed)))
}

/// A picture in the form that the model's name or `accept` chooses.
pub(crate) fn reply(call: &Call<'_>, picture: RgbImage) -> Answer {
    let accept = call.header("accept");
    let format = match () {
        () if call.named("jpeg") || call.named("jpg") => ImageFormat::Jpeg,
        () if call.named("webp") => ImageFormat::WebP,
        () if call.named("png") || accept.starts_with("image/png") => ImageFormat::Png,
        () if accept.starts_with("image/webp") => ImageFormat::WebP,
        // The service's own default.
        () => ImageFormat::Jpeg,
    };
    let (bytes, content_type) = media::encoded(picture, format);
    if call.named("b64") {
        return Answer::json(200, &json!({ "data": [{ "b64_json": BASE64_STANDARD.encode(bytes) }] }));
    }
    Answer::bytes(content_type, bytes).with("x-compute-images", "1")
}

/// What the URL variant points at.
pub(crate) fn file(width: u32, height: u32) -> Answer {
    let (bytes, content_type) = media::encoded(media::picture(width, height, 7), ImageFormat::Png);
    Answer::bytes(content_type, bytes)
}
