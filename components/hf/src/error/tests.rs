//! Every recorded refusal, and what it means.

use super::*;
use crate::head::head;
use crate::tests::reply;

const NOW: i64 = 784_111_770;

/// The recorded answer `errors/NAME.json`, sorted.
fn sorted(name: &str) -> Fault {
    let recorded: serde_json::Value = serde_json::from_slice(&reply(&format!("errors/{name}.json"))).expect("JSON");
    let headers = recorded["headers"].as_object().expect("headers");
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str().expect("text"))).collect();
    let head = head(recorded["status"].as_u64().expect("a status") as u16, &headers);
    refusal("a/b", &head, recorded["body"].to_string().as_bytes(), NOW)
}

fn plain(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    refusal("a/b", &head(status, headers), body.as_bytes(), NOW)
}

fn kind(reason: &Reason) -> &'static str {
    match reason {
        Reason::UnknownModel(_) => "unknown-model",
        Reason::Rejected(_) => "rejected",
        Reason::Denied(_) => "denied",
        Reason::RateLimited(_) => "rate-limited",
        Reason::Unavailable(_) => "unavailable",
        Reason::Failed(_) => "failed",
        _ => "another",
    }
}

#[test]
fn every_recorded_refusal_is_sorted() {
    let loading = Again::Loading(Duration::from_secs(20));
    for (name, wanted, again) in [
        ("400-provider-model", "unknown-model", Again::No),
        ("400-router-model", "unknown-model", Again::No),
        ("400-toolkit", "rejected", Again::No),
        ("400-validation-list", "rejected", Again::No),
        ("401-bad-token", "denied", Again::No),
        ("401-header", "denied", Again::No),
        ("402-credits", "denied", Again::No),
        ("403-gated", "unknown-model", Again::No),
        ("403-scope", "denied", Again::No),
        ("404-plain", "unknown-model", Again::No),
        ("410-model", "unknown-model", Again::No),
        ("410-old-host", "unknown-model", Again::No),
        ("413-tei", "rejected", Again::No),
        ("415-multipart", "rejected", Again::No),
        ("422-tgi", "rejected", Again::No),
        ("424-tgi", "unavailable", Again::Once),
        ("429-hub", "rate-limited", Again::After(Duration::from_secs(55))),
        ("429-provider", "rate-limited", Again::Backoff),
        ("429-tgi", "rate-limited", Again::Backoff),
        ("500-busy", "unavailable", Again::Backoff),
        ("500-unknown", "unavailable", Again::Backoff),
        ("503-endpoint", "unavailable", Again::Backoff),
        ("503-loading", "unavailable", loading),
    ] {
        let fault = sorted(name);
        assert_eq!((kind(&fault.reason), fault.again), (wanted, again), "{name}: {fault:?}");
    }
}

#[test]
fn text_and_html_do_not_break_the_parser() {
    let text = plain(404, &[("content-type", "text/plain; charset=utf-8")], "Not Found");
    assert_eq!(kind(&text.reason), "unknown-model");
    let html = plain(502, &[("content-type", "text/html")], "<html><body><h1>502 Bad Gateway</h1></body></html>");
    let Reason::Unavailable(failure) = html.reason else { panic!("{html:?}") };
    assert_eq!((failure.message.as_str(), failure.status), ("the upstream answered with status 502", Some(502)));
    for body in ["", "{", "[1", "\u{0}", "{\"error\": null}", "{\"error\": {}}", "null"] {
        assert_eq!(kind(&plain(500, &[("content-type", "application/json")], body).reason), "unavailable");
    }
}

#[test]
fn the_message_is_found_in_every_shape() {
    let told = |body: &str| Told::read(&head(400, &[("content-type", "application/json")]), body.as_bytes()).message;
    for (body, wanted) in [
        (r#"{"error": "plain"}"#, "plain"),
        (r#"{"error": ["one", "two"]}"#, "one; two"),
        (r#"{"error": {"message": "inside", "code": 3}}"#, "inside"),
        (r#"{"errors": [{"message": "first"}, {"message": "second"}]}"#, "first; second"),
        (r#"{"error_description": "described"}"#, "described"),
        (r#"{"detail": "told"}"#, "told"),
        (r#"{"detail": [{"loc": ["body"], "msg": "field required", "type": "missing"}]}"#, "field required"),
        (r#"{"message": "Batch is empty", "code": 400, "type": "Empty"}"#, "Batch is empty"),
    ] {
        assert_eq!(told(body).as_deref(), Some(wanted), "{body}");
    }
    let by_header = Told::read(&head(401, &[("x-error-message", "Invalid username or password.")]), b"");
    assert_eq!(by_header.message.as_deref(), Some("Invalid username or password."));
}

#[test]
fn waits_named_by_the_upstream_are_kept() {
    let fault = plain(429, &[("retry-after", "7")], "");
    assert!(matches!(fault.reason, Reason::RateLimited(Some(7))));
    assert_eq!(fault.again, Again::After(Duration::from_secs(7)));
    let fault = plain(429, &[("retry-after-ms", "1500")], "");
    assert!(matches!(fault.reason, Reason::RateLimited(Some(2))));
    assert_eq!(plain(500, &[("x-should-retry", "false")], "").again, Again::No);
    let quota = plain(429, &[], r#"{"error": {"message": "Quota", "code": "insufficient_quota"}}"#);
    assert_eq!((kind(&quota.reason), quota.again), ("denied", Again::No));
    assert_eq!(plain(302, &[], "").again, Again::No);
}

#[test]
fn errors_inside_a_stream_are_sorted() {
    let overloaded = in_stream(r#"{"error":"Model is overloaded","error_type":"overloaded"}"#);
    assert_eq!((kind(&overloaded.reason), overloaded.again), ("unavailable", Again::Backoff));
    let broken = in_stream(r#"{"error":{"message":"Incomplete generation","http_status_code":422}}"#);
    let Reason::Failed(failure) = broken.reason else { panic!("{broken:?}") };
    assert_eq!(failure.message, "Incomplete generation");
}

#[test]
fn messages_leave_out_what_must_not_leave() {
    for (text, wanted) in [
        ("token hf_abcDEF123 is bad", "token [hidden] is bad"),
        ("see https://internal.example/x?y=z.", "see [address]"),
        ("host router.huggingface.co refused", "host [address] refused"),
        ("at 10.0.0.1:8080, sorry", "at [address] sorry"),
        ("Authorization: Bearer abc", "Authorization: Bearer [hidden]"),
        ("meta-llama/Llama-3.1-8B at 1.5 s", "meta-llama/Llama-3.1-8B at 1.5 s"),
        ("two\nlines\u{7}", "two lines"),
    ] {
        assert_eq!(presentable(text), wanted);
    }
    let long = presentable(&"é".repeat(1000));
    assert_eq!(long.chars().count(), MESSAGE_CHARS + 1);
}
