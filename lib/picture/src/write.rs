use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use crate::Pixels;

/// Large enough that sending one pays.
const PIECE: usize = 256 * 1024;
/// What is packed for a trial.
const TRIAL_ROWS: u32 = 64;

/// A picture on its way to being a PNG.
pub struct PngPieces {
    pixels: Pixels,
    /// Rows that are written.
    done: usize,
    /// None when all is.
    writer: Option<png::StreamWriter<'static, Sink>>,
    written: Sink,
}

#[derive(Clone, Default)]
struct Sink(Rc<RefCell<Vec<u8>>>);

impl PngPieces {
    pub(crate) fn new(pixels: Pixels) -> Result<PngPieces, png::EncodingError> {
        let written = Sink::default();
        let writer = writer(&pixels, pixels.height, is_noise(&pixels)?, written.clone())?;
        Ok(PngPieces { pixels, done: 0, writer: Some(writer), written })
    }
}

impl Iterator for PngPieces {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        // What is written into memory is written.
        const SURE: &str = "a vector takes everything";
        let row = self.pixels.row_bytes();
        while self.written.length() < PIECE
            && let Some(writer) = &mut self.writer
        {
            match self.pixels.data.chunks_exact(row).nth(self.done) {
                Some(row) => {
                    writer.write_all(row).expect(SURE);
                    self.done += 1;
                }
                None => self.writer.take().map_or(Ok(()), png::StreamWriter::finish).expect(SURE),
            }
        }
        let piece = std::mem::take(&mut *self.written.0.borrow_mut());
        (!piece.is_empty()).then_some(piece)
    }
}

/// Whether packing makes the picture larger, as it does noise.
fn is_noise(pixels: &Pixels) -> Result<bool, png::EncodingError> {
    let rows = pixels.height.min(TRIAL_ROWS);
    let length = rows as usize * pixels.row_bytes();
    // From the middle: edges are often even.
    let start = (pixels.height - rows) as usize / 2 * pixels.row_bytes();
    let sink = Sink::default();
    let mut trial = writer(pixels, rows, false, sink.clone())?;
    trial.write_all(&pixels.data[start..start + length])?;
    trial.finish()?;
    // The head of the file is a hundred bytes at most.
    Ok(sink.length() > length + 256)
}

fn writer(
    pixels: &Pixels,
    rows: u32,
    stored: bool,
    to: Sink,
) -> Result<png::StreamWriter<'static, Sink>, png::EncodingError> {
    let mut encoder = png::Encoder::new(to, pixels.width, rows);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_color(match pixels.channels {
        1 => png::ColorType::Grayscale,
        2 => png::ColorType::GrayscaleAlpha,
        3 => png::ColorType::Rgb,
        _ => png::ColorType::Rgba,
    });
    encoder.set_compression(if stored { png::Compression::NoCompression } else { png::Compression::Fast });
    encoder.set_filter(if stored { png::Filter::NoFilter } else { png::Filter::Adaptive });
    encoder.write_header()?.into_stream_writer_with_size(PIECE / 4)
}

impl Sink {
    fn length(&self) -> usize {
        self.0.borrow().len()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
