use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{Folder, Process, probe};

fn start(data: &Folder) -> Process {
    let mut command = Process::command();
    command.arg("serve").arg(probe()).args(["--listen", "127.0.0.1:0"]).env("HYBRID_DATA_DIR", data.path());
    Process::start(&mut command)
}

/// Asks, and waits for the first bytes of the answer.
async fn begin(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.expect("a request");
    let mut seen = [0; 16];
    stream.read_exact(&mut seen).await.expect("the beginning of the answer");
    stream
}

#[tokio::test]
async fn a_running_stream_ends_before_the_process_does() {
    let data = Folder::new();
    for name in ["TERM", "INT"] {
        let mut child = start(&data);
        let mut stream = begin(&child.address, "/drip?25").await;
        child.signal(name);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("the rest");
        assert!(String::from_utf8_lossy(&rest).contains("24\n"), "the stream was cut");
        assert!(child.wait().success());
    }
}

#[tokio::test]
async fn the_second_signal_ends_at_once() {
    let data = Folder::new();
    let mut child = start(&data);
    let _stream = begin(&child.address, "/drip?1000").await;
    child.signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!child.has_ended(), "it waits for the stream");
    let started = Instant::now();
    child.signal("TERM");
    child.wait();
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_trap_is_logged_with_the_components_name_and_no_query() {
    let data = Folder::new();
    let mut child = start(&data);
    let mut stream = begin(&child.address, "/trap?a-secret").await;
    child.signal("TERM");
    let _ = stream.read_to_end(&mut Vec::new()).await;
    child.wait();
    let log = child.log();
    assert!(log.contains("`probe` broke off") && log.contains("on purpose"), "{log}");
    assert!(!log.contains("a-secret"), "{log}");
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    }
    let request = log.lines().find(|line| line.contains("\"message\":\"request\"")).expect("the access line");
    for field in ["timestamp", "method", "route", "status", "duration_ms", "user_agent", "client", "request_id"] {
        assert!(request.contains(&format!("\"{field}\":")), "{field} in {request}");
    }
}
