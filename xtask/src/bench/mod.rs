//! `bench`: what a request costs, beside the least it could cost.
//!
//! Four servers answer POST /llm from the same stand-in, which costs nothing: a native reverse proxy, our host, the same
//! where every request needs a key and counts for two limits, and the composed file under our host. Each is a process of its own, and so are the stand-in and the load. CPU is the server's
//! user and system time; on a machine shared with others it is the figure to trust. Ratios are to the proxy of the same
//! run. Embeddings, which are computed inside a component, are measured beside onnxruntime, and the voice inside the
//! platform by how fast it speaks.

mod compile;
pub mod dist;
pub mod load;
mod misbehave;
mod paced;
mod picture;
pub mod profile;
pub mod proxy;
pub mod swap;

mod connections;
mod embedding;
pub(crate) mod server;
mod speech;

use std::path::Path;

use anyhow::{Context, bail, ensure};

use crate::process::{cargo, run as run_program};
use crate::{components, compose, tree};
use load::{Load, Way};
use paced::median;
use server::Server;

/// Each server is measured this often, in turn, a part of the time each; the medians count, those of ratios too. A shared
/// machine changes its speed by half within a minute: only what was measured within the same seconds can be compared.
const ROUNDS: usize = 9;
/// Of the seconds that are asked for.
const PARTS: f64 = 3.0;
const CONNECTIONS: [usize; 2] = [16, 1];

/// What one measurement found.
#[derive(Debug, Clone, Copy)]
struct Figures {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us: f64,
}

pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    if let [first, rest @ ..] = arguments
        && first == "swap"
    {
        return swap::run(rest);
    }
    match arguments {
        [only] if only == "dist" => return dist::run(),
        [only] if only == "connections" => return connections::run(),
        [only] if only == "compile" => return swap::with_host(compile::measure),
        [only] if only == "misbehave" => return swap::with_host(misbehave::measure),
        _ => {}
    }
    let seconds = match arguments {
        [] => 5.0,
        [only] if only == "embedding" || only == "picture" => 0.0,
        [seconds] => seconds.parse().context("the argument is a number of seconds, `embedding` or `picture`")?,
        _ => bail!(
            "usage: cargo xtask bench [SECONDS | embedding | picture | swap | compile | misbehave | dist | connections]"
        ),
    };
    run_program(cargo().args(["build", "--release", "-p", "hybrid-ai"]))?;
    let host = tree::target().join("release/hybrid-ai");
    match arguments {
        [only] if only == "embedding" => return embedding::run(&host),
        [only] if only == "picture" => return picture::print(&host),
        _ => {}
    }
    profile::note(&host)?;
    let ourselves = std::env::current_exe()?;
    components::build(&[])?;
    compose::all(false)?;
    let composed = compose::file("hybrid-ai");

    let standin = Server::start("stand-in", &ourselves, &["standin", "--zero-latency"], &[])?;
    let upstream = format!("http://{}", standin.address);
    // A line per request would measure the terminal.
    let environment = [("HF_BASE_URL", upstream.as_str()), ("HF_API_KEY", "hf_bench"), ("LOG_LEVEL", "warn")];
    let start = |name, program: &Path, arguments: &[&str]| Server::start(name, program, arguments, &environment);
    let listen = ["--listen", "127.0.0.1:0"];
    let composed = composed.to_string_lossy();
    let data = tree::target().join("bench-data");
    let key = made_key(&host, &data)?;
    let data = data.to_string_lossy();
    let mut closed = environment.to_vec();
    closed.extend([("HYBRID_DATA_DIR", data.as_ref()), ("HYBRID_STORE", "file")]);
    let servers = [
        start("native proxy", &ourselves, &["bench-proxy", &upstream])?,
        start("our host", &host, &["serve", listen[0], listen[1]])?,
        Server::start("keys, limits", &host, &["serve", listen[0], listen[1]], &closed)?,
        start("composed file", &host, &["serve", &composed, listen[0], listen[1]])?,
    ];
    let mut answering = Vec::new();
    for server in &servers {
        match load::probe(&server.address, &key) {
            Ok(()) => answering.push(server),
            Err(error) => println!("{} is left out: {error:#}", server.name),
        }
    }
    ensure!(answering.len() > 1, "there is nothing to compare");
    for connections in CONNECTIONS {
        println!("\nPOST /llm, {connections} connections, {ROUNDS} rounds of {:.1} s, medians", seconds / PARTS);
        let rounds = measured(&answering, &key, connections, seconds, Way::Whole)?;
        table(&rounds, &answering);
        price(&rounds, &answering);
    }
    println!("\nPOST /llm streamed, 1 connection, the same; the times are those to the first piece");
    table(&measured(&answering, &key, 1, seconds, Way::Stream)?, &answering);
    ensure!(answering.len() == servers.len(), "not all servers could be measured");
    drop(servers);
    speech::print(&host)?;
    picture::print(&host)?;
    embedding::run(&host)
}

/// A key with limits that the load never reaches, in a store of its own.
fn made_key(host: &Path, data: &Path) -> anyhow::Result<String> {
    let _ = std::fs::remove_file(data.join("state.redb"));
    let most = u32::MAX.to_string();
    let output = std::process::Command::new(host)
        .args(["key", "create", "bench", "--requests-per-minute", &most, "--tokens-per-minute", &most])
        .env("HYBRID_DATA_DIR", data)
        .env("HYBRID_STORE", "file")
        .output()
        .context("making a key")?;
    ensure!(output.status.success(), "no key was made: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// What the check of a key, two limits and their headers cost.
fn price(rounds: &[Vec<Figures>], servers: &[&Server]) {
    let place = |name| servers.iter().position(|server| server.name == name);
    if let (Some(bare), Some(closed)) = (place("our host"), place("keys, limits")) {
        let ratio = median(rounds.iter().map(|round| round[closed].cpu_us / round[bare].cpu_us));
        println!("a key and its limits: {:+.1} % CPU per request", (ratio - 1.0) * 100.0);
    }
}

/// Round after round, what was found of each server, in their order.
fn measured(
    servers: &[&Server],
    key: &str,
    connections: usize,
    seconds: f64,
    way: Way,
) -> anyhow::Result<Vec<Vec<Figures>>> {
    let seconds = seconds / PARTS;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let mut found = vec![None; servers.len()];
        for turn in 0..servers.len() {
            // Another one begins each round, so that a noisy moment does not always meet the same one.
            let index = (turn + round) % servers.len();
            let server = servers[index];
            Load::run(&server.address, key, connections, (seconds / 4.0).min(1.5), way)?;
            let before = server.cpu_us()?;
            let load = Load::run(&server.address, key, connections, seconds, way)?;
            let cpu_us = (server.cpu_us()? - before) / load.requests as f64;
            found[index] = Some(Figures {
                per_second: load.requests as f64 / load.seconds,
                p50_us: load.p50_us,
                p99_us: load.p99_us,
                cpu_us,
            });
        }
        rounds.push(found.into_iter().flatten().collect());
    }
    Ok(rounds)
}

fn table(rounds: &[Vec<Figures>], servers: &[&Server]) {
    println!(
        "{:<14} {:>12} {:>10} {:>10} {:>12}   requests/s and CPU beside the first",
        "", "requests/s", "p50 µs", "p99 µs", "CPU µs/req"
    );
    for (place, server) in servers.iter().enumerate() {
        let of = |figure: fn(&Figures) -> f64| median(rounds.iter().map(|round| figure(&round[place])));
        let beside =
            |figure: fn(&Figures) -> f64| median(rounds.iter().map(|round| figure(&round[place]) / figure(&round[0])));
        println!(
            "{:<14} {:>12.0} {:>10.0} {:>10.0} {:>12.1}   {:>6.2} x {:>6.2} x",
            server.name,
            of(|one| one.per_second),
            of(|one| one.p50_us),
            of(|one| one.p99_us),
            of(|one| one.cpu_us),
            beside(|one| one.per_second),
            beside(|one| one.cpu_us)
        );
    }
}
