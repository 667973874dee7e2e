//! WebP without loss, row by row. What a pixel may be copied from lies no further back than a million pixels, so the picture itself
//! need not be there; what was done to it before it was packed is undone for each row.

use std::io::Read;

use super::bits::Bits;
use super::codes::{Code, MOST_SYMBOLS};
use super::transform::{Transform, blocks};

pub(super) const SHORT: &str = "the WebP ends too early";
const WRONG: &str = "a part of the WebP is wrong";
/// As far back as a copy may reach; the format has no words for more.
const WINDOW: usize = 1 << 20;
/// What its tables may take, of which a short file can say that there are many. Programs write a tenth of it.
const MOST_TABLES: usize = 24 << 20;
const SIGNATURE: u32 = 0x2f;

/// Symbols of the first code of a group: 256 greens, and then lengths of copies and numbers of colours that were there.
const LENGTHS: usize = 256;
const CACHED: usize = LENGTHS + 24;
const ALPHABETS: [usize; 5] = [CACHED, 256, 256, 256, 40];

/// Alpha, red, green and blue, from the top of it.
pub(super) type Argb = u32;

/// What one picture is packed with; those that are packed within it have the same.
struct Packing {
    groups: Vec<[Code; 5]>,
    /// Which group is for which square of so many pixels a side, where there are several.
    chosen: Option<(u32, Vec<u16>)>,
    cache: Option<Cache>,
}

/// Colours that came lately, by a hash of them.
struct Cache {
    shift: u32,
    colours: Vec<Argb>,
}

impl Cache {
    #[inline(always)]
    fn put(&mut self, colour: Argb) {
        self.colours[(colour.wrapping_mul(0x1e35_a7bd) >> self.shift) as usize] = colour;
    }
}

/// What reading a picture of this size holds beside the rows that are handed out, as programs write it.
pub(super) fn held_bytes(width: u32, height: u32) -> u64 {
    let pixels = u64::from(width) * u64::from(height);
    pixels.next_power_of_two().min(WINDOW as u64) * 4 + pixels / 32 + (2 << 20)
}

/// Hands out a picture's rows; one that is there for its own sake says its size again.
pub(super) fn rows(
    reader: impl Read,
    (width, height): (u32, u32),
    says_size: bool,
    mut to: impl FnMut(&[Argb]),
) -> Result<(), String> {
    let mut reading = Reading { bits: Bits::new(reader), tables: 0 };
    if says_size {
        let bits = &mut reading.bits;
        let (signature, own) = (bits.take(8), (bits.take(14) + 1, bits.take(14) + 1));
        let (_has_alpha, version) = (bits.take(1), bits.take(3));
        if signature != SIGNATURE || own != (width, height) || version != 0 {
            return Err(WRONG.to_owned());
        }
    }
    let (mut transforms, wide) = reading.transforms(width, height)?;
    let packing = reading.packing(wide, height, true)?;
    let (mut row, mut y) = (Vec::new(), 0);
    reading.pixels(packing, wide, height, |packed| {
        row.clear();
        row.extend_from_slice(packed);
        for transform in transforms.iter_mut().rev() {
            transform.undo(&mut row, y);
        }
        y += 1;
        to(&row);
    })
}

struct Reading<R> {
    bits: Bits<R>,
    /// What all tables take so far.
    tables: usize,
}

impl<R: Read> Reading<R> {
    /// What was done to the picture, and how wide it is after all that.
    fn transforms(&mut self, width: u32, height: u32) -> Result<(Vec<Transform>, u32), String> {
        let (mut transforms, mut wide, mut seen) = (Vec::new(), width, 0_u32);
        while self.bits.take(1) == 1 {
            let kind = self.bits.take(2);
            if seen >> kind & 1 == 1 {
                return Err(WRONG.to_owned());
            }
            seen |= 1 << kind;
            transforms.push(match kind {
                0 | 1 => {
                    let side = self.bits.take(3) + 2;
                    let (across, down) = (blocks(wide, side), blocks(height, side));
                    let data = self.whole(across, down)?;
                    if kind == 0 { Transform::predict(wide, side, &data) } else { Transform::colour(wide, side, data) }
                }
                2 => Transform::Green,
                _ => {
                    let count = self.bits.take(8) + 1;
                    let table = self.whole(count, 1)?;
                    let transform = Transform::table(wide, &table);
                    wide = transform.packed_width(wide);
                    transform
                }
            });
        }
        Ok((transforms, wide))
    }

    /// A picture within the picture.
    fn whole(&mut self, width: u32, height: u32) -> Result<Vec<Argb>, String> {
        self.spend(width as usize * height as usize * 4)?;
        let packing = self.packing(width, height, false)?;
        let mut all = Vec::with_capacity(width as usize * height as usize);
        self.pixels(packing, width, height, |row| all.extend_from_slice(row))?;
        Ok(all)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        self.tables += bytes;
        if self.bits.is_beyond() {
            return Err(SHORT.to_owned());
        }
        if self.tables > MOST_TABLES { Err("the WebP has larger tables than can be held".to_owned()) } else { Ok(()) }
    }

    fn packing(&mut self, width: u32, height: u32, is_outermost: bool) -> Result<Packing, String> {
        let mut cache = None;
        if self.bits.take(1) == 1 {
            let bits = self.bits.take(4);
            if !(1..=11).contains(&bits) {
                return Err(WRONG.to_owned());
            }
            cache = Some(Cache { shift: 32 - bits, colours: vec![0; 1 << bits] });
        }
        let (mut count, mut chosen) = (1, None);
        if is_outermost && self.bits.take(1) == 1 {
            let side = self.bits.take(3) + 2;
            let numbers = self.whole(blocks(width, side), blocks(height, side))?;
            let numbers: Vec<u16> = numbers.iter().map(|argb| (argb >> 8) as u16).collect();
            count = usize::from(numbers.iter().copied().max().unwrap_or(0)) + 1;
            chosen = Some((side, numbers));
        }
        let mut groups = Vec::new();
        let cached = cache.as_ref().map_or(0, |cache| cache.colours.len());
        for _ in 0..count {
            let mut group: [Code; 5] = Default::default();
            for (code, (own, more)) in group.iter_mut().zip(ALPHABETS.into_iter().zip([cached, 0, 0, 0, 0])) {
                *code = self.code(own + more)?;
                self.spend(size_of::<Code>() + code.held_bytes())?;
            }
            groups.push(group);
        }
        Ok(Packing { groups, chosen, cache })
    }

    fn code(&mut self, symbols: usize) -> Result<Code, String> {
        const ORDER: [usize; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        let mut lengths = [0_u8; MOST_SYMBOLS];
        let bits = &mut self.bits;
        if bits.take(1) == 1 {
            let two = bits.take(1) == 1;
            let size = if bits.take(1) == 1 { 8 } else { 1 };
            lengths[bits.take(size) as usize] = 1;
            if two {
                lengths[bits.take(8) as usize] = 1;
            }
        } else {
            let mut of_lengths = [0_u8; 19];
            for place in &ORDER[..4 + bits.take(4) as usize] {
                of_lengths[*place] = bits.take(3) as u8;
            }
            let code = Code::new(&of_lengths).ok_or(WRONG)?;
            let mut left = symbols;
            if bits.take(1) == 1 {
                let size = 2 + 2 * bits.take(3);
                left = 2 + bits.take(size) as usize;
            }
            let (mut at, mut before) = (0, 8);
            while at < symbols && left > 0 {
                left -= 1;
                bits.fill();
                let (length, count) = match code.next(bits) {
                    16 => (before, 3 + bits.take(2) as usize),
                    17 => (0, 3 + bits.take(3) as usize),
                    18 => (0, 11 + bits.take(7) as usize),
                    length => (length as u8, 1),
                };
                lengths.get_mut(at..at + count).filter(|_| at + count <= symbols).ok_or(WRONG)?.fill(length);
                at += count;
                if length > 0 {
                    before = length;
                }
            }
        }
        if lengths[symbols..].iter().any(|length| *length > 0) {
            return Err(WRONG.to_owned());
        }
        Code::new(&lengths[..symbols]).ok_or_else(|| WRONG.to_owned())
    }

    /// Unpacks a picture of this size, row by row.
    fn pixels(&mut self, packing: Packing, width: u32, height: u32, mut to: impl FnMut(&[Argb])) -> Result<(), String> {
        let Packing { groups, chosen, mut cache } = packing;
        let (width, height) = (width as usize, height as usize);
        let all = width * height;
        let mut window: Vec<Argb> = vec![0; all.next_power_of_two().min(WINDOW)];
        let mask = window.len() - 1;
        let mut row: Vec<Argb> = Vec::with_capacity(width);
        let bits = &mut self.bits;
        let (mut at, mut x, mut y, mut until) = (0, 0, 0, 0);
        let mut group = &groups[0];
        while at < all {
            if at >= until {
                until = all;
                if let Some((side, numbers)) = &chosen {
                    let across = blocks(width as u32, *side) as usize;
                    group = &groups[usize::from(numbers[(y >> side) * across + (x >> side)])];
                    until = at - x + (((x >> side) + 1) << side).min(width);
                }
            }
            bits.fill();
            let symbol = usize::from(group[0].next(bits));
            let begun = at;
            if symbol < LENGTHS {
                let red = u32::from(group[1].next(bits));
                let blue = u32::from(group[2].next(bits));
                bits.fill();
                let alpha = u32::from(group[3].next(bits));
                window[at & mask] = alpha << 24 | red << 16 | (symbol as u32) << 8 | blue;
                at += 1;
            } else if symbol < CACHED {
                let length = number(bits, symbol - LENGTHS);
                bits.fill();
                let symbol = usize::from(group[4].next(bits));
                let back = distance(number(bits, symbol), width);
                if back > at || length > all - at {
                    return Err(WRONG.to_owned());
                }
                for _ in 0..length {
                    window[at & mask] = window[(at - back) & mask];
                    at += 1;
                }
            } else {
                let colours = cache.as_ref().map_or(&[][..], |cache| &cache.colours);
                window[at & mask] = *colours.get(symbol - CACHED).ok_or(WRONG)?;
                at += 1;
            }
            if let Some(cache) = &mut cache {
                (begun..at).for_each(|at| cache.put(window[at & mask]));
            }
            x += at - begun;
            while x >= width {
                // The row may go over the window's end.
                let start = y * width;
                let first = (window.len() - (start & mask)).min(width);
                row.clear();
                row.extend_from_slice(&window[start & mask..][..first]);
                row.extend_from_slice(&window[..width - first]);
                to(&row);
                (x, y) = (x - width, y + 1);
                if bits.is_beyond() {
                    return Err(SHORT.to_owned());
                }
            }
        }
        Ok(())
    }
}

/// A length, or how far back: the symbol tells about how much it is, and bits behind it how much exactly.
#[inline(always)]
fn number<R: Read>(bits: &mut Bits<R>, symbol: usize) -> usize {
    if symbol < 4 {
        return symbol + 1;
    }
    let more = (symbol - 2) / 2;
    ((2 + symbol % 2) << more) + bits.held(more as u32) as usize + 1
}

/// How many pixels back. The shortest numbers are for what lies near, in the rows above too.
fn distance(number: usize, width: usize) -> usize {
    #[rustfmt::skip]
    const NEAR: [(i8, i8); 120] = [
        (0, 1), (1, 0), (1, 1), (-1, 1), (0, 2), (2, 0), (1, 2), (-1, 2), (2, 1), (-2, 1), (2, 2), (-2, 2), (0, 3),
        (3, 0), (1, 3), (-1, 3), (3, 1), (-3, 1), (2, 3), (-2, 3), (3, 2), (-3, 2), (0, 4), (4, 0), (1, 4), (-1, 4),
        (4, 1), (-4, 1), (3, 3), (-3, 3), (2, 4), (-2, 4), (4, 2), (-4, 2), (0, 5), (3, 4), (-3, 4), (4, 3), (-4, 3),
        (5, 0), (1, 5), (-1, 5), (5, 1), (-5, 1), (2, 5), (-2, 5), (5, 2), (-5, 2), (4, 4), (-4, 4), (3, 5), (-3, 5),
        (5, 3), (-5, 3), (0, 6), (6, 0), (1, 6), (-1, 6), (6, 1), (-6, 1), (2, 6), (-2, 6), (6, 2), (-6, 2), (4, 5),
        (-4, 5), (5, 4), (-5, 4), (3, 6), (-3, 6), (6, 3), (-6, 3), (0, 7), (7, 0), (1, 7), (-1, 7), (5, 5), (-5, 5),
        (7, 1), (-7, 1), (4, 6), (-4, 6), (6, 4), (-6, 4), (2, 7), (-2, 7), (7, 2), (-7, 2), (3, 7), (-3, 7), (7, 3),
        (-7, 3), (5, 6), (-5, 6), (6, 5), (-6, 5), (8, 0), (4, 7), (-4, 7), (7, 4), (-7, 4), (8, 1), (8, 2), (6, 6),
        (-6, 6), (8, 3), (5, 7), (-5, 7), (7, 5), (-7, 5), (8, 4), (6, 7), (-6, 7), (7, 6), (-7, 6), (8, 5), (7, 7),
        (-7, 7), (8, 6), (8, 7),
    ];
    match NEAR.get(number - 1) {
        Some(&(left, up)) => usize::try_from(isize::from(left) + isize::from(up) * width as isize).unwrap_or(0).max(1),
        None => number - NEAR.len(),
    }
}
