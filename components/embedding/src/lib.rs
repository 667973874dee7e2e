//! Vectors that lie close together for texts that mean the same, from the first model of the chain that gives them.

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::Embedding;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/embedding",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(Embedding);
}

use std::sync::OnceLock;

use bindings::exports::hybrid::embedding::embedding::{Guest, Vectors};
use bindings::hybrid::inference::inference;
use hybrid_guest::chain::{Chain, walk};
use hybrid_guest::types::{Control, Error, Failure, Reason};

struct Embedding;

impl Guest for Embedding {
    async fn embed(texts: Vec<String>, model: Option<String>, control: Control) -> Result<Vectors, Error> {
        let (found, served) = walk(chain(), model.as_deref(), &control, async |model, within| {
            let vectors = inference::embed(model.to_owned(), texts.clone(), within).await?;
            some(vectors.dimension, vectors.served.attempts)?;
            Ok(((vectors.dimension, vectors.values, vectors.tokens), vectors.served))
        })
        .await?;
        let (dimension, values, tokens) = found;
        Ok(Vectors { dimension, values, tokens, served })
    }
}

/// A vector without numbers is no answer; another model may do better.
fn some(dimension: u32, attempts: u32) -> Result<(), Error> {
    if dimension > 0 {
        return Ok(());
    }
    let message = "the model answered with empty vectors".to_owned();
    Err(Error { reason: Reason::Failed(Failure { message, status: None }), attempts })
}

/// Read once an instance: settings do not change within one.
fn chain() -> &'static Chain {
    static CHAIN: OnceLock<Chain> = OnceLock::new();
    CHAIN.get_or_init(|| Chain::of("embedding"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_without_numbers_are_a_failure_that_counts_its_attempts() {
        assert!(some(384, 1).is_ok());
        assert!(matches!(some(0, 2), Err(Error { reason: Reason::Failed(_), attempts: 2 })));
    }
}
