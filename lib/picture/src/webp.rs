//! WebP as photos are written: lossy, without transparency. Its planes take half of what the picture does, and become rows as they
//! are wanted.

use std::io::{BufRead, Read, Seek, SeekFrom};

use image_webp::vp8::{Frame, Vp8Decoder};

/// More EXIF than this is not looked at; a camera writes less than 64 KB.
const MOST_EXIF: u32 = 1 << 20;
const ALPHA: u8 = 0x10;
const EXIF: u8 = 0x08;
const ANIMATION: u8 = 0x02;

/// Where the picture lies in its file.
pub(crate) struct Lossy {
    start: u64,
    length: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) exif: Option<Vec<u8>>,
}

impl Lossy {
    /// None where it is a WebP of another kind, or not all of what tells so is there.
    pub(crate) fn find(file: &mut (impl BufRead + Seek)) -> Option<Lossy> {
        let mut head = [0; 12];
        file.read_exact(&mut head).ok()?;
        let (mut at, mut flags, mut found) = (12, 0, None);
        loop {
            if let Some(found) = found.take_if(|found: &mut Lossy| flags & EXIF == 0 || found.exif.is_some()) {
                return Some(found);
            }
            let mut head = [0; 8];
            file.seek(SeekFrom::Start(at)).ok()?;
            file.read_exact(&mut head).ok()?;
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            match &head[..4] {
                b"VP8X" => {
                    file.read_exact(std::slice::from_mut(&mut flags)).ok()?;
                    if flags & (ALPHA | ANIMATION) != 0 {
                        return None;
                    }
                }
                b"VP8 " if found.is_none() => {
                    let mut frame = [0; 10];
                    file.read_exact(&mut frame).ok()?;
                    if frame[0] & 1 != 0 || frame[3..6] != [0x9d, 0x01, 0x2a] {
                        return None;
                    }
                    let side = |at: usize| u32::from(u16::from_le_bytes([frame[at], frame[at + 1]]) & 0x3fff);
                    let (width, height, start) = (side(6), side(8), at + 8);
                    found = Some(Lossy { start, length, width, height, exif: None });
                }
                b"VP8L" | b"ALPH" | b"ANIM" | b"ANMF" => return None,
                b"EXIF" if length <= MOST_EXIF => {
                    let mut exif = vec![0; length as usize];
                    file.read_exact(&mut exif).ok()?;
                    found.as_mut()?.exif = Some(exif);
                }
                _ => {}
            }
            at += 8 + u64::from(length) + u64::from(length & 1);
        }
    }

    /// What reading it holds: three planes, of which two are a quarter as large, what is known of each square of 16 by 16, and
    /// the compressed data once more.
    pub(crate) fn held_bytes(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height) * 7 / 4 + u64::from(self.length)
    }

    /// Hands out RGB, row by row.
    pub(crate) fn rows(self, file: &mut (impl BufRead + Seek), mut to: impl FnMut(&[u8])) -> Result<(), String> {
        file.seek(SeekFrom::Start(self.start)).map_err(|error| error.to_string())?;
        let frame = Vp8Decoder::decode_frame(file.take(self.length.into())).map_err(|error| error.to_string())?;
        if (u32::from(frame.width), u32::from(frame.height)) != (self.width, self.height) {
            return Err("its size is not what it says".to_owned());
        }
        let mut row = vec![0; usize::from(frame.width) * 3];
        let (mut blue, mut red) = (Vec::new(), Vec::new());
        for y in 0..usize::from(frame.height) {
            write(&frame, y, &mut blue, &mut red, &mut row);
            to(&row);
        }
        Ok(())
    }
}

/// A row, with the colours of the four samples around each pixel by how near they are.
fn write(frame: &Frame, y: usize, blue: &mut Vec<u16>, red: &mut Vec<u16>, row: &mut [u8]) {
    // Planes are made of whole squares of 16.
    let stride = usize::from(frame.width).next_multiple_of(16);
    let (wide, high) = (usize::from(frame.width).div_ceil(2), usize::from(frame.height).div_ceil(2));
    let other = |at: usize, length: usize| {
        if at % 2 == 1 { (at / 2 + 1).min(length - 1) } else { (at / 2).saturating_sub(1) }
    };
    let (near, far) = (y / 2 * (stride / 2), other(y, high) * (stride / 2));
    for (plane, to) in [(&frame.ubuf, &mut *blue), (&frame.vbuf, &mut *red)] {
        to.clear();
        let both = plane[near..near + wide].iter().zip(&plane[far..far + wide]);
        to.extend(both.map(|(near, far)| 3 * u16::from(*near) + u16::from(*far)));
    }
    let luma = &frame.ybuf[y * stride..][..usize::from(frame.width)];
    for (x, (rgb, luma)) in row.chunks_exact_mut(3).zip(luma).enumerate() {
        let (near, far) = (x / 2, other(x, wide));
        let sample = |line: &[u16]| i32::from((3 * line[near] + line[far] + 8) >> 4);
        rgb.copy_from_slice(&rgb_of((*luma).into(), sample(blue), sample(red)));
    }
}

/// By BT.601 as video has it, in the steps of the format's own library.
fn rgb_of(luma: i32, blue: i32, red: i32) -> [u8; 3] {
    let share = |value: i32, by: i32| (value * by) >> 8;
    let sample = |sum: i32| (sum >> 6).clamp(0, 255) as u8;
    let luma = share(luma, 19_077);
    [
        sample(luma + share(red, 26_149) - 14_234),
        sample(luma - share(blue, 6_419) - share(red, 13_320) + 8_708),
        sample(luma + share(blue, 33_050) - 17_685),
    ]
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::ImageDecoder;

    use super::*;

    const PHOTO: &[u8] = include_bytes!("../tests/pictures/photo.webp");
    const TURNED: &[u8] = include_bytes!("../tests/pictures/exif.webp");

    #[test]
    fn it_is_read_as_others_read_it() {
        for file in [PHOTO, TURNED] {
            let decoder = image::codecs::webp::WebPDecoder::new(Cursor::new(file)).expect("a WebP");
            let mut whole = vec![0; decoder.total_bytes() as usize];
            decoder.read_image(&mut whole).expect("it can be read");
            let lossy = Lossy::find(&mut Cursor::new(file)).expect("a lossy one");
            let mut rows = Vec::new();
            lossy.rows(&mut Cursor::new(file), |row| rows.extend_from_slice(row)).expect("it can be read");
            assert!(rows == whole);
        }
    }

    #[test]
    fn what_it_says_of_itself_is_found_or_it_is_left_to_others() {
        let lossy = Lossy::find(&mut Cursor::new(TURNED)).expect("a lossy one");
        assert_eq!((lossy.width, lossy.height), (93, 70));
        assert!(lossy.exif.is_some());
        for length in [10, 40, TURNED.len() - 30] {
            assert!(Lossy::find(&mut Cursor::new(&TURNED[..length])).is_none(), "{length}");
        }
        // Without EXIF, the head tells all.
        assert!(Lossy::find(&mut Cursor::new(&PHOTO[..60])).is_some());
        let lossy = Lossy::find(&mut Cursor::new(PHOTO)).expect("a lossy one");
        assert!(lossy.rows(&mut Cursor::new(&PHOTO[..PHOTO.len() / 2]), |_| ()).is_err());
    }
}
