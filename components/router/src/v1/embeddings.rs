//! POST /v1/embeddings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hybrid_guest::bytes;
use spin_sdk::wasip3::wit_stream;

use super::chat::placeholder;
use super::{checked, json, quoted};
use crate::answer::{Answer, JSON};
use crate::bindings::hybrid::embedding::embedding as embeddings;
use crate::input::{Fields, Parameters, Wrong, characters};
use crate::limits::{EMBEDDING_NUMBERS, EMBEDDING_TEXTS, Limits};
use crate::refusal::Refusal;
use crate::serve::Visit;

/// More than any model's vectors have.
const MAX_DIMENSIONS: u64 = 16_384;

#[derive(Debug)]
pub(crate) struct Input {
    texts: Vec<String>,
    model: Option<String>,
    /// Base64 of little-endian numbers, which OpenAI's own clients ask for where their callers ask for nothing.
    base64: bool,
    dimensions: Option<usize>,
}

pub(crate) fn parse(body: &[u8], limits: &Limits) -> Result<Input, Wrong> {
    let mut fields = Fields::read(body)?;
    let input = Input {
        texts: texts(&mut fields, limits),
        model: fields.any_model(false),
        base64: match fields.text("encoding_format").as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(_) => {
                fields.problem("encoding_format", "must be `float` or `base64`");
                false
            }
        },
        dimensions: fields.integer("dimensions", 1..=MAX_DIMENSIONS).map(|count| count as usize),
    };
    fields.finish(input)
}

fn texts(fields: &mut Fields<'_>, limits: &Limits) -> Vec<String> {
    const TOKENS: &str = "must be text: tokens of other models mean nothing to the one that answers; LangChain sends text \
                          with `check_embedding_ctx_length=False`";
    let Some(json) = fields.raw("input") else {
        fields.problem("input", "is required");
        return Vec::new();
    };
    if json.starts_with('"') {
        return vec![fields.required_text("input", limits.embedding_chars)];
    }
    let Ok(texts) = serde_json::from_str::<Vec<String>>(json) else {
        let tokens = json.trim_start_matches('[').trim_start().starts_with(|first: char| first.is_ascii_digit());
        fields.problem("input", if tokens { TOKENS } else { "must be a text or a list of texts" });
        return Vec::new();
    };
    if texts.is_empty() || texts.len() > EMBEDDING_TEXTS {
        fields.problem("input", format!("must hold between 1 and {EMBEDDING_TEXTS} texts"));
    }
    for (index, text) in texts.iter().enumerate() {
        if text.trim().is_empty() {
            fields.problem(&format!("input[{index}]"), "must not be empty");
        } else if characters(text) > limits.embedding_chars {
            let most = limits.embedding_chars;
            fields.problem(&format!("input[{index}]"), format!("must be at most {most} characters"));
        }
    }
    texts
}

impl Input {
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.add("texts", self.texts.len());
        parameters.add("characters", self.texts.iter().map(|text| characters(text)).sum::<u64>());
        parameters.maybe("dimensions", self.dimensions);
        parameters.maybe("model", self.model.as_deref());
        parameters
    }
}

pub(crate) async fn answer(visit: Visit<'_>) -> Result<Answer, Refusal> {
    let Visit { head, request, parameters, limits, control, wrong } = visit;
    let body = json(head, request, limits.texts_bytes()).await?;
    let input = checked(parse(&body, limits), wrong)?;
    drop(body);
    *parameters = input.parameters();
    let Input { texts, model, base64, dimensions } = input;
    let count = texts.len();
    let vectors = embeddings::embed(texts, model, control).await?;
    let dimension = vectors.dimension as usize;
    let attempts = vectors.served.attempts;
    let wanted = dimension.saturating_mul(count);
    if wanted > EMBEDDING_NUMBERS {
        let refusal =
            Refusal::wrong("input", format!("is too much at once: at most {EMBEDDING_NUMBERS} numbers go out"));
        return Err(Refusal { attempts, ..refusal });
    }
    let values = bytes::numbers(vectors.values, wanted).await;
    if wanted == 0 || values.len() != wanted || values.iter().any(|value| !value.is_finite()) {
        return Err(Refusal { attempts, ..Refusal::useless("the model's vectors are of no use") });
    }
    let kept = dimensions.unwrap_or(dimension);
    if kept > dimension {
        let message = format!("must be at most {dimension}, which is what the model's vectors have");
        return Err(Refusal { attempts, ..Refusal::wrong("dimensions", message) });
    }
    let model = quoted(&vectors.served.model);
    let tokens = vectors.tokens.unwrap_or_default();
    let end = format!(
        r#"],"model":{model},"usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}{}}}"#,
        placeholder(&vectors.served)
    );
    // Each vector is written when the one before it has gone.
    let rows = (0..count).map(move |index| row(index, &cut(&values[index * dimension..][..dimension], kept), base64));
    let begin = br#"{"object":"list","data":["#.to_vec();
    let (to, from) = wit_stream::new();
    bytes::send_pieces(to, std::iter::once(begin).chain(rows).chain(std::iter::once(end.into_bytes())));
    Ok(Answer::stream(JSON, from).by(&vectors.served).repeatable(&vectors.served, true))
}

/// The first numbers of a vector, made as long as OpenAI's are: 1. Models that were trained for it keep most of the meaning.
fn cut(vector: &[f32], kept: usize) -> Vec<f32> {
    let mut vector = vector.to_vec();
    if kept < vector.len() {
        vector.truncate(kept);
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|value| *value /= length);
        }
    }
    vector
}

fn row(index: usize, vector: &[f32], base64: bool) -> Vec<u8> {
    let mut row = Vec::with_capacity(vector.len() * 13 + 64);
    if index > 0 {
        row.push(b',');
    }
    row.extend_from_slice(format!(r#"{{"object":"embedding","index":{index},"embedding":"#).as_bytes());
    if base64 {
        let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
        row.extend_from_slice(format!("\"{}\"", STANDARD.encode(bytes)).as_bytes());
    } else {
        serde_json::to_writer(&mut row, vector).expect("numbers are JSON, and memory does not fail to be written");
    }
    row.push(b'}');
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Input, Vec<(String, String)>> {
        parse(body.as_bytes(), &Limits::default()).map_err(|wrong| match wrong {
            Wrong::Invalid(problems) => problems.into_iter().map(|it| (it.field, it.message)).collect(),
            Wrong::Unreadable(message) => panic!("{message}"),
        })
    }

    #[test]
    fn texts_come_alone_or_in_lists() {
        let input = read(r#"{"input": "a", "model": "text-embedding-3-small", "user": "x"}"#).expect("a text");
        assert_eq!((input.texts.as_slice(), input.base64), (&["a".to_owned()][..], false));
        let input = read(r#"{"input": ["a", "bc"], "encoding_format": "base64", "dimensions": 2}"#).expect("texts");
        assert_eq!((input.texts.len(), input.base64, input.dimensions), (2, true, Some(2)));
        assert_eq!(input.parameters().0, "texts=2 characters=3 dimensions=2");
    }

    #[test]
    fn what_is_wrong_is_told() {
        for tokens in ["[1, 2]", "[[1, 2], [3]]", "[[ 5 ]]"] {
            let told = read(&format!(r#"{{"input": {tokens}}}"#)).expect_err("it is refused");
            assert!(told[0].0 == "input" && told[0].1.contains("tokens"), "{tokens}: {told:?}");
        }
        for (body, field) in [
            ("{}", "input"),
            (r#"{"input": []}"#, "input"),
            (r#"{"input": {}}"#, "input"),
            (r#"{"input": ""}"#, "input"),
            (r#"{"input": ["a", " "]}"#, "input[1]"),
            (r#"{"input": "a", "encoding_format": "hex"}"#, "encoding_format"),
            (r#"{"input": "a", "dimensions": 0}"#, "dimensions"),
        ] {
            assert_eq!(read(body).expect_err("it is refused")[0].0, field, "{body}");
        }
        let many = format!(r#"{{"input": [{}"a"]}}"#, "\"a\",".repeat(EMBEDDING_TEXTS));
        assert_eq!(read(&many).expect_err("it is refused")[0].0, "input");
    }

    #[test]
    fn vectors_are_numbers_or_their_bytes() {
        assert_eq!(row(0, &[0.5, -0.25], false), br#"{"object":"embedding","index":0,"embedding":[0.5,-0.25]}"#);
        let coded = row(1, &[0.5, -0.25, 1.0, 0.0], true);
        assert_eq!(coded, br#",{"object":"embedding","index":1,"embedding":"AAAAPwAAgL4AAIA/AAAAAA=="}"#);
    }

    #[test]
    fn shorter_vectors_have_length_one() {
        assert_eq!(cut(&[3.0, 4.0, 5.0], 2), [0.6, 0.8]);
        assert_eq!(cut(&[3.0, 4.0], 2), [3.0, 4.0]);
        assert_eq!(cut(&[0.0, 0.0, 1.0], 2), [0.0, 0.0]);
    }
}
