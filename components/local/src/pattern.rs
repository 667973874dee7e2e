//! A picture in place of a model's: a scene where the prompt names one that there are parts for, else shapes of noise. The
//! shapes come from the prompt's hash and the seed, the colours from the prompt's words.

use hybrid_guest::types::Reason;
use hybrid_picture::colour::{self, Colour};

use crate::draw;
use crate::noise::{Noise, mix, smooth};
use crate::scene::{self, Subject};

pub(crate) const MODEL: &str = "local/pattern";

const SAYS: &str = "Placeholder: a procedural picture (local/pattern), not the work of an image model";
/// The router asks for less; this is what keeps anybody else from asking for all memory.
const MAX_SIDE: u32 = 4096;
/// Cells across the shorter side.
const ACROSS: f32 = 2.6;
const OCTAVES: usize = 4;
/// How far the picture is pulled about, in cells.
const WARP: f32 = 1.3;
/// The pull changes slowly: worked out at every 8th pixel and stretched, it costs a sixtieth and looks the same.
const COARSE: usize = 8;
const SHADES: usize = 1024;

/// A PNG of exactly that size; equal for equal prompt and seed.
pub(crate) fn png(prompt: &str, seed: Option<u64>, width: u32, height: u32) -> Result<Vec<u8>, Reason> {
    for (field, side) in [("width", width), ("height", height)] {
        if !(1..=MAX_SIDE).contains(&side) {
            return Err(Reason::invalid(field, format!("must be 1 to {MAX_SIDE}")));
        }
    }
    let pixels = paint(prompt, seed, width as usize, height as usize);
    draw::png(width, height, png::ColorType::Rgb, &pixels, SAYS)
}

fn paint(prompt: &str, seed: Option<u64>, width: usize, height: usize) -> Vec<u8> {
    let mut state = draw::hash(prompt, seed);
    let noise = Noise::new(&mut state);
    let subject = Subject::of(prompt);
    // Parts of a scene want some room.
    if subject != Subject::Abstract && width.min(height) >= 48 {
        return scene::paint(subject, prompt, &mut state, &noise, width, height);
    }
    let shades = shades(&colour::named(prompt), &mut state);
    let scale = ACROSS / width.min(height) as f32;
    let pull = Pull::new(&noise, width, height, scale);

    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let row = pull.row(y);
        for x in 0..width {
            let (dx, dy) = row.at(x);
            let level = noise.at::<OCTAVES>(x as f32 * scale + WARP * dx, y as f32 * scale + WARP * dy);
            // The pull takes part in the colour, so that folds show as folds.
            let shade = 0.5 + 0.95 * (level - 0.5) + 0.35 * (dx - dy);
            let shade = (shade.clamp(0.0, 1.0) * (SHADES - 1) as f32) as usize;
            pixels.extend_from_slice(&shades[shade]);
        }
    }
    pixels
}

/// From dark to light through the colours named, or through neighbours of one that the hash picks.
fn shades(named: &[Colour], state: &mut u64) -> Vec<[u8; 3]> {
    let turn = draw::next(state);
    let colours = match named {
        [] => {
            let first = Colour::of_hash(turn);
            let away = if turn >> 32 & 1 == 0 { 35.0 } else { -35.0 };
            let next = Colour { hue: first.hue + away, lightness: 0.72, ..first };
            let accent = Colour { hue: first.hue + 170.0, lightness: 0.8, chroma: 0.12 };
            vec![first, next, accent]
        }
        [only] => {
            let beside = |hue: f32, lightness: f32| Colour {
                hue: only.hue + hue,
                lightness: (only.lightness + lightness).clamp(0.1, 0.97),
                ..*only
            };
            vec![beside(-12.0, -0.14), *only, beside(14.0, 0.12)]
        }
        several => several.to_vec(),
    };
    let (first, last) = (colours[0], colours[colours.len() - 1]);
    let dark = Colour { lightness: first.lightness * 0.4, chroma: first.chroma * 0.6, ..first };
    let light = Colour { lightness: 0.6 + last.lightness * 0.38, chroma: last.chroma * 0.35, ..last };
    let stops: Vec<[f32; 3]> = [dark].into_iter().chain(colours).chain([light]).map(Colour::lab).collect();
    (0..SHADES)
        .map(|shade| {
            let place = shade as f32 / (SHADES - 1) as f32 * (stops.len() - 1) as f32;
            let at = (place as usize).min(stops.len() - 2);
            let along = smooth(place - at as f32);
            colour::srgb(std::array::from_fn(|part| mix(stops[at][part], stops[at + 1][part], along)))
        })
        .collect()
}

/// Where each part of the picture is pulled to, on a coarse grid.
struct Pull {
    columns: usize,
    grid: Vec<(f32, f32)>,
}

impl Pull {
    fn new(noise: &Noise, width: usize, height: usize, scale: f32) -> Pull {
        let (columns, rows) = (width / COARSE + 2, height / COARSE + 2);
        let mut grid = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            for column in 0..columns {
                let (x, y) = ((column * COARSE) as f32 * scale, (row * COARSE) as f32 * scale);
                let first = |away: f32| noise.at::<3>(x + away, y - away) - 0.5;
                let (dx, dy) = (first(5.2), first(11.7));
                let second = |away: f32| noise.at::<3>(x + 2.0 * dx + away, y + 2.0 * dy + away) - 0.5;
                grid.push((2.0 * second(1.7), 2.0 * second(8.3)));
            }
        }
        Pull { columns, grid }
    }

    fn row(&self, y: usize) -> Row<'_> {
        let top = y / COARSE * self.columns;
        Row {
            above: &self.grid[top..top + self.columns],
            below: &self.grid[top + self.columns..top + 2 * self.columns],
            down: (y % COARSE) as f32 / COARSE as f32,
        }
    }
}

struct Row<'a> {
    above: &'a [(f32, f32)],
    below: &'a [(f32, f32)],
    down: f32,
}

impl Row<'_> {
    fn at(&self, x: usize) -> (f32, f32) {
        let (at, along) = (x / COARSE, (x % COARSE) as f32 / COARSE as f32);
        let four = [self.above[at], self.above[at + 1], self.below[at], self.below[at + 1]];
        let between = |[a, b, c, d]: [f32; 4]| mix(mix(a, b, along), mix(c, d, along), self.down);
        (between(four.map(|(dx, _)| dx)), between(four.map(|(_, dy)| dy)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(png: &[u8]) -> image::RgbImage {
        image::load_from_memory_with_format(png, image::ImageFormat::Png).expect("a PNG").into_rgb8()
    }

    #[test]
    fn the_picture_has_the_size_asked_for() {
        for (width, height) in [(64, 64), (512, 256), (72, 1024), (1, 1), (9, 7)] {
            assert_eq!(decoded(&png("a lake", None, width, height).expect("a picture")).dimensions(), (width, height));
        }
        assert!(matches!(png("a lake", None, 0, 64), Err(Reason::Invalid(_))));
        assert!(matches!(png("a lake", None, 64, 5000), Err(Reason::Invalid(_))));
    }

    #[test]
    fn equal_prompts_and_seeds_are_equal_pictures_and_no_others() {
        let picture = |prompt, seed| png(prompt, seed, 64, 64).expect("a picture");
        assert_eq!(picture("a lake", Some(1)), picture("a lake", Some(1)));
        assert_ne!(picture("a lake", Some(1)), picture("a lake", Some(2)));
        assert_ne!(picture("a lake", None), picture("a fake", None));
    }

    #[test]
    fn colours_named_are_colours_seen() {
        let mean = |prompt: &str| {
            let picture = decoded(&png(prompt, None, 128, 128).expect("a picture"));
            let sums = picture.pixels().fold([0_u64; 3], |sums, pixel| {
                std::array::from_fn(|channel| sums[channel] + u64::from(pixel.0[channel]))
            });
            sums.map(|sum| sum / (128 * 128))
        };
        let [r, g, b] = mean("something red");
        assert!(r > g + 40 && r > b + 40, "{r} {g} {b}");
        let [r, _, b] = mean("a blue dream");
        assert!(b > r + 40, "{r} {b}");
    }

    const SCENES: &[&str] = &[
        "mountains at dawn",
        "a stormy sea with a boat",
        "a galaxy and a planet",
        "a city skyline at night",
        "a misty forest",
        "portrait of a woman",
        "a meadow full of flowers",
    ];

    fn mean(prompt: &str, seed: u64) -> [f64; 3] {
        let picture = decoded(&png(prompt, Some(seed), 96, 96).expect("a picture"));
        let sums = picture.pixels().fold([0.0; 3], |sums: [f64; 3], pixel| {
            std::array::from_fn(|channel| sums[channel] + f64::from(pixel.0[channel]))
        });
        sums.map(|sum| sum / (96.0 * 96.0))
    }

    #[test]
    fn scenes_have_any_size_and_every_seed_is_another() {
        for prompt in SCENES {
            for (width, height) in [(64, 64), (48, 160), (160, 48), (1, 1), (100, 3)] {
                let picture = decoded(&png(prompt, Some(3), width, height).expect("a picture"));
                assert_eq!(picture.dimensions(), (width, height), "{prompt}");
            }
            let seeded = |seed| decoded(&png(prompt, Some(seed), 96, 96).expect("a picture"));
            assert_eq!(seeded(1), seeded(1), "{prompt}");
            let (one, other) = (seeded(1), seeded(2));
            let apart = one.as_raw().iter().zip(other.as_raw()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
            assert!(apart / one.as_raw().len() as f64 > 4.0, "{prompt}: {}", apart / one.as_raw().len() as f64);
        }
    }

    #[test]
    fn scenes_honour_colours_and_moods() {
        for seed in 0..4 {
            for scene in ["mountains", "sea", "galaxy", "city", "forest"] {
                let [r, _, b] = mean(&format!("red {scene}"), seed);
                let [blue_r, _, blue_b] = mean(&format!("blue {scene}"), seed);
                assert!(r / b > blue_r / blue_b * 1.25, "{scene} {seed}: {r} {b}, {blue_r} {blue_b}");
            }
            for scene in ["mountains", "sea", "city", "forest"] {
                let light = |prompt: String| mean(&prompt, seed).iter().sum::<f64>();
                let (night, day) = (light(format!("{scene} at night")), light(format!("bright {scene}")));
                assert!(night < 0.7 * day, "{scene} {seed}: {night} {day}");
            }
        }
    }

    #[test]
    fn it_has_contrast_and_says_what_it_is() {
        let png = png("mountains", Some(3), 256, 256).expect("a picture");
        let picture = decoded(&png);
        let (low, high) = picture.pixels().fold((255, 0), |(low, high), pixel| {
            let gray = ((u32::from(pixel.0[0]) + u32::from(pixel.0[1]) * 2 + u32::from(pixel.0[2])) / 4) as u8;
            (low.min(gray), high.max(gray))
        });
        assert!(high - low > 90, "{low} {high}");
        assert!(png.windows(11).any(|bytes| bytes == b"Placeholder"));
    }
}
