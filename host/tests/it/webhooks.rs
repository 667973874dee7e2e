//! Somebody else's server is told of a job's end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use hmac::Mac as _;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::house::{House, assert_uniform};
use crate::jobs::{LATER, Platform, embed};
use crate::keys::built;

/// Head and body of each call so far.
pub type Calls = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A receiver that answers with these statuses, one after the other, and then always with the last.
pub async fn receiver(statuses: &'static [u16]) -> (String, Calls) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let calls = Calls::default();
    let seen = Arc::clone(&calls);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let (head, body) = loop {
                let mut piece = [0; 4096];
                let count = stream.read(&mut piece).await.unwrap_or(0);
                bytes.extend_from_slice(&piece[..count]);
                let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                if bytes.len() >= end + 4 + length.unwrap_or(0) {
                    break (String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes[end + 4..].to_vec());
                }
            };
            let status = {
                let mut seen = seen.lock().expect("nobody panics");
                seen.push((head, body));
                statuses[(seen.len() - 1).min(statuses.len() - 1)]
            };
            let answer =
                format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nlocation: /other\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, calls)
}

fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}: ")));
    line.and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value)
}

/// The id in a call, which is signed.
pub fn signed(head: &str, body: &[u8]) -> String {
    assert!(head.starts_with("POST /hook HTTP/1.1"), "{head}");
    let (id, time) = (field(head, "webhook-id"), field(head, "webhook-timestamp"));
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(b"a secret").expect("a key");
    mac.update(format!("{id}.{time}.").as_bytes());
    mac.update(body);
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    assert_eq!(field(head, "webhook-signature"), format!("v1,{signature}"));
    id.to_owned()
}

pub async fn until_called(calls: &Calls, count: usize) -> Vec<(String, Vec<u8>)> {
    for _ in 0..500 {
        let seen = calls.lock().expect("nobody panics").clone();
        if seen.len() >= count {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not called {count} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_told_signed_and_again_until_it_is_taken() {
    let platform = Platform::new("[jobs]\nwebhook_private = true\nwebhook_retry_ms = 20").await;
    let (url, calls) = receiver(&[500, 302, 200]).await;
    let body = embed("hello", "sentence-transformers/all-MiniLM-L6-v2");
    let place = platform.later("/embedding", &[("x-webhook-url", &url)], &body).await;
    let seen = until_called(&calls, 3).await;
    let job = platform.ended(&place, &[]).await;
    for (head, body) in &seen {
        let id = signed(head, body);
        let told: Value = serde_json::from_slice(body).expect("JSON");
        assert_eq!((&told["type"], &told["data"]), (&json!("job.succeeded"), &job));
        assert_eq!(format!("/jobs/{id}"), place);
    }
    platform.until_counted("hybrid_job_webhooks_total{outcome=\"taken\"} 1").await;
    assert_eq!(calls.lock().expect("nobody panics").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_not_told_is_told_by_the_next_host() {
    let platform = Platform::new("[jobs]\nwebhook_private = true\nwebhook_retry_ms = 2000").await;
    let (url, calls) = receiver(&[503, 200]).await;
    let place = platform.later("/embedding", &[("x-webhook-url", &url)], &embed("x", "fault/always-503-hook")).await;
    until_called(&calls, 1).await;
    platform.ended(&place, &[]).await;
    let platform = platform.restart().await;
    let seen = until_called(&calls, 2).await;
    assert_eq!(field(&seen[0].0, "webhook-id"), field(&seen[1].0, "webhook-id"));
    drop(platform);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_lead_nowhere_inside() {
    let platform = Platform::new("[jobs]\nwebhook_retry_ms = 20\nwebhook_attempts = 2").await;
    let body = embed("hello", "sentence-transformers/all-MiniLM-L6-v2");
    let (url, calls) = receiver(&[200]).await;
    for wrong in [url.as_str(), "http://169.254.169.254/latest", "http://[::1]/", "file:///etc/passwd", "hook"] {
        let refused =
            platform.house.post_with("/embedding", &[LATER, ("x-webhook-url", wrong)], body.to_string()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert_uniform(&refused, "validation_error");
        assert!(refused.json()["details"]["x-webhook-url"].is_string(), "{}", refused.text());
    }
    // A name is looked at when it is resolved.
    let named = url.replace("127.0.0.1", "localhost");
    let place = platform.later("/embedding", &[("x-webhook-url", &named)], &body).await;
    platform.ended(&place, &[]).await;
    platform.until_counted("hybrid_job_webhooks_total{outcome=\"not taken\"} 2").await;
    assert!(calls.lock().expect("nobody panics").is_empty());
    // Without a secret there is nothing to sign with.
    let house = House::of(&built(), "").await;
    let refused =
        house.post_with("/embedding", &[LATER, ("x-webhook-url", "https://example.com/")], body.to_string()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
}
