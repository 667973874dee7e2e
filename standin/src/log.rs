//! What came in, for tests to look at.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

/// More of a body than this is counted and not kept: enough for a picture in base64.
const KEPT_BYTES: usize = 8 << 20;

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub method: Method,
    /// With the query.
    pub path: String,
    /// Of the route, or of a chat body; absent when neither names one.
    pub model: Option<String>,
    pub headers: HeaderMap,
    pub body_bytes: usize,
    /// The first 8 MiB.
    pub body: Bytes,
}

impl Recorded {
    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A header's value; empty when it is absent or not text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[derive(Default)]
pub(crate) struct Log(Mutex<Vec<Recorded>>);

impl Log {
    pub(crate) fn add(&self, head: &http::request::Parts, model: Option<&str>, body: &Bytes) {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        self.lock().push(Recorded {
            method: head.method.clone(),
            path,
            model: model.map(str::to_owned),
            headers: head.headers.clone(),
            body_bytes: body.len(),
            body: body.slice(..body.len().min(KEPT_BYTES)),
        });
    }

    pub(crate) fn all(&self) -> Vec<Recorded> {
        self.lock().clone()
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Recorded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
