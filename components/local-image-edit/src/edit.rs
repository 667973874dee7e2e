//! One edit from end to end: what was sent and asked for, to the PNG that goes back.

use hybrid_guest::types::{Problem, Reason};
use hybrid_picture::{File, Limits, Orientation, Pixels, PngPieces, Polarity, colour};

use crate::band::{self, Weights};
use crate::operation::{Operation, Place, Step};
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
    let unread = |why: hybrid_picture::Refused| refused("image", why.to_string());
    let own = hybrid_picture::size(&edit.image, limits).map_err(unread)?;
    let room = Room::of(&edit, &steps, limits);
    let (turned, steps) =
        if edit.mask.is_none() { turned_first(&steps) } else { (Orientation::NoTransforms, &steps[..]) };
    let picture = hybrid_picture::read_turned(edit.image, turned, &room.picture).map_err(unread)?;
    let mask = match edit.mask {
        Some(mask) => {
            let size = (picture.width, picture.height);
            let mask = hybrid_picture::mask_pixels(mask, own, size, limits, Polarity::Light)
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
    let picture = worked(picture, mask, steps, strength, edit.seed.unwrap_or(0), room.most_pixels, in_time)?;
    picture.png_pieces().map_err(|why| Reason::Internal(why.to_string()))
}

/// What of the memory for a picture its steps leave to it.
struct Room {
    picture: Limits,
    /// That a step may make.
    most_pixels: u64,
}

impl Room {
    fn of(edit: &Edit<'_>, steps: &[Step], limits: &Limits) -> Room {
        let mask = edit.mask.as_ref().map_or(0, File::length);
        let limits = Limits { max_held_bytes: limits.room(mask), ..*limits };
        let free = limits.room(edit.image.length());
        let copies = |step: &Step| match step.operation {
            Operation::Shape(shape) => shape.copies(),
            _ => false,
        };
        let removes = steps.iter().any(|step| matches!(step.operation, Operation::Remove));
        let (_, after_turns) = turned_first(steps);
        // Beside three bytes a pixel: the mask, where it is soft (what is removed has hard edges), the part that a step is done to.
        let has_edges = |step: &Step| !matches!(step.operation, Operation::Remove | Operation::Shape(_));
        let planes = edit.mask.as_ref().map_or(0, |_| 1 + u64::from(steps.iter().any(has_edges)))
            + u64::from(steps.iter().any(|step| step.place != Place::All));
        let own = if after_turns.iter().any(copies) { free / 2 } else { free };
        let own = own.saturating_sub(if removes { inpaint::MOST_BYTES } else { 0 }) * 3 / (3 + planes);
        let picture = Limits { max_made_bytes: own, ..limits };
        Room { picture, most_pixels: limits.max_pixels.min(free / 2 / 3) }
    }
}

/// What the first steps do to a picture that is turned while it is read, and the other steps. Turned later it is there twice.
fn turned_first(steps: &[Step]) -> (Orientation, &[Step]) {
    let mut turned = Orientation::NoTransforms;
    for (at, step) in steps.iter().enumerate() {
        let Operation::Shape(shape) = step.operation else { return (turned, &steps[at..]) };
        let Some(next) = shape.turn() else { return (turned, &steps[at..]) };
        turned = hybrid_picture::then(turned, next);
    }
    (turned, &[])
}

pub(crate) fn worked(
    mut picture: Pixels,
    mut mask: Option<Vec<u8>>,
    steps: &[Step],
    strength: f32,
    seed: u64,
    most_pixels: u64,
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
                picture =
                    shape.apply(picture, mask.as_deref(), most_pixels).map_err(|why| Reason::invalid("prompt", why))?;
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
