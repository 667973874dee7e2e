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
/// One after the other they are slower than the host; this is for its last ones.
const REST: Duration = Duration::from_secs(2);

pub(super) fn run() -> anyhow::Result<()> {
    run_program(cargo().args(["build", "--release", "-p", "hybrid-ai"]))?;
    let host = tree::target().join("release/hybrid-ai");
    let server = Server::start("our host", &host, &["serve", "--listen", "127.0.0.1:0"], &[("LOG_LEVEL", "warn")])?;
    println!("\n{CONNECTIONS} connections");
    let fresh = server.resident_mb()?;
    // Those that have never said anything, and those that have had one answer and may ask again.
    let silent = open(&server, "")?;
    std::thread::sleep(REST);
    let silent_mb = server.resident_mb()?;
    drop(silent);
    std::thread::sleep(REST);
    let request = format!("GET /health HTTP/1.1\r\nhost: {}\r\n\r\n", server.address);
    let asked = open(&server, &request)?;
    std::thread::sleep(REST);
    let asked_mb = server.resident_mb()?;
    drop(asked);
    println!("the host alone             {fresh:>7.1} MB");
    println!("with silent ones           {silent_mb:>7.1} MB, {:.1} KB each", each(silent_mb - fresh));
    println!("with ones that asked once  {asked_mb:>7.1} MB, {:.1} KB each", each(asked_mb - fresh));
    // Those of the second kind hold the buffers of their last request, until `limits.header_ms` ends them.
    ensure!(silent_mb < MAX_MB, "that is more than {MAX_MB} MB");
    Ok(())
}

fn each(mb: f64) -> f64 {
    mb * 1000.0 / CONNECTIONS as f64
}

fn open(server: &Server, request: &str) -> anyhow::Result<Vec<TcpStream>> {
    use std::io::{Read as _, Write as _};
    let mut open = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        let told = || format!("connection {number}; `ulimit -n` must be above {CONNECTIONS}, twice");
        let mut stream = TcpStream::connect(&server.address).with_context(told)?;
        if !request.is_empty() {
            stream.write_all(request.as_bytes()).with_context(told)?;
            let mut answer = [0; 4096];
            ensure!(stream.read(&mut answer).with_context(told)? > 0, "no answer");
        }
        open.push(stream);
    }
    Ok(open)
}
