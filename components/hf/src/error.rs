//! What an upstream's refusal means: for the caller (`Reason`), and for trying again (`Again`).

use std::borrow::Cow;
use std::time::Duration;

use hybrid_guest::types::{Failure, Reason};

use crate::head::Head;
use crate::retry::Again;
use hybrid_guest::json;

/// Of an upstream's own words; enough for a sentence, too little for a page.
const MESSAGE_CHARS: usize = 300;

/// One attempt that did not end in an answer.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) again: Again,
}

impl Fault {
    /// An answer came, and it is of no use; the next one may be.
    #[cold]
    pub(crate) fn garbage(message: &str) -> Fault {
        Fault { reason: Reason::Failed(failure(message, None)), again: Again::Backoff }
    }

    /// As `garbage`, where the next one will not be better.
    #[cold]
    pub(crate) fn useless(message: &str) -> Fault {
        Fault { reason: Reason::Failed(failure(message, None)), again: Again::No }
    }

    /// No answer came.
    #[cold]
    pub(crate) fn unreachable(message: &str) -> Fault {
        Fault { reason: Reason::Unavailable(failure(message, None)), again: Again::Backoff }
    }

    pub(crate) fn timeout() -> Fault {
        Fault { reason: Reason::Timeout, again: Again::Backoff }
    }

    #[cold]
    pub(crate) fn internal(message: &str) -> Fault {
        Fault { reason: Reason::Internal(message.to_owned()), again: Again::No }
    }
}

pub(crate) fn failure(message: impl Into<String>, status: Option<u16>) -> Failure {
    Failure { message: message.into(), status }
}

/// What an error body says, whichever of the many shapes it has.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) message: Option<String>,
    /// `type`, `error_type` and `code`, in lower case, with a space after each.
    pub(crate) kinds: String,
    /// Seconds until the model is loaded.
    pub(crate) estimated_time: Option<f64>,
}

impl Told {
    /// Reads the shapes in the order in which servers mean them: `error` as text, list or object; `errors`,
    /// `error_description`, `detail`, `message`; the header; plain text. Pages of HTML say nothing.
    pub(crate) fn read(head: &Head, body: &[u8]) -> Told {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        let mut told = Told::of_json(text).unwrap_or_default();
        if told.message.is_none() {
            told.message = head.get("x-error-message").filter(|text| !text.is_empty()).map(str::to_owned);
        }
        let plain = !head.is_json() && !has(&head.content_type(), "html") && !text.starts_with(['<', '{', '[']);
        if told.message.is_none() && plain && !text.is_empty() {
            told.message = Some(text.to_owned());
        }
        if let Some(code) = head.get("x-error-code") {
            told.kinds.push_str(&code.to_ascii_lowercase());
        }
        told
    }

    fn of_json(text: &str) -> Option<Told> {
        let members = json::members(text)?;
        let get = |name: &str| json::get(&members, name);
        let mut told = Told::default();
        let inner = get("error").and_then(json::members).unwrap_or_default();
        for (key, value) in members.iter().chain(&inner) {
            match &**key {
                "type" | "error_type" | "code" => {
                    told.kinds.push_str(&words(value.get()).to_ascii_lowercase());
                    told.kinds.push(' ');
                }
                "estimated_time" => told.estimated_time = json::number(value.get()),
                _ => {}
            }
        }
        told.message = json::get(&inner, "message")
            .or_else(|| ["error", "errors", "error_description", "detail", "message"].into_iter().find_map(get))
            .map(|value| words(value).into_owned())
            .filter(|message| !message.is_empty());
        Some(told)
    }
}

/// A text, or a list of texts or of objects that have one, as one text.
fn words(value: &str) -> Cow<'_, str> {
    if let Some(text) = json::text(value) {
        return text;
    }
    if let Some(list) = json::elements(value) {
        let texts: Vec<_> = list.iter().map(|item| words(item.get())).filter(|text| !text.is_empty()).collect();
        return Cow::Owned(texts.join("; "));
    }
    let one = ["message", "msg", "error", "detail"].into_iter().find_map(|name| json::member(value, name));
    match one {
        Some(text) => words(text),
        None if value.starts_with('{') => Cow::Borrowed(""),
        None => Cow::Borrowed(value),
    }
}

/// One search for all phrases: inlined for each of them it is a tenth of this component.
#[inline(never)]
fn has(text: &str, phrase: &str) -> bool {
    text.contains(phrase)
}

/// Sorts an answer whose status is not 2xx. `now` is the time in seconds since 1970.
#[cold]
pub(crate) fn refusal(model: &str, head: &Head, body: &[u8], now: i64) -> Fault {
    let status = head.status;
    let told = Told::read(head, body);
    let lower = told.message.as_deref().unwrap_or_default().to_ascii_lowercase();
    let says = |phrase: &str| has(&lower, phrase) || has(&told.kinds, phrase);
    let quoted = told.message.as_deref().map(presentable);
    let message = quoted.unwrap_or_else(|| format!("the upstream answered with status {status}"));
    let failure = failure(message, Some(status));

    let not_served = says("not supported by provider")
        || says("not supported by any provider")
        || says("no longer supported")
        || says("model_not_supported")
        || says("model_not_found");
    let gated = status == 403 && (says("gated") || says("access to this model") || says("access this model"));
    let credit = status == 402 || says("included credits") || says("insufficient_quota");

    let asked = head.retry_after(now);
    let waiting = asked.map_or(Again::Backoff, Again::After);
    let (reason, again) = match status {
        // The account's own troubles; no model of this upstream would fare better.
        _ if credit => (Reason::Denied(failure), Again::No),
        _ if says("currently loading") || (status == 503 && told.estimated_time.is_some()) => {
            let seconds = told.estimated_time.filter(|seconds| *seconds >= 0.0);
            let estimate = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            (Reason::Unavailable(failure), estimate.or(asked).map_or(Again::Backoff, Again::Loading))
        }
        400 | 404 | 410 if not_served || status != 400 => (Reason::UnknownModel(model.to_owned()), Again::No),
        // A licence that was not accepted concerns this model alone.
        403 if gated => (Reason::UnknownModel(model.to_owned()), Again::No),
        401 | 403 | 407 => (Reason::Denied(failure), Again::No),
        408 => (Reason::Unavailable(failure), waiting),
        424 => (Reason::Unavailable(failure), Again::Once),
        429 => {
            let seconds = asked.map(|wait| wait.as_secs_f64().ceil() as u32);
            (Reason::RateLimited(seconds), waiting)
        }
        400..=499 => (Reason::Rejected(failure), Again::No),
        500..=599 => (Reason::Unavailable(failure), waiting),
        _ => (Reason::Failed(failure), Again::No),
    };
    let again = if head.get("x-should-retry") == Some("false") { Again::No } else { again };
    Fault { reason, again }
}

/// Sorts an error that came inside a stream whose status was 200. TGI says 422 there whatever happened, so that its
/// number counts for nothing.
#[cold]
pub(crate) fn in_stream(data: &str) -> Fault {
    let told = Told::of_json(data).unwrap_or_default();
    let message = told.message.as_deref().map(presentable);
    let failure = failure(message.unwrap_or_else(|| "the model broke off its answer".to_owned()), None);
    let (reason, again) = match told.kinds {
        kinds if has(&kinds, "overloaded") => (Reason::Unavailable(failure), Again::Backoff),
        kinds if has(&kinds, "rate_limit") => (Reason::RateLimited(None), Again::Backoff),
        kinds if has(&kinds, "validation") || has(&kinds, "invalid_request") => (Reason::Rejected(failure), Again::No),
        _ => (Reason::Failed(failure), Again::Backoff),
    };
    Fault { reason, again }
}

/// An upstream's words without what must not leave the platform: addresses, hosts, tokens; cut to a sentence's length.
#[cold]
pub(crate) fn presentable(text: &str) -> String {
    let mut out = String::new();
    let mut bearer = false;
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let secret = bearer || ["hf_", "sk-", "api_org_"].iter().any(|mark| has(word, mark));
        bearer = bare.eq_ignore_ascii_case("bearer");
        if secret {
            out.push_str("[hidden]");
        } else if is_address(bare) || has(word, "://") {
            out.push_str("[address]");
        } else {
            out.extend(word.chars().filter(|c| !c.is_control()));
        }
        if out.chars().count() > MESSAGE_CHARS {
            break;
        }
    }
    match out.char_indices().nth(MESSAGE_CHARS) {
        Some((at, _)) => format!("{}…", &out[..at]),
        None => out,
    }
}

/// A host, `router.huggingface.co` or `10.0.0.1:8080`; not a model, `meta-llama/Llama-3.1-8B`, nor a number.
fn is_address(word: &str) -> bool {
    let host = word.split(['/', ':', '?']).next().unwrap_or_default();
    let labels: Vec<&str> = host.split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    let numeric = labels.len() == 4 && labels.iter().all(|label| label.parse::<u8>().is_ok());
    let top_level = ["co", "com", "net", "org", "io", "ai", "cloud", "dev", "internal", "local", "svc", "run"];
    let named = labels.len() >= 2 && labels.iter().all(|label| !label.is_empty()) && top_level.contains(&last);
    numeric || named || word.starts_with("localhost:")
}

#[cfg(test)]
mod tests;
