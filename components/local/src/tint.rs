//! A picture tinted in place of one painted anew: the colour is the prompt's, the place is the mask's.

use std::io::Cursor;

use hybrid_guest::types::Reason;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader};

use crate::draw::{self, Colour};

pub(crate) const MODEL: &str = "local/tint";

const SAYS: &str = "Placeholder: a colour tint (local/tint), not the work of an image model";
/// 160 MB decoded; larger ones are refused before.
const MAX_PIXELS: u64 = 40_000_000;
/// Plain to see, and the picture still there.
const STRENGTH: f32 = 0.6;

/// A PNG of the picture's size. Where the mask is black, its pixels are the picture's own.
pub(crate) fn png(
    picture: Vec<u8>,
    mask: Option<Vec<u8>>,
    prompt: &str,
    seed: Option<u64>,
    strength: Option<f32>,
) -> Result<Vec<u8>, Reason> {
    let decoded = decoded("image", &picture)?;
    drop(picture);
    let (width, height) = (decoded.width(), decoded.height());
    let mask = match mask {
        Some(mask) => Some(self::mask(&mask, width, height)?),
        None => None,
    };
    let colour = match draw::named(prompt).first() {
        Some(&named) => named,
        None => Colour::of_hash(draw::hash(prompt, seed)),
    };
    let strength = strength.filter(|strength| strength.is_finite()).unwrap_or(STRENGTH).clamp(0.0, 1.0);
    let (kind, channels, mut data) = if decoded.color().has_alpha() {
        (png::ColorType::Rgba, 4, decoded.into_rgba8().into_raw())
    } else {
        (png::ColorType::Rgb, 3, decoded.into_rgb8().into_raw())
    };
    tint(&mut data, channels, mask.as_ref().map(|mask| mask.as_raw().as_slice()), colour, strength);
    draw::png(width, height, kind, &data, SAYS)
}

fn tint(data: &mut [u8], channels: usize, mask: Option<&[u8]>, colour: Colour, strength: f32) {
    let shades = shades(colour);
    let strength = (strength * 256.0) as u32;
    for (at, pixel) in data.chunks_exact_mut(channels).enumerate() {
        let amount = strength * mask.map_or(255, |mask| u32::from(mask[at])) / 255;
        let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
        let shade = shades[((r * 77 + g * 151 + b * 28) >> 8) as usize];
        for (own, shade) in pixel.iter_mut().zip(shade) {
            *own = ((u32::from(*own) * (256 - amount) + u32::from(shade) * amount) >> 8) as u8;
        }
    }
}

/// The colour as it looks on something black to something white, so that what is in the picture stays to be seen.
fn shades(colour: Colour) -> [[u8; 3]; 256] {
    std::array::from_fn(|gray| {
        let gray = gray as f32 / 255.0;
        // Half the colour's own lightness and half the picture's; grays and whites would not show at all otherwise.
        let lightness = 0.5 * colour.lightness + 0.55 * gray.sqrt() - 0.05;
        draw::srgb(Colour { lightness, ..colour }.lab())
    })
}

fn mask(bytes: &[u8], width: u32, height: u32) -> Result<GrayImage, Reason> {
    let mask = decoded("mask", bytes)?.into_luma8();
    if mask.dimensions() != (width, height) {
        return Err(Reason::invalid("mask", format!("must be as large as its picture, {width}x{height}")));
    }
    Ok(mask)
}

fn decoded(field: &str, bytes: &[u8]) -> Result<DynamicImage, Reason> {
    let unreadable = |_| Reason::invalid(field, "is not a picture that can be read: it must be a PNG or JPEG");
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let reader = reader.map_err(|error| unreadable(image::ImageError::IoError(error)))?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        return Err(Reason::UnsupportedMedia(format!("`{field}` must be a PNG or JPEG")));
    }
    let decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Reason::TooLarge(format!("pictures of at most {MAX_PIXELS} pixels")));
    }
    DynamicImage::from_decoder(decoder).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).expect("a picture");
        bytes.into_inner()
    }

    fn picture() -> DynamicImage {
        image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 6, y as u8 * 8, 128])).into()
    }

    fn tinted(mask: Option<Vec<u8>>, strength: Option<f32>) -> image::RgbImage {
        let png = png(written(&picture(), ImageFormat::Png), mask, "make it red", None, strength).expect("a picture");
        decoded("image", &png).expect("a PNG").into_rgb8()
    }

    fn difference(picture: &image::RgbImage) -> u64 {
        let own = self::picture().into_rgb8();
        own.as_raw().iter().zip(picture.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
    }

    #[test]
    fn only_what_the_mask_shows_changes() {
        let mask = GrayImage::from_fn(40, 30, |x, _| image::Luma([if x < 20 { 255 } else { 0 }]));
        let tinted = tinted(Some(written(&mask.into(), ImageFormat::Png)), None);
        let own = picture().into_rgb8();
        for (x, y, pixel) in tinted.enumerate_pixels() {
            assert_eq!(x >= 20, pixel == own.get_pixel(x, y), "{x} {y}");
        }
    }

    #[test]
    fn strength_says_how_much() {
        assert_eq!(difference(&tinted(None, Some(0.0))), 0);
        let steps = [0.2, 0.6, 1.0].map(|strength| difference(&tinted(None, Some(strength))));
        assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
        assert_eq!(tinted(None, None), tinted(None, Some(STRENGTH)));
        let [r, g, b] = tinted(None, Some(1.0)).get_pixel(20, 15).0;
        assert!(r > g && r > b, "{r} {g} {b}");
    }

    #[test]
    fn transparency_stays_and_jpeg_is_read() {
        let clear: DynamicImage = image::RgbaImage::from_pixel(8, 8, image::Rgba([90, 90, 90, 7])).into();
        let out = png(written(&clear, ImageFormat::Png), None, "blue", None, None).expect("a picture");
        assert!(decoded("image", &out).expect("a PNG").into_rgba8().pixels().all(|pixel| pixel.0[3] == 7));
        let out = png(written(&picture(), ImageFormat::Jpeg), None, "blue", None, None).expect("a picture");
        assert_eq!(decoded("image", &out).expect("a PNG").into_rgb8().dimensions(), (40, 30));
    }

    #[test]
    fn what_cannot_be_read_is_the_callers_to_mend() {
        let edit = |picture: &[u8], mask: Option<&[u8]>| {
            png(picture.to_vec(), mask.map(<[u8]>::to_vec), "blue", None, None).expect_err("no picture")
        };
        let good = written(&picture(), ImageFormat::Png);
        let small = written(&GrayImage::new(8, 8).into(), ImageFormat::Png);
        assert!(matches!(edit(b"GIF89a", None), Reason::UnsupportedMedia(_)));
        assert!(matches!(edit(&good[..60], None), Reason::Invalid(_)));
        assert!(matches!(edit(&good, Some(&small)), Reason::Invalid(problems) if problems[0].field == "mask"));
    }
}
