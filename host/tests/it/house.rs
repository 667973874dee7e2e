//! The one set-up of the host's tests.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hybrid_ai::admin::Admin;
use hybrid_ai::config::{Config, Overrides};
use hybrid_ai::pages::Pages;
use hybrid_ai::queue::Swaps;
use hybrid_ai::registry::Registry;
use hybrid_ai::server::{Server, Stop};
use hybrid_ai::{swap, watch};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The host's program.
pub static PROGRAM: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::var_os("CARGO_BIN_EXE_hybrid-ai").expect("cargo runs the tests").into());

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the host is a folder of the project")
}

/// The component that misbehaves on request, built on first use.
pub fn probe() -> &'static Path {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    PROBE.get_or_init(|| guest("probe"))
}

/// A package that becomes a component, built.
pub fn guest(package: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = root().join("target");
    let status = Command::new(cargo)
        .current_dir(root())
        .args(["build", "--quiet", "--profile", "component", "--target", "wasm32-wasip2", "--package", package])
        .arg("--target-dir")
        .arg(&target)
        .status()
        .expect("cargo starts");
    assert!(status.success(), "`{package}` was not built");
    target.join(format!("wasm32-wasip2/component/{}.wasm", package.replace('-', "_")))
}

/// What a host's own folder for what lasts begins with.
const STATE: &str = "hybrid-ai-test-state-";

/// A folder of its own for a test, gone with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hybrid-ai-test-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("a file for the test");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A folder with the probe under these names.
pub fn folder_of_probes(names: &[&str]) -> Folder {
    let folder = Folder::new();
    for name in names {
        std::fs::copy(probe(), folder.path().join(format!("{name}.wasm"))).expect("a copy");
    }
    folder
}

/// The configuration in which the probe serves as `one`. The text follows what is said of it.
pub fn one_probe(text: &str) -> String {
    let chain = "[chains]\n\"wasi:http/handler\" = [\"one\"]\n";
    format!("{chain}[components.one]\noutbound = [\"http://127.0.0.1:1\"]\n{text}")
}

/// The probe with a custom section at its end: other bytes, the same behaviour.
pub fn other_version(number: u8) -> Vec<u8> {
    let mut bytes = std::fs::read(probe()).expect("the probe");
    bytes.extend_from_slice(&[0, 4, 2, b'v', b'_', number]);
    bytes
}

/// A configuration from text, with an environment that holds nothing.
pub fn config(text: &str) -> Config {
    config_with(text, &[])
}

fn config_with(text: &str, environment: &[(&str, &str)]) -> Config {
    let folder = Folder::new();
    let file = folder.write("hybrid.toml", format!("listen = \"127.0.0.1:0\"\n{text}"));
    let overrides = Overrides { file: Some(file), ..Overrides::default() };
    // Compiled code may be shared by tests and runs: it is found by hash.
    let data = root().join("target/test-data").display().to_string();
    let value = |name: &str| {
        let given = environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        given.or_else(|| (name == "HYBRID_DATA_DIR").then(|| data.clone()))
    };
    let mut config = Config::load(&overrides, value).expect("a configuration");
    // What lasts is each host's own: its history above all.
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    if environment.iter().all(|(name, _)| *name != "HYBRID_DATA_DIR") {
        config.state_dir = std::env::temp_dir().join(format!("{STATE}{}-{count}", std::process::id()));
    }
    // This program is the tests; the one that compiles is the host's.
    config.program = PROGRAM.clone();
    config
}

/// A host that serves, in this process.
pub struct House {
    pub base: String,
    /// The admin address; empty for a component served alone.
    pub admin: String,
    pub registry: Arc<Registry>,
    pub swaps: Swaps,
    stop: Stop,
    client: Client<HttpConnector, Full<Bytes>>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

impl House {
    /// The probe served alone, with these lines of configuration.
    pub async fn probe(text: &str) -> Self {
        let registry = Registry::open_file(Arc::new(config(text).alone("probe")), probe()).expect("the probe loads");
        Self::open(registry, None).await
    }

    /// The components of a folder.
    pub async fn of(folder: &Path, text: &str) -> Self {
        Self::with_environment(folder, text, &[]).await
    }

    pub async fn with_environment(folder: &Path, text: &str, environment: &[(&str, &str)]) -> Self {
        let config = Arc::new(config_with(text, environment));
        Self::open(Registry::open(config, folder).expect("the components load"), Some(folder)).await
    }

    /// With what lasts kept in a folder of its own; compiled code is shared all the same.
    pub async fn keeping(folder: &Path, text: &str, environment: &[(&str, &str)], state: &Path) -> Self {
        let mut config = config_with(text, environment);
        config.state_dir = state.to_owned();
        Self::open(Registry::open(Arc::new(config), folder).expect("the components load"), Some(folder)).await
    }

    async fn open(registry: Arc<Registry>, folder: Option<&Path>) -> Self {
        let server = Server::bind(Arc::clone(&registry), folder.is_some()).await.expect("a port");
        Self::run(registry, folder, server).await
    }

    async fn run(registry: Arc<Registry>, folder: Option<&Path>, server: Server) -> Self {
        let ours = folder.is_some();
        let swaps = swap::start(&registry, folder.map(Path::to_owned)).expect("threads");
        let base = format!("http://{}", server.address().expect("an address"));
        let stop = Stop::default();
        let mut admin = String::new();
        if ours
            && let Some(door) = Admin::bind(Arc::clone(&registry), swaps.clone(), stop.clone()).await.expect("a port")
        {
            admin = format!("http://{}", door.address().expect("an address"));
            tokio::spawn(door.run());
        }
        tokio::spawn(server.run(stop.clone()));
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self { base, admin, registry, swaps, stop, client }
    }

    /// With the app's pages, as the binary serves them.
    pub async fn with_pages(folder: &Path, text: &str) -> Self {
        let registry = Registry::open(Arc::new(config(text)), folder).expect("the components load");
        let pages = Pages::find(registry.config().app_dir.as_deref(), folder, None);
        let server = Server::bind(Arc::clone(&registry), true).await.expect("a port");
        Self::run(registry, Some(folder), server.with_pages(pages)).await
    }

    /// What comes back for these bytes, until the connection ends.
    pub async fn raw(&self, request: &str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(self.authority()).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer))
            .await
            .expect("in time")
            .expect("read");
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub fn authority(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(format!("{}{path}", self.base)).body(Full::default()).expect("a request")).await
    }

    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.request("POST", path, headers, body).await
    }

    /// JSON, where it has a body.
    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let body = body.into();
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !body.is_empty() && headers.iter().all(|(name, _)| *name != "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Full::new(body)).expect("a request")).await
    }

    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Request::post(format!("{}{path}", self.base)).body(Full::new(body.into())).expect("a request")).await
    }

    /// Watches the folder, as the program does.
    pub fn watch(&self, folder: &Path) {
        watch::start(&self.registry, &self.swaps, Some(folder.to_owned()), None).expect("threads");
    }

    /// The same, and the file of the configuration.
    pub fn watch_with(&self, folder: &Path, file: &Path) {
        let from = file.to_owned();
        let reread: watch::Reread = Box::new(move || {
            let overrides = Overrides { file: Some(from.clone()), ..Overrides::default() };
            Config::load(&overrides, |_| None)
        });
        let file = Some((file.to_owned(), reread));
        watch::start(&self.registry, &self.swaps, Some(folder.to_owned()), file).expect("threads");
    }

    /// Which versions serve.
    pub async fn version(&self) -> http::HeaderValue {
        self.get("/hello").await.headers["x-components"].clone()
    }

    /// Waits for another version to serve.
    pub async fn until_not(&self, before: &http::HeaderValue) -> http::HeaderValue {
        for _ in 0..1000 {
            let now = self.version().await;
            if now != *before {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("still {before:?}");
    }

    /// How many changes of a component were refused.
    pub async fn refusals(&self, name: &str) -> u64 {
        let metrics = self.ask("GET", "/metrics", "").await;
        let family = format!("hybrid_swaps_total{{component=\"{name}\",outcome=\"refused\"}} ");
        let count = metrics.text().lines().find_map(|line| line.strip_prefix(&family)?.parse().ok());
        count.unwrap_or_default()
    }

    /// Asks the admin address.
    pub async fn ask(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Answer {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.admin));
        self.send(request.body(Full::new(body.into())).expect("a request")).await
    }

    /// No new requests; what runs may end.
    pub fn stop(&self) {
        self.stop.stop();
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        self.try_send(request).await.expect("an answer")
    }

    /// Fails where the connection breaks, which a test may want.
    pub async fn try_send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let response = tokio::time::timeout(Duration::from_secs(60), self.client.request(request)).await??;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.stop();
        let state = &self.registry.config().state_dir;
        if state.file_name().is_some_and(|name| name.to_string_lossy().starts_with(STATE)) {
            let _ = std::fs::remove_dir_all(state);
        }
    }
}

/// The program as a process of its own, and what it says. Killed when the test is done with it.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: String,
    lines: Mutex<mpsc::Receiver<String>>,
}

impl Process {
    /// The program with nothing in its environment.
    pub fn command() -> Command {
        let mut command = Command::new(&*PROGRAM);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Starts it, and waits until it listens.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let said = BufReader::new(child.stderr.take().expect("its words")).lines();
        let (told, lines) = mpsc::channel();
        // A full pipe would stop it.
        std::thread::spawn(move || said.map_while(Result::ok).for_each(|line| drop(told.send(line))));
        let mut process = Self { child, address: String::new(), lines: Mutex::new(lines) };
        process.address = process.says(|line| {
            let address = line.split_once("listening on ")?.1.split_once("://")?.1;
            Some(address.trim_end_matches('/').to_owned())
        });
        process
    }

    /// The first line from now on that says something.
    pub fn says<T>(&self, what: impl Fn(&str) -> Option<T>) -> T {
        let mut heard = String::new();
        loop {
            let lines = self.lines.lock().expect("nobody panics holding it");
            let line = lines.recv_timeout(Duration::from_secs(120));
            let line = line.unwrap_or_else(|error| panic!("the program did not say so: {error}; it said:\n{heard}"));
            if let Some(told) = what(&line) {
                return told;
            }
            heard.push_str(&line);
            heard.push('\n');
        }
    }

    /// Everything else that it says until its end.
    pub fn log(&self) -> String {
        self.lines.lock().expect("nobody panics holding it").iter().map(|line| line + "\n").collect()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status().expect("kill");
        assert!(status.success());
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_some()
    }

    /// Waits for an end that it was told of.
    pub fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        while !self.has_ended() {
            assert!(began.elapsed() < Duration::from_secs(20), "it did not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.wait().expect("it ended")
    }

    /// As by `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The uniform error body, with all four keys.
pub fn assert_uniform(answer: &Answer, code: &str) {
    let body = answer.json();
    assert_eq!(body["error"], code, "{body}");
    assert!(body["message"].is_string() && body["details"].is_object(), "{body}");
    assert!(body["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{body}");
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(answer.headers.contains_key("x-request-id"));
}
