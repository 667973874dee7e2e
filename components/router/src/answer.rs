//! What goes back: a status, the headers in one go, and a body that may still be coming.

use hybrid_guest::time;
use hybrid_guest::types::{Served, Usage};
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Response};
use spin_sdk::wasip3::wit_bindgen::{FutureReader, StreamReader, spawn};
use spin_sdk::wasip3::{wit_future, wit_stream};

use crate::head::Head;
use crate::input::Parameters;
use crate::refusal::Refusal;
use crate::v1;

pub(crate) const JSON: &str = "application/json";

pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
    /// What it cost, as far as that is known before its body: ` pictures=1`.
    cost: String,
    /// What follows the body.
    trailers: Option<Trailers>,
    /// The same request would be answered the same again.
    repeatable: bool,
}

pub(crate) type Trailers = FutureReader<Result<Option<Fields>, ErrorCode>>;

/// The header, or trailer, in which an answer tells whoever counts what it cost.
const LOG_USAGE: &str = "x-log-usage";
/// The header in which whoever keeps answers asks whether this may be one, and is told.
const LOG_REPEATABLE: &str = "x-log-repeatable";

/// The trailers of an answer whose tokens were counted while it was sent.
pub(crate) fn counted(usage: &Usage) -> Option<Fields> {
    Fields::from_list(&[(LOG_USAGE.to_owned(), tokens(usage).trim_start().as_bytes().to_vec())]).ok()
}

fn tokens(usage: &Usage) -> String {
    [" input_tokens=", &usage.prompt_tokens.to_string(), " output_tokens=", &usage.completion_tokens.to_string()]
        .concat()
}

enum Body {
    Empty,
    Bytes(Vec<u8>),
    /// Handed on unread.
    Stream(StreamReader<u8>),
}

impl Answer {
    fn new(status: u16, headers: Vec<(String, Vec<u8>)>, body: Body) -> Answer {
        Answer { status, headers, body, cost: String::new(), trailers: None, repeatable: false }
    }

    pub(crate) fn empty(status: u16) -> Answer {
        Answer::new(status, Vec::with_capacity(4), Body::Empty)
    }

    pub(crate) fn bytes(content_type: &str, bytes: Vec<u8>) -> Answer {
        let headers = Vec::with_capacity(10);
        let length = bytes.len().to_string();
        let answer = Answer::new(200, headers, Body::Bytes(bytes));
        answer.with("content-type", content_type).with("content-length", &length)
    }

    pub(crate) fn stream(content_type: &str, stream: StreamReader<u8>) -> Answer {
        let headers = Vec::with_capacity(10);
        Answer::new(200, headers, Body::Stream(stream)).with("content-type", content_type)
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
        // All of it is looked at, without a branch for each byte: hardly any value is left out.
        let odd = value.bytes().fold(false, |odd, byte| odd | !(b' '..=b'~').contains(&byte));
        if !value.is_empty() && !odd {
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

    /// What the access log is to say, and whoever counts: `what` was done, and what it cost.
    pub(crate) fn logged(self, parameters: &Parameters, what: &str) -> Answer {
        let usage = [what, &self.cost].concat();
        self.with("x-log-parameters", &parameters.0).with(LOG_USAGE, &usage)
    }

    /// Whether the same request would be answered the same again. What another model answered than was asked for may be
    /// answered better soon.
    pub(crate) fn repeatable(self, served: &Served, by_its_nature: bool) -> Answer {
        Answer { repeatable: by_its_nature && served.fallback_index == 0, ..self }
    }

    /// Says so to whoever keeps answers, and asks.
    pub(crate) fn kept(self, head: &Head) -> Answer {
        if self.repeatable && head.get(LOG_REPEATABLE).is_some() { self.with(LOG_REPEATABLE, "yes") } else { self }
    }

    /// Where the model counts.
    pub(crate) fn tokens(mut self, usage: Option<&Usage>) -> Answer {
        if let Some(usage) = usage {
            self.cost.push_str(&tokens(usage));
        }
        self
    }

    pub(crate) fn pictures(mut self, count: usize) -> Answer {
        self.cost.push_str(&format!(" pictures={count}"));
        self
    }

    /// A recording that was listened to, where the model says how long it is.
    pub(crate) fn heard(mut self, seconds: Option<f64>) -> Answer {
        if let Some(seconds) = seconds.filter(|seconds| *seconds >= 0.0) {
            self.cost.push_str(&format!(" audio_ms={:.0}", seconds * 1000.0));
        }
        self
    }

    pub(crate) fn followed_by(mut self, trailers: Trailers) -> Answer {
        self.trailers = Some(trailers);
        self
    }

    /// The same without its body, as HEAD asks for it.
    pub(crate) fn head(mut self) -> Answer {
        self.body = Body::Empty;
        self
    }

    pub(crate) fn into_response(self) -> Response {
        let fields = Fields::from_list(&self.headers).expect("our names and checked values are headers");
        let (nothing, trailers) = match self.trailers {
            Some(trailers) => (None, trailers),
            None => {
                let (nothing, trailers) = wit_future::new(|| Ok(None));
                (Some(nothing), trailers)
            }
        };
        let body = match self.body {
            Body::Empty => None,
            Body::Stream(stream) => Some(stream),
            Body::Bytes(bytes) => {
                let (mut to, from) = wit_stream::new();
                spawn(async move {
                    // What comes back unsent, nobody wants.
                    to.write_all(bytes).await;
                    drop(to);
                    // Not before: a write that nobody waits for yet costs an event later.
                    drop(nothing);
                });
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
