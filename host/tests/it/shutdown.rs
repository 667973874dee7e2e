use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{Folder, probe};

/// The binary as a process of its own, and the address from the first line that it says.
fn start(data: &Folder) -> (Child, String, BufReader<std::process::ChildStderr>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hybrid-ai"))
        .arg("serve")
        .arg(probe())
        .args(["--listen", "127.0.0.1:0"])
        .env_clear()
        .env("HYBRID_DATA_DIR", data.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut said = BufReader::new(child.stderr.take().expect("its stderr"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a first line");
    let address = line.strip_prefix("listening on http://").and_then(|rest| rest.trim_end().strip_suffix('/'));
    let address = address.unwrap_or_else(|| panic!("the first line was `{line}`")).to_owned();
    (child, address, said)
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().expect("kill");
    assert!(status.success());
}

/// Asks, and waits for the first bytes of the answer.
async fn begin(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.expect("a request");
    let mut seen = [0; 16];
    stream.read_exact(&mut seen).await.expect("the beginning of the answer");
    stream
}

fn wait(child: &mut Child) -> std::process::ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("its state") {
            return status;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "it did not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn a_running_stream_ends_before_the_process_does() {
    let data = Folder::new();
    for name in ["TERM", "INT"] {
        let (mut child, address, _said) = start(&data);
        let mut stream = begin(&address, "/drip?25").await;
        signal(&child, name);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("the rest");
        assert!(String::from_utf8_lossy(&rest).contains("24\n"), "the stream was cut");
        assert!(wait(&mut child).success());
    }
}

#[tokio::test]
async fn the_second_signal_ends_at_once() {
    let data = Folder::new();
    let (mut child, address, _said) = start(&data);
    let _stream = begin(&address, "/drip?1000").await;
    signal(&child, "TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(child.try_wait().expect("its state").is_none(), "it waits for the stream");
    let started = Instant::now();
    signal(&child, "TERM");
    wait(&mut child);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_trap_is_logged_with_the_components_name_and_no_query() {
    let data = Folder::new();
    let (mut child, address, mut said) = start(&data);
    let mut stream = begin(&address, "/trap?a-secret").await;
    signal(&child, "TERM");
    let _ = stream.read_to_end(&mut Vec::new()).await;
    wait(&mut child);
    let mut log = String::new();
    said.read_to_string(&mut log).expect("the log");
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
