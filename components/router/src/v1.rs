//! OpenAI's API over the same capabilities, so that its clients need no change but their address.
//!
//! What they send and we cannot do is refused by name; what changes nothing in an answer is read over. Deviations:
//! speech asked for as mp3, opus or aac comes as WAV and says so in its type; pictures come as `b64_json`, or as `data:`
//! URLs where URLs are asked for; an edited picture is as large as the one it was made from; counts of tokens are 0 where
//! the model does not count.

mod chat;
mod completions;
pub(crate) mod embeddings;
pub(crate) mod images;
mod models;
mod problem;
pub(crate) mod speech;
mod transcriptions;

use std::time::{SystemTime, UNIX_EPOCH};

use hybrid_guest::types::Usage;

use crate::answer::Answer;
use crate::body::checked;
use crate::head::Head;
use crate::refusal::Refusal;
use crate::serve::{Visit, json};

pub(crate) use models::{list, offer, one};
pub(crate) use problem::body as problem;

/// What OpenAI's API answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Chat,
    Completions,
    Embeddings,
    Images,
    ImageEdits,
    Speech,
    Transcriptions,
}

pub(crate) async fn endpoint(endpoint: Endpoint, visit: Visit<'_>) -> Result<Answer, Refusal> {
    match endpoint {
        Endpoint::Chat => chat::answer(visit).await,
        Endpoint::Completions => completions::answer(visit).await,
        Endpoint::Embeddings => embeddings::answer(visit).await,
        Endpoint::Images => images::generate(visit).await,
        Endpoint::ImageEdits => images::edit(visit).await,
        Endpoint::Speech => speech::answer(visit).await,
        Endpoint::Transcriptions => transcriptions::answer(visit).await,
    }
}

/// Whether a path is of OpenAI's API, where errors have its form.
pub(crate) fn covers(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// An answer's own name: the request's, as the log knows it.
fn id(kind: &str, head: &Head) -> String {
    match head.get("x-request-id") {
        Some(id) if id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) => {
            format!("{kind}-{id}")
        }
        _ => format!("{kind}-{:x}", SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())),
    }
}

/// OpenAI's `usage`; 0 where nobody counted.
fn usage(usage: Option<&Usage>) -> String {
    let (prompt, completion, total) =
        usage.map_or((0, 0, 0), |usage| (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens));
    let counted = format!(r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total}"#);
    match usage.and_then(|usage| usage.more.as_deref()).and_then(members) {
        Some(more) => format!("{counted},{more}}}"),
        None => counted + "}",
    }
}

/// What stands between the braces of a JSON object; none when that is nothing.
fn members(object: &str) -> Option<&str> {
    let inner = object.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    (!inner.is_empty()).then_some(inner)
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_openais_api_are_known() {
        assert!(covers("/v1") && covers("/v1/") && covers("/v1/chat/completions"));
        assert!(!covers("/v10/x") && !covers("/llm") && !covers("/"));
    }

    #[test]
    fn usage_has_three_counts_and_details() {
        assert_eq!(usage(None), r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#);
        let more = Some(r#"{"completion_tokens_details":{"reasoning_tokens":1}}"#.to_owned());
        let counted = Usage { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3, more };
        assert_eq!(
            usage(Some(&counted)),
            r#"{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"completion_tokens_details":{"reasoning_tokens":1}}"#
        );
    }

    #[test]
    fn an_id_is_the_requests() {
        assert_eq!(id("chatcmpl", &Head::of(&[("x-request-id", "a-1")])), "chatcmpl-a-1");
        assert!(id("chatcmpl", &Head::of(&[("x-request-id", "\"")])).starts_with("chatcmpl-"));
    }
}
