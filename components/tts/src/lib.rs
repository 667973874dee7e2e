//! Speech from text: asks the models in turn, and makes of what comes a true WAV, or what else was asked for.

mod answer;

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::Tts;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/tts",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(Tts);
}

use std::sync::OnceLock;

use bindings::exports::hybrid::tts::tts::{Form, Guest, Speech, Utterance};
use bindings::hybrid::inference::inference::{self, SpeechInput};
use hybrid_guest::bytes;
use hybrid_guest::chain::{Chain, walk};
use hybrid_guest::types::{Control, Error, Media, Reason};

struct Tts;

impl Guest for Tts {
    async fn speak(utterance: Utterance, control: Control) -> Result<Speech, Error> {
        static CHAIN: OnceLock<Chain> = OnceLock::new();
        let chain = CHAIN.get_or_init(|| Chain::of("tts"));
        if utterance.text.trim().is_empty() {
            return Err(Reason::invalid("text", "must not be empty").into());
        }
        let (audio, served) = walk(chain, utterance.model.as_deref(), &control, async |model, within| {
            let input =
                SpeechInput { text: utterance.text.clone(), speaker_id: utterance.speaker_id, speed: utterance.speed };
            let sound = inference::speak(model.to_owned(), input, within).await?;
            // Our own models make what is asked for.
            if model.starts_with("local/") && utterance.form == Form::Wav {
                return Ok((sound.audio, sound.served));
            }
            let shaped = answer::shaped(sound.audio, utterance.form)
                .await
                .map_err(|reason| Error { reason, attempts: sound.served.attempts })?;
            let (to, body) = bindings::wit_stream::new();
            bytes::send_pieces(to, shaped.into_iter());
            let content_type = answer::media_type(utterance.form).to_owned();
            Ok((Media { content_type, body }, sound.served))
        })
        .await?;
        Ok(Speech { audio, served })
    }
}
