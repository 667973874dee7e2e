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
    /// It still ran on a version that was replaced long ago.
    #[error("the version that worked on this request was replaced, ask again")]
    Replaced,
    #[error("the app has no such file")]
    NoPage,
    #[error("a page can be read, and nothing else")]
    PageMethod,
    /// A trap, a refused allocation, a broken answer: ours, so nothing of it is told.
    #[error("something went wrong here, not with your request")]
    Broken,
}

impl Refusal {
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::TooManyHeaders { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refusal::Busy | Refusal::Replaced => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Refusal::NoPage => StatusCode::NOT_FOUND,
            Refusal::PageMethod => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Refusal::TooLarge { .. } => "payload_too_large",
            Refusal::TooManyHeaders { .. } => "headers_too_large",
            Refusal::Busy => "overloaded",
            Refusal::Timeout => "timeout",
            Refusal::Replaced => "replaced",
            Refusal::NoPage => "not_found",
            Refusal::PageMethod => "method_not_allowed",
            Refusal::Broken => "internal_error",
        }
    }

    /// The uniform body.
    pub fn body(&self) -> String {
        let (code, timestamp) = (self.code(), crate::telemetry::timestamp());
        // No text here needs escaping: all of them are above.
        format!(r#"{{"error":"{code}","message":"{self}","details":{{}},"timestamp":"{timestamp}"}}"#)
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
            Refusal::Busy | Refusal::Replaced => headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1")),
            Refusal::PageMethod => headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD")),
            _ => None,
        };
        response
    }
}
