//! Sounds and pictures, made on the spot.

use std::f32::consts::TAU;
use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

pub(crate) const RATE: u32 = 16_000;

/// Half a second of 220 Hz, 16 kHz, one channel.
pub(crate) const FLAC: &[u8] = include_bytes!("../media/tone.flac");

/// A tone as numbers from -1 to 1.
pub(crate) fn tone(samples: usize) -> Vec<f32> {
    (0..samples).map(|at| 0.3 * (TAU * 220.0 * at as f32 / RATE as f32).sin()).collect()
}

/// The same as 16-bit PCM, 16 kHz, one channel.
pub(crate) fn wav(samples: usize) -> Vec<u8> {
    let data = (samples * 2) as u32;
    let mut out = Vec::with_capacity(44 + samples * 2);
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&(36 + data).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt ");
    out.extend_from_slice(&16_u32.to_le_bytes());
    out.extend_from_slice(&1_u16.to_le_bytes());
    out.extend_from_slice(&1_u16.to_le_bytes());
    out.extend_from_slice(&RATE.to_le_bytes());
    out.extend_from_slice(&(RATE * 2).to_le_bytes());
    out.extend_from_slice(&2_u16.to_le_bytes());
    out.extend_from_slice(&16_u16.to_le_bytes());
    out.extend_from_slice(b"data");
    out.extend_from_slice(&data.to_le_bytes());
    for sample in tone(samples) {
        out.extend_from_slice(&((sample * 32767.0) as i16).to_le_bytes());
    }
    out
}

/// What a sound is, by its first bytes.
pub(crate) fn audio_type(bytes: &[u8]) -> Option<&'static str> {
    let starts = |with: &[u8]| bytes.starts_with(with);
    let at = |from: usize, with: &[u8]| bytes.get(from..).is_some_and(|rest| rest.starts_with(with));
    match () {
        () if starts(b"RIFF") && at(8, b"WAVE") => Some("wav"),
        () if starts(b"fLaC") => Some("flac"),
        () if starts(b"OggS") => Some("ogg"),
        () if starts(b"ID3") || matches!(bytes, [0xff, second, ..] if second & 0xe0 == 0xe0) => Some("mp3"),
        () if starts(&[0x1a, 0x45, 0xdf, 0xa3]) => Some("webm"),
        () if at(4, b"ftyp") => Some("m4a"),
        () => None,
    }
}

/// Seconds of a WAV, by its header.
pub(crate) fn wav_seconds(bytes: &[u8]) -> Option<f64> {
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let rate = number(28)?;
    let data = bytes.windows(4).position(|window| window == b"data")?;
    let length = number(data + 4)?.min(u32::try_from(bytes.len() - data - 8).ok()?);
    (rate > 0).then(|| f64::from(length) / f64::from(rate))
}

/// A picture that depends on the words: a plain colour with a slope in it.
pub(crate) fn picture(width: u32, height: u32, seed: u64) -> RgbImage {
    let [red, green, blue, ..] = seed.to_le_bytes();
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([red ^ (x * 255 / width.max(1)) as u8, green ^ (y * 255 / height.max(1)) as u8, blue])
    })
}

/// The bytes, and their type.
pub(crate) fn encoded(picture: RgbImage, format: ImageFormat) -> (Vec<u8>, &'static str) {
    let mut out = Cursor::new(Vec::new());
    let picture = DynamicImage::ImageRgb8(picture);
    let written = match format {
        // Fast: tests wait for it.
        ImageFormat::Png => {
            picture.write_with_encoder(PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Up))
        }
        other => picture.write_to(&mut out, other),
    };
    written.expect("a picture in memory can be encoded");
    (out.into_inner(), format.to_mime_type())
}

/// FNV-1a: equal on every machine and in every run.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wav_tells_its_seconds() {
        let wav = wav(RATE as usize);
        assert_eq!((audio_type(&wav), wav_seconds(&wav)), (Some("wav"), Some(1.0)));
        assert_eq!(audio_type(FLAC), Some("flac"));
        assert_eq!(audio_type(b"hello"), None);
    }

    #[test]
    fn pictures_have_the_size_asked_for_in_every_format() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let (bytes, _) = encoded(picture(40, 24, 7), format);
            assert_eq!(image::guess_format(&bytes).ok(), Some(format));
            let read = image::load_from_memory(&bytes).expect("it decodes");
            assert_eq!((read.width(), read.height()), (40, 24));
        }
    }
}
