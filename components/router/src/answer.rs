//! What goes back: a status, the headers in one go, and a body that may still be coming.

use hybrid_guest::types::Served;
use hybrid_guest::{bytes, time};
use spin_sdk::wasip3::http::types::{Fields, Response};
use spin_sdk::wasip3::wit_bindgen::StreamReader;
use spin_sdk::wasip3::{wit_future, wit_stream};

use crate::input::Parameters;
use crate::refusal::Refusal;
use crate::v1;

pub(crate) const JSON: &str = "application/json";

pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
}

enum Body {
    Empty,
    Bytes(Vec<u8>),
    /// Handed on unread.
    Stream(StreamReader<u8>),
}

impl Answer {
    pub(crate) fn empty(status: u16) -> Answer {
        Answer { status, headers: Vec::with_capacity(4), body: Body::Empty }
    }

    pub(crate) fn bytes(content_type: &str, bytes: Vec<u8>) -> Answer {
        let headers = Vec::with_capacity(10);
        let length = bytes.len().to_string();
        let answer = Answer { status: 200, headers, body: Body::Bytes(bytes) };
        answer.with("content-type", content_type).with("content-length", &length)
    }

    pub(crate) fn stream(content_type: &str, stream: StreamReader<u8>) -> Answer {
        let headers = Vec::with_capacity(10);
        Answer { status: 200, headers, body: Body::Stream(stream) }.with("content-type", content_type)
    }

    /// In the form of those whose path it is.
    pub(crate) fn refusal(refusal: &Refusal, path: &str) -> Answer {
        let (status, body) = match v1::covers(path) {
            true => v1::problem(refusal),
            false => (refusal.status, refusal.body(&time::now())),
        };
        let mut answer = Answer::bytes(JSON, body);
        answer.status = status;
        // What OpenAI's clients ask before they send a request again.
        if refusal.futile {
            answer = answer.with("x-should-retry", "false");
        }
        if let Some(allow) = refusal.allow {
            answer = answer.with("allow", allow);
        }
        if let Some(seconds) = refusal.retry_after {
            answer = answer.with("retry-after", &seconds.to_string());
        }
        if refusal.attempts > 0 {
            answer = answer.with("x-attempts", &refusal.attempts.to_string());
        }
        answer
    }

    /// A value that an upstream chose may hold what no header can; it is left out.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Answer {
        if !value.is_empty() && value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        }
        self
    }

    /// Who answered.
    pub(crate) fn by(self, served: &Served) -> Answer {
        let answer = self
            .with("x-model", &served.model)
            .with("x-provider", &served.provider)
            .with("x-attempts", &served.attempts.to_string())
            .with("x-fallback-index", &served.fallback_index.to_string());
        if served.placeholder { answer.with("x-placeholder", "true") } else { answer }
    }

    /// What the access log is to say.
    pub(crate) fn logged(self, parameters: &Parameters) -> Answer {
        self.with("x-log-parameters", &parameters.0)
    }

    /// The same without its body, as HEAD asks for it.
    pub(crate) fn head(mut self) -> Answer {
        self.body = Body::Empty;
        self
    }

    pub(crate) fn into_response(self) -> Response {
        let fields = Fields::from_list(&self.headers).expect("our names and checked values are headers");
        let (done, trailers) = wit_future::new(|| Ok(None));
        drop(done);
        let body = match self.body {
            Body::Empty => None,
            Body::Stream(stream) => Some(stream),
            Body::Bytes(bytes) => {
                let (to, from) = wit_stream::new();
                bytes::send(to, bytes);
                Some(from)
            }
        };
        let (response, _sent) = Response::new(fields, body, trailers);
        // A new one is 200, and every call into the host costs.
        if self.status != 200 {
            response.set_status_code(self.status).expect("our statuses are statuses");
        }
        response
    }
}
