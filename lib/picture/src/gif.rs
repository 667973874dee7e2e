//! The first picture of a GIF, row by row. Of one whose rows do not come in their order, those that come first wait for the
//! others, as the numbers of their colours: half a byte to a pixel of the picture.

use std::io::Read;

use gif::{ColorOutput, DecodeOptions, Decoder, DecodingError};

/// A GIF of which is read what is before the first picture's data.
pub(crate) struct Gif<R: Read> {
    decoder: Decoder<R>,
    pub(crate) width: u32,
    pub(crate) height: u32,
    frame: Frame,
    /// By their numbers: red, green, blue, alpha.
    colours: Box<[[u8; 4]; 256]>,
}

/// Where the first picture lies, and how its rows come.
struct Frame {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    interlaced: bool,
    transparent: bool,
}

impl<R: Read> Gif<R> {
    pub(crate) fn open(reader: R) -> Result<Self, String> {
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::Indexed);
        let mut decoder = options.read_info(reader).map_err(told)?;
        let (width, height) = (decoder.width().into(), decoder.height().into());
        let first = decoder.next_frame_info().map_err(told)?.ok_or("the GIF has no picture")?;
        let clear = first.transparent;
        let frame = Frame {
            left: first.left.into(),
            top: first.top.into(),
            width: first.width.into(),
            height: first.height.into(),
            interlaced: first.interlaced,
            transparent: clear.is_some(),
        };
        let mut colours = Box::new([[0, 0, 0, 255]; 256]);
        let table = decoder.palette().map_err(told)?;
        for (colour, rgb) in colours.iter_mut().zip(table.chunks_exact(3)) {
            colour[..3].copy_from_slice(rgb);
        }
        if let Some(clear) = clear {
            colours[usize::from(clear)] = [0; 4];
        }
        Ok(Gif { decoder, width, height, frame, colours })
    }

    /// Whether some of it may be transparent: all is, where there is nothing of the first picture.
    pub(crate) fn has_alpha(&self) -> bool {
        let Frame { left, top, width, height, transparent, .. } = self.frame;
        transparent || left > 0 || top > 0 || width < self.width as usize || height < self.height as usize
    }

    /// What is held beside the rows.
    pub(crate) fn held_bytes(&self) -> u64 {
        if self.frame.interlaced { self.frame.width as u64 * self.frame.height.div_ceil(2) as u64 } else { 0 }
    }

    /// Hands out RGB or RGBA, row by row.
    pub(crate) fn rows(mut self, mut to: impl FnMut(&[u8])) -> Result<(), String> {
        let channels = if self.has_alpha() { 4 } else { 3 };
        let first = self.first_rows()?;
        let Frame { left, top, width, height, interlaced, .. } = self.frame;
        let (mut row, mut made) = (vec![0; width], vec![0; self.width as usize * channels]);
        for y in 0..self.height as usize {
            made.fill(0);
            if let Some(own) = y.checked_sub(top).filter(|own| *own < height) {
                let numbers = if interlaced && own % 2 == 0 {
                    &first[own / 2 * width..][..width]
                } else {
                    self.fill(&mut row)?;
                    &row
                };
                for (pixel, number) in made.chunks_exact_mut(channels).skip(left).zip(numbers) {
                    pixel.copy_from_slice(&self.colours[usize::from(*number)][..channels]);
                }
            }
            to(&made);
        }
        Ok(())
    }

    /// Every second row, where those come first: every eighth, those halfway between them, and so again.
    fn first_rows(&mut self) -> Result<Vec<u8>, String> {
        let Frame { width, height, interlaced, .. } = self.frame;
        if !interlaced {
            return Ok(Vec::new());
        }
        let mut first = vec![0; width * height.div_ceil(2)];
        for (start, step) in [(0, 8), (4, 8), (2, 4)] {
            for y in (start..height).step_by(step) {
                self.fill(&mut first[y / 2 * width..][..width])?;
            }
        }
        Ok(first)
    }

    fn fill(&mut self, row: &mut [u8]) -> Result<(), String> {
        if row.is_empty() || self.decoder.fill_buffer(row).map_err(told)? {
            return Ok(());
        }
        Err("the GIF ends too early".to_owned())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` has it")]
fn told(error: DecodingError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::ImageDecoder;
    use image::codecs::gif::GifDecoder;

    use super::*;

    /// Numbers in four colours, at (3, 2) of 40 by 31 where they are `small`.
    fn file(interlaced: bool, small: bool, transparent: Option<u8>) -> Vec<u8> {
        const COLOURS: [u8; 12] = [250, 3, 7, 9, 240, 12, 30, 60, 230, 80, 90, 100];
        let (width, height) = (40_u16, 31_u16);
        let (left, top, wide, high) = if small { (3, 2, 30, 20) } else { (0, 0, width, height) };
        let number = |x: u16, y: u16| ((x * 7 + y * y) % 4) as u8;
        let order: Vec<u16> = if interlaced {
            [(0, 8), (4, 8), (2, 4), (1, 2)].iter().flat_map(|(start, step)| (*start..high).step_by(*step)).collect()
        } else {
            (0..high).collect()
        };
        let buffer: Vec<u8> = order.iter().flat_map(|y| (0..wide).map(move |x| number(x, *y))).collect();
        let frame = gif::Frame {
            left,
            top,
            width: wide,
            height: high,
            interlaced,
            transparent,
            buffer: buffer.into(),
            ..gif::Frame::default()
        };
        let mut bytes = Vec::new();
        let mut encoder = gif::Encoder::new(&mut bytes, width, height, &COLOURS).expect("a GIF");
        encoder.write_frame(&frame).expect("it can be written");
        drop(encoder);
        bytes
    }

    #[test]
    fn it_is_read_as_others_read_it() {
        for (interlaced, small, transparent) in [
            (false, false, None),
            (true, false, None),
            (true, false, Some(2)),
            (false, true, None),
            (true, true, Some(1)),
        ] {
            let file = file(interlaced, small, transparent);
            let decoder = GifDecoder::new(Cursor::new(&file)).expect("a GIF");
            let mut whole = vec![0; decoder.total_bytes() as usize];
            decoder.read_image(&mut whole).expect("it can be read");
            let gif = Gif::open(Cursor::new(&file)).expect("a GIF");
            let (channels, mut rows) = (if gif.has_alpha() { 4 } else { 3 }, Vec::new());
            assert_eq!(channels == 4, small || transparent.is_some());
            gif.rows(|row| rows.extend_from_slice(row)).expect("it can be read");
            assert_eq!(rows.len(), 40 * 31 * channels);
            for (own, other) in rows.chunks_exact(channels).zip(whole.chunks_exact(4)) {
                // What colour there is where nothing shows, does not matter.
                assert!(own == &other[..channels] || own.get(3) == Some(&0) && other[3] == 0);
            }
            let cut = Gif::open(Cursor::new(&file[..file.len() - 30])).expect("a GIF");
            assert!(cut.rows(|_| ()).is_err());
        }
    }
}
