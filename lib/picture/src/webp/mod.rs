//! WebP of one picture, row by row: as photos are written, with or without transparency, and without loss. Animations are left to
//! others.

mod alpha;
mod bits;
mod codes;
mod lossless;
mod lossy;
mod transform;

use std::io::{BufRead, Read, Seek, SeekFrom, Take};

use alpha::Alpha;
use lossy::Planes;

/// More EXIF than this is not looked at; a camera writes less than 64 KB.
const MOST_EXIF: u32 = 1 << 20;
const ALPHA: u8 = 0x10;
const EXIF: u8 = 0x08;
const ANIMATION: u8 = 0x02;

/// Where the picture lies in its file.
pub(crate) struct WebP {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) exif: Option<Vec<u8>>,
    has_alpha: bool,
    pixels: Place,
    packed: Packed,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    start: u64,
    length: u32,
}

enum Packed {
    Lossless,
    /// What is transparent lies by itself, without loss.
    Lossy(Option<Place>),
}

impl WebP {
    /// None where it is a WebP of another kind, or not all of what tells so is there.
    pub(crate) fn find(file: &mut (impl BufRead + Seek)) -> Option<WebP> {
        let mut head = [0; 12];
        file.read_exact(&mut head).ok()?;
        let (mut at, mut flags, mut alpha, mut found) = (12, None, None, None);
        loop {
            let waits = |found: &WebP| flags.unwrap_or(0) & EXIF != 0 && found.exif.is_none();
            if let Some(found) = found.take_if(|found| !waits(found)) {
                return Some(found);
            }
            let mut head = [0; 8];
            file.seek(SeekFrom::Start(at)).ok()?;
            file.read_exact(&mut head).ok()?;
            let place = Place { start: at + 8, length: u32::from_le_bytes([head[4], head[5], head[6], head[7]]) };
            match &head[..4] {
                b"VP8X" => {
                    let mut own = [0; 1];
                    file.read_exact(&mut own).ok()?;
                    if own[0] & ANIMATION != 0 {
                        return None;
                    }
                    flags = Some(own[0]);
                }
                b"ALPH" if found.is_none() => alpha = Some(place),
                b"VP8 " if found.is_none() => {
                    let mut frame = [0; 10];
                    file.read_exact(&mut frame).ok()?;
                    if frame[0] & 1 != 0 || frame[3..6] != [0x9d, 0x01, 0x2a] {
                        return None;
                    }
                    let side = |at: usize| u32::from(u16::from_le_bytes([frame[at], frame[at + 1]]) & 0x3fff);
                    let (width, height) = (side(6), side(8));
                    let alpha = alpha.filter(|_| flags.unwrap_or(0) & ALPHA != 0);
                    let (has_alpha, packed) = (alpha.is_some(), Packed::Lossy(alpha));
                    found = Some(WebP { width, height, exif: None, has_alpha, pixels: place, packed });
                }
                b"VP8L" if found.is_none() => {
                    let mut frame = [0; 5];
                    file.read_exact(&mut frame).ok()?;
                    let told = u32::from_le_bytes([frame[1], frame[2], frame[3], frame[4]]);
                    let (width, height) = ((told & 0x3fff) + 1, (told >> 14 & 0x3fff) + 1);
                    let has_alpha = flags.map_or(told >> 28 & 1 == 1, |flags| flags & ALPHA != 0);
                    let packed = Packed::Lossless;
                    found = Some(WebP { width, height, exif: None, has_alpha, pixels: place, packed });
                }
                b"ANIM" | b"ANMF" => return None,
                b"EXIF" if place.length <= MOST_EXIF => {
                    let mut exif = vec![0; place.length as usize];
                    file.read_exact(&mut exif).ok()?;
                    found.as_mut()?.exif = Some(exif);
                }
                _ => {}
            }
            at = place.start + u64::from(place.length) + u64::from(place.length & 1);
        }
    }

    pub(crate) fn channels(&self) -> usize {
        if self.has_alpha { 4 } else { 3 }
    }

    /// What reading it holds beside the rows.
    pub(crate) fn held_bytes(&self) -> u64 {
        match self.packed {
            Packed::Lossless => lossless::held_bytes(self.width, self.height),
            Packed::Lossy(alpha) => {
                let alpha = alpha.map_or(0, |_| lossless::held_bytes(self.width, self.height));
                lossy::held_bytes(self.width, self.height, self.pixels.length) + alpha
            }
        }
    }

    /// Hands out RGB or RGBA, row by row.
    pub(crate) fn rows(self, file: &mut (impl BufRead + Seek), mut to: impl FnMut(&[u8])) -> Result<(), String> {
        let (size, channels) = ((self.width, self.height), self.channels());
        let mut row = vec![0; self.width as usize * channels];
        match self.packed {
            Packed::Lossless => lossless::rows(begun(file, self.pixels)?, size, true, |pixels| {
                for (samples, argb) in row.chunks_exact_mut(channels).zip(pixels) {
                    let [alpha, red, green, blue] = argb.to_be_bytes();
                    samples.copy_from_slice(&[red, green, blue, alpha][..channels]);
                }
                to(&row);
            }),
            Packed::Lossy(alpha) => {
                let mut planes = Planes::read(begun(file, self.pixels)?, size)?;
                let Some(alpha) = alpha else {
                    for y in 0..self.height as usize {
                        planes.row(y, &mut row);
                        to(&row);
                    }
                    return Ok(());
                };
                let (mut rgb, mut y) = (vec![0; self.width as usize * 3], 0);
                Alpha::new(size).rows(begun(file, alpha)?, |alpha| {
                    planes.row(y, &mut rgb);
                    for ((samples, rgb), alpha) in row.chunks_exact_mut(4).zip(rgb.chunks_exact(3)).zip(alpha) {
                        samples.copy_from_slice(&[rgb[0], rgb[1], rgb[2], *alpha]);
                    }
                    to(&row);
                    y += 1;
                })
            }
        }
    }
}

fn begun<R: BufRead + Seek>(file: &mut R, place: Place) -> Result<Take<&mut R>, String> {
    file.seek(SeekFrom::Start(place.start)).map_err(|error| error.to_string())?;
    Ok(Read::take(file, place.length.into()))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::ImageDecoder;
    use image::codecs::webp::{WebPDecoder, WebPEncoder};

    use super::*;

    const PHOTO: &[u8] = include_bytes!("../../tests/pictures/photo.webp");
    const TURNED: &[u8] = include_bytes!("../../tests/pictures/exif.webp");

    /// By the format's own library: every way of telling a pixel by its neighbours, tables, transparency.
    const OTHERS: [&[u8]; 6] = [
        include_bytes!("../../tests/pictures/lossless.webp"),
        include_bytes!("../../tests/pictures/lossless-alpha.webp"),
        include_bytes!("../../tests/pictures/few.webp"),
        include_bytes!("../../tests/pictures/table.webp"),
        include_bytes!("../../tests/pictures/alpha.webp"),
        include_bytes!("../../tests/pictures/alpha-coarse.webp"),
    ];

    fn read(file: &[u8]) -> Result<Vec<u8>, String> {
        let webp = WebP::find(&mut Cursor::new(file)).ok_or("another kind")?;
        let mut rows = Vec::new();
        webp.rows(&mut Cursor::new(file), |row| rows.extend_from_slice(row)).map(|()| rows)
    }

    fn as_others_read(file: &[u8]) -> Vec<u8> {
        let decoder = WebPDecoder::new(Cursor::new(file)).expect("a WebP");
        let mut whole = vec![0; decoder.total_bytes() as usize];
        decoder.read_image(&mut whole).expect("it can be read");
        whole
    }

    /// As this program's own library writes them: some with few colours, some with many, with and without alpha.
    fn lossless() -> Vec<Vec<u8>> {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 24
        };
        let mut files = Vec::new();
        for (width, height) in [(1, 1), (7, 3), (200, 150)] {
            for (channels, colour) in [
                (3, image::ExtendedColorType::Rgb8),
                (4, image::ExtendedColorType::Rgba8),
                (1, image::ExtendedColorType::L8),
            ] {
                for noisy in [0, 3, 255] {
                    let data: Vec<u8> = (0..width * height * channels)
                        .map(|at| (at / channels % width * 3 + at / channels / width + (noise() & noisy)) as u8)
                        .collect();
                    let mut file = Vec::new();
                    let encoder = WebPEncoder::new_lossless(&mut file);
                    encoder.encode(&data, width, height, colour).expect("it can be written");
                    files.push(file);
                }
            }
        }
        files
    }

    #[test]
    fn it_is_read_as_others_read_it() {
        for file in [PHOTO, TURNED].into_iter().chain(OTHERS) {
            assert!(read(file) == Ok(as_others_read(file)));
        }
        for (at, file) in lossless().iter().enumerate() {
            assert!(read(file) == Ok(as_others_read(file)), "{at}");
        }
    }

    #[test]
    fn what_it_says_of_itself_is_found_or_it_is_left_to_others() {
        let webp = WebP::find(&mut Cursor::new(TURNED)).expect("a WebP");
        assert_eq!((webp.width, webp.height), (93, 70));
        assert!(webp.exif.is_some());
        for length in [10, 40, TURNED.len() - 30] {
            assert!(WebP::find(&mut Cursor::new(&TURNED[..length])).is_none(), "{length}");
        }
        // Without EXIF, the head tells all.
        assert!(WebP::find(&mut Cursor::new(&PHOTO[..60])).is_some());
        assert!(read(&PHOTO[..PHOTO.len() / 2]).is_err());
    }

    #[test]
    fn what_is_damaged_is_no_panic() {
        for file in lossless().into_iter().chain([PHOTO].iter().chain(&OTHERS).map(|file| file.to_vec())) {
            assert!(read(&file[..file.len() - file.len() / 3]).is_err());
            let mut state = 7_u32;
            for _ in 0..200 {
                let mut damaged = file.clone();
                for _ in 0..3 {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let at = state as usize / 7 % damaged.len();
                    damaged[at] ^= (state >> 24) as u8;
                }
                // Those that say they are large would take long.
                if WebP::find(&mut Cursor::new(&damaged)).is_some_and(|webp| webp.width * webp.height < 100_000) {
                    drop(read(&damaged));
                }
            }
        }
    }
}
