//! Colours by the names that people give them.

/// Lightness, chroma and hue (degrees) in OKLCH, in which equal steps look equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colour {
    pub lightness: f32,
    pub chroma: f32,
    pub hue: f32,
}

const fn colour(lightness: f32, chroma: f32, hue: f32) -> Colour {
    Colour { lightness, chroma, hue }
}

/// Words that name a colour and nothing else, or hardly anything.
const NAMES: &[(&str, Colour)] = &[
    ("scarlet", colour(0.57, 0.22, 30.0)),
    ("ruby", colour(0.50, 0.20, 15.0)),
    ("maroon", colour(0.38, 0.13, 22.0)),
    ("coral", colour(0.73, 0.16, 32.0)),
    ("salmon", colour(0.76, 0.12, 30.0)),
    ("peach", colour(0.86, 0.08, 60.0)),
    ("amber", colour(0.80, 0.16, 78.0)),
    ("copper", colour(0.60, 0.12, 48.0)),
    ("bronze", colour(0.60, 0.10, 65.0)),
    ("cream", colour(0.95, 0.04, 95.0)),
    ("ivory", colour(0.97, 0.02, 100.0)),
    ("tan", colour(0.76, 0.07, 72.0)),
    ("khaki", colour(0.76, 0.08, 102.0)),
    ("olive", colour(0.55, 0.11, 112.0)),
    ("mint", colour(0.88, 0.09, 165.0)),
    ("emerald", colour(0.66, 0.16, 158.0)),
    ("aqua", colour(0.84, 0.12, 198.0)),
    ("azure", colour(0.66, 0.16, 250.0)),
    ("sapphire", colour(0.42, 0.18, 262.0)),
    ("lilac", colour(0.78, 0.09, 310.0)),
    ("mauve", colour(0.70, 0.11, 318.0)),
    ("charcoal", colour(0.36, 0.01, 260.0)),
    ("red", colour(0.58, 0.21, 27.0)),
    ("crimson", colour(0.52, 0.20, 20.0)),
    ("orange", colour(0.73, 0.17, 60.0)),
    ("yellow", colour(0.88, 0.17, 98.0)),
    ("gold", colour(0.80, 0.15, 88.0)),
    ("golden", colour(0.80, 0.15, 88.0)),
    ("green", colour(0.60, 0.17, 143.0)),
    ("lime", colour(0.80, 0.20, 130.0)),
    ("teal", colour(0.60, 0.10, 190.0)),
    ("turquoise", colour(0.75, 0.11, 190.0)),
    ("cyan", colour(0.80, 0.13, 200.0)),
    ("blue", colour(0.52, 0.19, 260.0)),
    ("navy", colour(0.32, 0.12, 265.0)),
    ("indigo", colour(0.40, 0.17, 280.0)),
    ("violet", colour(0.55, 0.20, 300.0)),
    ("purple", colour(0.48, 0.19, 308.0)),
    ("magenta", colour(0.62, 0.24, 328.0)),
    ("pink", colour(0.78, 0.13, 355.0)),
    ("brown", colour(0.42, 0.08, 55.0)),
    ("beige", colour(0.88, 0.04, 85.0)),
    ("black", colour(0.16, 0.01, 270.0)),
    ("white", colour(0.96, 0.01, 90.0)),
    ("gray", colour(0.60, 0.01, 260.0)),
    ("grey", colour(0.60, 0.01, 260.0)),
    ("silver", colour(0.78, 0.01, 250.0)),
    ("lavender", colour(0.76, 0.10, 300.0)),
    ("rose", colour(0.66, 0.17, 10.0)),
    ("sunset", colour(0.68, 0.18, 45.0)),
    ("sunrise", colour(0.76, 0.14, 55.0)),
];

/// Things that everybody knows the colour of.
const THINGS: &[(&str, Colour)] = &[
    ("fire", colour(0.65, 0.21, 40.0)),
    ("autumn", colour(0.60, 0.14, 55.0)),
    ("desert", colour(0.76, 0.09, 75.0)),
    ("sun", colour(0.86, 0.16, 92.0)),
    ("forest", colour(0.45, 0.11, 148.0)),
    ("jungle", colour(0.48, 0.13, 142.0)),
    ("grass", colour(0.65, 0.17, 138.0)),
    ("sea", colour(0.55, 0.11, 225.0)),
    ("ocean", colour(0.48, 0.12, 235.0)),
    ("sky", colour(0.75, 0.11, 235.0)),
    ("ice", colour(0.88, 0.05, 220.0)),
    ("snow", colour(0.95, 0.02, 230.0)),
    ("night", colour(0.25, 0.09, 275.0)),
    ("space", colour(0.22, 0.10, 290.0)),
];

/// The colour that a word is the name of.
pub fn name(word: &str) -> Option<Colour> {
    look_up(NAMES, word)
}

fn look_up(words: &[(&str, Colour)], word: &str) -> Option<Colour> {
    words.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|&(_, colour)| colour)
}

/// The colours a text names, by themselves or by things that have them, in its order, each once.
pub fn named(text: &str) -> Vec<Colour> {
    let mut found = Vec::new();
    for word in text.split(|character: char| !character.is_alphabetic()) {
        let known = name(word).or_else(|| look_up(THINGS, word));
        if let Some(colour) = known
            && !found.contains(&colour)
        {
            found.push(colour);
        }
    }
    found
}

impl Colour {
    /// One of middling lightness.
    pub fn of_hash(hash: u64) -> Colour {
        colour(0.62, 0.15, (hash % 360) as f32)
    }

    /// Between this and another, halfway as the eye sees it.
    pub fn mixed(self, other: Colour) -> Colour {
        let ([l, a, b], [m, c, d]) = (self.lab(), other.lab());
        Colour::of_lab([(l + m) / 2.0, (a + c) / 2.0, (b + d) / 2.0])
    }

    fn of_lab([lightness, a, b]: [f32; 3]) -> Colour {
        colour(lightness, a.hypot(b), b.atan2(a).to_degrees().rem_euclid(360.0))
    }

    pub fn of_srgb(rgb: [u8; 3]) -> Colour {
        let [r, g, b] = rgb.map(linear);
        let long = (0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
        let middle = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
        let short = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
        let a = 1.977_998_5 * long - 2.428_592_2 * middle + 0.450_593_7 * short;
        let b = 0.025_904_037 * long + 0.782_771_77 * middle - 0.808_675_77 * short;
        let lightness = 0.210_454_26 * long + 0.793_617_8 * middle - 0.004_072_047 * short;
        Colour::of_lab([lightness, a, b])
    }

    /// OKLab: lightness, then green to red, then blue to yellow.
    pub fn lab(self) -> [f32; 3] {
        let (sine, cosine) = self.hue.to_radians().sin_cos();
        [self.lightness, self.chroma * cosine, self.chroma * sine]
    }
}

/// sRGB of an OKLab colour, cut to what a screen can show. Matrices: Björn Ottosson, 2020.
pub fn srgb([l, a, b]: [f32; 3]) -> [u8; 3] {
    let long = (l + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let middle = (l - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let short = (l - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    let linear = [
        4.076_741_7 * long - 3.307_711_6 * middle + 0.230_969_94 * short,
        -1.268_438 * long + 2.609_757_4 * middle - 0.341_319_38 * short,
        -0.004_196_086 * long - 0.703_418_6 * middle + 1.707_614_7 * short,
    ];
    linear.map(encoded)
}

/// The light that an sRGB sample stands for, 0 to 1.
pub fn linear(sample: u8) -> f32 {
    let sample = f32::from(sample) / 255.0;
    if sample <= 0.040_45 { sample / 12.92 } else { ((sample + 0.055) / 1.055).powf(2.4) }
}

/// The sRGB sample that stands for this light, cut to what a screen can show.
pub fn encoded(light: f32) -> u8 {
    let light = light.clamp(0.0, 1.0);
    let curved = if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    (curved * 255.0 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_come_out_as_people_call_them() {
        let rgb = |word: &str| srgb(named(word)[0].lab());
        let [r, g, b] = rgb("red");
        assert!(r > 180 && g < 90 && b < 90, "{r} {g} {b}");
        let [r, g, b] = rgb("Green!");
        assert!(g > r + 40 && g > b + 40, "{r} {g} {b}");
        let [r, g, b] = rgb("blue");
        assert!(b > 180 && r < 110, "{r} {g} {b}");
        assert!(rgb("white").iter().all(|&channel| channel > 230));
    }

    #[test]
    fn srgb_goes_there_and_back() {
        for rgb in [[0, 0, 0], [255, 255, 255], [255, 136, 0], [12, 200, 90], [3, 4, 250]] {
            let back = srgb(Colour::of_srgb(rgb).lab());
            assert!(rgb.iter().zip(back).all(|(one, other)| one.abs_diff(other) <= 1), "{rgb:?} {back:?}");
        }
        assert!((0..=255).all(|sample| encoded(linear(sample)) == sample));
    }

    #[test]
    fn words_within_words_are_none() {
        assert!(named("a bored greengrocer").is_empty());
        assert_eq!(named("red and blue, and red").len(), 2);
    }
}
