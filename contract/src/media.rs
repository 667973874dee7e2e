//! Pictures and sounds for the cases, and looking at those that come back.

use std::io::Cursor;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};

pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

pub(crate) fn unbase64(text: &str) -> Result<Vec<u8>> {
    BASE64_STANDARD.decode(text).context("base64")
}

/// Blue on the left, green on the right.
pub(crate) fn halves(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([0, 0, 200]) } else { Rgb([0, 200, 0]) })
}

pub(crate) fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.into().write_to(&mut out, format).expect("a picture in memory can be encoded");
    out.into_inner()
}

pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(halves(width, height), ImageFormat::Png)
}

/// White on the right half, black on the left.
pub(crate) fn mask(width: u32, height: u32) -> Vec<u8> {
    let mask = GrayImage::from_fn(width, height, |x, _| Luma([if x < width / 2 { 0 } else { 255 }]));
    encoded(mask, ImageFormat::Png)
}

/// A JPEG of `width` by `height` that says it is to be shown turned by 90 degrees.
pub(crate) fn turned_jpeg(width: u32, height: u32) -> Vec<u8> {
    let jpeg = encoded(halves(width, height), ImageFormat::Jpeg);
    // Little-endian TIFF with one entry: orientation (0x0112), a short, once, 6.
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut out = jpeg[..2].to_vec();
    out.extend_from_slice(&[0xff, 0xe1]);
    out.extend_from_slice(&(exif.len() as u16 + 2).to_be_bytes());
    out.extend_from_slice(exif);
    out.extend_from_slice(&jpeg[2..]);
    out
}

/// A PNG of a few bytes that says it has 900 million pixels.
pub(crate) fn bomb() -> Vec<u8> {
    let mut out = png(8, 8);
    // The header's sides, and its checksum.
    out[16..20].copy_from_slice(&30_000_u32.to_be_bytes());
    out[20..24].copy_from_slice(&30_000_u32.to_be_bytes());
    let sum = crc32(&out[12..29]);
    out[29..33].copy_from_slice(&sum.to_be_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

/// The picture that an answer is, which must be a PNG.
pub(crate) fn decoded(bytes: &[u8]) -> Result<RgbImage> {
    ensure!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "the picture is not a PNG");
    Ok(image::load_from_memory(bytes).context("decoding the picture")?.to_rgb8())
}

/// A model's picture, which must hold no text, time or EXIF. A stand-in's says in a comment that it is one.
pub(crate) fn clean(bytes: &[u8]) -> Result<RgbImage> {
    for chunk in ["eXIf", "tEXt", "zTXt", "iTXt", "tIME"] {
        ensure!(!bytes.windows(4).any(|window| window == chunk.as_bytes()), "the picture has a `{chunk}` chunk");
    }
    decoded(bytes)
}

/// Half a second of a tone, 16-bit PCM, 16 kHz, one channel.
pub(crate) fn wav() -> Vec<u8> {
    const RATE: u32 = 16_000;
    let samples = RATE / 2;
    let mut out = Vec::new();
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&(36 + samples * 2).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    out.extend_from_slice(&RATE.to_le_bytes());
    out.extend_from_slice(&(RATE * 2).to_le_bytes());
    out.extend_from_slice(b"\x02\0\x10\0data");
    out.extend_from_slice(&(samples * 2).to_le_bytes());
    for at in 0..samples {
        let value = (at as f32 * 440.0 * std::f32::consts::TAU / RATE as f32).sin() * 9000.0;
        out.extend_from_slice(&(value as i16).to_le_bytes());
    }
    out
}

/// Half a second of 220 Hz.
pub(crate) const FLAC: &[u8] = include_bytes!("../../standin/media/tone.flac");

/// The seconds of an answer that must be a true WAV: PCM, 16 bit, with sizes that are right, and not silent.
pub(crate) fn wav_seconds(bytes: &[u8]) -> Result<f64> {
    let number = |at: usize| -> Result<u32> {
        let four = bytes.get(at..at + 4).context("the WAV is too short")?;
        Ok(u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
    };
    ensure!(bytes.starts_with(b"RIFF") && bytes.get(8..16) == Some(b"WAVEfmt "), "the sound is not a WAV");
    ensure!(number(4)? as usize == bytes.len() - 8, "the WAV's size is wrong");
    ensure!(bytes.get(20..22) == Some(&[1, 0]) && bytes.get(34..36) == Some(&[16, 0]), "the WAV is not 16-bit PCM");
    ensure!(bytes.get(36..40) == Some(b"data"), "the WAV's samples do not follow its format");
    let data = number(40)?;
    ensure!(data as usize == bytes.len() - 44, "the size of the WAV's samples is wrong");
    ensure!(bytes[44..].iter().any(|byte| *byte != 0), "the WAV is silent");
    Ok(f64::from(data) / f64::from(number(28)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cases_send_is_what_it_says() {
        assert_eq!(wav_seconds(&wav()).expect("a WAV"), 0.5);
        assert_eq!(decoded(&png(16, 8)).expect("a picture").dimensions(), (16, 8));
        let mut reader = image::ImageReader::new(Cursor::new(bomb()));
        reader.set_format(ImageFormat::Png);
        assert_eq!(reader.into_dimensions().expect("the checksum is right"), (30_000, 30_000));
        use image::ImageDecoder;
        let turned = turned_jpeg(64, 32);
        let mut decoder = image::codecs::jpeg::JpegDecoder::new(Cursor::new(turned)).expect("a JPEG");
        assert_eq!(decoder.orientation().expect("EXIF"), image::metadata::Orientation::Rotate90);
    }
}
