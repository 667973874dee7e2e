//! One block of a JPEG's compressed data, in each of the ways in which it may be written.

use std::io::BufRead;

use super::bits::Bits;
use super::huffman::Huffman;

/// Where each frequency lies in its block, in the order in which they are written.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// How many rows and columns of a block there are up to each frequency.
pub(super) const REACH: [(u8, u8); 64] = {
    let mut reach = [(1, 1); 64];
    let mut at = 1;
    while at < 64 {
        let (row, column) = (ZIGZAG[at] / 8 + 1, ZIGZAG[at] % 8 + 1);
        let (rows, columns) = reach[at - 1];
        reach[at] = (if row > rows { row } else { rows }, if column > columns { column } else { columns });
        at += 1;
    }
    reach
};

/// A whole block, as most files have it. `put` gets each frequency that is not nought, by its place in the order, and the last
/// of them comes back.
#[inline(always)]
pub(super) fn whole<R: BufRead>(
    bits: &mut Bits<R>,
    dc: &Huffman,
    ac: &Huffman,
    level: &mut i32,
    mut put: impl FnMut(usize, i32),
) -> usize {
    let size = dc.next(bits);
    *level = level.wrapping_add(bits.signed(u32::from(size.min(16))));
    put(0, *level);
    let (mut at, mut last) = (1, 0);
    while at < 64 {
        let run_and_size = ac.next(bits);
        let (run, size) = (usize::from(run_and_size >> 4), u32::from(run_and_size & 15));
        if size == 0 {
            if run < 15 {
                break;
            }
            at += 16;
            continue;
        }
        at += run;
        let value = bits.signed(size);
        if at > 63 {
            bits.lose();
            break;
        }
        put(at, value);
        last = at;
        at += 1;
    }
    last
}

/// A block that comes in several scans, as it is so far: its lowest frequencies, and of all of them whether they are nought. More
/// is not needed for going on with it.
pub(super) struct Sketch<'a> {
    pub(super) low: &'a mut [i16],
    pub(super) set: &'a mut u64,
    /// Where in `low` each frequency lies; beyond its end what is not kept.
    pub(super) places: &'a [u8; 64],
}

impl Sketch<'_> {
    pub(super) fn put(&mut self, at: usize, value: i32) {
        *self.set |= 1 << at;
        if let Some(kept) = self.low.get_mut(usize::from(self.places[at])) {
            *kept = value as i16;
        }
    }

    /// Adds to the frequency's size, whatever its sign.
    fn add(&mut self, at: usize, size: i32) {
        if let Some(kept) = self.low.get_mut(usize::from(self.places[at])) {
            *kept = kept.wrapping_add(if *kept < 0 { -size } else { size } as i16);
        }
    }

    fn is_set(&self, at: usize) -> bool {
        *self.set >> at & 1 == 1
    }
}

/// What a progressive scan brings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    /// The first and the last frequency.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Whether it adds a bit to what is there.
    pub(super) refines: bool,
    /// The lowest bit that it brings.
    pub(super) bit: u32,
}

pub(super) fn first_dc<R: BufRead>(
    bits: &mut Bits<R>,
    dc: &Huffman,
    level: &mut i32,
    bit: u32,
    block: &mut Sketch<'_>,
) {
    let size = dc.next(bits);
    *level = level.wrapping_add(bits.signed(u32::from(size.min(16))));
    block.put(0, *level << bit);
}

pub(super) fn more_dc<R: BufRead>(bits: &mut Bits<R>, bit: u32, block: &mut Sketch<'_>) {
    if bits.bit()
        && let Some(kept) = block.low.first_mut()
    {
        *kept |= 1 << bit;
    }
}

/// `idle` counts the blocks that bring nothing from here on.
pub(super) fn first_ac<R: BufRead>(
    bits: &mut Bits<R>,
    ac: &Huffman,
    pass: Pass,
    idle: &mut u32,
    block: &mut Sketch<'_>,
) {
    if *idle > 0 {
        *idle -= 1;
        return;
    }
    let mut at = pass.from;
    while at <= pass.to {
        let run_and_size = ac.next(bits);
        let (run, size) = (u32::from(run_and_size >> 4), u32::from(run_and_size & 15));
        if size == 0 {
            if run < 15 {
                *idle = (1 << run) - 1 + bits.number(run) as u32;
                break;
            }
            at += 16;
            continue;
        }
        at += run as usize;
        let value = bits.signed(size);
        if at > pass.to {
            bits.lose();
            break;
        }
        block.put(at, value << pass.bit);
        at += 1;
    }
}

pub(super) fn more_ac<R: BufRead>(
    bits: &mut Bits<R>,
    ac: &Huffman,
    pass: Pass,
    idle: &mut u32,
    block: &mut Sketch<'_>,
) {
    let size = 1 << pass.bit;
    let mut at = pass.from;
    while *idle == 0 && at <= pass.to {
        let run_and_size = ac.next(bits);
        let (mut run, new) = (u32::from(run_and_size >> 4), run_and_size & 15 != 0);
        let mut value = 0;
        if new {
            value = if bits.number(1) == 1 { size } else { -size };
        } else if run < 15 {
            *idle = (1 << run) + bits.number(run) as u32;
            break;
        }
        // Over so many that are nought still; those that are not get their bit.
        while at <= pass.to {
            if block.is_set(at) {
                if bits.bit() {
                    block.add(at, size);
                }
            } else if run == 0 {
                break;
            } else {
                run -= 1;
            }
            at += 1;
        }
        if new {
            if at > pass.to {
                bits.lose();
                break;
            }
            block.put(at, value);
        }
        at += 1;
    }
    if *idle > 0 {
        for at in at..=pass.to {
            if block.is_set(at) && bits.bit() {
                block.add(at, size);
            }
        }
        *idle -= 1;
    }
}
