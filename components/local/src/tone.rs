//! A tune in place of speech: a short tone for each letter, its pitch the letter's, a breath between words.

pub(crate) const MODEL: &str = "local/tone";

const RATE: u32 = 22_050;
/// A minute and 2.6 MB: enough to hear that a long text is long.
const MAX_SAMPLES: u32 = 60 * RATE;
/// What is made and sent at once, about a third of a second.
const PIECE_SAMPLES: u32 = 8192;
/// With the harmonics below at their loudest together this stays under full scale.
const VOLUME: f32 = 0.55;

const VOWEL_SECONDS: f32 = 0.11;
const CONSONANT_SECONDS: f32 = 0.055;
const WORD_GAP_SECONDS: f32 = 0.08;
const SENTENCE_GAP_SECONDS: f32 = 0.25;
/// A tone that starts or ends at once clicks.
const FADE_SECONDS: f32 = 0.012;

/// One tone, or silence when the pitch is zero.
struct Note {
    samples: u32,
    hertz: f32,
    loudness: f32,
    /// Whether a word begins or ends with it, and it comes out of silence or goes there.
    first: bool,
    last: bool,
}

/// A tune being played: its samples are made as they are asked for.
pub(crate) struct Tune {
    notes: Vec<Note>,
    total: u32,
    at: usize,
    within: u32,
    phase: f32,
    loudness: f32,
}

impl Tune {
    pub(crate) fn of(text: &str, speaker_id: Option<u32>, speed: Option<f32>) -> Tune {
        let speed = speed.filter(|speed| speed.is_finite()).unwrap_or(1.0).clamp(0.25, 4.0);
        // Thirds, up and then around again: neighbours are told apart and the sixth is still no whistle.
        let base = 165.0 * 2_f32.powf((speaker_id.unwrap_or(0) % 6) as f32 * 4.0 / 12.0);
        let samples = |seconds: f32| (seconds / speed * RATE as f32) as u32;

        let mut notes: Vec<Note> = Vec::new();
        let mut total = 0;
        let mut letters = text.chars().flat_map(char::to_lowercase).peekable();
        let mut first = true;
        while let Some(letter) = letters.next()
            && total < MAX_SAMPLES
        {
            let spoken = letter.is_alphanumeric();
            let note = if spoken {
                let vowel = is_vowel(letter);
                Note {
                    samples: samples(if vowel { VOWEL_SECONDS } else { CONSONANT_SECONDS }),
                    hertz: base * 2_f32.powf(semitones(letter) / 12.0),
                    loudness: if vowel { 1.0 } else { 0.45 },
                    first,
                    last: !letters.peek().is_some_and(|next| next.is_alphanumeric()),
                }
            } else {
                let ends = matches!(letter, '.' | '!' | '?' | ':' | ';' | ',' | '\n' | '。' | '、' | '！' | '？');
                let gap = if ends { SENTENCE_GAP_SECONDS } else { WORD_GAP_SECONDS };
                Note { samples: samples(gap), hertz: 0.0, loudness: 0.0, first: false, last: false }
            };
            first = !spoken;
            total += note.samples.min(MAX_SAMPLES - total);
            notes.push(note);
        }
        if total == 0 {
            // No player likes a file without a sound in it.
            total = samples(SENTENCE_GAP_SECONDS);
            notes.push(Note { samples: total, hertz: 0.0, loudness: 0.0, first: false, last: false });
        }
        Tune { notes, total, at: 0, within: 0, phase: 0.0, loudness: 0.0 }
    }

    /// The head of a WAV file, true in its sizes.
    pub(crate) fn header(&self) -> [u8; 44] {
        let data = self.total * 2;
        let mut header = [0; 44];
        header[0..4].copy_from_slice(b"RIFF");
        header[4..8].copy_from_slice(&(36 + data).to_le_bytes());
        header[8..16].copy_from_slice(b"WAVEfmt ");
        header[16..20].copy_from_slice(&16_u32.to_le_bytes());
        header[20..22].copy_from_slice(&1_u16.to_le_bytes());
        header[22..24].copy_from_slice(&1_u16.to_le_bytes());
        header[24..28].copy_from_slice(&RATE.to_le_bytes());
        header[28..32].copy_from_slice(&(RATE * 2).to_le_bytes());
        header[32..34].copy_from_slice(&2_u16.to_le_bytes());
        header[34..36].copy_from_slice(&16_u16.to_le_bytes());
        header[36..40].copy_from_slice(b"data");
        header[40..44].copy_from_slice(&data.to_le_bytes());
        header
    }

    /// The next samples, little-endian; none after the last.
    pub(crate) fn piece(&mut self) -> Option<Vec<u8>> {
        let count = self.total.min(PIECE_SAMPLES);
        if count == 0 {
            return None;
        }
        self.total -= count;
        Some((0..count).flat_map(|_| self.sample().to_le_bytes()).collect())
    }

    fn sample(&mut self) -> i16 {
        let Some(note) = self.notes.get(self.at) else { return 0 };
        let mut target = note.loudness;
        let fade = (note.samples as f32 / 2.0).min(FADE_SECONDS * RATE as f32).max(1.0);
        if note.first && self.within == 0 {
            self.phase = 0.0;
        }
        if note.last && (note.samples - self.within) as f32 <= fade {
            target = 0.0;
        }
        self.loudness += (target - self.loudness).clamp(-1.0 / fade, 1.0 / fade);
        self.phase = (self.phase + note.hertz / RATE as f32).fract();
        let (sine, cosine) = (self.phase * std::f32::consts::TAU).sin_cos();
        // The second and third harmonic from the first: sin 2x and sin 3x.
        let voice = (sine + 0.4 * (2.0 * sine * cosine) + 0.2 * (3.0 * sine - 4.0 * sine * sine * sine)) / 1.6;
        self.within += 1;
        if self.within >= note.samples {
            self.at += 1;
            self.within = 0;
        }
        (voice * self.loudness * VOLUME * f32::from(i16::MAX)) as i16
    }
}

fn is_vowel(letter: char) -> bool {
    // Beyond ASCII one cannot say, and most scripts write syllables.
    matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u' | 'y') || !letter.is_ascii()
}

/// Letters walk up and down a pentatonic scale, in which no two tones sound wrong after one another.
fn semitones(letter: char) -> f32 {
    const SCALE: [f32; 10] = [0.0, 2.0, 4.0, 7.0, 9.0, 12.0, 14.0, 16.0, 19.0, 21.0];
    SCALE[(u32::from(letter).wrapping_mul(7) % SCALE.len() as u32) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segments::Listener;

    fn wav(text: &str, speaker_id: Option<u32>, speed: Option<f32>) -> Vec<u8> {
        let mut tune = Tune::of(text, speaker_id, speed);
        let mut bytes = tune.header().to_vec();
        while let Some(piece) = tune.piece() {
            bytes.extend(piece);
        }
        bytes
    }

    fn samples(wav: &[u8]) -> Vec<i16> {
        wav[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }

    #[test]
    fn the_file_is_as_long_as_it_says() {
        for text in ["", "Hello", "One two three. Four!", "日本語"] {
            let wav = wav(text, None, None);
            let data = u32::from_le_bytes([wav[40], wav[41], wav[42], wav[43]]) as usize;
            assert_eq!(wav.len(), 44 + data, "{text}");
            assert!(data > 0);
            let mut listener = Listener::default();
            listener.hear(&wav).expect("a WAV");
            let heard = listener.heard().expect("a WAV");
            assert!((heard.duration - data as f64 / 44_100.0).abs() < 1e-9);
        }
    }

    #[test]
    fn more_text_is_a_longer_tune_up_to_a_minute() {
        let lengths: Vec<usize> =
            ["Hello", "Hello world", "Hello world, how are you?"].map(|text| wav(text, None, None).len()).into();
        assert!(lengths.is_sorted_by(|a, b| a < b), "{lengths:?}");
        assert_eq!(wav(&"Hello world. ".repeat(1000), None, None).len(), 44 + 2 * MAX_SAMPLES as usize);
    }

    #[test]
    fn speed_and_speaker_are_heard() {
        let (slow, fast) = (wav("Hello world", None, Some(0.5)), wav("Hello world", None, Some(2.0)));
        let ratio = slow.len() as f32 / fast.len() as f32;
        assert!((3.8..4.2).contains(&ratio), "{ratio}");
        assert_ne!(wav("Hello", Some(0), None), wav("Hello", Some(1), None));
        assert_eq!(wav("Hello", None, Some(f32::NAN)), wav("Hello", None, None));
    }

    #[test]
    fn it_is_loud_enough_and_neither_clips_nor_clicks() {
        let samples = samples(&wav("The quick brown fox jumps over the lazy dog, and 42 others.", None, None));
        let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().expect("samples");
        assert!((8_000..20_000).contains(&peak), "{peak}");
        let jump =
            samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().expect("samples");
        assert!(jump < 6_000, "{jump}");
        assert!(samples.last().is_some_and(|last| last.abs() < 1_000));
    }
}
