//! The stand-in at its door: what a client of the real service would see.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use standin::{Options, Standin};

/// The whole of what came back, until the connection ended, and the body of it.
fn sent(standin: &Standin, method: &str, path: &str, headers: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(standin.addr).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).expect("it takes the head");
    stream.write_all(body).expect("it takes the body");
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let split = all.windows(4).position(|window| window == b"\r\n\r\n").map_or(all.len(), |at| at + 4);
    (String::from_utf8_lossy(&all[..split]).into_owned(), all[split..].to_vec())
}

fn model(standin: &Standin, model: &str, body: &str) -> (String, Vec<u8>) {
    let path = format!("/hf-inference/models/{model}");
    sent(standin, "POST", &path, "content-type: application/json\r\n", body.as_bytes())
}

fn chat(standin: &Standin, model: &str, rest: &str) -> (String, String) {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"one two three"}}]{rest}}}"#);
    let (head, body) =
        sent(standin, "POST", "/v1/chat/completions", "content-type: application/json\r\n", body.as_bytes());
    (head, String::from_utf8_lossy(&body).into_owned())
}

fn start() -> Standin {
    Standin::start(Options::default()).expect("it starts")
}

const WORDS: &str = r#"{"inputs":"hello","parameters":{}}"#;

#[test]
fn every_task_answers_in_its_own_type() {
    let standin = start();
    let (head, body) = model(&standin, "microsoft/speecht5_tts", WORDS);
    assert!(head.contains("audio/flac") && body.starts_with(b"fLaC"), "{head}");
    let (head, body) = model(&standin, "acme/image-fast", r#"{"inputs":"a","parameters":{"width":64,"height":32}}"#);
    assert!(head.contains("image/jpeg"), "{head}");
    let picture = image::load_from_memory(&body).expect("a picture");
    assert_eq!((picture.width(), picture.height()), (64, 32));
    let path = "/hf-inference/models/a/b/pipeline/feature-extraction";
    let (_, body) = sent(&standin, "POST", path, "content-type: application/json\r\n", br#"{"inputs":["a","b"]}"#);
    let vectors: Vec<Vec<f32>> = serde_json::from_slice(&body).expect("vectors");
    assert_eq!((vectors.len(), vectors[0].len()), (2, 384));
    let (_, body) = chat(&standin, "a/b", "");
    assert!(body.contains("You said: one two three") && body.contains("usage"), "{body}");
}

#[test]
fn what_breaks_the_wire_is_refused_by_name() {
    let standin = start();
    let (head, body) = model(&standin, "acme/image-x", r#"{"inputs":"a","parameters":{"width":"wide","colour":1}}"#);
    let body = String::from_utf8_lossy(&body);
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert!(body.contains("received `width` in `parameters`") && body.contains("received `colour`"), "{body}");
}

#[test]
fn the_token_is_asked_for() {
    let standin = Standin::start(Options { key: Some("hf_good".into()), ..Options::default() }).expect("it starts");
    let (head, body) = model(&standin, "a/tts", WORDS);
    assert!(head.starts_with("HTTP/1.1 401") && body.starts_with(br#"{"error":"Invalid credentials"#), "{head}");
    let path = "/hf-inference/models/a/tts";
    let headers = |key| format!("content-type: application/json\r\nauthorization: Bearer {key}\r\n");
    assert!(sent(&standin, "POST", path, &headers("hf_bad"), WORDS.as_bytes()).0.contains("www-authenticate"));
    assert!(sent(&standin, "POST", path, &headers("hf_good"), WORDS.as_bytes()).0.starts_with("HTTP/1.1 200"));
}

#[test]
fn faults_fail_as_named_and_requests_are_recorded() {
    let standin = start();
    let status = |name: &str| model(&standin, name, WORDS).0[9..12].to_owned();
    assert_eq!([(); 3].map(|()| status("fault/fail-2-503-tts")), ["503", "503", "200"]);
    assert_eq!([(); 2].map(|()| status("fault/loading-tts")), ["503", "200"]);
    assert_eq!(status("fault/always-424"), "424");
    assert_eq!(
        (status("fault/unserved"), status("fault/gone"), status("fault/gated")),
        ("400".into(), "410".into(), "403".into())
    );
    assert!(model(&standin, "fault/ratelimit-7", WORDS).0.contains("retry-after: 7"));
    assert_eq!(standin.requests_for("fault/fail-2-503-tts").len(), 3);
    assert_eq!(standin.requests()[0].json()["inputs"], "hello");
    standin.forget();
    assert_eq!((standin.requests().len(), status("fault/fail-2-503-tts")), (0, "503".into()));
}

#[test]
fn bodies_break_their_promises() {
    let standin = start();
    assert_eq!(model(&standin, "fault/close", WORDS), (String::new(), Vec::new()));
    let (head, body) = model(&standin, "fault/truncated-tts", WORDS);
    assert!(head.contains("content-length: 11077") && body.len() == 11077 / 2, "{head}{}", body.len());
    let (head, body) = model(&standin, "fault/huge-3-tts", WORDS);
    assert!(head.contains("content-length: 3145728") && body.len() == 3 << 20);
    assert!(model(&standin, "fault/html", WORDS).0.contains("text/html"));
    assert!(model(&standin, "fault/wrong-type-image", WORDS).1.starts_with(b"this is not"));
    let started = Instant::now();
    model(&standin, "fault/slow-200-tts", WORDS);
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[test]
fn streams_come_in_events_and_break_in_the_middle() {
    let standin = start();
    let stream = |name: &str| chat(&standin, name, r#","stream":true,"stream_options":{"include_usage":true}"#).1;
    let whole = stream("a/b");
    assert!(whole.contains("three") && whole.contains("total_tokens") && whole.contains("[DONE]"), "{whole}");
    assert!(!stream("a/nodone").contains("[DONE]"));
    let cut = stream("fault/stream-cut");
    assert!(cut.contains("one") && !cut.contains("three") && !cut.contains("[DONE]"), "{cut}");
    let failed = stream("fault/stream-error");
    assert!(failed.contains("You") && failed.contains("upstream closed") && !failed.contains("[DONE]"), "{failed}");
}

#[test]
fn a_caller_that_leaves_is_no_longer_in_flight() {
    let standin = start();
    let mut stream = TcpStream::connect(standin.addr).expect("it listens");
    let head = "POST /hf-inference/models/fault/hang HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("it takes the head");
    let becomes = |wanted: usize| {
        let until = Instant::now() + Duration::from_secs(5);
        while standin.in_flight() != wanted && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(standin.in_flight(), wanted);
    };
    becomes(1);
    drop(stream);
    becomes(0);
}
