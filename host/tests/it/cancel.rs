use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::house::House;

/// Sends a request by hand, waits for the upstream to see it, hangs up, and tells whether the upstream is hung up on too.
async fn upstream_sees_the_end(first_answer: &[u8]) -> bool {
    let house = House::probe("").await;
    let upstream = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut client = TcpStream::connect(house.authority()).await.expect("a connection");
    let path = format!("/send?{}", upstream.local_addr().expect("an address"));
    client.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.expect("a request");

    let (mut call, _) = upstream.accept().await.expect("the call upstream");
    let mut seen = [0; 4096];
    let count = call.read(&mut seen).await.expect("its head");
    assert!(String::from_utf8_lossy(&seen[..count]).starts_with("GET /from-probe "));
    call.write_all(first_answer).await.expect("an answer's beginning");
    if !first_answer.is_empty() {
        let count = client.read(&mut seen).await.expect("the beginning of the answer");
        assert!(count > 0);
    }
    drop(client);
    let end = tokio::time::timeout(Duration::from_secs(5), call.read(&mut seen)).await;
    matches!(end, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_cancels_upstream() {
    assert!(upstream_sees_the_end(b"").await);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_cancels_upstream() {
    assert!(upstream_sees_the_end(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nthe beginning").await);
}
