//! Clients that take their time: they cost no more than they are allowed to, and nobody else anything.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{House, assert_uniform};

const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(house: &House) -> TcpStream {
    let stream = TcpStream::connect(house.authority()).await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    stream
}

/// Sends a piece every 50 ms until the other side has enough; what came back, and after how long.
async fn drip(mut stream: TcpStream, piece: &[u8]) -> (String, Duration) {
    let began = Instant::now();
    let (mut from, mut to) = stream.split();
    let mut answer = Vec::new();
    let dripping = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if to.write_all(piece).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let reading = async {
        // A reset is an end too.
        let _ = from.read_to_end(&mut answer).await;
    };
    tokio::select! {
        () = dripping => {}
        () = reading => {}
        () = tokio::time::sleep(PATIENCE) => panic!("still connected"),
    }
    (String::from_utf8_lossy(&answer).into_owned(), began.elapsed())
}

#[tokio::test]
async fn a_head_that_drips_is_not_waited_for() {
    let house = House::probe("[limits]\nheader_ms = 400").await;
    let mut stream = connect(&house).await;
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n").await.expect("written");
    // Somebody else's request that takes longer than that goes on.
    let (dripped, other) = tokio::join!(drip(stream, b"x"), house.get("/sleep?1500"));
    assert!(!dripped.0.contains("200 OK"), "{}", dripped.0);
    assert!(dripped.1 < Duration::from_secs(10), "{:?}", dripped.1);
    assert_eq!(other.text(), "slept");
}

#[tokio::test]
async fn a_body_that_drips_is_refused_and_its_place_is_free() {
    let house = House::probe("[limits]\nbody_ms = 400\nconcurrent_requests = 1").await;
    let mut stream = connect(&house).await;
    stream.write_all(b"POST /swallow HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n").await.expect("written");
    let (answer, after) = drip(stream, b"x").await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("slow_body"), "{answer}");
    assert!(after >= Duration::from_millis(400), "{after:?}");
    assert_eq!(house.get("/hello").await.text(), "hello");
}

#[tokio::test]
async fn a_body_that_drips_into_an_answer_that_began_breaks_it_off() {
    let house = House::probe("[limits]\nbody_ms = 400\nconcurrent_requests = 1").await;
    let mut stream = connect(&house).await;
    stream.write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nx").await.expect("written");
    let (answer, _) = drip(stream, b"x").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.ends_with("0\r\n\r\n"), "{answer}");
    assert_eq!(house.get("/hello").await.text(), "hello");
}

#[tokio::test]
async fn a_body_that_comes_slowly_and_steadily_is_taken() {
    let house = House::probe("[limits]\nbody_ms = 400").await;
    let mut stream = connect(&house).await;
    stream
        .write_all(b"POST /swallow HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 8000\r\n\r\n")
        .await
        .expect("written");
    // 4000 bytes a second.
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.write_all(&[b'x'; 400]).await.expect("written");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.ends_with("8000\r\n0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_component_that_does_not_read_takes_none_of_the_clients_time() {
    let house = House::probe("[limits]\nbody_ms = 200").await;
    let mut stream = connect(&house).await;
    // It answers after a second, and has not asked for the body until then.
    stream.write_all(b"POST /sleep?1000 HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n").await.expect("written");
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn who_says_nothing_is_not_kept() {
    let house = House::probe("[limits]\nheader_ms = 300").await;
    assert_eq!(house.raw("").await, "");
    // Nor is who has had an answer and asks for nothing more.
    let answer = house.raw("GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.contains("hello"), "{answer}");
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_gives_its_place_back() {
    let house = House::probe("[limits]\nwrite_ms = 400\nconcurrent_requests = 1").await;
    let mut stream = connect(&house).await;
    // More than the kernel keeps for a client.
    stream.write_all(b"GET /flood?64 HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    // From then on it has the place.
    let mut beginning = [0; 12];
    stream.read_exact(&mut beginning).await.expect("an answer");
    let began = Instant::now();
    loop {
        let answer = house.get("/hello").await;
        if answer.text() == "hello" {
            break;
        }
        assert_uniform(&answer, "overloaded");
        assert!(began.elapsed() < PATIENCE, "the place is still taken");
    }
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.len() < 64 << 20, "nothing was broken off");
}

#[tokio::test]
async fn who_reads_slowly_gets_all_of_it() {
    let house = House::probe("[limits]\nwrite_ms = 400").await;
    let mut stream = connect(&house).await;
    stream.write_all(b"GET /flood?16 HTTP/1.0\r\nhost: x\r\n\r\n").await.expect("written");
    let mut buffer = vec![0; 1 << 20];
    let mut all = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        match stream.read(&mut buffer).await.expect("more") {
            0 => break,
            count => all += count,
        }
    }
    assert!(all > 16 << 20, "{all}");
}

#[tokio::test]
async fn a_first_byte_that_comes_alone_is_a_first_byte() {
    let house = House::probe("").await;
    for head in [
        "POST /hello HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "PROPFIND /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    ] {
        let mut stream = connect(&house).await;
        for byte in head.as_bytes() {
            stream.write_all(&[*byte]).await.expect("written");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.contains("hello"), "{answer}");
    }
}

/// What comes on a connection until it has been silent for a moment.
async fn heard(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(Ok(count)) = tokio::time::timeout(Duration::from_millis(400), stream.read(&mut piece)).await {
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_connection_that_was_silent_goes_on_where_it_was() {
    let house = House::probe("[limits]\nheader_ms = 4000").await;
    let mut stream = connect(&house).await;
    let request = "GET /hello HTTP/1.1\r\nhost: x\r\n\r\n";
    // Silences before, within and after the second for which the host keeps everything.
    for pause_ms in [0, 500, 2500, 0, 2500] {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        stream.write_all(request.as_bytes()).await.expect("written");
        let answer = heard(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("hello"), "after {pause_ms} ms: {answer}");
    }
    // Half of a head with the request before it, and its rest after the silence.
    stream.write_all(format!("{request}{}", &request[..20]).as_bytes()).await.expect("written");
    assert!(heard(&mut stream).await.contains("hello"));
    tokio::time::sleep(Duration::from_millis(2200)).await;
    stream.write_all(&request.as_bytes()[20..]).await.expect("written");
    assert!(heard(&mut stream).await.contains("hello"));
    // Half of a head is not waited for any longer than elsewhere.
    stream.write_all(&request.as_bytes()[..20]).await.expect("written");
    let (_, after) = drip(stream, b"x").await;
    assert!(after < Duration::from_secs(8), "{after:?}");

    // One on which nothing more is asked ends.
    let mut stream = connect(&house).await;
    stream.write_all(request.as_bytes()).await.expect("written");
    let (began, mut all) = (Instant::now(), Vec::new());
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("it ends").expect("well");
    assert!((3000..8000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}
