//! Where somebody speaks in a recording, by how loud it is. What is said, it does not know.

use hybrid_guest::types::{Reason, Segment};

pub(crate) const MODEL: &str = "local/speech-segments";

/// Loudness is taken over this long: shorter than a syllable, longer than a voice's period.
const FRAME_SECONDS: f64 = 0.02;
/// Pauses up to this long belong to what is said: stops within words, breaths within a phrase.
const HANGOVER_FRAMES: usize = 15;
/// What is shorter is a knock, not a word.
const MIN_SPEECH_FRAMES: usize = 10;
/// Below this (dB under full scale) nobody was meant to be heard.
const SILENCE_DB: f32 = -50.0;
/// Above the room's own noise by this much at least.
const ABOVE_NOISE_DB: f32 = 6.0;
/// More channels than any microphone array that uploads here.
const MAX_CHANNELS: u16 = 64;
/// Chunks before the sound are titles and cues. A larger `fmt ` is none.
const MAX_FORMAT: u32 = 1024;

pub(crate) struct Heard {
    /// Seconds.
    pub(crate) duration: f64,
    pub(crate) segments: Vec<Segment>,
    /// Of the speech, in dB of full scale; of all of it where there is no speech. None where there is no sound.
    pub(crate) loudness: Option<f32>,
}

/// Takes a WAV file in pieces, split anywhere, and keeps one number for each frame of it.
#[derive(Default)]
pub(crate) struct Listener {
    at: At,
    /// The beginning of something whose rest has not come yet.
    begun: Vec<u8>,
    format: Option<Format>,
    samples: u64,
    energy: f64,
    in_frame: u32,
    /// Loudness of each frame in dB of full scale.
    frames: Vec<f32>,
}

/// What comes next in the file.
#[derive(Default, Clone, Copy)]
enum At {
    #[default]
    Riff,
    Chunk,
    Format {
        size: u32,
    },
    Skipped {
        left: u64,
    },
    /// None: to the end of the file, as writers to a pipe say that do not know.
    Sound {
        left: Option<u64>,
    },
    After,
}

#[derive(Clone, Copy)]
struct Format {
    channels: u16,
    rate: u32,
    frame: u32,
}

impl Listener {
    pub(crate) fn hear(&mut self, mut bytes: &[u8]) -> Result<(), Reason> {
        loop {
            match self.at {
                At::Riff => {
                    let Some(head) = self.taken(&mut bytes, 12) else { return Ok(()) };
                    if &head[..4] != b"RIFF" || &head[8..] != b"WAVE" {
                        return Err(unsupported("is not a WAV file"));
                    }
                    self.at = At::Chunk;
                }
                At::Chunk => {
                    let Some(head) = self.taken(&mut bytes, 8) else { return Ok(()) };
                    let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
                    self.at = match (&head[..4], self.format) {
                        (b"fmt ", _) if (16..=MAX_FORMAT).contains(&size) => At::Format { size },
                        (b"fmt ", _) => return Err(unsupported("has a broken header")),
                        (b"data", None) => return Err(unsupported("has a broken header")),
                        (b"data", Some(_)) => {
                            let known = !matches!(size, 0 | u32::MAX);
                            At::Sound { left: known.then_some(u64::from(size)) }
                        }
                        // Chunks begin at even places.
                        _ => At::Skipped { left: u64::from(size) + u64::from(size % 2) },
                    };
                }
                At::Format { size } => {
                    let Some(fields) = self.taken(&mut bytes, (size + size % 2) as usize) else { return Ok(()) };
                    self.format = Some(format(&fields)?);
                    self.at = At::Chunk;
                }
                At::Skipped { left } => {
                    let count = left.min(bytes.len() as u64);
                    bytes = &bytes[count as usize..];
                    self.at = if count == left { At::Chunk } else { At::Skipped { left: left - count } };
                    if bytes.is_empty() {
                        return Ok(());
                    }
                }
                At::Sound { left } => {
                    let count = left.map_or(bytes.len(), |left| left.min(bytes.len() as u64) as usize);
                    let (sound, rest) = bytes.split_at(count);
                    bytes = rest;
                    let left = left.map(|left| left - count as u64);
                    self.at = if left == Some(0) { At::After } else { At::Sound { left } };
                    self.sound(sound);
                    if bytes.is_empty() {
                        return Ok(());
                    }
                }
                At::After => return Ok(()),
            }
        }
    }

    pub(crate) fn heard(self) -> Result<Heard, Reason> {
        let Some(format) = self.format.filter(|_| matches!(self.at, At::Sound { .. } | At::After)) else {
            return Err(unsupported("ends before its sound begins"));
        };
        let channels = f64::from(format.channels);
        let duration = (self.samples as f64 / channels).floor() / f64::from(format.rate);
        let frame = f64::from(format.frame) / f64::from(format.rate);
        let speech = speech(&self.frames);
        let loudness = loudness(&self.frames, &speech);
        let segments = speech
            .into_iter()
            .map(|(start, end)| Segment {
                start: start as f64 * frame,
                end: Some((end as f64 * frame).min(duration)),
                text: String::new(),
            })
            .collect();
        Ok(Heard { duration, segments, loudness })
    }

    /// The next `count` bytes once they are all there.
    fn taken(&mut self, bytes: &mut &[u8], count: usize) -> Option<Vec<u8>> {
        let missing = count.saturating_sub(self.begun.len()).min(bytes.len());
        let (more, rest) = bytes.split_at(missing);
        self.begun.extend_from_slice(more);
        *bytes = rest;
        (self.begun.len() >= count).then(|| std::mem::take(&mut self.begun))
    }

    fn sound(&mut self, mut bytes: &[u8]) {
        if let (Some(&low), Some(&high)) = (self.begun.first(), bytes.first()) {
            self.begun.clear();
            bytes = &bytes[1..];
            self.sample(i16::from_le_bytes([low, high]));
        }
        let (pairs, odd) = bytes.as_chunks::<2>();
        for &pair in pairs {
            self.sample(i16::from_le_bytes(pair));
        }
        self.begun.extend_from_slice(odd);
    }

    fn sample(&mut self, sample: i16) {
        let Some(format) = self.format else { return };
        let level = f64::from(sample) / 32_768.0;
        self.energy += level * level;
        self.samples += 1;
        self.in_frame += 1;
        let whole = format.frame * u32::from(format.channels);
        if self.in_frame == whole {
            // One part in a million million, so that silence has a logarithm.
            self.frames.push(10.0 * (self.energy / f64::from(whole) + 1e-12).log10() as f32);
            self.energy = 0.0;
            self.in_frame = 0;
        }
    }
}

fn format(fields: &[u8]) -> Result<Format, Reason> {
    let short = |at: usize| u16::from_le_bytes([fields[at], fields[at + 1]]);
    // The extensible form (0xFFFE) says in its first two bytes of sixteen what the plain one says at once.
    let kind = if short(0) == 0xfffe && fields.len() >= 40 { short(24) } else { short(0) };
    let (channels, rate, bits) =
        (short(2), u32::from_le_bytes([fields[4], fields[5], fields[6], fields[7]]), short(14));
    if kind != 1 || bits != 16 {
        return Err(unsupported("is not 16-bit PCM"));
    }
    if !(1..=MAX_CHANNELS).contains(&channels) || !(1_000..=768_000).contains(&rate) {
        return Err(unsupported("has a broken header"));
    }
    Ok(Format { channels, rate, frame: (f64::from(rate) * FRAME_SECONDS) as u32 })
}

fn unsupported(what: &str) -> Reason {
    Reason::UnsupportedMedia(format!("the recording {what}: `{MODEL}` takes 16-bit PCM WAV"))
}

/// Stretches of frames, from and to, in which somebody speaks.
fn speech(frames: &[f32]) -> Vec<(usize, usize)> {
    let threshold = threshold(frames);
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (at, _) in frames.iter().enumerate().filter(|(_, loudness)| **loudness > threshold) {
        match found.last_mut() {
            Some((_, end)) if at - *end <= HANGOVER_FRAMES => *end = at + 1,
            _ => found.push((at, at + 1)),
        }
    }
    found.retain(|(start, end)| end - start >= MIN_SPEECH_FRAMES);
    found
}

/// The root mean square over the stretches, to a tenth of a decibel.
fn loudness(frames: &[f32], stretches: &[(usize, usize)]) -> Option<f32> {
    let heard: Vec<f32> = match stretches {
        [] => frames.to_vec(),
        stretches => stretches.iter().flat_map(|&(start, end)| &frames[start..end]).copied().collect(),
    };
    let power = heard.iter().map(|db| 10_f64.powf(f64::from(*db) / 10.0)).sum::<f64>() / heard.len() as f64;
    (!heard.is_empty()).then(|| (100.0 * power.log10()).round() as f32 / 10.0)
}

/// Between the room's noise and the voice, nearer to the noise. A recording without a pause is all voice.
fn threshold(frames: &[f32]) -> f32 {
    let mut sorted = frames.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let (Some(&noise), Some(&voice)) = (sorted.get(sorted.len() / 10), sorted.get(sorted.len() * 19 / 20)) else {
        return SILENCE_DB;
    };
    (noise + (0.35 * (voice - noise)).max(ABOVE_NOISE_DB)).min(voice - ABOVE_NOISE_DB).max(SILENCE_DB)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 16_000;

    /// (seconds, loudness from 0 to 1) one after the other; a little noise under all of it.
    fn sound(stretches: &[(f32, f32)]) -> Vec<u8> {
        let mut noise = 1_u32;
        let mut bytes = Vec::new();
        for &(seconds, loudness) in stretches {
            for at in 0..(seconds * RATE as f32) as u32 {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let hiss = (noise >> 16) as f32 / 65_536.0 - 0.5;
                let level = loudness * (at as f32 * 0.08).sin() + 0.004 * hiss;
                bytes.extend(((level * 32_767.0) as i16).to_le_bytes());
            }
        }
        bytes
    }

    fn wav(sound: &[u8], fmt: &[u8], size: u32) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
        for (name, content) in [(b"LIST", &b"odd"[..]), (b"fmt ", fmt)] {
            bytes.extend(name);
            bytes.extend((content.len() as u32).to_le_bytes());
            bytes.extend(content);
            bytes.resize(bytes.len() + content.len() % 2, 0);
        }
        bytes.extend(b"data");
        bytes.extend(size.to_le_bytes());
        bytes.extend(sound);
        bytes
    }

    fn fmt(kind: u16, channels: u16, bits: u16) -> Vec<u8> {
        let mut fmt = Vec::new();
        fmt.extend(kind.to_le_bytes());
        fmt.extend(channels.to_le_bytes());
        fmt.extend(RATE.to_le_bytes());
        fmt.extend((RATE * u32::from(channels * bits / 8)).to_le_bytes());
        fmt.extend((channels * bits / 8).to_le_bytes());
        fmt.extend(bits.to_le_bytes());
        if kind == 0xfffe {
            fmt.extend([22, 0, 16, 0, 4, 0, 0, 0, 1, 0]);
            fmt.extend(b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
        }
        fmt
    }

    fn heard(wav: &[u8], piece: usize) -> Result<Heard, Reason> {
        let mut listener = Listener::default();
        for piece in wav.chunks(piece) {
            listener.hear(piece)?;
        }
        listener.heard()
    }

    #[track_caller]
    fn assert_found(heard: &Heard, wanted: &[(f64, f64)]) {
        let found: Vec<(f64, f64)> = heard.segments.iter().map(|s| (s.start, s.end.expect("an end"))).collect();
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found.0 - wanted.0).abs() < 0.06 && (found.1 - wanted.1).abs() < 0.06, "{found:?} {wanted:?}");
        }
    }

    #[test]
    fn speech_is_found_however_the_bytes_come() {
        let sound = sound(&[(0.5, 0.0), (1.0, 0.3), (0.8, 0.0), (0.6, 0.1), (0.4, 0.0)]);
        for size in [sound.len() as u32, 0, u32::MAX] {
            for (kind, piece) in [(1, usize::MAX), (1, 1), (0xfffe, 7), (0xfffe, 4096)] {
                let heard = heard(&wav(&sound, &fmt(kind, 1, 16), size), piece).expect("a WAV");
                assert!((heard.duration - 3.3).abs() < 1e-3, "{}", heard.duration);
                assert_found(&heard, &[(0.5, 1.5), (2.3, 2.9)]);
            }
        }
    }

    #[test]
    fn short_pauses_join_and_short_noises_are_no_speech() {
        let sound = sound(&[(0.5, 0.0), (0.4, 0.3), (0.15, 0.0), (0.4, 0.3), (0.6, 0.0), (0.1, 0.3), (0.6, 0.0)]);
        let heard = heard(&wav(&sound, &fmt(1, 1, 16), 0), 999).expect("a WAV");
        assert_found(&heard, &[(0.5, 1.45)]);
    }

    #[test]
    fn silence_has_no_segment_and_speech_without_a_pause_has_one() {
        let quiet = heard(&wav(&sound(&[(1.0, 0.0)]), &fmt(1, 1, 16), 0), 512).expect("a WAV");
        assert_found(&quiet, &[]);
        let steady = heard(&wav(&sound(&[(1.0, 0.3)]), &fmt(1, 1, 16), 0), 512).expect("a WAV");
        assert_found(&steady, &[(0.0, 1.0)]);
        let none = heard(&wav(&[], &fmt(1, 1, 16), 0), 512).expect("a WAV");
        assert_eq!((none.duration, none.segments.len(), none.loudness), (0.0, 0, None));
    }

    #[test]
    fn loudness_is_that_of_the_speech() {
        // A sine of this height has its root mean square 3 dB under it; pauses do not count.
        let heard = heard(&wav(&sound(&[(1.0, 0.0), (1.0, 0.5), (1.0, 0.0)]), &fmt(1, 1, 16), 0), 512).expect("a WAV");
        let loudness = heard.loudness.expect("a sound");
        assert!((loudness + 9.0).abs() < 0.7, "{loudness}");
    }

    #[test]
    fn two_channels_are_half_as_long_and_what_follows_the_sound_is_left_out() {
        let mut file = wav(&sound(&[(2.0, 0.3)]), &fmt(1, 2, 16), 2 * 2 * RATE);
        file.extend(b"LIST\x04\0\0\0abcd");
        assert!((heard(&file, 3).expect("a WAV").duration - 1.0).abs() < 1e-3);
    }

    #[test]
    fn what_is_no_16_bit_wav_is_refused() {
        let files = [
            b"ID3\x04 this is an MP3".to_vec(),
            wav(&[0; 8], &fmt(3, 1, 32), 8),
            wav(&[0; 8], &fmt(1, 1, 8), 8),
            wav(&[0; 8], &fmt(1, 0, 16), 8),
            wav(&[0; 8], &[1, 0], 8),
            b"RIFF".to_vec(),
            Vec::new(),
        ];
        for file in files {
            assert!(matches!(heard(&file, 5), Err(Reason::UnsupportedMedia(_))), "{file:?}");
        }
    }
}
