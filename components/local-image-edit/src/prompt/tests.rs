use hybrid_picture::colour::{self, Colour};

use super::{HELP, Misunderstood, steps};
use crate::operation::Operation::{self, Fill, Remove};
use crate::operation::Shape::*;
use crate::operation::Texture::*;
use crate::operation::Tone::*;
use crate::operation::{Length, Place, Reach, Shape, Step, Texture, Tone};

fn of(prompt: &str, masked: bool) -> Vec<Step> {
    steps(prompt, masked).unwrap_or_else(|why| panic!("`{prompt}`: {why:?}"))
}

fn refused(prompt: &str, masked: bool) -> Misunderstood {
    match steps(prompt, masked) {
        Ok(steps) => panic!("`{prompt}` was taken for {steps:?}"),
        Err(why) => why,
    }
}

fn c(name: &str) -> Colour {
    colour::name(name).expect("a colour")
}

/// Each prompt for itself gives the one thing.
fn all(prompts: &[&str], operation: impl Into<Operation> + Copy) {
    for prompt in prompts {
        let found = of(prompt, false);
        let operations: Vec<Operation> = found.iter().map(|step| step.operation).collect();
        assert!(near(&operations, &[operation.into()]), "`{prompt}` was taken for {found:?}");
        assert_eq!(found[0].place, Place::All, "`{prompt}`");
    }
}

/// Equal, but for the last digits of numbers.
fn near(one: &[Operation], other: &[Operation]) -> bool {
    let rounded = |operations: &[Operation]| format!("{operations:.3?}");
    rounded(one) == rounded(other)
}

impl From<Shape> for Operation {
    fn from(shape: Shape) -> Operation {
        Operation::Shape(shape)
    }
}

impl From<Tone> for Operation {
    fn from(tone: Tone) -> Operation {
        Operation::Tone(tone)
    }
}

impl From<Texture> for Operation {
    fn from(texture: Texture) -> Operation {
        Operation::Texture(texture)
    }
}

#[test]
fn shapes_are_understood() {
    all(
        &["crop to square", "Crop the picture to a square, please.", "make it square", "center crop to 1:1"],
        CropRatio(1.0),
    );
    all(
        &["crop to 16:9", "please crop this photo to 16:9!", "crop to widescreen", "cropped to 16/9"],
        CropRatio(16.0 / 9.0),
    );
    all(
        &["crop to 800x600", "crop it to 800 x 600 pixels", "Crop to 800 by 600", "crop to 800×600 px"],
        CropSize(800, 600),
    );
    all(&["crop to the middle", "crop to the centre"], CropShare(0.5));
    all(&["crop to 80%"], CropShare(0.8));
    all(&["crop by 10%"], CropShare(0.9));
    all(&["crop the border", "trim the borders", "remove the border", "autocrop"], Trim);
    all(
        &["crop 20px off each side", "trim 20 pixels from all sides", "crop 20 px from the edges"],
        Cut([Length::Pixels(20); 4]),
    );
    let none = Length::Pixels(0);
    all(&["crop 30px from the left", "trim 30 pixels off the left side"], Cut([Length::Pixels(30), none, none, none]));
    let half = |at: usize| Cut(std::array::from_fn(|side| Length::Share(if side == at { 0.5 } else { 0.0 })));
    all(&["crop the left half", "crop to the left half"], half(2));
    all(&["crop to the top half"], half(3));
    all(&["resize to 640x480", "scale it to 640 by 480", "make it 640x480"], Resize(640, 480));
    all(&["fit it into 640x480", "resize to fit 640x480"], Fit(640, 480));
    all(
        &["resize to 50%", "scale by 50%", "shrink by half", "make it half the size", "scale down to 50 percent"],
        Scale(0.5),
    );
    all(&["make it twice as big", "upscale 2x", "enlarge two times", "double the size"], Scale(2.0));
    all(&["resize to 1024 px wide", "make it 1024 pixels wide", "resize to a width of 1024"], Width(1024));
    all(&["resize to 300px", "resize the longer side to 300 px"], Longer(300));
    all(&["make it bigger"], Scale(1.5));
    all(&["make it smaller"], Scale(1.0 / 1.5));
    all(&["zoom in 2x", "zoom in by 100%"], Zoom(2.0));
    all(
        &[
            "rotate",
            "rotate 90",
            "turn it 90 degrees clockwise",
            "rotate to the right",
            "a quarter turn",
            "rotate by ninety degrees",
        ],
        Rotate(90.0),
    );
    all(
        &["rotate left", "rotate 90° counter-clockwise", "rotate -90 degrees", "turn it 90 degrees anticlockwise"],
        Rotate(-90.0),
    );
    all(&["turn it upside down", "rotate 180°", "rotate by 180 degrees"], Rotate(180.0));
    all(&["rotate by 12.5 degrees"], Rotate(12.5));
    all(&["straighten by 2 degrees"], Straighten(2.0));
    all(&["flip", "flip it horizontally", "mirror the image", "mirror it left to right", "flip sideways"], Mirror);
    all(&["flip vertically", "flip it upside down", "mirror vertically"], Flip);
}

#[test]
fn tones_are_understood() {
    all(
        &[
            "brighter",
            "make it brighter",
            "Brighten the picture.",
            "could you brighten this photo, please",
            "more brightness",
            "it is too dark",
            "increase the brightness",
            "make it less dark",
            "Lighten up!",
        ],
        Brightness(0.25),
    );
    all(&["a little brighter", "slightly brighter", "brighten it a bit", "just a touch brighter"], Brightness(0.1));
    all(&["much brighter", "a lot brighter", "brighten it strongly"], Brightness(0.45));
    all(
        &[
            "20% brighter",
            "brighten by 20%",
            "increase brightness by 20 percent",
            "brightness +20%",
            "brightness to 120%",
        ],
        Brightness(0.2),
    );
    all(
        &["darken", "make the whole image darker", "it's too bright", "reduce the brightness", "less bright"],
        Brightness(-0.25),
    );
    all(&["darken by half"], Brightness(-0.5));
    all(&["more contrast", "increase contrast", "boost the contrast", "contrast"], Contrast(0.3));
    all(&["less contrast", "lower the contrast", "flatter"], Contrast(-0.3));
    all(
        &[
            "more saturated",
            "more colourful",
            "boost the colors",
            "vivid",
            "make the colours more vibrant",
            "more colour",
        ],
        Saturation(0.45),
    );
    all(&["desaturate", "mute the colours", "less saturation"], Saturation(-0.5));
    all(&["saturation -30%", "reduce the saturation by 30%"], Saturation(-0.3));
    all(
        &[
            "black and white",
            "make it black & white",
            "B&W",
            "convert to grayscale",
            "turn it into greyscale",
            "monochrome",
            "remove the colour",
            "make it gray",
            "change this into a black-and-white photograph",
            "completely desaturated",
        ],
        Saturation(-1.0),
    );
    all(&["warmer", "make it warmer", "warm it up", "more warmth", "it is too cold"], Warmth(0.35));
    all(&["cooler", "colder", "less warm", "cool it down", "decrease the temperature"], Warmth(-0.35));
    all(&["exposure +1", "increase the exposure by one stop", "raise exposure 1 ev"], Exposure(1.0));
    all(&["gamma 1.8", "set gamma to 1.8"], Gamma(1.8));
    all(&["brighten the shadows", "lift the shadows", "raise shadows"], Shadows(0.35));
    all(&["darken the highlights", "recover the highlights", "less highlights"], Highlights(-0.35));
    all(
        &["make it more blue", "bluer", "add more blue", "increase the blue", "make it bluer, please"],
        Cast(c("blue"), 0.4),
    );
    all(&["less red", "too red", "reduce the red"], Cast(c("red"), -0.4));
    all(&["remove the green cast"], Cast(c("green"), -0.5));
    all(&["make it orange", "turn everything orange"], Tint(c("orange"), 1.0));
    all(&["add a blue tint", "give it a blue colour cast"], Tint(c("blue"), 0.4));
    all(&["recolour it purple", "colorize it purple", "paint it purple"], Tint(c("purple"), 0.85));
    all(&["shift the hue by 40 degrees", "hue shift of 40°"], Hue(40.0));
    all(&["sepia", "sepia tone", "give it a sepia effect", "make it sepia toned"], Sepia(1.0));
    all(&["invert", "make it a negative", "invert the colours", "negative", "inverted"], Invert);
    all(&["posterise", "posterize it", "posterized"], Posterise(5));
    all(&["posterize to 4 levels", "posterise to 4 colours", "posterise with four levels"], Posterise(4));
    all(&["threshold"], Threshold(0.5));
    all(&["threshold at 30%"], Threshold(0.3));
}

#[test]
fn textures_are_understood() {
    let usual = Reach::Usual(1.0);
    all(&["blur", "blur it", "make it blurry", "a gaussian blur", "soften the picture", "blured"], Blur(usual));
    all(&["blur slightly", "slightly blurred", "blur it a little", "a slight blur"], Blur(Reach::Usual(0.4)));
    all(&["very blurry", "blur heavily", "a strong blur"], Blur(Reach::Usual(1.8)));
    all(&["blur by 5 px", "blur with 5 pixels", "blur 5"], Blur(Reach::Pixels(5.0)));
    all(
        &[
            "sharpen",
            "sharper",
            "make it crisper",
            "it's too blurry",
            "more detail",
            "less blurry",
            "shrapen",
            "sharpne",
        ],
        Sharpen(0.8),
    );
    all(&["pixelate", "make it a mosaic", "pixellated", "pixelize"], Pixelate(usual));
    all(&["pixelate with 16 px blocks", "pixelate by 16 pixels", "pixelate 16x16"], Pixelate(Reach::Pixels(16.0)));
    all(
        &[
            "oil painting",
            "make it look like an oil painting",
            "turn this into an oil-paint-like picture",
            "painterly",
            "paint it like an oil painting",
            "kuwahara",
        ],
        Oil(usual),
    );
    all(&["sketch", "pencil drawing", "make it a pencil sketch", "turn it into a line drawing"], Sketch);
    all(&["edge detection"], Edges);
    all(&["add a vignette", "vignette", "more vignetting"], Vignette(0.5));
    all(&["add grain", "noisy", "add some film grain", "more noise"], Noise(0.08));
    all(&["denoise", "remove the noise", "less grain", "reduce noise", "smooth it", "without noise"], Denoise(1.0));
}

#[test]
fn several_things_are_done_in_their_order() {
    let several = |prompt: &str, operations: &[Operation]| {
        let found: Vec<Operation> = of(prompt, false).iter().map(|step| step.operation).collect();
        assert!(near(&found, operations), "`{prompt}` was taken for {found:?}");
    };
    let gray = Saturation(-1.0).into();
    several(
        "crop to square, then make it black and white and blur slightly",
        &[CropRatio(1.0).into(), gray, Blur(Reach::Usual(0.4)).into()],
    );
    several("brighter and warmer", &[Brightness(0.25).into(), Warmth(0.35).into()]);
    several("rotate left; flip; invert.", &[Rotate(-90.0).into(), Mirror.into(), Invert.into()]);
    several(
        "make it brighter, warmer and a bit sharper",
        &[Brightness(0.25).into(), Warmth(0.35).into(), Sharpen(0.32).into()],
    );
    several("increase contrast and saturation by 20%", &[Contrast(0.2).into(), Saturation(0.2).into()]);
    several("less contrast and more saturation", &[Contrast(-0.3).into(), Saturation(0.45).into()]);
    several("high contrast black and white", &[Contrast(0.3).into(), gray]);
    several("a grainy sepia picture with a vignette", &[Noise(0.08).into(), Sepia(1.0).into(), Vignette(0.5).into()]);
    several(
        "crop 10 px from the left and 20 px from the top",
        &[
            Cut([Length::Pixels(10), Length::Pixels(0), Length::Pixels(0), Length::Pixels(0)]).into(),
            Cut([Length::Pixels(0), Length::Pixels(20), Length::Pixels(0), Length::Pixels(0)]).into(),
        ],
    );
    several("resize to 800x600 sharpen", &[Resize(800, 600).into(), Sharpen(0.8).into()]);
}

#[test]
fn places_are_understood() {
    let placed = |prompt: &str, operation: Operation, place: Place| {
        let found = of(prompt, false);
        assert!(found.len() == 1 && near(&[found[0].operation], &[operation]), "`{prompt}`: {found:?}");
        assert_eq!(found[0].place, place, "`{prompt}`");
    };
    let orange = c("sunset").mixed(c("orange"));
    placed("Make the sky sunset orange", Tint(orange, 1.0).into(), Place::Sky);
    placed("darken the sky", Brightness(-0.25).into(), Place::Sky);
    placed("blur the left side", Blur(Reach::Usual(1.0)).into(), Place::Left);
    placed("brighten only the top half", Brightness(0.25).into(), Place::Top);
    placed("make the corners darker", Brightness(-0.25).into(), Place::Edges);
    placed("sharpen the centre", Sharpen(0.8).into(), Place::Middle);
    placed(
        "fill the sky with dark blue",
        Fill(Colour { lightness: c("blue").lightness - 0.14, ..c("blue") }),
        Place::Sky,
    );
    let both = of("brighten the top and the left", false);
    assert_eq!(both.iter().map(|step| step.place).collect::<Vec<_>>(), [Place::Top, Place::Left]);
}

#[test]
fn a_mask_names_its_thing() {
    let masked = |prompt: &str, operation: Operation| {
        let found = of(prompt, true);
        assert!(found.len() == 1 && near(&[found[0].operation], &[operation]), "`{prompt}`: {found:?}");
    };
    for prompt in [
        "remove",
        "remove it",
        "remove the person",
        "Remove the red car in the background.",
        "erase this",
        "get rid of the power lines",
        "please delete the old wooden boat and the trees",
        "inpaint",
        "fill the hole",
        "heal it",
        "remove people",
    ] {
        masked(prompt, Remove);
    }
    masked("make the car red", Tint(c("red"), 1.0).into());
    masked("make the old red car blue", Tint(c("blue"), 1.0).into());
    masked("recolour the shirt green", Tint(c("green"), 0.85).into());
    masked("blur the face", Blur(Reach::Usual(1.0)).into());
    masked("pixelate the number plate", Pixelate(Reach::Usual(1.0)).into());
    masked("fill it with red", Fill(c("red")));
    masked("fill the area with gray", Fill(c("gray")));
    masked("black out the name", Fill(c("black")));
    masked("brighten the masked area", Brightness(0.25).into());
    masked("crop to the mask", CropMask.into());
}

#[test]
fn what_is_half_understood_is_refused_whole() {
    for prompt in [
        "a cat",
        "add a hat",
        "replace the dog with a cat",
        "crop to square and add a hat",
        "make it brighter and put a moon there",
        "make the car red",
        "blur the background",
        "remove the person",
        "turn it into a painting of a dog",
        "make it look like Paris",
        "don't blur it",
        "do not crop",
        "brighter, but keep the sky",
        "make her smile",
        "change the season to winter",
        "Mach das Bild heller",
        "make it nicer",
        "x",
        "?",
        "...",
        "the picture",
        "slightly",
        "20%",
        "blur 5 px 7 px",
        "crop",
        "resize",
        "straighten",
        "colour it",
        "make it more",
        "rotate by 10 degrees and dance",
        "give him a crown",
        "crop 20px",
        "make it brighter than the sun",
        "invert the tree",
        "sharpen the unicorn",
        "blur the left right",
        "crop the sky",
        "flip the dog",
        "make it blue with wings",
        "resize to 16:9 blur by green",
    ] {
        let Misunderstood::Prompt(why) = refused(prompt, false) else { panic!("`{prompt}`") };
        assert!(why.contains(HELP), "`{prompt}`: {why}");
    }
    for prompt in [
        "add a hat",
        "turn the dog into a cat",
        "turn the dog into a blue cat",
        "replace the car with a bike",
        "make the cat blue with wings",
        "make the car fly",
        "make the car red and add a logo",
        "a forest",
    ] {
        let Misunderstood::Prompt(why) = refused(prompt, true) else { panic!("`{prompt}`") };
        assert!(why.contains(HELP), "`{prompt}`: {why}");
    }
}

#[test]
fn what_needs_a_mask_and_what_must_not_have_one_is_told() {
    assert!(matches!(refused("remove it", false), Misunderstood::Mask(_)));
    assert!(matches!(refused("fill it with red", false), Misunderstood::Mask(_)));
    for prompt in ["crop to square", "rotate 90", "resize to 50%", "blur and flip"] {
        let Misunderstood::Prompt(why) = refused(prompt, true) else { panic!("`{prompt}`") };
        assert!(why.contains("inside of a mask"), "{why}");
    }
    let many = "blur, ".repeat(20);
    assert!(matches!(refused(&many, false), Misunderstood::Prompt(why) if why.contains("16")));
}

/// Things that people ask image models for, none of which is here.
const THINGS: &str = "dog cat hat house tree moon star car boat bird horse man woman child baby king queen crown castle bridge \
    river lake mountain hill flower rose garden forest beach ocean wave cloud rain snow storm lightning fire smoke dragon \
    robot alien planet rocket spaceship train plane bus bicycle road street lamp window door roof wall table chair bed \
    sofa book cup glass bottle plate knife fork cake pizza apple banana cherry grape lemon bread cheese fish shark whale \
    dolphin tiger lion bear wolf fox rabbit mouse elephant giraffe monkey snake frog spider butterfly bee dress shirt \
    shoes jacket tie scarf glove ring necklace beard moustache hair smile eyes nose tattoo sword shield armour helmet flag \
    sign logo text watermark balloon kite ball guitar piano drum trumpet camera phone computer clock candle mirror-ball \
    waterfall volcano desert island palm cactus mushroom pumpkin skeleton ghost witch wizard angel devil unicorn mermaid \
    superhero astronaut pirate ninja samurai cowboy clown dancer singer doctor teacher farmer soldier police snowman";

#[test]
fn things_that_are_not_there_are_never_added() {
    for thing in THINGS.split_whitespace() {
        for masked in [false, true] {
            refused(&format!("add a {thing}"), masked);
            refused(&format!("make it brighter and give it a {thing} dancing"), masked);
        }
        refused(&format!("a {thing}"), false);
        refused(&format!("turn it into a {thing}"), false);
    }
}

#[test]
fn slips_of_the_finger_are_forgiven() {
    all(&["brigten it", "brightenn", "brihgten"], Brightness(0.25));
    all(&["sharpne it", "shrapen", "sharpenn"], Sharpen(0.8));
    all(&["pixalate", "pixelat it"], Pixelate(Reach::Usual(1.0)));
    all(&["rotat 90 degrees", "roatte by 90°"], Rotate(90.0));
    all(&["increase the contrst", "more contarst"], Contrast(0.3));
}

#[test]
fn nothing_that_is_written_breaks_it() {
    let mut state = 7_u64;
    let mut next = move |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % most
    };
    let words: Vec<&str> = "crop to square 16:9 800x600 20% -5 px ° # #ff0 , . and then a the little very more less too blur \
        darker blue gray sky left edges remove fill rotate 1e9 99999999999 0:0 0x0 x by & ü 🌇 'it's - -- % half twice resize mask"
        .split_whitespace()
        .collect();
    for _ in 0..3000 {
        let prompt: Vec<&str> = (0..1 + next(9)).map(|_| words[next(words.len())]).collect();
        for masked in [false, true] {
            for step in steps(&prompt.join(" "), masked).unwrap_or_default() {
                let text = format!("{step:?}");
                assert!(!text.contains("NaN") && !text.contains("inf"), "{prompt:?}: {text}");
            }
        }
    }
}
