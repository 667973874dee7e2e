use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use crate::resample::Resampler;
use crate::sound::usual;
use crate::{Kind, Pieces, Sound, Unreadable};

/// Decoded sound as `to_wav` keeps it, at most: 25 minutes of one voice at 44.1 kHz, an hour at 16 kHz.
const MOST: usize = 128 << 20;
/// Writers that cannot go back leave a length of this or more; no sound here is as long.
const UNKNOWN_FROM: u64 = 0x7fff_0000;

/// The head of a WAV of 16-bit PCM whose samples take `data_bytes`.
pub fn header(rate: u32, channels: u16, data_bytes: u32) -> [u8; 44] {
    let block = channels * 2;
    let mut header = [0; 44];
    header[..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&data_bytes.saturating_add(36).to_le_bytes());
    header[8..16].copy_from_slice(b"WAVEfmt ");
    header[16..20].copy_from_slice(&16u32.to_le_bytes());
    header[20..22].copy_from_slice(&1u16.to_le_bytes());
    header[22..24].copy_from_slice(&channels.to_le_bytes());
    header[24..28].copy_from_slice(&rate.to_le_bytes());
    header[28..32].copy_from_slice(&(rate * u32::from(block)).to_le_bytes());
    header[32..34].copy_from_slice(&block.to_le_bytes());
    header[34..36].copy_from_slice(&16u16.to_le_bytes());
    header[36..40].copy_from_slice(b"data");
    header[40..].copy_from_slice(&data_bytes.to_le_bytes());
    header
}

/// Makes a WAV of 16-bit PCM, with its true length in its header, at the sound's own rate and number of channels.
///
/// A WAV that holds such samples already keeps them as they are, and gets a header without more than it needs.
pub fn to_wav(bytes: Pieces) -> Result<Vec<Vec<u8>>, Unreadable> {
    let kind = Kind::of(&bytes.head()).ok_or(Unreadable::Unknown)?;
    if kind == Kind::Wav {
        let wav = Wav::read(&bytes)?;
        if wav.data.is_empty() {
            return Err(Unreadable::silent());
        }
        if wav.samples == Samples::S16 {
            let mut pieces = bytes.cut(wav.data.clone());
            pieces.insert(0, header(wav.rate, wav.channels, (wav.data.end - wav.data.start) as u32).to_vec());
            return Ok(pieces);
        }
    }
    let mut sound = Sound::open(&bytes, kind)?;
    drop(bytes);
    let mut pieces = vec![Vec::new()];
    let mut length = 0;
    while let Some(samples) = sound.decode()? {
        let mut piece = Vec::with_capacity(samples.len() * 2);
        push_pcm(samples, &mut piece);
        length += piece.len();
        if length > MOST {
            return Err(Unreadable::TooLong("an hour"));
        }
        pieces.push(piece);
    }
    pieces[0] = header(sound.rate, sound.channels, length as u32).to_vec();
    Ok(pieces)
}

/// The samples alone, 16 bit, one channel, at the rate that is asked for.
pub fn to_pcm(bytes: Pieces, rate: u32) -> Result<Vec<Vec<u8>>, Unreadable> {
    let kind = Kind::of(&bytes.head()).ok_or(Unreadable::Unknown)?;
    let mut sound = Sound::open(&bytes, kind)?;
    drop(bytes);
    let channels = usize::from(sound.channels);
    let mut resampler = (sound.rate != rate).then(|| Resampler::new(sound.rate, rate));
    let (mut pieces, mut length, mut over) = (Vec::new(), 0, false);
    while !over {
        let decoded = sound.decode()?;
        over = decoded.is_none();
        let mono =
            decoded.unwrap_or_default().chunks_exact(channels).map(|all| all.iter().sum::<f32>() / channels as f32);
        let mono: Vec<f32> = mono.collect();
        let samples = match &mut resampler {
            None => mono,
            Some(resampler) => {
                let mut resampled = Vec::new();
                resampler.push(&mono, &mut resampled);
                if over {
                    resampler.finish(&mut resampled);
                }
                resampled
            }
        };
        let mut piece = Vec::with_capacity(samples.len() * 2);
        push_pcm(&samples, &mut piece);
        length += piece.len();
        if length > MOST {
            return Err(Unreadable::TooLong("an hour"));
        }
        pieces.push(piece);
    }
    Ok(pieces)
}

/// Appends samples as 16-bit PCM.
pub(crate) fn push_pcm(samples: &[f32], pcm: &mut Vec<u8>) {
    // The cast holds the ends: 1.0 becomes 32767.
    pcm.extend(samples.iter().flat_map(|sample| ((sample * 32768.0).round() as i16).to_le_bytes()));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Samples {
    U8,
    S16,
    S24,
    S32,
    F32,
    F64,
    ALaw,
    MuLaw,
}

/// What a WAV's header says, as far as it is true.
#[derive(Debug)]
pub(crate) struct Wav {
    pub(crate) rate: u32,
    pub(crate) channels: u16,
    pub(crate) samples: Samples,
    /// Where the samples lie, in whole frames.
    pub(crate) data: Range<u64>,
}

impl Wav {
    pub(crate) fn read(bytes: &Pieces) -> Result<Wav, Unreadable> {
        let broken = |why: &str| Unreadable::Broken(format!("the WAV {why}"));
        let mut reader = bytes.reader(0);
        let mut at = 12;
        let mut format = None;
        loop {
            let mut head = [0; 8];
            reader.seek(SeekFrom::Start(at))?;
            reader.read_exact(&mut head).map_err(|_| broken("has no samples"))?;
            let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
            at += 8;
            match &head[..4] {
                b"fmt " => {
                    let mut fields = [0; 40];
                    let known = length.min(40) as usize;
                    reader.read_exact(&mut fields[..known]).map_err(|_| broken("ends in its header"))?;
                    format = Some(Self::format(&fields)?);
                }
                b"data" => {
                    let (rate, channels, samples) =
                        format.ok_or_else(|| broken("does not say what its samples are"))?;
                    let there = bytes.len() - at;
                    let length = if length == 0 || length >= UNKNOWN_FROM { there } else { length };
                    if length > there {
                        return Err(broken("ends too early"));
                    }
                    let frame = u64::from(channels) * samples.bytes() as u64;
                    return Ok(Wav { rate, channels, samples, data: at..at + length / frame * frame });
                }
                _ => {}
            }
            at += length + (length & 1);
        }
    }

    fn format(fields: &[u8; 40]) -> Result<(u32, u16, Samples), Unreadable> {
        let word = |at: usize| u16::from_le_bytes([fields[at], fields[at + 1]]);
        let (channels, bits) = (word(2), word(14));
        let rate = u32::from(word(4)) | u32::from(word(6)) << 16;
        // 0xfffe: the format proper is in the extension.
        let format = if word(0) == 0xfffe { word(24) } else { word(0) };
        let samples = match (format, bits) {
            (1, 8) => Samples::U8,
            (1, 16) => Samples::S16,
            (1, 24) => Samples::S24,
            (1, 32) => Samples::S32,
            (3, 32) => Samples::F32,
            (3, 64) => Samples::F64,
            (6, 8) => Samples::ALaw,
            (7, 8) => Samples::MuLaw,
            _ => return Err(Unreadable::Broken(format!("a WAV of format {format} with {bits} bits is not read"))),
        };
        usual(rate, channels)?;
        Ok((rate, channels, samples))
    }
}

impl Samples {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Samples::U8 | Samples::ALaw | Samples::MuLaw => 1,
            Samples::S16 => 2,
            Samples::S24 => 3,
            Samples::S32 | Samples::F32 => 4,
            Samples::F64 => 8,
        }
    }

    /// Appends what `bytes` hold, full scale being 1.0.
    pub(crate) fn decode(self, bytes: &[u8], samples: &mut Vec<f32>) {
        const S32: f32 = 2_147_483_648.0;
        match self {
            Samples::U8 => samples.extend(bytes.iter().map(|byte| (f32::from(*byte) - 128.0) / 128.0)),
            Samples::S16 => samples.extend(words(bytes).map(|word| f32::from(i16::from_le_bytes(word)) / 32768.0)),
            Samples::S24 => {
                samples.extend(
                    words(bytes).map(|[low, middle, high]| i32::from_le_bytes([0, low, middle, high]) as f32 / S32),
                );
            }
            Samples::S32 => samples.extend(words(bytes).map(|word| i32::from_le_bytes(word) as f32 / S32)),
            Samples::F32 => samples.extend(words(bytes).map(|word| finite(f32::from_le_bytes(word)))),
            Samples::F64 => samples.extend(words(bytes).map(|word| finite(f64::from_le_bytes(word) as f32))),
            Samples::ALaw => samples.extend(bytes.iter().map(|byte| f32::from(a_law(*byte)) / 32768.0)),
            Samples::MuLaw => samples.extend(bytes.iter().map(|byte| f32::from(mu_law(*byte)) / 32768.0)),
        }
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

fn finite(sample: f32) -> f32 {
    if sample.is_finite() { sample } else { 0.0 }
}

/// ITU-T G.711.
fn a_law(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (segment, step) = (byte >> 4 & 7, i16::from(byte & 0x0f) << 4);
    let size = match segment {
        0 => step + 8,
        _ => (step + 0x108) << (segment - 1),
    };
    if byte & 0x80 == 0 { -size } else { size }
}

/// ITU-T G.711.
fn mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let size = (((i16::from(byte & 0x0f) << 3) + 0x84) << (byte >> 4 & 7)) - 0x84;
    if byte & 0x80 == 0 { size } else { -size }
}
