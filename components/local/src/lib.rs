//! Embedded stand-ins, so that every capability answers with no key and no network.
//!
//! None of them is a model's work, and each answer says so (`placeholder`). What has another name is handed on to the next
//! link of the chain. The time of the budget is not looked at: each answers within a fraction of a second.

mod canvas;
mod chat;
mod draw;
mod hashed_words;
mod noise;
mod pattern;
mod scene;
mod segments;

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::Local;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/provider",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(Local);
}

use bindings::exports::hybrid::inference::inference as own;
use bindings::hybrid::inference::inference as next;
use bindings::wit_stream;
use hybrid_guest::bytes;
use hybrid_guest::types::{Budget, Conversation, Error, Media, PicturePrompt, Reason, Served, Token};
use spin_sdk::wit_bindgen::{StreamReader, StreamResult, spawn};

/// What is read of a recording at once: two seconds at 16 kHz.
const PIECE: usize = 64 * 1024;

/// Who is asked for vectors: a model that runs inside the platform, where its component is there.
const EMBEDDING_MODEL: &str = "local/all-MiniLM-L6-v2";

struct Local;

hybrid_guest::onward!();

impl own::Guest for Local {
    async fn transcribe(model: String, input: own::Recording, within: Budget) -> Result<own::Transcript, Error> {
        if model != segments::MODEL {
            return onward::transcribe(model, input, within).await;
        }
        let heard = listen(input.audio.body).await?;
        Ok(own::Transcript {
            text: String::new(),
            language: input.language,
            confidence: None,
            duration: Some(heard.duration),
            segments: heard.segments,
            loudness: heard.loudness,
            served: served(model),
        })
    }

    async fn draw(model: String, prompt: PicturePrompt, within: Budget) -> Result<own::Picture, Error> {
        if model != pattern::MODEL {
            return onward::draw(model, prompt, within).await;
        }
        let png = pattern::png(&prompt.text, prompt.seed, prompt.width, prompt.height)?;
        Ok(own::Picture { image: whole("image/png", png), served: served(model) })
    }

    async fn chat(model: String, input: Conversation, within: Budget) -> Result<own::ChatAnswer, Error> {
        if !is_own_chat(&model) {
            return onward::chat(model, input, within).await;
        }
        Ok(own::ChatAnswer { completion: answer(&input, within).await.whole(), served: served(model) })
    }

    async fn chat_stream(model: String, input: Conversation, within: Budget) -> Result<own::ChatTokens, Error> {
        if !is_own_chat(&model) {
            return onward::chat_stream(model, input, within).await;
        }
        let words: Vec<Token> = answer(&input, within).await.pieces();
        let (mut to, tokens) = wit_stream::new();
        spawn(async move { drop(to.write_all(words).await) });
        Ok(own::ChatTokens { tokens, served: served(model) })
    }

    async fn embed(model: String, texts: Vec<String>, within: Budget) -> Result<own::Vectors, Error> {
        if model != hashed_words::MODEL {
            return onward::embed(model, texts, within).await;
        }
        let numbers: Vec<f32> = texts.iter().flat_map(|text| hashed_words::vector(text)).collect();
        let tokens = texts.iter().map(|text| hashed_words::words(text).count() as u32).sum();
        let (mut to, values) = wit_stream::new();
        spawn(async move { drop(to.write_all(numbers).await) });
        let dimension = hashed_words::DIMENSION as u32;
        Ok(own::Vectors { dimension, values, tokens: Some(tokens), served: served(model) })
    }

    hybrid_guest::onward!(speak edit);
}

fn is_own_chat(model: &str) -> bool {
    model == chat::MODEL || model == chat::OLD_MODEL
}

/// A chat answer, its sentences chosen by meaning where a link after this one makes vectors.
async fn answer(input: &Conversation, within: Budget) -> chat::Answer {
    let work = chat::Work::of(input);
    let wanted = work.wanted();
    let vectors = if wanted.is_empty() { None } else { vectors(wanted, within).await };
    work.answer(vectors)
}

/// None where nobody makes vectors, or something went wrong: the words will do.
async fn vectors(texts: Vec<String>, within: Budget) -> Option<Vec<Vec<f32>>> {
    let found = next::embed(EMBEDDING_MODEL.to_owned(), texts, within).await.ok()?;
    let dimension = found.dimension as usize;
    let numbers = found.values.collect().await;
    (dimension > 0).then(|| numbers.chunks_exact(dimension).map(<[f32]>::to_vec).collect())
}

async fn listen(mut recording: StreamReader<u8>) -> Result<segments::Heard, Reason> {
    let mut listener = segments::Listener::default();
    let mut piece = Vec::with_capacity(PIECE);
    loop {
        let (result, filled) = recording.read(piece).await;
        listener.hear(&filled)?;
        piece = filled;
        piece.clear();
        if !matches!(result, StreamResult::Complete(_)) {
            return listener.heard();
        }
    }
}

fn served(model: String) -> Served {
    Served { model, provider: "local".to_owned(), attempts: 1, fallback_index: 0, placeholder: true }
}

fn media(content_type: &str, body: StreamReader<u8>) -> Media {
    Media { content_type: content_type.to_owned(), body }
}

fn whole(content_type: &str, contents: Vec<u8>) -> Media {
    let (to, body) = wit_stream::new();
    bytes::send(to, contents);
    media(content_type, body)
}
