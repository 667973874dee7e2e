use image::metadata::Orientation;

use crate::open::Opened;
use crate::{File, Limits, Pixels, Refused};

/// Reads a caller's picture: upright, RGB, or RGBA where some of it is transparent; in its own size, or as large as
/// `Limits::max_held_bytes` lets it be.
pub fn read(file: impl Into<File>, limits: &Limits) -> Result<Pixels, Refused> {
    read_turned(file, Orientation::NoTransforms, limits)
}

/// As `read`, and then turned, without a second copy where it comes row by row.
pub fn read_turned(file: impl Into<File>, turned: Orientation, limits: &Limits) -> Result<Pixels, Refused> {
    let mut opened = Opened::owning(file.into(), limits)?;
    opened.orientation = then(opened.orientation, turned);
    opened.within_room()
}

/// One turn after another.
pub fn then(first: Orientation, second: Orientation) -> Orientation {
    let ([a, b, c, d], [e, f, g, h]) = (steps(second), steps(first));
    let both = [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h];
    (1..=8).filter_map(Orientation::from_exif).find(|it| steps(*it) == both).unwrap_or(Orientation::NoTransforms)
}

/// Where a step to the right and a step down lead: as the rows of a matrix, x and y.
fn steps(orientation: Orientation) -> [i32; 4] {
    match orientation {
        Orientation::NoTransforms => [1, 0, 0, 1],
        Orientation::FlipHorizontal => [-1, 0, 0, 1],
        Orientation::FlipVertical => [1, 0, 0, -1],
        Orientation::Rotate180 => [-1, 0, 0, -1],
        Orientation::Rotate90 => [0, -1, 1, 0],
        Orientation::Rotate270 => [0, 1, -1, 0],
        Orientation::Rotate90FlipH => [0, 1, 1, 0],
        Orientation::Rotate270FlipH => [0, -1, -1, 0],
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_turns_are_one() {
        let pixels = Pixels::new(3, 2, 1, vec![1, 2, 3, 4, 5, 6]);
        let all = || (1..=8).filter_map(Orientation::from_exif);
        for (first, second) in all().flat_map(|first| all().map(move |second| (first, second))) {
            let both = pixels.clone().turn(first).turn(second);
            assert_eq!(pixels.clone().turn(then(first, second)), both, "{first:?}, {second:?}");
        }
    }
}
