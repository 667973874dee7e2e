//! The model: six layers of BERT, the mean of what they make of the tokens, at length 1.

use crate::kernels::{Quantised, gelu, mix, normalise, softmax, sum};
use crate::packed::{HIDDEN, INNER, Layer, Packed};

const HEADS: usize = 12;
const HEAD: usize = HIDDEN / HEADS;
const ATTENTION: usize = 3 * HIDDEN;
/// Keys that one query is multiplied with at once.
const ABREAST: usize = 16;

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
    attention: Vec<f32>,
    context: Vec<f32>,
    output: Vec<f32>,
    inner: Vec<f32>,
    keys: Vec<f32>,
    scores: Vec<f32>,
}

impl Scratch {
    fn new(tokens: usize) -> Scratch {
        let padded = tokens.next_multiple_of(ABREAST);
        Scratch {
            quantised: Quantised::default(),
            attention: vec![0.0; tokens * ATTENTION],
            context: vec![0.0; tokens * HIDDEN],
            output: vec![0.0; tokens * HIDDEN],
            inner: vec![0.0; tokens * INNER],
            keys: vec![0.0; padded * HEAD],
            scores: vec![0.0; padded],
        }
    }
}

fn pass(layer: &Layer<'_>, rows: &mut [f32], scratch: &mut Scratch) {
    scratch.quantised.set(rows, HIDDEN);
    scratch.quantised.multiply(&layer.attention, &mut scratch.attention);
    for head in 0..HEADS {
        attend(head, scratch);
    }
    scratch.quantised.set(&scratch.context, HIDDEN);
    scratch.quantised.multiply(&layer.output, &mut scratch.output);
    add(rows, &scratch.output);
    normalise(rows, &layer.after_attention);

    scratch.quantised.set(rows, HIDDEN);
    scratch.quantised.multiply(&layer.up, &mut scratch.inner);
    gelu(&mut scratch.inner);
    scratch.quantised.set(&scratch.inner, INNER);
    scratch.quantised.multiply(&layer.down, &mut scratch.output);
    add(rows, &scratch.output);
    normalise(rows, &layer.after);
}

/// Every token takes from the values of all tokens, by how well its query meets their keys.
fn attend(head: usize, scratch: &mut Scratch) {
    let Scratch { attention, context, keys, scores, .. } = scratch;
    let tokens = context.len() / HIDDEN;
    let padded = scores.len();
    let (query, key, value) = (head * HEAD, HIDDEN + head * HEAD, 2 * HIDDEN + head * HEAD);

    // On its side, so that many keys are met at once.
    for (token, row) in attention.chunks_exact(ATTENTION).enumerate() {
        for (part, &key) in row[key..key + HEAD].iter().enumerate() {
            keys[part * padded + token] = key;
        }
    }
    for (row, context) in attention.chunks_exact(ATTENTION).zip(context.chunks_exact_mut(HIDDEN)) {
        for (block, scores) in scores.as_chunks_mut::<ABREAST>().0.iter_mut().enumerate() {
            mix(scores, &row[query..query + HEAD], &keys[block * ABREAST..], padded);
        }
        softmax(&mut scores[..tokens]);
        let mut mixed = [0.0; HEAD];
        mix(&mut mixed, &scores[..tokens], &attention[value..], ATTENTION);
        context[head * HEAD..][..HEAD].copy_from_slice(&mixed);
    }
}

fn add(to: &mut [f32], other: &[f32]) {
    for (to, other) in to.iter_mut().zip(other) {
        *to += other;
    }
}
