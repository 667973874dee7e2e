//! Vectors that lie close together for texts that mean the same, from the first model of the chain that gives them.

mod parts;

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
use std::time::Instant;

use bindings::exports::hybrid::embedding::embedding::{Guest, Vectors};
use bindings::hybrid::inference::inference;
use bindings::wit_stream;
use futures::StreamExt as _;
use hybrid_guest::bytes;
use hybrid_guest::chain::{Chain, walk};
use hybrid_guest::types::{Budget, Control, Error, Failure, Reason, Served};
use parts::{AT_ONCE, parts};
use spin_sdk::wit_bindgen::spawn;

struct Embedding;

impl Guest for Embedding {
    async fn embed(texts: Vec<String>, model: Option<String>, control: Control) -> Result<Vectors, Error> {
        let (found, served) = walk(chain(), model.as_deref(), &control, async |model, within| {
            let vectors = if model.starts_with("local/") && parts(&texts).nth(1).is_some() {
                in_parts(model, &texts, within).await?
            } else {
                inference::embed(model.to_owned(), texts.clone(), within).await?
            };
            some(vectors.dimension, vectors.served.attempts)?;
            Ok(((vectors.dimension, vectors.values, vectors.tokens), vectors.served))
        })
        .await?;
        let (dimension, values, tokens) = found;
        Ok(Vectors { dimension, values, tokens, served })
    }
}

/// As one call would have it. The first part that fails, in the order of the texts, fails for all.
async fn in_parts(model: &str, texts: &[String], within: Budget) -> Result<inference::Vectors, Error> {
    let began = Instant::now();
    let calls = parts(texts).map(async |part| {
        let left = u128::from(within.timeout_ms).saturating_sub(began.elapsed().as_millis());
        if left == 0 {
            return Err(Reason::Timeout.into());
        }
        let within = Budget { timeout_ms: left as u32, ..within };
        let inference::Vectors { dimension, values, tokens, served } =
            inference::embed(model.to_owned(), part.to_vec(), within).await?;
        let numbers = bytes::numbers(values, (dimension as usize).saturating_mul(part.len())).await;
        Ok::<_, Error>(Whole { dimension, numbers, tokens, served })
    });
    let mut calls = std::pin::pin!(futures::stream::iter(calls).buffered(AT_ONCE));
    let first = calls.next().await.ok_or_else(|| Reason::Internal("there are no texts".to_owned()))?;
    let Whole { dimension, mut numbers, mut tokens, served } = first?;
    while let Some(part) = calls.next().await {
        let part = part?;
        // Rows of another length come out as too few numbers or too many, which is no answer.
        numbers.extend(part.numbers);
        tokens = tokens.zip(part.tokens).map(|(one, other)| one + other);
    }
    let (mut to, values) = wit_stream::new();
    // What comes back unsent, nobody wanted.
    spawn(async move { drop(to.write_all(numbers).await) });
    Ok(inference::Vectors { dimension, values, tokens, served })
}

/// A part's vectors, read to their end.
struct Whole {
    dimension: u32,
    numbers: Vec<f32>,
    tokens: Option<u32>,
    served: Served,
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
