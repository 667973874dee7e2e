//! What the stand-ins for pictures share: colours from words, and writing PNG.

use std::io::Cursor;

use hybrid_guest::types::Reason;

/// Lightness, chroma and hue (degrees) in OKLCH, in which equal steps look equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Colour {
    pub(crate) lightness: f32,
    pub(crate) chroma: f32,
    pub(crate) hue: f32,
}

const fn colour(lightness: f32, chroma: f32, hue: f32) -> Colour {
    Colour { lightness, chroma, hue }
}

/// Words that name a colour, or something everybody knows the colour of.
const WORDS: &[(&str, Colour)] = &[
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
    ("sunset", colour(0.68, 0.18, 45.0)),
    ("sunrise", colour(0.76, 0.14, 55.0)),
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
    ("lavender", colour(0.76, 0.10, 300.0)),
    ("rose", colour(0.66, 0.17, 10.0)),
];

/// The colours a text names, in its order, each once.
pub(crate) fn named(text: &str) -> Vec<Colour> {
    let mut found = Vec::new();
    for word in text.split(|character: char| !character.is_alphabetic()) {
        let known = WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        if let Some(&(_, colour)) = known
            && !found.contains(&colour)
        {
            found.push(colour);
        }
    }
    found
}

impl Colour {
    pub(crate) fn of_hash(hash: u64) -> Colour {
        colour(0.62, 0.15, (hash % 360) as f32)
    }

    /// OKLab: lightness, then green to red, then blue to yellow.
    pub(crate) fn lab(self) -> [f32; 3] {
        let (sine, cosine) = self.hue.to_radians().sin_cos();
        [self.lightness, self.chroma * cosine, self.chroma * sine]
    }
}

/// sRGB of an OKLab colour, cut to what a screen can show. Matrices: Björn Ottosson, 2020.
pub(crate) fn srgb([l, a, b]: [f32; 3]) -> [u8; 3] {
    let long = (l + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let middle = (l - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let short = (l - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    let linear = [
        4.076_741_7 * long - 3.307_711_6 * middle + 0.230_969_94 * short,
        -1.268_438 * long + 2.609_757_4 * middle - 0.341_319_38 * short,
        -0.004_196_086 * long - 0.703_418_6 * middle + 1.707_614_7 * short,
    ];
    linear.map(|channel| {
        let channel = channel.clamp(0.0, 1.0);
        let curved = if channel <= 0.003_130_8 { 12.92 * channel } else { 1.055 * channel.powf(1.0 / 2.4) - 0.055 };
        (curved * 255.0 + 0.5) as u8
    })
}

/// FNV-1a of the text, with the seed in front of it.
pub(crate) fn hash(text: &str, seed: Option<u64>) -> u64 {
    let seed = seed.unwrap_or(0).to_le_bytes();
    let sum = seed
        .iter()
        .chain(text.trim().as_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |sum: u64, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut state = sum;
    next(&mut state)
}

/// SplitMix64.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// An 8-bit PNG that says in a text chunk what it is.
pub(crate) fn png(width: u32, height: u32, colour: png::ColorType, data: &[u8], says: &str) -> Result<Vec<u8>, Reason> {
    // Growing from nothing would copy it ten times.
    let mut bytes = Cursor::new(Vec::with_capacity(data.len() / 2 + 1024));
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    // `Balanced` takes 20 times as long for a few percent.
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Adaptive);
    encoder
        .add_text_chunk("Comment".to_owned(), says.to_owned())
        .and_then(|()| encoder.write_header())
        .and_then(|mut writer| writer.write_image_data(data))
        .map_err(|error| Reason::Internal(format!("a PNG could not be written: {error}")))?;
    Ok(bytes.into_inner())
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
    fn words_within_words_are_none() {
        assert!(named("a bored greengrocer").is_empty());
        assert_eq!(named("red and blue, and red").len(), 2);
    }
}
