//! Many requests in one.

use std::time::{Duration, Instant};

use base64::Engine as _;
use http::StatusCode;
use hybrid_ai::keys::{self, Wanted};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::house::assert_uniform;
use crate::jobs::{LATER, Platform, embed};
use crate::keys::wanted;

#[tokio::test(flavor = "multi_thread")]
async fn each_gets_its_answer_in_its_place() {
    let platform = Platform::new("").await;
    let items = json!([embed("one", "acme/embed"), { "text": 5 }, embed("two", "fault/slow-100-embed"), embed("x", "fault/always-503-batch")]);
    let body = json!({ "path": "/embedding", "items": items }).to_string();
    let answer = platform.house.post_with("/batch", &[("x-fallback", "off")], body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let told = answer.json();
    assert_eq!((&told["succeeded"], &told["failed"]), (&json!(2), &json!(2)));
    let results = told["results"].as_array().expect("a list");
    let statuses: Vec<_> = results
        .iter()
        .map(|it| (it["index"].as_u64().expect("a number"), it["status"].as_u64().expect("a number")))
        .collect();
    assert_eq!(statuses, [(0, 200), (1, 422), (2, 200), (3, 503)]);
    assert_eq!(results[0]["body"]["dimension"], 384);
    assert_eq!((&results[1]["error"]["error"], results[1].get("body")), (&json!("validation_error"), None));
    // What is no JSON comes as base64, with its type.
    let body = json!({ "path": "/tts", "items": [{ "text": "hello", "model": "acme/tts-wav" }] }).to_string();
    let sound = platform.house.post_with("/batch", &[], body).await.json()["results"][0].clone();
    assert_eq!(sound["content_type"], "audio/wav");
    let bytes =
        base64::engine::general_purpose::STANDARD.decode(sound["body"].as_str().expect("text")).expect("base64");
    assert!(bytes.starts_with(b"RIFF"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_run_at_once_and_no_more_than_may() {
    let platform = Platform::new("[batch]\nat_once = 10").await;
    let items: Vec<Value> = (0..40).map(|n| embed(&format!("{n}"), "fault/slow-200-embed")).collect();
    let body = json!({ "path": "/embedding", "items": items }).to_string();
    let started = Instant::now();
    let over = std::cell::Cell::new(false);
    let batch = async {
        let answer = platform.house.post_with("/batch", &[], body).await;
        over.set(true);
        answer
    };
    let (answer, most) = tokio::join!(batch, async {
        let mut most = 0;
        while !over.get() {
            most = most.max(platform.standin.in_flight());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        most
    });
    assert_eq!(answer.json()["succeeded"], 40, "{}", answer.text());
    assert!((5..=10).contains(&most), "{most} at once");
    assert!(started.elapsed() >= Duration::from_millis(800), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_let_in_for_what_it_asks() {
    let platform = Platform::new("[batch]\nitems = 3").await;
    let stores = platform.house.registry.stores();
    let scoped = Wanted { scopes: Some(vec!["tts".into()]), ..wanted("voice", &[]) };
    let (voice, _) = keys::create(stores, scoped).await.expect("a key");
    let (some, _) = keys::create(stores, wanted("some", &[("requests_per_minute", 5)])).await.expect("a key");
    let body =
        json!({ "path": "/embedding", "items": [embed("x", "acme/embed"), embed("y", "acme/embed")] }).to_string();
    let batch = async |key: &str| platform.house.post_with("/batch", &[("x-api-key", key)], body.clone()).await;
    assert_eq!(batch("wrong").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(batch(&voice).await.status, StatusCode::FORBIDDEN);
    // Each of its requests counts.
    for left in ["3", "1"] {
        let answer = batch(&some).await;
        assert_eq!(
            (&answer.json()["succeeded"], answer.headers["x-ratelimit-remaining-requests"].to_str().ok()),
            (&json!(2), Some(left))
        );
    }
    let refused = batch(&some).await;
    assert_eq!(
        (refused.status, &refused.headers["x-ratelimit-remaining-requests"]),
        (StatusCode::TOO_MANY_REQUESTS, &"1".parse().expect("a value"))
    );
    assert!(refused.headers.contains_key("retry-after"));
    // What is left is left.
    let headers = [("x-api-key", some.as_str())];
    let one = platform.house.post_with("/embedding", &headers, embed("x", "acme/embed").to_string()).await;
    assert_eq!(one.status, StatusCode::OK, "{}", one.text());
    // One that can never fit is no matter of waiting.
    let (few, _) = keys::create(stores, wanted("few", &[("requests_per_minute", 1)])).await.expect("a key");
    let refused = batch(&few).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_uniform(&refused, "validation_error");
    assert!(!refused.headers.contains_key("retry-after"));
    // A client does not say itself for how many it stands.
    let headers = [("x-api-key", few.as_str()), ("x-admission-count", "100"), LATER];
    let one = platform.house.post_with("/embedding", &headers, embed("x", "acme/embed").to_string()).await;
    assert_eq!(one.status, StatusCode::ACCEPTED, "{}", one.text());
    for wrong in [
        json!({ "path": "/embedding", "items": [] }),
        json!({ "path": "/embedding", "items": [{}, {}, {}, {}] }),
        json!({ "path": "/batch", "items": [{}] }),
        json!({ "path": "embedding", "items": [{}] }),
        json!({ "items": [{}] }),
        json!([1]),
    ] {
        let answer = platform.house.post_with("/batch", &[("x-api-key", &voice)], wrong.to_string()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert_uniform(&answer, "validation_error");
    }
    let answer = platform.house.get("/batch").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_its_batch() {
    let platform = Platform::new("").await;
    let items: Vec<Value> = (0..20).map(|n| embed(&format!("{n}"), "fault/hang-batch")).collect();
    let body = json!({ "path": "/embedding", "items": items }).to_string();
    let mut client = TcpStream::connect(platform.house.authority()).await.expect("a connection");
    let head = format!("POST /batch HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    client.write_all(head.as_bytes()).await.expect("a request");
    let until = async |count: usize| {
        for _ in 0..500 {
            if platform.standin.in_flight() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} upstream, not {count}", platform.standin.in_flight());
    };
    until(16).await;
    drop(client);
    until(0).await;
}
