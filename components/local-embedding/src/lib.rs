//! Vectors by all-MiniLM-L6-v2, which runs inside this component. Other models are handed on to the next link of the chain.
//!
//! The weights are a part of the component's own memory image: a runtime maps them from the compiled file, and nothing is
//! read or copied when an instance begins. Where they come from is in `PROVENANCE.md`.

mod kernels;
mod model;
mod packed;
#[cfg(test)]
mod tests;
mod tokenizer;

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::LocalEmbedding;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/provider",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(LocalEmbedding);
}

use std::time::{Duration, Instant};

use bindings::exports::hybrid::inference::inference as own;
use bindings::wit_stream;
use hybrid_guest::types::{Budget, Error, Reason, Served};
use packed::{HIDDEN, POSITIONS, Packed};
use spin_sdk::wit_bindgen::spawn;

const MODEL: &str = "local/all-MiniLM-L6-v2";

/// Numbers of 32 bits in it are used where they lie.
#[repr(C, align(16))]
struct Aligned<T: ?Sized>(T);

static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("../minilm.bin"));

struct LocalEmbedding;

hybrid_guest::onward!();

impl own::Guest for LocalEmbedding {
    async fn embed(model: String, texts: Vec<String>, within: Budget) -> Result<own::Vectors, Error> {
        if model != MODEL {
            return onward::embed(model, texts, within).await;
        }
        let until = Instant::now() + Duration::from_millis(within.timeout_ms.into());
        let (numbers, tokens) = embedded(&texts, || Instant::now() < until)?;
        let (mut to, values) = wit_stream::new();
        // What comes back unsent, nobody wanted.
        spawn(async move { drop(to.write_all(numbers).await) });
        let served = Served { model, provider: "local".to_owned(), attempts: 1, fallback_index: 0, placeholder: false };
        Ok(own::Vectors { dimension: HIDDEN as u32, values, tokens: Some(tokens), served })
    }

    hybrid_guest::onward!(speak transcribe draw edit chat chat_stream);
}

/// The vectors, row after row, and how many tokens they took. `in_time` is asked before each text: one takes a tenth of a
/// second at most.
fn embedded(texts: &[String], in_time: impl Fn() -> bool) -> Result<(Vec<f32>, u32), Reason> {
    let packed = Packed::new(&FILE.0).ok_or_else(|| Reason::Internal("minilm.bin is broken".to_owned()))?;
    let mut numbers = Vec::with_capacity(texts.len() * HIDDEN);
    let mut count = 0;
    for text in texts {
        if !in_time() {
            return Err(Reason::Timeout);
        }
        let tokens = tokenizer::tokens(&packed.vocabulary, text, POSITIONS);
        numbers.extend(model::vector(&packed, &tokens));
        count += tokens.len() as u32;
    }
    Ok((numbers, count))
}
