//! How fast the voice inside the platform speaks.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::server::Server;

/// A page of text or so.
const CHARACTERS: usize = 2000;
const SENTENCE: &str =
    "On March 5, 2024 the ship carried 1,250 boxes of oranges, for $3.50 each, to a harbour in the north. ";
/// 16-bit samples of one channel at 22,050 Hz.
const BYTES_PER_SECOND: f64 = 44_100.0;
const PATIENCE: Duration = Duration::from_secs(60);

/// Prints the CPU time of the host for each second of speech, and how soon the first of it is there.
pub(super) fn print(host: &Path) -> anyhow::Result<()> {
    let server = Server::start("voice", host, &["serve", "--listen", "127.0.0.1:0"], &[("LOG_LEVEL", "warn")])?;
    // The first answer also pays for the first touch of every page.
    spoken(&server)?;
    let before = server.cpu_us()?;
    let (first, bytes) = spoken(&server)?;
    let cpu = server.cpu_us()? - before;
    let seconds = bytes as f64 / BYTES_PER_SECOND;
    println!(
        "\nPOST /tts, {CHARACTERS} characters: {seconds:.0} s of speech in {:.0} ms of CPU, {:.0} times real time; \
         first sound after {:.0} ms",
        cpu / 1000.0,
        seconds * 1e6 / cpu,
        first.as_secs_f64() * 1000.0,
    );
    Ok(())
}

/// Until the first samples came, and how many bytes of them there were.
fn spoken(server: &Server) -> anyhow::Result<(Duration, usize)> {
    let text: String = SENTENCE.chars().cycle().take(CHARACTERS).collect();
    let body = serde_json::json!({ "text": text, "model": "local/klatt-en" }).to_string();
    let mut stream = TcpStream::connect(&server.address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let started = Instant::now();
    write!(
        stream,
        "POST /tts HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        server.address,
        body.len(),
    )?;
    let (mut received, mut piece, mut first) = (Vec::new(), vec![0; 64 * 1024], None);
    loop {
        let count = stream.read(&mut piece)?;
        if count == 0 {
            break;
        }
        received.extend_from_slice(&piece[..count]);
        // A head, and the 44 bytes before the sound.
        if first.is_none() && received.len() > 2048 {
            first = Some(started.elapsed());
        }
    }
    let status = String::from_utf8_lossy(&received[..received.len().min(15)]).into_owned();
    ensure!(status.starts_with("HTTP/1.1 200"), "POST /tts was answered {status}");
    Ok((first.context("no sound")?, received.len()))
}
