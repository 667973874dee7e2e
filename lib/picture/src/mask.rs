use crate::jpeg::WHOLE;
use crate::open::Opened;
use crate::prepare::as_filed;
use crate::rows::{Canvas, nearest};
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

/// As `mask`, in pixels.
pub fn mask_pixels(
    file: impl Into<File>,
    own: (u32, u32),
    size: (u32, u32),
    limits: &Limits,
    polarity: Polarity,
) -> Result<Pixels, Refused> {
    painted(file.into(), own, size, limits, polarity)
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
    let (orientation, channels) = (opened.orientation, opened.channels());
    let (own_width, own_height) = (opened.width, opened.height);
    let (wide, high) = as_filed(size, orientation);
    let (across, down) = (nearest(own_width, wide), nearest(own_height, high));
    // What is light, and what is transparent; the second only where it may be asked for.
    let mut light = Canvas::new((wide, high), 1, orientation);
    let mut clear =
        (polarity == Polarity::Transparent && channels % 2 == 0).then(|| Canvas::new((wide, high), 1, orientation));
    let (mut is_clear_anywhere, mut y, mut made) = (false, 0, 0);
    opened.rows(WHOLE, |row| {
        if clear.is_some() {
            is_clear_anywhere |= row.chunks_exact(channels).any(|pixel| pixel[channels - 1] < WHITE_FROM);
        }
        while made < high && down(made) == y {
            let picked = (0..wide).flat_map(|x| {
                let from = across(x) as usize * channels;
                row[from..from + channels].iter().copied()
            });
            let row = Pixels::new(wide, 1, channels as u8, picked.collect());
            if let Some(clear) = &mut clear {
                clear.push(&black_or_white(row.clone().into_transparency()));
            }
            light.push(&black_or_white(row.flatten(0).into_gray()));
            made += 1;
        }
        y += 1;
    })?;
    Ok(clear.filter(|_| is_clear_anywhere).unwrap_or(light).finish())
}

fn black_or_white(mut row: Pixels) -> Vec<u8> {
    for pixel in &mut row.data {
        *pixel = if *pixel < WHITE_FROM { 0 } else { 255 };
    }
    row.data
}
