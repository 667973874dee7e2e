//! Several hosts, each a process, that serve the same components: one Redis, and folders of their own.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::house::{Folder, Process, one_probe, other_version, probe};
use crate::shared::Redis;

/// A host as it is run: its folders outlive its process.
struct Host {
    folder: Folder,
    process: Option<Process>,
    address: String,
    admin: String,
}

impl Host {
    fn new(redis: &Redis) -> Self {
        Self::with(redis, "")
    }

    /// With more lines under `[fleet]`.
    fn with(redis: &Redis, text: &str) -> Self {
        let folder = Folder::new();
        std::fs::create_dir_all(folder.path().join("components")).expect("a folder");
        std::fs::copy(probe(), folder.path().join("components/one.wasm")).expect("a copy");
        let (store, admin) = (format!("store = \"{}\"\n", redis.url()), "[admin]\nlisten = \"127.0.0.1:0\"\n");
        folder.write("hybrid.toml", format!("{store}{admin}[fleet]\njoin = true\n{text}\n{}", one_probe("")));
        let mut host = Self { folder, process: None, address: String::new(), admin: String::new() };
        host.start();
        host
    }

    fn start(&mut self) {
        let mut command = Process::command();
        command
            .args(["--listen", "127.0.0.1:0", "--components", "components", "--config", "hybrid.toml"])
            .current_dir(self.folder.path())
            .env("HYBRID_REGISTRY_AUTH", crate::oci::ACCOUNT)
            .env("HYBRID_DATA_DIR", self.folder.path().join("data"));
        let process = Process::start(&mut command);
        self.address.clone_from(&process.address);
        self.admin = process.says(|line| {
            let json: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            (json["message"] == "the admin address").then(|| json["listen"].as_str().expect("an address").to_owned())
        });
        self.process = Some(process);
    }

    /// As by `kill -9`.
    fn kill(&mut self) {
        self.process = None;
    }

    fn command(&self, words: &[&str]) -> String {
        let output = Process::command()
            .stdout(Stdio::piped())
            .args(words)
            .args(["--admin", &self.admin])
            .current_dir(self.folder.path())
            .output()
            .expect("the program");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{err}");
        out.into_owned()
    }

    /// Puts another version into service, for the whole fleet.
    fn swap(&self, number: u8) -> String {
        let told = self.begin_swap(number);
        assert!(told.contains("told to the fleet"), "{told}");
        version(&told, "one@")
    }

    /// The same, where Redis may be away.
    fn begin_swap(&self, number: u8) -> String {
        let file = self.folder.write(&format!("{number}.wasm"), other_version(number));
        self.command(&["component", "swap", "one", &file.display().to_string(), "--fleet"])
    }

    async fn components(&self) -> serde_json::Value {
        let answer = asker().get(format!("http://{}/components", self.admin).parse().expect("an address")).await;
        let body = answer.expect("an answer").into_body().collect().await.expect("a body").to_bytes();
        serde_json::from_slice(&body).expect("JSON")
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

/// What was promised for a swap, from the command to the last host.
const CONVERGED: Duration = Duration::from_secs(2);

/// The middle one of several: tests may share their machine.
fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    println!("converged in {times:?}");
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_for_the_fleet_reaches_every_host_within_two_seconds() {
    let redis = Redis::start();
    let (one, other, third) = (Host::new(&redis), Host::new(&redis), Host::new(&redis));
    let load = Load::on(&[&one, &other, &third]);
    let mut times = Vec::new();
    for number in 2..7 {
        let began = Instant::now();
        let wanted = one.swap(number);
        until_all_serve(&[&one, &other, &third], &wanted).await;
        times.push(began.elapsed());
    }
    let took = middle(times);
    assert!(took < CONVERGED, "{took:?}");
    load.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_killed_host_nor_a_restarted_redis_keeps_the_others_from_one_version() {
    let mut redis = Redis::start();
    let (one, other) = (Host::new(&redis), Host::new(&redis));
    let mut third = Host::new(&redis);
    let load = Load::on(&[&one, &other]);
    let mut times = Vec::new();
    // It comes back empty, before the swap is told, while it is, and after.
    for (number, after) in [(2, 0), (3, 100), (4, 200), (5, 300), (6, 400)] {
        let began = Instant::now();
        let told = std::thread::scope(|scope| {
            let swap = scope.spawn(|| one.begin_swap(number));
            std::thread::sleep(Duration::from_millis(after));
            third.kill();
            redis.kill();
            redis.again();
            swap.join().expect("the command")
        });
        let wanted = version(&told, "one@");
        until_all_serve(&[&one, &other], &wanted).await;
        times.push(began.elapsed());
        third.start();
        until_all_serve(&[&third], &wanted).await;
    }
    let took = middle(times);
    assert!(took < CONVERGED, "{took:?}");
    load.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_away_catches_up_and_a_way_back_is_one_for_all() {
    let mut redis = Redis::start();
    let (one, other) = (Host::new(&redis), Host::new(&redis));
    let mut third = Host::new(&redis);
    let load = Load::on(&[&one, &other]);
    let second = one.swap(2);
    until_all_serve(&[&one, &other, &third], &second).await;

    third.kill();
    redis.kill();
    tokio::time::sleep(Duration::from_millis(300)).await;
    redis.again();
    let newest = other.begin_swap(3);
    let newest = version(&newest, "one@");
    until_all_serve(&[&one, &other], &newest).await;

    // What was away catches up, by bytes that it has from another.
    third.start();
    until_all_serve(&[&third], &newest).await;
    load.end().await;

    // Its folder has it too: the next start begins with it. It is written once the version serves.
    let kept = || std::fs::read(third.folder.path().join("components/one.wasm")).expect("a file");
    for _ in 0..200 {
        if kept() == other_version(3) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(kept() == other_version(3));

    // A way back is one for all.
    let told = one.command(&["component", "rollback", "one", "--fleet"]);
    assert!(told.contains("told to the fleet"), "{told}");
    until_all_serve(&[&one, &other, &third], &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_host_has_comes_from_a_folder_of_images_or_a_registry() {
    let redis = Redis::start();
    let mut one = Host::new(&redis);
    let images = crate::oci::layout(&[("any", other_version(2))]);
    let registry = crate::oci::Registry::start().await;
    registry.push("team/one", "any", &other_version(2));
    let mut by_folder = Host::with(&redis, &format!("layout = \"{}\"", images.path().display()));
    let mut by_registry = Host::with(&redis, &format!("registry = \"oci://{}/team\"", registry.address));
    by_folder.kill();
    by_registry.kill();
    let wanted = one.swap(2);
    one.kill();
    by_folder.start();
    until_all_serve(&[&by_folder], &wanted).await;
    by_folder.kill();
    by_registry.start();
    until_all_serve(&[&by_registry], &wanted).await;
}

/// The version that a client gets who shows this key, or the status where it is none.
async fn as_client(client: &Asker, host: &Host, path: &str, key: usize) -> Result<String, u16> {
    let request = http::Request::get(format!("http://{}{path}", host.address))
        .header("authorization", format!("Bearer key-{key}"))
        .body(Full::default());
    let answer = client.request(request.expect("a request")).await.expect("an answer");
    match answer.status().as_u16() {
        200 => Ok(version(answer.headers()["x-components"].to_str().expect("text"), "one@")),
        status => Err(status),
    }
}

/// Waits until no host has a version on trial.
async fn until_decided(hosts: &[&Host]) {
    for _ in 0..500 {
        let mut open = false;
        for host in hosts {
            open |= host.components().await.to_string().contains("\"canary\"");
        }
        if !open {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a version is still on trial");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_of_the_fleet_is_counted_on_all_hosts_and_decided_once() {
    let redis = Redis::start();
    let (one, other) = (Host::new(&redis), Host::new(&redis));
    let client = asker();
    let before = serving(&client, &one.address).await.expect("it serves");
    let begin = |number: u8, words: &[&str]| {
        let file = one.folder.write(&format!("{number}.wasm"), other_version(number)).display().to_string();
        let told = one.command(&[&["component", "swap", "one", &file, "--fleet", "--canary"], words].concat());
        assert!(told.contains("canary") && told.contains("told to the fleet"), "{told}");
        version(&told, "one@")
    };
    let until_on_trial = async |tried: &str| {
        for _ in 0..500 {
            if other.components().await.to_string().contains(tried) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it is not on trial on the other host");
    };

    // The same clients get it on both.
    let tried = begin(2, &["40%", "--promote-after", "60"]);
    until_on_trial(&tried).await;
    let mut on_trial = Vec::new();
    for key in 0..30 {
        let here = as_client(&client, &one, "/hello", key).await;
        assert_eq!(here, as_client(&client, &other, "/hello", key).await, "client {key}");
        if here.as_ref() == Ok(&tried) {
            on_trial.push(key);
        }
    }
    assert!((2..28).contains(&on_trial.len()), "{} of 30 clients", on_trial.len());
    // Neither host has seen sixty good ones, both together have.
    let so_far = on_trial.len();
    for _ in so_far..31 {
        for host in [&one, &other] {
            let _ = as_client(&client, host, "/hello", on_trial[0]).await;
        }
    }
    until_decided(&[&one, &other]).await;
    until_all_serve(&[&one, &other], &tried).await;

    // Six bad ones on each are twelve: too many, and decided for both.
    let broken = begin(3, &["100%"]);
    until_on_trial(&broken).await;
    for _ in 0..6 {
        for host in [&one, &other] {
            assert_eq!(as_client(&client, host, "/trap", 1).await, Err(500));
        }
    }
    until_decided(&[&one, &other]).await;
    until_all_serve(&[&one, &other], &tried).await;

    // One word to one host is for all.
    let third = begin(4, &["50%"]);
    until_on_trial(&third).await;
    let told = other.command(&["component", "abandon", "one"]);
    assert!(told.contains("told to the fleet"), "{told}");
    until_decided(&[&one, &other]).await;
    until_all_serve(&[&one, &other], &tried).await;
    assert_ne!(before, tried);
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
        let mut swapping = Process::command()
            .args(["component", "swap", "one", &file.display().to_string(), "--fleet", "--admin", &one.admin])
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
