use crate::open::Opened;
use crate::prepare::as_filed;
use crate::{File, Limits, Pixels, Refused};

/// From here on a gray is white.
const WHITE_FROM: u8 = 128;

/// How a mask says what is to be painted anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    /// Light pixels are painted anew; dark and transparent ones are kept.
    Light,
    /// Transparent pixels are painted anew, opaque ones are kept. A mask without any transparent pixel is read as `Light`:
    /// whoever made it knew no other way.
    Transparent,
}

/// Makes the mask of a picture that was prepared, from `own` pixels to `size`: 8-bit gray PNG, where white (255) is to be painted
/// anew and black (0) kept.
///
/// The mask must be as large as the picture was, both upright. A mask without any white is taken: it asks to keep everything,
/// and that is for the model to do.
pub fn mask(
    file: impl Into<File>,
    own: (u32, u32),
    size: (u32, u32),
    limits: &Limits,
    polarity: Polarity,
) -> Result<Vec<u8>, Refused> {
    painted(file.into(), own, size, limits, polarity)?.png()
}

/// As `mask`, for a picture of this size that keeps it.
pub fn whole_mask(
    file: impl Into<File>,
    size: (u32, u32),
    limits: &Limits,
    polarity: Polarity,
) -> Result<Pixels, Refused> {
    painted(file.into(), size, size, limits, polarity)
}

fn painted(
    file: File,
    (width, height): (u32, u32),
    size: (u32, u32),
    limits: &Limits,
    polarity: Polarity,
) -> Result<Pixels, Refused> {
    let opened = Opened::owning(file, limits)?;
    let (own_width, own_height) = opened.upright();
    if (own_width, own_height) != (width, height) {
        return Err(Refused::OtherSize { width, height, own_width, own_height });
    }
    let orientation = opened.orientation;
    let pixels = opened.pixels()?;
    let gray = match polarity {
        Polarity::Transparent if pixels.is_transparent_anywhere(WHITE_FROM) => pixels.into_transparency(),
        _ => pixels.flatten(0).into_gray(),
    };
    let mut gray = gray.scale(as_filed(size, orientation), false)?;
    for pixel in &mut gray.data {
        *pixel = if *pixel < WHITE_FROM { 0 } else { 255 };
    }
    Ok(gray.turn(orientation))
}
