//! How the model lies in its file, so that it is used where it lies: sections one after the other, each beginning at a
//! multiple of 16 bytes, little-endian. `cargo xtask model minilm` writes it (`xtask/src/model.rs`).

use bytemuck::AnyBitPattern;

pub(crate) const HIDDEN: usize = 384;
pub(crate) const LAYERS: usize = 6;
pub(crate) const INNER: usize = 1536;
/// The model was trained on this many tokens at most; what is longer is cut.
pub(crate) const POSITIONS: usize = 256;
pub(crate) const WORDS: usize = 30_522;
/// A power of two, more than twice the words: a look-up ends after one or two places.
pub(crate) const SLOTS: usize = 65_536;
pub(crate) const NO_WORD: u16 = u16::MAX;

pub(crate) const MAGIC: &[u8; 16] = b"MiniLM-L6 i12 v2";
pub(crate) const ALIGNMENT: usize = 16;
/// The lower four bits of so many weights lie together: of the first half in the lower halves of their bytes.
pub(crate) const BLOCK: usize = 32;
/// The lower two bits of a word's number lie in as many bytes: of the first quarter of the numbers in the lowest bits.
pub(crate) const QUARTER: usize = HIDDEN / 4;

/// Numbers to be multiplied with, a row for each output: row times scale is what the model had.
///
/// Weights have 12 bits: with 8, the best three of 200 sentences were others for one query in twenty.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) inputs: usize,
    pub(crate) high: &'a [i8],
    pub(crate) low: &'a [u8],
    pub(crate) scales: &'a [f32],
    pub(crate) bias: &'a [f32],
}

#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    pub(crate) gain: &'a [f32],
    pub(crate) bias: &'a [f32],
}

pub(crate) struct Layer<'a> {
    /// Queries (already divided by the root of a head's size), keys and values under one another.
    pub(crate) attention: Matrix<'a>,
    pub(crate) output: Matrix<'a>,
    pub(crate) after_attention: Norm<'a>,
    pub(crate) up: Matrix<'a>,
    pub(crate) down: Matrix<'a>,
    pub(crate) after: Norm<'a>,
}

#[derive(Clone, Copy)]
pub(crate) struct Vocabulary<'a> {
    slots: &'a [u16],
    ends: &'a [u32],
    spelling: &'a [u8],
}

/// A vector of 10 bits a number for each word.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    high: &'a [i8],
    low: &'a [u8],
    scales: &'a [f32],
}

impl Words<'_> {
    pub(crate) fn row(&self, word: u16) -> [f32; HIDDEN] {
        let word = usize::from(word);
        let (high, low) = (&self.high[word * HIDDEN..][..HIDDEN], &self.low[word * QUARTER..][..QUARTER]);
        let mut row = [0.0; HIDDEN];
        for (quarter, (row, high)) in row.chunks_exact_mut(QUARTER).zip(high.chunks_exact(QUARTER)).enumerate() {
            for ((row, high), low) in row.iter_mut().zip(high).zip(low) {
                let number = i16::from(*high) << 2 | i16::from(low >> (2 * quarter) & 3);
                *row = f32::from(number) * self.scales[word];
            }
        }
        row
    }
}

pub(crate) struct Packed<'a> {
    pub(crate) vocabulary: Vocabulary<'a>,
    pub(crate) words: Words<'a>,
    /// With what every token of a single text gets added besides.
    pub(crate) positions: &'a [f32],
    pub(crate) norm: Norm<'a>,
    pub(crate) layers: [Layer<'a>; LAYERS],
}

impl<'a> Packed<'a> {
    /// `bytes` begin at a multiple of 16 in memory.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Packed<'a>> {
        let mut file = File { rest: bytes.strip_prefix(MAGIC)? };
        let spelling = file.next::<u32>(4)?[0] as usize;
        let packed = Packed {
            vocabulary: Vocabulary {
                slots: file.next(SLOTS)?,
                ends: file.next(WORDS)?,
                spelling: file.next(spelling)?,
            },
            words: Words {
                high: file.next(WORDS * HIDDEN)?,
                low: file.next(WORDS * QUARTER)?,
                scales: file.next(WORDS)?,
            },
            positions: file.next(POSITIONS * HIDDEN)?,
            norm: file.norm()?,
            layers: [file.layer()?, file.layer()?, file.layer()?, file.layer()?, file.layer()?, file.layer()?],
        };
        file.rest.is_empty().then_some(packed)
    }
}

impl<'a> Vocabulary<'a> {
    /// The word's number. `state` is [`begin`] and [`further`] over all of `word`.
    pub(crate) fn find(&self, state: u32, continues: bool, word: &[u8]) -> Option<u16> {
        let mut slot = place(state);
        loop {
            let id = self.slots[slot];
            if id == NO_WORD {
                return None;
            }
            if self.spelled(id) == (continues, word) {
                return Some(id);
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    /// Whether the word goes on from another one, and how it is written.
    fn spelled(&self, id: u16) -> (bool, &'a [u8]) {
        let id = usize::from(id);
        let start = if id == 0 { 0 } else { self.ends[id - 1] as usize };
        let spelling = &self.spelling[start..self.ends[id] as usize];
        match spelling.strip_prefix(b"##") {
            Some(rest) if !rest.is_empty() => (true, rest),
            _ => (false, spelling),
        }
    }
}

/// FNV-1a, so that the sums of all beginnings of a word come in one go. Pieces that go on begin elsewhere.
pub(crate) fn begin(continues: bool) -> u32 {
    if continues { 0x050c_5d1f } else { 0x811c_9dc5 }
}

pub(crate) fn further(state: u32, byte: u8) -> u32 {
    (state ^ u32::from(byte)).wrapping_mul(0x0100_0193)
}

pub(crate) fn place(state: u32) -> usize {
    (state ^ (state >> 16)) as usize % SLOTS
}

struct File<'a> {
    rest: &'a [u8],
}

impl<'a> File<'a> {
    fn next<T: AnyBitPattern>(&mut self, count: usize) -> Option<&'a [T]> {
        let length = count * size_of::<T>();
        let (section, rest) = self.rest.split_at_checked(length.next_multiple_of(ALIGNMENT))?;
        self.rest = rest;
        bytemuck::try_cast_slice(&section[..length]).ok()
    }

    fn matrix(&mut self, outputs: usize, inputs: usize) -> Option<Matrix<'a>> {
        Some(Matrix {
            inputs,
            high: self.next(outputs * inputs)?,
            low: self.next(outputs * inputs / 2)?,
            scales: self.next(outputs)?,
            bias: self.next(outputs)?,
        })
    }

    fn norm(&mut self) -> Option<Norm<'a>> {
        Some(Norm { gain: self.next(HIDDEN)?, bias: self.next(HIDDEN)? })
    }

    fn layer(&mut self) -> Option<Layer<'a>> {
        Some(Layer {
            attention: self.matrix(3 * HIDDEN, HIDDEN)?,
            output: self.matrix(HIDDEN, HIDDEN)?,
            after_attention: self.norm()?,
            up: self.matrix(INNER, HIDDEN)?,
            down: self.matrix(HIDDEN, INNER)?,
            after: self.norm()?,
        })
    }
}
