//! What each task answers.

pub(crate) mod card;
pub(crate) mod chat;
pub(crate) mod draw;
pub(crate) mod edit;
pub(crate) mod features;
pub(crate) mod routed;
pub(crate) mod speak;
pub(crate) mod transcribe;

mod body;

use http::HeaderMap;

/// A call as the tasks see it.
pub(crate) struct Call<'a> {
    pub(crate) model: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// `http://127.0.0.1:PORT` as the caller knows us.
    pub(crate) origin: String,
}

impl Call<'_> {
    /// A header's value; empty when it is absent or not text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether the model's name has this word.
    pub(crate) fn named(&self, word: &str) -> bool {
        let name = self.model.rsplit('/').next().unwrap_or_default();
        name.split(['-', '_', '.']).any(|part| part.eq_ignore_ascii_case(word))
    }
}
