//! From a prompt to the steps it asks for. Every word counts: one that is not understood makes the whole prompt refused,
//! for half an edit is not what was asked.

mod clause;
mod meaning;
#[cfg(test)]
mod tests;
mod tokens;
mod words;

use crate::operation::{Place, Step};
use clause::Clause;
use words::{Vocabulary, Word};

/// More steps are no edit that somebody wrote, and each costs time.
const MAX_STEPS: usize = 16;

/// What can be asked for, for a person.
pub(crate) const HELP: &str = "crop, trim, resize, zoom, rotate, straighten, flip, brighten, darken, exposure, gamma, contrast, shadows, \
    highlights, saturation, warmer, cooler, hue, more or less of a colour, tint in a colour, black and white, sepia, invert, \
    posterise, threshold, blur, sharpen, denoise, grain, pixelate, oil painting, sketch, edges, vignette; and with a mask: \
    fill with a colour, remove";

/// What is wrong, and with which field of the request. The text goes on after the field's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misunderstood {
    Prompt(String),
    Mask(String),
}

impl Misunderstood {
    fn prompt(why: impl std::fmt::Display) -> Misunderstood {
        Misunderstood::Prompt(format!("must ask for what this editor can do ({HELP}): {why}"))
    }
}

/// What a prompt asks for, in its order. `masked` is whether a mask says where.
pub(crate) fn steps(prompt: &str, masked: bool) -> Result<Vec<Step>, Misunderstood> {
    let tokens = tokens::tokens(prompt, Vocabulary::get(), masked);
    let mut steps: Vec<Step> = Vec::new();
    let mut last: Option<Clause> = None;
    for mut clause in clause::clauses(tokens, masked)? {
        if let Some(before) = &last
            && !clause.has_head()
        {
            // "brighten the top and the left", "remove the car and the tree"
            if let Some(place) = clause.only_place() {
                let again: Vec<Step> = steps.last().map(|step| Step { place, ..*step }).into_iter().collect();
                if again.iter().all(|step| !step.operation.is_whole()) {
                    steps.extend(again);
                    continue;
                }
            }
            if clause.is_masked_thing() {
                continue;
            }
            clause.inherit(before);
        }
        steps.extend(meaning::steps(&mut clause, masked)?);
        if let Some(text) = clause.left_over() {
            return Err(Misunderstood::prompt(format!("`{text}` does not fit `{}`", clause.text())));
        }
        last = Some(clause);
    }
    if steps.is_empty() {
        return Err(Misunderstood::prompt("nothing of that is asked for"));
    }
    if steps.len() > MAX_STEPS {
        return Err(Misunderstood::Prompt(format!("must ask for at most {MAX_STEPS} things at once")));
    }
    if masked && let Some(step) = steps.iter().find(|step| step.operation.is_whole()) {
        let crop = crate::operation::Operation::Shape(crate::operation::Shape::CropMask);
        if step.operation != crop {
            return Err(Misunderstood::Prompt(
                "must not crop, resize, rotate or flip inside of a mask: that is done to the whole picture, without one \
                 (`crop to the mask` is possible)"
                    .to_owned(),
            ));
        }
    }
    Ok(steps)
}

/// Whether something is to be done in places that the words name, and not by a mask.
fn place_of(word: Word) -> Option<Place> {
    match word {
        Word::Side(place) => Some(place),
        Word::Edges => Some(Place::Edges),
        Word::Sky => Some(Place::Sky),
        _ => None,
    }
}
