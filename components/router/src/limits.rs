//! How much of everything is taken, and why. Where a setting changes a limit, it bears the limit's name.

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use hybrid_guest::settings;

/// The smallest picture that diffusion models draw, and the step their latent space asks for.
pub(crate) const MIN_PICTURE_SIDE: u64 = 64;
pub(crate) const PICTURE_SIDE_STEP: u64 = 8;
pub(crate) const DEFAULT_PICTURE_SIDE: u32 = 512;
/// More steps cost minutes and change nothing that can be seen.
pub(crate) const STEPS: RangeInclusive<u64> = 1..=150;
pub(crate) const GUIDANCE: RangeInclusive<f64> = 0.0..=50.0;
pub(crate) const STRENGTH: RangeInclusive<f64> = 0.0..=1.0;
/// JSON numbers are exact up to here in every language that will read them.
pub(crate) const SEED: RangeInclusive<u64> = 0..=(1 << 53) - 1;
/// The largest collection of voices there is (VCTK, LibriTTS) counts some thousand.
pub(crate) const SPEAKER: RangeInclusive<u64> = 0..=65_535;
pub(crate) const SPEED: RangeInclusive<f64> = 0.25..=4.0;
pub(crate) const MAX_TOKENS: RangeInclusive<u64> = 1..=32_768;
/// OpenAI's clients ask for as much as their models can; ours will say what they can.
pub(crate) const OPENAI_MAX_TOKENS: RangeInclusive<u64> = 1..=u32::MAX as u64;
/// Answers to one question, as OpenAI has it.
pub(crate) const CHOICES: RangeInclusive<u64> = 1..=128;
/// Pictures for one prompt, as OpenAI has it.
pub(crate) const PICTURES: RangeInclusive<u64> = 1..=10;
/// Texts for one request for vectors, as OpenAI has it.
pub(crate) const EMBEDDING_TEXTS: usize = 2_048;
/// Numbers in one answer of vectors: 2,048 of 2,048, or 16 MB.
pub(crate) const EMBEDDING_NUMBERS: usize = 1 << 22;
/// Pictures that stand in a conversation, as base64: four phone photos, or what models' servers take in all.
const CHAT_PICTURE_BYTES: u64 = 16 << 20;
/// Many texts for one request for vectors: a book.
const EMBEDDING_BYTES: u64 = 8 << 20;
pub(crate) const TEMPERATURE: RangeInclusive<f64> = 0.0..=2.0;
/// Ten minutes: what one request may take at most.
pub(crate) const TIMEOUT_MS: RangeInclusive<u64> = 1..=600_000;
pub(crate) const RETRIES: RangeInclusive<u64> = 0..=10;
pub(crate) const FALLBACK_MODELS: usize = 10;
pub(crate) const MODEL_BYTES: usize = 200;

/// One character is at most a surrogate pair of escapes, `\ud83d\ude00`.
const BYTES_PER_CHARACTER: u64 = 12;
/// Names, numbers, white space and what we do not know.
const SLACK_BYTES: u64 = 64 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Text encoders of picture models read 77 to 512 tokens.
    pub prompt_chars: u64,
    /// Five minutes of speech.
    pub tts_chars: u64,
    pub llm_messages: u64,
    /// 50,000 tokens: more than the models of the chain take.
    pub llm_chars: u64,
    /// 8,000 tokens: the longest input of common embedding models.
    pub embedding_chars: u64,
    /// Ten minutes of uncompressed speech, and any photo.
    pub upload_bytes: u64,
    /// What the models of the chain draw at most.
    pub picture_side: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            prompt_chars: 2_000,
            tts_chars: 5_000,
            llm_messages: 200,
            llm_chars: 200_000,
            embedding_chars: 32_000,
            upload_bytes: 25 * 1024 * 1024,
            picture_side: 2_048,
        }
    }
}

impl Limits {
    pub(crate) fn get() -> &'static Limits {
        static LIMITS: OnceLock<Limits> = OnceLock::new();
        LIMITS.get_or_init(|| {
            let usual = Limits::default();
            Limits {
                prompt_chars: settings::parsed("max_prompt_chars", usual.prompt_chars),
                tts_chars: settings::parsed("max_tts_chars", usual.tts_chars),
                llm_messages: settings::parsed("max_llm_messages", usual.llm_messages),
                llm_chars: settings::parsed("max_llm_chars", usual.llm_chars),
                embedding_chars: settings::parsed("max_embedding_chars", usual.embedding_chars),
                upload_bytes: settings::parsed("max_upload_bytes", usual.upload_bytes),
                picture_side: settings::parsed("max_picture_side", usual.picture_side),
            }
        })
    }

    /// Bytes of a JSON body that holds this many characters.
    pub(crate) fn json_bytes(characters: u64) -> u64 {
        characters.saturating_mul(BYTES_PER_CHARACTER).saturating_add(SLACK_BYTES)
    }

    /// Bytes of a conversation with pictures in it.
    pub(crate) fn chat_bytes(&self) -> u64 {
        Limits::json_bytes(self.llm_chars).saturating_add(CHAT_PICTURE_BYTES)
    }

    /// Bytes of many texts.
    pub(crate) fn texts_bytes(&self) -> u64 {
        Limits::json_bytes(self.embedding_chars).saturating_add(EMBEDDING_BYTES)
    }

    /// Bytes of a JSON body with a picture and its mask, which together hold no more than one upload may.
    pub(crate) fn json_upload_bytes(&self) -> u64 {
        (self.upload_bytes / 3 * 4).saturating_add(Limits::json_bytes(2 * self.prompt_chars))
    }

    /// Bytes of a form with files, which together hold no more than one upload may.
    pub(crate) fn form_bytes(&self) -> u64 {
        self.upload_bytes.saturating_add(SLACK_BYTES)
    }
}
