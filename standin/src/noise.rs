//! Large pictures in the formats that have no loss: noise, of which every one of them makes a file of so many bits to a pixel.

/// What is told by its name is written so that it can only be read as a whole, where the format has a way to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// 24 bits to a pixel.
    Bmp,
    /// Of 8 colours, its rows out of order: less than 5 bits.
    Gif,
    /// Of 16 colours, without loss: 4 bits.
    WebP,
    /// Of 16 colours, in seven passes: 4 bits.
    Png,
}

impl Noise {
    /// Of a width that is a multiple of 8.
    pub fn file(self, width: u16, height: u16) -> Vec<u8> {
        let mut chance = Chance(1);
        match self {
            Noise::Bmp => bmp(width, height, &mut chance),
            Noise::Gif => gif(width, height, &mut chance),
            Noise::WebP => webp(width, height, &mut chance),
            Noise::Png => png(width, height, &mut chance),
        }
    }
}

struct Chance(u32);

impl Chance {
    fn bits(&mut self, count: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> (32 - count)
    }
}

/// Bits from the bottom of each byte.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        self.held |= u64::from(value) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    fn end(mut self) -> Vec<u8> {
        self.put(0, 7);
        self.bytes
    }
}

fn bmp(width: u16, height: u16, chance: &mut Chance) -> Vec<u8> {
    const HEAD: u32 = 54;
    let (width, height) = (u32::from(width), u32::from(height));
    let length = width * height * 3;
    let mut file = b"BM".to_vec();
    for word in [HEAD + length, 0, HEAD, 40, width, height, 1 | 24 << 16, 0, length, 2835, 2835, 0, 0] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend((0..length).map(|_| chance.bits(8) as u8));
    file
}

fn gif(width: u16, height: u16, chance: &mut Chance) -> Vec<u8> {
    /// After so many pixels the words would become longer.
    const PIXELS: usize = 6;
    const CLEAR: u32 = 8;
    const END: u32 = 9;
    let size = [width.to_le_bytes(), height.to_le_bytes()].concat();
    let mut file = [&b"GIF89a"[..], &size, &[0x82, 0, 0]].concat();
    (0..8_u8).for_each(|number| file.extend([number * 36, 255 - number * 30, number * 17]));
    file.extend([&[0x2c, 0, 0, 0, 0], &size[..], &[0x40, 3]].concat());
    let mut bits = Bits::default();
    for at in 0..usize::from(width) * usize::from(height) {
        if at % PIXELS == 0 {
            bits.put(CLEAR, 4);
        }
        bits.put(chance.bits(3), 4);
    }
    bits.put(END, 4);
    for block in bits.end().chunks(255) {
        file.push(block.len() as u8);
        file.extend_from_slice(block);
    }
    file.extend([0, 0x3b]);
    file
}

fn webp(width: u16, height: u16, chance: &mut Chance) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0x2f, 8);
    bits.put(u32::from(width) - 1, 14);
    bits.put(u32::from(height) - 1, 14);
    // No alpha, version 0; no transform, no cache, one group of codes.
    bits.put(0, 1 + 3 + 1 + 1 + 1);
    // Green: lengths are told by one bit each, nought or 4, and every sixteenth green has one.
    bits.put(0, 1);
    bits.put(3, 4);
    [0, 0, 1, 0, 0, 0, 1].iter().for_each(|length| bits.put(*length, 3));
    bits.put(1, 1);
    bits.put(3, 3);
    bits.put(241 - 2, 8);
    (0..241).for_each(|green| bits.put(u32::from(green % 16 == 0), 1));
    // Of all others there is one: red, blue, alpha, and distances.
    for only in [100, 60, 255, 0] {
        bits.put(1 | 1 << 2 | only << 3, 3 + 8);
    }
    for _ in 0..usize::from(width) * usize::from(height) / 2 {
        bits.put(chance.bits(8), 8);
    }
    let data = bits.end();
    let length = |length: usize| (length as u32).to_le_bytes();
    let mut file = [&b"RIFF"[..], &length(data.len() + data.len() % 2 + 12), b"WEBPVP8L", &length(data.len())].concat();
    file.extend_from_slice(&data);
    file.resize(file.len().next_multiple_of(2), 0);
    file
}

fn png(width: u16, height: u16, chance: &mut Chance) -> Vec<u8> {
    const PASSES: [[usize; 4]; 7] =
        [[0, 8, 0, 8], [4, 8, 0, 8], [0, 4, 4, 8], [2, 4, 0, 4], [0, 2, 2, 4], [1, 2, 0, 2], [0, 1, 1, 2]];
    /// What a part that is not packed may have.
    const PART: usize = 65_535;
    let mut rows = Vec::new();
    for [left, across, top, down] in PASSES {
        let length = (usize::from(width) - left).div_ceil(across).div_ceil(2);
        for _ in (top..usize::from(height)).step_by(down) {
            rows.push(0);
            rows.extend((0..length).map(|_| chance.bits(8) as u8));
        }
    }
    let mut data = vec![0x78, 0x01];
    let parts = rows.chunks(PART).count();
    for (number, part) in (1..).zip(rows.chunks(PART)) {
        let length = part.len() as u16;
        data.push(u8::from(number == parts));
        data.extend(length.to_le_bytes().into_iter().chain((!length).to_le_bytes()));
        data.extend_from_slice(part);
    }
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in &rows {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    data.extend((high << 16 | low).to_be_bytes());
    let mut head = [u32::from(width).to_be_bytes(), u32::from(height).to_be_bytes()].concat();
    head.extend([4, 3, 0, 0, 1]);
    let colours = (0..16_u8).flat_map(|number| [number * 16, 255 - number * 16, number * 7]).collect();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, contents) in [(b"IHDR", head), (b"PLTE", colours), (b"IDAT", data), (b"IEND", Vec::new())] {
        let start = file.len() + 4;
        file.extend((contents.len() as u32).to_be_bytes());
        file.extend_from_slice(name);
        file.extend_from_slice(&contents);
        let checksum = crc(&file[start..]);
        file.extend(checksum.to_be_bytes());
    }
    file
}

fn crc(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|byte| {
        (0..8).fold(byte as u32, |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    !bytes.iter().fold(!0, |crc, byte| crc >> 8 ^ table[(crc as u8 ^ byte) as usize])
}
