//! Picture edits by classical means, inside this component: the prompt's words are understood by a small grammar (README.md),
//! and what is not understood is refused. Other models are handed on to the next link of the chain.

mod band;
mod edit;
mod inpaint;
mod operation;
mod place;
mod prompt;
mod shape;
#[cfg(test)]
mod tests;
mod texture;
mod tone;

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::LocalImageEdit;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/provider",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(LocalImageEdit);
}

use std::time::{Duration, Instant};

use bindings::exports::hybrid::inference::inference as own;
use bindings::hybrid::inference::inference as next;
use hybrid_guest::types::{Budget, Conversation, Error, Media, PicturePrompt, Reason, Served};
use hybrid_guest::{bytes, settings};
use hybrid_picture::{File, Limits};

const MODEL: &str = "local/classical-edit";

/// What is read of a picture before its pixels are counted.
const MAX_BYTES: usize = 64 << 20;

struct LocalImageEdit;

impl own::Guest for LocalImageEdit {
    async fn edit(model: String, input: own::EditInput, within: Budget) -> Result<own::Picture, Error> {
        let own::EditInput { prompt, image, mask, strength } = input;
        if model != MODEL {
            let picture = next::edit(model, next::EditInput { prompt, image, mask, strength }, within).await?;
            return Ok(own::Picture { image: picture.image, served: picture.served });
        }
        let until = Instant::now() + Duration::from_millis(within.timeout_ms.into());
        let too_large = |_| Reason::TooLarge(format!("pictures of at most {MAX_BYTES} bytes"));
        let image = File::from(bytes::pieces(image.body, MAX_BYTES).await.map_err(too_large)?);
        let mask = match mask {
            Some(mask) => Some(File::from(bytes::pieces(mask.body, MAX_BYTES).await.map_err(too_large)?)),
            None => None,
        };
        let usual = Limits::default();
        let limits = Limits { max_pixels: settings::parsed("max_picture_pixels", usual.max_pixels), ..usual };
        let edit = edit::Edit { prompt: &prompt.text, image, mask, strength, seed: prompt.seed };
        let png = edit::png(edit, &limits, || Instant::now() < until)?;
        let (to, body) = bindings::wit_stream::new();
        bytes::send_pieces(to, png);
        let served = Served { model, provider: "local".to_owned(), attempts: 1, fallback_index: 0, placeholder: false };
        Ok(own::Picture { image: Media { content_type: "image/png".to_owned(), body }, served })
    }

    async fn speak(model: String, input: own::SpeechInput, within: Budget) -> Result<own::Sound, Error> {
        let input = next::SpeechInput { text: input.text, speaker_id: input.speaker_id, speed: input.speed };
        let sound = next::speak(model, input, within).await?;
        Ok(own::Sound { audio: sound.audio, served: sound.served })
    }

    async fn transcribe(model: String, input: own::Recording, within: Budget) -> Result<own::Transcript, Error> {
        let input = next::Recording { audio: input.audio, language: input.language, timestamps: input.timestamps };
        let found = next::transcribe(model, input, within).await?;
        Ok(own::Transcript {
            text: found.text,
            language: found.language,
            confidence: found.confidence,
            duration: found.duration,
            segments: found.segments,
            loudness: found.loudness,
            served: found.served,
        })
    }

    async fn draw(model: String, prompt: PicturePrompt, within: Budget) -> Result<own::Picture, Error> {
        let picture = next::draw(model, prompt, within).await?;
        Ok(own::Picture { image: picture.image, served: picture.served })
    }

    async fn chat(model: String, input: Conversation, within: Budget) -> Result<own::ChatAnswer, Error> {
        let answer = next::chat(model, input, within).await?;
        Ok(own::ChatAnswer { completion: answer.completion, served: answer.served })
    }

    async fn chat_stream(model: String, input: Conversation, within: Budget) -> Result<own::ChatTokens, Error> {
        let answer = next::chat_stream(model, input, within).await?;
        Ok(own::ChatTokens { tokens: answer.tokens, served: answer.served })
    }

    async fn embed(model: String, texts: Vec<String>, within: Budget) -> Result<own::Vectors, Error> {
        let found = next::embed(model, texts, within).await?;
        Ok(own::Vectors {
            dimension: found.dimension,
            values: found.values,
            tokens: found.tokens,
            served: found.served,
        })
    }
}
