//! The words that are understood, and what each is in a sentence.

use std::collections::HashMap;
use std::sync::OnceLock;

use hybrid_picture::colour::{self, Colour};

use crate::operation::Place;

/// What a word or a phrase is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Word {
    /// Says nothing of its own: "please", "the picture".
    Filler,
    /// As a filler, and what it stands before may be a thing that a mask is laid over.
    The,
    /// "add contrast" is a filler; "add a hat" asks for what is not there.
    Add,
    /// "and", "then", a comma.
    And,
    To,
    /// "turn the brightness down" is less of it, "cool it down" is not.
    Down,
    More,
    Less,
    /// "too dark" asks for the contrary.
    Too,
    /// "slightly", "much": so many times the usual amount.
    Level(f32),
    Number(f32),
    Percent(f32),
    Degrees(f32),
    Pixels(f32),
    Times(f32),
    Size(f32, f32),
    Ratio(f32, f32),
    Colour(Colour),
    Gray,
    /// "dark blue", "light blue".
    Shade(f32),
    Quality(Quality, f32, Form),
    Effect(Effect),
    Verb(Verb),
    Way(Way),
    Side(Place),
    Sky,
    /// The edges of the picture, for crop and vignette and as a place.
    Edges,
    /// "each side", "all sides".
    Each,
    Half,
    Masked,
    Width,
    Height,
    Longer,
    /// "tint", "cast", "colour".
    ColourNoun,
    /// What remains; it is an error, and named in it.
    Unknown,
}

/// What a picture has more or less of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quality {
    Brightness,
    Contrast,
    Saturation,
    Exposure,
    Gamma,
    Warmth,
    Hue,
    Shadows,
    Highlights,
    Blur,
    Noise,
    Vignette,
    Pixels,
}

/// A noun takes "more" and "less"; an adjective and a verb say it themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Noun,
    Adjective,
    Verb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Gray,
    Sepia,
    Invert,
    Posterise,
    Pixelate,
    Oil,
    Sketch,
    Edges,
    Threshold,
    Denoise,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Crop,
    Trim,
    Resize,
    Enlarge,
    Shrink,
    Fit,
    Zoom,
    Rotate,
    Straighten,
    Flip,
    Tint,
    Fill,
    /// To fill with black.
    Redact,
    Remove,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Horizontal,
    Vertical,
    Clockwise,
    Anticlockwise,
    UpsideDown,
}

type Entry = (&'static str, Word);

/// Words of one kind, set apart by spaces; phrases have underscores in them.
type Kind = (&'static str, Word);

use Form::{Adjective, Noun, Verb as Doing};
use Quality::{
    Blur, Brightness, Contrast, Exposure, Gamma, Highlights, Hue, Noise, Saturation, Shadows, Vignette, Warmth,
};

const KINDS: &[Kind] = &[
    (
        "please pls plz kindly can could would will should you i we want wish need love id ill lets let us hey hi hello \
         thanks thank ok okay just now again go be is are was get me do does apply use make \
         makes making made turn turned set change changed convert transform render show adjust modify edit \
         picture photo image pic photograph shot snapshot img photos pictures images whole entire full overall all \
         everything look looks looking appear seem feel in on of at from as for by it its so some bit effect \
         filter style version tone mode area region part spot through only quality finish amount level levels value \
         result way such here there over up around about kind sort within \
         hand drawn toned stops stop ev blocks block tiles tile shift traditional classic old_fashioned",
        Word::Filler,
    ),
    ("add put insert draw create include place give have has had with into like", Word::Add),
    ("down", Word::Down),
    ("the this that these those my your our his her their a an any every", Word::The),
    (
        "and then next afterwards afterward finally also plus after_that followed followed_by as_well and_then",
        Word::And,
    ),
    ("to until till", Word::To),
    (
        "more increase increased raise raised boost boosted enhance up_the crank_up turn_up dial_up pump_up lift amplify intensify \
      strengthen gain improve extra higher stronger bring_up bring_out push",
        Word::More,
    ),
    (
        "less decrease decreased reduce reduced lower lowered diminish turn_down dial_down dial_back tone_down cut_down \
      weaken weaker drop minimise recover bring_down fewer tame",
        Word::Less,
    ),
    ("too overly excessively", Word::Too),
    (
        "slightly a_little a_little_bit little a_bit a_tiny_bit a_touch a_tad tad touch somewhat subtly subtle gently gentle lightly softly \
      mildly mild a_hint hint modestly slight faintly faint weak small_amount",
        Word::Level(0.4),
    ),
    ("moderately moderate medium fairly quite rather reasonably normal normally", Word::Level(1.0)),
    (
        "much very a_lot lots strongly strong heavily heavy really significantly considerably greatly highly far way_more \
      dramatically dramatic intense intensely a_great_deal substantially deeply hard big large noticeably",
        Word::Level(1.8),
    ),
    (
        "extremely super totally completely fully entirely maximum max insanely extreme hugely massively tremendously utterly as_possible",
        Word::Level(2.6),
    ),
    ("quarter_turn right_angle", Word::Degrees(90.0)),
    ("half_turn", Word::Degrees(180.0)),
    ("half_size half_the_size half_its_size half_as_big half_as_large", Word::Times(0.5)),
    ("double twice twice_as_big twice_as_large twice_the_size double_the_size double_size", Word::Times(2.0)),
    ("triple thrice three_times_as_large", Word::Times(3.0)),
    ("quadruple", Word::Times(4.0)),
    ("square squared a_square", Word::Ratio(1.0, 1.0)),
    ("widescreen wide_screen", Word::Ratio(16.0, 9.0)),
    ("portrait portrait_format", Word::Ratio(3.0, 4.0)),
    ("landscape_format landscape", Word::Ratio(4.0, 3.0)),
    ("panorama panoramic", Word::Ratio(21.0, 9.0)),
    ("half", Word::Half),
    ("gray grey grayish greyish", Word::Gray),
    ("deep dark_shade_of", Word::Shade(-0.14)),
    ("pale pastel", Word::Shade(0.16)),
    // Light
    ("brightness lightness luminosity luminance light", Word::Quality(Brightness, 1.0, Noun)),
    ("bright brighter lighter sunnier sunny luminous", Word::Quality(Brightness, 1.0, Adjective)),
    ("brighten lighten brighten_up lighten_up light_up illuminate", Word::Quality(Brightness, 1.0, Doing)),
    ("darkness", Word::Quality(Brightness, -1.0, Noun)),
    ("dark darker dim dimmer gloomy gloomier", Word::Quality(Brightness, -1.0, Adjective)),
    ("darken darken_down dim_down", Word::Quality(Brightness, -1.0, Doing)),
    ("contrast", Word::Quality(Contrast, 1.0, Noun)),
    ("contrasty contrasted punchy punchier high_contrast", Word::Quality(Contrast, 1.0, Adjective)),
    ("flat flatter low_contrast", Word::Quality(Contrast, -1.0, Adjective)),
    ("flatten", Word::Quality(Contrast, -1.0, Doing)),
    ("exposure", Word::Quality(Exposure, 1.0, Noun)),
    ("overexposed", Word::Quality(Exposure, 1.0, Adjective)),
    ("underexposed", Word::Quality(Exposure, -1.0, Adjective)),
    ("overexpose expose", Word::Quality(Exposure, 1.0, Doing)),
    ("underexpose", Word::Quality(Exposure, -1.0, Doing)),
    ("gamma midtones midtone", Word::Quality(Gamma, 1.0, Noun)),
    ("shadows shadow blacks darks", Word::Quality(Shadows, 1.0, Noun)),
    ("highlights highlight whites", Word::Quality(Highlights, 1.0, Noun)),
    // Colour
    ("saturation vibrance vibrancy chroma colourfulness colorfulness vividness", Word::Quality(Saturation, 1.0, Noun)),
    (
        "saturated vivid vibrant colourful colorful livelier lively richer rich",
        Word::Quality(Saturation, 1.0, Adjective),
    ),
    ("saturate", Word::Quality(Saturation, 1.0, Doing)),
    ("muted dull duller faded washed_out paler subdued", Word::Quality(Saturation, -1.0, Adjective)),
    ("desaturate mute fade dull_down", Word::Quality(Saturation, -1.0, Doing)),
    ("desaturated", Word::Quality(Saturation, -1.0, Adjective)),
    ("warmth temperature colour_temperature color_temperature", Word::Quality(Warmth, 1.0, Noun)),
    ("warm warmer cosy cozy cosier cozier", Word::Quality(Warmth, 1.0, Adjective)),
    ("warm_up", Word::Quality(Warmth, 1.0, Doing)),
    ("coolness coldness", Word::Quality(Warmth, -1.0, Noun)),
    ("cold colder cool cooler icy icier chilly wintry", Word::Quality(Warmth, -1.0, Adjective)),
    ("cool_down", Word::Quality(Warmth, -1.0, Doing)),
    ("hue hues", Word::Quality(Hue, 1.0, Noun)),
    ("colour color tint cast tinge colouring coloring colours colors", Word::ColourNoun),
    // Detail
    ("blur blurriness softness haze", Word::Quality(Blur, 1.0, Noun)),
    (
        "blurry blurrier blurred soft softer out_of_focus defocused fuzzy hazy smoother",
        Word::Quality(Blur, 1.0, Adjective),
    ),
    ("soften defocus gaussian_blur blur_out", Word::Quality(Blur, 1.0, Doing)),
    ("sharpness detail details clarity crispness definition", Word::Quality(Blur, -1.0, Noun)),
    ("sharp sharper crisp crisper clear clearer detailed in_focus", Word::Quality(Blur, -1.0, Adjective)),
    ("sharpen unsharp unsharp_mask sharpen_up deblur", Word::Quality(Blur, -1.0, Doing)),
    ("noise grain graininess film_grain speckle speckles", Word::Quality(Noise, 1.0, Noun)),
    ("noisy noisier grainy grainier", Word::Quality(Noise, 1.0, Adjective)),
    ("vignette vignetting", Word::Quality(Vignette, 1.0, Noun)),
    ("pixelation pixellation", Word::Quality(Quality::Pixels, 1.0, Noun)),
    // Looks
    (
        "black_and_white black_white black_n_white black_in_white bw bnw b_w b_and_w greyscale grayscale grey_scale gray_scale \
      monochrome monochromatic noir",
        Word::Effect(Effect::Gray),
    ),
    ("sepia", Word::Effect(Effect::Sepia)),
    (
        "invert inverted negative inverse invert_colours invert_colors colour_negative color_negative inversion",
        Word::Effect(Effect::Invert),
    ),
    ("posterise posterised posterisation poster", Word::Effect(Effect::Posterise)),
    (
        "pixelate pixelated pixellate pixellated pixelise pixel_art pixelart mosaic mosaics blocky censor",
        Word::Effect(Effect::Pixelate),
    ),
    (
        "oil_paint oil_painting oil_painted oil_paint_like oil oils painting painted painterly kuwahara paint_like impressionist \
      oil_on_canvas",
        Word::Effect(Effect::Oil),
    ),
    (
        "sketch pencil pencil_sketch pencil_drawing drawing line_drawing line_art sketched sketchy outline outlines charcoal_drawing",
        Word::Effect(Effect::Sketch),
    ),
    ("edge_detection detect_edges find_edges edge_detect trace_edges sobel edges_only", Word::Effect(Effect::Edges)),
    ("threshold binarise binary two_tone pure_black_and_white", Word::Effect(Effect::Threshold)),
    ("denoise denoised noise_reduction smooth despeckle smoothen smooth_out", Word::Effect(Effect::Denoise)),
    // Shape
    ("crop cropped cropping crop_out crop_down cut_to cut", Word::Verb(Verb::Crop)),
    ("trim trimmed shave trim_off autocrop auto_crop", Word::Verb(Verb::Trim)),
    ("resize rescale scale resized scaled resample", Word::Verb(Verb::Resize)),
    (
        "enlarge bigger larger upscale scale_up upsize magnify expand increase_the_size increase_size",
        Word::Verb(Verb::Enlarge),
    ),
    (
        "shrink smaller downscale scale_down downsize downsample reduce_the_size reduce_size decrease_the_size",
        Word::Verb(Verb::Shrink),
    ),
    ("fit fit_within fit_into fit_in fit_inside resize_to_fit scale_to_fit", Word::Verb(Verb::Fit)),
    ("zoom zoom_in zoom_into", Word::Verb(Verb::Zoom)),
    ("rotate rotation spin rotated tilt tilted", Word::Verb(Verb::Rotate)),
    ("straighten level_the_horizon straighten_out", Word::Verb(Verb::Straighten)),
    ("flip mirror flipped mirrored mirror_image reflect reflected mirror_flip", Word::Verb(Verb::Flip)),
    ("horizontal horizontally left_to_right left_right sideways right_to_left", Word::Way(Way::Horizontal)),
    ("vertical vertically top_to_bottom up_down", Word::Way(Way::Vertical)),
    ("clockwise cw rightwards rightward", Word::Way(Way::Clockwise)),
    (
        "anticlockwise anti_clockwise counterclockwise counter_clockwise ccw leftwards leftward",
        Word::Way(Way::Anticlockwise),
    ),
    ("upside_down on_its_head", Word::Way(Way::UpsideDown)),
    ("width wide across", Word::Width),
    ("height high tall", Word::Height),
    ("longer_side long_side longest_side longer_edge long_edge longest_edge larger_side", Word::Longer),
    // Paint
    (
        "recolour recolor colourise colorize colorise paint colour_in color_in dye tinted coloured colored",
        Word::Verb(Verb::Tint),
    ),
    ("fill fill_in paint_over cover cover_up fill_up flood", Word::Verb(Verb::Fill)),
    ("black_out blackout blacken redact", Word::Verb(Verb::Redact)),
    (
        "remove erase delete inpaint heal retouch get_rid_of take_out take_away rub_out wipe_out eliminate remove_away clone_out \
      clean_up edit_out strip content_aware_fill fill_the_hole fill_in_the_hole drop_the no without",
        Word::Verb(Verb::Remove),
    ),
    (
        "mask masked masked_area masked_region masked_part selection selected selected_area white_area marked marked_area painted_area \
      hole holes highlighted_area",
        Word::Masked,
    ),
    // Places
    ("left left_side left_half left_part left_hand_side left_third", Word::Side(Place::Left)),
    ("right right_side right_half right_part right_hand_side right_third", Word::Side(Place::Right)),
    ("top upper top_half upper_half top_part upper_part top_third above", Word::Side(Place::Top)),
    ("bottom lower_half bottom_half lower_part bottom_part bottom_third below", Word::Side(Place::Bottom)),
    ("centre center middle centred centered central centre_part center_part", Word::Side(Place::Middle)),
    ("edge edges border borders corner corners margin margins frame sides rim", Word::Edges),
    ("each all_sides each_side every_side all_edges each_edge both_sides all_around all_round off", Word::Each),
    ("sky skies heaven", Word::Sky),
];

/// Numbers that are written out.
const NUMBERS: &[(&str, f32)] = &[
    ("one", 1.0),
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("twelve", 12.0),
    ("fifteen", 15.0),
    ("sixteen", 16.0),
    ("twenty", 20.0),
    ("twenty five", 25.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("forty five", 45.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("seventy five", 75.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
    ("hundred", 100.0),
    ("a hundred", 100.0),
    ("one hundred", 100.0),
    ("hundred eighty", 180.0),
    ("one hundred eighty", 180.0),
    ("one hundred and eighty", 180.0),
];

/// Words in a phrase, at most.
pub(super) const LONGEST: usize = 4;

pub(super) struct Vocabulary {
    entries: HashMap<String, Word>,
}

impl Vocabulary {
    /// Made once for each instance.
    pub(super) fn get() -> &'static Vocabulary {
        static VOCABULARY: OnceLock<Vocabulary> = OnceLock::new();
        VOCABULARY.get_or_init(Vocabulary::new)
    }

    fn new() -> Vocabulary {
        let entry = |(text, word): Entry| (text.replace('_', " "), word);
        let kinds = KINDS.iter().flat_map(|&(texts, word)| texts.split_whitespace().map(move |text| (text, word)));
        let numbers = NUMBERS.iter().map(|&(text, number)| (text, Word::Number(number)));
        Vocabulary { entries: kinds.chain(numbers).map(entry).collect() }
    }

    /// What a word or phrase is, in whatever form it is in.
    pub(super) fn find(&self, text: &str) -> Option<Word> {
        if let Some(&word) = self.entries.get(text) {
            return Some(word);
        }
        if let Some(colour) = colour::name(text) {
            return Some(Word::Colour(colour));
        }
        // American endings, and the forms of a word.
        if text.contains("ize") || text.contains("iza") {
            return self.find(&text.replace("ize", "ise").replace("iza", "isa"));
        }
        if let Some((word, _)) = comparative(text) {
            return Some(word);
        }
        stems(text).find_map(|stem| self.entries.get(stem.as_str()).copied())
    }

    /// What was meant by a word that is mistyped: one letter in five, two in nine, the first right. Only words that do
    /// something are guessed at.
    pub(super) fn guess(&self, text: &str) -> Option<Word> {
        let length = text.chars().count();
        let most = match length {
            ..5 => return None,
            5..9 => 1,
            _ => 2,
        };
        let mut best: Option<(usize, Word)> = None;
        for (known, &word) in &self.entries {
            let does = matches!(
                word,
                Word::Quality(..)
                    | Word::Effect(_)
                    | Word::Verb(_)
                    | Word::Way(_)
                    | Word::Level(_)
                    | Word::More
                    | Word::Less
            );
            if !does || known.contains(' ') || known.len() < 5 || known.as_bytes()[0] != text.as_bytes()[0] {
                continue;
            }
            // Another letter in a word of five makes another word: a shark is not sharp.
            if length == 5 && known.len() == 5 && !is_anagram(known, text) {
                continue;
            }
            let far = distance(known, text);
            match best {
                _ if far > most => {}
                // Two meanings as near as each other are none.
                Some((nearest, other)) if far == nearest && other != word => best = Some((far, Word::Unknown)),
                Some((nearest, _)) if far >= nearest => {}
                _ => best = Some((far, word)),
            }
        }
        best.map(|(_, word)| word).filter(|word| *word != Word::Unknown)
    }
}

/// "bluer", "reddish": more of a colour.
fn comparative(text: &str) -> Option<(Word, Colour)> {
    const ENDINGS: &[&str] = &["er", "r", "ish", "ier"];
    ENDINGS.iter().find_map(|ending| {
        let stem = text.strip_suffix(ending)?;
        let undoubled = stem.strip_suffix(stem.chars().last()?).unwrap_or(stem);
        let colour = [stem, undoubled].into_iter().find_map(colour::name)?;
        Some((Word::Colour(colour), colour))
    })
}

/// Whether a word is a colour's comparative, which asks for a shift and not for a coat of paint.
pub(super) fn is_comparative(text: &str) -> bool {
    colour::name(text).is_none() && comparative(text).is_some()
}

/// What a word may be a form of: "crops", "cropped", "blurring", "gently".
fn stems(text: &str) -> impl Iterator<Item = String> {
    let mut stems = Vec::new();
    for ending in ["s", "es", "ed", "d", "ing", "ly"] {
        let Some(stem) = text.strip_suffix(ending).filter(|stem| stem.len() >= 3) else { continue };
        stems.push(stem.to_owned());
        stems.push(format!("{stem}e"));
        let last = stem.chars().last().unwrap_or(' ');
        if let Some(shorter) = stem.strip_suffix(last).filter(|shorter| shorter.ends_with(last)) {
            stems.push(shorter.to_owned());
        }
    }
    stems.into_iter()
}

/// The same letters, in whichever order.
fn is_anagram(one: &str, other: &str) -> bool {
    let sorted = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.sort_unstable();
        bytes
    };
    sorted(one) == sorted(other)
}

/// Letters to put in, take out, change or swap with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let change = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut least = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}
