//! BMP, row by row: the rows lie in the file unpacked, the lowest one first, and each is read when it is wanted. What is packed, and
//! what is older than Windows 3, is left to others.

use std::io::{Read, Seek, SeekFrom};

/// The file's own head, in front of the picture's.
const FILE_HEAD: usize = 14;
/// Of the heads of pictures; they grew at their ends.
const LEAST_HEAD: u32 = 40;
const HEAD_WITH_MASKS: u32 = 52;
const HEAD_WITH_ALPHA: u32 = 56;
const PLAIN: u32 = 0;
const MASKED: u32 = 3;

/// Where the picture lies in its file, and how.
pub(crate) struct Bitmap {
    pub(crate) width: u32,
    pub(crate) height: u32,
    from_above: bool,
    start: u64,
    bits: usize,
    pixel: Pixel,
}

enum Pixel {
    /// A number in a table of colours, so many of them to a byte.
    Table(Vec<[u8; 3]>),
    /// Three bytes, blue first.
    Bytes,
    /// The bits of a number: red, green, blue, alpha. Without any for alpha there is none.
    Masks([u32; 4]),
}

impl Bitmap {
    /// None where it is a BMP of another kind, or not all of what tells so is there.
    pub(crate) fn find(file: &mut (impl Read + Seek)) -> Option<Bitmap> {
        let mut head = [0; FILE_HEAD + LEAST_HEAD as usize];
        file.read_exact(&mut head).ok()?;
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (start, own) = (u64::from(word(10)), word(FILE_HEAD));
        let (width, height) = (word(18), word(22) as i32);
        let (bits, packing, colours) = (word(28) as usize & 0xffff, word(30), word(46));
        if own < LEAST_HEAD || width > i32::MAX as u32 || height == i32::MIN {
            return None;
        }
        let mut masks = || -> Option<[u32; 4]> {
            let mut bytes = [0; 16];
            // With the shortest head they come behind it, which is the same place.
            let count = if own >= HEAD_WITH_ALPHA { 4 } else { 3 };
            file.read_exact(&mut bytes[..count * 4]).ok()?;
            let mut words = bytes.chunks_exact(4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
            let masks = [words.next()?, words.next()?, words.next()?, words.next()?];
            // Each a row of ones, and within the pixel.
            let whole = |mask: &u32| {
                let ones = mask >> mask.trailing_zeros().min(31);
                ones & ones.wrapping_add(1) == 0 && (bits == 32 || *mask <= 0xffff)
            };
            (masks.iter().all(whole) && masks[..3].iter().all(|mask| *mask > 0)).then_some(masks)
        };
        let pixel = match (bits, packing) {
            (1 | 4 | 8, PLAIN) => {
                file.seek(SeekFrom::Start(FILE_HEAD as u64 + u64::from(own))).ok()?;
                let most = 1 << bits;
                let count = if colours == 0 { most } else { (colours as usize).min(most) };
                let mut table = vec![0; count * 4];
                file.read_exact(&mut table).ok()?;
                // Numbers that the table does not have are black.
                let mut table: Vec<[u8; 3]> = table.chunks_exact(4).map(|four| [four[2], four[1], four[0]]).collect();
                table.resize(most, [0; 3]);
                Pixel::Table(table)
            }
            (24, PLAIN) => Pixel::Bytes,
            (16, PLAIN) => Pixel::Masks([0x7c00, 0x03e0, 0x001f, 0]),
            (32, PLAIN) => Pixel::Masks([0x00ff_0000, 0xff00, 0xff, 0]),
            (16 | 32, MASKED) if own == LEAST_HEAD || own >= HEAD_WITH_MASKS => Pixel::Masks(masks()?),
            _ => return None,
        };
        Some(Bitmap { width, height: height.unsigned_abs(), from_above: height < 0, start, bits, pixel })
    }

    pub(crate) fn channels(&self) -> usize {
        if matches!(self.pixel, Pixel::Masks([.., alpha]) if alpha > 0) { 4 } else { 3 }
    }

    /// Hands out RGB or RGBA, row by row from above.
    pub(crate) fn rows(self, file: &mut (impl Read + Seek), mut to: impl FnMut(&[u8])) -> Result<(), String> {
        let length = (self.width as usize * self.bits).div_ceil(8);
        let stride = length.next_multiple_of(4) as u64;
        let (mut packed, mut row) = (vec![0; length], vec![0; self.width as usize * self.channels()]);
        for y in 0..self.height {
            let place = if self.from_above { y } else { self.height - 1 - y };
            file.seek(SeekFrom::Start(self.start + u64::from(place) * stride)).map_err(|error| error.to_string())?;
            file.read_exact(&mut packed).map_err(|_| "the BMP ends too early".to_owned())?;
            self.unpack(&packed, &mut row);
            to(&row);
        }
        Ok(())
    }

    fn unpack(&self, packed: &[u8], row: &mut [u8]) {
        let channels = self.channels();
        match &self.pixel {
            Pixel::Bytes => {
                for (rgb, bgr) in row.chunks_exact_mut(3).zip(packed.chunks_exact(3)) {
                    rgb.copy_from_slice(&[bgr[2], bgr[1], bgr[0]]);
                }
            }
            Pixel::Table(table) => {
                let (to_a_byte, most) = (8 / self.bits, (1 << self.bits) - 1);
                for (x, rgb) in row.chunks_exact_mut(3).enumerate() {
                    let shift = 8 - self.bits * (x % to_a_byte + 1);
                    rgb.copy_from_slice(&table[usize::from(packed[x / to_a_byte]) >> shift & most]);
                }
            }
            Pixel::Masks(masks) => {
                let bytes = self.bits / 8;
                for (samples, packed) in row.chunks_exact_mut(channels).zip(packed.chunks_exact(bytes)) {
                    let number = packed.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte));
                    for (sample, mask) in samples.iter_mut().zip(masks) {
                        *sample = stretched(number, *mask);
                    }
                }
            }
        }
    }
}

/// The bits under the mask, from 0 to 255.
fn stretched(number: u32, mask: u32) -> u8 {
    let shift = mask.trailing_zeros();
    let (value, most) = (u64::from((number & mask) >> shift), u64::from(mask >> shift));
    ((value * 255 + most / 2) / most) as u8
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::ImageDecoder;
    use image::codecs::bmp::BmpDecoder;

    use super::*;

    /// Noise of this kind, with `more` between the head and the pixels.
    fn file(bits: u16, height: i32, head: &[u32], more: &[u8]) -> Vec<u8> {
        const WIDTH: u32 = 13;
        let stride = (WIDTH as usize * usize::from(bits)).div_ceil(8).next_multiple_of(4);
        let pixels = stride * height.unsigned_abs() as usize;
        let start = FILE_HEAD + head.len() * 4 + 16 + more.len();
        let mut bytes = b"BM".to_vec();
        let words = [(start + pixels) as u32, 0, start as u32, (head.len() * 4 + 16) as u32, WIDTH, height as u32];
        for word in words.iter().chain([1 | u32::from(bits) << 16].iter()).chain(head) {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(more);
        let mut state = 1_u32;
        bytes.extend((0..pixels).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }));
        bytes
    }

    fn kinds() -> Vec<Vec<u8>> {
        let table = |count: u32| (0..count * 4).map(|at| (at * 37 % 251) as u8).collect::<Vec<u8>>();
        let plain = [0; 6];
        let masked = [3, 0, 0, 0, 0, 0];
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let with_alpha = [&masked[..], &[0x00ff_0000, 0xff00, 0xff, 0xff00_0000]].concat();
        vec![
            file(1, 9, &plain, &table(2)),
            file(4, 9, &plain, &table(16)),
            file(8, 9, &plain, &table(256)),
            file(8, 9, &[0, 0, 0, 0, 256, 0], &table(256)),
            file(16, 9, &plain, &[]),
            file(16, 9, &masked, &words(&[0xf800, 0x07e0, 0x001f])),
            file(24, 9, &plain, &[]),
            file(24, -9, &plain, &[]),
            file(32, 9, &plain, &[]),
            file(32, 9, &masked, &words(&[0xff00_0000, 0x00ff_0000, 0xff00])),
            file(32, 9, &with_alpha, &[]),
        ]
    }

    fn read(file: &[u8]) -> Result<Vec<u8>, String> {
        let bitmap = Bitmap::find(&mut Cursor::new(file)).expect("a BMP");
        let mut rows = Vec::new();
        bitmap.rows(&mut Cursor::new(file), |row| rows.extend_from_slice(row)).map(|()| rows)
    }

    #[test]
    fn it_is_read_as_others_read_it() {
        for (at, file) in kinds().iter().enumerate() {
            let decoder = BmpDecoder::new(Cursor::new(file)).expect("a BMP");
            let mut whole = vec![0; decoder.total_bytes() as usize];
            decoder.read_image(&mut whole).expect("it can be read");
            assert!(read(file) == Ok(whole), "{at}");
        }
    }

    #[test]
    fn what_is_cut_off_is_told_and_what_is_packed_left_to_others() {
        for file in kinds() {
            // A row may be padded.
            assert!(read(&file[..file.len() - 4]).is_err());
            assert!((0..60).all(|length| Bitmap::find(&mut Cursor::new(&file[..length.min(50)])).is_none()));
        }
        for packing in [1, 2, 4, 5] {
            let packed = file(8, 9, &[packing, 0, 0, 0, 0, 0], &[0; 1024]);
            assert!(Bitmap::find(&mut Cursor::new(packed)).is_none());
        }
        let wild = file(16, 9, &[3, 0, 0, 0, 0, 0], &[0x5a; 12]);
        assert!(Bitmap::find(&mut Cursor::new(wild)).is_none());
    }
}
