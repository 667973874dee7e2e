//! OpenAI's error body, and its statuses where they differ from the plan's.

use crate::refusal::Refusal;
use crate::v1::quoted;

/// The status and the body; always the same four keys.
pub(crate) fn body(refusal: &Refusal) -> (u16, Vec<u8>) {
    // OpenAI knows no 422, and its clients would make another kind of error of it.
    let status = if refusal.status == 422 { 400 } else { refusal.status };
    let param = refusal.details.first().map(|problem| problem.field.as_str());
    (status, error(status, refusal.code, &refusal.message, param))
}

fn error(status: u16, code: &str, message: &str, param: Option<&str>) -> Vec<u8> {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    };
    let code = match code {
        "validation_error" => "null".to_owned(),
        "rate_limited" => quoted("rate_limit_exceeded"),
        other => quoted(other),
    };
    let param = param.map_or_else(|| "null".to_owned(), quoted);
    let message = quoted(message);
    format!(r#"{{"error":{{"message":{message},"type":"{kind}","param":{param},"code":{code}}}}}"#).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::problem;
    use hybrid_guest::types::{Error, Reason};

    fn told(refusal: &Refusal) -> (u16, String) {
        let (status, body) = body(refusal);
        (status, String::from_utf8(body).expect("UTF-8"))
    }

    #[test]
    fn a_wrong_field_is_a_bad_request_and_named() {
        let refusal = Refusal::invalid(vec![problem("messages[0].role", "is \"x\"")]);
        assert_eq!(
            told(&refusal),
            (
                400,
                r#"{"error":{"message":"`messages[0].role` is \"x\"","type":"invalid_request_error","param":"messages[0].role","code":null}}"#
                    .to_owned()
            )
        );
    }

    #[test]
    fn each_status_has_its_class() {
        let of = |reason: Reason| told(&Refusal::from(Error { reason, attempts: 1 }));
        let (status, body) = of(Reason::UnknownModel("a/b".into()));
        assert!(status == 404 && body.contains(r#""param":"model","code":"model_not_found""#), "{body}");
        let (status, body) = of(Reason::RateLimited(Some(3)));
        assert!(
            status == 429 && body.contains(r#""type":"rate_limit_error","param":null,"code":"rate_limit_exceeded""#)
        );
        let (status, body) = of(Reason::Timeout);
        assert!(status == 504 && body.contains(r#""type":"server_error","param":null,"code":"timeout""#));
    }
}
