//! What changes a picture's size or turns it.

use hybrid_picture::{Orientation, Pixels};

use crate::operation::{Length, Shape};

/// Why a shape cannot be had. The text goes on after "`prompt`".
pub(crate) type Impossible = String;

/// How far from the border's colour a sample may be and still be border.
const BORDER: u8 = 16;

impl Shape {
    /// As what it can be done while the picture is read.
    pub(crate) fn turn(self) -> Option<Orientation> {
        match self {
            Shape::Mirror => Some(Orientation::FlipHorizontal),
            Shape::Flip => Some(Orientation::FlipVertical),
            Shape::Rotate(degrees) | Shape::Straighten(degrees) => match quarters(degrees)? {
                0 => Some(Orientation::NoTransforms),
                1 => Some(Orientation::Rotate90),
                2 => Some(Orientation::Rotate180),
                _ => Some(Orientation::Rotate270),
            },
            _ => None,
        }
    }

    /// Whether the picture before and the one after are there at once.
    pub(crate) fn copies(self) -> bool {
        match self {
            Shape::Rotate(degrees) | Shape::Straighten(degrees) => !matches!(quarters(degrees), Some(0 | 2)),
            Shape::Resize(..) | Shape::Width(_) | Shape::Height(_) | Shape::Longer(_) => true,
            Shape::Fit(..) | Shape::Scale(_) | Shape::Zoom(_) => true,
            _ => false,
        }
    }

    pub(crate) fn apply(self, picture: Pixels, mask: Option<&[u8]>, max_pixels: u64) -> Result<Pixels, Impossible> {
        let (width, height) = (picture.width, picture.height);
        let to = |width: f64, height: f64| (width.round().max(1.0), height.round().max(1.0));
        let (w, h) = (f64::from(width), f64::from(height));
        let scaled = |(to_width, to_height): (f64, f64)| -> Result<(u32, u32), Impossible> {
            if to_width * to_height > max_pixels as f64 || to_width.max(to_height) > 65_535.0 {
                return Err(format!("must not ask for more than {max_pixels} pixels: {to_width}x{to_height}"));
            }
            Ok((to_width as u32, to_height as u32))
        };
        let size = match self {
            Shape::CropRatio(ratio) => {
                let ratio = f64::from(ratio);
                let (wide, high) = if w / h > ratio { to(h * ratio, h) } else { to(w, w / ratio) };
                return Ok(middle(picture, wide as u32, high as u32));
            }
            Shape::CropSize(wide, high) => return Ok(middle(picture, wide, high)),
            Shape::CropShare(share) => {
                let (wide, high) = to(w * f64::from(share), h * f64::from(share));
                return Ok(middle(picture, wide as u32, high as u32));
            }
            Shape::Cut(cuts) => return cut(picture, cuts),
            Shape::Trim => return trim(picture),
            Shape::CropMask => {
                let [left, top, right, bottom] = mask
                    .and_then(|mask| bounds(mask, width as usize))
                    .ok_or("must not crop to a mask where there is none")?;
                return Ok(crop(picture, left, top, right - left, bottom - top));
            }
            Shape::Rotate(degrees) => return rotate(picture, degrees, false, max_pixels),
            Shape::Straighten(degrees) => return rotate(picture, degrees, true, max_pixels),
            Shape::Mirror => return Ok(mirror(picture)),
            Shape::Flip => return Ok(flip(picture)),
            Shape::Zoom(times) => {
                let (wide, high) = to(w / f64::from(times), h / f64::from(times));
                let part = middle(picture, wide as u32, high as u32);
                return part.scale((width, height), true).map_err(|error| error.to_string());
            }
            Shape::Resize(wide, high) => (f64::from(wide), f64::from(high)),
            Shape::Width(wide) => to(f64::from(wide), h * f64::from(wide) / w),
            Shape::Height(high) => to(w * f64::from(high) / h, f64::from(high)),
            Shape::Longer(side) => {
                let scale = f64::from(side) / w.max(h);
                to(w * scale, h * scale)
            }
            Shape::Fit(wide, high) => {
                let scale = (f64::from(wide) / w).min(f64::from(high) / h);
                to(w * scale, h * scale)
            }
            Shape::Scale(scale) => to(w * f64::from(scale), h * f64::from(scale)),
        };
        picture.scale(scaled(size)?, true).map_err(|error| error.to_string())
    }
}

fn middle(picture: Pixels, width: u32, height: u32) -> Pixels {
    let (width, height) = (width.clamp(1, picture.width), height.clamp(1, picture.height));
    let (left, top) = ((picture.width - width) / 2, (picture.height - height) / 2);
    crop(picture, left, top, width, height)
}

/// In place: what stays moves to the front.
fn crop(mut picture: Pixels, left: u32, top: u32, width: u32, height: u32) -> Pixels {
    let channels = usize::from(picture.channels);
    let (stride, row) = (picture.width as usize * channels, width as usize * channels);
    for y in 0..height as usize {
        let from = (top as usize + y) * stride + left as usize * channels;
        picture.data.copy_within(from..from + row, y * row);
    }
    picture.data.truncate(row * height as usize);
    Pixels { width, height, ..picture }
}

fn cut(picture: Pixels, cuts: [Length; 4]) -> Result<Pixels, Impossible> {
    let length = |cut: Length, side: u32| match cut {
        Length::Pixels(pixels) => pixels,
        Length::Share(share) => (side as f32 * share).round() as u32,
    };
    let [left, right] = [cuts[0], cuts[2]].map(|cut| length(cut, picture.width));
    let [top, bottom] = [cuts[1], cuts[3]].map(|cut| length(cut, picture.height));
    let (width, height) = (
        picture.width.saturating_sub(left.saturating_add(right)),
        picture.height.saturating_sub(top.saturating_add(bottom)),
    );
    if width == 0 || height == 0 {
        return Err(format!("must leave something of the picture, which is {}x{}", picture.width, picture.height));
    }
    Ok(crop(picture, left, top, width, height))
}

/// Takes away the rows and columns at the edges that are of the corner's colour.
fn trim(picture: Pixels) -> Result<Pixels, Impossible> {
    let channels = usize::from(picture.channels);
    let width = picture.width as usize;
    let border = picture.data[..channels].to_vec();
    let inside: Vec<u8> = picture
        .data
        .chunks_exact(channels)
        .map(|pixel| u8::from(pixel.iter().zip(&border).any(|(one, other)| one.abs_diff(*other) > BORDER)))
        .collect();
    let whole = [0, 0, picture.width, picture.height];
    match bounds(&inside, width) {
        Some(bounds) if bounds != whole => {
            let [left, top, right, bottom] = bounds;
            Ok(crop(picture, left, top, right - left, bottom - top))
        }
        _ => Err("must not crop a border where the picture has none of one colour".to_owned()),
    }
}

/// Left, top, right and bottom of what is not nought; the last two are just outside of it.
pub(crate) fn bounds(plane: &[u8], width: usize) -> Option<[u32; 4]> {
    let mut found: Option<[usize; 4]> = None;
    for (y, row) in plane.chunks_exact(width).enumerate() {
        let Some(left) = row.iter().position(|&is| is != 0) else { continue };
        let right = row.iter().rposition(|&is| is != 0).unwrap_or(left) + 1;
        found = Some(match found {
            None => [left, y, right, y + 1],
            Some([l, top, r, _]) => [l.min(left), top, r.max(right), y + 1],
        });
    }
    found.map(|bounds| bounds.map(|side| side as u32))
}

fn mirror(mut picture: Pixels) -> Pixels {
    let channels = usize::from(picture.channels);
    let width = picture.width as usize;
    for row in picture.data.chunks_exact_mut(width * channels) {
        for x in 0..width / 2 {
            let (left, right) = row.split_at_mut((width - 1 - x) * channels);
            left[x * channels..(x + 1) * channels].swap_with_slice(&mut right[..channels]);
        }
    }
    picture
}

fn flip(mut picture: Pixels) -> Pixels {
    let stride = picture.width as usize * usize::from(picture.channels);
    let height = picture.height as usize;
    for y in 0..height / 2 {
        let (above, below) = picture.data.split_at_mut((height - 1 - y) * stride);
        above[y * stride..(y + 1) * stride].swap_with_slice(&mut below[..stride]);
    }
    picture
}

fn rotate(picture: Pixels, degrees: f32, straight: bool, max_pixels: u64) -> Result<Pixels, Impossible> {
    match quarters(degrees) {
        Some(0) => return Ok(picture),
        Some(1) => return Ok(picture.turn(Orientation::Rotate90)),
        Some(2) => return Ok(mirror(flip(picture))),
        Some(_) => return Ok(picture.turn(Orientation::Rotate270)),
        None => {}
    }
    let (sine, cosine) = f64::from(degrees).to_radians().sin_cos();
    let (w, h) = (f64::from(picture.width), f64::from(picture.height));
    let (width, height) = if straight {
        inscribed(w, h, sine.abs(), cosine.abs())
    } else {
        (w * cosine.abs() + h * sine.abs(), w * sine.abs() + h * cosine.abs())
    };
    let (width, height) = ((width + 1e-6).floor().max(1.0), (height + 1e-6).floor().max(1.0));
    if width * height > max_pixels as f64 {
        return Err(format!("must not ask for more than {max_pixels} pixels: {width}x{height}"));
    }
    let channels = usize::from(picture.channels);
    let mut data = Vec::with_capacity(width as usize * height as usize * channels);
    for y in 0..height as usize {
        for x in 0..width as usize {
            // From the middle of the new picture back to where its pixel was.
            let (dx, dy) = (x as f64 + 0.5 - width / 2.0, y as f64 + 0.5 - height / 2.0);
            let from_x = dx * cosine + dy * sine + w / 2.0 - 0.5;
            let from_y = dy * cosine - dx * sine + h / 2.0 - 0.5;
            data.extend_from_slice(&sample(&picture, from_x as f32, from_y as f32)[..channels]);
        }
    }
    Ok(Pixels { width: width as u32, height: height as u32, data, ..picture })
}

/// How many right angles it is, where it is whole ones.
fn quarters(degrees: f32) -> Option<usize> {
    let degrees = f64::from(degrees).rem_euclid(360.0);
    [0.0, 90.0, 180.0, 270.0].iter().position(|&right| (degrees - right).abs() < 1e-4)
}

/// The largest upright rectangle inside of a turned one.
fn inscribed(w: f64, h: f64, sine: f64, cosine: f64) -> (f64, f64) {
    let (longer, shorter) = (w.max(h), w.min(h));
    if shorter <= 2.0 * sine * cosine * longer || (sine - cosine).abs() < 1e-9 {
        let half = 0.5 * shorter;
        return if w >= h { (half / sine, half / cosine) } else { (half / cosine, half / sine) };
    }
    let both = cosine * cosine - sine * sine;
    ((w * cosine - h * sine) / both, (h * cosine - w * sine) / both)
}

/// Between pixels, by Catmull and Rom's curve; outside there is white, or nothing.
fn sample(picture: &Pixels, x: f32, y: f32) -> [u8; 4] {
    let channels = usize::from(picture.channels);
    let (width, height) = (picture.width as isize, picture.height as isize);
    let ground = if channels == 4 { [255.0, 255.0, 255.0, 0.0] } else { [255.0; 4] };
    if x <= -1.0 || y <= -1.0 || x >= width as f32 || y >= height as f32 {
        return ground.map(|sample| sample as u8);
    }
    let (left, top) = (x.floor(), y.floor());
    let (across, down) = (curve(x - left), curve(y - top));
    let mut sums = [0.0_f32; 4];
    for (row, by_row) in (0..).zip(down) {
        let y = (top as isize + row - 1).clamp(0, height - 1);
        for (column, by_column) in (0..).zip(across) {
            let x = (left as isize + column - 1).clamp(0, width - 1);
            let at = (y * width + x) as usize * channels;
            for (sum, sample) in sums.iter_mut().zip(&picture.data[at..at + channels]) {
                *sum += f32::from(*sample) * by_row * by_column;
            }
        }
    }
    // The outermost pixel is mixed with what is outside by how far it is out.
    let inside = |at: f32, length: isize| (at + 1.0).min(length as f32 - at).clamp(0.0, 1.0);
    let cover = inside(x, width) * inside(y, height);
    std::array::from_fn(|channel| {
        let own = sums[channel];
        let mixed = if channels == 4 && channel < 3 { own } else { ground[channel] + (own - ground[channel]) * cover };
        (mixed + 0.5).clamp(0.0, 255.0) as u8
    })
}

fn curve(along: f32) -> [f32; 4] {
    let (t, u) = (along, 1.0 - along);
    [-0.5 * t * u * u, 1.0 - 2.5 * t * t + 1.5 * t * t * t, 1.0 - 2.5 * u * u + 1.5 * u * u * u, -0.5 * u * t * t]
}
