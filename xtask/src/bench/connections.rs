//! `bench connections`: the memory of the host while many connections are open that say nothing.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::server::Server;
use crate::process::{cargo, run as run_program};
use crate::tree;

const CONNECTIONS: usize = 10_000;
/// What was promised for so many.
const MAX_MB: f64 = 200.0;
/// Kinds of frames.
const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
/// The host keeps nothing for one that was silent for a second, two at most.
const REST: Duration = Duration::from_secs(4);

pub(super) fn run() -> anyhow::Result<()> {
    run_program(cargo().args(["build", "--release", "-p", "hybrid-ai"]))?;
    let host = tree::target().join("release/hybrid-ai");
    let server = Server::start("our host", &host, &["serve", "--listen", "127.0.0.1:0"], &[("LOG_LEVEL", "warn")])?;
    println!("\n{CONNECTIONS} connections");
    let fresh = server.resident_mb()?;
    let host = &server.address;
    let (http1, http2) = (format!("GET /health HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes(), http2(host)?);
    let mut rows = Vec::new();
    // Those that have never said anything, and those that have had one answer and may ask again.
    for (kind, request) in
        [("silent ones", &[] as &[u8]), ("ones that asked once", &http1[..]), ("the same in HTTP/2", &http2[..])]
    {
        let open = open(&server, request)?;
        std::thread::sleep(REST);
        rows.push((kind, server.resident_mb()?));
        drop(open);
        std::thread::sleep(REST);
    }
    println!("the host alone             {fresh:>7.1} MB");
    for (kind, mb) in &rows {
        println!("with {kind:<21} {mb:>7.1} MB, {:.1} KB each", each(mb - fresh));
    }
    // HTTP/2's have a window, a table of header fields and buffers of their own; clients need few of them.
    for (kind, mb) in &rows[..2] {
        ensure!(*mb < MAX_MB, "with {kind} that is more than {MAX_MB} MB");
    }
    Ok(())
}

/// The beginning of a connection in HTTP/2, and `GET /health` as its first stream.
fn http2(host: &str) -> anyhow::Result<Vec<u8>> {
    // Method and scheme stand in the protocol's table, path and authority are spelled.
    let mut head = vec![0x82, 0x86, 0x44, 7];
    head.extend_from_slice(b"/health");
    head.extend([0x41, u8::try_from(host.len())?]);
    head.extend_from_slice(host.as_bytes());
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]);
    bytes.extend([0, 0, u8::try_from(head.len())?, HEADERS, 5, 0, 0, 0, 1]);
    bytes.extend(head);
    Ok(bytes)
}

fn each(mb: f64) -> f64 {
    mb * 1000.0 / CONNECTIONS as f64
}

fn open(server: &Server, request: &[u8]) -> anyhow::Result<Vec<TcpStream>> {
    use std::io::{Read as _, Write as _};
    let mut open = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        let told = || format!("connection {number}; `ulimit -n` must be above {CONNECTIONS}, twice");
        let mut stream = TcpStream::connect(&server.address).with_context(told)?;
        if !request.is_empty() {
            stream.write_all(request).with_context(told)?;
            let mut answer = [0; 4096];
            ensure!(stream.read(&mut answer).with_context(told)? > 0, "no answer");
        }
        open.push(stream);
    }
    Ok(open)
}
