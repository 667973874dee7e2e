use image::metadata::Orientation;

use crate::open::{Opened, swaps_sides};
use crate::{File, Limits, Refused};

/// What the image models of the Stable Diffusion family count in: their latent picture is an eighth as large.
const STEP: u32 = 8;

/// A picture ready for a model: upright, RGB, within the model's size, as PNG.
pub struct Prepared {
    /// Of the PNG. A picture that was scaled has sides in multiples of 8; one that was not keeps its own.
    pub width: u32,
    pub height: u32,
    /// Of the picture that came, upright: what its mask must have.
    pub own_width: u32,
    pub own_height: u32,
    pub png: Vec<u8>,
}

/// Makes a caller's picture ready for a model. Transparent parts become white.
pub fn prepare(file: &File, limits: &Limits) -> Result<Prepared, Refused> {
    let opened = Opened::new(file, limits)?;
    let (own_width, own_height) = opened.upright();
    let (width, height) = prepared_size((own_width, own_height), limits);
    let orientation = opened.orientation;
    let size = as_filed((width, height), orientation);
    let pixels = opened.flat_for(size)?.scale(size, true)?;
    let png = pixels.into_rgb().turn(orientation).png()?;
    Ok(Prepared { width, height, own_width, own_height, png })
}

/// How large `prepare` makes a picture of this size.
pub fn prepared_size((width, height): (u32, u32), limits: &Limits) -> (u32, u32) {
    fit(width, height, limits.max_model_side)
}

/// The upright size, as it lies in a file with this orientation.
pub(crate) fn as_filed((width, height): (u32, u32), orientation: Orientation) -> (u32, u32) {
    if swaps_sides(orientation) { (height, width) } else { (width, height) }
}

/// The size for the model: not larger than it takes, not smaller than one step. Whatever fits is left alone.
fn fit(width: u32, height: u32, max_side: u32) -> (u32, u32) {
    let (longer, shorter) = (width.max(height), width.min(height));
    let max_side = (max_side / STEP).max(1) * STEP;
    let (numerator, denominator) = if longer > max_side {
        (max_side, longer)
    } else if shorter < STEP {
        (STEP, shorter)
    } else {
        return (width, height);
    };
    let scaled = |side: u32| {
        let exact = f64::from(side) * f64::from(numerator) / f64::from(denominator) / f64::from(STEP);
        (exact.round() as u32 * STEP).clamp(STEP, max_side)
    };
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_left_alone_and_what_does_not_comes_in_steps_of_eight() {
        assert_eq!(fit(640, 480, 1024), (640, 480));
        assert_eq!(fit(500, 375, 1024), (500, 375));
        assert_eq!(fit(4000, 3000, 1024), (1024, 768));
        assert_eq!(fit(3000, 4000, 1024), (768, 1024));
        assert_eq!(fit(1025, 1025, 1024), (1024, 1024));
        assert_eq!(fit(6000, 101, 1024), (1024, 16));
        assert_eq!(fit(1, 1, 1024), (8, 8));
        assert_eq!(fit(100, 2, 1024), (400, 8));
        assert_eq!(fit(4000, 3000, 1000), (1000, 752));
    }
}
