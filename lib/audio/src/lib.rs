//! Sounds on their way to a model and back: told apart, decoded piece by piece, written as WAV.
//!
//! What a sound is comes from its first bytes, never from what somebody says it is. Nothing here holds a decoded sound as a
//! whole, but for `to_wav`, whose header comes first and must know the length.

mod flac;
mod mp4;
mod pieces;
mod resample;
mod sniff;
mod sound;
mod speech;
mod wav;

#[cfg(test)]
mod tests;

pub use flac::to_flac;
pub use pieces::Pieces;
pub use sniff::Kind;
pub use sound::Sound;
pub use speech::{SPEECH_RATE, Speech};
pub use wav::{header, to_pcm, to_wav};

/// Why a sound is not read. The text goes on after the field's name: "`audio` …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("is not a sound that can be read: it must be flac, mp3, ogg, wav, webm or m4a")]
    Unknown,
    #[error("is not a sound that can be read: {0}")]
    Broken(String),
    #[error("must not be longer than {0}")]
    TooLong(&'static str),
}

impl Unreadable {
    fn silent() -> Self {
        Unreadable::Broken("there is no sound in it".to_owned())
    }
}

impl From<symphonia::core::errors::Error> for Unreadable {
    fn from(error: symphonia::core::errors::Error) -> Self {
        Unreadable::Broken(error.to_string())
    }
}

impl From<std::io::Error> for Unreadable {
    fn from(error: std::io::Error) -> Self {
        Unreadable::Broken(error.to_string())
    }
}
