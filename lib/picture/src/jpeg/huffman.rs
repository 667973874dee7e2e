use std::io::BufRead;

use super::bits::Bits;

/// Codes of up to so many bits are looked up at once; they are nearly all there are.
const FAST: u32 = 9;

/// A table of codes.
pub(super) struct Huffman {
    /// By the next bits: the code's length, and above it what it says. Nought where it is longer.
    fast: [u16; 1 << FAST],
    /// By length: the first code that is longer, as 16 bits, and what to add to a code for its place.
    ends: [u32; 17],
    places: [i32; 17],
    values: [u8; 256],
}

impl Huffman {
    /// From how many codes there are of each length, and what they say.
    pub(super) fn new(counts: &[u8; 16], values: [u8; 256]) -> Option<Huffman> {
        let (mut code, mut place) = (0_u32, 0_usize);
        let mut table = Huffman { fast: [0; 1 << FAST], ends: [0; 17], places: [0; 17], values };
        for (length, &count) in (1_u32..).zip(counts) {
            table.places[length as usize] = place as i32 - code as i32;
            for _ in 0..count {
                if length <= FAST {
                    let first = (code << (FAST - length)) as usize;
                    let entry = u16::from(*values.get(place)?) << 8 | length as u16;
                    table.fast.get_mut(first..first + (1 << (FAST - length)))?.fill(entry);
                }
                (code, place) = (code + 1, place + 1);
            }
            if code > 1 << length || place > 256 {
                return None;
            }
            table.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }

    /// What the next code says; 16 bits of what follows are held afterwards.
    #[inline(always)]
    pub(super) fn next<R: BufRead>(&self, bits: &mut Bits<R>) -> u8 {
        bits.fill();
        let entry = self.fast[bits.peek(FAST)];
        if entry != 0 {
            bits.skip(u32::from(entry & 0xff));
            return (entry >> 8) as u8;
        }
        self.longer(bits)
    }

    fn longer<R: BufRead>(&self, bits: &mut Bits<R>) -> u8 {
        let next = bits.peek(16) as u32;
        for length in FAST + 1..=16 {
            if next < self.ends[length as usize] {
                bits.skip(length);
                let place = (next >> (16 - length)) as i32 + self.places[length as usize];
                return usize::try_from(place).ok().and_then(|place| self.values.get(place)).copied().unwrap_or(0);
            }
        }
        bits.lose();
        0
    }
}
