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
use bindings::wit_stream;
use fold::Foreign;
use hybrid_guest::types::{Budget, Error, Media, Reason, Served};
use speech::{Speech, Unspeakable};
use spin_sdk::wit_bindgen::spawn;
use voice::VOICES;

const MODEL: &str = "local/klatt-en";

struct LocalTts;

hybrid_guest::onward!();

impl own::Guest for LocalTts {
    async fn speak(model: String, input: own::SpeechInput, within: Budget) -> Result<own::Sound, Error> {
        if model != MODEL {
            return onward::speak(model, input, within).await;
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

    hybrid_guest::onward!(transcribe draw edit chat chat_stream embed);
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
