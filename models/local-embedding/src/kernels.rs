//! The arithmetic: weights of 8 bits times activations of 14, exact in 32; everything else in f32, in one fixed order, so that
//! every machine computes the same bits.

use crate::packed::{Matrix, Norm};

/// Tokens are multiplied in groups of this size, so that a weight is widened once for all of them.
pub(crate) const GROUP: usize = 4;
/// Numbers of 16 bits in a register.
const CHUNK: usize = 8;
/// Activations that stay in the first cache, 32 KB with the weights that pass by.
const TILE_VALUES: usize = 12 * 1024;
/// 1536 products of 127 and this stay within 31 bits.
const MOST: f32 = 8191.0;
/// Adding it and taking it away rounds to the nearest integer, the even one of two, on every machine alike.
const ROUND: f32 = 12_582_912.0;

/// Activations as integers, a scale for each row.
///
/// Four rows lie woven into one another: eight numbers of the first, eight of the second and so on, then the next eight of
/// each. So they are read from one address onwards. The number of rows is a multiple of [`GROUP`].
#[derive(Default)]
pub(crate) struct Quantised {
    values: Vec<i16>,
    scales: Vec<f32>,
}

impl Quantised {
    /// Takes rows of `width` numbers, a multiple of 8; rows that are missing to a whole group are zero.
    pub(crate) fn set(&mut self, input: &[f32], width: usize) {
        let rows = (input.len() / width).next_multiple_of(GROUP);
        self.values.clear();
        self.values.resize(rows * width, 0);
        self.scales.clear();
        self.scales.resize(rows, 0.0);
        for (at, (row, scale)) in input.chunks_exact(width).zip(&mut self.scales).enumerate() {
            let most = largest(row);
            if most == 0.0 {
                continue;
            }
            *scale = most / MOST;
            let inverse = MOST / most;
            let (group, place) = (at / GROUP * GROUP * width, at % GROUP);
            let own = self.values[group..][..GROUP * width].as_chunks_mut::<CHUNK>().0.iter_mut();
            for (own, values) in own.skip(place).step_by(GROUP).zip(row.as_chunks::<CHUNK>().0) {
                for (own, value) in own.iter_mut().zip(values) {
                    *own = ((value * inverse + ROUND) - ROUND) as i32 as i16;
                }
            }
        }
    }
}

/// `output` gets a row of as many numbers as the matrix has rows, for each row of the input but the filled-up ones. The
/// matrix has an even number of rows, each a multiple of 16 long.
pub(crate) fn multiply(input: &Quantised, matrix: &Matrix<'_>, output: &mut [f32]) {
    let (inputs, outputs) = (matrix.inputs, matrix.scales.len());
    let tile = (TILE_VALUES / inputs).next_multiple_of(GROUP);
    let tiles = input.values.chunks(tile * inputs).zip(input.scales.chunks(tile));
    for ((values, scales), output) in tiles.zip(output.chunks_mut(tile * outputs)) {
        for (at, rows) in matrix.rows.chunks_exact(2 * inputs).enumerate() {
            let (first, second) = rows.split_at(inputs);
            let groups = values.chunks_exact(GROUP * inputs).zip(scales.chunks_exact(GROUP));
            for (group, (values, own)) in groups.enumerate() {
                let sums = dots(first, second, values);
                for (half, sums) in sums.into_iter().enumerate() {
                    let column = 2 * at + half;
                    let (scale, bias) = (matrix.scales[column], matrix.bias[column]);
                    for (token, (sum, own)) in sums.into_iter().zip(own).enumerate() {
                        // Rows that only fill up the last group have no place in the output.
                        if let Some(output) = output.get_mut((group * GROUP + token) * outputs + column) {
                            *output = sum as f32 * (scale * own) + bias;
                        }
                    }
                }
            }
        }
    }
}

/// Two rows of weights, each times the four rows of activations of a group.
#[cfg(not(target_arch = "wasm32"))]
fn dots(first: &[i8], second: &[i8], values: &[i16]) -> [[i32; GROUP]; 2] {
    [first, second].map(|weights| {
        let mut sums = [[0; CHUNK]; GROUP];
        let woven = values.as_chunks::<{ GROUP * CHUNK }>().0;
        for (weights, values) in weights.as_chunks::<CHUNK>().0.iter().zip(woven) {
            for (sums, values) in sums.iter_mut().zip(values.as_chunks::<CHUNK>().0) {
                for ((sum, weight), value) in sums.iter_mut().zip(weights).zip(values) {
                    *sum += i32::from(*weight) * i32::from(*value);
                }
            }
        }
        sums.map(|sums| sums.iter().sum())
    })
}

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "128 bits are loaded by address")]
fn dots(first: &[i8], second: &[i8], values: &[i16]) -> [[i32; GROUP]; 2] {
    use std::arch::wasm32::{i16x8_load_extend_i8x8, i32x4_add, i32x4_dot_i16x8, i32x4_splat, v128, v128_load};

    // Measured under wasmtime 48, 122 tokens through all layers: its compiler does all loads of a turn first, so longer turns
    // run out of registers (46 ms at 4); and a host that interrupts by epochs has the sums put aside after every turn, so
    // shorter ones lose more there (65 ms at 1). At 2 it is 43 ms with epochs and 39 ms without.
    const STEPS: usize = 2;
    let mut sums = [[i32x4_splat(0); GROUP]; 2];
    let rows = first.as_chunks::<{ STEPS * CHUNK }>().0.iter().zip(second.as_chunks::<{ STEPS * CHUNK }>().0);
    for ((first, second), values) in rows.zip(values.as_chunks::<{ STEPS * GROUP * CHUNK }>().0) {
        for step in 0..STEPS {
            // SAFETY: a step is eight weights of each row, which are eight bytes, and 32 values, which are four v128. All
            // steps of a turn are within its chunks, and a v128 may lie anywhere.
            unsafe {
                let (first, second) = (first.as_ptr().add(step * CHUNK), second.as_ptr().add(step * CHUNK));
                let weights = [i16x8_load_extend_i8x8(first), i16x8_load_extend_i8x8(second)];
                let values = values.as_ptr().cast::<v128>().add(step * GROUP);
                for token in 0..GROUP {
                    let value = v128_load(values.add(token));
                    for (sums, weights) in sums.iter_mut().zip(weights) {
                        sums[token] = i32x4_add(sums[token], i32x4_dot_i16x8(weights, value));
                    }
                }
            }
        }
    }
    sums.map(across)
}

/// The four lanes of each register added up.
#[cfg(target_arch = "wasm32")]
fn across([a, b, c, d]: [std::arch::wasm32::v128; GROUP]) -> [i32; GROUP] {
    use std::arch::wasm32::{i32x4_add, i32x4_extract_lane, i32x4_shuffle};

    let ab = i32x4_add(i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b));
    let cd = i32x4_add(i32x4_shuffle::<0, 4, 1, 5>(c, d), i32x4_shuffle::<2, 6, 3, 7>(c, d));
    let all = i32x4_add(i32x4_shuffle::<0, 1, 4, 5>(ab, cd), i32x4_shuffle::<2, 3, 6, 7>(ab, cd));
    [
        i32x4_extract_lane::<0>(all),
        i32x4_extract_lane::<1>(all),
        i32x4_extract_lane::<2>(all),
        i32x4_extract_lane::<3>(all),
    ]
}

/// Makes each row's mean 0 and variance 1, then the model's own.
pub(crate) fn normalise(rows: &mut [f32], norm: &Norm<'_>) {
    let width = norm.gain.len();
    for row in rows.chunks_exact_mut(width) {
        let mean = sum(row, |value| value) / width as f32;
        let variance = sum(row, |value| (value - mean) * (value - mean)) / width as f32;
        let inverse = 1.0 / (variance + 1e-12).sqrt();
        for ((value, gain), bias) in row.iter_mut().zip(norm.gain).zip(norm.bias) {
            *value = (*value - mean) * inverse * gain + bias;
        }
    }
}

/// x times the share of a normal distribution that lies below x.
pub(crate) fn gelu(values: &mut [f32]) {
    for value in values {
        let x = *value;
        let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
        // Abramowitz and Stegun 7.1.26: wrong by 1.5e-7 at most.
        let t = 1.0 / (1.0 + 0.327_591_1 * z);
        let series = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t;
        let erf = (1.0 - series * exp(-z * z)).copysign(x);
        *value = 0.5 * x * (1.0 + erf);
    }
}

/// Makes shares of one out of scores.
pub(crate) fn softmax(scores: &mut [f32]) {
    let most = scores.iter().fold(f32::MIN, |most, &score| if score > most { score } else { most });
    for score in scores.iter_mut() {
        *score = exp(*score - most);
    }
    let inverse = 1.0 / sum(scores, |share| share);
    for score in scores {
        *score *= inverse;
    }
}

/// e to the x, for x of 0 and less; wrong by 2e-7 of it at most. Without branches, so that it is computed four at a time.
fn exp(x: f32) -> f32 {
    let x = if x < -87.0 { -87.0 } else { x };
    let whole = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    // The logarithm of 2 in two parts: the first has few digits, so that its product is exact.
    let rest = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let series = ((((1.987_569_1e-4 * rest + 1.398_2e-3) * rest + 8.333_452e-3) * rest + 4.166_579_6e-2) * rest
        + 1.666_666_5e-1)
        * rest
        + 0.5;
    let series = series * rest * rest + rest + 1.0;
    series * f32::from_bits(((whole as i32 + 127) << 23) as u32)
}

/// In eight lanes, which is an order of its own and the same everywhere.
pub(crate) fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (lanes, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for lane in lanes {
        for (sum, value) in sums.iter_mut().zip(lane) {
            *sum += of(*value);
        }
    }
    let tail: f32 = rest.iter().map(|value| of(*value)).sum();
    sums.iter().sum::<f32>() + tail
}

fn largest(values: &[f32]) -> f32 {
    let mut most = [0.0_f32; 8];
    let (lanes, rest) = values.as_chunks::<8>();
    for lane in lanes {
        for (most, value) in most.iter_mut().zip(lane) {
            let value = value.abs();
            *most = if value > *most { value } else { *most };
        }
    }
    rest.iter().map(|value| value.abs()).chain(most).fold(0.0, f32::max)
}

/// `to` gets the sum of the rows of `WIDTH` numbers, each times its factor. The rows begin `stride` numbers after one another.
pub(crate) fn mix<const WIDTH: usize>(to: &mut [f32; WIDTH], factors: &[f32], rows: &[f32], stride: usize) {
    let mut sums = [[Lanes::ZERO; 4]; 2];
    const { assert!(WIDTH == 32 || WIDTH == 16) };
    for (factor, row) in factors.iter().zip(rows.chunks(stride)) {
        let factor = Lanes::all(*factor);
        let row = row[..WIDTH].as_chunks::<16>().0;
        for (sums, row) in sums.iter_mut().zip(row) {
            for (sum, lane) in sums.iter_mut().zip(row.as_chunks::<4>().0) {
                *sum = sum.plus(factor.times(Lanes::of(lane)));
            }
        }
    }
    for (to, sum) in to.as_chunks_mut::<4>().0.iter_mut().zip(sums.as_flattened()) {
        *to = sum.numbers();
    }
}

/// Four numbers at once, as the machine has them.
#[derive(Clone, Copy)]
struct Lanes(#[cfg(target_arch = "wasm32")] std::arch::wasm32::v128, #[cfg(not(target_arch = "wasm32"))] [f32; 4]);

#[cfg(target_arch = "wasm32")]
impl Lanes {
    const ZERO: Lanes = Lanes(std::arch::wasm32::f32x4(0.0, 0.0, 0.0, 0.0));

    fn all(number: f32) -> Lanes {
        Lanes(std::arch::wasm32::f32x4_splat(number))
    }

    #[expect(unsafe_code, reason = "128 bits are loaded by address")]
    fn of(numbers: &[f32; 4]) -> Lanes {
        // SAFETY: there are four numbers; a v128 may lie anywhere.
        Lanes(unsafe { std::arch::wasm32::v128_load(numbers.as_ptr().cast()) })
    }

    fn plus(self, other: Lanes) -> Lanes {
        Lanes(std::arch::wasm32::f32x4_add(self.0, other.0))
    }

    fn times(self, other: Lanes) -> Lanes {
        Lanes(std::arch::wasm32::f32x4_mul(self.0, other.0))
    }

    fn numbers(self) -> [f32; 4] {
        use std::arch::wasm32::f32x4_extract_lane as lane;
        [lane::<0>(self.0), lane::<1>(self.0), lane::<2>(self.0), lane::<3>(self.0)]
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Lanes {
    const ZERO: Lanes = Lanes([0.0; 4]);

    fn all(number: f32) -> Lanes {
        Lanes([number; 4])
    }

    fn of(numbers: &[f32; 4]) -> Lanes {
        Lanes(*numbers)
    }

    fn plus(self, other: Lanes) -> Lanes {
        Lanes(std::array::from_fn(|lane| self.0[lane] + other.0[lane]))
    }

    fn times(self, other: Lanes) -> Lanes {
        Lanes(std::array::from_fn(|lane| self.0[lane] * other.0[lane]))
    }

    fn numbers(self) -> [f32; 4] {
        self.0
    }
}
