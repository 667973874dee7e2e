//! The arithmetic: weights of 12 bits times activations of 14, exact in 32; everything else in f32, in one fixed order, so that
//! every machine computes the same bits.

use crate::packed::{BLOCK, Matrix, Norm};

/// Rows of weights, and of activations, that are multiplied with one another at once: what the registers hold.
const WEIGHTS: usize = 4;
pub(crate) const GROUP: usize = 2;
/// Numbers of 16 bits in a register, and of 32.
const CHUNK: usize = 8;
const LANES: usize = 4;
/// This many products of 2047 and [`MOST`] stay within 31 bits, spread over [`LANES`].
const SPAN: usize = 384;
const MOST: f32 = 8191.0;
const _: () = assert!((SPAN / LANES) as i64 * 2047 * MOST as i64 <= i32::MAX as i64);
/// Adding it and taking it away rounds to the nearest integer, the even one of two, on every machine alike.
const ROUND: f32 = 12_582_912.0;

/// Activations as integers, a scale for each row.
///
/// The rows of a [`GROUP`] lie woven into one another: eight numbers of the first, eight of the second, then the next eight of
/// each. So they are read from one address onwards. The number of rows is a multiple of it.
#[derive(Default)]
pub(crate) struct Quantised {
    values: Vec<i16>,
    scales: Vec<f32>,
    /// So many rows of weights, woven likewise.
    widened: Vec<i16>,
}

impl Quantised {
    /// Takes rows of `width` numbers, a multiple of 8; rows that are missing to a whole group are zero.
    pub(crate) fn set<'a>(&mut self, input: impl ExactSizeIterator<Item = &'a [f32]>, width: usize) {
        let rows = input.len().next_multiple_of(GROUP);
        self.values.clear();
        self.values.resize(rows * width, 0);
        self.scales.clear();
        self.scales.resize(rows, 0.0);
        for (at, (row, scale)) in input.zip(&mut self.scales).enumerate() {
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
                    *own = integer(value * inverse) as i16;
                }
            }
        }
    }

    /// `output` gets a row of as many numbers as the matrix has rows, for each row of these but the filled-up ones. The
    /// matrix has a multiple of 4 rows, each a multiple of 32 long.
    pub(crate) fn multiply(&mut self, matrix: &Matrix<'_>, output: &mut [f32]) {
        let Quantised { values, scales, widened } = self;
        let (inputs, outputs) = (matrix.inputs, matrix.scales.len());
        widened.resize(WEIGHTS * inputs, 0);
        let rows = matrix.high.chunks_exact(WEIGHTS * inputs).zip(matrix.low.chunks_exact(WEIGHTS * inputs / 2));
        let columns = matrix.scales.as_chunks::<WEIGHTS>().0.iter().zip(matrix.bias.as_chunks::<WEIGHTS>().0);
        for (at, ((high, low), (scale, bias))) in rows.zip(columns).enumerate() {
            let rows = high.chunks_exact(inputs).zip(low.chunks_exact(inputs / 2));
            rows.enumerate().for_each(|(place, (high, low))| widen(high, low, widened, place));
            let (scale, bias) = (Lanes::of(scale), Lanes::of(bias));
            let groups = values.chunks_exact(GROUP * inputs).zip(scales.as_chunks::<GROUP>().0);
            for (group, (values, own)) in groups.enumerate() {
                for (token, (sums, own)) in dots(widened, values).into_iter().zip(own).enumerate() {
                    let place = (group * GROUP + token) * outputs + at * WEIGHTS;
                    // Rows that only fill up the last group have no place in the output.
                    if let Some(output) = output.get_mut(place..).and_then(<[f32]>::first_chunk_mut) {
                        *output = sums.times(scale.times(Lanes::all(*own))).plus(bias).numbers();
                    }
                }
            }
        }
    }
}

/// Weights of 12 bits from their upper 8 and lower 4, to the `place` of this row among those woven together.
#[cfg(not(target_arch = "wasm32"))]
fn widen(high: &[i8], low: &[u8], to: &mut [i16], place: usize) {
    let blocks = high.as_chunks::<BLOCK>().0.iter().zip(low.as_chunks::<{ BLOCK / 2 }>().0);
    for ((high, low), to) in blocks.zip(to.as_chunks_mut::<{ WEIGHTS * BLOCK }>().0) {
        let low = low.map(|low| low & 15).into_iter().chain(low.map(|low| low >> 4));
        for (at, (high, low)) in high.iter().zip(low).enumerate() {
            to[(at / CHUNK * WEIGHTS + place) * CHUNK + at % CHUNK] = i16::from(*high) << 4 | i16::from(low);
        }
    }
}

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "128 bits are loaded and stored by address")]
fn widen(high: &[i8], low: &[u8], to: &mut [i16], place: usize) {
    use std::arch::wasm32::{i8x16_shuffle, i16x8_shl, i16x8_shr, u8x16_splat, v128, v128_and, v128_load, v128_store};

    assert!(place < WEIGHTS);
    let upper = u8x16_splat(0xf0);
    let blocks = high.as_chunks::<BLOCK>().0.iter().zip(low.as_chunks::<{ BLOCK / 2 }>().0);
    for ((high, low), to) in blocks.zip(to.as_chunks_mut::<{ WEIGHTS * BLOCK }>().0) {
        // SAFETY: a block is 32 bytes and 16 bytes; of the rows that are woven together it has four v128 of each, and `place`
        // is one of them. A v128 may lie anywhere.
        unsafe {
            let low = v128_load(low.as_ptr().cast());
            let halves = [v128_and(i16x8_shl(low, 4), upper), v128_and(low, upper)];
            let (high, to) = (high.as_ptr().cast::<v128>(), to.as_mut_ptr().cast::<v128>().add(place));
            for (at, low) in halves.into_iter().enumerate() {
                let high = v128_load(high.add(at));
                // Sixteen times the weight: its lower byte, then its upper.
                let first = i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(low, high);
                let second = i8x16_shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(low, high);
                v128_store(to.add(2 * at * WEIGHTS), i16x8_shr(first, 4));
                v128_store(to.add((2 * at + 1) * WEIGHTS), i16x8_shr(second, 4));
            }
        }
    }
}

/// Woven rows of weights, each times the rows of activations of a group.
fn dots(weights: &[i16], values: &[i16]) -> [Lanes; GROUP] {
    let mut all = [[Lanes::ZERO; WEIGHTS]; GROUP];
    for (weights, values) in weights.chunks(WEIGHTS * SPAN).zip(values.chunks(GROUP * SPAN)) {
        for (all, sums) in all.as_flattened_mut().iter_mut().zip(span(weights, values).as_flattened()) {
            *all = all.plus(*sums);
        }
    }
    all.map(across)
}

/// The products of one span, added up in [`LANES`] places.
#[cfg(not(target_arch = "wasm32"))]
fn span(weights: &[i16], values: &[i16]) -> [[Lanes; WEIGHTS]; GROUP] {
    let steps = || weights.as_chunks::<{ WEIGHTS * CHUNK }>().0.iter().zip(values.as_chunks::<{ GROUP * CHUNK }>().0);
    std::array::from_fn(|token| {
        std::array::from_fn(|row| {
            let mut sums = [0_i32; LANES];
            for (weights, values) in steps() {
                let (weights, values) = (&weights[row * CHUNK..][..CHUNK], &values[token * CHUNK..][..CHUNK]);
                for (lane, sum) in sums.iter_mut().enumerate() {
                    let product = |at: usize| i32::from(weights[at]) * i32::from(values[at]);
                    *sum += product(2 * lane) + product(2 * lane + 1);
                }
            }
            Lanes(sums.map(|sum| sum as f32))
        })
    })
}

/// Measured under wasmtime 48: a host that interrupts by epochs has the sums put aside at the end of every turn of a loop, so a
/// whole span is written out.
#[cfg(target_arch = "wasm32")]
fn span(weights: &[i16], values: &[i16]) -> [[Lanes; WEIGHTS]; GROUP] {
    use std::arch::wasm32::{f32x4_convert_i32x4, i32x4_splat};

    let mut sums = [[i32x4_splat(0); WEIGHTS]; GROUP];
    let never = std::hint::black_box(usize::MAX);
    macro_rules! steps {
        ($weights:expr, $values:expr, $($at:literal)*) => { $(step::<$at>(&mut sums, $weights, $values, never);)* };
    }
    match (weights.first_chunk::<{ SPAN * WEIGHTS }>(), values.first_chunk::<{ SPAN * GROUP }>()) {
        (Some(weights), Some(values)) => {
            steps!(weights, values, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33
                34 35 36 37 38 39 40 41 42 43 44 45 46 47);
        }
        _ => {
            let turns = weights.as_chunks::<{ WEIGHTS * CHUNK }>().0.iter();
            for (weights, values) in turns.zip(values.as_chunks::<{ GROUP * CHUNK }>().0) {
                steps!(weights, values, 0);
            }
        }
    }
    sums.map(|sums| sums.map(|sum| Lanes(f32x4_convert_i32x4(sum))))
}

/// One step of a span: eight weights of each row, and eight values of each.
///
/// wasmtime's compiler does all loads up to a branch first, so that a long run of steps would be out of registers but for
/// `never`, which no step is.
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "128 bits are loaded by address")]
#[inline(always)]
fn step<const AT: usize>(
    sums: &mut [[std::arch::wasm32::v128; WEIGHTS]; GROUP],
    weights: &[i16],
    values: &[i16],
    never: usize,
) {
    use std::arch::wasm32::{i32x4_add, i32x4_dot_i16x8, i32x4_mul, v128, v128_load};

    assert!(weights.len() >= (AT + 1) * WEIGHTS * CHUNK && values.len() >= (AT + 1) * GROUP * CHUNK);
    // SAFETY: what is loaded lies within the slices, and a v128 may lie anywhere.
    unsafe {
        let weights = weights.as_ptr().cast::<v128>().add(AT * WEIGHTS);
        let values = values.as_ptr().cast::<v128>().add(AT * GROUP);
        let values: [v128; GROUP] = std::array::from_fn(|token| v128_load(values.add(token)));
        for row in 0..WEIGHTS {
            let weights = v128_load(weights.add(row));
            for (sums, values) in sums.iter_mut().zip(values) {
                sums[row] = i32x4_add(sums[row], i32x4_dot_i16x8(weights, values));
            }
        }
    }
    if AT == never {
        *sums = sums.map(|sums| sums.map(|sum| i32x4_mul(sum, sum)));
    }
}

/// The four lanes of each register added up: the first and the second, the third and the fourth, then both.
#[cfg(target_arch = "wasm32")]
fn across([a, b, c, d]: [Lanes; WEIGHTS]) -> Lanes {
    use std::arch::wasm32::{f32x4_add, i32x4_shuffle};

    let pairs = |one: Lanes, other: Lanes| {
        f32x4_add(i32x4_shuffle::<0, 2, 4, 6>(one.0, other.0), i32x4_shuffle::<1, 3, 5, 7>(one.0, other.0))
    };
    let (ab, cd) = (pairs(a, b), pairs(c, d));
    Lanes(f32x4_add(i32x4_shuffle::<0, 2, 4, 6>(ab, cd), i32x4_shuffle::<1, 3, 5, 7>(ab, cd)))
}

#[cfg(not(target_arch = "wasm32"))]
fn across(sums: [Lanes; WEIGHTS]) -> Lanes {
    Lanes(sums.map(|Lanes([a, b, c, d])| (a + b) + (c + d)))
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
    let most = highest(scores, f32::MIN, |score| score);
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
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // The logarithm of 2 in two parts: the first has few digits, so that its product is exact.
    let rest = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let series = ((((1.987_569_1e-4 * rest + 1.398_2e-3) * rest + 8.333_452e-3) * rest + 4.166_579_6e-2) * rest
        + 1.666_666_5e-1)
        * rest
        + 0.5;
    let series = series * rest * rest + rest + 1.0;
    series * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

/// The nearest integer, of numbers below a million: after [`ROUND`] is added it lies in the lowest bits.
fn integer(value: f32) -> i32 {
    (value + ROUND).to_bits() as i32
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
    highest(values, 0.0, f32::abs)
}

fn highest(values: &[f32], least: f32, of: impl Fn(f32) -> f32) -> f32 {
    // `f32::max` would be a call each time.
    let higher = |one: f32, other: f32| if other > one { other } else { one };
    let mut most = [least; 8];
    let (lanes, rest) = values.as_chunks::<8>();
    for lane in lanes {
        for (most, value) in most.iter_mut().zip(lane) {
            *most = higher(*most, of(*value));
        }
    }
    rest.iter().map(|value| of(*value)).chain(most).fold(least, higher)
}

/// `to` gets the sum of the rows of `WIDTH` numbers, each times its factor. The rows begin `stride` numbers after one another.
pub(crate) fn mix<const WIDTH: usize>(to: &mut [f32; WIDTH], factors: &[f32], rows: &[f32], stride: usize) {
    // As many as registers hold beside what is added to them.
    let mut sums = [[Lanes::ZERO; 4]; 2];
    const { assert!(WIDTH == 32 || WIDTH == 16) };
    let never = std::hint::black_box(usize::MAX);
    let (turns, rest) = factors.as_chunks::<TURN>();
    for (factors, rows) in turns.iter().zip(rows.chunks(TURN * stride)) {
        for (step, factor) in factors.iter().enumerate() {
            add_row::<WIDTH>(&mut sums, *factor, &rows[step * stride..]);
            // For the sake of registers: see `span`.
            if step == never {
                sums = sums.map(|sums| sums.map(|sum| sum.times(sum)));
            }
        }
    }
    for (factor, row) in rest.iter().zip(rows.chunks(stride).skip(turns.len() * TURN)) {
        add_row::<WIDTH>(&mut sums, *factor, row);
    }
    for (to, sum) in to.as_chunks_mut::<4>().0.iter_mut().zip(sums.as_flattened()) {
        *to = sum.numbers();
    }
}

/// Rows that are added before a host may interrupt.
const TURN: usize = 4;

#[inline(always)]
fn add_row<const WIDTH: usize>(sums: &mut [[Lanes; 4]; 2], factor: f32, row: &[f32]) {
    let factor = Lanes::all(factor);
    for (sums, row) in sums.iter_mut().zip(row[..WIDTH].as_chunks::<16>().0) {
        for (sum, lane) in sums.iter_mut().zip(row.as_chunks::<4>().0) {
            *sum = sum.plus(factor.times(Lanes::of(lane)));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeded: the same shapes and numbers in every run.
    struct Random(u32);

    impl Random {
        /// -0.5 to 0.5
        fn number(&mut self) -> f32 {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.0 >> 8) as f32 / (1 << 24) as f32 - 0.5
        }

        fn below(&mut self, end: usize) -> usize {
            ((self.number() + 0.5) * end as f32) as usize % end
        }

        fn numbers(&mut self, count: usize, size: f32) -> Vec<f32> {
            (0..count).map(|_| self.number() * size).collect()
        }
    }

    fn low_halves(weights: &[i16]) -> Vec<u8> {
        let halves = weights.chunks(BLOCK).map(|block| block.split_at(BLOCK / 2));
        halves.flat_map(|(one, two)| one.iter().zip(two).map(|(one, two)| (one & 15 | (two & 15) << 4) as u8)).collect()
    }

    fn multiplied(input: &[f32], weights: &[i16], scales: &[f32], bias: &[f32]) -> Vec<f32> {
        let (inputs, outputs) = (weights.len() / scales.len(), scales.len());
        let high: Vec<i8> = weights.iter().map(|weight| (weight >> 4) as i8).collect();
        let matrix = Matrix { inputs, high: &high, low: &low_halves(weights), scales, bias };
        let mut quantised = Quantised::default();
        quantised.set(input.chunks_exact(inputs), inputs);
        let mut output = vec![f32::NAN; input.len() / inputs * outputs];
        quantised.multiply(&matrix, &mut output);
        output
    }

    #[test]
    fn products_of_any_shape_are_those_of_plain_arithmetic() {
        let mut random = Random(7);
        for _ in 0..60 {
            let (rows, inputs, outputs) =
                (1 + random.below(70), BLOCK * (1 + random.below(48)), 4 * (1 + random.below(6)));
            let size = 10_f32.powi(random.below(6) as i32 - 3);
            let input = random.numbers(rows * inputs, size);
            let weights: Vec<i16> = (0..outputs * inputs).map(|_| (random.number() * 4095.0) as i16).collect();
            let (scales, bias) = (random.numbers(outputs, 0.01), random.numbers(outputs, size));
            let found = multiplied(&input, &weights, &scales, &bias);
            for (at, found) in found.iter().enumerate() {
                let (row, column) = (at / outputs, at % outputs);
                let (input, weights) = (&input[row * inputs..][..inputs], &weights[column * inputs..][..inputs]);
                let sum: f64 = input.iter().zip(weights).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                let wanted = sum * f64::from(scales[column]) + f64::from(bias[column]);
                // Every activation is off by up to half a step to either side: six deviations of their sum.
                let step = f64::from(largest(input)) / f64::from(MOST) * f64::from(scales[column].abs());
                let slack = 6.0 * step * 1200.0 * (inputs as f64 / 12.0).sqrt() + 1e-5 * wanted.abs();
                assert!((f64::from(*found) - wanted).abs() <= slack, "{rows} {inputs} {outputs}: {found} {wanted}");
            }
        }
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let found = multiplied(&[-1.0; 1536], &[-2047; 4 * 1536], &[1.0; 4], &[0.0; 4]);
        assert!((found[0] - 2047.0 * 1536.0).abs() < 10.0, "{}", found[0]);
    }

    #[test]
    fn curves_are_those_of_plain_arithmetic() {
        let mut random = Random(11);
        for _ in 0..100 {
            let count = 1 + random.below(300);
            let values = random.numbers(count, 24.0);

            let mut found = values.clone();
            softmax(&mut found);
            let most = values.iter().copied().fold(f32::MIN, f32::max);
            let powers: Vec<f64> = values.iter().map(|value| f64::from(value - most).exp()).collect();
            let all: f64 = powers.iter().sum();
            for (found, power) in found.iter().zip(&powers) {
                assert!((f64::from(*found) - power / all).abs() < 1e-6, "softmax: {found} {}", power / all);
            }

            let mut found = values.clone();
            gelu(&mut found);
            for (found, value) in found.iter().zip(&values) {
                let wanted = f64::from(*value) * below(f64::from(*value));
                assert!((f64::from(*found) - wanted).abs() < 5e-6, "gelu of {value}: {found} {wanted}");
            }

            let (gain, bias) = (random.numbers(count, 2.0), random.numbers(count, 2.0));
            let mut found = values.clone();
            normalise(&mut found, &Norm { gain: &gain, bias: &bias });
            let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count as f64;
            let variance = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count as f64;
            for (((found, value), gain), bias) in found.iter().zip(&values).zip(&gain).zip(&bias) {
                let wanted =
                    (f64::from(*value) - mean) / (variance + 1e-12).sqrt() * f64::from(*gain) + f64::from(*bias);
                assert!((f64::from(*found) - wanted).abs() < 1e-4, "normalise: {found} {wanted}");
            }
        }
    }

    /// The share of a normal distribution below x, summed up in small steps.
    fn below(x: f64) -> f64 {
        const STEPS: i32 = 2000;
        let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let step = x / f64::from(STEPS);
        let middle = |at: i32| density(step * (f64::from(at) + 0.5));
        0.5 + (0..STEPS).map(middle).sum::<f64>() * step
    }

    #[test]
    fn rows_are_mixed_as_in_plain_arithmetic() {
        let mut random = Random(13);
        for _ in 0..50 {
            let (count, stride) = (1 + random.below(256), 32 + random.below(64));
            let (factors, rows) = (random.numbers(count, 1.0), random.numbers(count * stride, 1.0));
            let mut found = [0.0; 32];
            mix(&mut found, &factors, &rows, stride);
            for (at, found) in found.iter().enumerate() {
                let wanted: f64 =
                    (0..count).map(|row| f64::from(factors[row]) * f64::from(rows[row * stride + at])).sum();
                assert!((f64::from(*found) - wanted).abs() < 1e-4, "{found} {wanted}");
            }
        }
    }
}
