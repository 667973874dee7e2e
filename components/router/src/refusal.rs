//! Why there is no answer: the one place where a reason becomes a status and a body.

use hybrid_guest::types::{Error, Reason};

use crate::input::{Problem, problem};
use crate::output;

/// How long to wait where the upstream does not say: long enough for a model to load or a limit's second to pass.
const RETRY_AFTER_SECONDS: u32 = 10;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub status: u16,
    /// The plan's word for it.
    pub code: &'static str,
    /// For a person.
    pub message: String,
    pub details: Vec<Problem>,
    pub retry_after: Option<u32>,
    pub allow: Option<&'static str>,
    /// Sending it again is of no use until somebody has changed something here, whatever the status says to clients.
    pub futile: bool,
    /// Calls that were sent before giving up.
    pub attempts: u32,
    /// For our own log; never leaves the platform.
    pub inside: Option<String>,
}

impl Refusal {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            code,
            message: message.into(),
            details: Vec::new(),
            retry_after: None,
            allow: None,
            futile: false,
            attempts: 0,
            inside: None,
        }
    }

    pub(crate) fn not_found() -> Refusal {
        Refusal::new(404, "not_found", "there is nothing at this path; `/docs` lists what there is")
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Refusal {
        let message = format!("this path takes {allow} only");
        Refusal { allow: Some(allow), ..Refusal::new(405, "method_not_allowed", message) }
    }

    pub(crate) fn unsupported(wanted: &str) -> Refusal {
        Refusal::new(415, "unsupported_media_type", format!("the content type must be {wanted}"))
    }

    pub(crate) fn too_large(limit: u64) -> Refusal {
        Refusal::new(413, "payload_too_large", format!("the body must be at most {limit} bytes"))
    }

    pub(crate) fn unreadable(message: impl Into<String>) -> Refusal {
        Refusal::new(400, "validation_error", message)
    }

    pub(crate) fn invalid(problems: Vec<Problem>) -> Refusal {
        let message = match problems.as_slice() {
            [] => "the request breaks a rule".to_owned(),
            [only] => format!("`{}` {}", only.field, only.message),
            [first, rest @ ..] => format!("`{}` {} (and {} more)", first.field, first.message, rest.len()),
        };
        Refusal { details: problems, ..Refusal::new(422, "validation_error", message) }
    }

    pub(crate) fn wrong(field: &str, message: impl Into<String>) -> Refusal {
        Refusal::invalid(vec![problem(field, message)])
    }

    pub(crate) fn no_model(model: &str) -> Refusal {
        let details = vec![problem("model", "is served by nobody here")];
        Refusal { details, ..Refusal::new(404, "model_not_found", format!("nobody here serves the model `{model}`")) }
    }

    /// An answer of a model that broke its promise.
    pub(crate) fn useless(message: &str) -> Refusal {
        Refusal::new(502, "huggingface_api_error", message)
    }

    /// The plan's error body; always the same four keys.
    pub(crate) fn body(&self, timestamp: &str) -> Vec<u8> {
        output::error(self.code, &self.message, &self.details, timestamp)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        const UPSTREAM: &str = "huggingface_api_error";
        let refusal = match error.reason {
            Reason::Invalid(problems) => Refusal::invalid(
                problems.into_iter().map(|it| Problem { field: it.field, message: it.message }).collect(),
            ),
            Reason::UnsupportedMedia(message) => Refusal::new(415, "unsupported_media_type", message),
            Reason::TooLarge(message) => Refusal::new(413, "payload_too_large", message),
            Reason::UnknownModel(model) => Refusal::no_model(&model),
            Reason::NotConfigured(message) => Refusal { futile: true, ..Refusal::new(503, UPSTREAM, message) },
            Reason::Rejected(failure) => Refusal::new(400, UPSTREAM, failure.message),
            // What the upstream says of our credentials is the operator's business.
            Reason::Denied(failure) => Refusal {
                futile: true,
                inside: Some(failure.message),
                ..Refusal::new(502, UPSTREAM, "the upstream service refuses the platform's own credentials or credit")
            },
            Reason::RateLimited(seconds) => Refusal {
                retry_after: Some(seconds.unwrap_or(RETRY_AFTER_SECONDS)),
                ..Refusal::new(429, "rate_limited", "too many requests; wait, and send it again")
            },
            Reason::Unavailable(failure) => {
                Refusal { retry_after: Some(RETRY_AFTER_SECONDS), ..Refusal::new(503, UPSTREAM, failure.message) }
            }
            Reason::Failed(failure) => Refusal::new(502, UPSTREAM, failure.message),
            Reason::Timeout => Refusal::new(504, "timeout", "no model answered in time"),
            Reason::Processing(message) => Refusal {
                inside: Some(message),
                ..Refusal::new(502, "processing_error", "a picture or sound could not be worked on")
            },
            Reason::Internal(message) => Refusal {
                inside: Some(message),
                ..Refusal::new(500, "internal_error", "something went wrong here; the request id finds it in the log")
            },
        };
        Refusal { attempts: error.attempts, ..refusal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hybrid_guest::types::Failure;

    fn refusal(reason: Reason) -> Refusal {
        Error { reason, attempts: 3 }.into()
    }

    fn failure() -> Failure {
        Failure { message: "secret?".into(), status: Some(500) }
    }

    #[test]
    fn each_reason_has_its_status_and_code() {
        for (reason, status, code) in [
            (Reason::invalid("a", "b"), 422, "validation_error"),
            (Reason::UnsupportedMedia("m".into()), 415, "unsupported_media_type"),
            (Reason::TooLarge("m".into()), 413, "payload_too_large"),
            (Reason::UnknownModel("a/b".into()), 404, "model_not_found"),
            (Reason::NotConfigured("m".into()), 503, "huggingface_api_error"),
            (Reason::Rejected(failure()), 400, "huggingface_api_error"),
            (Reason::Denied(failure()), 502, "huggingface_api_error"),
            (Reason::RateLimited(Some(7)), 429, "rate_limited"),
            (Reason::Unavailable(failure()), 503, "huggingface_api_error"),
            (Reason::Failed(failure()), 502, "huggingface_api_error"),
            (Reason::Timeout, 504, "timeout"),
            (Reason::Processing("m".into()), 502, "processing_error"),
            (Reason::Internal("m".into()), 500, "internal_error"),
        ] {
            let refusal = refusal(reason);
            assert_eq!((refusal.status, refusal.code, refusal.attempts), (status, code, 3));
        }
    }

    #[test]
    fn what_is_inside_stays_inside() {
        for reason in
            [Reason::Internal("secret?".into()), Reason::Processing("secret?".into()), Reason::Denied(failure())]
        {
            let refusal = refusal(reason);
            assert!(!refusal.message.contains("secret?"));
            assert_eq!(refusal.inside.as_deref(), Some("secret?"));
        }
    }

    #[test]
    fn waiting_has_a_length() {
        assert_eq!(refusal(Reason::RateLimited(Some(7))).retry_after, Some(7));
        assert_eq!(refusal(Reason::RateLimited(None)).retry_after, Some(RETRY_AFTER_SECONDS));
        assert_eq!(refusal(Reason::Unavailable(failure())).retry_after, Some(RETRY_AFTER_SECONDS));
        assert_eq!(refusal(Reason::NotConfigured("m".into())).retry_after, None);
    }

    #[test]
    fn the_message_tells_the_first_problem() {
        let refusal = Refusal::invalid(vec![problem("width", "must be at most 2048"), problem("x", "y")]);
        assert_eq!(refusal.message, "`width` must be at most 2048 (and 1 more)");
    }
}
