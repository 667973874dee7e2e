//! What a clause asks for, in numbers.

use hybrid_picture::colour::{self, Colour};

use super::clause::Clause;
use super::words::{Effect, Form, Quality, Verb, Way, Word};
use super::{Misunderstood, place_of};
use crate::operation::{Length, Operation, Place, Reach, Shape, Step, Texture, Tone};

/// The least and the most of what a number may be; beyond it is a slip of the finger.
const MAX_SIDE: f32 = 32_768.0;

/// The steps of one clause: one, as a rule. Words it makes no use of stay in the clause.
pub(super) fn steps(clause: &mut Clause, masked: bool) -> Result<Vec<Step>, Misunderstood> {
    // Of no consequence where there is a mask; an error later where there is none.
    while masked && !clause.holds(|word| word == Word::Verb(Verb::Crop)) && clause.has(Word::Masked) {}
    let operation = if let Some(verb) = clause.take(|word| if let Word::Verb(verb) = word { Some(verb) } else { None })
    {
        // The same verb again: "flip to its mirror image".
        while clause.has(Word::Verb(verb)) {}
        self::verb(clause, verb, masked)?
    } else if let Some(effect) = clause.take(|word| if let Word::Effect(effect) = word { Some(effect) } else { None }) {
        while clause.has(Word::Effect(effect)) {}
        self::effect(clause, effect)
    } else if clause.holds(|word| matches!(word, Word::Quality(..))) {
        quality(clause)
    } else if clause.holds(|word| matches!(word, Word::Colour(_) | Word::Gray | Word::ColourNoun)) {
        coloured(clause, false)?
    } else {
        unsaid(clause)?
    };
    let place = if operation.is_whole() { None } else { clause.take(place_of) };
    let place = place.unwrap_or(Place::All);
    match operation {
        Operation::Remove if !masked => {
            return Err(Misunderstood::Mask("is required to remove something: white where it is".to_owned()));
        }
        Operation::Fill(_) if !masked && place == Place::All => {
            return Err(Misunderstood::Mask("is required to fill something: white where it is".to_owned()));
        }
        _ => {}
    }
    Ok(vec![Step { operation, place }])
}

fn verb(clause: &mut Clause, verb: Verb, masked: bool) -> Result<Operation, Misunderstood> {
    let shape = match verb {
        Verb::Crop => crop(clause)?,
        Verb::Trim => {
            clause.has(Word::Edges);
            cut(clause).unwrap_or(Shape::Trim)
        }
        Verb::Resize | Verb::Enlarge | Verb::Shrink | Verb::Fit => resize(clause, verb)?,
        Verb::Zoom => {
            let times = times(clause)
                .or_else(|| clause.take(percent).map(|share| if share > 1.0 { share } else { 1.0 + share }));
            clause.take(middle);
            Shape::Zoom(times.unwrap_or_else(|| 1.5_f32.powf(level(clause))).clamp(1.0, 64.0))
        }
        Verb::Rotate => rotate(clause),
        Verb::Straighten => match turn(clause) {
            Some(degrees) => Shape::Straighten(degrees),
            None => return Err(Misunderstood::prompt("`straighten` needs to know by how many degrees, and which way")),
        },
        Verb::Flip => flip(clause),
        Verb::Tint => {
            if clause.has(Word::Effect(Effect::Oil)) {
                return Ok(effect(clause, Effect::Oil));
            }
            return coloured(clause, true);
        }
        Verb::Redact => return Ok(Operation::Fill(colour::name("black").expect("it has a name"))),
        Verb::Fill => {
            clause.has(Word::ColourNoun);
            return Ok(match mixed(clause) {
                Some(colour) => Operation::Fill(colour),
                None => Operation::Remove,
            });
        }
        Verb::Remove => return Ok(remove(clause, masked)),
    };
    Ok(Operation::Shape(shape))
}

fn crop(clause: &mut Clause) -> Result<Shape, Misunderstood> {
    let to = clause.has(Word::To);
    if clause.has(Word::Masked) {
        return Ok(Shape::CropMask);
    }
    if let Some((width, height)) = size(clause) {
        clause.take(middle);
        clause.take(ratio);
        return Ok(Shape::CropSize(width, height));
    }
    if let Some(ratio) = clause.take(ratio) {
        clause.take(middle);
        return Ok(Shape::CropRatio(ratio));
    }
    if to && let Some(share) = clause.take(percent) {
        clause.take(middle);
        return Ok(Shape::CropShare(share.clamp(0.01, 1.0)));
    }
    if let Some(cut) = cut(clause) {
        return Ok(cut);
    }
    if clause.has(Word::Edges) {
        return Ok(Shape::Trim);
    }
    if let Some(length) = clause.take(pixels) {
        if to {
            let side = length.clamp(1.0, MAX_SIDE) as u32;
            clause.take(middle);
            return Ok(Shape::CropSize(side, side));
        }
        return Err(Misunderstood::prompt("`crop` needs to know where: `20 px off each side`, `20 px from the left`"));
    }
    if clause.take(middle).is_some() {
        let share = clause.take(percent).unwrap_or(0.5);
        return Ok(Shape::CropShare(share.clamp(0.01, 1.0)));
    }
    if let Some(side) = clause.take(side) {
        // The half that is named stays.
        let half = |is: bool| Length::Share(if is { 0.5 } else { 0.0 });
        let cut = [Place::Right, Place::Bottom, Place::Left, Place::Top].map(|opposite| half(side == opposite));
        return Ok(Shape::Cut(cut));
    }
    if let Some(share) = clause.take(percent) {
        return Ok(Shape::CropShare((1.0 - share).clamp(0.01, 1.0)));
    }
    Err(Misunderstood::prompt(
        "`crop` needs to know what to: `square`, `16:9`, `800x600`, `the middle`, `the left half`",
    ))
}

/// So much taken away from the sides that are named, or from all.
fn cut(clause: &mut Clause) -> Option<Shape> {
    let sided = clause.holds(|word| matches!(word, Word::Side(place) if place != Place::Middle));
    let all = clause.holds(|word| matches!(word, Word::Edges | Word::Each));
    if !sided && !all {
        return None;
    }
    let length = match clause.take(pixels) {
        Some(length) => Length::Pixels(length.clamp(0.0, MAX_SIDE) as u32),
        None => Length::Share(clause.take(percent)?.clamp(0.0, 1.0)),
    };
    let mut cut = [Length::Pixels(0); 4];
    while let Some(side) = clause.take(side) {
        match side {
            Place::Left => cut[0] = length,
            Place::Top => cut[1] = length,
            Place::Right => cut[2] = length,
            _ => cut[3] = length,
        }
    }
    while clause.has(Word::Edges) || clause.has(Word::Each) {
        if !sided {
            cut = [length; 4];
        }
    }
    Some(Shape::Cut(cut))
}

fn resize(clause: &mut Clause, verb: Verb) -> Result<Shape, Misunderstood> {
    while clause.has(Word::Verb(Verb::Fit)) {}
    let verb = if clause.has(Word::Down) && verb == Verb::Resize { Verb::Shrink } else { verb };
    let to = clause.has(Word::To);
    if let Some((width, height)) = size(clause) {
        if width == height {
            clause.take(|word| (word == Word::Ratio(1.0, 1.0)).then_some(()));
        }
        return Ok(if verb == Verb::Fit { Shape::Fit(width, height) } else { Shape::Resize(width, height) });
    }
    let share = clause.take(percent).or_else(|| clause.has(Word::Half).then_some(0.5));
    if let Some(share) = share {
        let scale = match verb {
            Verb::Enlarge if !to => 1.0 + share,
            Verb::Shrink if !to => 1.0 - share,
            _ => share,
        };
        return Ok(Shape::Scale(scale.clamp(0.001, 64.0)));
    }
    if let Some(times) = times(clause) {
        return Ok(Shape::Scale(if verb == Verb::Shrink { 1.0 / times } else { times }));
    }
    if let Some(side) = clause.take(pixels).or_else(|| clause.take(number)) {
        let side = side.clamp(1.0, MAX_SIDE) as u32;
        return Ok(match () {
            () if clause.has(Word::Width) => Shape::Width(side),
            () if clause.has(Word::Height) => Shape::Height(side),
            () => {
                clause.has(Word::Longer);
                if verb == Verb::Fit { Shape::Fit(side, side) } else { Shape::Longer(side) }
            }
        });
    }
    let level = level(clause);
    match verb {
        Verb::Enlarge => Ok(Shape::Scale(1.5_f32.powf(level))),
        Verb::Shrink => Ok(Shape::Scale(1.5_f32.powf(-level))),
        _ => Err(Misunderstood::prompt("`resize` needs to know what to: `800x600`, `1024 px wide`, `50%`")),
    }
}

fn rotate(clause: &mut Clause) -> Shape {
    Shape::Rotate(turn(clause).unwrap_or(90.0))
}

/// Degrees clockwise, where the words say any.
fn turn(clause: &mut Clause) -> Option<f32> {
    if clause.has(Word::Way(Way::UpsideDown)) {
        return Some(180.0);
    }
    let degrees = clause.take(|word| if let Word::Degrees(degrees) = word { Some(degrees) } else { None });
    let degrees = degrees.or_else(|| clause.take(number));
    clause.has(Word::To);
    let back = clause.has(Word::Way(Way::Anticlockwise)) || clause.has(Word::Side(Place::Left));
    let onwards = !back && (clause.has(Word::Way(Way::Clockwise)) || clause.has(Word::Side(Place::Right)));
    match degrees {
        Some(degrees) => Some(if back { -degrees } else { degrees }),
        None if back => Some(-90.0),
        None if onwards => Some(90.0),
        None => None,
    }
}

fn flip(clause: &mut Clause) -> Shape {
    let way = clause.take(|word| match word {
        Word::Way(Way::Vertical | Way::UpsideDown) | Word::Side(Place::Top | Place::Bottom) => Some(Shape::Flip),
        Word::Way(_) | Word::Side(Place::Left | Place::Right) => Some(Shape::Mirror),
        _ => None,
    });
    way.unwrap_or(Shape::Mirror)
}

fn remove(clause: &mut Clause, masked: bool) -> Operation {
    let quality = clause.take(|word| if let Word::Quality(quality, ..) = word { Some(quality) } else { None });
    match quality {
        Some(Quality::Noise) => return Operation::Texture(Texture::Denoise(level(clause))),
        Some(Quality::Vignette) => return Operation::Texture(Texture::Vignette(-0.5)),
        Some(Quality::Saturation) => return Operation::Tone(Tone::Saturation(-1.0)),
        Some(Quality::Blur) => return Operation::Texture(Texture::Sharpen(level(clause))),
        Some(Quality::Shadows) if !masked => return Operation::Tone(Tone::Shadows(0.5 * level(clause))),
        Some(Quality::Highlights) if !masked => return Operation::Tone(Tone::Highlights(-0.5 * level(clause))),
        // "remove the contrast": let it be told that this does not fit.
        Some(_) if !masked => return Operation::Remove,
        _ => {}
    }
    if masked {
        // Whatever it is called, the mask shows it.
        while clause.take(|word| (!matches!(word, Word::Verb(_) | Word::Effect(_))).then_some(())).is_some() {}
        return Operation::Remove;
    }
    let noun = clause.has(Word::ColourNoun);
    if let Some(colour) = mixed(clause) {
        return Operation::Tone(Tone::Cast(colour, -amount(clause, 0.5)));
    }
    if noun {
        return Operation::Tone(Tone::Saturation(-1.0));
    }
    if clause.holds(|word| word == Word::Edges) {
        let cut = cut(clause);
        clause.has(Word::Edges);
        return Operation::Shape(cut.unwrap_or(Shape::Trim));
    }
    Operation::Remove
}

fn effect(clause: &mut Clause, effect: Effect) -> Operation {
    let texture = match effect {
        Effect::Gray => return Operation::Tone(Tone::Saturation(-amount(clause, 1.0).clamp(0.0, 1.0))),
        Effect::Sepia => return Operation::Tone(Tone::Sepia(amount(clause, 1.0).clamp(0.0, 1.0))),
        Effect::Invert => {
            while clause.has(Word::ColourNoun) {}
            return Operation::Tone(Tone::Invert);
        }
        Effect::Posterise => {
            clause.has(Word::To);
            while clause.has(Word::ColourNoun) {}
            let levels = clause.take(number).unwrap_or_else(|| 5.0 / level(clause));
            return Operation::Tone(Tone::Posterise(levels.round().clamp(2.0, 64.0) as u32));
        }
        Effect::Threshold => {
            clause.has(Word::To);
            let at = clause.take(percent).or_else(|| clause.take(number).map(|n| if n > 1.0 { n / 255.0 } else { n }));
            return Operation::Tone(Tone::Threshold(at.unwrap_or(0.5).clamp(0.0, 1.0)));
        }
        Effect::Pixelate => {
            clause.has(Word::To);
            let size = size(clause).map(|(width, _)| Reach::Pixels(width as f32));
            Texture::Pixelate(size.unwrap_or_else(|| reach(clause)))
        }
        Effect::Oil => Texture::Oil(reach(clause)),
        Effect::Sketch => Texture::Sketch,
        Effect::Edges => Texture::Edges,
        Effect::Denoise => Texture::Denoise(amount(clause, 1.0).clamp(0.05, 4.0)),
    };
    Operation::Texture(texture)
}

fn quality(clause: &mut Clause) -> Operation {
    let mut of: Option<(Quality, f32, Form)> = None;
    let mut sign = 1.0;
    // "brighten the shadows": the second says where, the first which way.
    while let Some((next, own, form)) = clause.take(|word| match word {
        Word::Quality(quality, sign, form) => Some((quality, sign, form)),
        _ => None,
    }) {
        if of.is_none_or(|(known, ..)| known != next) {
            sign *= own;
            of = Some((next, own, form));
        }
    }
    while clause.has(Word::ColourNoun) {}
    let (quality, _, form) = of.unwrap_or((Quality::Brightness, 1.0, Form::Noun));
    sign *= self::sign(clause).unwrap_or(1.0);
    if clause.has(Word::Down) && form == Form::Noun {
        sign = -sign;
    }
    let negative = sign < 0.0;
    // "saturation to 120%": from all there is.
    let absolute = clause.has(Word::To) && form == Form::Noun && clause.holds(|word| matches!(word, Word::Percent(_)));
    if absolute && let Some(share) = clause.take(percent) {
        return tone_by(quality, (share - 1.0).clamp(-1.0, 4.0));
    }
    let signed = |usual: f32, clause: &mut Clause| sign * amount(clause, usual).clamp(-4.0, 4.0);
    match quality {
        Quality::Hue => {
            let degrees = clause.take(|word| if let Word::Degrees(degrees) = word { Some(degrees) } else { None });
            let degrees = degrees.or_else(|| clause.take(number)).unwrap_or_else(|| 30.0 * level(clause));
            Operation::Tone(Tone::Hue(sign * degrees))
        }
        Quality::Exposure => {
            let stops = clause.take(number).or_else(|| clause.take(percent).map(|share| (1.0 + share).log2()));
            Operation::Tone(Tone::Exposure(sign * stops.unwrap_or_else(|| 0.6 * level(clause)).clamp(-8.0, 8.0)))
        }
        Quality::Gamma => {
            clause.has(Word::To);
            let gamma = clause.take(number).or_else(|| clause.take(percent).map(|share| 1.0 + share));
            let gamma = gamma.unwrap_or_else(|| 1.3_f32.powf(level(clause))).clamp(0.1, 10.0);
            Operation::Tone(Tone::Gamma(if negative { 1.0 / gamma } else { gamma }))
        }
        Quality::Blur if !negative => Operation::Texture(Texture::Blur(reach(clause))),
        Quality::Blur => {
            let pixels = clause.take(pixels).map(|radius| 0.5 * radius);
            Operation::Texture(Texture::Sharpen(pixels.unwrap_or_else(|| amount(clause, 0.8)).clamp(0.05, 5.0)))
        }
        Quality::Noise if negative => Operation::Texture(Texture::Denoise(amount(clause, 1.0).clamp(0.05, 4.0))),
        Quality::Noise => Operation::Texture(Texture::Noise(amount(clause, 0.08).clamp(0.0, 1.0))),
        Quality::Vignette => Operation::Texture(Texture::Vignette(signed(0.5, clause).clamp(-1.0, 1.0))),
        Quality::Pixels => Operation::Texture(Texture::Pixelate(reach(clause))),
        Quality::Saturation => {
            let usual = if negative { 0.5 } else { 0.45 };
            tone_by(quality, signed(usual, clause))
        }
        Quality::Contrast => tone_by(quality, signed(0.3, clause)),
        Quality::Brightness => tone_by(quality, signed(0.25, clause)),
        Quality::Warmth | Quality::Shadows | Quality::Highlights => tone_by(quality, signed(0.35, clause)),
    }
}

fn tone_by(quality: Quality, share: f32) -> Operation {
    Operation::Tone(match quality {
        Quality::Contrast => Tone::Contrast(share),
        Quality::Saturation => Tone::Saturation(share.max(-1.0)),
        Quality::Warmth => Tone::Warmth(share),
        Quality::Shadows => Tone::Shadows(share),
        Quality::Highlights => Tone::Highlights(share),
        Quality::Exposure => Tone::Exposure((1.0 + share).max(0.01).log2()),
        Quality::Gamma => Tone::Gamma((1.0 + share).max(0.1)),
        Quality::Hue => Tone::Hue(share * 360.0),
        Quality::Vignette => return Operation::Texture(Texture::Vignette(share.clamp(-1.0, 1.0))),
        Quality::Noise => return Operation::Texture(Texture::Noise(share.clamp(0.0, 1.0))),
        Quality::Blur if share < 0.0 => return Operation::Texture(Texture::Blur(Reach::Usual(-share))),
        Quality::Blur => return Operation::Texture(Texture::Sharpen(share)),
        Quality::Pixels => return Operation::Texture(Texture::Pixelate(Reach::Usual(share.max(0.1)))),
        Quality::Brightness => Tone::Brightness(share),
    })
}

/// A shift of the colours for "more blue" and "bluer", shades of the colour for "blue".
fn coloured(clause: &mut Clause, tinted: bool) -> Result<Operation, Misunderstood> {
    let bluer = clause.is_comparative();
    let mut noun = false;
    while clause.has(Word::ColourNoun) {
        noun = true;
    }
    clause.has(Word::To);
    let sign = sign(clause);
    let colour = mixed(clause);
    if colour.is_none() && noun {
        let degrees = clause.take(|word| if let Word::Degrees(degrees) = word { Some(degrees) } else { None });
        if let Some(degrees) = degrees {
            return Ok(Operation::Tone(Tone::Hue(sign.unwrap_or(1.0) * degrees)));
        }
        while clause.take(|word| matches!(word, Word::Quality(Quality::Saturation, ..)).then_some(())).is_some() {}
        if let Some(sign) = sign {
            return Ok(Operation::Tone(Tone::Saturation((sign * amount(clause, 0.45)).clamp(-1.0, 4.0))));
        }
    }
    let Some(colour) = colour else {
        // "make it gray" has its colours taken away; under a brush, gray is a colour.
        if clause.has(Word::Gray) {
            return Ok(Operation::Tone(Tone::Saturation(-amount(clause, 1.0).clamp(0.0, 1.0))));
        }
        return Err(Misunderstood::prompt("it does not say which colour"));
    };
    if bluer || sign.is_some() {
        return Ok(Operation::Tone(Tone::Cast(colour, sign.unwrap_or(1.0) * amount(clause, 0.4).clamp(0.0, 2.0))));
    }
    // What is made blue is blue afterwards, whatever it was: less of it would make violet of red.
    let usual = match (tinted, noun) {
        (true, _) => 0.85,
        (false, true) => 0.4,
        (false, false) => 1.0,
    };
    Ok(Operation::Tone(Tone::Tint(colour, amount(clause, usual).clamp(0.05, 1.0))))
}

/// What is to be done where no word says it: "make it square", "turn it by 90 degrees", "800 px wide".
fn unsaid(clause: &mut Clause) -> Result<Operation, Misunderstood> {
    let shape = if clause.holds(|word| matches!(word, Word::Degrees(_) | Word::Way(_))) {
        // "make it left to right" is nobody's wish.
        if clause.holds(|word| matches!(word, Word::Way(Way::Horizontal | Way::Vertical))) {
            return Err(Misunderstood::prompt("nothing that can be done is asked for"));
        }
        rotate(clause)
    } else if clause.holds(|word| matches!(word, Word::Size(..) | Word::Times(_) | Word::Width | Word::Height)) {
        resize(clause, Verb::Resize)?
    } else if clause.holds(|word| matches!(word, Word::Ratio(..))) {
        crop(clause)?
    } else {
        let text = clause.text();
        return Err(Misunderstood::prompt(format!("`{text}` does not say what to do")));
    };
    Ok(Operation::Shape(shape))
}

/// The colours of a clause as one: the last is what is meant, and those before say how: "sunset orange".
fn mixed(clause: &mut Clause) -> Option<Colour> {
    let shade = clause.take(|word| if let Word::Shade(shade) = word { Some(shade) } else { None }).unwrap_or(0.0);
    let under_a_brush = clause.holds(|word| matches!(word, Word::Verb(Verb::Fill | Verb::Tint)));
    let mut found: Option<Colour> = None;
    while let Some(next) = clause.take(|word| match word {
        Word::Colour(colour) => Some(colour),
        Word::Gray if under_a_brush => colour::name("gray"),
        _ => None,
    }) {
        found = Some(found.map_or(next, |before| before.mixed(next)));
    }
    found.map(|colour| Colour { lightness: (colour.lightness + shade).clamp(0.05, 0.98), ..colour })
}

/// Which way "more", "less" and "too" turn it; none where nothing is said.
fn sign(clause: &mut Clause) -> Option<f32> {
    let mut sign = None;
    while let Some(next) = clause.take(|word| match word {
        Word::More => Some(1.0),
        Word::Less | Word::Too => Some(-1.0),
        _ => None,
    }) {
        sign = Some(sign.unwrap_or(1.0) * next);
    }
    sign
}

/// The share of all that the words say, or so much of what is usual.
fn amount(clause: &mut Clause, usual: f32) -> f32 {
    clause.has(Word::To);
    if let Some(share) = clause.take(percent) {
        return share;
    }
    if clause.has(Word::Half) {
        return 0.5;
    }
    if let Some(times) = clause.take(|word| if let Word::Times(times) = word { Some(times) } else { None }) {
        return times - 1.0;
    }
    if let Some(number) = clause.take(number) {
        return if number.abs() > 1.0 { number / 100.0 } else { number };
    }
    usual * level(clause)
}

/// How far, in pixels or as so much of what is usual; a half is usual.
fn reach(clause: &mut Clause) -> Reach {
    if let Some(pixels) = clause.take(pixels).or_else(|| clause.take(number)) {
        return Reach::Pixels(pixels.clamp(0.3, 4000.0));
    }
    match clause.take(percent) {
        Some(share) => Reach::Usual((2.0 * share).clamp(0.02, 8.0)),
        None => Reach::Usual(level(clause)),
    }
}

/// "very slightly" is less than "slightly", "really very" no more than "very".
fn level(clause: &mut Clause) -> f32 {
    let mut least: f32 = 1.0;
    let mut most: f32 = 1.0;
    while let Some(level) = clause.take(|word| if let Word::Level(level) = word { Some(level) } else { None }) {
        least = least.min(level);
        most = most.max(level);
    }
    match (least < 1.0, most > 1.0) {
        (true, true) => least * 0.6,
        (true, false) => least,
        _ => most,
    }
}

fn times(clause: &mut Clause) -> Option<f32> {
    let times = clause.take(|word| if let Word::Times(times) = word { Some(times) } else { None })?;
    Some(times.clamp(0.01, 64.0))
}

fn size(clause: &mut Clause) -> Option<(u32, u32)> {
    let (width, height) = clause.take(|word| match word {
        Word::Size(width, height) => Some((width, height)),
        _ => None,
    })?;
    let side = |side: f32| side.clamp(1.0, MAX_SIDE) as u32;
    Some((side(width), side(height)))
}

fn percent(word: Word) -> Option<f32> {
    if let Word::Percent(percent) = word { Some(percent / 100.0) } else { None }
}

fn number(word: Word) -> Option<f32> {
    if let Word::Number(number) = word { Some(number) } else { None }
}

fn pixels(word: Word) -> Option<f32> {
    if let Word::Pixels(pixels) = word { Some(pixels) } else { None }
}

fn ratio(word: Word) -> Option<f32> {
    match word {
        Word::Ratio(width, height) if width > 0.0 && height > 0.0 => Some((width / height).clamp(0.01, 100.0)),
        _ => None,
    }
}

fn middle(word: Word) -> Option<()> {
    (word == Word::Side(Place::Middle)).then_some(())
}

fn side(word: Word) -> Option<Place> {
    match word {
        Word::Side(place) if place != Place::Middle => Some(place),
        _ => None,
    }
}
