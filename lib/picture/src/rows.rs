//! Pictures that come row by row, and are put together as they are wanted: upright, smaller, or as a plane of gray. So the file's
//! own picture is never there as a whole.

use image::metadata::Orientation;

use crate::Pixels;
use crate::open::swaps_sides;

/// As many rows as fill a line of the processor's cache, when rows become columns.
const BAND: usize = 16;

/// Sets upright what comes as it lies in the file.
pub(crate) struct Canvas {
    width: usize,
    height: usize,
    channels: usize,
    orientation: Orientation,
    /// Rows that wait, where they become something else than rows.
    band: Vec<u8>,
    /// Rows that are laid down.
    done: usize,
    data: Vec<u8>,
}

impl Canvas {
    /// For rows of a picture of this size.
    pub(crate) fn new((width, height): (u32, u32), channels: usize, orientation: Orientation) -> Canvas {
        let (width, height) = (width as usize, height as usize);
        let whole = width * height * channels;
        let data = match orientation {
            Orientation::NoTransforms => Vec::with_capacity(whole),
            _ => vec![0; whole],
        };
        Canvas { width, height, channels, orientation, band: Vec::new(), done: 0, data }
    }

    pub(crate) fn push(&mut self, row: &[u8]) {
        if self.orientation == Orientation::NoTransforms {
            self.data.extend_from_slice(row);
            return;
        }
        self.band.extend_from_slice(row);
        if self.band.len() >= BAND * row.len() {
            self.lay_down();
        }
    }

    fn lay_down(&mut self) {
        let (width, height, channels) = (self.width as isize, self.height as isize, self.channels);
        // Where the first pixel goes, and how far it is from there to the next one of its row and of its column.
        let (origin, across, down) = match self.orientation {
            Orientation::NoTransforms => (0, 1, width),
            Orientation::FlipHorizontal => (width - 1, -1, width),
            Orientation::FlipVertical => ((height - 1) * width, 1, -width),
            Orientation::Rotate180 => (height * width - 1, -1, -width),
            Orientation::Rotate90 => (height - 1, height, -1),
            Orientation::Rotate270 => ((width - 1) * height, -height, 1),
            Orientation::Rotate90FlipH => (0, height, 1),
            Orientation::Rotate270FlipH => (width * height - 1, -height, -1),
        };
        let row = self.width * channels;
        let rows = self.band.len() / row;
        for x in 0..self.width {
            for y in 0..rows {
                let to = (origin + x as isize * across + (self.done + y) as isize * down) as usize * channels;
                let from = y * row + x * channels;
                self.data[to..to + channels].copy_from_slice(&self.band[from..from + channels]);
            }
        }
        self.done += rows;
        self.band.clear();
    }

    pub(crate) fn finish(mut self) -> Pixels {
        if !self.band.is_empty() {
            self.lay_down();
        }
        let (width, height) = (self.width as u32, self.height as u32);
        let (width, height) = if swaps_sides(self.orientation) { (height, width) } else { (width, height) };
        Pixels::new(width, height, self.channels as u8, self.data)
    }
}

/// Makes a picture smaller, each pixel the mean of what it takes the place of.
pub(crate) struct Shrink {
    from: (usize, usize),
    to: (usize, usize),
    channels: usize,
    /// Of a row that came, and of all that go into the one that is made.
    row: Vec<u32>,
    rows: Vec<u32>,
    done: usize,
    made: Vec<u8>,
}

impl Shrink {
    /// Neither side may become longer.
    pub(crate) fn new(from: (u32, u32), to: (u32, u32), channels: usize) -> Shrink {
        let both = |(width, height): (u32, u32)| (width as usize, height as usize);
        let (from, to) = (both(from), both(to));
        let sums = vec![0; to.0 * channels];
        Shrink { from, to, channels, row: sums.clone(), rows: sums, done: 0, made: vec![0; to.0 * channels] }
    }

    /// Takes the next row; `then` gets one for each that is made.
    pub(crate) fn push(&mut self, row: &[u8], mut then: impl FnMut(&[u8])) {
        self.add_row(row);
        let (from, to) = (self.from.1, self.to.1);
        // What is before and behind the border between two rows that are made; a row that came is `to` high, one that
        // is made `from`.
        let before = self.done * to;
        let place = before / from;
        let first = ((place + 1) * from - before).min(to);
        self.done += 1;
        add(&mut self.rows, &self.row, first as u32);
        if before + to >= (place + 1) * from {
            // The sums are as large as 255 times 256 times the rows of the file: 32 bits hold them.
            let share = 1.0 / (256.0 * from as f32);
            for (made, sum) in self.made.iter_mut().zip(&mut self.rows) {
                *made = (*sum as f32 * share + 0.5) as u8;
                *sum = 0;
            }
            then(&self.made);
            add(&mut self.rows, &self.row, (to - first) as u32);
        }
    }

    /// The row's means, in 256ths.
    fn add_row(&mut self, row: &[u8]) {
        let (from, to, channels) = (self.from.0, self.to.0, self.channels);
        self.row.fill(0);
        let (mut place, mut room) = (0, from);
        for pixel in row.chunks_exact(channels) {
            let first = room.min(to);
            for (sum, sample) in self.row[place..].iter_mut().zip(pixel) {
                *sum += u32::from(*sample) * first as u32;
            }
            room -= first;
            if room == 0 {
                (place, room) = (place + channels, from);
                let rest = to - first;
                for (sum, sample) in self.row[place.min(to * channels)..].iter_mut().zip(pixel) {
                    *sum += u32::from(*sample) * rest as u32;
                }
                room -= rest;
            }
        }
        let share = 256.0 / from as f32;
        self.row.iter_mut().for_each(|sum| *sum = (*sum as f32 * share) as u32);
    }
}

fn add(sums: &mut [u32], row: &[u32], share: u32) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum += value * share;
    }
}

/// Which pixels of a longer side stay when the nearest are taken.
pub(crate) fn nearest(from: u32, to: u32) -> impl Fn(u32) -> u32 {
    move |at| ((u64::from(at) * 2 + 1) * u64::from(from) / (u64::from(to) * 2)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn what_is_set_upright_by_rows_is_as_if_turned_whole() {
        for exif in 1..=8 {
            let orientation = Orientation::from_exif(exif).expect("it is one of the eight");
            let pixels = Pixels::new(23, 37, 3, noise(23 * 37 * 3));
            let mut canvas = Canvas::new((23, 37), 3, orientation);
            pixels.data.chunks_exact(23 * 3).for_each(|row| canvas.push(row));
            assert_eq!(canvas.finish(), pixels.turn(orientation), "{exif}");
        }
    }

    #[test]
    fn each_pixel_is_the_mean_of_what_it_takes_the_place_of() {
        let data = noise(61 * 47);
        for to in [(61, 47), (30, 23), (17, 40), (1, 1), (60, 1)] {
            let mut shrink = Shrink::new((61, 47), to, 1);
            let mut made = Vec::new();
            data.chunks_exact(61).for_each(|row| shrink.push(row, |row| made.extend_from_slice(row)));
            assert_eq!(made.len(), (to.0 * to.1) as usize);
            let share = |at: u32, from: u32, to: u32, source: u32| {
                let (start, end) = (at * from, (at + 1) * from);
                f64::from(((source + 1) * to).min(end).saturating_sub((source * to).max(start)))
            };
            for (at, sample) in (0..).zip(&made) {
                let (x, y) = (at % to.0, at / to.0);
                let mut mean = 0.0;
                for (source, value) in (0..).zip(&data) {
                    let weight = share(x, 61, to.0, source % 61) * share(y, 47, to.1, source / 61);
                    mean += weight * f64::from(*value);
                }
                mean /= 61.0 * 47.0;
                assert!((mean - f64::from(*sample)).abs() < 1.0, "{to:?} at {x}, {y}: {sample} is not {mean}");
            }
        }
    }
}
