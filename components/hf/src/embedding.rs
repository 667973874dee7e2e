//! Embeddings as upstreams answer them, in up to four depths of nesting, as one vector for each text.

use hybrid_guest::json::{self, Scan};

/// One vector for each text, row after row.
#[derive(Debug, PartialEq)]
pub(crate) struct Rows {
    pub(crate) dimension: usize,
    pub(crate) values: Vec<f32>,
}

/// Reads the vectors of `count` texts; none when the answer holds something else.
///
/// Depth decides: `[d]` is one vector; `[n][d]` one for each text; any other `[t][d]` for one text, and `[n][t][d]`, are
/// tokens, of which the mean is taken; `[n][1][t][d]` is the same with one box more. Also known are OpenAI's
/// `{"data": [{"embedding": [d]}]}` and `{"embeddings": …}`.
pub(crate) fn rows(body: &str, count: usize) -> Option<Rows> {
    let body = body.trim_start();
    let node = if body.starts_with('{') { enveloped(body)? } else { Node::read(body)? };
    let vectors = match node {
        Node::Row(vector) if count == 1 => vec![vector],
        Node::Row(_) => return None,
        Node::List(outer) if outer.iter().all(Node::is_row) => match count {
            // One text and several rows: tokens, by an old server.
            1 if outer.len() > 1 => vec![mean(outer)?],
            _ => outer.into_iter().map(Node::pooled).collect::<Option<_>>()?,
        },
        Node::List(outer) => outer.into_iter().map(Node::pooled).collect::<Option<_>>()?,
    };
    let dimension = vectors.first()?.len();
    let even = vectors.len() == count
        && dimension > 0
        && vectors.iter().all(|vector| vector.len() == dimension && vector.iter().all(|number| number.is_finite()));
    even.then(|| Rows { dimension, values: vectors.concat() })
}

/// The channels of a sound: rows of equal length, or one row alone.
pub(crate) fn channels(json: &str) -> Option<Vec<Vec<f32>>> {
    match Node::read(json)? {
        Node::Row(row) => Some(vec![row]),
        Node::List(rows) => {
            rows.into_iter().map(|row| if let Node::Row(row) = row { Some(row) } else { None }).collect()
        }
    }
}

fn enveloped(body: &str) -> Option<Node> {
    if let Some(plain) = json::member(body, "embeddings") {
        return Node::read(plain);
    }
    let items = json::elements(json::member(body, "data")?)?;
    let mut rows: Vec<Option<Node>> = items.iter().map(|_| None).collect();
    for (place, item) in items.iter().enumerate() {
        let index = json::member(item.get(), "index").and_then(|index| index.parse().ok()).unwrap_or(place);
        *rows.get_mut(index)? = Node::read(json::member(item.get(), "embedding")?);
    }
    rows.into_iter().collect::<Option<_>>().map(Node::List)
}

enum Node {
    Row(Vec<f32>),
    List(Vec<Node>),
}

impl Node {
    fn is_row(&self) -> bool {
        matches!(self, Node::Row(_))
    }

    /// One text's vector: itself, the mean of its tokens, or either in one box more.
    fn pooled(self) -> Option<Vec<f32>> {
        match self {
            Node::Row(vector) => Some(vector),
            Node::List(tokens) if tokens.iter().all(Node::is_row) => mean(tokens),
            Node::List(boxed) => match <[Node; 1]>::try_from(boxed).ok()? {
                [Node::List(tokens)] if tokens.iter().all(Node::is_row) => mean(tokens),
                _ => None,
            },
        }
    }
}

/// The mean over tokens. Exact for one text; where several were padded to one length, the padding was left out by the
/// server or counts little.
fn mean(tokens: Vec<Node>) -> Option<Vec<f32>> {
    let count = tokens.len() as f32;
    let mut tokens = tokens.into_iter().map(|token| match token {
        Node::Row(row) => row,
        Node::List(_) => Vec::new(),
    });
    let mut sum = tokens.next()?;
    for token in tokens {
        if token.len() != sum.len() {
            return None;
        }
        sum.iter_mut().zip(token).for_each(|(sum, number)| *sum += number);
    }
    sum.iter_mut().for_each(|number| *number /= count);
    Some(sum)
}

impl Node {
    /// A list of numbers, or of lists, however deep they go. An empty one is no vector, and numbers and lists do not mix.
    fn read(json: &str) -> Option<Node> {
        let mut scan = Scan::new(json);
        let node = Node::inside(&mut scan, 0)?;
        scan.end().then_some(node)
    }

    fn inside(scan: &mut Scan<'_>, depth: u32) -> Option<Node> {
        /// A box more than the deepest answer that was seen.
        const DEPTH: u32 = 5;
        if depth > DEPTH {
            return None;
        }
        scan.open(b'[')?;
        if scan.ahead()? != b'[' {
            let mut row = Vec::new();
            while scan.more(b']', row.is_empty())? {
                scan.ahead()?;
                row.push(scan.number()? as f32);
            }
            return (!row.is_empty()).then_some(Node::Row(row));
        }
        let mut list = Vec::new();
        while scan.more(b']', list.is_empty())? {
            list.push(Node::inside(scan, depth + 1)?);
        }
        Some(Node::List(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::reply;

    fn recorded(name: &str, count: usize) -> Option<Rows> {
        rows(&String::from_utf8(reply(name)).expect("text"), count)
    }

    fn near(rows: Option<Rows>, dimension: usize, wanted: &[f32]) {
        let rows = rows.expect("vectors");
        assert_eq!((rows.dimension, rows.values.len()), (dimension, wanted.len()));
        for (number, wanted) in rows.values.iter().zip(wanted) {
            assert!((number - wanted).abs() < 1e-6, "{:?}", rows.values);
        }
    }

    #[test]
    fn recorded_shapes_become_one_vector_for_each_text() {
        near(recorded("features.response.d.json", 1), 3, &[0.12, -0.5, 0.33]);
        near(recorded("features.response.nd.json", 2), 3, &[0.12, -0.5, 0.33, 0.2, 0.1, 0.0]);
        near(recorded("features.response.1td.json", 1), 2, &[0.3, 0.4]);
        near(recorded("features.response.n1td.json", 2), 2, &[0.2, 0.3, 0.6, 0.7]);
        near(recorded("tei.embed.response.json", 2), 2, &[0.1, 0.2, 0.3, 0.4]);
        near(recorded("embeddings.openai-like.response.json", 1), 2, &[0.1, 0.2]);
    }

    #[test]
    fn ambiguous_shapes_follow_the_number_of_texts() {
        near(rows("[[1, 2]]", 1), 2, &[1.0, 2.0]);
        near(rows("[[1, 2], [3, 4], [5, 6]]", 1), 2, &[3.0, 4.0]);
        near(rows("[[[1, 2], [3, 4]], [[5, 6]]]", 2), 2, &[2.0, 3.0, 5.0, 6.0]);
        near(rows("[[[[1, 2], [3, 4]]]]", 1), 2, &[2.0, 3.0]);
        near(rows(r#"{"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}]}"#, 2), 1, &[1.0, 2.0]);
        near(rows(r#"{"embeddings": [[1, 2]]}"#, 1), 2, &[1.0, 2.0]);
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        for (body, count) in [
            ("[]", 1),
            ("[[]]", 1),
            ("[1, [2]]", 1),
            ("[null]", 1),
            ("[\"1\"]", 1),
            ("[1, 2", 1),
            ("[1e999]", 1),
            ("[1, 2]", 2),
            ("[[1, 2]]", 2),
            ("[[1, 2], [3]]", 2),
            ("[[[1, 2], [3]]]", 1),
            ("[[[[1]], [[2]]]]", 1),
            ("[[[[[1]]]]]", 1),
            ("{\"error\": \"x\"}", 1),
            ("3", 1),
            ("", 1),
        ] {
            assert_eq!(rows(body, count), None, "{body}");
        }
    }
}
