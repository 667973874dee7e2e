use hybrid_audio::{Pieces, to_wav};
use hybrid_guest::bytes;
use hybrid_guest::types::{Failure, Media, Reason};

/// More than five thousand characters, read slowly, have in 32-bit samples at 24 kHz.
const MOST: usize = 64 << 20;

/// What the model made, as WAV in pieces.
///
/// All of it is read before the answer is said to be one, also where it is a WAV already: only then is its length known to
/// be true, and another model can still be asked where this one sent garbage or broke off.
pub(crate) async fn wav(audio: Media) -> Result<Vec<Vec<u8>>, Reason> {
    let pieces =
        bytes::pieces(audio.body, MOST).await.map_err(|_| failed("the model sent more than 64 MiB".to_owned()))?;
    to_wav(Pieces::from(pieces)).map_err(|unreadable| failed(format!("what the model sent {unreadable}")))
}

fn failed(message: String) -> Reason {
    Reason::Failed(Failure { message, status: None })
}
