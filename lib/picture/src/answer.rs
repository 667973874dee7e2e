use image::metadata::Orientation;

use crate::jpeg::WHOLE;
use crate::open::Opened;
use crate::{File, Kind, Limits, Refused};

/// Turns what a model made into a PNG without metadata; transparent parts stay so.
///
/// A PNG keeps its compressed data: writing it anew takes longer and, at the speed that pays, makes it larger. It is
/// decoded all the same, so that a broken one is known.
pub fn answer(file: impl Into<File>, limits: &Limits) -> Result<Vec<u8>, Refused> {
    let file = file.into();
    let opened = Opened::new(&file, limits)?;
    let orientation = opened.orientation;
    let as_it_is = opened.kind == Kind::Png && orientation == Orientation::NoTransforms && !opened.animated;
    if as_it_is {
        opened.rows(WHOLE, |_| ())?;
        let mut bytes = file.into_pieces().concat();
        strip(&mut bytes)?;
        return Ok(bytes);
    }
    let pixels = opened.pixels()?;
    drop(file);
    pixels.without_idle_alpha().turn(orientation).png()
}

/// Drops every chunk that does not make the pixels, in place.
fn strip(bytes: &mut Vec<u8>) -> Result<(), Refused> {
    let mut from = 8; // After the signature.
    let mut to = 8;
    while let Some(head) = bytes.get(from..from + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let name = [head[4], head[5], head[6], head[7]];
        let end = from.saturating_add(length).saturating_add(12);
        if end > bytes.len() {
            break;
        }
        if matches!(&name, b"IHDR" | b"PLTE" | b"tRNS" | b"IDAT" | b"IEND") {
            bytes.copy_within(from..end, to);
            to += end - from;
        }
        from = end;
        if &name == b"IEND" {
            bytes.truncate(to);
            return Ok(());
        }
    }
    Err(Refused::Broken("the PNG ends too early".to_owned()))
}
