//! Large photographs, for whoever wants to know what one costs: noise as a camera's JPEG, of any size and any length.

/// A JPEG of three components, the last two at half the size where `halved`.
#[derive(Debug, Clone, Copy)]
pub struct Photo {
    /// Multiples of 16.
    pub width: u16,
    pub height: u16,
    pub progressive: bool,
    pub halved: bool,
    /// Of a block's 63 frequencies, how many are not nought: 7 bits each.
    pub detail: u32,
}

impl Photo {
    pub fn jpeg(self) -> Vec<u8> {
        let mut file = vec![0xff, 0xd8];
        // Every step is 4.
        segment(&mut file, 0xdb, &[&[0_u8][..], &[4; 64]].concat());
        let ([high, low], [left, right]) = (self.height.to_be_bytes(), self.width.to_be_bytes());
        let luma = if self.halved { 0x22 } else { 0x11 };
        let frame = [8, high, low, left, right, 3, 1, luma, 0, 2, 0x11, 0, 3, 0x11, 0];
        segment(&mut file, if self.progressive { 0xc2 } else { 0xc0 }, &frame);
        // Eight codes of four bits, each for what it is itself: sizes, and for frequencies sizes without a run.
        for kind in [0x00_u8, 0x10] {
            let counts = [0_u8, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            segment(&mut file, 0xc4, &[&[kind][..], &counts, &[0, 1, 2, 3, 4, 5, 6, 7]].concat());
        }
        let mut bits = Bits { state: 1, ..Bits::default() };
        let unit = if self.halved { 16 } else { 8 };
        let (wide, high) = (usize::from(self.width), usize::from(self.height));
        let units = wide.div_ceil(unit) * high.div_ceil(unit);
        let blocks = units * if self.halved { 6 } else { 3 };
        let all = [3_u8, 1, 0, 2, 0, 3, 0];
        if self.progressive {
            segment(&mut file, 0xda, &[&all[..], &[0, 0, 0]].concat());
            (0..blocks).for_each(|_| bits.level());
            bits.end(&mut file);
            let halves = if self.halved { [units * 4, units, units] } else { [units; 3] };
            for (component, blocks) in (1..).zip(halves) {
                segment(&mut file, 0xda, &[1, component, 0, 1, 63, 0]);
                (0..blocks).for_each(|_| bits.frequencies(self.detail));
                bits.end(&mut file);
            }
        } else {
            segment(&mut file, 0xda, &[&all[..], &[0, 63, 0]].concat());
            for _ in 0..blocks {
                bits.level();
                bits.frequencies(self.detail);
            }
            bits.end(&mut file);
        }
        file.extend_from_slice(&[0xff, 0xd9]);
        file
    }
}

fn segment(file: &mut Vec<u8>, marker: u8, contents: &[u8]) {
    file.extend_from_slice(&[0xff, marker]);
    file.extend_from_slice(&(contents.len() as u16 + 2).to_be_bytes());
    file.extend_from_slice(contents);
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    held: u32,
    count: u32,
    state: u32,
}

impl Bits {
    /// The level of a block: a step of up to 15 from the one before.
    fn level(&mut self) {
        self.put(4, 4);
        let step = self.chance(4);
        self.put(step, 4);
    }

    fn frequencies(&mut self, count: u32) {
        for _ in 0..count.min(63) {
            self.put(3, 4);
            let value = self.chance(3);
            self.put(value, 3);
        }
        // A block that is full has no end.
        if count < 63 {
            self.put(0, 4);
        }
    }

    fn chance(&mut self, bits: u32) -> u32 {
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.state >> (32 - bits)
    }

    fn put(&mut self, value: u32, count: u32) {
        self.held = self.held << count | value;
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.held >> self.count) as u8;
            self.bytes.push(byte);
            if byte == 0xff {
                self.bytes.push(0);
            }
        }
    }

    fn end(&mut self, file: &mut Vec<u8>) {
        self.put(0x7f, 7);
        self.count = 0;
        file.append(&mut self.bytes);
    }
}
