//! A large picture in bands of rows: what looks at a pixel's surroundings needs a copy of these alone, and what shows but in
//! a part of the picture is worked out there alone.

use hybrid_picture::Pixels;

/// Rows in a band, at least: as many as stay in the processor's cache.
const ROWS: usize = 128;

/// Some rows of a picture, with those around them that an operation looks at.
pub(crate) struct Band {
    pub(crate) data: Vec<u8>,
    pub(crate) width: usize,
    pub(crate) rows: usize,
    pub(crate) channels: usize,
    /// Which row of the whole picture its first is.
    pub(crate) top: usize,
    /// Rows of the whole picture.
    pub(crate) height: usize,
}

/// How much of an operation shows.
pub(crate) struct Weights {
    /// Of 256.
    pub(crate) strength: u32,
    /// A byte for each pixel; everywhere when absent.
    pub(crate) plane: Option<Vec<u8>>,
}

/// Does something to a picture, band by band: `reach` rows around each pixel are there, or fewer at the picture's own
/// edges. Bands begin at whole multiples of `step`.
pub(crate) fn each(
    picture: &mut Pixels,
    weights: &Weights,
    reach: usize,
    step: usize,
    mut work: impl FnMut(&mut Band),
) {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let channels = usize::from(picture.channels);
    let stride = width * channels;
    let rows = ROWS.max(4 * reach).div_ceil(step) * step;
    let mut band = Band { data: Vec::new(), width, rows: 0, channels, top: 0, height };
    // The rows before a band as they were before anything was done to them.
    let mut kept: Vec<u8> = Vec::new();
    for from in (0..height).step_by(rows) {
        let to = (from + rows).min(height);
        let top = from.saturating_sub(reach);
        let end = (to + reach).min(height);
        band.data.clear();
        band.data.extend_from_slice(&kept[kept.len() - (from - top) * stride..]);
        band.data.extend_from_slice(&picture.data[from * stride..end * stride]);
        (band.top, band.rows) = (top, end - top);
        let next_top = to.saturating_sub(reach).max(top);
        kept = band.data[(next_top - top) * stride..(to - top) * stride].to_vec();
        let plane = weights.plane.as_ref().map(|plane| &plane[from * width..to * width]);
        if weights.strength == 0 || plane.is_some_and(|plane| plane.iter().all(|&weight| weight == 0)) {
            continue;
        }
        work(&mut band);
        let new = &band.data[(from - top) * stride..(to - top) * stride];
        blend(&mut picture.data[from * stride..to * stride], new, channels, weights.strength, plane);
    }
}

/// Lays `new` over `old`, so much of it.
pub(crate) fn blend(old: &mut [u8], new: &[u8], channels: usize, strength: u32, plane: Option<&[u8]>) {
    let mix = |old: &mut [u8], new: &[u8], weight: u32| {
        for (old, new) in old.iter_mut().zip(new) {
            *old = ((u32::from(*old) * (256 - weight) + u32::from(*new) * weight + 128) >> 8) as u8;
        }
    };
    let Some(plane) = plane else {
        if strength >= 256 {
            old.copy_from_slice(new);
        } else {
            mix(old, new, strength);
        }
        return;
    };
    for ((old, new), &weight) in old.chunks_exact_mut(channels).zip(new.chunks_exact(channels)).zip(plane) {
        match (u32::from(weight) * strength + 127) / 255 {
            0 => {}
            weight if weight >= 256 => old.copy_from_slice(new),
            weight => mix(old, new, weight),
        }
    }
}
