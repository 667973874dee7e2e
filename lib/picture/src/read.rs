use crate::open::Opened;
use crate::{File, Limits, Pixels, Refused};

/// Reads a caller's picture in its own size: upright, RGB, or RGBA where some of it is transparent.
pub fn read(file: impl Into<File>, limits: &Limits) -> Result<Pixels, Refused> {
    let opened = Opened::owning(file.into(), limits)?;
    let orientation = opened.orientation;
    let pixels = opened.pixels()?;
    Ok(pixels.without_idle_alpha().into_rgb().turn(orientation))
}

/// Width and height as a person sees them; no pixel is decoded for it.
pub fn size(file: &File, limits: &Limits) -> Result<(u32, u32), Refused> {
    Ok(Opened::new(file, limits)?.upright())
}

/// As `size`, of a file of which the first pieces alone are there. None where they do not tell.
pub fn size_by_head(head: &File, limits: &Limits) -> Result<Option<(u32, u32)>, Refused> {
    match Opened::begun(head, limits) {
        Ok(opened) => Ok(Some(opened.upright())),
        Err(Refused::Broken(_)) => Ok(None),
        Err(refused) => Err(refused),
    }
}
