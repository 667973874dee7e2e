//! What is sent: text, and bytes that go out as they are or as base64, made piece by piece.
//!
//! A recording of 25 MB is held once. Its base64 never exists as a whole, and every attempt reads the same bytes again.

use std::borrow::Cow;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A multiple of three, so that the base64 of the pieces is the base64 of the whole.
pub(crate) const CHUNK: usize = 192 * 1024;

/// Bytes in pieces of `CHUNK`, the last one shorter. A copy is the same bytes again.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Chunks(pub(crate) Rc<Vec<Vec<u8>>>);

impl Chunks {
    pub(crate) fn of(pieces: Vec<Vec<u8>>) -> Chunks {
        Chunks(Rc::new(pieces))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(Vec<u8>),
    Bytes(Chunks),
    Base64(Chunks),
}

/// The parts of a request's body, in order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Body(pub(crate) Vec<Part>);

impl Body {
    pub(crate) fn text(text: impl Into<Vec<u8>>) -> Body {
        Body(vec![Part::Text(text.into())])
    }

    pub(crate) fn len(&self) -> usize {
        let part_len = |part: &Part| match part {
            Part::Text(text) => text.len(),
            Part::Bytes(chunks) => chunks.len(),
            Part::Base64(chunks) => chunks.len().div_ceil(3) * 4,
        };
        self.0.iter().map(part_len).sum()
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        self.0.iter().flat_map(|part| {
            let (chunks, coded) = match part {
                Part::Text(text) => (std::slice::from_ref(text), false),
                Part::Bytes(chunks) => (chunks.0.as_slice(), false),
                Part::Base64(chunks) => (chunks.0.as_slice(), true),
            };
            chunks.iter().map(move |chunk| match coded {
                true => Cow::Owned(STANDARD.encode(chunk).into_bytes()),
                false => Cow::Borrowed(chunk.as_slice()),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_pieces_is_base64_of_the_whole() {
        let bytes: Vec<u8> = (0..CHUNK * 2 + 1000).map(|i| (i % 251) as u8).collect();
        let chunks = Chunks::of(bytes.chunks(CHUNK).map(<[u8]>::to_vec).collect());
        let body = Body(vec![Part::Text(b"{".to_vec()), Part::Base64(chunks.clone()), Part::Text(b"}".to_vec())]);
        let whole: Vec<u8> = body.pieces().flat_map(Cow::into_owned).collect();
        assert_eq!(whole, format!("{{{}}}", STANDARD.encode(&bytes)).into_bytes());
        assert_eq!(body.len(), whole.len());
        assert!(body.pieces().all(|piece| piece.len() <= CHUNK / 3 * 4));
        assert_eq!(Body(vec![Part::Bytes(chunks)]).len(), bytes.len());
    }
}
