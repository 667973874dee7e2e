use super::lossless::Argb;

const BLACK: Argb = 0xff00_0000;
/// The samples at even places, and those at odd ones.
const EVEN: Argb = 0x00ff_00ff;
const ODD: Argb = 0xff00_ff00;

/// What is done to a picture before it is packed without loss, and how it is undone, row by row.
pub(super) enum Transform {
    /// Each pixel is what it is more than what was to be expected by those to the left and above, in one of 14 ways.
    Predict {
        side: u32,
        across: usize,
        ways: Vec<u8>,
        /// The row above, and behind it the first pixel of the one below, as they lie in a whole picture.
        above: Vec<Argb>,
    },
    /// Red and blue are without what of them goes with green, and blue without what goes with red.
    Colour { side: u32, across: usize, shares: Vec<Argb> },
    /// Red and blue are without green.
    Green,
    /// Numbers in a table of colours, as green; several of them in a pixel where they are small.
    Table { width: usize, bits: u32, colours: Box<[Argb; 256]> },
}

/// Squares of `1 << side` pixels that cover so many.
pub(super) fn blocks(pixels: u32, side: u32) -> u32 {
    pixels.div_ceil(1 << side)
}

impl Transform {
    pub(super) fn predict(width: u32, side: u32, data: &[Argb]) -> Transform {
        let ways = data.iter().map(|argb| (argb >> 8) as u8).collect();
        let above = vec![0; width as usize + 1];
        Transform::Predict { side, across: blocks(width, side) as usize, ways, above }
    }

    pub(super) fn colour(width: u32, side: u32, shares: Vec<Argb>) -> Transform {
        Transform::Colour { side, across: blocks(width, side) as usize, shares }
    }

    /// Each colour is what it is more than the one before.
    pub(super) fn table(width: u32, steps: &[Argb]) -> Transform {
        let bits = match steps.len() {
            ..=2 => 1,
            3..=4 => 2,
            5..=16 => 4,
            _ => 8,
        };
        let (mut colours, mut colour) = (Box::new([0; 256]), 0);
        for (to, step) in colours.iter_mut().zip(steps) {
            colour = sum(colour, *step);
            *to = colour;
        }
        Transform::Table { width: width as usize, bits, colours }
    }

    /// How wide a picture of this width is afterwards.
    pub(super) fn packed_width(&self, width: u32) -> u32 {
        match self {
            Transform::Table { bits, .. } => width.div_ceil(8 / bits),
            _ => width,
        }
    }

    /// Takes the rows in their order.
    pub(super) fn undo(&mut self, row: &mut Vec<Argb>, y: usize) {
        match self {
            Transform::Predict { side, across, ways, above } => {
                let ways = &ways[(y >> *side) * *across..][..*across];
                predict(row, above, y == 0, ways, *side);
                above[..row.len()].copy_from_slice(row);
            }
            Transform::Colour { side, across, shares } => {
                let shares = &shares[(y >> *side) * *across..][..*across];
                for (pixels, shares) in row.chunks_mut(1 << *side).zip(shares) {
                    pixels.iter_mut().for_each(|pixel| *pixel = coloured(*pixel, *shares));
                }
            }
            Transform::Green => {
                for pixel in row {
                    let green = *pixel >> 8 & 0xff;
                    *pixel = sum(*pixel, green << 16 | green);
                }
            }
            Transform::Table { width, bits, colours } => {
                let to_a_pixel = 8 / *bits as usize;
                let packed = row.clone();
                row.clear();
                row.extend((0..*width).map(|x| {
                    let number = packed[x / to_a_pixel] >> 8 & 0xff;
                    let number = number >> ((x % to_a_pixel) as u32 * *bits) & ((1 << *bits) - 1);
                    colours[number as usize]
                }));
            }
        }
    }
}

fn coloured(pixel: Argb, shares: Argb) -> Argb {
    let signed = |argb: Argb, at: u32| i32::from((argb >> at) as u8 as i8);
    let share = |share: i32, of: i32| ((share * of) >> 5) as u32;
    let green = signed(pixel, 8);
    let red = (pixel >> 16).wrapping_add(share(signed(shares, 0), green)) & 0xff;
    let blue = pixel.wrapping_add(share(signed(shares, 8), green));
    let blue = blue.wrapping_add(share(signed(shares, 16), i32::from(red as u8 as i8))) & 0xff;
    pixel & ODD | red << 16 | blue
}

fn predict(row: &mut [Argb], above: &mut [Argb], is_first: bool, ways: &[u8], side: u32) {
    if is_first {
        let mut left = BLACK;
        for pixel in row {
            *pixel = sum(*pixel, left);
            left = *pixel;
        }
        return;
    }
    row[0] = sum(row[0], above[0]);
    let width = row.len();
    above[width] = row[0];
    for (block, way) in ways.iter().enumerate() {
        let (from, to) = ((block << side).max(1), ((block + 1) << side).min(width));
        if from >= to {
            continue;
        }
        let above = &above[from - 1..=to];
        let left = row[from - 1];
        let row = &mut row[from..to];
        // One loop for each, so that none asks at every pixel which it is. The corner, above, and the corner to the right.
        match way {
            1 => each(row, above, left, |left, _, _, _| left),
            2 => each(row, above, left, |_, _, above, _| above),
            3 => each(row, above, left, |_, _, _, right| right),
            4 => each(row, above, left, |_, corner, _, _| corner),
            5 => each(row, above, left, |left, _, above, right| mean(mean(left, right), above)),
            6 => each(row, above, left, |left, corner, _, _| mean(left, corner)),
            7 => each(row, above, left, |left, _, above, _| mean(left, above)),
            8 => each(row, above, left, |_, corner, above, _| mean(corner, above)),
            9 => each(row, above, left, |_, _, above, right| mean(above, right)),
            10 => each(row, above, left, |left, corner, above, right| mean(mean(left, corner), mean(above, right))),
            11 => each(row, above, left, |left, corner, above, _| nearer(left, corner, above)),
            12 => each(row, above, left, |left, corner, above, _| {
                samples(|at| sample(left, at) + sample(above, at) - sample(corner, at))
            }),
            13 => each(row, above, left, |left, corner, above, _| {
                let middle = mean(left, above);
                samples(|at| sample(middle, at) + (sample(middle, at) - sample(corner, at)) / 2)
            }),
            _ => each(row, above, left, |_, _, _, _| BLACK),
        }
    }
}

#[inline(always)]
fn each(row: &mut [Argb], above: &[Argb], mut left: Argb, expected: impl Fn(Argb, Argb, Argb, Argb) -> Argb) {
    for (pixel, around) in row.iter_mut().zip(above.windows(3)) {
        *pixel = sum(*pixel, expected(left, around[0], around[1], around[2]));
        left = *pixel;
    }
}

/// Each sample for itself, without what goes over.
#[inline(always)]
fn sum(one: Argb, other: Argb) -> Argb {
    let even = (one & EVEN).wrapping_add(other & EVEN) & EVEN;
    let odd = (one & ODD).wrapping_add(other & ODD) & ODD;
    even | odd
}

#[inline(always)]
fn mean(one: Argb, other: Argb) -> Argb {
    (one & other) + (((one ^ other) & 0xfefe_fefe) >> 1)
}

#[inline(always)]
fn sample(argb: Argb, at: u32) -> i32 {
    i32::from((argb >> at) as u8)
}

#[inline(always)]
fn samples(of: impl Fn(u32) -> i32) -> Argb {
    let one = |at: u32| (of(at).clamp(0, 255) as u32) << at;
    one(0) | one(8) | one(16) | one(24)
}

/// The one of left and above that what both and their corner tell is nearer to.
#[inline(always)]
fn nearer(left: Argb, corner: Argb, above: Argb) -> Argb {
    let far = |one: Argb| -> i32 { [0, 8, 16, 24].map(|at| (sample(one, at) - sample(corner, at)).abs()).iter().sum() };
    // From left it is as far as above is from the corner.
    if far(above) < far(left) { left } else { above }
}
