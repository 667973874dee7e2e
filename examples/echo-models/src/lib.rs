//! A provider: it answers models named `echo/…` by saying what was asked, and hands every other model on to the next
//! link of its chain.
//!
//! Any component that exports `hybrid:inference/inference` can stand in the chain. Build it, copy it into the
//! components' folder, and name it where it should stand:
//!
//! ```toml
//! [chains]
//! "hybrid:inference/inference" = ["echo-models", "hf", "local", "unknown-model"]
//! ```

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::Echo;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/provider",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(Echo);
}

use bindings::exports::hybrid::inference::inference as own;
use bindings::hybrid::inference::inference as next;
use bindings::wit_stream;
use hybrid_guest::types::{Budget, Completion, Conversation, Error, PicturePrompt, Reason, Role, Served, Token, Usage};
use spin_sdk::wit_bindgen::spawn;

struct Echo;

impl own::Guest for Echo {
    async fn chat(model: String, input: Conversation, within: Budget) -> Result<own::ChatAnswer, Error> {
        if !is_ours(&model) {
            let answer = next::chat(model, input, within).await?;
            return Ok(own::ChatAnswer { completion: answer.completion, served: answer.served });
        }
        let (text, usage) = (said(&input), usage(&input));
        let completion = Completion {
            text: Some(text),
            finish_reason: "stop".to_owned(),
            usage: Some(usage),
            choices: None,
            more: None,
        };
        Ok(own::ChatAnswer { completion, served: served(model) })
    }

    async fn chat_stream(model: String, input: Conversation, within: Budget) -> Result<own::ChatTokens, Error> {
        if !is_ours(&model) {
            let answer = next::chat_stream(model, input, within).await?;
            return Ok(own::ChatTokens { tokens: answer.tokens, served: answer.served });
        }
        let mut pieces: Vec<Token> =
            said(&input).split_inclusive(' ').map(|word| Token::Text(word.to_owned())).collect();
        pieces.extend([Token::Finished("stop".to_owned()), Token::Usage(usage(&input))]);
        let (mut to, tokens) = wit_stream::new();
        spawn(async move { drop(to.write_all(pieces).await) });
        Ok(own::ChatTokens { tokens, served: served(model) })
    }

    async fn speak(model: String, input: own::SpeechInput, within: Budget) -> Result<own::Sound, Error> {
        not_ours(&model)?;
        let input = next::SpeechInput { text: input.text, speaker_id: input.speaker_id, speed: input.speed };
        let sound = next::speak(model, input, within).await?;
        Ok(own::Sound { audio: sound.audio, served: sound.served })
    }

    async fn transcribe(model: String, input: own::Recording, within: Budget) -> Result<own::Transcript, Error> {
        not_ours(&model)?;
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
        not_ours(&model)?;
        let picture = next::draw(model, prompt, within).await?;
        Ok(own::Picture { image: picture.image, served: picture.served })
    }

    async fn edit(model: String, input: own::EditInput, within: Budget) -> Result<own::Picture, Error> {
        not_ours(&model)?;
        let own::EditInput { prompt, image, mask, strength } = input;
        let picture = next::edit(model, next::EditInput { prompt, image, mask, strength }, within).await?;
        Ok(own::Picture { image: picture.image, served: picture.served })
    }

    async fn embed(model: String, texts: Vec<String>, within: Budget) -> Result<own::Vectors, Error> {
        not_ours(&model)?;
        let found = next::embed(model, texts, within).await?;
        Ok(own::Vectors {
            dimension: found.dimension,
            values: found.values,
            tokens: found.tokens,
            served: found.served,
        })
    }
}

fn is_ours(model: &str) -> bool {
    model.starts_with("echo/")
}

/// Our models chat, and do nothing else.
fn not_ours(model: &str) -> Result<(), Error> {
    if is_ours(model) { Err(Reason::UnknownModel(model.to_owned()).into()) } else { Ok(()) }
}

fn said(conversation: &Conversation) -> String {
    let last = conversation.messages.iter().rev().find(|message| message.role == Role::User);
    last.and_then(|message| message.text.clone()).unwrap_or_default()
}

/// One word counts as one token.
fn usage(conversation: &Conversation) -> Usage {
    let words = |text: &str| text.split_whitespace().count() as u32;
    let prompt_tokens = conversation.messages.iter().filter_map(|message| message.text.as_deref()).map(words).sum();
    let completion_tokens = words(&said(conversation));
    Usage { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens, more: None }
}

/// An echo is no model's work, and says so.
fn served(model: String) -> Served {
    Served { model, provider: "echo".to_owned(), attempts: 1, fallback_index: 0, placeholder: true }
}
