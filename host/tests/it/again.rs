//! `Idempotency-Key`: one request, however often it is sent.

use std::time::Duration;

use http::StatusCode;
use hybrid_ai::keys;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::house::assert_uniform;
use crate::jobs::{Platform, embed};
use crate::keys::wanted;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_is_answered_once() {
    let platform = Platform::new("").await;
    let house = &platform.house;
    let model = "fault/slow-300-embed";
    let key = &[("idempotency-key", "a-1")][..];
    let body = embed("hello", model).to_string();
    // Sent twice at once, and once more.
    let (one, other) = tokio::join!(
        house.post_with("/embedding", key, body.clone()),
        house.post_with("/embedding", key, body.clone())
    );
    let third = house.post_with("/embedding", key, format!(" {body}")).await;
    assert_eq!((one.status, other.status, third.status), (StatusCode::OK, StatusCode::OK, StatusCode::OK));
    assert!(one.body == other.body && one.body == third.body);
    assert_eq!(platform.standin.requests_for(model).len(), 1);
    assert_eq!(third.headers["idempotency-replayed"], "true");
    assert_ne!(one.headers["x-request-id"], third.headers["x-request-id"]);
    assert!(third.headers.keys().all(|name| !name.as_str().starts_with("x-log-")), "{:?}", third.headers);
    // Something else under the same key.
    let refused = house.post_with("/embedding", key, embed("other", model).to_string()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_uniform(&refused, "idempotency_mismatch");
    let openai = house.post_with("/v1/embeddings", key, r#"{"input":"x"}"#).await;
    assert_eq!(
        (openai.status, &openai.json()["error"]["code"]),
        (StatusCode::BAD_REQUEST, &json!("idempotency_mismatch"))
    );
    // Another key.
    house.post_with("/embedding", &[("idempotency-key", "a-2")], body).await;
    assert_eq!(platform.standin.requests_for(model).len(), 2);
    assert_eq!(
        house.post_with("/embedding", &[("idempotency-key", "")], "{}").await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_and_sounds_are_the_same_too() {
    let platform = Platform::new("").await;
    let house = &platform.house;
    let key = ("idempotency-key", "b-1");
    let speech = json!({ "text": "hello there", "model": "acme/tts-wav" }).to_string();
    let one = house.post_with("/tts", &[key], speech.clone()).await;
    let other = house.post_with("/tts", &[key], speech).await;
    assert_eq!((one.status, &one.headers["content-type"]), (StatusCode::OK, &"audio/wav".parse().expect("a type")));
    assert!(one.body == other.body && other.headers["content-type"] == "audio/wav");
    assert_eq!(platform.standin.requests_for("acme/tts-wav").len(), 1);
    // The app makes a new boundary whenever it sends.
    let form = |boundary: &str, sound: &[u8]| {
        let head = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"audio\"; filename=\"a.wav\"\r\ncontent-type: audio/wav\r\n\r\n"
        );
        let model = format!(
            "\r\n--{boundary}\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nacme/whisper\r\n--{boundary}--\r\n"
        );
        [head.as_bytes(), sound, model.as_bytes()].concat()
    };
    let key = ("idempotency-key", "b-2");
    for boundary in ["first", "second"] {
        let kind = format!("multipart/form-data; boundary={boundary}");
        let answer = house.post_with("/stt", &[key, ("content-type", &kind)], form(boundary, &one.body)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    assert_eq!(platform.standin.requests_for("acme/whisper").len(), 1);
    let kind = ("content-type", "multipart/form-data; boundary=third");
    let refused = house.post_with("/stt", &[key, kind], form("third", &one.body[..100])).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_work_goes_on_when_the_client_leaves_and_is_there_when_it_comes_back() {
    let platform = Platform::new("").await;
    let model = "fault/slow-400-embed";
    let body = embed("hello", model).to_string();
    let mut client = TcpStream::connect(platform.house.authority()).await.expect("a connection");
    let head = format!(
        "POST /embedding HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nidempotency-key: c-1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(head.as_bytes()).await.expect("a request");
    for _ in 0..500 {
        if platform.standin.requests_for(model).len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(client);
    let answer = platform.house.post_with("/embedding", &[("idempotency-key", "c-1")], body).await;
    assert_eq!(
        (answer.status, &answer.headers["idempotency-replayed"]),
        (StatusCode::OK, &"true".parse().expect("a value"))
    );
    assert_eq!(platform.standin.requests_for(model).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_the_same_key_tries_again() {
    let platform = Platform::new("").await;
    let headers = [("idempotency-key", "d-1"), ("x-fallback", "off"), ("x-retries", "0")];
    let body = embed("hello", "fault/fail-1-503-again").to_string();
    assert_eq!(
        platform.house.post_with("/embedding", &headers, body.clone()).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(platform.house.post_with("/embedding", &headers, body).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_read_along_and_again() {
    let platform = Platform::new("").await;
    let key = &[("idempotency-key", "e-1")][..];
    let chat = |model: &str| {
        json!({ "messages": [{ "role": "user", "content": "one two three" }], "model": model, "stream": true })
            .to_string()
    };
    let (one, other) = tokio::join!(
        platform.house.post_with("/llm", key, chat("fault/stream-slow-30")),
        platform.house.post_with("/llm", key, chat("fault/stream-slow-30"))
    );
    let third = platform.house.post_with("/llm", key, chat("fault/stream-slow-30")).await;
    assert!(one.text().contains("\"done\":true"), "{}", one.text());
    assert!(one.body == other.body && one.body == third.body);
    assert_eq!(platform.standin.requests_for("fault/stream-slow-30").len(), 1);
    // One that broke off is not kept.
    let key = ("idempotency-key", "e-2");
    for count in 1..=2 {
        let answer =
            platform.house.post_with("/llm", &[key, ("x-fallback", "off")], chat("fault/stream-cut-again")).await;
        assert!(answer.text().contains("event: error"), "{}", answer.text());
        assert_eq!(platform.standin.requests_for("fault/stream-cut-again").len(), count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_callers_are_their_own_and_jobs_have_them_too() {
    let platform = Platform::new("").await;
    let stores = platform.house.registry.stores();
    let (one, _) = keys::create(stores, wanted("one", &[])).await.expect("a key");
    let (other, _) = keys::create(stores, wanted("other", &[])).await.expect("a key");
    let key = ("idempotency-key", "f-1");
    for (shown, text) in [(&one, "mine"), (&other, "theirs")] {
        let answer = platform
            .house
            .post_with("/embedding", &[key, ("x-api-key", shown)], embed(text, "acme/embed").to_string())
            .await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let shown = ("x-api-key", one.as_str());
    let body = embed("later", "fault/slow-200-embed");
    let headers = [shown, ("idempotency-key", "f-2"), crate::jobs::LATER];
    let (first, second) = tokio::join!(
        platform.house.post_with("/embedding", &headers, body.to_string()),
        platform.house.post_with("/embedding", &headers, body.to_string())
    );
    assert_eq!((first.status, second.status), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
    assert_eq!(first.headers["location"], second.headers["location"]);
    let refused = platform.house.post_with("/embedding", &headers, embed("x", "a/b").to_string()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let place = first.headers["location"].to_str().expect("text").to_owned();
    assert_eq!(platform.ended(&place, &[shown]).await["state"], "succeeded");
    // The same job, by the host that takes over as well.
    let platform = platform.restart().await;
    let (again, _) = keys::create(platform.house.registry.stores(), wanted("new", &[])).await.expect("a key");
    assert_eq!(platform.house.request("GET", &place, &[("x-api-key", &again)], "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(platform.standin.requests_for("fault/slow-200-embed").len(), 1);
}
