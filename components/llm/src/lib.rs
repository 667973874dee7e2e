//! Answers of language models, from the first model of the chain that gives one.

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::Llm;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/llm",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(Llm);
}

use std::sync::OnceLock;

use bindings::exports::hybrid::llm::llm::{Answer, AnswerTokens, Guest};
use bindings::hybrid::inference::inference;
use hybrid_guest::chain::{Chain, walk};
use hybrid_guest::types::{Control, Conversation, Error};

struct Llm;

impl Guest for Llm {
    async fn complete(conversation: Conversation, model: Option<String>, control: Control) -> Result<Answer, Error> {
        let (completion, served) = walk(chain(), model.as_deref(), &control, async |model, within| {
            let answer = inference::chat(model.to_owned(), conversation.clone(), within).await?;
            Ok((answer.completion, answer.served))
        })
        .await?;
        Ok(Answer { completion, served })
    }

    /// The tokens are handed on unread: the stream of the provider is the stream of the caller.
    async fn complete_stream(
        conversation: Conversation,
        model: Option<String>,
        control: Control,
    ) -> Result<AnswerTokens, Error> {
        let (tokens, served) = walk(chain(), model.as_deref(), &control, async |model, within| {
            let answer = inference::chat_stream(model.to_owned(), conversation.clone(), within).await?;
            Ok((answer.tokens, answer.served))
        })
        .await?;
        Ok(AnswerTokens { tokens, served })
    }
}

/// Read once an instance: settings do not change within one.
fn chain() -> &'static Chain {
    static CHAIN: OnceLock<Chain> = OnceLock::new();
    CHAIN.get_or_init(|| Chain::of("llm"))
}
