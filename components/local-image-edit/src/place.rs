//! Where an operation shows: what the mask shows, with a soft edge, and the part of the picture that the words name.

use hybrid_picture::Pixels;

use crate::operation::Place;
use crate::texture::blur;

/// How much shows at each pixel, of 255; none for everywhere.
pub(crate) fn weights(place: Place, picture: &Pixels, mask: Option<&[u8]>) -> Option<Vec<u8>> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let own = (place != Place::All).then(|| match place {
        Place::Sky => sky(picture),
        _ => part(place, width, height),
    });
    match (own, mask) {
        (Some(mut own), Some(mask)) => {
            for (own, mask) in own.iter_mut().zip(mask) {
                *own = (u32::from(*own) * u32::from(*mask) / 255) as u8;
            }
            Some(own)
        }
        (own, mask) => own.or_else(|| mask.map(<[u8]>::to_vec)),
    }
}

/// A mask of black and white, soft to the inside: what is black stays black, so that no pixel outside of it changes.
pub(crate) fn feathered(mask: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut away = distances(mask, width);
    let deepest = f32::from(away.iter().copied().max().unwrap_or(0)) / 3.0;
    let usual = (width.min(height) as f32 / 150.0).clamp(1.5, 24.0);
    // Where the mask is narrow, its middle is still all there.
    let soft = usual.min(deepest / 2.0).max(1.0);
    away.iter_mut().for_each(|away| *away = ((f32::from(*away) / 3.0 / soft).min(1.0) * 255.0) as u8);
    away
}

/// Thirds of pixels to the nearest that is black, up to eighty pixels (Borgefors's 3-4 chamfer). What is outside of the
/// picture is not black.
fn distances(mask: &[u8], width: usize) -> Vec<u8> {
    const FAR: u8 = 250;
    let mut away: Vec<u8> = mask.iter().map(|&white| if white == 0 { 0 } else { FAR }).collect();
    let height = away.len() / width;
    let mut pass = |rows: &mut dyn Iterator<Item = usize>, before: isize| {
        for y in rows {
            let columns: &mut dyn Iterator<Item = usize> =
                if before < 0 { &mut (0..width) } else { &mut (0..width).rev() };
            for x in columns {
                let at = y * width + x;
                if away[at] == 0 {
                    continue;
                }
                let other = y as isize + before;
                let mut least = away[at];
                let mut near = |x: isize, y: isize, step: u8| {
                    if x >= 0 && y >= 0 && (x as usize) < width && (y as usize) < height {
                        least = least.min(away[y as usize * width + x as usize] + step);
                    }
                };
                let (x, y) = (x as isize, y as isize);
                near(x + before, y, 3);
                near(x - 1, other, 4);
                near(x, other, 3);
                near(x + 1, other, 4);
                away[at] = least;
            }
        }
    };
    pass(&mut (0..height), -1);
    pass(&mut (0..height).rev(), 1);
    away
}

/// A half, the middle or the edges, with a soft edge.
fn part(place: Place, width: usize, height: usize) -> Vec<u8> {
    // From the middle, -1 to 1.
    let along = |at: usize, length: usize| (at as f32 + 0.5) / length as f32 * 2.0 - 1.0;
    let half = |towards: f32| ((towards + 0.08) / 0.16).clamp(0.0, 1.0);
    let mut weights = Vec::with_capacity(width * height);
    for y in 0..height {
        let down = along(y, height);
        weights.extend((0..width).map(|x| {
            let across = along(x, width);
            let middle = || 1.0 - smooth(((across * across + down * down).sqrt() - 0.45) / 0.35);
            let weight = match place {
                Place::Left => half(-across),
                Place::Right => half(across),
                Place::Top => half(-down),
                Place::Bottom => half(down),
                Place::Middle => middle(),
                Place::Edges => smooth((across.abs().max(down.abs()) - 0.6) / 0.3),
                Place::All | Place::Sky => 1.0,
            };
            (weight * 255.0) as u8
        }));
    }
    weights
}

fn smooth(at: f32) -> f32 {
    let at = at.clamp(0.0, 1.0);
    at * at * (3.0 - 2.0 * at)
}

/// Long side of the small picture in which the sky is looked for.
const SMALL: u32 = 256;

/// What is even and hangs on to the top edge; where that is next to nothing, the upper part, fading.
fn sky(picture: &Pixels) -> Vec<u8> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let (small_width, small_height) = {
        let scale = f64::from(SMALL) / f64::from(picture.width.max(picture.height)).max(f64::from(SMALL));
        let side = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
        (side(picture.width), side(picture.height))
    };
    let Ok(mut small) = picture.clone().scale((small_width, small_height), true) else {
        return part(Place::Top, width, height);
    };
    let channels = usize::from(small.channels);
    let (w, h) = (small_width as usize, small_height as usize);
    blur(&mut small.data, w, h, channels, 1.0);
    let pixel = |at: usize| [0, 1, 2].map(|channel| i32::from(small.data[at * channels + channel]));
    let far =
        |one: [i32; 3], other: [i32; 3]| (0..3).map(|channel| (one[channel] - other[channel]).abs()).max().unwrap_or(0);
    // From the top edge down, as long as each step is a small one and the colour is not all another than above.
    let mut origin: Vec<Option<usize>> = vec![None; w * h];
    let mut open: Vec<usize> = (0..w).collect();
    for (x, origin) in origin.iter_mut().enumerate().take(w) {
        *origin = Some(x);
    }
    while let Some(at) = open.pop() {
        let (x, y) = (at % w, at / w);
        let from = origin[at].unwrap_or(at);
        let mut step = |next: usize| {
            let near = far(pixel(next), pixel(at)) <= 9 && far(pixel(next), pixel(from)) <= 110;
            if origin[next].is_none() && near {
                origin[next] = Some(from);
                open.push(next);
            }
        };
        if x > 0 {
            step(at - 1);
        }
        if x + 1 < w {
            step(at + 1);
        }
        if y + 1 < h {
            step(at + w);
        }
        if y > 0 {
            step(at - w);
        }
    }
    let found = origin.iter().filter(|origin| origin.is_some()).count();
    let mut plane: Vec<u8> = origin.iter().map(|origin| if origin.is_some() { 255 } else { 0 }).collect();
    if found < w * h / 16 {
        for (y, row) in plane.chunks_exact_mut(w).enumerate() {
            row.fill((255.0 * (1.0 - smooth((y as f32 / h as f32 - 0.2) / 0.4))) as u8);
        }
    }
    blur(&mut plane, w, h, 1, 1.2);
    let large = Pixels::new(small_width, small_height, 1, plane).scale((picture.width, picture.height), true);
    large.map_or_else(|_| part(Place::Top, width, height), |large| large.data)
}
