use std::io::BufRead;

/// What is taken from the file at once.
const BUFFER: usize = 16 * 1024;

/// A JPEG's bytes, and the bits of its compressed data. Behind the end of the data there are noughts without end.
pub(super) struct Bits<R> {
    reader: R,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    /// The next bits, from the top.
    held: u64,
    count: u32,
    /// Those at the bottom of `held` that are behind the end.
    padding: u32,
    /// What ended the data, or is behind it.
    marker: Option<u8>,
    lost: bool,
}

impl<R: BufRead> Bits<R> {
    pub(super) fn new(reader: R) -> Self {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Bits { reader, buffer, at: 0, end: 0, held: 0, count: 0, padding: 0, marker: None, lost: false }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        if self.at == self.end {
            self.at = 0;
            self.end = self.reader.read(&mut self.buffer).unwrap_or(0);
        }
        let byte = self.buffer[..self.end].get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn word(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    /// The next marker, whatever is before it. None at the end of the file.
    pub(super) fn marker(&mut self) -> Option<u8> {
        if let Some(marker) = self.marker.take() {
            return Some(marker);
        }
        let mut before = 0;
        loop {
            let byte = self.byte()?;
            if before == 0xff && byte != 0xff && byte != 0 {
                return Some(byte);
            }
            before = byte;
        }
    }

    /// Begins compressed data.
    pub(super) fn begin(&mut self) {
        (self.held, self.count, self.padding) = (0, 0, 0);
        (self.marker, self.lost) = (None, false);
    }

    /// Goes on behind the next restart marker. Where another marker comes first, the data stays at its end.
    pub(super) fn restart(&mut self) {
        let marker = self.marker();
        self.begin();
        if !matches!(marker, Some(0xd0..=0xd7)) {
            (self.marker, self.lost) = (marker, true);
        }
    }

    /// Whether more was read than there is, or something that means nothing: until the next restart, nothing does.
    pub(super) fn is_lost(&self) -> bool {
        self.lost || self.padding > self.count
    }

    pub(super) fn lose(&mut self) {
        self.lost = true;
    }

    /// At least 32 bits are held afterwards: enough for a code and what belongs to it.
    #[inline(always)]
    pub(super) fn fill(&mut self) {
        if self.count < 32 {
            self.fill_up();
        }
    }

    #[inline]
    fn fill_up(&mut self) {
        if let Some(four) = self.buffer[self.at..self.end].first_chunk::<4>() {
            let word = u32::from_be_bytes(*four);
            // Nought where no byte is 0xff.
            let full = (!word).wrapping_sub(0x0101_0101) & word & 0x8080_8080;
            if full == 0 && self.marker.is_none() {
                self.held |= u64::from(word) << (32 - self.count);
                self.count += 32;
                self.at += 4;
                return;
            }
        }
        self.fill_by_bytes();
    }

    #[cold]
    fn fill_by_bytes(&mut self) {
        while self.count <= 56 {
            if self.marker.is_none() {
                match self.byte() {
                    Some(0xff) => {
                        let mut next = self.byte();
                        while next == Some(0xff) {
                            next = self.byte();
                        }
                        match next {
                            Some(0) => self.push(0xff),
                            // A file that ends is as one that says so.
                            marker => self.marker = Some(marker.unwrap_or(0xd9)),
                        }
                    }
                    Some(byte) => self.push(byte),
                    None => self.marker = Some(0xd9),
                }
                continue;
            }
            self.padding += 8;
            self.count += 8;
        }
    }

    fn push(&mut self, byte: u8) {
        self.held |= u64::from(byte) << (56 - self.count);
        self.count += 8;
    }

    /// The next bits without taking them; at least one, and as many as are held.
    #[inline(always)]
    pub(super) fn peek(&self, count: u32) -> usize {
        (self.held >> (64 - count)) as usize
    }

    #[inline(always)]
    pub(super) fn skip(&mut self, count: u32) {
        self.held <<= count;
        self.count -= count;
    }

    /// A number of so many bits, up to 16, that are held.
    #[inline(always)]
    pub(super) fn number(&mut self, count: u32) -> i32 {
        if count == 0 {
            return 0;
        }
        let number = self.peek(count) as i32;
        self.skip(count);
        number
    }

    /// A number of which the first half of all that have so many bits is negative.
    #[inline(always)]
    pub(super) fn signed(&mut self, count: u32) -> i32 {
        let number = self.number(count);
        if count > 0 && number < 1 << (count - 1) { number - (1 << count) + 1 } else { number }
    }

    pub(super) fn bit(&mut self) -> bool {
        self.fill();
        self.number(1) != 0
    }
}
