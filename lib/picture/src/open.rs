use std::fmt::Display;
use std::io::{Read, Seek, SeekFrom};

use image::codecs::{bmp::BmpDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder};

use crate::adam7::{self, MOST_HALVES, halved};
use crate::bmp::Bitmap;
use crate::file::{File, Reader};
use crate::gif::Gif;
use crate::jpeg::{Jpeg, WHOLE};
use crate::pixels::Pixels;
use crate::rows::{Canvas, Shrink};
use crate::webp::WebP;
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
    /// What may be held of the picture beside its file.
    room: u64,
    /// And of that, of its pixels.
    made: u64,
}

enum Source<'a> {
    // By way of `png` itself, which narrows 16-bit samples row by row; `image` would hold the picture twice as large.
    Png(Box<png::Reader<Reader<'a>>>),
    Jpeg(Box<Jpeg<Reader<'a>>>),
    Bmp(Bitmap, Box<Reader<'a>>),
    Gif(Box<Gif<Reader<'a>>>),
    WebP(WebP, Box<Reader<'a>>),
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
        let room = limits.room(reader.length());
        let mut opened = match kind.ok_or(Refused::Unknown)? {
            Kind::Png => Self::png(reader, limits),
            Kind::Jpeg => Self::jpeg(reader),
            Kind::WebP => Self::webp(reader, limits),
            Kind::Gif => Self::gif(reader),
            Kind::Bmp => Self::bmp(reader, limits),
        }?;
        admit(opened.width, opened.height, limits)?;
        (opened.room, opened.made) = (room, room.min(limits.max_made_bytes));
        Ok(opened)
    }

    /// A rotation that cannot be read is none: the picture itself may still be good.
    fn found(kind: Kind, (width, height): (u32, u32), exif: Option<&[u8]>, source: Source<'a>) -> Self {
        let orientation = exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
        Opened { kind, width, height, orientation, animated: false, source, room: 0, made: 0 }
    }

    fn png(file: Reader<'a>, limits: &Limits) -> Result<Self, Refused> {
        let most = most_bytes(limits);
        let mut decoder = png::Decoder::new_with_limits(file, png::Limits { bytes: most as usize });
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
        let header = decoder.read_header_info().map_err(broken)?;
        let size = (header.width, header.height);
        admit(size.0, size.1, limits)?;
        let reader = decoder.read_info().map_err(broken)?;
        let exif = reader.info().exif_metadata.clone();
        let animated = reader.info().animation_control.is_some();
        let opened = Self::found(Kind::Png, size, exif.as_deref(), Source::Png(Box::new(reader)));
        Ok(Opened { animated, ..opened })
    }

    fn jpeg(file: Reader<'a>) -> Result<Self, Refused> {
        let mut jpeg = Jpeg::open(file).map_err(broken)?;
        let (size, exif) = ((jpeg.width, jpeg.height), jpeg.exif.take());
        Ok(Self::found(Kind::Jpeg, size, exif.as_deref(), Source::Jpeg(Box::new(jpeg))))
    }

    fn webp(mut file: Reader<'a>, limits: &Limits) -> Result<Self, Refused> {
        let found = WebP::find(&mut file);
        file.rewind().map_err(broken)?;
        let Some(mut webp) = found else {
            return Self::other(Kind::WebP, Box::new(WebPDecoder::new(file).map_err(broken)?), limits);
        };
        let (size, exif) = ((webp.width, webp.height), webp.exif.take());
        Ok(Self::found(Kind::WebP, size, exif.as_deref(), Source::WebP(webp, Box::new(file))))
    }

    fn gif(file: Reader<'a>) -> Result<Self, Refused> {
        let gif = Gif::open(file).map_err(broken)?;
        Ok(Self::found(Kind::Gif, (gif.width, gif.height), None, Source::Gif(Box::new(gif))))
    }

    fn bmp(mut file: Reader<'a>, limits: &Limits) -> Result<Self, Refused> {
        let bitmap = Bitmap::find(&mut file);
        file.rewind().map_err(broken)?;
        let Some(bitmap) = bitmap else {
            return Self::other(Kind::Bmp, Box::new(BmpDecoder::new(file).map_err(broken)?), limits);
        };
        Ok(Self::found(Kind::Bmp, (bitmap.width, bitmap.height), None, Source::Bmp(bitmap, Box::new(file))))
    }

    fn other(kind: Kind, mut decoder: Box<dyn ImageDecoder + 'a>, limits: &Limits) -> Result<Self, Refused> {
        let (width, height) = decoder.dimensions();
        admit(width, height, limits)?;
        let mut held = image::Limits::no_limits();
        held.max_alloc = Some(most_bytes(limits));
        decoder.set_limits(held).map_err(broken)?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        Ok(Opened { orientation, ..Self::found(kind, (width, height), None, Source::Other(decoder)) })
    }

    /// Width and height as a person sees them.
    pub(crate) fn upright(&self) -> (u32, u32) {
        if swaps_sides(self.orientation) { (self.height, self.width) } else { (self.width, self.height) }
    }

    /// Decodes and lays the picture on white. Where it is to become far smaller than it is, it need not be there in its whole
    /// size: it comes larger than wanted, but not by much.
    pub(crate) fn flat_for(self, (width, height): (u32, u32)) -> Result<Pixels, Refused> {
        let own = (self.width, self.height);
        let channels = self.channels();
        let colours = if channels < 3 { 1 } else { 3 };
        if let Source::Jpeg(jpeg) = &self.source {
            let eighths = enough_eighths(own, (width, height));
            let mut canvas = Canvas::new(jpeg.size(eighths), channels, Orientation::NoTransforms);
            self.rows(eighths, |row| canvas.push(row))?;
            return Ok(canvas.finish());
        }
        if !self.comes_by_rows() {
            let enough = |halves: &u32| {
                let size = halved(own, *halves);
                size.0 * 4 >= width * 5 && size.1 * 4 >= height * 5
            };
            let halves = (1..=MOST_HALVES).rev().find(enough).unwrap_or(0);
            return Ok(self.whole(halves)?.flatten(255));
        }
        if own.0 < width * 2 || own.1 < height * 2 {
            return Ok(self.pixels()?.flatten(255));
        }
        // Half as large again as wanted leaves enough for a sharp picture.
        let size = (width * 3 / 2, height * 3 / 2);
        let mut shrink = Shrink::new(own, size, colours);
        let mut canvas = Canvas::new(size, colours, Orientation::NoTransforms);
        self.rows(WHOLE, |row| {
            let flat = Pixels::new(own.0, 1, channels as u8, row.to_vec()).flatten(255);
            shrink.push(&flat.data, |row| canvas.push(row));
        })?;
        Ok(canvas.finish())
    }

    /// Decodes, upright: RGB, or RGBA where some of it is transparent. A picture that there is no room for comes smaller, as
    /// large as there is room for.
    pub(crate) fn within_room(mut self) -> Result<Pixels, Refused> {
        let own = (self.width, self.height);
        let (channels, orientation, room, made) = (self.channels(), self.orientation, self.room, self.made);
        let colours = if channels % 2 == 1 { 3 } else { 4 };
        let bytes = |(width, height): (u32, u32)| u64::from(width) * u64::from(height) * colours as u64;
        let rgb = |row: &[u8], to: &mut Canvas| match channels {
            1 | 2 => to.push(&Pixels::new(0, 0, channels as u8, row.to_vec()).into_rgb().data),
            _ => to.push(row),
        };
        if let Source::Jpeg(jpeg) = &self.source {
            let fits = |eighths: &u32| {
                let pixels = bytes(jpeg.size(*eighths));
                pixels <= made && jpeg.held_bytes(*eighths) + pixels <= room
            };
            let eighths = (1..=WHOLE).rev().find(fits).unwrap_or(1);
            let mut canvas = Canvas::new(jpeg.size(eighths), colours, orientation);
            self.rows(eighths, |row| rgb(row, &mut canvas))?;
            return Ok(canvas.finish());
        }
        if !self.comes_by_rows() {
            // What is turned is there twice, and what gets its colours as well as it was.
            let twice = if orientation == Orientation::NoTransforms { 1 } else { 2 };
            let to_a_pixel = if colours == channels { channels * twice } else { channels + colours * twice };
            self.room = made;
            let fits = |halves: &u32| bytes(halved(own, *halves)) / colours as u64 * to_a_pixel as u64 <= made;
            let halves = (0..=MOST_HALVES).find(fits).unwrap_or(MOST_HALVES);
            return Ok(self.whole(halves)?.without_idle_alpha().into_rgb().turn(orientation));
        }
        let room = room.saturating_sub(self.held_bytes(WHOLE)).min(made);
        let scale = (room as f64 / bytes(own) as f64).min(1.0).sqrt();
        let size = [own.0, own.1].map(|side| ((f64::from(side) * scale) as u32).max(1));
        let mut canvas = Canvas::new(size.into(), colours, orientation);
        if size == [own.0, own.1] {
            self.rows(WHOLE, |row| rgb(row, &mut canvas))?;
        } else {
            let mut shrink = Shrink::new(own, size.into(), channels);
            self.rows(WHOLE, |row| shrink.push(row, |row| rgb(row, &mut canvas)))?;
        }
        Ok(canvas.finish().without_idle_alpha())
    }

    /// Decodes; of an animation, the first picture. The pixels lie as in the file.
    pub(crate) fn pixels(self) -> Result<Pixels, Refused> {
        let (width, height, channels) = (self.width, self.height, self.channels());
        if self.comes_by_rows() {
            self.admit_bytes(channels as u64 * u64::from(width) * u64::from(height) + self.held_bytes(WHOLE))?;
            let mut canvas = Canvas::new((width, height), channels, Orientation::NoTransforms);
            self.rows(WHOLE, |row| canvas.push(row))?;
            return Ok(canvas.finish());
        }
        self.whole(0)
    }

    /// Decodes row by row, as the rows lie in the file; a JPEG in so many eighths of its size.
    pub(crate) fn rows(self, eighths: u32, mut to: impl FnMut(&[u8])) -> Result<(), Refused> {
        if !self.comes_by_rows() {
            let pixels = self.whole(0)?;
            pixels.data.chunks_exact(pixels.row_bytes()).for_each(to);
            return Ok(());
        }
        let (width, height, channels) = (self.width as usize, self.height, self.channels());
        self.admit_bytes(self.held_bytes(eighths))?;
        match self.source {
            Source::Jpeg(jpeg) => jpeg.rows(eighths, to).map_err(broken),
            Source::Bmp(bitmap, mut file) => bitmap.rows(&mut *file, to).map_err(broken),
            Source::Gif(gif) => gif.rows(to).map_err(broken),
            Source::WebP(webp, mut file) => webp.rows(&mut *file, to).map_err(broken),
            Source::Png(mut reader) => {
                for _ in 0..height {
                    let Some(row) = reader.next_row().map_err(broken)? else { return Err(broken("it ends too early")) };
                    // An animation's first frame may be smaller than its canvas; then the default image is not part of it.
                    if row.data().len() != width * channels {
                        return Err(broken("its first frame does not fill it"));
                    }
                    to(row.data());
                }
                Ok(())
            }
            Source::Other(_) => Ok(()),
        }
    }

    /// Samples to a pixel, as `rows` and `pixels` give it.
    pub(crate) fn channels(&self) -> usize {
        match &self.source {
            Source::Png(reader) => reader.output_color_type().0.samples(),
            Source::Jpeg(jpeg) if jpeg.is_gray() => 1,
            Source::Bmp(bitmap, _) => bitmap.channels(),
            Source::Gif(gif) if gif.has_alpha() => 4,
            Source::WebP(webp, _) => webp.channels(),
            Source::Jpeg(_) | Source::Gif(_) => 3,
            Source::Other(decoder) => match decoder.color_type() {
                ColorType::L8 => 1,
                ColorType::La8 => 2,
                ColorType::Rgb8 => 3,
                _ => 4,
            },
        }
    }

    fn comes_by_rows(&self) -> bool {
        match &self.source {
            Source::Png(reader) => !reader.info().interlaced,
            Source::Jpeg(_) | Source::Bmp(..) | Source::Gif(_) | Source::WebP(..) => true,
            Source::Other(_) => false,
        }
    }

    /// What reading it row by row holds beside the rows.
    fn held_bytes(&self, eighths: u32) -> u64 {
        match &self.source {
            Source::Jpeg(jpeg) => jpeg.held_bytes(eighths),
            Source::Gif(gif) => gif.held_bytes(),
            Source::WebP(webp, _) => webp.held_bytes(),
            Source::Png(_) | Source::Bmp(..) | Source::Other(_) => 0,
        }
    }

    fn admit_bytes(&self, bytes: u64) -> Result<(), Refused> {
        if bytes <= self.room {
            return Ok(());
        }
        let (width, height) = (self.width, self.height);
        let pixels = u64::from(width) * u64::from(height);
        // As many as take no more, were it as it is but smaller.
        let max_pixels = (pixels as f64 * self.room as f64 / bytes as f64) as u64;
        Err(Refused::TooMuch { width, height, max_pixels, kind: self.kind.media_type() })
    }

    /// Decodes what cannot be had row by row; a PNG with its sides halved so often.
    fn whole(self, halves: u32) -> Result<Pixels, Refused> {
        let (channels, own) = (self.channels(), (self.width, self.height));
        let bytes =
            |(width, height): (u32, u32), to_a_pixel: usize| u64::from(width) * u64::from(height) * to_a_pixel as u64;
        self.admit_bytes(match &self.source {
            // Two copies, one of them with alpha.
            Source::Other(_) if self.kind == Kind::WebP => bytes(own, channels + 4),
            Source::Other(_) => bytes(own, channels),
            _ => bytes(halved(own, halves), channels),
        })?;
        match self.source {
            Source::Png(mut reader) => adam7::pixels(&mut reader, channels, halves).map_err(broken),
            Source::Other(decoder) => Ok(match DynamicImage::from_decoder(decoder).map_err(broken)? {
                DynamicImage::ImageLuma8(image) => Pixels::new(own.0, own.1, 1, image.into_raw()),
                DynamicImage::ImageLumaA8(image) => Pixels::new(own.0, own.1, 2, image.into_raw()),
                DynamicImage::ImageRgb8(image) => Pixels::new(own.0, own.1, 3, image.into_raw()),
                other => Pixels::new(own.0, own.1, 4, other.into_rgba8().into_raw()),
            }),
            _ => unreachable!("it comes by rows"),
        }
    }
}

/// In how many eighths of its size a JPEG leaves enough for a sharp picture.
fn enough_eighths((own_width, own_height): (u32, u32), (width, height): (u32, u32)) -> u32 {
    let enough = |eighths: &u32| own_width * eighths * 4 >= width * 8 * 5 && own_height * eighths * 4 >= height * 8 * 5;
    (1..WHOLE).find(enough).unwrap_or(WHOLE)
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
