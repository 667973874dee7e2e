//! Several hosts, one Redis: a real one.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::StreamExt as _;
use http::StatusCode;
use hybrid_ai::keys;

use crate::house::{Folder, House};
use crate::keys::{ask, built, wanted};

/// A Redis of this test's own.
pub struct Redis {
    process: Child,
    port: u16,
    folder: Folder,
    /// Whether what it holds outlasts it.
    lasting: bool,
    secure: bool,
}

/// A certificate for this machine, which nobody else vouches for.
const CERTIFICATE: (&str, &str) = ("tests/tls/one.pem", "tests/tls/one-key.pem");

fn beside(file: &str) -> String {
    format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))
}

impl Redis {
    /// It forgets everything when it ends.
    pub fn start() -> Self {
        Self::new(false, false)
    }

    pub fn lasting() -> Self {
        Self::new(true, false)
    }

    /// It speaks TLS, and nothing else.
    pub fn secure() -> Self {
        Self::new(false, true)
    }

    fn new(lasting: bool, secure: bool) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let folder = Folder::new();
        Self { process: Self::run(port, &folder, lasting, secure), port, folder, lasting, secure }
    }

    fn run(port: u16, folder: &Folder, lasting: bool, secure: bool) -> Child {
        let file = if lasting { "yes" } else { "no" };
        let port_text = port.to_string();
        let (certificate, key) = (beside(CERTIFICATE.0), beside(CERTIFICATE.1));
        let listen = match secure {
            true => vec![
                "--port",
                "0",
                "--tls-port",
                &port_text,
                "--tls-cert-file",
                &certificate,
                "--tls-key-file",
                &key,
                "--tls-ca-cert-file",
                &certificate,
                "--tls-auth-clients",
                "no",
            ],
            false => vec!["--port", &port_text],
        };
        let mut process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", file])
            .args(listen)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return process;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        process.kill().expect("it runs");
        process.wait().expect("it ends");
        panic!("Redis does not listen");
    }

    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    pub fn again(&mut self) {
        self.process = Self::run(self.port, &self.folder, self.lasting, self.secure);
    }

    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.secure { "rediss" } else { "redis" }, self.port)
    }

    async fn host(&self) -> House {
        let house = House::of(&built(), &format!("store = \"{}\"", self.url())).await;
        assert_eq!(house.registry.stores().shared().map(|(is_up, _)| is_up), Some(true));
        house
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 20 s: {what}");
}

/// How many of so many requests are let in; all of them are answered.
async fn let_in(houses: &[&House], key: &str, count: usize) -> usize {
    let answers = futures::stream::iter(0..count).map(|number| {
        let house = houses[number % houses.len()];
        async move { ask(house, "/nothing", &[("x-api-key", key)]).await.status }
    });
    let statuses: Vec<StatusCode> = answers.buffer_unordered(24).collect().await;
    let (fine, refused): (Vec<_>, Vec<_>) = statuses.into_iter().partition(|status| *status == StatusCode::NOT_FOUND);
    assert!(refused.iter().all(|status| *status == StatusCode::TOO_MANY_REQUESTS), "{refused:?}");
    fine.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_enforce_one_limit_and_outlive_their_redis() {
    let mut redis = Redis::start();
    let (one, other) = (redis.host().await, redis.host().await);
    let stores = one.registry.stores();
    let (key, _) = keys::create(stores, wanted("shared", &[("requests_per_minute", 1000)])).await.expect("a key");
    let (free, _) = keys::create(stores, wanted("free", &[])).await.expect("a key");
    // The other host looks again after a second at the latest.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let fine = let_in(&[&one, &other], &key, 1500).await;
    assert!((980..=1020).contains(&fine), "{fine} of 1000 were let in");
    assert_eq!(let_in(&[&one, &other], &free, 20).await, 20);

    redis.kill();
    assert_eq!(let_in(&[&one, &other], &free, 60).await, 60, "service goes on without Redis");
    assert_eq!(let_in(&[&one, &other], &key, 20).await, 0, "what was counted before still counts");
    until("both hosts notice", || {
        [&one, &other]
            .iter()
            .all(|house| house.registry.stores().shared().is_some_and(|(is_up, lost)| !is_up && lost > 0))
    })
    .await;

    redis.again();
    until("both hosts are back", || {
        [&one, &other].iter().all(|house| house.registry.stores().shared().is_some_and(|(is_up, _)| is_up))
    })
    .await;
    // It came back empty, and got the keys from those who knew them.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(let_in(&[&one, &other], &free, 60).await, 60);
    assert_eq!(ask(&one, "/llm", &[]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_hosts_count_adds_up() {
    let redis = Redis::start();
    let (one, other) = (redis.host().await, redis.host().await);
    for (house, count) in [(&one, 2), (&other, 3)] {
        for _ in 0..count {
            assert_eq!(ask(house, "/llm", &[]).await.status, StatusCode::OK);
        }
    }
    // Each tells all once a second.
    for house in [&one, &other] {
        for round in 0.. {
            let told = house.ask("GET", "/usage?capability=llm", "").await.json();
            if told["total"]["requests"] == 5 {
                assert_eq!((&told["kept"], told["rows"].as_array().map(Vec::len)), (&"redis".into(), Some(1)));
                break;
            }
            assert!(round < 50, "{told}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_behind_tls_is_believed_when_somebody_vouches_for_it() {
    let redis = Redis::secure();
    let store = format!("store = \"{}\"", redis.url());
    let is_up = |house: &House| house.registry.stores().shared().map(|(is_up, _)| is_up);
    let stranger = House::of(&built(), &store).await;
    assert_eq!(is_up(&stranger), Some(false));
    let known = format!("{store}\nstore_ca = \"{}\"\n[jobs]\nstore = \"redis\"\n", beside(CERTIFICATE.0));
    let (one, other) = (House::of(&built(), &known).await, House::of(&built(), &known).await);
    assert_eq!((is_up(&one), is_up(&other)), (Some(true), Some(true)));
    keys::create(one.registry.stores(), wanted("shared", &[])).await.expect("a key");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(ask(&other, "/llm", &[]).await.status, StatusCode::UNAUTHORIZED);
    // Jobs have connections of their own.
    let metrics = async || one.ask("GET", "/metrics", "").await;
    until_told("jobs reach Redis too", async || metrics().await.text().contains("hybrid_jobs_redis_connected 1")).await;
}

async fn until_told(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}
