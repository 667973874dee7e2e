use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::House;

struct Client {
    sender: SendRequest<Full<Bytes>>,
    ended: tokio::task::JoinHandle<hyper::Result<()>>,
}

/// Without TLS: both know beforehand that it is HTTP/2.
async fn client(house: &House) -> Client {
    let stream = TcpStream::connect(house.authority()).await.expect("a connection");
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .handshake(TokioIo::new(stream))
        .await
        .expect("HTTP/2");
    Client { sender, ended: tokio::spawn(connection) }
}

async fn get(sender: &mut SendRequest<Full<Bytes>>, path: &str) -> (StatusCode, Bytes) {
    let request = Request::get(format!("http://platform.example{path}")).body(Full::default()).expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let status = answer.status();
    (status, answer.into_body().collect().await.expect("a body").to_bytes())
}

#[tokio::test]
async fn many_requests_run_at_once_on_one_connection() {
    let house = House::probe("").await;
    let client = client(&house).await;
    let began = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut sender = client.sender.clone();
        all.spawn(async move { get(&mut sender, "/sleep?500").await });
    }
    while let Some(done) = all.join_next().await {
        assert_eq!(done.expect("a task").1, "slept");
    }
    // One after the other they would take 25 seconds.
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_trap_costs_one_of_them() {
    let house = House::probe("").await;
    let Client { mut sender, .. } = client(&house).await;
    let mut other = sender.clone();
    let (trapped, slept) = tokio::join!(get(&mut other, "/trap"), get(&mut sender, "/sleep?200"));
    assert_eq!((trapped.0, slept.1), (StatusCode::INTERNAL_SERVER_ERROR, Bytes::from("slept")));
    assert_eq!(get(&mut sender, "/hello").await.1, "hello");
}

#[tokio::test]
async fn a_body_goes_both_ways() {
    let house = House::probe("").await;
    let Client { mut sender, .. } = client(&house).await;
    // More than fits into any window.
    let body = Bytes::from(vec![b'y'; 6 << 20]);
    let request = Request::post("http://platform.example/echo").body(Full::new(body.clone())).expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), body);
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_asked_ends() {
    let house = House::probe("[limits]\nheader_ms = 300").await;
    let Client { mut sender, ended } = client(&house).await;
    // What takes longer than that is not nothing.
    assert_eq!(get(&mut sender, "/sleep?1500").await.1, "slept");
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("in time");
    ended.expect("a task").expect("an orderly end");
}

#[tokio::test]
async fn who_begins_like_http2_and_says_no_more_is_not_waited_for() {
    let house = House::probe("[limits]\nheader_ms = 300").await;
    for beginning in ["PR", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = TcpStream::connect(house.authority()).await.expect("a connection");
        stream.write_all(beginning.as_bytes()).await.expect("written");
        let mut said = Vec::new();
        // A reset is an end too.
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut said)).await;
        assert!(read.is_ok() && !said.starts_with(b"HTTP/1"), "{said:?}");
    }
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, stream];
    frame.extend_from_slice(payload);
    frame
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_gives_its_place_back() {
    let house = House::probe("[limits]\nwrite_ms = 300\nconcurrent_requests = 1").await;
    let mut stream = TcpStream::connect(house.authority()).await.expect("a connection");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("written");
    // No window for any stream (setting 4 is 0).
    stream.write_all(&frame(4, 0, 0, &[0, 4, 0, 0, 0, 0])).await.expect("written");
    // GET, http, `/flood?8` and an authority, as HPACK writes them.
    let mut head = vec![0x82, 0x86, 0x04, 8];
    head.extend_from_slice(b"/flood?8");
    head.extend_from_slice(&[0x01, 1, b'x']);
    stream.write_all(&frame(1, 0x5, 1, &head)).await.expect("written");
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection goes on");
    assert_eq!(house.get("/hello").await.text(), "hello");
}

#[tokio::test]
async fn told_to_stop_the_host_lets_running_answers_end() {
    let house = House::probe("").await;
    let Client { mut sender, ended } = client(&house).await;
    let running = tokio::spawn(async move { get(&mut sender, "/drip?40").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    house.stop();
    let (status, body) = running.await.expect("a task");
    assert_eq!((status, body.iter().filter(|byte| **byte == b'\n').count()), (StatusCode::OK, 40));
    tokio::time::timeout(Duration::from_secs(20), ended)
        .await
        .expect("in time")
        .expect("a task")
        .expect("an orderly end");
}
