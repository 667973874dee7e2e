use crate::open::Opened;
use crate::{Limits, Pixels, Refused};

/// Reads a caller's picture in its own size: upright, RGB, or RGBA where some of it is transparent.
pub fn read(bytes: Vec<u8>, limits: &Limits) -> Result<Pixels, Refused> {
    let opened = Opened::new(&bytes, limits)?;
    let orientation = opened.orientation;
    let pixels = opened.pixels()?;
    // The file is not needed any more, and what follows needs the room.
    drop(bytes);
    Ok(pixels.without_idle_alpha().into_rgb().turn(orientation))
}

/// Width and height as a person sees them; no pixel is decoded for it.
pub fn size(bytes: &[u8], limits: &Limits) -> Result<(u32, u32), Refused> {
    Ok(Opened::new(bytes, limits)?.upright())
}
