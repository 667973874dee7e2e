//! What a vector costs: `POST /embedding` through the whole host, with fresh instances for every request and with kept ones,
//! beside onnxruntime, which runs the same model natively on one thread; what a list of texts gains by the other cores; and
//! the memory that many texts leave behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};

use super::load::{Sender, connect};
use super::paced::median;
use super::server::Server;
use crate::process::{program, run as run_program};
use crate::{model, tree};

const MODEL: &str = "local/all-MiniLM-L6-v2";
/// Of a text, the start's and the end's among them.
const TOKENS: [usize; 4] = [4, 16, 38, 122];
const ROUNDS: usize = 3;
/// CPU time is counted in hundredths of a second: this much of it is one in a hundred.
const LENGTH: Duration = Duration::from_millis(1500);
const MANY: usize = 10_000;
/// The lengths of those, one after the other; what is longer than the last is cut.
const MIXED: [usize; 8] = [4, 16, 8, 38, 6, 122, 12, 256];
const CONNECTIONS: usize = 16;
const REST: Duration = Duration::from_millis(200);
/// Texts of one request, each of so many tokens.
const LIST: usize = 64;
const LIST_TOKENS: usize = 16;
const LISTS: usize = 9;

pub(super) fn run(host: &Path) -> anyhow::Result<()> {
    let folder = tree::target().join("bench");
    fs::create_dir_all(&folder)?;
    let fresh = folder.join("fresh.toml");
    fs::write(&fresh, "[limits]\nrequests_per_instance = 1\n")?;
    let kept = folder.join("kept.toml");
    fs::write(&kept, "")?;
    let within = folder.join("within.toml");
    fs::write(&within, "[components.local-embedding]\napart = false\n")?;
    let start = |name, config: &Path| {
        let config = config.to_string_lossy();
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--config", &config];
        Server::start(name, host, &arguments, &[("LOG_LEVEL", "warn"), ("HF_API_KEY", ""), ("HF_TOKEN", "")])
    };
    let servers = [start("fresh instances", &fresh)?, start("kept instances", &kept)?];
    let native =
        onnxruntime().inspect_err(|error| println!("\nonnxruntime is left out: {error:#}")).unwrap_or_default();

    println!(
        "\nPOST /embedding, one connection, CPU ms per text, medians of {ROUNDS} rounds; beside onnxruntime, one thread"
    );
    println!(
        "{:<8} {:>16} {:>16} {:>12}   kept beside onnxruntime",
        "tokens", servers[0].name, servers[1].name, "onnxruntime"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for tokens in TOKENS {
        let [fresh, kept] = [&servers[0], &servers[1]].map(|server| runtime.block_on(cpu_ms(server, tokens)));
        let (fresh, kept) = (fresh?, kept?);
        match native.get(&tokens) {
            Some(native) => {
                println!("{tokens:<8} {fresh:>16.2} {kept:>16.2} {native:>12.2}   {:>6.2} x", kept / native);
            }
            None => println!("{tokens:<8} {fresh:>16.2} {kept:>16.2} {:>12}", "-"),
        }
    }
    println!("\nPOST /v1/embeddings with {LIST} texts of {LIST_TOKENS} tokens, wall ms, medians of {LISTS}");
    let one = runtime.block_on(list_ms(&start("in the request's store", &within)?))?;
    let all = runtime.block_on(list_ms(&servers[1]))?;
    println!("on one core {one:.0}, on all cores {all:.0}: {:.0} % of it", 100.0 * all / one);

    // On a host that has done nothing else.
    let server = start("many", &kept)?;
    let before = server.resident_mb()?;
    runtime.block_on(async {
        let mut connections = tokio::task::JoinSet::new();
        for connection in 0..CONNECTIONS {
            let address = server.address.clone();
            connections.spawn(async move {
                let mut sender = connect(&address).await?;
                for number in (connection..MANY).step_by(CONNECTIONS) {
                    ask(&mut sender, &address, &text(MIXED[number / CONNECTIONS % MIXED.len()])).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = connections.join_next().await {
            done??;
        }
        anyhow::Ok(())
    })?;
    // Instances that nobody needs go within some hundredths of a second.
    std::thread::sleep(REST);
    // Weights are counted once for each instance that maps them, and are there once.
    println!(
        "\nresident memory {before:.0} MB, after {MANY} embeddings of up to 256 tokens on {CONNECTIONS} connections {:.0} MB \
         (at most {:.0}); {:.0} MB where shared pages count once",
        server.resident_mb()?,
        server.peak_mb()?,
        server.proportional_mb()?,
    );
    Ok(())
}

/// One list of texts, from the request to the last byte of the answer.
async fn list_ms(server: &Server) -> anyhow::Result<f64> {
    let mut sender = connect(&server.address).await?;
    let body = serde_json::json!({ "input": vec![text(LIST_TOKENS); LIST], "model": MODEL }).to_string();
    let mut found = Vec::new();
    for _ in 0..LISTS {
        let began = Instant::now();
        send(&mut sender, &server.address, "/v1/embeddings", body.clone()).await?;
        found.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(median(found.into_iter()))
}

/// Each word is one token.
fn text(tokens: usize) -> String {
    ["river"].repeat(tokens - 2).join(" ")
}

async fn cpu_ms(server: &Server, tokens: usize) -> anyhow::Result<f64> {
    let text = text(tokens);
    let mut sender = connect(&server.address).await?;
    let mut found = Vec::new();
    for _ in 0..ROUNDS {
        for _ in 0..3 {
            ask(&mut sender, &server.address, &text).await?;
        }
        let (before, began) = (server.cpu_us()?, Instant::now());
        let mut count = 0;
        while began.elapsed() < LENGTH {
            ask(&mut sender, &server.address, &text).await?;
            count += 1;
        }
        found.push((server.cpu_us()? - before) / 1000.0 / f64::from(count));
    }
    Ok(median(found.into_iter()))
}

async fn ask(sender: &mut Sender, address: &str, text: &str) -> anyhow::Result<()> {
    send(sender, address, "/embedding", serde_json::json!({ "text": text }).to_string()).await
}

async fn send(sender: &mut Sender, address: &str, path: &str, body: String) -> anyhow::Result<()> {
    if sender.ready().await.is_err() {
        *sender = connect(address).await?;
    }
    let request = http::Request::post(path)
        .header("host", address)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await.context("no answer")?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.context("a broken answer")?.to_bytes();
    ensure!(head.status == 200, "{}: {}", head.status, String::from_utf8_lossy(&body));
    let model = head.headers.get("x-model").and_then(|model| model.to_str().ok()).unwrap_or_default();
    ensure!(model == MODEL, "`{model}` answered");
    Ok(())
}

/// Milliseconds per text by tokens.
fn onnxruntime() -> anyhow::Result<BTreeMap<usize, f64>> {
    let files = model::published()?;
    let venv = tree::target().join("bench/venv");
    let python = venv.join("bin/python");
    if !venv.join("installed").is_file() {
        run_program(program("python3").args(["-m", "venv"]).arg(&venv))?;
        run_program(Command::new(&python).args(["-m", "pip", "install", "--quiet", "numpy", "onnx", "onnxruntime"]))?;
        fs::write(venv.join("installed"), "")?;
    }
    let script = tree::root().join("xtask/src/bench/minilm.py");
    let output =
        Command::new(&python).arg(&script).arg(&files).args(TOKENS.map(|tokens| tokens.to_string())).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("what minilm.py found")
}
