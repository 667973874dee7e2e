//! FLAC, written: fixed predictors and Rice codes, which halve speech and are a page of code.

use crate::{Kind, Pieces, Sound, Unreadable};

/// Samples of each channel in a frame; the size every player expects.
const BLOCK: usize = 4096;
/// Compressed sound as it is kept, at most.
const MOST: usize = 128 << 20;
const HEADER_BYTES: usize = 42;
const FIXED_ORDERS: usize = 5;

/// Makes a FLAC of 16-bit samples, at the sound's own rate and number of channels.
pub fn to_flac(bytes: Pieces) -> Result<Vec<Vec<u8>>, Unreadable> {
    let kind = Kind::of(&bytes.head()).ok_or(Unreadable::Unknown)?;
    let mut sound = Sound::open(&bytes, kind)?;
    drop(bytes);
    let (rate, channels) = (sound.rate, usize::from(sound.channels));
    let mut pieces = vec![Vec::new()];
    let (mut waiting, mut length, mut frames, mut samples) = (Vec::<i32>::new(), 0, 0, 0_u64);
    let mut piece = Vec::new();
    loop {
        let decoded = sound.decode()?;
        let over = decoded.is_none();
        waiting.extend(decoded.unwrap_or_default().iter().map(|it| i32::from((it * 32768.0).round() as i16)));
        let mut at = 0;
        while waiting.len() - at >= BLOCK * channels || (over && at < waiting.len()) {
            let end = waiting.len().min(at + BLOCK * channels);
            frame(&waiting[at..end], channels, frames, &mut piece);
            samples += ((end - at) / channels) as u64;
            frames += 1;
            at = end;
        }
        waiting.drain(..at);
        if over || piece.len() >= 64 * 1024 {
            length += piece.len();
            if length > MOST {
                return Err(Unreadable::TooLong("an hour"));
            }
            pieces.push(std::mem::take(&mut piece));
        }
        if over {
            break;
        }
    }
    pieces[0] = header(rate, channels as u64, samples);
    Ok(pieces)
}

fn header(rate: u32, channels: u64, samples: u64) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.bytes.reserve(HEADER_BYTES);
    bits.bytes.extend_from_slice(b"fLaC");
    bits.put(0x80, 8); // The only block, and the last one.
    bits.put(34, 24);
    bits.put(BLOCK as u64, 16);
    bits.put(BLOCK as u64, 16);
    bits.put(0, 48); // How large frames are, nobody says.
    bits.put(u64::from(rate), 20);
    bits.put(channels - 1, 3);
    bits.put(15, 5);
    bits.put(samples, 36);
    bits.bytes.resize(HEADER_BYTES, 0); // No digest.
    bits.bytes
}

fn frame(samples: &[i32], channels: usize, number: u64, out: &mut Vec<u8>) {
    let length = samples.len() / channels;
    let mut bits = Bits::default();
    bits.put(0xfff8, 16);
    let whole = length == BLOCK;
    bits.put(if whole { 0b1100 } else { 0b0111 }, 4);
    bits.put(0, 4);
    bits.put(channels as u64 - 1, 4);
    bits.put(0b1000, 4);
    // A number in UTF-8's way, which goes on beyond Unicode.
    if number < 0x80 {
        bits.put(number, 8);
    } else {
        let more = (2..7).find(|bytes| number < 1 << (5 * bytes + 1)).unwrap_or(7) - 1;
        let lead = (0xff00_u64 >> (more + 1)) & 0xff;
        bits.put(lead | number >> (6 * more), 8);
        for part in (0..more).rev() {
            bits.put(0x80 | (number >> (6 * part)) & 0x3f, 8);
        }
    }
    if !whole {
        bits.put(length as u64 - 1, 16);
    }
    bits.put(u64::from(crc8(&bits.bytes)), 8);
    for channel in 0..channels {
        let own: Vec<i32> = samples.iter().skip(channel).step_by(channels).copied().collect();
        subframe(&own, &mut bits);
    }
    bits.align();
    let crc = crc16(&bits.bytes);
    bits.put(u64::from(crc), 16);
    out.extend_from_slice(&bits.bytes);
}

fn subframe(samples: &[i32], bits: &mut Bits) {
    if samples.iter().all(|sample| *sample == samples[0]) {
        bits.put(0, 8);
        bits.put(samples[0] as u64 & 0xffff, 16);
        return;
    }
    // The order whose residual is smallest.
    let mut residual = samples.to_vec();
    let mut best = (residual.clone(), 0);
    let mut least = u64::MAX;
    for order in 0..FIXED_ORDERS.min(samples.len()) {
        if order > 0 {
            for at in (order..residual.len()).rev() {
                residual[at] -= residual[at - 1];
            }
        }
        let sum = residual[order..].iter().map(|it| u64::from(it.unsigned_abs())).sum();
        if sum < least {
            (least, best) = (sum, (residual.clone(), order));
        }
    }
    let (residual, order) = best;
    bits.put(0b001_000 << 1 | (order as u64) << 1, 8);
    for sample in &samples[..order] {
        bits.put(*sample as u64 & 0xffff, 16);
    }
    let folded: Vec<u32> = residual[order..].iter().map(|it| (it << 1 ^ it >> 31) as u32).collect();
    let cost =
        |parameter: u32| -> u64 { folded.iter().map(|it| u64::from(it >> parameter) + 1 + u64::from(parameter)).sum() };
    let parameter = (0..15).min_by_key(|parameter| cost(*parameter)).unwrap_or_default();
    bits.put(0, 6); // Rice codes, one partition.
    bits.put(u64::from(parameter), 4);
    for value in folded {
        let mut zeros = value >> parameter;
        while zeros >= 32 {
            bits.put(0, 32);
            zeros -= 32;
        }
        bits.put(1, zeros + 1);
        bits.put(u64::from(value) & ((1 << parameter) - 1), parameter);
    }
}

/// Bits, the highest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl Bits {
    /// At most 48 bits at once.
    fn put(&mut self, value: u64, count: u32) {
        self.held = self.held << count | value;
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.held >> self.count) as u8);
        }
        self.held &= (1 << self.count) - 1;
    }

    fn align(&mut self) {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
    }
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 }))
}

fn crc16(bytes: &[u8]) -> u16 {
    const TABLE: [u16; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let (mut crc, mut bit) = ((at as u16) << 8, 0);
            while bit < 8 {
                crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x8005 };
                bit += 1;
            }
            table[at] = crc;
            at += 1;
        }
        table
    };
    bytes.iter().fold(0, |crc, byte| crc << 8 ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wav::{header as wav_header, to_wav};

    #[test]
    fn what_is_written_is_read_again_to_the_bit() {
        for (rate, channels, frames) in [(16_000_u32, 1_u16, 70_000_usize), (24_000, 2, 9_001), (22_050, 1, 5)] {
            let mut seed = 7_u32;
            let samples: Vec<u8> = (0..frames * usize::from(channels))
                .flat_map(|at| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let wave = ((at as f64 * 0.05).sin() * 20_000.0) as i32 + (seed >> 24) as i32;
                    // Silence, extremes and a wave.
                    let sample = match at / 4096 % 4 {
                        1 => 0,
                        2 if at % 2 == 0 => 32_767,
                        2 => -32_768,
                        _ => wave,
                    };
                    (sample as i16).to_le_bytes()
                })
                .collect();
            let wav = [wav_header(rate, channels, samples.len() as u32).to_vec(), samples].concat();
            let flac = to_flac(Pieces::from(vec![wav.clone()])).expect("it is a sound");
            let again = to_wav(Pieces::from(flac)).expect("it is a FLAC").concat();
            assert!(again == wav, "{rate} Hz, {channels} channels, {frames} frames");
        }
    }

    #[test]
    fn speech_gets_smaller() {
        let samples: Vec<u8> =
            (0..48_000).flat_map(|at| (((f64::from(at) * 0.02).sin() * 9_000.0) as i16).to_le_bytes()).collect();
        let wav = [wav_header(24_000, 1, samples.len() as u32).to_vec(), samples].concat();
        let flac = to_flac(Pieces::from(vec![wav.clone()])).expect("it is a sound").concat();
        assert!(flac.len() < wav.len() / 2, "{} of {}", flac.len(), wav.len());
    }
}
