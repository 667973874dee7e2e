//! Requests that the host itself leads through the chain: it asks whether a client's request may come in, and brings what
//! it kept of one.
//!
//! The first component is whoever decides who comes in. The host is known to it by a secret that no client can know, in
//! `x-admission`; the settings tell it to components. A question has an empty body, and its answer of 204 names the
//! caller in `x-log-caller`. What is brought names that caller in `x-admitted-as`, in place of a key.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};

use crate::answer::Answer;
use crate::error::Refusal;
use crate::registry::Generation;
use crate::request::{self, Desk, Whose};

pub const SECRET_SETTING: &str = "admission_secret";

const ADMISSION: HeaderName = HeaderName::from_static("x-admission");
/// For how many requests it stands that is asked about.
const ADMISSION_COUNT: HeaderName = HeaderName::from_static("x-admission-count");
const ADMITTED_AS: HeaderName = HeaderName::from_static("x-admitted-as");
const CALLER: HeaderName = HeaderName::from_static("x-log-caller");
/// Asked of components: is this answer one that the same request would get again? They answer in the same words.
pub const REPEATABLE: HeaderName = HeaderName::from_static("x-log-repeatable");
/// What callers begin with that showed nothing.
const NOBODY: &str = "address/";

/// Another one in each process.
pub fn secret() -> &'static str {
    static SECRET: LazyLock<String> = LazyLock::new(random_id);
    &SECRET
}

/// 128 random bits, which nobody guesses.
pub fn random_id() -> String {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the system gives random numbers");
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A client's request that may come in.
pub struct Admitted {
    /// Who it is: the same for the same key, or for the same address where none is shown.
    pub caller: Arc<str>,
    /// What every answer to this request says.
    headers: HeaderMap,
}

impl Admitted {
    /// Dresses an answer that comes from the host.
    pub fn dress(&self, answer: &mut Response<Answer>) {
        let headers = answer.headers_mut();
        for name in self.headers.keys() {
            headers.remove(name);
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
    }
}

/// Whether one caller may see what another has made. Who shows no key has no other name than an address, which changes
/// with proxies and networks: such things are seen by whoever knows their unguessable id, and shows no key either.
pub fn may_see(caller: &str, maker: &str) -> bool {
    caller == maker || (caller.starts_with(NOBODY) && maker.starts_with(NOBODY))
}

/// Asks whether `count` requests with this head may come in. Otherwise the answer is the client's.
#[expect(clippy::too_many_arguments, reason = "one caller; they are what a request is made of")]
pub async fn ask(
    desk: &Arc<Desk>,
    client: &Arc<str>,
    generation: &Arc<Generation>,
    method: &Method,
    path: &Uri,
    count: usize,
    headers: &HeaderMap,
    id: &HeaderValue,
) -> Result<Admitted, Response<Answer>> {
    let mut question = Request::new(Full::<Bytes>::default());
    *question.method_mut() = method.clone();
    *question.uri_mut() = path.clone();
    let mut asked = headers.clone();
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT, ADMITTED_AS] {
        asked.remove(name);
    }
    asked.insert(ADMISSION, HeaderValue::from_static(secret()));
    asked.insert(ADMISSION_COUNT, HeaderValue::from(count));
    asked.insert(request::REQUEST_ID, id.clone());
    *question.headers_mut() = asked;
    let (desk, client, generation) = (Arc::clone(desk), Arc::clone(client), Arc::clone(generation));
    let mut answer = request::through(desk, client, generation, question, Whose::Question).await;
    let caller = answer.headers_mut().remove(CALLER);
    let caller = caller.as_ref().and_then(|caller| caller.to_str().ok());
    match (answer.status(), caller) {
        (StatusCode::NO_CONTENT, Some(caller)) => {
            let caller = Arc::from(caller);
            let (mut parts, body) = answer.into_parts();
            drain(body).await;
            // Who answered the question is not who answers the request.
            parts.headers.remove(request::COMPONENTS);
            parts.headers.remove(request::REQUEST_ID);
            Ok(Admitted { caller, headers: parts.headers })
        }
        _ => Err(answer),
    }
}

/// An empty body still has an end, after which its store serves others.
async fn drain(mut body: Answer) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// A request as the host keeps it.
#[derive(Clone)]
pub struct Brought {
    pub method: Method,
    /// With its query.
    pub path: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Leads a request through the chain that was let in before.
pub async fn bring(
    desk: &Arc<Desk>,
    client: &Arc<str>,
    generation: &Arc<Generation>,
    caller: &str,
    request: Brought,
    whose: Whose,
) -> Response<Answer> {
    let Brought { method, path, mut headers, body } = request;
    headers.insert(ADMISSION, HeaderValue::from_static(secret()));
    if let Ok(caller) = HeaderValue::from_str(caller) {
        headers.insert(ADMITTED_AS, caller);
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let mut brought = Request::new(Full::new(body));
    *brought.method_mut() = method;
    *brought.uri_mut() = path;
    *brought.headers_mut() = headers;
    let (desk, client, generation) = (Arc::clone(desk), Arc::clone(client), Arc::clone(generation));
    request::through(desk, client, generation, brought, whose).await
}

/// What an answer was, for whoever gets it later or once more.
#[derive(Debug, Clone)]
pub struct Kept {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Kept {
    pub fn answer(self) -> Response<Answer> {
        let mut answer = Response::new(Answer::Told(Full::new(self.body)));
        *answer.status_mut() = self.status;
        *answer.headers_mut() = self.headers;
        answer
    }

    pub fn content_type(&self) -> &str {
        self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default()
    }

    pub fn is_events(&self) -> bool {
        self.content_type().starts_with("text/event-stream")
    }
}

/// Why there is nothing to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    BrokenOff,
    TooLarge,
    /// The same request would be answered now.
    AskAgain,
}

/// The whole answer.
pub async fn keep(answer: Response<Answer>, most: u64, mut seen: impl FnMut(u64)) -> Result<Kept, Lost> {
    if answer.extensions().get::<request::AskAgain>().is_some() {
        return Err(Lost::AskAgain);
    }
    let (parts, mut body) = answer.into_parts();
    if body.size_hint().lower() > most {
        return Err(Lost::TooLarge);
    }
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Lost::BrokenOff)?;
        if let Some(piece) = frame.data_ref() {
            if (whole.len() + piece.len()) as u64 > most {
                return Err(Lost::TooLarge);
            }
            whole.extend_from_slice(piece);
            seen(whole.len() as u64);
        }
    }
    Ok(Kept { status: parts.status, headers: of_the_answer(parts.headers), body: whole.into() })
}

/// The headers that say what an answer is, and nothing of the request that it came for.
pub fn of_the_answer(mut headers: HeaderMap) -> HeaderMap {
    for name in [header::VARY, header::CONNECTION, header::TRANSFER_ENCODING, header::DATE, request::REQUEST_ID] {
        headers.remove(name);
    }
    let passing = |name: &HeaderName| {
        ["access-control-", "x-ratelimit-", "x-log-"].iter().any(|begin| name.as_str().starts_with(begin))
    };
    let names: Vec<_> = headers.keys().filter(|name| passing(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
    headers
}

/// The headers that say how a request is to be answered. What could hold a secret stays behind, with all that is not known
/// to be harmless.
pub fn of_the_work(headers: &HeaderMap) -> HeaderMap {
    const PLAIN: &[&str] = &["accept", "accept-language", "user-agent", "traceparent", "tracestate"];
    /// What the host has dealt with.
    const DONE: &[&str] =
        &["x-admission", "x-admission-count", "x-admitted-as", "x-webhook-url", "x-cache", "x-cache-ttl", "x-real-ip"];
    const SECRETS: &[&str] = &["key", "token", "auth", "secret", "password", "cookie", "session", "signature"];
    let wanted = |name: &str| {
        let told = name.starts_with("content-") && name != "content-length";
        let extra = name.starts_with("x-") && !name.starts_with("x-forwarded-") && !name.starts_with("x-log-");
        let harmless = !DONE.contains(&name) && !SECRETS.iter().any(|word| name.contains(word));
        PLAIN.contains(&name) || told || (extra && (harmless || name == "x-first-token-timeout-ms"))
    };
    headers
        .iter()
        .filter(|(name, _)| wanted(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A request's body, as far as the host may hold it.
pub fn refused_early(headers: &HeaderMap, most: u64) -> Result<(), Refusal> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if length > most => Err(Refusal::TooLarge { limit: most }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_secret_is_not_carried_on() {
        let mut headers = HeaderMap::new();
        for name in [
            "authorization",
            "x-api-key",
            "cookie",
            "proxy-authorization",
            "x-auth-token",
            "x-admission",
            "x-log-usage",
            "x-amz-signature",
            "content-length",
            "host",
            "origin",
            "x-forwarded-for",
            "connection",
            "x-session-id",
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        assert!(of_the_work(&headers).is_empty(), "{:?}", of_the_work(&headers));
        for name in ["content-type", "accept", "x-timeout-ms", "x-first-token-timeout-ms", "x-fallback", "x-request-id"]
        {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        assert_eq!(of_the_work(&headers).len(), 6);
    }

    #[test]
    fn who_showed_a_key_is_told_apart() {
        assert!(may_see("key/a", "key/a") && may_see("address/1", "address/2"));
        assert!(!may_see("key/a", "key/b") && !may_see("address/1", "key/a") && !may_see("key/a", "address/1"));
    }

    #[test]
    fn a_kept_answer_says_nothing_of_its_request() {
        let mut headers = HeaderMap::new();
        for name in
            ["x-request-id", "x-ratelimit-limit-requests", "access-control-allow-origin", "vary", "x-log-caller"]
        {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        headers.insert("x-model", HeaderValue::from_static("a/b"));
        assert_eq!(of_the_answer(headers).keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-model"]);
    }
}
