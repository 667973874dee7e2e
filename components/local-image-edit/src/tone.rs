//! What is done to each pixel by itself: a table for each channel, three sums, or shades of one colour.

use hybrid_picture::colour::{self, Colour};

use crate::operation::Tone;

/// Of 256: what the eye makes of red, green and blue (BT.601).
const LUMA: [i32; 3] = [77, 150, 29];
/// One, in the sums' fixed point.
const ONE: f32 = 4096.0;

/// A tone, worked out for all pixels at once.
pub(crate) enum Worked {
    Tables(Box<[[u8; 256]; 3]>),
    Sums([[i32; 3]; 3]),
    /// By the pixel's lightness; so much of it, of 256.
    Shades(Box<[[u8; 3]; 256]>, i32),
}

impl Worked {
    pub(crate) fn new(tone: Tone) -> Worked {
        match tone {
            Tone::Brightness(by) if by < 0.0 => table(|v| v * (1.0 + by.max(-1.0))),
            // Black stays, white stays, and nothing is burnt out.
            Tone::Brightness(by) => table(|v| 1.0 - (1.0 - v).powf(1.0 + by)),
            Tone::Contrast(by) => contrast(by),
            Tone::Saturation(by) => saturation(by),
            Tone::Exposure(stops) => lit(|_, light| light * stops.exp2()),
            Tone::Gamma(gamma) => table(|v| v.powf(1.0 / gamma)),
            Tone::Warmth(by) => {
                lit(|channel, light| light * [1.0 + 0.45 * by, 1.0 + 0.04 * by, 1.0 - 0.5 * by][channel])
            }
            Tone::Shadows(by) => table(|v| v + by * v * (1.0 - v).powi(3) * 2.4),
            Tone::Highlights(by) => table(|v| v + by * (1.0 - v) * v.powi(3) * 2.4),
            Tone::Cast(colour, by) => cast(colour, by),
            Tone::Tint(colour, by) => Worked::Shades(Box::new(shades(colour)), (by.clamp(0.0, 1.0) * 256.0) as i32),
            Tone::Hue(degrees) => hue(degrees),
            Tone::Sepia(by) => sepia(by),
            Tone::Invert => table(|v| 1.0 - v),
            Tone::Posterise(levels) => {
                let steps = levels.max(2) as f32 - 1.0;
                table(move |v| (v * steps).round() / steps)
            }
            Tone::Threshold(at) => {
                let shade = |gray: usize| [if gray as f32 / 255.0 < at { 0 } else { 255 }; 3];
                Worked::Shades(Box::new(std::array::from_fn(shade)), 256)
            }
        }
    }

    pub(crate) fn apply(&self, data: &mut [u8], channels: usize) {
        for pixel in data.chunks_exact_mut(channels) {
            let own = [pixel[0], pixel[1], pixel[2]];
            let new = match self {
                Worked::Tables(tables) => std::array::from_fn(|channel| tables[channel][usize::from(own[channel])]),
                Worked::Sums(sums) => {
                    let own = own.map(i32::from);
                    sums.map(|[r, g, b]| ((r * own[0] + g * own[1] + b * own[2] + 2048) >> 12).clamp(0, 255) as u8)
                }
                Worked::Shades(shades, by) => {
                    let shade = shades[luma(own)];
                    let mixed = |channel: usize| {
                        let (own, shade) = (i32::from(own[channel]), i32::from(shade[channel]));
                        (own + (((shade - own) * by + 128) >> 8)) as u8
                    };
                    std::array::from_fn(mixed)
                }
            };
            pixel[..3].copy_from_slice(&new);
        }
    }
}

pub(crate) fn luma([r, g, b]: [u8; 3]) -> usize {
    let sum = LUMA[0] * i32::from(r) + LUMA[1] * i32::from(g) + LUMA[2] * i32::from(b);
    (sum >> 8) as usize
}

fn table(of: impl Fn(f32) -> f32) -> Worked {
    let own: [u8; 256] = std::array::from_fn(|v| (of(v as f32 / 255.0).clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
    Worked::Tables(Box::new([own; 3]))
}

/// A table over the light that samples stand for.
fn lit(of: impl Fn(usize, f32) -> f32) -> Worked {
    let own = |channel: usize| std::array::from_fn(|v| colour::encoded(of(channel, colour::linear(v as u8))));
    Worked::Tables(Box::new([own(0), own(1), own(2)]))
}

/// An S whose slope in the middle is what was asked for and whose ends stay: nothing is cut off.
fn contrast(by: f32) -> Worked {
    if by <= 0.001 {
        return table(|v| 0.5 + (v - 0.5) * (1.0 + by.max(-1.0)));
    }
    // The slope is k / tanh(k).
    let (mut low, mut high) = (0.0_f32, 12.0_f32);
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        if middle / middle.tanh() < 1.0 + by { low = middle } else { high = middle }
    }
    let k = low.max(0.01);
    table(move |v| 0.5 + 0.5 * (k * (2.0 * v - 1.0)).tanh() / k.tanh())
}

fn saturation(by: f32) -> Worked {
    let factor = 1.0 + by.max(-1.0);
    sums(|to, from| {
        let gray = LUMA[from] as f32 / 256.0;
        gray + factor * (f32::from(u8::from(to == from)) - gray)
    })
}

/// A turn about the gray axis, which keeps the lightness.
fn hue(degrees: f32) -> Worked {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let l = LUMA.map(|part| part as f32 / 256.0);
    const TURN: [[f32; 3]; 3] = [[-0.213, -0.715, 0.928], [0.143, 0.140, -0.283], [-0.787, 0.715, 0.072]];
    sums(|to, from| l[from] + cosine * (f32::from(u8::from(to == from)) - l[from]) + sine * TURN[to][from])
}

fn sepia(by: f32) -> Worked {
    const SEPIA: [[f32; 3]; 3] = [[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]];
    sums(|to, from| {
        let own = f32::from(u8::from(to == from));
        own + by * (SEPIA[to][from] - own)
    })
}

fn sums(of: impl Fn(usize, usize) -> f32) -> Worked {
    let row = |to: usize| std::array::from_fn(|from| (of(to, from) * ONE).round() as i32);
    Worked::Sums([row(0), row(1), row(2)])
}

/// The middle tones go towards the colour; black and white stay.
fn cast(of: Colour, by: f32) -> Worked {
    let rgb = colour::srgb(of.lab());
    let gray = luma(rgb) as f32;
    let towards = rgb.map(|channel| f32::from(channel) - gray);
    let most = towards.iter().fold(1.0_f32, |most, part| most.max(part.abs()));
    let table = |channel: usize| {
        let part = 0.35 * by * towards[channel] / most;
        std::array::from_fn(|v| {
            let v = v as f32 / 255.0;
            ((v + part * 4.0 * v * (1.0 - v)).clamp(0.0, 1.0) * 255.0 + 0.5) as u8
        })
    };
    Worked::Tables(Box::new([table(0), table(1), table(2)]))
}

/// The colour as it looks on something black to something white, so that what is in the picture stays to be seen.
fn shades(of: Colour) -> [[u8; 3]; 256] {
    std::array::from_fn(|gray| {
        let gray = gray as f32 / 255.0;
        // A part of it the colour's own lightness; grays and whites would not show at all otherwise.
        let lightness = 0.45 * of.lightness + 0.62 * gray.sqrt() - 0.06;
        let near_an_end = 1.0 - (2.0 * lightness - 1.0).abs().powi(4);
        colour::srgb(Colour { lightness, chroma: of.chroma * near_an_end.max(0.0), ..of }.lab())
    })
}
