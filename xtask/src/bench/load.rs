//! The load: connections that each send the next request when the last one is answered.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

const BODY: &str = r#"{"messages":[{"role":"system","content":"You are a helpful assistant"},{"role":"user","content":"What is the capital of France?"}],"model":"meta-llama/Llama-3.1-8B-Instruct","max_tokens":256,"temperature":0.7}"#;
/// In the stand-in's answer, and in no other.
const ANSWER: &[u8] = b"The capital of France is Paris.";
/// In the first piece of its streamed answer that says something.
const FIRST: &[u8] = b"The";

/// How an answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Whole,
    /// Piece by piece: the time is that to the first one.
    Stream,
}

/// What the load saw.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Load {
    pub(super) requests: u64,
    pub(super) seconds: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

impl Load {
    /// Runs the load in a process of its own.
    pub(super) fn run(address: &str, key: &str, connections: usize, seconds: f64, way: Way) -> anyhow::Result<Load> {
        let way = if way == Way::Stream { "stream" } else { "whole" };
        let output = Command::new(std::env::current_exe()?)
            .args(["bench-load", address, &connections.to_string(), &seconds.to_string(), way, key])
            .output()
            .context("starting the load")?;
        ensure!(output.status.success(), "the load failed: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("what the load found")
    }
}

/// One request, to see that the server answers from the stand-in.
pub(super) fn probe(address: &str, key: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut sender = connect(address).await?;
        for _ in 0..3 {
            ask(&mut sender, address, key, Way::Whole).await?;
        }
        Ok(())
    })
}

/// `xtask bench-load ADDRESS CONNECTIONS SECONDS WAY KEY`: prints what it found as JSON.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [address, connections, seconds, way, key] = arguments else {
        bail!("usage: bench-load ADDRESS CONNECTIONS SECONDS whole|stream KEY")
    };
    let way = if way == "stream" { Way::Stream } else { Way::Whole };
    let (connections, seconds): (usize, f64) = (connections.parse()?, seconds.parse()?);
    // One thread: the load takes no more from the server than it must.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let load = runtime.block_on(drive(address, key, connections, Duration::from_secs_f64(seconds), way))?;
    println!("{}", serde_json::to_string(&load)?);
    Ok(())
}

async fn drive(address: &str, key: &str, connections: usize, length: Duration, way: Way) -> anyhow::Result<Load> {
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (address, key) = (address.to_owned(), key.to_owned());
        tasks.spawn(async move {
            let mut sender = connect(&address).await?;
            let mut times = Vec::new();
            while started.elapsed() < length {
                let asked = Instant::now();
                let answered = ask(&mut sender, &address, &key, way).await?;
                times.push(u32::try_from((answered - asked).as_micros()).unwrap_or(u32::MAX));
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done??);
    }
    let seconds = started.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().map(f64::from);
    let (p50_us, p99_us) = at(0.5).zip(at(0.99)).context("not one request was answered")?;
    Ok(Load { requests: times.len() as u64, seconds, p50_us, p99_us })
}

pub(super) type Sender = SendRequest<Full<Bytes>>;

pub(super) async fn connect(address: &str) -> anyhow::Result<Sender> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// A question in JSON, with the key that some of the servers ask for.
pub(super) fn request(path: &str, address: &str, key: &str, body: Bytes) -> http::Result<Request<Full<Bytes>>> {
    Request::post(path)
        .header("host", address)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {key}"))
        .body(Full::new(body))
}

/// When the answer was there, or its first piece.
pub(super) async fn ask(sender: &mut Sender, address: &str, key: &str, way: Way) -> anyhow::Result<Instant> {
    // A server may close a connection between requests.
    if sender.ready().await.is_err() {
        *sender = connect(address).await?;
    }
    let body = match way {
        Way::Whole => Bytes::from_static(BODY.as_bytes()),
        Way::Stream => Bytes::from(format!("{},\"stream\":true}}", BODY.trim_end_matches('}'))),
    };
    let request = request("/llm", address, key, body)?;
    let response = sender.send_request(request).await.context("no answer")?;
    let status = response.status();
    let mut body = response.into_body();
    let (mut all, mut first) = (Vec::new(), None);
    let has = |all: &[u8], part: &[u8]| all.windows(part.len()).any(|window| window == part);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.context("a broken answer")?.into_data() {
            all.extend_from_slice(&data);
            if way == Way::Stream && first.is_none() && has(&all, FIRST) {
                first = Some(Instant::now());
            }
        }
    }
    let good = match way {
        Way::Whole => has(&all, ANSWER),
        // Whichever of the two forms it has.
        Way::Stream => first.is_some() && (has(&all, b"[DONE]") || has(&all, b"\"done\":true")),
    };
    ensure!(status == 200 && good, "{status}, and not the stand-in's answer: {}", String::from_utf8_lossy(&all));
    Ok(first.unwrap_or_else(Instant::now))
}
