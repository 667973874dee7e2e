//! What the outside is told when the host itself must answer: one body, one place where statuses are decided.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

/// Why the host, and no component, answers.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("the request body must be at most {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("a request must have at most {limit} header fields")]
    TooManyHeaders { limit: usize },
    #[error("all places are taken, try again in a moment")]
    Busy,
    #[error("the request took longer than the platform allows")]
    Timeout,
    /// Its bytes came more slowly than a place may be held for.
    #[error("the request body came too slowly")]
    SlowBody,
    /// It still ran on a version that was replaced long ago.
    #[error("the version that worked on this request was replaced, ask again")]
    Replaced,
    #[error("the app has no such file")]
    NoPage,
    #[error("a page can be read, and nothing else")]
    PageMethod,
    #[error("the request's body broke off")]
    CutOff,
    #[error("this path takes {allow}, and nothing else")]
    Method { allow: &'static str },
    /// Nobody is told whether there is one of somebody else's.
    #[error("there is no such job")]
    NoJob,
    #[error("the job has not ended: ask again, or follow its events")]
    NotEnded,
    #[error("so many jobs are kept that no more are taken, try again in a moment")]
    QueueFull,
    #[error("too many of your jobs wait, try again when some have ended")]
    TooManyJobs,
    #[error("jobs cannot be kept here at the moment")]
    NoJobs,
    #[error("jobs are not kept here")]
    JobsOff,
    #[error("`Idempotency-Key` was used for another request: use a new one")]
    OtherRequest,
    #[error("{0}")]
    Unreadable(&'static str),
    /// A header or a field that breaks a rule, and the rule.
    #[error("`{0}` {1}")]
    Wrong(&'static str, &'static str),
    #[error("`items` must hold between 1 and {most} requests")]
    Items { most: usize },
    /// What a job that ended without an answer came to.
    #[error("the work was interrupted too often, send it again")]
    Interrupted,
    #[error("the job waited longer than jobs are kept")]
    Expired,
    #[error("the answer is larger than is kept")]
    AnswerTooLarge,
    #[error("the answer broke off, send it again")]
    BrokenOff,
    /// A trap, a refused allocation, a broken answer: ours, so nothing of it is told.
    #[error("something went wrong here, not with your request")]
    Broken,
}

impl Refusal {
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::TooManyHeaders { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refusal::CutOff => StatusCode::BAD_REQUEST,
            Refusal::Busy | Refusal::Replaced | Refusal::QueueFull | Refusal::NoJobs | Refusal::Interrupted => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Refusal::Timeout | Refusal::Expired => StatusCode::GATEWAY_TIMEOUT,
            Refusal::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Refusal::NoPage | Refusal::NoJob => StatusCode::NOT_FOUND,
            Refusal::PageMethod | Refusal::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::NotEnded => StatusCode::CONFLICT,
            Refusal::TooManyJobs => StatusCode::TOO_MANY_REQUESTS,
            Refusal::JobsOff => StatusCode::NOT_IMPLEMENTED,
            Refusal::OtherRequest | Refusal::Unreadable(_) | Refusal::Wrong(..) | Refusal::Items { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Refusal::AnswerTooLarge => StatusCode::INSUFFICIENT_STORAGE,
            Refusal::BrokenOff => StatusCode::BAD_GATEWAY,
            Refusal::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Refusal::TooLarge { .. } => "payload_too_large",
            Refusal::TooManyHeaders { .. } => "headers_too_large",
            Refusal::CutOff => "bad_request",
            Refusal::Busy | Refusal::QueueFull => "overloaded",
            Refusal::Timeout => "timeout",
            Refusal::SlowBody => "slow_body",
            Refusal::Replaced => "replaced",
            Refusal::NoPage | Refusal::NoJob => "not_found",
            Refusal::PageMethod | Refusal::Method { .. } => "method_not_allowed",
            Refusal::NotEnded => "not_ended",
            Refusal::TooManyJobs => "too_many_jobs",
            Refusal::NoJobs => "service_unavailable",
            Refusal::JobsOff => "not_implemented",
            Refusal::OtherRequest => "idempotency_mismatch",
            Refusal::Unreadable(_) | Refusal::Wrong(..) | Refusal::Items { .. } => "validation_error",
            Refusal::Interrupted => "interrupted",
            Refusal::Expired => "expired",
            Refusal::AnswerTooLarge => "answer_too_large",
            Refusal::BrokenOff => "broken_off",
            Refusal::Broken => "internal_error",
        }
    }

    /// What in the request breaks a rule, and the rule in words that go on after its name.
    fn detail(&self) -> Option<(&'static str, String)> {
        let field = match self {
            Refusal::Wrong(field, _) => field,
            Refusal::Items { .. } => "items",
            _ => return None,
        };
        let message = self.to_string();
        let rule = message.strip_prefix(&format!("`{field}` ")).unwrap_or(&message).to_owned();
        Some((field, rule))
    }

    /// The uniform body.
    pub fn body(&self) -> String {
        let (code, timestamp) = (self.code(), crate::telemetry::timestamp());
        // No text here needs escaping: all of them are above, or where they are made.
        let details = self.detail().map_or_else(String::new, |(field, rule)| format!(r#""{field}":"{rule}""#));
        format!(r#"{{"error":"{code}","message":"{self}","details":{{{details}}},"timestamp":"{timestamp}"}}"#)
    }

    /// The uniform answer, with the request's id where one is known.
    pub fn answer(&self, request_id: &HeaderValue) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body())));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-request-id", request_id.clone());
        // A browser tells a page nothing of an answer without it; the body holds nothing of anybody's.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        match self {
            Refusal::Busy | Refusal::Replaced | Refusal::NotEnded => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"))
            }
            Refusal::QueueFull | Refusal::TooManyJobs | Refusal::NoJobs => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"))
            }
            Refusal::PageMethod => headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD")),
            Refusal::Method { allow } => headers.insert(header::ALLOW, HeaderValue::from_static(allow)),
            _ => None,
        };
        response
    }
}

impl Refusal {
    /// The answer as clients of some path expect it.
    pub fn formed(&self, form: Option<&Form>, request_id: &HeaderValue) -> Response<Full<Bytes>> {
        let mut answer = self.answer(request_id);
        if let Some(form) = form {
            *answer.body_mut() = form.body(self);
            *answer.status_mut() = form.status(self);
        }
        answer
    }
}

/// The host's own words as clients of some paths expect them. Data: the host knows no form but its own.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// For what a client can mend (4xx). `{code}` and `{message}` stand for what these say, `{param}` for the name of what
    /// is wrong as JSON, or null.
    pub client: String,
    /// For what it cannot (5xx).
    pub server: String,
    /// The status there for what is well written and wrong, where that is not 422.
    #[serde(default)]
    pub invalid: Option<u16>,
}

impl Form {
    pub fn status(&self, refusal: &Refusal) -> StatusCode {
        let status = refusal.status();
        let other = self.invalid.filter(|_| status == StatusCode::UNPROCESSABLE_ENTITY);
        other.and_then(|other| StatusCode::from_u16(other).ok()).unwrap_or(status)
    }

    pub fn body(&self, refusal: &Refusal) -> Full<Bytes> {
        let form = if refusal.status().is_client_error() { &self.client } else { &self.server };
        // No text here needs escaping.
        let param = refusal.detail().map_or_else(|| "null".to_owned(), |(field, _)| format!("\"{field}\""));
        let told = form.replace("{code}", refusal.code()).replace("{message}", &refusal.to_string());
        Full::new(told.replace("{param}", &param).into())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_form_says_the_same_in_other_words() {
        let form = Form { client: "4:{code}:{message}".into(), server: "5:{code}".into(), invalid: Some(400) };
        assert_eq!(
            (form.status(&Refusal::OtherRequest), form.status(&Refusal::Busy)),
            (StatusCode::BAD_REQUEST, StatusCode::SERVICE_UNAVAILABLE)
        );
        let told = async |refusal: Refusal| form.body(&refusal).collect().await.expect("it is there").to_bytes();
        let message = "the request body must be at most 7 bytes";
        assert_eq!(told(Refusal::TooLarge { limit: 7 }).await, format!("4:payload_too_large:{message}"));
        assert_eq!(told(Refusal::Broken).await, "5:internal_error");
    }

    #[tokio::test]
    async fn what_is_wrong_is_named() {
        let details = |refusal: Refusal| {
            let body: serde_json::Value = serde_json::from_str(&refusal.body()).expect("JSON");
            body["details"].clone()
        };
        assert_eq!(details(Refusal::Wrong("x-a", "must be a word")), serde_json::json!({ "x-a": "must be a word" }));
        let items = details(Refusal::Items { most: 7 });
        assert_eq!(items, serde_json::json!({ "items": "must hold between 1 and 7 requests" }));
        assert_eq!(details(Refusal::Busy), serde_json::json!({}));
        let form = Form { client: "{param} {message}".into(), server: "{param}".into(), invalid: None };
        let told = async |refusal: Refusal| form.body(&refusal).collect().await.expect("it is there").to_bytes();
        assert_eq!(told(Refusal::Wrong("x-a", "must be a word")).await, "\"x-a\" `x-a` must be a word");
        assert_eq!(told(Refusal::Busy).await, "null");
    }
}
