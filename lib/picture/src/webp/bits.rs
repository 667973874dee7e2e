use std::io::Read;

/// What is taken from the file at once.
const BUFFER: usize = 16 * 1024;

/// Bits from the bottom of each byte. Behind the end of the data there are noughts without end.
pub(super) struct Bits<R> {
    reader: R,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    /// The next bits, from the bottom.
    held: u64,
    count: u32,
    /// Those of them that are behind the end.
    padding: u32,
}

impl<R: Read> Bits<R> {
    pub(super) fn new(reader: R) -> Self {
        Bits { reader, buffer: vec![0; BUFFER].into_boxed_slice(), at: 0, end: 0, held: 0, count: 0, padding: 0 }
    }

    /// Whether more was taken than there is.
    pub(super) fn is_beyond(&self) -> bool {
        self.padding > self.count
    }

    /// At least 56 bits are held afterwards.
    #[inline(always)]
    pub(super) fn fill(&mut self) {
        if self.count >= 56 {
            return;
        }
        match self.buffer[self.at..self.end].first_chunk::<8>() {
            Some(eight) => {
                self.held |= u64::from_le_bytes(*eight) << self.count;
                let bytes = (63 - self.count) / 8;
                self.at += bytes as usize;
                self.count += bytes * 8;
            }
            None => self.fill_by_bytes(),
        }
    }

    #[cold]
    fn fill_by_bytes(&mut self) {
        while self.count < 56 {
            if self.at == self.end {
                self.at = 0;
                self.end = self.reader.read(&mut self.buffer).unwrap_or(0);
            }
            match self.buffer[..self.end].get(self.at) {
                Some(byte) => {
                    self.held |= u64::from(*byte) << self.count;
                    self.at += 1;
                }
                None => self.padding = (self.padding + 8).min(1 << 20),
            }
            self.count += 8;
        }
    }

    /// The next bits without taking them.
    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        self.held
    }

    #[inline(always)]
    pub(super) fn skip(&mut self, count: u32) {
        self.held >>= count;
        self.count -= count;
    }

    /// A number of bits that are held.
    #[inline(always)]
    pub(super) fn held(&mut self, count: u32) -> u32 {
        let number = (self.held & ((1 << count) - 1)) as u32;
        self.skip(count);
        number
    }

    /// A number of so many bits, up to 32.
    pub(super) fn take(&mut self, count: u32) -> u32 {
        self.fill();
        self.held(count)
    }
}
