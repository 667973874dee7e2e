//! What photos are packed with. Its planes take half of what the picture does, and become rows as they are wanted.

use std::io::Read;

use image_webp::vp8::{Frame, Vp8Decoder};

/// What reading it holds: three planes, of which two are a quarter as large, what is known of each square of 16 by 16, and
/// the compressed data once more.
pub(super) fn held_bytes(width: u32, height: u32, length: u32) -> u64 {
    u64::from(width) * u64::from(height) * 7 / 4 + u64::from(length)
}

/// Planes that become rows.
pub(super) struct Planes {
    frame: Frame,
    /// A row of each of the colours' planes, as it is where the picture's row lies.
    blue: Vec<u16>,
    red: Vec<u16>,
}

impl Planes {
    pub(super) fn read(file: impl Read, (width, height): (u32, u32)) -> Result<Planes, String> {
        let frame = Vp8Decoder::decode_frame(file).map_err(|error| error.to_string())?;
        if (u32::from(frame.width), u32::from(frame.height)) != (width, height) {
            return Err("its size is not what it says".to_owned());
        }
        Ok(Planes { frame, blue: Vec::new(), red: Vec::new() })
    }

    /// Writes RGB.
    pub(super) fn row(&mut self, y: usize, row: &mut [u8]) {
        write(&self.frame, y, &mut self.blue, &mut self.red, row);
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
