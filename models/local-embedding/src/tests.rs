//! Against what `tokenizers` and the model in 32 bits make of the same texts (`tests/reference.json`).

use serde_json::Value;

use crate::kernels::{Quantised, multiply};
use crate::packed::{Matrix, POSITIONS, Packed};
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
        assert!(cosine > 0.995, "{text:?}: {cosine}");
        seen += 1;
    }
    assert!(seen >= 10, "{seen}");
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

#[test]
fn products_are_those_of_plain_arithmetic() {
    let mut state = 7_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    for (rows, inputs, outputs) in [(1, 384, 6), (4, 16, 4), (7, 1536, 10), (33, 384, 2), (18, 32, 40)] {
        let input: Vec<f32> = (0..rows * inputs).map(|_| random() * 8.0).collect();
        let weights: Vec<i8> = (0..outputs * inputs).map(|_| (random() * 255.0) as i8).collect();
        let scales: Vec<f32> = (0..outputs).map(|_| random() * 0.01).collect();
        let bias: Vec<f32> = (0..outputs).map(|_| random()).collect();
        let mut quantised = Quantised::default();
        quantised.set(&input, inputs);
        let mut output = vec![f32::NAN; rows * outputs];
        let matrix = Matrix { inputs, rows: &weights, scales: &scales, bias: &bias };
        multiply(&quantised, &matrix, &mut output);
        for (at, found) in output.iter().enumerate() {
            let (row, column) = (at / outputs, at % outputs);
            let sum: f64 =
                (0..inputs).map(|k| f64::from(input[row * inputs + k]) * f64::from(weights[column * inputs + k])).sum();
            let wanted = sum * f64::from(scales[column]) + f64::from(bias[column]);
            assert!((f64::from(*found) - wanted).abs() < 0.02, "{found} {wanted}");
        }
    }
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let mut quantised = Quantised::default();
    quantised.set(&[-1.0; 1536], 1536);
    let mut output = [0.0; 2];
    multiply(
        &quantised,
        &Matrix { inputs: 1536, rows: &[-127; 3072], scales: &[1.0; 2], bias: &[0.0; 2] },
        &mut output,
    );
    assert!((output[0] - 127.0 * 1536.0).abs() < 1.0, "{}", output[0]);
}
