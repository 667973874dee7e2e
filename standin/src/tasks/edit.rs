//! Picture to picture: the masked part red, or, without a mask, everything in negative.

use image::{DynamicImage, Rgb, RgbImage};
use serde_json::Value;

use crate::answer::Answer;
use crate::errors;
use crate::tasks::Call;
use crate::tasks::body::{self, Inputs, Kind};
use crate::tasks::draw;

const PARAMETERS: &[(&str, Kind)] = &[
    ("prompt", Kind::Text),
    ("negative_prompt", Kind::Text),
    ("num_inference_steps", Kind::Whole),
    ("guidance_scale", Kind::Number),
    ("target_size", Kind::Object),
    ("mask_image", Kind::Text),
    ("strength", Kind::Number),
    ("seed", Kind::Whole),
    ("width", Kind::Whole),
    ("height", Kind::Whole),
];

const RED: Rgb<u8> = Rgb([255, 0, 0]);

pub(crate) fn answer(call: &Call<'_>) -> Result<Answer, Answer> {
    let (image, mask) = if call.header("content-type").starts_with("application/json") {
        let inputs = Inputs::of(call, PARAMETERS)?;
        // A handler's dialect: the prompt in `inputs`, the pictures beside it.
        let beside = inputs.root("image").and_then(Value::as_str);
        let image = body::base64(beside.map_or_else(|| inputs.text(), Ok)?, "inputs")?;
        let mask = inputs.parameter("mask_image").or_else(|| inputs.root("mask_image")).and_then(Value::as_str);
        (image, mask.map(|mask| body::base64(mask, "mask_image")).transpose()?)
    } else {
        (call.body.to_vec(), None)
    };
    Ok(draw::reply(call, edited(&image, mask.as_deref())?))
}

/// The picture with its masked part red, or all of it in negative.
pub(crate) fn edited(image: &[u8], mask: Option<&[u8]>) -> Result<RgbImage, Answer> {
    let mut picture = decoded(image, "inputs")?.to_rgb8();
    match mask {
        None => image::imageops::invert(&mut picture),
        Some(mask) => {
            let mask = decoded(mask, "mask_image")?.to_luma8();
            if mask.dimensions() != picture.dimensions() {
                let (wanted, given) = (picture.dimensions(), mask.dimensions());
                return Err(errors::refused(&[format!(
                    "Mask should be of the picture's size {wanted:?}, not {given:?}: received `mask_image` in `parameters`"
                )]));
            }
            for (pixel, masked) in picture.pixels_mut().zip(mask.pixels()) {
                if masked[0] > 127 {
                    *pixel = RED;
                }
            }
        }
    }
    Ok(picture)
}

fn decoded(bytes: &[u8], field: &str) -> Result<DynamicImage, Answer> {
    image::load_from_memory(bytes)
        .map_err(|_| errors::refused(&[format!("cannot identify image file: received `{field}`")]))
}
