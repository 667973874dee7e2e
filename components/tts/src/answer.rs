use hybrid_audio::{Pieces, to_flac, to_pcm, to_wav};
use hybrid_guest::bytes;
use hybrid_guest::types::{Failure, Media, Reason};

use crate::bindings::exports::hybrid::tts::tts::Form;

/// More than five thousand characters, read slowly, have in 32-bit samples at 24 kHz.
const MOST: usize = 64 << 20;

/// What players of bare samples expect, since OpenAI answers so.
const PCM_RATE: u32 = 24_000;

/// What the model made, in the form that was asked for, in pieces.
///
/// All of it is read before the answer is said to be one, also where it is a WAV already: only then is its length known to
/// be true, and another model can still be asked where this one sent garbage or broke off.
pub(crate) async fn shaped(audio: Media, form: Form) -> Result<Vec<Vec<u8>>, Reason> {
    let pieces =
        bytes::pieces(audio.body, MOST).await.map_err(|_| failed("the model sent more than 64 MiB".to_owned()))?;
    let pieces = Pieces::from(pieces);
    let shaped = match form {
        Form::Wav => to_wav(pieces),
        Form::Flac => to_flac(pieces),
        Form::Pcm => to_pcm(pieces, PCM_RATE),
    };
    shaped.map_err(|unreadable| failed(format!("what the model sent {unreadable}")))
}

pub(crate) fn media_type(form: Form) -> &'static str {
    match form {
        Form::Wav => "audio/wav",
        Form::Flac => "audio/flac",
        Form::Pcm => "audio/pcm",
    }
}

fn failed(message: String) -> Reason {
    Reason::Failed(Failure { message, status: None })
}
