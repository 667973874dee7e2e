//! Vectors: the sum of what each word stands for, of length one, so that texts that share words are close.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::errors;
use crate::media::hash;
use crate::tasks::Call;
use crate::tasks::body;

const DIMENSION: usize = 384;
/// As the real server has it.
const MAX_BATCH: usize = 32;

pub(crate) fn answer(call: &Call<'_>) -> Result<Answer, Answer> {
    let all = body::object(call)?;
    let known = ["inputs", "normalize", "prompt_name", "truncate", "truncation_direction", "parameters"];
    let mut problems: Vec<String> = all
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| format!("Extra inputs are not permitted: received `{name}`"))
        .collect();
    if all.get("parameters").and_then(Value::as_object).is_some_and(|given| !given.is_empty()) {
        problems.push("Options belong to the root: received `parameters`".to_owned());
    }
    let texts: Option<Vec<&str>> = match all.get("inputs") {
        Some(Value::String(text)) => Some(vec![text]),
        Some(Value::Array(texts)) if !texts.is_empty() => texts.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let Some(texts) = texts.filter(|_| problems.is_empty()) else {
        if problems.is_empty() {
            problems.push("Input should be a valid string or list: received `inputs`".to_owned());
        }
        return Err(errors::refused(&problems));
    };
    if texts.len() > MAX_BATCH {
        return Err(errors::status(413));
    }
    let single = all["inputs"].is_string();
    let shaped = match () {
        () if call.named("tokens") && single => json!([tokens(texts[0])]),
        () if call.named("tokens") => texts.iter().map(|text| json!([tokens(text)])).collect(),
        () if single && !call.named("nested") => json!(vector(texts[0])),
        () => texts.iter().map(|text| json!(vector(text))).collect(),
    };
    Ok(Answer::json(200, &shaped))
}

/// One vector for each word; their mean points where the text's own vector does.
fn tokens(text: &str) -> Vec<Vec<f32>> {
    words(text).map(|word| plain(std::iter::once(word))).collect()
}

pub(crate) fn vector(text: &str) -> Vec<f32> {
    let mut vector = plain(words(text));
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|value| *value /= length);
    vector
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let mut words: Vec<String> = text
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    if words.is_empty() {
        words.push(text.to_owned());
    }
    words.into_iter()
}

fn plain(words: impl Iterator<Item = String>) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSION];
    for word in words {
        let mut bits = hash(&word);
        for _ in 0..4 {
            let sign = if bits & 1 == 0 { 1.0 } else { -1.0 };
            vector[(bits >> 1) as usize % DIMENSION] += sign;
            bits = bits.rotate_right(17).wrapping_mul(0x0100_0000_01b3);
        }
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_share_words_are_closer() {
        let near = |one: &str, other: &str| -> f32 { vector(one).iter().zip(vector(other)).map(|(a, b)| a * b).sum() };
        assert!((near("tide tables", "tide tables") - 1.0).abs() < 1e-5);
        assert!(near("the tide is high", "the tide is low") > near("the tide is high", "quick brown fox"));
    }
}
