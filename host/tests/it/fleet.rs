//! Several hosts, each a process, that serve the same components: one Redis, and folders of their own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::house::{Folder, one_probe, other_version, probe};
use crate::shared::Redis;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hybrid-ai");

/// A host as it is run: its folders outlive its process.
struct Host {
    folder: Folder,
    process: Option<Child>,
    address: String,
    admin: String,
}

impl Host {
    fn new(redis: &Redis) -> Self {
        let folder = Folder::new();
        std::fs::create_dir_all(folder.path().join("components")).expect("a folder");
        std::fs::copy(probe(), folder.path().join("components/one.wasm")).expect("a copy");
        let (store, admin) = (format!("store = \"{}\"\n", redis.url()), "[admin]\nlisten = \"127.0.0.1:0\"\n");
        folder.write("hybrid.toml", format!("{store}{admin}[fleet]\njoin = true\n{}", one_probe("")));
        let mut host = Self { folder, process: None, address: String::new(), admin: String::new() };
        host.start();
        host
    }

    fn start(&mut self) {
        let mut process = Command::new(PROGRAM)
            .args(["--listen", "127.0.0.1:0", "--components", "components", "--config", "hybrid.toml"])
            .current_dir(self.folder.path())
            .env_clear()
            .env("HYBRID_DATA_DIR", self.folder.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the host starts");
        let lines = BufReader::new(process.stderr.take().expect("its words")).lines();
        let (told, heard) = mpsc::channel();
        // A full pipe would stop it.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("listening on http://") {
                    let _ = told.send(address.trim_end_matches('/').to_owned());
                }
                let json: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                if json["message"] == "the admin address" {
                    let _ = told.send(json["listen"].as_str().expect("an address").to_owned());
                }
            }
        });
        let wait = || heard.recv_timeout(Duration::from_secs(60)).expect("the host tells where it listens");
        (self.address, self.admin) = (wait(), wait());
        self.process = Some(process);
    }

    /// As by `kill -9`.
    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it ends");
        }
    }

    fn command(&self, words: &[&str]) -> String {
        let output = Command::new(PROGRAM)
            .args(words)
            .args(["--admin", &self.admin])
            .current_dir(self.folder.path())
            .env_clear()
            .output()
            .expect("the program");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{err}");
        out.into_owned()
    }

    /// Puts another version into service, for the whole fleet.
    fn swap(&self, number: u8) -> String {
        let file = self.folder.write(&format!("{number}.wasm"), other_version(number));
        let told = self.command(&["component", "swap", "one", &file.display().to_string(), "--fleet"]);
        assert!(told.contains("told to the fleet"), "{told}");
        version(&told, "one@")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The digest in `one@DIGEST`.
fn version(text: &str, before: &str) -> String {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no version in {text}")).1;
    rest.chars().take_while(char::is_ascii_hexdigit).collect()
}

type Asker = Client<HttpConnector, Full<Bytes>>;

fn asker() -> Asker {
    Client::builder(TokioExecutor::new()).build(HttpConnector::new())
}

/// The version that answers at an address.
async fn serving(client: &Asker, address: &str) -> anyhow::Result<String> {
    let answer = client.get(format!("http://{address}/hello").parse()?).await?;
    anyhow::ensure!(answer.status() == 200, "{}", answer.status());
    let components = answer.headers()["x-components"].to_str()?.to_owned();
    anyhow::ensure!(answer.into_body().collect().await?.to_bytes() == "hello", "another answer");
    Ok(version(&components, "one@"))
}

async fn until_all_serve(hosts: &[&Host], wanted: &str) -> Duration {
    let (client, began) = (asker(), Instant::now());
    loop {
        let mut all = true;
        for host in hosts {
            all &= serving(&client, &host.address).await.is_ok_and(|now| now == wanted);
        }
        if all {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(30), "not all hosts serve {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks hosts one after the other until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    work: tokio::task::JoinHandle<Vec<String>>,
}

impl Load {
    fn on(hosts: &[&Host]) -> Self {
        let addresses: Vec<String> = hosts.iter().map(|host| host.address.clone()).collect();
        let (stop, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (told, counted) = (Arc::clone(&stop), Arc::clone(&good));
        let work = tokio::spawn(async move {
            let (client, mut failures) = (asker(), Vec::new());
            while !told.load(Ordering::Relaxed) {
                for address in &addresses {
                    match serving(&client, address).await {
                        Ok(_) => _ = counted.fetch_add(1, Ordering::Relaxed),
                        Err(error) => failures.push(format!("{error:#}")),
                    }
                }
            }
            failures
        });
        Self { stop, good, work }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        let failures = self.work.await.expect("the load");
        assert!(failures.is_empty(), "{failures:?}");
        assert!(self.good.load(Ordering::Relaxed) > 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_for_the_fleet_reaches_every_host_and_those_that_were_away() {
    let mut redis = Redis::start();
    let (one, other) = (Host::new(&redis), Host::new(&redis));
    let mut third = Host::new(&redis);
    let load = Load::on(&[&one, &other]);

    let second = one.swap(2);
    let took = until_all_serve(&[&one, &other, &third], &second).await;
    // The promise is 2 s; tests may share their machine.
    assert!(took < Duration::from_secs(6), "{took:?}");

    // One is killed, and Redis comes back empty: what was written is written again by those who know it.
    third.kill();
    redis.kill();
    tokio::time::sleep(Duration::from_millis(300)).await;
    redis.again();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let newest = other.swap(3);
    until_all_serve(&[&one, &other], &newest).await;

    // What was away catches up, by bytes that it has from another.
    third.start();
    until_all_serve(&[&third], &newest).await;
    load.end().await;

    // Its folder has it too: the next start begins with it.
    let kept = std::fs::read(third.folder.path().join("components/one.wasm")).expect("a file");
    assert!(kept == other_version(3));

    // A way back is one for all.
    let told = one.command(&["component", "rollback", "one", "--fleet"]);
    assert!(told.contains("told to the fleet"), "{told}");
    until_all_serve(&[&one, &other, &third], &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_a_swap_a_fleet_has_one_version() {
    let redis = Redis::start();
    let mut one = Host::new(&redis);
    let other = Host::new(&redis);
    let before = one.swap(2);
    until_all_serve(&[&one, &other], &before).await;
    for number in 3..6 {
        let file = one.folder.write(&format!("{number}.wasm"), other_version(number));
        let mut swapping = Command::new(PROGRAM)
            .args(["component", "swap", "one", &file.display().to_string(), "--fleet", "--admin", &one.admin])
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program");
        // Before it is compiled, while it is, and after.
        tokio::time::sleep(Duration::from_millis(u64::from(number - 3) * 150)).await;
        one.kill();
        let _ = swapping.wait();
        one.start();
        // Whichever it is, it is one, and it stays.
        let began = Instant::now();
        let client = asker();
        let mut same_since = None;
        loop {
            let (a, b) = tokio::join!(serving(&client, &one.address), serving(&client, &other.address));
            match a.ok().zip(b.ok()) {
                Some((a, b)) if a == b => {
                    let (known, since) = same_since.get_or_insert((a.clone(), Instant::now()));
                    if *known != a {
                        same_since = None;
                    } else if since.elapsed() > Duration::from_secs(2) {
                        break;
                    }
                }
                _ => same_since = None,
            }
            assert!(began.elapsed() < Duration::from_secs(30), "two versions serve");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
