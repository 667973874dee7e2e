//! Against what `tokenizers` and the model in 32 bits make of the same texts (`tests/reference.json`).

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::packed::{POSITIONS, Packed};
use crate::{FILE, embedded, model, tokenizer};

fn reference() -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../tests/reference.json")).expect("JSON");
    all.as_array().expect("a list").clone()
}

fn packed() -> Packed<'static> {
    Packed::new(&FILE.0).expect("the packed model")
}

fn cosine(left: &[f32], right: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

#[test]
fn tokens_are_those_of_the_tokenizers_crate() {
    let packed = packed();
    for case in reference() {
        let text = case["text"].as_str().expect("a text");
        let wanted: Vec<u16> =
            case["tokens"].as_array().expect("tokens").iter().map(|id| id.as_u64().expect("a number") as u16).collect();
        assert_eq!(tokenizer::tokens(&packed.vocabulary, text, POSITIONS), wanted, "{text:?}");
    }
}

#[test]
fn vectors_are_those_of_the_model_in_32_bits() {
    let packed = packed();
    let mut seen = 0;
    for case in reference() {
        let Some(wanted) = case["vector"].as_array() else { continue };
        let wanted: Vec<f32> = wanted.iter().map(|number| number.as_f64().expect("a number") as f32).collect();
        let text = case["text"].as_str().expect("a text");
        let vector = model::vector(&packed, &tokenizer::tokens(&packed.vocabulary, text, POSITIONS));
        let cosine = cosine(&vector, &wanted);
        assert!(cosine > 0.9999, "{text:?}: {cosine}");
        seen += 1;
    }
    assert!(seen >= 10, "{seen}");
}

/// The same sentences in the same order: what the model in 32 bits puts first of 200 (`best`, counted from 0).
#[test]
fn the_best_three_are_those_of_the_model_in_32_bits() {
    let all: Value = serde_json::from_str(include_str!("../tests/retrieval.json")).expect("JSON");
    let list = |key: &str| all[key].as_array().expect("a list").clone();
    let texts = |values: &[Value], key: Option<&str>| -> Vec<String> {
        let text = |value: &Value| key.map_or(value, |key| &value[key]).as_str().map(str::to_owned);
        values.iter().map(|value| text(value).expect("a text")).collect()
    };
    let (sentences, queries) = (list("sentences"), list("queries"));
    let vectors = |texts: &[String]| embedded(texts, || true).expect("vectors").0;
    let (found, asked) = (vectors(&texts(&sentences, None)), vectors(&texts(&queries, Some("text"))));
    let mut same = 0;
    for (query, case) in asked.chunks(384).zip(&queries) {
        let mut order: Vec<usize> = (0..sentences.len()).collect();
        let near = |at: &usize| -cosine(query, &found[at * 384..][..384]);
        order.sort_by(|one, other| near(one).total_cmp(&near(other)));
        let best: Vec<usize> =
            case["best"].as_array().expect("places").iter().map(|at| at.as_u64().expect("a place") as usize).collect();
        same += usize::from(order[..3] == best[..]);
    }
    assert!(sentences.len() == 200 && queries.len() == 100);
    assert!(same >= 98, "{same} of 100");
}

#[test]
fn long_texts_are_cut_and_empty_ones_have_a_vector() {
    let packed = packed();
    let tokens = tokenizer::tokens(&packed.vocabulary, &"many words ".repeat(4000), POSITIONS);
    assert_eq!((tokens.len(), tokens[0], tokens[POSITIONS - 1]), (POSITIONS, 101, 102));
    let (numbers, count) = embedded(&[String::new(), "hello".into()], || true).expect("vectors");
    assert_eq!((numbers.len(), count), (2 * 384, 2 + 3));
    for vector in numbers.chunks(384) {
        assert!((vector.iter().map(|number| number * number).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn time_that_has_passed_ends_the_work() {
    assert!(matches!(embedded(&["hello".into()], || false), Err(hybrid_guest::types::Reason::Timeout)));
}

/// The component in the host is held to the same digests (`host/tests/it/models.rs`), so both builds give the same bits.
#[test]
fn this_build_gives_the_bits_that_every_build_gives() {
    let all: Value = serde_json::from_str(include_str!("../tests/bits.json")).expect("JSON");
    let mut others = Vec::new();
    for (text, wanted) in all.as_object().expect("texts and digests") {
        let (numbers, _) = embedded(std::slice::from_ref(text), || true).expect("a vector");
        let digest: String = Sha256::digest(bytemuck::cast_slice::<f32, u8>(&numbers))
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if *wanted != digest {
            others.push(format!("{text:?}: {digest:?}"));
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
}
