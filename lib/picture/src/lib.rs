//! Pictures on their way to a model and back: read, set upright, made as large as the model takes, written as PNG.
//!
//! What a picture is comes from its first bytes, never from what somebody says it is. Its size is known, and refused, before
//! a pixel is decoded. Metadata (EXIF, XMP, text, colour profiles) is read for the rotation alone and never written; colours
//! are taken as sRGB, as the models do.

mod adam7;
mod answer;
mod bmp;
pub mod colour;
mod file;
mod gif;
mod jpeg;
mod made;
mod mask;
mod open;
mod pixels;
mod prepare;
mod read;
mod rows;
mod sniff;
#[cfg(test)]
mod tests;
mod webp;
mod write;

pub use answer::answer;
pub use file::File;
pub use image::metadata::Orientation;
pub use made::made;
pub use mask::{Polarity, mask, mask_pixels};
pub use pixels::Pixels;
pub use prepare::{Prepared, prepare, prepared_size};
pub use read::{read, read_turned, size, size_by_head, then};
pub use sniff::Kind;
pub use write::PngPieces;

/// How large a picture may be, and how large a model takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Width times height, before anything is decoded. 40 megapixels are more than most cameras make.
    pub max_pixels: u64,
    /// The longer side of what is handed to a model. Those of the Stable Diffusion family are trained on 512 or 1024.
    pub max_model_side: u32,
    /// What may be held of one picture: its file, both where it came in (as base64 it is a third longer) and where it is read, and
    /// its pixels. It is less than the largest pictures are: those are made smaller while they are read, and what cannot be read that
    /// way is refused. 88 MB are what a BMP of 25 MiB needs.
    pub max_held_bytes: u64,
    /// What its pixels alone may take, where more is to be done with them.
    pub max_made_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_pixels: 40_000_000, max_model_side: 1024, max_held_bytes: 88_000_000, max_made_bytes: u64::MAX }
    }
}

impl Limits {
    /// What is left for the pixels of a file of so many bytes.
    pub fn room(&self, file: u64) -> u64 {
        self.max_held_bytes.saturating_sub(file * 7 / 3)
    }
}

/// Why a picture is not taken. The text goes on after the field's name: "`image` …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("is not a picture that can be read: it must be a PNG, JPEG, WebP, GIF or BMP")]
    Unknown,
    #[error("is not a picture that can be read: {0}")]
    Broken(String),
    #[error("must have at most {max_pixels} pixels, and has {width}x{height}")]
    TooLarge { width: u32, height: u32, max_pixels: u64 },
    /// There is not the memory for it.
    #[error("must have at most {max_pixels} pixels as {kind}, and has {width}x{height}")]
    TooMuch { width: u32, height: u32, max_pixels: u64, kind: &'static str },
    #[error("must not be more than 64 times as long as wide, and is {width}x{height}")]
    TooThin { width: u32, height: u32 },
    #[error("must be as large as its picture, {width}x{height}, and is {own_width}x{own_height}")]
    OtherSize { width: u32, height: u32, own_width: u32, own_height: u32 },
}
