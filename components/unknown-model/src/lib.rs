//! The end of a composed provider chain: whatever reaches it, nobody serves.

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::End;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/chain-end",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(End);
}

use bindings::exports::hybrid::inference::inference::{
    ChatAnswer, ChatTokens, EditInput, Guest, Picture, Recording, Sound, SpeechInput, Transcript, Vectors,
};
use hybrid_guest::types::{Budget, Conversation, Error, PicturePrompt, Reason};

struct End;

impl Guest for End {
    async fn speak(model: String, _: SpeechInput, _: Budget) -> Result<Sound, Error> {
        Err(Reason::UnknownModel(model).into())
    }

    async fn transcribe(model: String, _: Recording, _: Budget) -> Result<Transcript, Error> {
        Err(Reason::UnknownModel(model).into())
    }

    async fn draw(model: String, _: PicturePrompt, _: Budget) -> Result<Picture, Error> {
        Err(Reason::UnknownModel(model).into())
    }

    async fn edit(model: String, _: EditInput, _: Budget) -> Result<Picture, Error> {
        Err(Reason::UnknownModel(model).into())
    }

    async fn chat(model: String, _: Conversation, _: Budget) -> Result<ChatAnswer, Error> {
        Err(Reason::UnknownModel(model).into())
    }

    async fn chat_stream(model: String, _: Conversation, _: Budget) -> Result<ChatTokens, Error> {
        Err(Reason::UnknownModel(model).into())
    }

    async fn embed(model: String, _: Vec<String>, _: Budget) -> Result<Vectors, Error> {
        Err(Reason::UnknownModel(model).into())
    }
}
