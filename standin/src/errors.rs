//! The real service's refusals, from `errors/`.

use serde_json::{Value, json};

use crate::answer::Answer;

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../errors/", $name, ".json"))
    };
}

/// The body that goes with a status.
pub(crate) fn status(status: u16) -> Answer {
    let text = match status {
        400 => recorded!("400-validation-list"),
        401 => recorded!("401-bad-token"),
        402 => recorded!("402-credits"),
        403 => recorded!("403-scope"),
        404 => recorded!("404-plain"),
        410 => recorded!("410-model"),
        413 => recorded!("413-tei"),
        415 => recorded!("415-multipart"),
        422 => recorded!("422-tgi"),
        424 => recorded!("424-tgi"),
        429 => recorded!("429-tgi"),
        500 => recorded!("500-unknown"),
        503 => recorded!("503-endpoint"),
        502 | 504 => return page(status),
        _ => return Answer::json(status, &json!({ "error": format!("status {status}") })),
    };
    parse(text)
}

pub(crate) fn unserved(chat: bool) -> Answer {
    parse(if chat { recorded!("400-router-model") } else { recorded!("400-provider-model") })
}

pub(crate) fn bad_token() -> Answer {
    parse(recorded!("401-bad-token"))
}

pub(crate) fn no_token() -> Answer {
    parse(recorded!("401-header"))
}

pub(crate) fn gated() -> Answer {
    parse(recorded!("403-gated"))
}

pub(crate) fn rate_limited(seconds: u64) -> Answer {
    parse(recorded!("429-provider")).with("retry-after", &seconds.to_string())
}

pub(crate) fn loading(model: &str, seconds: f64) -> Answer {
    Answer::json(503, &json!({ "error": format!("Model {model} is currently loading"), "estimated_time": seconds }))
}

/// A body that breaks the wire's rules, in the words of the real service.
pub(crate) fn refused(problems: &[String]) -> Answer {
    Answer::json(400, &json!({ "error": problems }))
}

/// A page in front of the service, as proxies make them.
pub(crate) fn page(status: u16) -> Answer {
    Answer::bytes("text/html", include_str!("../errors/502-html.txt").as_bytes().to_vec()).with_status(status)
}

fn parse(text: &str) -> Answer {
    let recorded: Value = serde_json::from_str(text).expect("errors/ holds JSON");
    let status = recorded["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(500);
    let mut answer = Answer::json(status, &recorded["body"]);
    for (name, value) in recorded["headers"].as_object().into_iter().flatten() {
        if let (true, Some(value)) = (name != "content-type", value.as_str()) {
            answer = answer.with(name, value);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn every_status_has_a_body_of_its_own() {
        for wanted in [400, 401, 402, 403, 404, 408, 410, 413, 415, 422, 424, 429, 500, 502, 503, 504] {
            assert_eq!(status(wanted).status, StatusCode::from_u16(wanted).expect("a status"));
        }
        assert!(unserved(true).text().contains("model_not_supported"));
        assert_eq!(rate_limited(7).header("retry-after"), "7");
    }
}
