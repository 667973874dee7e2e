use hybrid_audio::{Kind, Pieces, SPEECH_RATE, Speech, Unreadable, header};
use hybrid_guest::bytes::TooLong;
use hybrid_guest::types::Reason;

/// A recording, and what it is.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) kind: Kind,
    /// Kept as it came, for as many models as will be asked.
    pub(crate) audio: Pieces,
}

impl Input {
    pub(crate) fn read(audio: Result<Vec<Vec<u8>>, TooLong>, max_bytes: usize) -> Result<Input, Reason> {
        let too_large = |_| Reason::TooLarge(format!("`audio` must have at most {max_bytes} bytes"));
        let audio = Pieces::from(audio.map_err(too_large)?);
        if audio.is_empty() {
            return Err(Reason::invalid("audio", "must not be empty"));
        }
        let unsupported = || Reason::UnsupportedMedia("`audio` must be flac, mp3, ogg, wav, webm or m4a".to_owned());
        let kind = Kind::of(&audio.head()).ok_or_else(unsupported)?;
        Ok(Input { kind, audio })
    }

    /// The recording as models inside the platform take it: a WAV of one channel of 16-bit PCM at 16 kHz, made piece by
    /// piece. It is decoded twice, the first time for the length in the header: an hour of it is 115 MB, too much to keep.
    pub(crate) fn wav(&self) -> Result<impl Iterator<Item = Vec<u8>> + 'static, Reason> {
        let wrong = |unreadable: Unreadable| Reason::invalid("audio", unreadable.to_string());
        let samples = Speech::samples(&self.audio, self.kind).map_err(wrong)?;
        let mut speech = Speech::open(&self.audio, self.kind).map_err(wrong)?;
        let header = header(SPEECH_RATE, 1, (samples * 2) as u32).to_vec();
        Ok(std::iter::once(header).chain(std::iter::from_fn(move || speech.decode().ok().flatten())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(audio: Result<Vec<Vec<u8>>, TooLong>) -> Reason {
        Input::read(audio, 100).expect_err("it is refused")
    }

    #[test]
    fn a_recording_is_taken_for_what_its_bytes_say() {
        let flac = Input::read(Ok(vec![b"fL".to_vec(), b"aC....".to_vec()]), 100).expect("it is flac");
        assert_eq!(flac.kind.media_type(), "audio/flac");
        assert!(
            matches!(refused(Ok(vec![b"hello".to_vec()])), Reason::UnsupportedMedia(text) if text.contains("flac"))
        );
        assert!(matches!(refused(Ok(Vec::new())), Reason::Invalid(problems) if problems[0].field == "audio"));
        assert!(matches!(refused(Err(TooLong)), Reason::TooLarge(text) if text.contains("100 bytes")));
    }

    #[test]
    fn models_inside_get_16_khz_mono_whatever_came() {
        // A tenth of a second of stereo at 8 kHz.
        let samples = [0u8, 0x40].repeat(2 * 800);
        let wav = [header(8_000, 2, samples.len() as u32).to_vec(), samples].concat();
        let input = Input::read(Ok(vec![wav]), 10_000).expect("it is a WAV");
        let Ok(wav) = input.wav() else { panic!("it is read") };
        let out = wav.collect::<Vec<_>>().concat();
        assert_eq!(out[..44], header(16_000, 1, 3_200));
        assert_eq!(out.len(), 44 + 3_200);
    }

    #[test]
    fn a_broken_recording_is_the_callers_to_mend() {
        let input = Input::read(Ok(vec![b"fLaC and then nothing of the kind".to_vec()]), 100).expect("so it seems");
        assert!(matches!(input.wav().err(), Some(Reason::Invalid(problems)) if problems[0].field == "audio"));
    }
}
