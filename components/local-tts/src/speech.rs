//! A text being spoken: its length is known before its first sample, and its samples are made as they are asked for.

use crate::fold::{Foreign, fold};
use crate::phrases::phrases;
use crate::prosody::{Phrase, Tune, timed};
use crate::reader::read;
use crate::synth::{FRAME, RATE, Synth};
use crate::track::{frame_count, frames, throat};
use crate::voice::{VOICES, Voice};

/// Why a text is not spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unspeakable {
    Foreign(Foreign),
    /// Nothing in it that anybody would say.
    Nothing,
}

pub(crate) struct Speech {
    phrases: std::vec::IntoIter<Phrase>,
    voice: &'static Voice,
    pace: f32,
    samples: u32,
    synth: Option<Synth>,
}

impl Speech {
    /// `speed` is 2.0 for twice as fast.
    pub(crate) fn of(text: &str, voice: &'static Voice, speed: f32) -> Result<Speech, Unspeakable> {
        let text = fold(text).map_err(Unspeakable::Foreign)?;
        let phrases = phrases(&read(&text));
        if phrases.is_empty() {
            return Err(Unspeakable::Nothing);
        }
        let pace = voice.pace / speed;
        let samples = phrases.iter().map(|phrase| frames_of(phrase, pace) * FRAME).sum::<usize>() as u32;
        Ok(Speech { phrases: phrases.into_iter(), voice, pace, samples, synth: None })
    }

    pub(crate) fn voice(speaker_id: u32) -> Option<&'static Voice> {
        VOICES.get(speaker_id as usize)
    }

    /// The head of a WAV file, true in its sizes.
    pub(crate) fn header(&self) -> [u8; 44] {
        hybrid_audio::header(RATE, 1, self.samples * 2)
    }

    /// The samples of the next phrase, little-endian; none after the last.
    pub(crate) fn piece(&mut self) -> Option<Vec<u8>> {
        let phrase = self.phrases.next()?;
        let segments = timed(&phrase, self.pace);
        let tune = Tune::of(&phrase, &segments);
        let frames = frames(&segments, &tune, self.voice, self.pace);
        let first = *frames.first()?;
        let synth = self.synth.get_or_insert_with(|| Synth::new(throat(self.voice), first));
        let mut bytes = Vec::with_capacity(frames.len() * FRAME * 2);
        let mut samples = Vec::with_capacity(FRAME);
        for frame in &frames {
            synth.frame(frame, &mut samples);
            bytes.extend(samples.drain(..).flat_map(|sample| pcm(sample).to_le_bytes()));
        }
        Some(bytes)
    }
}

fn frames_of(phrase: &Phrase, pace: f32) -> usize {
    frame_count(timed(phrase, pace).iter().map(|segment| segment.milliseconds).sum())
}

/// Straight up to two thirds of full scale, then ever flatter: loud moments bend instead of breaking.
fn pcm(sample: f32) -> i16 {
    const KNEE: f32 = 0.66;
    let over = sample.abs() - KNEE;
    let bent = if over > 0.0 { (KNEE + (1.0 - KNEE) * (over / (1.0 - KNEE)).tanh()).copysign(sample) } else { sample };
    (bent * 32_000.0) as i16
}
