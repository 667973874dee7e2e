//! `POST /batch`: many requests of one path at once, over all lanes, with an answer for each in their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::Answer;
use crate::beside;
use crate::error::Refusal;
use crate::inside::{self, Brought, Kept, Lost};
use crate::jobs;
use crate::lane::Lanes;
use crate::request::{self, Whose};

pub const PATH: &str = "/batch";

/// What a batch may be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests in one. Each counts towards limits; where not all of them fit into what is left, none is let in.
    pub items: usize,
    /// At work at once, of one batch: providers of models refuse more.
    pub at_once: usize,
    /// All answers of one batch; those that no longer fit are named as such.
    pub answer_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { items: 1000, at_once: 16, answer_bytes: 64 * 1024 * 1024 }
    }
}

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(borrow)]
    path: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
}

/// What a batch asks.
pub struct Batch {
    pub path: Uri,
    /// The body of each request.
    pub items: Vec<Bytes>,
}

pub fn parse(body: &Bytes, limits: &Limits) -> Result<Batch, Refusal> {
    let wrong = "a batch is JSON with a `path` and a list of `items`, each the body of one request";
    let text: Text<'_> = serde_json::from_slice(body).map_err(|_| Refusal::Unreadable(wrong))?;
    let plain = |path: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.-".contains(&byte);
        let first = path.strip_prefix('/').and_then(|rest| rest.bytes().next());
        path.len() <= 201 && path.bytes().all(is_plain) && first.is_some_and(|byte| byte.is_ascii_alphanumeric())
    };
    let path = text.path.parse::<Uri>().ok().filter(|_| plain(&text.path));
    let Some(path) = path.filter(|path| !jobs::covers(path.path()) && path.path() != PATH) else {
        return Err(Refusal::Wrong("path", "must be that of a capability, as a request of its own has it"));
    };
    if !(1..=limits.items).contains(&text.items.len()) {
        return Err(Refusal::Items { most: limits.items });
    }
    if !text.items.iter().all(|item| item.get().starts_with('{')) {
        return Err(Refusal::Wrong("items", "must each be an object: the body of one request"));
    }
    let items = text.items.iter().map(|item| body.slice_ref(item.get().as_bytes())).collect();
    Ok(Batch { path, items })
}

/// Works on a batch that was let in. Whoever drops this ends what runs of it.
pub async fn answer(
    lanes: &Lanes,
    client: &Arc<str>,
    caller: &Arc<str>,
    brought: &Brought,
    limits: &Limits,
    done: impl Fn(usize) + Send,
) -> Response<Answer> {
    let batch = match parse(&brought.body, limits) {
        Ok(batch) => batch,
        Err(refusal) => return beside::json(refusal.status(), refusal.body()),
    };
    let headers = of_each(&brought.headers);
    let left = Arc::new(AtomicU64::new(limits.answer_bytes));
    let count = batch.items.len();
    let work = batch.items.into_iter().enumerate().map(|(index, body)| {
        let (lanes, client, caller, left) = (lanes.clone(), Arc::clone(client), Arc::clone(caller), Arc::clone(&left));
        let mut headers = headers.clone();
        name_it(&mut headers, index);
        let item = Brought { method: Method::POST, path: batch.path.clone(), headers, body };
        async move {
            let result = lanes
                .run(move |desk| async move {
                    let generation = desk.registry.current();
                    let answer = inside::bring(&desk, &client, &generation, &caller, item, Whose::Nobodys).await;
                    inside::keep(answer, left.load(Ordering::Relaxed), |_| ()).await.and_then(|kept| {
                        // Base64 is a third longer.
                        let bytes = kept.body.len() as u64 * 4 / 3;
                        let taken =
                            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
                        taken.map(|_| kept).map_err(|_| Lost::TooLarge)
                    })
                })
                .await;
            (index, told(index, result.unwrap_or(Err(Lost::AskAgain))))
        }
    });
    let mut results = vec![None; count];
    let (mut finished, mut succeeded) = (0, 0);
    let mut running = futures::stream::iter(work).buffer_unordered(limits.at_once.max(1));
    while let Some((index, (good, text))) = running.next().await {
        finished += 1;
        succeeded += usize::from(good);
        results[index] = Some(text);
        done(finished);
    }
    let results: Vec<String> = results.into_iter().flatten().collect();
    let failed = count - succeeded;
    let body = format!(r#"{{"results":[{}],"succeeded":{succeeded},"failed":{failed}}}"#, results.join(","));
    beside::json(StatusCode::OK, body)
}

/// What is said of the whole batch is said of each request in it.
fn of_each(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove(header::CONTENT_ENCODING);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
}

/// The log finds each by the batch's id.
fn name_it(headers: &mut HeaderMap, index: usize) {
    let id = headers.get(request::REQUEST_ID).and_then(|id| id.to_str().ok()).map(|id| format!("{id}-{index}"));
    match id.and_then(|id| HeaderValue::from_str(&id).ok()) {
        Some(id) => headers.insert(request::REQUEST_ID, id),
        None => headers.remove(request::REQUEST_ID),
    };
}

/// What came of one request, as JSON, and whether that is what was asked for.
fn told(index: usize, result: Result<Kept, Lost>) -> (bool, String) {
    let kept = match result {
        Ok(kept) => kept,
        Err(lost) => {
            let refusal = match lost {
                Lost::BrokenOff => Refusal::BrokenOff,
                Lost::TooLarge => Refusal::AnswerTooLarge,
                Lost::AskAgain => Refusal::Replaced,
            };
            let status = refusal.status().as_u16();
            return (false, format!(r#"{{"index":{index},"status":{status},"error":{}}}"#, refusal.body()));
        }
    };
    let (good, status) = (kept.status.is_success(), kept.status.as_u16());
    let field = if good { "body" } else { "error" };
    let kind = serde_json::Value::from(kept.content_type());
    let body = match as_json(&kept) {
        Some(body) => format!(r#""{field}":{body}"#),
        None if good => format!(r#""content_type":{kind},"{field}":"{}""#, STANDARD.encode(&kept.body)),
        None => format!(r#""{field}":{}"#, Refusal::BrokenOff.body()),
    };
    (good, format!(r#"{{"index":{index},"status":{status},{body}}}"#))
}

/// A body that can stand within JSON.
pub fn as_json(kept: &Kept) -> Option<&str> {
    let is_json = kept.content_type().to_ascii_lowercase().contains("json");
    let text = std::str::from_utf8(&kept.body).ok().filter(|_| is_json)?;
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok().map(|_| text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Batch, Refusal> {
        parse(&Bytes::copy_from_slice(body.as_bytes()), &Limits { items: 2, ..Limits::default() })
    }

    #[test]
    fn a_batch_is_a_path_and_bodies() {
        let batch = read(r#"{"path": "/a/b", "items": [ {"c": 1} , {}]}"#).expect("a batch");
        assert_eq!(batch.path, "/a/b");
        assert_eq!(batch.items, [r#"{"c": 1}"#, "{}"]);
        for wrong in [
            "",
            "[]",
            r#"{"path":"/a"}"#,
            r#"{"path":"/a","items":[]}"#,
            r#"{"path":"/a","items":[{},{},{}]}"#,
            r#"{"path":"/a","items":[1]}"#,
            r#"{"path":"a","items":[{}]}"#,
            r#"{"path":"/batch","items":[{}]}"#,
            r#"{"path":"/jobs/1","items":[{}]}"#,
            r#"{"path":"http://x/a","items":[{}]}"#,
            r#"{"path":"//x/a","items":[{}]}"#,
            r#"{"path":"/a b","items":[{}]}"#,
            r#"{"path":"/a?b","items":[{}]}"#,
            r#"{"path":"/","items":[{}]}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_result_says_what_it_is() {
        let kept = |status: StatusCode, kind: &'static str, body: &'static str| Kept {
            status,
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]),
            body: Bytes::from_static(body.as_bytes()),
        };
        let told = |result| told(7, result);
        assert_eq!(
            told(Ok(kept(StatusCode::OK, "application/json", "{\"a\":1}\n"))),
            (true, r#"{"index":7,"status":200,"body":{"a":1}}"#.into())
        );
        assert_eq!(
            told(Ok(kept(StatusCode::OK, "image/png", "abc"))),
            (true, r#"{"index":7,"status":200,"content_type":"image/png","body":"YWJj"}"#.into())
        );
        let (good, text) = told(Ok(kept(StatusCode::UNPROCESSABLE_ENTITY, "application/json", "{\"error\":\"x\"}")));
        assert_eq!((good, text.as_str()), (false, r#"{"index":7,"status":422,"error":{"error":"x"}}"#));
        let (good, text) = told(Err(Lost::TooLarge));
        assert!(
            !good && serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|it| it["status"] == 507),
            "{text}"
        );
    }
}
