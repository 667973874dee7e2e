//! Text from speech: finds out what the recording is, and asks the models in turn.

mod input;

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::Stt;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/stt",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(Stt);
}

use std::sync::OnceLock;

use bindings::exports::hybrid::stt::stt::{Guest, Recording, Transcript};
use bindings::hybrid::inference::inference;
use hybrid_guest::chain::{Chain, walk};
use hybrid_guest::types::{Control, Error, Media};
use hybrid_guest::{bytes, settings};

use input::Input;

struct Stt;

struct Settings {
    chain: Chain,
    max_upload_bytes: usize,
}

impl Guest for Stt {
    async fn transcribe(recording: Recording, control: Control) -> Result<Transcript, Error> {
        let Settings { chain, max_upload_bytes } = settings();
        let audio = bytes::pieces(recording.audio, *max_upload_bytes).await;
        let input = Input::read(audio, *max_upload_bytes)?;
        let language = recording.language;
        let (answer, served) = walk(chain, recording.model.as_deref(), &control, async |model, within| {
            let (to, body) = bindings::wit_stream::new();
            // Models of others read every kind there is, and a long recording is smaller as it came.
            let content_type = if model.starts_with("local/") {
                bytes::send_pieces(to, input.wav()?);
                "audio/wav"
            } else {
                bytes::send_pieces(to, input.audio.clone().copies());
                input.kind.media_type()
            };
            let audio = Media { content_type: content_type.to_owned(), body };
            let asked = inference::Recording { audio, language: language.clone(), timestamps: recording.timestamps };
            let mut answer = inference::transcribe(model.to_owned(), asked, within).await?;
            let served = answer.served.clone();
            answer.language = answer.language.or_else(|| language.clone());
            Ok((answer, served))
        })
        .await?;
        Ok(Transcript {
            text: answer.text,
            language: answer.language,
            confidence: answer.confidence,
            duration: answer.duration,
            segments: answer.segments,
            loudness: answer.loudness,
            served,
        })
    }
}

fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| Settings {
        chain: Chain::of("stt"),
        // 25 MiB: what Hugging Face and OpenAI take, and two hours of a phone's voice recorder.
        max_upload_bytes: settings::parsed("max_upload_bytes", 25 << 20),
    })
}
