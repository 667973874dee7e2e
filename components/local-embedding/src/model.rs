//! The model: six layers of BERT, the mean of what they make of the tokens, at length 1.

use crate::kernels::{Quantised, gelu, mix, normalise, softmax, sum};
use crate::packed::{HIDDEN, INNER, Layer, Packed};

const HEADS: usize = 12;
const HEAD: usize = HIDDEN / HEADS;
const ATTENTION: usize = 3 * HIDDEN;
/// Keys that one query is multiplied with at once.
const ABREAST: usize = 16;
/// Tokens that pass through what is not attention together: what is made of them stays in the nearer caches, and a long text
/// takes up no more memory than a short one.
const TOGETHER: usize = 64;

/// The vector of a text whose tokens these are.
pub(crate) fn vector(packed: &Packed<'_>, tokens: &[u16]) -> [f32; HIDDEN] {
    let mut rows = embedded(packed, tokens);
    let mut scratch = Scratch::new(tokens.len());
    for layer in &packed.layers {
        pass(layer, &mut rows, &mut scratch);
    }
    let mut mean = [0.0; HIDDEN];
    for row in rows.chunks_exact(HIDDEN) {
        add(&mut mean, row);
    }
    let length = sum(&mean, |value| value * value).sqrt();
    mean.map(|value| value / length)
}

fn embedded(packed: &Packed<'_>, tokens: &[u16]) -> Vec<f32> {
    let mut rows = Vec::with_capacity(tokens.len() * HIDDEN);
    for (&token, position) in tokens.iter().zip(packed.positions.chunks_exact(HIDDEN)) {
        rows.extend(packed.words.row(token).iter().zip(position).map(|(word, position)| word + position));
    }
    normalise(&mut rows, &packed.norm);
    rows
}

/// What the layers need beside the rows themselves, made once for all of them.
struct Scratch {
    quantised: Quantised,
    /// Queries, keys and values of each token; once a query has been answered, what it found is in its place.
    attention: Vec<f32>,
    output: Vec<f32>,
    inner: Vec<f32>,
    keys: Vec<f32>,
    scores: Vec<f32>,
}

impl Scratch {
    fn new(tokens: usize) -> Scratch {
        let padded = tokens.next_multiple_of(ABREAST);
        let together = tokens.min(TOGETHER);
        Scratch {
            quantised: Quantised::default(),
            attention: vec![0.0; tokens * ATTENTION],
            output: vec![0.0; together * HIDDEN],
            inner: vec![0.0; together * INNER],
            keys: vec![0.0; padded * HEAD],
            scores: vec![0.0; padded],
        }
    }
}

fn pass(layer: &Layer<'_>, rows: &mut [f32], scratch: &mut Scratch) {
    let several = scratch.attention.chunks_mut(TOGETHER * ATTENTION);
    for (rows, attention) in rows.chunks(TOGETHER * HIDDEN).zip(several) {
        scratch.quantised.set(rows.chunks_exact(HIDDEN), HIDDEN);
        scratch.quantised.multiply(&layer.attention, attention);
    }
    for head in 0..HEADS {
        attend(head, scratch);
    }
    let Scratch { quantised, attention, output, inner, .. } = scratch;
    for (rows, found) in rows.chunks_mut(TOGETHER * HIDDEN).zip(attention.chunks(TOGETHER * ATTENTION)) {
        let output = &mut output[..rows.len()];
        let inner = &mut inner[..rows.len() / HIDDEN * INNER];
        quantised.set(found.chunks_exact(ATTENTION).map(|row| &row[..HIDDEN]), HIDDEN);
        quantised.multiply(&layer.output, output);
        add(rows, output);
        normalise(rows, &layer.after_attention);

        quantised.set(rows.chunks_exact(HIDDEN), HIDDEN);
        quantised.multiply(&layer.up, inner);
        gelu(inner);
        quantised.set(inner.chunks_exact(INNER), INNER);
        quantised.multiply(&layer.down, output);
        add(rows, output);
        normalise(rows, &layer.after);
    }
}

/// Every token takes from the values of all tokens, by how well its query meets their keys.
fn attend(head: usize, scratch: &mut Scratch) {
    let Scratch { attention, keys, scores, .. } = scratch;
    let tokens = attention.len() / ATTENTION;
    let padded = scores.len();
    let (query, key, value) = (head * HEAD, HIDDEN + head * HEAD, 2 * HIDDEN + head * HEAD);

    // On its side, so that many keys are met at once.
    for (token, row) in attention.chunks_exact(ATTENTION).enumerate() {
        for (part, &key) in row[key..key + HEAD].iter().enumerate() {
            keys[part * padded + token] = key;
        }
    }
    for token in 0..tokens {
        let query = token * ATTENTION + query..token * ATTENTION + query + HEAD;
        let (pairs, last) = scores.as_chunks_mut::<{ 2 * ABREAST }>();
        let count = pairs.len();
        for (block, scores) in pairs.iter_mut().enumerate() {
            mix(scores, &attention[query.clone()], &keys[block * 2 * ABREAST..], padded);
        }
        if let Some(scores) = last.first_chunk_mut::<ABREAST>() {
            mix(scores, &attention[query.clone()], &keys[count * 2 * ABREAST..], padded);
        }
        softmax(&mut scores[..tokens]);
        let mut mixed = [0.0; HEAD];
        mix(&mut mixed, &scores[..tokens], &attention[value..], ATTENTION);
        attention[query].copy_from_slice(&mixed);
    }
}

fn add(to: &mut [f32], other: &[f32]) {
    for (to, other) in to.iter_mut().zip(other) {
        *to += other;
    }
}
