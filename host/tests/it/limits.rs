use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{House, assert_uniform};

#[tokio::test]
async fn a_component_that_hoards_memory_meets_its_limit() {
    let house = House::probe("[limits]\nmemory_bytes = 67108864").await;
    let (hoard, other) = tokio::join!(house.get("/hoard"), house.get("/hello"));
    assert_uniform(&hoard, "internal_error");
    assert_eq!(other.text(), "hello");
}

#[tokio::test]
async fn a_component_that_loops_is_stopped_and_lets_others_work() {
    let house = House::probe("[limits]\ncpu_ms = 300").await;
    let started = Instant::now();
    let (looping, other) = tokio::join!(house.get("/loop"), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let other = house.get("/hello").await;
        (other, started.elapsed())
    });
    assert_uniform(&looping, "internal_error");
    assert_eq!(other.0.text(), "hello");
    assert!(other.1 < started.elapsed(), "the other did not wait for the end of the loop");
}

#[tokio::test]
async fn waiting_costs_no_cpu_time() {
    let house = House::probe("[limits]\ncpu_ms = 50").await;
    for _ in 0..3 {
        assert_eq!(house.get("/sleep?200").await.text(), "slept");
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_ends_with_504() {
    let house = House::probe("[limits]\nrequest_ms = 100").await;
    let answer = house.get("/sleep?60000").await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_uniform(&answer, "timeout");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_by_its_length() {
    let house = House::probe("[limits]\nrequest_body_bytes = 1000").await;
    let answer = house.post("/echo", vec![b'x'; 1001]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_uniform(&answer, "payload_too_large");
    assert_eq!(house.post("/echo", vec![b'x'; 1000]).await.body.len(), 1000);
}

#[tokio::test]
async fn refusals_have_the_form_that_clients_of_a_path_expect() {
    let house = House::probe(
        "[limits]\nrequest_body_bytes = 1000\n[errors.\"/other/\"]\nclient = '{\"said\":\"{code}\"}'\nserver = '5'",
    )
    .await;
    let answer = house.post("/other/echo", vec![b'x'; 1001]).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::PAYLOAD_TOO_LARGE, r#"{"said":"payload_too_large"}"#));
    let openai = house.post("/v1/anything", vec![b'x'; 1001]).await.text().to_owned();
    assert!(openai.contains(r#""type":"invalid_request_error","param":null,"code":"payload_too_large"}"#), "{openai}");
    assert_uniform(&house.post("/v10", vec![b'x'; 1001]).await, "payload_too_large");
}

#[tokio::test]
async fn too_many_headers_are_refused() {
    let house = House::probe("[limits]\nheaders = 20").await;
    let mut request = Request::get(format!("{}/hello", house.base));
    for number in 0..20 {
        request = request.header(format!("x-number-{number}"), "1");
    }
    let answer = house.send(request.body(Full::default()).expect("a request")).await;
    assert_eq!(answer.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(house.get("/hello").await.text(), "hello");
}

#[tokio::test]
async fn a_crowd_waits_a_moment_and_then_is_told() {
    let house = House::probe("[limits]\nconcurrent_requests = 1").await;
    let (first, second) = tokio::join!(house.get("/sleep?300"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        house.get("/hello").await
    });
    assert_eq!((first.text(), second.text()), ("slept", "hello"));
    let (_, refused) = tokio::join!(house.get("/sleep?2500"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        house.get("/hello").await
    });
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_uniform(&refused, "overloaded");
    assert_eq!(refused.headers["retry-after"], "1");
}

#[tokio::test]
async fn slow_heads_and_idle_connections_are_closed() {
    let house = House::probe("[limits]\nheader_ms = 200").await;
    for sent in ["", "GET /hello HTTP/1.1\r\nhost: a\r\nx-slow: "] {
        let mut stream = TcpStream::connect(house.authority()).await.expect("a connection");
        stream.write_all(sent.as_bytes()).await.expect("some bytes");
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "still open after `{sent}`");
    }
}
