//! `bench swap`: what replacing a component costs those who ask meanwhile, and what it leaves behind.
//!
//! A copy of the built components is served; `llm` is replaced by versions of itself, which differ by a section that
//! means nothing, while short requests and streams come that outlive several swaps.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::compile;
use super::server::Server;
use crate::process::{cargo, run as run_program};
use crate::tree;

/// What is replaced.
const NAME: &str = "llm";
const SHORT: usize = 6;
const STREAMS: usize = 4;
/// A stream's events come this far apart, some thirty of them: several swaps pass.
const STREAM_MODEL: &str = "bench/stream-slow-50";
/// Versions that are swapped in turn when it is what is left behind that counts.
const KNOWN: usize = 40;

pub(super) struct House {
    pub(super) server: Server,
    admin: String,
    components: PathBuf,
    original: Vec<u8>,
    pub(super) client: Client<HttpConnector, Full<Bytes>>,
}

/// What the load has seen.
#[derive(Default)]
struct Seen {
    requests: AtomicU64,
    streams: AtomicU64,
    failed: Mutex<Vec<String>>,
    versions: Mutex<BTreeSet<String>>,
    /// Microseconds of the short ones.
    times: Mutex<Vec<u32>>,
    stop: AtomicBool,
}

pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let swaps: usize = match arguments {
        [] => 1000,
        [swaps] => swaps.parse().context("the argument is a number of swaps")?,
        _ => bail!("usage: cargo xtask bench swap [SWAPS]"),
    };
    with_host(async |folder| measure(folder, swaps).await)
}

/// Builds the host, and measures it with a folder for what it serves.
pub(super) fn with_host(measure: impl AsyncFnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    run_program(cargo().args(["build", "--release", "-p", "hybrid-ai"]))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = std::env::temp_dir().join(format!("hybrid-ai-bench-{}", std::process::id()));
    let done = runtime.block_on(measure(&folder));
    let _ = fs::remove_dir_all(&folder);
    done
}

async fn measure(folder: &Path, swaps: usize) -> anyhow::Result<()> {
    let ourselves = std::env::current_exe()?;
    let standin = Server::start("stand-in", &ourselves, &["standin"], &[])?;
    let house = Arc::new(House::start(folder, &standin.address, "[limits]\ndraining_versions = 64\n", &[])?);
    house.admin_answers().await?;
    house.swap(0).await?;

    println!("time from a file in place to the first answer by its version, milliseconds");
    first_answers(&house).await?;

    println!("\nwhat those who ask notice of a component that is compiled");
    // Those who ask there want the answers of a stand-in that costs nothing.
    compile::measure(&folder.join("compiling")).await?;

    println!("\n{swaps} swaps of {NAME} under load: {SHORT} connections with short requests, {STREAMS} with streams");
    let quiet = load(&house, async |house: &House| {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let _ = house;
        Ok(())
    })
    .await?;
    report("before", &quiet);
    let began = Instant::now();
    let busy = load(&house, async |house: &House| {
        for number in 0..swaps {
            house.swap(1000 + number).await?;
        }
        Ok(())
    })
    .await?;
    report("while swapping", &busy);
    println!("{:.1} swaps/s", swaps as f64 / began.elapsed().as_secs_f64());
    let failed = std::mem::take(&mut *busy.failed.lock().expect("nobody panics holding it"));
    ensure!(failed.is_empty(), "{} requests failed, the first: {}", failed.len(), failed[0]);

    println!("\nwhat swaps leave behind, {KNOWN} versions in turn");
    println!("{:>8} {:>10} {:>14} {:>12}", "swaps", "RSS MB", "descriptors", "code maps");
    let (mut done, mut first) = (0, None);
    let marks = [100, 1000, 5 * swaps.min(1000)];
    for mark in marks {
        while done < mark {
            house.swap(done % KNOWN).await?;
            house.ask(false).await?;
            done += 1;
        }
        let rss = house.status("VmRSS:")? as f64 / 1024.0;
        println!("{done:>8} {rss:>10.1} {:>14} {:>12}", house.descriptors()?, house.code_maps()?);
        let first = *first.get_or_insert(rss);
        ensure!(mark < 5000 || rss <= first * 1.05, "memory grew from {first:.1} to {rss:.1} MB");
    }
    Ok(())
}

impl House {
    /// The built components, with others in place of some of them or beside them.
    pub(super) fn start(folder: &Path, upstream: &str, text: &str, others: &[(&str, &Path)]) -> anyhow::Result<Self> {
        let components = folder.join("components");
        fs::create_dir_all(&components)?;
        for entry in tree::target().join("components").read_dir().context("run `cargo xtask components` first")? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                fs::copy(&path, components.join(path.file_name().context("a file's name")?))?;
            }
        }
        for (name, file) in others {
            fs::copy(file, components.join(format!("{name}.wasm"))).with_context(|| format!("copying {name}"))?;
        }
        let original = fs::read(components.join(format!("{NAME}.wasm")))?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let admin = format!("127.0.0.1:{port}");
        let configuration = folder.join("hybrid.toml");
        fs::write(&configuration, format!("admin.listen = \"{admin}\"\n{text}"))?;
        let data = folder.join("data");
        let (components_text, configuration, data, upstream) = (
            components.display().to_string(),
            configuration.display().to_string(),
            data.display().to_string(),
            format!("http://{upstream}"),
        );
        let environment = [
            ("HF_BASE_URL", upstream.as_str()),
            ("HF_API_KEY", "hf_bench"),
            ("LOG_LEVEL", "warn"),
            ("HYBRID_DATA_DIR", &data),
        ];
        let arguments = ["--listen", "127.0.0.1:0", "--components", &components_text, "--config", &configuration];
        let server = Server::start("our host", &tree::target().join("release/hybrid-ai"), &arguments, &environment)?;
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Ok(Self { server, admin, components, original, client })
    }

    /// Forgets what is known of a component's functions, so that the next version of it is compiled whole.
    pub(super) fn forget_functions(&self, name: &str) -> anyhow::Result<()> {
        let compiled = self.components.with_file_name("data").join("compiled");
        for entry in compiled.read_dir().with_context(|| format!("reading {}", compiled.display()))? {
            let path = entry?.path();
            let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
            if file.starts_with(&format!("{name}-")) && file.ends_with(".functions") {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Waits for the admin address, which the host opens after the one that serves.
    pub(super) async fn admin_answers(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        while tokio::net::TcpStream::connect(&self.admin).await.is_err() {
            ensure!(began.elapsed() < Duration::from_secs(10), "nobody listens on the admin address, {}", self.admin);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The bytes of a version.
    fn version(&self, number: usize) -> Vec<u8> {
        versioned(&self.original, number)
    }

    async fn swap(&self, number: usize) -> anyhow::Result<()> {
        let (status, told) = self.put(NAME, self.version(number)).await?;
        ensure!(status == StatusCode::OK, "version {number} was refused: {told}");
        Ok(())
    }

    pub(super) async fn put(&self, name: &str, bytes: Vec<u8>) -> anyhow::Result<(StatusCode, String)> {
        let request = Request::builder()
            .method(Method::PUT)
            .uri(format!("http://{}/components/{name}", self.admin))
            .body(Full::new(bytes.into()))?;
        let answer = self.client.request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// One request, its answer whole: which version of the component answered.
    async fn ask(&self, stream: bool) -> anyhow::Result<String> {
        let model = if stream { STREAM_MODEL } else { "bench/chat" };
        let body = format!(
            r#"{{"messages":[{{"role":"user","content":"What is the capital of France?"}}],"model":"{model}","stream":{stream}}}"#
        );
        let request = Request::post(format!("http://{}/llm", self.server.address))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let answer = self.client.request(request).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.context("a broken answer")?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        ensure!(parts.status == StatusCode::OK, "{}: {text}", parts.status);
        ensure!(!text.contains("\"error\"") && text.contains("France"), "not the whole answer: {text}");
        let named = parts.headers.get("x-components").and_then(|named| named.to_str().ok()).unwrap_or_default();
        let mut versions = named.split(',').filter(|label| label.starts_with(&format!("{NAME}@")));
        let version = versions.next().with_context(|| format!("no {NAME} in `{named}`"))?.to_owned();
        ensure!(versions.next().is_none(), "two versions in one request: {named}");
        Ok(version)
    }

    fn status(&self, field: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)).context("a field of /proc")?;
        Ok(line.split_whitespace().next().context("a number")?.parse()?)
    }

    fn descriptors(&self) -> anyhow::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.server.id()))?.count())
    }

    /// Files of compiled code that are mapped, whatever became of them on disk.
    fn code_maps(&self) -> anyhow::Result<usize> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.server.id()))?;
        Ok(maps
            .lines()
            .filter_map(|line| line.split_whitespace().nth(5))
            .filter(|path| path.ends_with(".cwasm"))
            .collect::<BTreeSet<_>>()
            .len())
    }
}

/// The same component with a section that means nothing: other bytes.
pub(super) fn versioned(original: &[u8], number: usize) -> Vec<u8> {
    let mut bytes = original.to_vec();
    bytes.extend_from_slice(&[0, 6, 1, b'v']);
    bytes.extend_from_slice(&(number as u32).to_le_bytes());
    bytes
}

/// A file renamed into place, and asking until its version answers: new ones, and ones that were compiled before.
async fn first_answers(house: &House) -> anyhow::Result<()> {
    for (what, numbers) in [("new, compiled", 100..120), ("known bytes", 100..120)] {
        let mut times = Vec::new();
        for number in numbers {
            let before = house.ask(false).await?;
            let part = house.components.join(".part");
            fs::write(&part, house.version(number))?;
            let began = Instant::now();
            fs::rename(&part, house.components.join(format!("{NAME}.wasm")))?;
            while house.ask(false).await? == before {
                ensure!(began.elapsed() < Duration::from_secs(60), "the file was not noticed");
            }
            times.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        println!("{what:<16} median {:>7.1}   worst {:>7.1}", times[times.len() / 2], times[times.len() - 1]);
    }
    Ok(())
}

/// Runs `work` under load.
async fn load(house: &Arc<House>, work: impl AsyncFnOnce(&House) -> anyhow::Result<()>) -> anyhow::Result<Arc<Seen>> {
    let seen = Arc::new(Seen::default());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..SHORT + STREAMS {
        let (house, seen) = (Arc::clone(house), Arc::clone(&seen));
        tasks.spawn(async move {
            let stream = number >= SHORT;
            while !seen.stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                match house.ask(stream).await {
                    Ok(version) => {
                        seen.versions.lock().expect("nobody panics holding it").insert(version);
                        if stream {
                            seen.streams.fetch_add(1, Ordering::Relaxed);
                        } else {
                            seen.requests.fetch_add(1, Ordering::Relaxed);
                            let micros = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
                            seen.times.lock().expect("nobody panics holding it").push(micros);
                        }
                    }
                    Err(error) => seen.failed.lock().expect("nobody panics holding it").push(format!("{error:#}")),
                }
            }
        });
    }
    let done = work(house).await;
    seen.stop.store(true, Ordering::Relaxed);
    while tasks.join_next().await.is_some() {}
    done?;
    Ok(seen)
}

fn report(what: &str, seen: &Seen) {
    let mut times = seen.times.lock().expect("nobody panics holding it").clone();
    times.sort_unstable();
    let at =
        |share: f64| times.get((times.len() as f64 * share) as usize).map_or(0.0, |micros| f64::from(*micros) / 1000.0);
    println!(
        "{what:<16} {:>8} requests, {:>5} streams, {} failed, {} versions; p50 {:.2} ms, p99 {:.2} ms",
        seen.requests.load(Ordering::Relaxed),
        seen.streams.load(Ordering::Relaxed),
        seen.failed.lock().expect("nobody panics holding it").len(),
        seen.versions.lock().expect("nobody panics holding it").len(),
        at(0.5),
        at(0.99),
    );
}
