//! From a block's frequencies to its samples, in any size from 1 to 16: a smaller block leaves out what would not show in it, a larger
//! one is the same curve read more often.

use std::f64::consts::PI;

use super::block::{REACH, ZIGZAG};

/// Bits behind the point of `Basis`.
const POINT: u32 = 12;
/// Bits behind the point of what stands between both passes.
const BETWEEN: u32 = 3;

/// The most samples to a side.
pub(super) const MOST: usize = 16;

/// What each frequency adds to each sample of a side. In 16 bits, of which processors multiply eight at once.
pub(super) struct Basis {
    side: usize,
    by_sample: [[i16; 8]; MOST],
    by_frequency: [[i16; MOST]; 8],
}

impl Basis {
    pub(super) fn new(side: usize) -> Basis {
        let mut basis = Basis { side, by_sample: [[0; 8]; MOST], by_frequency: [[0; MOST]; 8] };
        for sample in 0..side {
            for frequency in 0..side.min(8) {
                let angle = (2 * sample + 1) as f64 * frequency as f64 * PI / (2 * side) as f64;
                let scale = if frequency == 0 { 0.125_f64.sqrt() } else { 0.5 };
                let share = (angle.cos() * scale * f64::from(1 << POINT)).round() as i16;
                basis.by_sample[sample][frequency] = share;
                basis.by_frequency[frequency][sample] = share;
            }
        }
        basis
    }
}

/// The frequencies of a block, row by row, of which only so many of the first rows and columns are not nought.
pub(super) struct Block {
    pub(super) values: [[i16; 8]; 8],
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Block {
    /// One with nothing in it.
    pub(super) fn even() -> Block {
        Block { values: [[0; 8]; 8], rows: 1, columns: 1 }
    }

    /// Sets a frequency by its place in the order in which they are written.
    #[inline(always)]
    pub(super) fn put(&mut self, at: usize, value: i32) {
        self.values.as_flattened_mut()[usize::from(ZIGZAG[at] & 63)] = value as i16;
    }

    /// Tells up to which one they are not nought.
    pub(super) fn reaches(&mut self, last: usize) {
        let (rows, columns) = REACH[last];
        (self.rows, self.columns) = (rows.into(), columns.into());
    }
}

/// Writes a block's samples where they belong: `to` begins with its first sample, and a row of it is `stride` long. Rows are written
/// `MOST` long, so what is to the right of the block comes after it, and there must be as much behind the last one. What no
/// picture has, numbers beyond all measure, comes out as anything.
#[inline]
pub(super) fn samples(block: &Block, across: &Basis, down: &Basis, to: &mut [u8], stride: usize) {
    if block.rows == 1 && block.columns == 1 {
        let level = ((i32::from(block.values[0][0]) + 4) >> 3) + 128;
        for row in to.chunks_mut(stride).take(down.side) {
            row[..MOST].fill(level.clamp(0, 255) as u8);
        }
    } else if across.side <= 8 {
        both::<8>(block, across, down, to, stride);
    } else {
        both::<MOST>(block, across, down, to, stride);
    }
}

// By lanes, as the compiler makes wide registers of; `map` on an array becomes a call.
#[inline(always)]
fn both<const WIDE: usize>(block: &Block, across: &Basis, down: &Basis, to: &mut [u8], stride: usize) {
    let (rows, columns) = (block.rows.min(down.side), block.columns.min(across.side));
    for (shares, to) in down.by_sample[..down.side].iter().zip(to.chunks_mut(stride)) {
        let mut sums = [1_i32 << (POINT - BETWEEN - 1); 8];
        for (share, row) in shares[..rows].iter().zip(&block.values) {
            for lane in 0..8 {
                sums[lane] += i32::from(row[lane]) * i32::from(*share);
            }
        }
        let mut column = [0_i16; 8];
        for lane in 0..8 {
            column[lane] = (sums[lane] >> (POINT - BETWEEN)).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
        let mut sums = [(128_i32 << (POINT + BETWEEN)) + (1 << (POINT + BETWEEN - 1)); WIDE];
        for (frequency, shares) in column[..columns].iter().zip(&across.by_frequency) {
            for lane in 0..WIDE {
                sums[lane] += i32::from(shares[lane]) * i32::from(*frequency);
            }
        }
        let mut row = [0_u8; WIDE];
        for lane in 0..WIDE {
            row[lane] = (sums[lane] >> (POINT + BETWEEN)).clamp(0, 255) as u8;
        }
        to[..WIDE].copy_from_slice(&row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transform as the standard writes it, in its own size.
    fn exact(values: &[[i16; 8]; 8], x: usize, y: usize) -> f64 {
        let half = |frequency: usize| if frequency == 0 { 0.5_f64.sqrt() } else { 1.0 };
        let wave = |at: usize, frequency: usize| ((2 * at + 1) as f64 * frequency as f64 * PI / 16.0).cos();
        let sum: f64 = (0..64)
            .map(|at| (at % 8, at / 8, f64::from(values[at / 8][at % 8])))
            .map(|(u, v, value)| half(u) * half(v) * value * wave(x, u) * wave(y, v))
            .sum();
        (sum / 4.0 + 128.0).clamp(0.0, 255.0)
    }

    fn in_rows(values: [i16; 64]) -> [[i16; 8]; 8] {
        std::array::from_fn(|row| std::array::from_fn(|column| values[row * 8 + column]))
    }

    fn block(seed: u64) -> Block {
        let mut state = seed;
        let values: [i16; 64] = std::array::from_fn(|at| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let most = 600 / (1 + at % 8 + at / 8) as i64;
            ((state >> 33) as i64 % (2 * most) - most) as i16
        });
        Block { values: in_rows(values), rows: 8, columns: 8 }
    }

    fn sized(block: &Block, side: usize) -> Vec<u8> {
        let stride = side + MOST;
        let mut to = vec![0; stride * side];
        samples(block, &Basis::new(side), &Basis::new(side), &mut to, stride);
        to.chunks_exact(stride).flat_map(|row| &row[..side]).copied().collect()
    }

    #[test]
    fn in_its_own_size_it_is_the_standards() {
        for seed in 0..50 {
            let block = block(seed);
            let made = sized(&block, 8);
            for (at, sample) in made.iter().enumerate() {
                let off = f64::from(*sample) - exact(&block.values, at % 8, at / 8);
                assert!(off.abs() <= 1.0, "{seed}: {at} is off by {off}");
            }
        }
    }

    #[test]
    fn in_other_sizes_an_even_block_stays_even_and_a_slope_a_slope() {
        let even =
            Block { values: in_rows(std::array::from_fn(|at| if at == 0 { 400 } else { 0 })), rows: 8, columns: 8 };
        let slope =
            Block { values: in_rows(std::array::from_fn(|at| if at == 1 { -500 } else { 0 })), rows: 1, columns: 2 };
        for side in 1..=MOST {
            assert!(sized(&even, side).iter().all(|&sample| sample == 178), "{side}");
            let slope = sized(&slope, side);
            assert!(slope[..side].is_sorted() && slope[..side] == slope[slope.len() - side..], "{side}: {slope:?}");
        }
    }

    #[test]
    fn what_no_picture_has_is_no_panic() {
        let wild = Block { values: [[i16::MIN; 8]; 8], rows: 8, columns: 8 };
        (1..=MOST).for_each(|side| drop(sized(&wild, side)));
    }
}
