use std::fmt::Display;
use std::io::Cursor;

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, jpeg::JpegDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder};

use crate::pixels::Pixels;
use crate::{Kind, Limits, Refused};

/// Beyond this, scaling to whole multiples of 8 would bend the picture visibly.
const MAX_RATIO: u32 = 64;
/// What decoders hold beside the pixels: rows, tables, a canvas in pieces.
const DECODER_SLACK: u64 = 32 << 20;

/// A picture whose header is read and found acceptable; no pixel is decoded yet.
pub(crate) struct Opened<'a> {
    pub(crate) kind: Kind,
    /// As it lies in the file, before the orientation.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) orientation: Orientation,
    pub(crate) animated: bool,
    source: Source<'a>,
}

enum Source<'a> {
    // By way of `png` itself, which narrows 16-bit samples row by row; `image` would hold the picture twice as large.
    Png(Box<png::Reader<Cursor<&'a [u8]>>>),
    Other(Box<dyn ImageDecoder + 'a>),
}

impl<'a> Opened<'a> {
    pub(crate) fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, Refused> {
        let kind = Kind::of(bytes).ok_or(Refused::Unknown)?;
        if kind == Kind::Png { Self::png(bytes, limits) } else { Self::other(kind, bytes, limits) }
    }

    fn png(bytes: &'a [u8], limits: &Limits) -> Result<Self, Refused> {
        let most = most_bytes(limits);
        let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: most as usize });
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
        let header = decoder.read_header_info().map_err(broken)?;
        let (width, height) = (header.width, header.height);
        admit(width, height, limits)?;
        let reader = decoder.read_info().map_err(broken)?;
        let exif = reader.info().exif_metadata.as_deref();
        let orientation = exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
        let animated = reader.info().animation_control.is_some();
        let source = Source::Png(Box::new(reader));
        Ok(Opened { kind: Kind::Png, width, height, orientation, animated, source })
    }

    fn other(kind: Kind, bytes: &'a [u8], limits: &Limits) -> Result<Self, Refused> {
        if kind == Kind::Jpeg && !jpeg_is_whole(bytes) {
            return Err(Refused::Broken("the JPEG ends too early".to_owned()));
        }
        let bytes = Cursor::new(bytes);
        let mut decoder: Box<dyn ImageDecoder + 'a> = match kind {
            Kind::Jpeg => Box::new(JpegDecoder::new(bytes).map_err(broken)?),
            Kind::WebP => Box::new(WebPDecoder::new(bytes).map_err(broken)?),
            Kind::Gif => Box::new(GifDecoder::new(bytes).map_err(broken)?),
            Kind::Bmp | Kind::Png => Box::new(BmpDecoder::new(bytes).map_err(broken)?),
        };
        let (width, height) = decoder.dimensions();
        admit(width, height, limits)?;
        let mut held = image::Limits::no_limits();
        held.max_alloc = Some(most_bytes(limits));
        decoder.set_limits(held).map_err(broken)?;
        // A rotation that cannot be read is none: the picture itself may still be good.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        Ok(Opened { kind, width, height, orientation, animated: false, source: Source::Other(decoder) })
    }

    /// Width and height as a person sees them.
    pub(crate) fn upright(&self) -> (u32, u32) {
        if swaps_sides(self.orientation) { (self.height, self.width) } else { (self.width, self.height) }
    }

    /// Decodes; of an animation, the first picture. The pixels lie as in the file.
    pub(crate) fn pixels(self) -> Result<Pixels, Refused> {
        let mut reader = match self.source {
            Source::Png(reader) => reader,
            Source::Other(decoder) => {
                return Ok(match DynamicImage::from_decoder(decoder).map_err(broken)? {
                    DynamicImage::ImageLuma8(image) => Pixels::new(self.width, self.height, 1, image.into_raw()),
                    DynamicImage::ImageLumaA8(image) => Pixels::new(self.width, self.height, 2, image.into_raw()),
                    DynamicImage::ImageRgb8(image) => Pixels::new(self.width, self.height, 3, image.into_raw()),
                    other => Pixels::new(self.width, self.height, 4, other.into_rgba8().into_raw()),
                });
            }
        };
        let size = reader.output_buffer_size().ok_or_else(|| broken("its size overflows"))?;
        let mut data = vec![0; size];
        let frame = reader.next_frame(&mut data).map_err(broken)?;
        // An animation's first frame may be smaller than its canvas; then the default image is not part of it.
        if (frame.width, frame.height) != (self.width, self.height) {
            return Err(broken("its first frame does not fill it"));
        }
        data.truncate(frame.buffer_size());
        Ok(Pixels::new(self.width, self.height, frame.color_type.samples() as u8, data))
    }
}

pub(crate) fn swaps_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    )
}

fn admit(width: u32, height: u32, limits: &Limits) -> Result<(), Refused> {
    if width == 0 || height == 0 {
        return Err(broken("it has no pixels"));
    }
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(Refused::TooLarge { width, height, max_pixels: limits.max_pixels });
    }
    if width.max(height) / width.min(height) >= MAX_RATIO && width.max(height) > MAX_RATIO * 8 {
        return Err(Refused::TooThin { width, height });
    }
    Ok(())
}

fn most_bytes(limits: &Limits) -> u64 {
    limits.max_pixels * 4 + DECODER_SLACK
}

fn broken(why: impl Display) -> Refused {
    Refused::Broken(why.to_string())
}

/// Whether the compressed data of a JPEG comes to its end marker. The decoder paints what is missing gray, without a word.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    // From segment to segment up to the scan: a thumbnail in the EXIF segment has an end marker of its own.
    while let Some(&[0xff, marker]) = bytes.get(at..at + 2).and_then(|pair| pair.first_chunk::<2>()) {
        match marker {
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            // From behind: that is where it is.
            0xda => return bytes[at..].windows(2).rev().any(|pair| pair == [0xff, 0xd9]),
            0xd9 => return false,
            _ => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
        }
    }
    // Not as the standard has it; the decoder is the judge.
    true
}
