use std::fmt::Display;
use std::io::{Read, Seek, SeekFrom};

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder};
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::file::{File, Reader};
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
    Png(Box<png::Reader<Reader<'a>>>),
    // By way of `zune-jpeg` itself, which reads the file where it lies; `image` would copy it first.
    Jpeg(Box<JpegDecoder<Reader<'a>>>),
    Other(Box<dyn ImageDecoder + 'a>),
}

impl<'a> Opened<'a> {
    pub(crate) fn new(file: &'a File, limits: &Limits) -> Result<Self, Refused> {
        admitted(file)?;
        Self::begun(file, limits)
    }

    /// As `new`, where the end of the file may be missing.
    pub(crate) fn begun(file: &'a File, limits: &Limits) -> Result<Self, Refused> {
        Self::reading(Kind::of(file.head()), file.reader(), limits)
    }

    /// As `new`; the file is gone as soon as it is not needed any more.
    pub(crate) fn owning(file: File, limits: &Limits) -> Result<Opened<'static>, Refused> {
        admitted(&file)?;
        Opened::reading(Kind::of(file.head()), file.into_reader(), limits)
    }

    fn reading(kind: Option<Kind>, reader: Reader<'a>, limits: &Limits) -> Result<Self, Refused> {
        match kind.ok_or(Refused::Unknown)? {
            Kind::Png => Self::png(reader, limits),
            Kind::Jpeg => Self::jpeg(reader, limits),
            kind => Self::other(kind, reader, limits),
        }
    }

    fn png(file: Reader<'a>, limits: &Limits) -> Result<Self, Refused> {
        let most = most_bytes(limits);
        let mut decoder = png::Decoder::new_with_limits(file, png::Limits { bytes: most as usize });
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

    fn jpeg(file: Reader<'a>, limits: &Limits) -> Result<Self, Refused> {
        let options =
            DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
        let mut decoder = JpegDecoder::new_with_options(file, options);
        decoder.decode_headers().map_err(broken)?;
        let (width, height) = decoder.dimensions().ok_or_else(|| broken("it has no size"))?;
        let (width, height) = (width as u32, height as u32);
        admit(width, height, limits)?;
        // A rotation that cannot be read is none: the picture itself may still be good.
        let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
        let colours =
            if decoder.input_colorspace() == Some(ColorSpace::Luma) { ColorSpace::Luma } else { ColorSpace::RGB };
        decoder.set_options(decoder.options().jpeg_set_out_colorspace(colours));
        let orientation = orientation.unwrap_or(Orientation::NoTransforms);
        let source = Source::Jpeg(Box::new(decoder));
        Ok(Opened { kind: Kind::Jpeg, width, height, orientation, animated: false, source })
    }

    fn other(kind: Kind, file: Reader<'a>, limits: &Limits) -> Result<Self, Refused> {
        let mut decoder: Box<dyn ImageDecoder + 'a> = match kind {
            Kind::WebP => Box::new(WebPDecoder::new(file).map_err(broken)?),
            Kind::Gif => Box::new(GifDecoder::new(file).map_err(broken)?),
            Kind::Bmp | Kind::Png | Kind::Jpeg => Box::new(BmpDecoder::new(file).map_err(broken)?),
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

    /// Decodes and lays the picture on white. Where it is to become far smaller than it is, it need not be there in its whole
    /// size: it comes with sides a whole number of times shorter, each pixel the mean of a square.
    pub(crate) fn flat_for(self, (width, height): (u32, u32)) -> Result<Pixels, Refused> {
        // Half as large again as wanted leaves enough for a sharp picture.
        let by = ((self.width / width.max(1)).min(self.height / height.max(1)) * 2 / 3).max(1);
        match self.source {
            Source::Png(reader) if by > 1 && !reader.info().interlaced => {
                shrunk(*reader, self.width, self.height, by as usize)
            }
            _ => Ok(self.pixels()?.flatten(255)),
        }
    }

    /// Decodes; of an animation, the first picture. The pixels lie as in the file.
    pub(crate) fn pixels(self) -> Result<Pixels, Refused> {
        let mut reader = match self.source {
            Source::Png(reader) => reader,
            Source::Jpeg(mut decoder) => {
                let channels = if decoder.options().jpeg_get_out_colorspace() == ColorSpace::Luma { 1 } else { 3 };
                let mut data = vec![0; self.width as usize * self.height as usize * usize::from(channels)];
                decoder.decode_into(&mut data).map_err(broken)?;
                return Ok(Pixels::new(self.width, self.height, channels, data));
            }
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

/// A PNG, row by row, with sides so many times shorter.
fn shrunk(mut reader: png::Reader<Reader<'_>>, width: u32, height: u32, by: usize) -> Result<Pixels, Refused> {
    let channels = reader.output_color_type().0.samples();
    let colours = if channels < 3 { 1 } else { 3 };
    let (wide, high) = ((width as usize).div_ceil(by), (height as usize).div_ceil(by));
    let mut data = Vec::with_capacity(wide * high * colours);
    let mut sums = vec![0_u32; wide * colours];
    let mut rows = 0;
    for row in 0..height as usize {
        let Some(line) = reader.next_row().map_err(broken)? else { return Err(broken("it ends too early")) };
        // An animation's first frame may be smaller than its canvas; then the default image is not part of it.
        if line.data().len() != width as usize * channels {
            return Err(broken("its first frame does not fill it"));
        }
        let line = Pixels::new(width, 1, channels as u8, line.data().to_vec()).flatten(255);
        for (sums, square) in sums.chunks_exact_mut(colours).zip(line.data.chunks(by * colours)) {
            for pixel in square.chunks_exact(colours) {
                sums.iter_mut().zip(pixel).for_each(|(sum, sample)| *sum += u32::from(*sample));
            }
        }
        rows += 1;
        if rows == by || row + 1 == height as usize {
            for (at, sums) in sums.chunks_exact_mut(colours).enumerate() {
                let count = (rows * by.min(width as usize - at * by)) as u32;
                data.extend(sums.iter().map(|sum| ((sum + count / 2) / count) as u8));
                sums.fill(0);
            }
            rows = 0;
        }
    }
    Ok(Pixels::new(wide as u32, high as u32, colours as u8, data))
}

pub(crate) fn swaps_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    )
}

fn admitted(file: &File) -> Result<(), Refused> {
    if Kind::of(file.head()) == Some(Kind::Jpeg) && !jpeg_is_whole(file) {
        return Err(Refused::Broken("the JPEG ends too early".to_owned()));
    }
    Ok(())
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
fn jpeg_is_whole(file: &File) -> bool {
    let (mut reader, mut at) = (file.reader(), 2);
    let mut pair = move |at: u64| -> Option<[u8; 2]> {
        let mut bytes = [0; 2];
        reader.seek(SeekFrom::Start(at)).and_then(|_| reader.read_exact(&mut bytes)).ok().map(|()| bytes)
    };
    // From segment to segment up to the scan: a thumbnail in the EXIF segment has an end marker of its own.
    while let Some([0xff, marker]) = pair(at) {
        match marker {
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            // From behind: that is where it is.
            0xda => {
                let mut behind = 0;
                return file.backwards().any(|byte| std::mem::replace(&mut behind, byte) == 0xd9 && byte == 0xff);
            }
            0xd9 => return false,
            _ => match pair(at + 2) {
                Some(length) => at += 2 + u64::from(u16::from_be_bytes(length)),
                None => return false,
            },
        }
    }
    // Not as the standard has it; the decoder is the judge.
    true
}
