use std::io::Read;

use super::bits::Bits;

/// The most that any code tells apart: 256 greens, 24 lengths and 2048 colours that were there.
pub(super) const MOST_SYMBOLS: usize = 256 + 24 + 2048;
const LONGEST: usize = 15;
/// Codes of up to so many bits are looked up at once; they are nearly all there are.
const FAST: usize = 8;

/// A code, the first bit of each word lowest.
pub(super) enum Code {
    /// There is one symbol, and not a bit for it.
    Only(u16),
    Table(Box<Table>),
}

pub(super) struct Table {
    /// By the next bits: the word's length in the lowest four, and above them its symbol. Nought where it is longer.
    fast: [u16; 1 << FAST],
    /// By length: the first word that is longer, as 15 bits from its first one on, and what to add to a word for its place.
    ends: [u16; LONGEST + 1],
    places: [i16; LONGEST + 1],
    symbols: Vec<u16>,
}

impl Default for Code {
    fn default() -> Code {
        Code::Only(0)
    }
}

impl Code {
    /// From the length of each symbol's word; none where there are too many or too few words of these lengths.
    pub(super) fn new(lengths: &[u8]) -> Option<Code> {
        let mut counts = [0_u16; LONGEST + 1];
        for length in lengths.iter().filter(|length| **length > 0) {
            *counts.get_mut(usize::from(*length))? += 1;
        }
        let all: u16 = counts.iter().sum();
        if all < 2 {
            let only = lengths.iter().position(|length| *length > 0)?;
            return Some(Code::Only(only as u16));
        }
        let mut table = Table {
            fast: [0; 1 << FAST],
            ends: [0; LONGEST + 1],
            places: [0; LONGEST + 1],
            symbols: vec![0; usize::from(all)],
        };
        let (mut word, mut place) = (0_u32, 0_u32);
        let mut places = [0_usize; LONGEST + 1];
        for length in 1..=LONGEST {
            places[length] = place as usize;
            table.places[length] = (i64::from(place) - i64::from(word)) as i16;
            (word, place) = (word + u32::from(counts[length]), place + u32::from(counts[length]));
            if word > 1 << length {
                return None;
            }
            // All ones, where the last word ends.
            table.ends[length] = (word << (LONGEST - length)) as u16;
            word <<= 1;
        }
        if word != 2 << LONGEST {
            return None;
        }
        for (symbol, length) in (0_u16..).zip(lengths).filter(|(_, length)| **length > 0) {
            let length = usize::from(*length);
            let place = &mut places[length];
            table.symbols[*place] = symbol;
            if length <= FAST {
                let word = *place as i64 - i64::from(table.places[length]);
                let first = usize::from((word as u16).reverse_bits() >> (16 - length));
                for entry in table.fast.iter_mut().skip(first).step_by(1 << length) {
                    *entry = symbol << 4 | length as u16;
                }
            }
            *place += 1;
        }
        Some(Code::Table(Box::new(table)))
    }

    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Code::Only(_) => 0,
            Code::Table(table) => size_of::<Table>() + table.symbols.len() * 2,
        }
    }

    /// The next symbol; 15 bits must be held.
    #[inline(always)]
    pub(super) fn next<R: Read>(&self, bits: &mut Bits<R>) -> u16 {
        match self {
            Code::Only(symbol) => *symbol,
            Code::Table(table) => {
                let entry = table.fast[bits.peek() as usize & ((1 << FAST) - 1)];
                if entry == 0 {
                    return table.longer(bits);
                }
                bits.skip(u32::from(entry & 15));
                entry >> 4
            }
        }
    }
}

impl Table {
    fn longer<R: Read>(&self, bits: &mut Bits<R>) -> u16 {
        let next = (bits.peek() as u16).reverse_bits() >> 1;
        for length in FAST + 1..=LONGEST {
            // With as many words as there can be, the last end is one more than any word.
            if next < self.ends[length] || length == LONGEST {
                bits.skip(length as u32);
                let place = i32::from(next >> (LONGEST - length)) + i32::from(self.places[length]);
                return usize::try_from(place).ok().and_then(|place| self.symbols.get(place)).copied().unwrap_or(0);
            }
        }
        0
    }
}
