//! English speech from text by rule, inside this component: letters to sounds, sounds to durations and pitch, and a formant
//! synthesiser (Klatt) for the rest. Other models are handed on to the next link of the chain.

mod fold;
mod letters;
mod lexicon;
mod numbers;
mod phones;
mod phrases;
mod prosody;
mod reader;
mod speech;
mod synth;
#[cfg(test)]
mod tests;
mod track;
mod voice;

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::LocalTts;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/provider",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(LocalTts);
}

use bindings::exports::hybrid::inference::inference as own;
use bindings::hybrid::inference::inference as next;
use bindings::wit_stream;
use fold::Foreign;
use hybrid_guest::types::{Budget, Conversation, Error, Media, PicturePrompt, Reason, Served};
use speech::{Speech, Unspeakable};
use spin_sdk::wit_bindgen::spawn;
use voice::VOICES;

const MODEL: &str = "local/klatt-en";

struct LocalTts;

impl own::Guest for LocalTts {
    async fn speak(model: String, input: own::SpeechInput, within: Budget) -> Result<own::Sound, Error> {
        if model != MODEL {
            let input = next::SpeechInput { text: input.text, speaker_id: input.speaker_id, speed: input.speed };
            let sound = next::speak(model, input, within).await?;
            return Ok(own::Sound { audio: sound.audio, served: sound.served });
        }
        let mut speech = speech(&input)?;
        let (mut to, body) = wit_stream::new();
        spawn(async move {
            let mut piece = speech.header().to_vec();
            // What comes back unsent, nobody wanted.
            while to.write_all(piece).await.is_empty() {
                match speech.piece() {
                    Some(samples) => piece = samples,
                    None => break,
                }
            }
        });
        let served = Served { model, provider: "local".to_owned(), attempts: 1, fallback_index: 0, placeholder: false };
        Ok(own::Sound { audio: Media { content_type: "audio/wav".to_owned(), body }, served })
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

    async fn edit(model: String, input: own::EditInput, within: Budget) -> Result<own::Picture, Error> {
        let own::EditInput { prompt, image, mask, strength } = input;
        let picture = next::edit(model, next::EditInput { prompt, image, mask, strength }, within).await?;
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

fn speech(input: &own::SpeechInput) -> Result<Speech, Reason> {
    let voice = Speech::voice(input.speaker_id.unwrap_or(0)).ok_or_else(|| {
        Reason::invalid("speaker_id", format!("must be between 0 and {} with {MODEL}", VOICES.len() - 1))
    })?;
    let speed = input.speed.unwrap_or(1.0);
    if !(0.25..=4.0).contains(&speed) {
        return Err(Reason::invalid("speed", "must be between 0.25 and 4"));
    }
    Speech::of(&input.text, voice, speed).map_err(|unspeakable| match unspeakable {
        Unspeakable::Foreign(Foreign(script)) => {
            Reason::invalid("text", format!("must be English in Latin letters: {MODEL} does not speak {script} script"))
        }
        Unspeakable::Nothing => Reason::invalid("text", "must have a word or a number that can be spoken"),
    })
}
