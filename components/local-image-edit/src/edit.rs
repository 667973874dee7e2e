//! One edit from end to end: what was sent and asked for, to the PNG that goes back.

use hybrid_guest::types::{Problem, Reason};
use hybrid_picture::{File, Limits, Pixels, PngPieces, Polarity, colour};

use crate::band::{self, Weights};
use crate::operation::{Operation, Step};
use crate::prompt::{self, Misunderstood};
use crate::tone::Worked;
use crate::{inpaint, place};

/// From this strength on all of an edit shows. It is what people send who send one at all: models that paint anew lose the
/// picture above it.
const FULL_STRENGTH: f32 = 0.75;

pub(crate) struct Edit<'a> {
    pub(crate) prompt: &'a str,
    pub(crate) image: File,
    pub(crate) mask: Option<File>,
    pub(crate) strength: Option<f32>,
    pub(crate) seed: Option<u64>,
}

/// The edited picture as PNG, in pieces that are made as they are taken. `in_time` is asked before each step.
pub(crate) fn png(edit: Edit<'_>, limits: &Limits, in_time: impl Fn() -> bool) -> Result<PngPieces, Reason> {
    let steps = prompt::steps(edit.prompt, edit.mask.is_some());
    let refused = |field: &str, why: String| Reason::invalid(field, why);
    // What is wrong with the files is told along with what is wrong with the words.
    let steps = steps.map_err(|why| {
        let (field, message) = match why {
            Misunderstood::Prompt(message) => ("prompt", message),
            Misunderstood::Mask(message) => ("mask", message),
        };
        let mut problems = vec![Problem { field: field.to_owned(), message }];
        if let Err(why) = hybrid_picture::size(&edit.image, limits) {
            problems.insert(0, Problem { field: "image".to_owned(), message: why.to_string() });
        }
        Reason::Invalid(problems)
    })?;
    let picture = hybrid_picture::read(edit.image, limits).map_err(|why| refused("image", why.to_string()))?;
    let mask = match edit.mask {
        Some(mask) => {
            let mask = hybrid_picture::whole_mask(mask, (picture.width, picture.height), limits, Polarity::Light)
                .map_err(|why| refused("mask", why.to_string()))?;
            if mask.data.iter().all(|&white| white == 0) {
                return Err(refused("mask", "must show something: it is black all over".to_owned()));
            }
            Some(mask.data)
        }
        None => None,
    };
    let strength = edit
        .strength
        .filter(|strength| strength.is_finite())
        .map_or(1.0, |strength| (strength / FULL_STRENGTH).clamp(0.0, 1.0));
    let picture = worked(picture, mask, &steps, strength, edit.seed.unwrap_or(0), limits, in_time)?;
    picture.png_pieces().map_err(|why| Reason::Internal(why.to_string()))
}

pub(crate) fn worked(
    mut picture: Pixels,
    mut mask: Option<Vec<u8>>,
    steps: &[Step],
    strength: f32,
    seed: u64,
    limits: &Limits,
    in_time: impl Fn() -> bool,
) -> Result<Pixels, Reason> {
    let strength = (strength * 256.0).round() as u32;
    // The mask with a soft edge, made when it is first wanted.
    let mut soft: Option<Vec<u8>> = None;
    for step in steps {
        if !in_time() {
            return Err(Reason::Timeout);
        }
        let (width, height) = (picture.width as usize, picture.height as usize);
        match step.operation {
            Operation::Shape(shape) => {
                picture = shape
                    .apply(picture, mask.as_deref(), limits.max_pixels)
                    .map_err(|why| Reason::invalid("prompt", why))?;
                (mask, soft) = (None, None);
                continue;
            }
            Operation::Remove => {
                let Some(mask) = &mask else { return Err(Reason::invalid("mask", "is required to remove something")) };
                if !inpaint::fill(&mut picture, mask, seed) {
                    return Err(Reason::invalid(
                        "mask",
                        "must leave something of the picture to fill its white part from",
                    ));
                }
                continue;
            }
            _ => {}
        }
        if let (None, Some(mask)) = (&soft, &mask) {
            soft = Some(place::feathered(mask, width, height));
        }
        let weights = Weights { strength, plane: place::weights(step.place, &picture, soft.as_deref()) };
        match step.operation {
            Operation::Tone(tone) => {
                let worked = Worked::new(tone);
                band::each(&mut picture, &weights, 0, 1, |band| worked.apply(&mut band.data, band.channels));
            }
            Operation::Texture(texture) => {
                let (reach, multiple) = texture.needs(width, height);
                band::each(&mut picture, &weights, reach, multiple, |band| texture.apply(band, seed));
            }
            Operation::Fill(colour) => {
                let rgb = colour::srgb(colour.lab());
                band::each(&mut picture, &weights, 0, 1, |band| {
                    for pixel in band.data.chunks_exact_mut(band.channels) {
                        pixel[..3].copy_from_slice(&rgb);
                        pixel[3..].fill(255);
                    }
                });
            }
            Operation::Shape(_) | Operation::Remove => {}
        }
    }
    Ok(picture)
}
