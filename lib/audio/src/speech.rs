use crate::resample::{Resampler, resampled_length};
use crate::wav::push_pcm;
use crate::{Kind, Pieces, Sound, Unreadable};

/// What models that listen are trained on.
pub const SPEECH_RATE: u32 = 16_000;
/// An hour: beyond it a model inside the platform would be at it for longer than anybody waits.
const MOST: u64 = 3_600 * SPEECH_RATE as u64;

/// A sound as models inside the platform hear it: one channel of 16-bit PCM at 16 kHz, piece by piece.
pub struct Speech {
    sound: Sound,
    /// None where the rate is right already, or the end has come.
    resampler: Option<Resampler>,
    mono: Vec<f32>,
    given: u64,
}

impl Speech {
    pub fn open(bytes: &Pieces, kind: Kind) -> Result<Speech, Unreadable> {
        let sound = Sound::open(bytes, kind)?;
        let resampler = (sound.rate != SPEECH_RATE).then(|| Resampler::new(sound.rate, SPEECH_RATE));
        Ok(Speech { sound, resampler, mono: Vec::new(), given: 0 })
    }

    /// Decodes all of it, only to know how many samples there will be: a WAV says so before the first.
    pub fn samples(bytes: &Pieces, kind: Kind) -> Result<u64, Unreadable> {
        let mut sound = Sound::open(bytes, kind)?;
        let mut count = 0;
        while let Some(samples) = sound.decode()?.map(<[f32]>::len) {
            count += (samples / usize::from(sound.channels)) as u64;
        }
        let samples = resampled_length(count, u64::from(sound.rate), u64::from(SPEECH_RATE));
        if samples > MOST { Err(Unreadable::TooLong("an hour")) } else { Ok(samples) }
    }

    /// The next samples as bytes; none at the end.
    pub fn decode(&mut self) -> Result<Option<Vec<u8>>, Unreadable> {
        let mut resampled = Vec::new();
        while resampled.is_empty() {
            let channels = usize::from(self.sound.channels);
            let Some(samples) = self.sound.decode()? else {
                let Some(mut resampler) = self.resampler.take() else { return Ok(None) };
                resampler.finish(&mut resampled);
                break;
            };
            self.mono.clear();
            self.mono.extend(samples.chunks_exact(channels).map(|all| all.iter().sum::<f32>() / channels as f32));
            match &mut self.resampler {
                Some(resampler) => resampler.push(&self.mono, &mut resampled),
                None => std::mem::swap(&mut resampled, &mut self.mono),
            }
        }
        self.given += resampled.len() as u64;
        if self.given > MOST {
            return Err(Unreadable::TooLong("an hour"));
        }
        let mut pcm = Vec::with_capacity(resampled.len() * 2);
        push_pcm(&resampled, &mut pcm);
        Ok(Some(pcm))
    }
}
