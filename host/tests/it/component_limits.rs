//! What one component may use, less than all together; and what a hostile one meets.

use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::house::{Folder, House, assert_uniform, one_probe, probe};

async fn house_of_one(text: &str) -> (Folder, House) {
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    let house = House::of(folder.path(), &one_probe(text)).await;
    (folder, house)
}

async fn hits(house: &House, limit: &str) -> u64 {
    let metrics = house.ask("GET", "/metrics", "").await;
    let family = format!("hybrid_limit_hits_total{{component=\"one\",limit=\"{limit}\"}} ");
    metrics.text().lines().find_map(|line| line.strip_prefix(&family)?.parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn each_limit_of_a_component_is_kept_told_and_counted() {
    let limits = "limits = { memory_bytes = 33554432, cpu_ms = 100, call_ms = 400, concurrent_requests = 1 }\n";
    let (_folder, house) = house_of_one(limits).await;
    assert_uniform(&house.get("/hoard").await, "internal_error");
    assert!(hits(&house, "memory").await >= 1);
    assert_uniform(&house.get("/loop").await, "internal_error");
    assert_eq!(hits(&house, "cpu").await, 1);
    let late = house.get("/sleep?60000").await;
    assert_eq!(late.status, StatusCode::GATEWAY_TIMEOUT);
    assert_uniform(&late, "timeout");
    assert_eq!(hits(&house, "call").await, 1);
    // A stream keeps its place for as long as it lasts.
    let mut stream = TcpStream::connect(house.authority()).await.expect("a connection");
    stream.write_all(b"GET /drip?1000 HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("a request");
    let mut seen = [0; 16];
    stream.read_exact(&mut seen).await.expect("the beginning");
    let crowded = house.get("/hello").await;
    assert_eq!(crowded.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_uniform(&crowded, "overloaded");
    drop(stream);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(house.get("/hello").await.text(), "hello");
}

#[tokio::test]
async fn isolation_by_request_gives_every_request_fresh_instances() {
    let (_folder, house) = house_of_one("limits = { isolation = \"request\" }\n").await;
    for _ in 0..3 {
        assert_eq!(house.get("/count").await.text(), "1");
    }
    assert_eq!(house.get("/trap").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(house.get("/count").await.text(), "1");
}

#[tokio::test]
async fn what_a_component_sends_is_limited_by_count_and_by_bytes() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = upstream.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let Ok((mut call, _)) = upstream.accept().await else { return };
            tokio::spawn(async move {
                let mut seen = [0; 4096];
                let _ = call.read(&mut seen).await;
                let _ = call.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
                let _ = call.write_all(&[b'x'; 100_000]).await;
                tokio::time::sleep(Duration::from_secs(5)).await;
            });
        }
    });
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    let text = |limits: &str| {
        let chain = "[chains]\n\"wasi:http/handler\" = [\"one\"]\n";
        format!("{chain}[components.one]\noutbound = [\"http://{address}\"]\nlimits = {{ {limits} }}\n")
    };
    let house = House::of(folder.path(), &text("outbound_bytes = 1000")).await;
    let request = Request::get(format!("{}/send?{address}", house.base)).body(Full::default()).expect("a request");
    assert!(house.try_send(request).await.is_err(), "the answer looked whole");
    assert_eq!(hits(&house, "outbound_bytes").await, 1);
    let house = House::of(folder.path(), &text("outbound_requests = 0")).await;
    assert!(house.get(&format!("/send?{address}")).await.status.is_server_error());
    assert_eq!(hits(&house, "outbound_requests").await, 1);
}

/// Sends bytes by hand, and gives what comes back until the end or for two seconds.
async fn raw(house: &House, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(house.authority()).await.expect("a connection");
    let _ = stream.write_all(bytes).await;
    let mut seen = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut seen)).await;
    String::from_utf8_lossy(&seen).into_owned()
}

#[tokio::test]
async fn requests_that_mean_two_things_are_refused() {
    let (_folder, house) = house_of_one("").await;
    let conflicting = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabcde";
    assert!(raw(&house, conflicting).await.starts_with("HTTP/1.1 400"));
    let mut many = b"GET /hello HTTP/1.1\r\nhost: a\r\n".to_vec();
    many.extend(std::iter::repeat_n(b"a: b\r\n", 40_000).flatten());
    many.extend_from_slice(b"\r\n");
    let answer = raw(&house, &many).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(1_000_000));
    let answer = raw(&house, long.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    // Another host's name does not lead to another host, and trailers nobody asked for are no headers.
    let trailers = b"POST /headers HTTP/1.1\r\nhost: evil.example\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n1\r\na\r\n0\r\nauthorization: Bearer x\r\n\r\n";
    let answer = raw(&house, trailers).await;
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("Bearer x"), "{answer}");
    assert_eq!(house.get("/hello").await.text(), "hello");
}

#[tokio::test]
async fn a_guest_cannot_make_the_host_hold_what_it_likes() {
    let (_folder, house) = house_of_one("[limits]\nrandom_bytes = 1000\nhandles = 200\n").await;
    for hostile in ["/fields?40000", "/random?100000", "/handles?5000", "/field?300000", "/print?100000000"] {
        let request = Request::get(format!("{}{hostile}", house.base)).body(Full::default()).expect("a request");
        match house.try_send(request).await {
            Ok(answer) => assert!(answer.body.len() < 1_000_000, "{hostile}"),
            Err(error) => panic!("{hostile}: {error:#}"),
        }
        assert_eq!(house.get("/hello").await.text(), "hello", "{hostile}");
    }
    let resident = hybrid_ai::metrics::resident_bytes().expect("a number");
    assert!(resident < 2 << 30, "{resident}");
}
