//! `load`: our host under other people's clients. nghttp2's h2load asks over TLS, in HTTP/2 and HTTP/1; slowhttptest opens
//! connections that drip, while h2load goes on asking: those must be closed, and nothing that runs be harmed. Both come
//! from Debian (nghttp2-client, slowhttptest), so it is no part of `test`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::bench::server::Server;
use crate::process::{cargo, run as run_program};
use crate::tree;

/// How long a client may take for a head, for a body and for its answer, so that the test is short.
const LIMITS: &str = "[limits]\nheader_ms = 3000\nbody_ms = 3000\nwrite_ms = 3000\n";
/// Slow connections at once.
const SLOW: usize = 300;
/// Within this they are opened, found out and closed.
const FOUND_OUT: Duration = Duration::from_secs(12);
/// For how long they are kept up, and for how long the others ask.
const SECONDS: &str = "16";
const ASK: &str = r#"{"messages":[{"role":"user","content":"hello"}],"model":"local/echo"}"#;

pub fn run() -> anyhow::Result<()> {
    for tool in ["h2load", "slowhttptest"] {
        let found = Command::new(tool).arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.with_context(|| format!("`{tool}` is not there: apt-get install nghttp2-client slowhttptest"))?;
    }
    run_program(cargo().args(["build", "--release", "-p", "hybrid-ai"]))?;
    let folder = tree::target().join("load");
    std::fs::create_dir_all(&folder)?;
    let body = folder.join("ask.json");
    tree::put(&body, ASK.as_bytes())?;
    let plain = start(&folder, "plain", "")?;
    let shown = tree::root().join("host/tests/tls");
    let (certificate, key) = (shown.join("one.pem"), shown.join("one-key.pem"));
    let tls = start(&folder, "tls", &format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n"))?;

    let secure = format!("https://{}", tls.address);
    let llm = format!("{secure}/llm");
    let (health, body) = (format!("{secure}/health"), body.display().to_string());
    println!("\nover TLS");
    asked("HTTP/2, 64 connections of 8 requests", &["-n", "20000", "-c", "64", "-m", "8", &health])?;
    asked("HTTP/1, 64 connections", &["-n", "20000", "-c", "64", "--h1", &health])?;
    let post = ["-n", "10000", "-c", "32", "-m", "4", "-d", &body, "-H", "content-type: application/json", &llm];
    asked("HTTP/2, POST /llm", &post)?;

    println!("\n{SLOW} slow connections");
    let page = |server: &Server, scheme: &str, path: &str| format!("{scheme}://{}{path}", server.address);
    slow("heads that drip", &plain, &["-H", "-i", "1", "-u", &page(&plain, "http", "/health")])?;
    slow("bodies that drip", &plain, &["-B", "-i", "1", "-s", "8192", "-u", &page(&plain, "http", "/llm")])?;
    let large = page(&plain, "http", "/openapi.json");
    let crawl = ["-X", "-w", "8", "-y", "16", "-n", "4", "-z", "8", "-k", "8", "-u", &large];
    slow("answers taken drop by drop", &plain, &crawl)?;
    slow("heads that drip, over TLS", &tls, &["-H", "-i", "1", "-u", &page(&tls, "https", "/health")])
}

fn start(folder: &Path, name: &'static str, text: &str) -> anyhow::Result<Server> {
    let config = folder.join(format!("{name}.toml"));
    tree::put(&config, format!("admin.listen = \"off\"\n{LIMITS}{text}").as_bytes())?;
    let config = config.display().to_string();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--config", &config];
    Server::start(name, &tree::target().join("release/hybrid-ai"), &arguments, &[("LOG_LEVEL", "error")])
}

/// Has h2load ask; every request must be answered well. What it says of the rate.
fn h2load(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("h2load").args(arguments).output().context("starting h2load")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).map(str::to_owned);
    let (requests, rate) = (line("requests:"), line("finished in"));
    let requests = requests.with_context(|| format!("h2load says {text}"))?;
    let codes = line("status codes:").unwrap_or_default();
    let is_well = requests.ends_with(", 0 failed, 0 errored, 0 timeout") && codes.contains(" 0 4xx, 0 5xx");
    ensure!(output.status.success() && is_well, "{requests}; {codes}");
    let rate = rate.context("a rate")?;
    let done = requests.split(", ").find(|part| part.ends_with(" succeeded")).unwrap_or_default().to_owned();
    Ok(format!("{done}, {}", rate.split(", ").nth(1).unwrap_or_default()))
}

fn asked(what: &str, arguments: &[&str]) -> anyhow::Result<()> {
    println!("{what:<40} {}", h2load(arguments)?);
    Ok(())
}

/// Opens slow connections, and sees that the host closes them while it goes on serving.
fn slow(what: &str, server: &Server, arguments: &[&str]) -> anyhow::Result<()> {
    let before = sockets(server)?;
    let count = SLOW.to_string();
    let mut slow = Command::new("slowhttptest")
        .args(["-c", &count, "-r", &count, "-l", SECONDS, "-v", "0"])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting slowhttptest")?;
    let scheme = if server.name == "tls" { "https" } else { "http" };
    let health = format!("{scheme}://{}/health", server.address);
    // What runs is asked for all the while, by sixteen connections that are never silent.
    let running = std::thread::spawn(move || h2load(&["-D", SECONDS, "-c", "16", "--h1", &health]));
    std::thread::sleep(Duration::from_secs(2));
    let open = sockets(server)?;
    std::thread::sleep(FOUND_OUT - Duration::from_secs(2));
    let left = sockets(server)?.saturating_sub(16);
    let answered =
        running.join().map_err(|_| anyhow::anyhow!("h2load's thread panicked"))?.context("while they dripped")?;
    slow.wait()?;
    println!(
        "{what:<40} {} open, then {} of them; meanwhile {answered}",
        open.saturating_sub(before + 16),
        left.saturating_sub(before)
    );
    ensure!(open > before + SLOW / 2, "they were not even opened");
    ensure!(left <= before + SLOW / 50, "they are still open");
    Ok(())
}

/// How many sockets a server has.
fn sockets(server: &Server) -> anyhow::Result<usize> {
    let folder = format!("/proc/{}/fd", server.id());
    let entries = std::fs::read_dir(&folder).with_context(|| format!("reading {folder}"))?;
    let places = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    Ok(places.filter(|place| place.to_string_lossy().starts_with("socket:")).count())
}
