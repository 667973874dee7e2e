//! What was found in runtimes like ours by people who meant harm: each of it is tried here, against a host in a process of
//! its own, which must live, take no more memory than it may, and go on answering others.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::contract::built;
use crate::house::{Answer, Folder, House, Process, assert_uniform, guest, probe, root};

/// A list in a list, and so on, down to bytes.
const DEEP: &str = "(list (list (list (list (list (list u8))))))";

/// Takes what others give it into its own memory.
fn sink() -> Vec<u8> {
    component(&format!(
        r#"(component
  (core module $code
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (func (export "take") (param i32 i32))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.set $free (i32.add (local.get $at) (local.get 3)))
      (block $fits
        (loop $grow
          (br_if $fits (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
          (br_if $grow (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        unreachable)
      local.get $at))
  (core instance $i (instantiate $code))
  (func $take async (param "deep" {DEEP})
    (canon lift (core func $i "take") (memory $i "memory") (realloc (func $i "realloc"))))
  (instance $sink (export "take" (func $take)))
  (export "test:hostile/sink@0.1.0" (instance $sink)))"#
    ))
}

/// What [`bombs`] calls in itself: functions that are answered by callbacks.
const INNER: &str = r#"(component $inner
    (import "next" (func $next async (param "times" u32) (result u32)))
    (core func $next (canon lower (func $next)))
    (core func $return (canon task.return (result u32)))
    (core module $code
      (import "" "return" (func $return (param i32)))
      (import "" "next" (func $next (param i32) (result i32)))
      (global $left (mut i32) (i32.const 0))
      (func $deeper (param i32) (result i32)
        (if (result i32) (local.get 0)
          (then (i32.add (i32.const 1) (call $deeper (i32.sub (local.get 0) (i32.const 1)))))
          (else (i32.const 0))))
      ;; Every call of the callback but the last ends with the wish for another.
      (func (export "spin") (param i32) (result i32) (global.set $left (local.get 0)) (i32.const 1))
      (func (export "spun") (param i32 i32 i32) (result i32)
        (if (global.get $left)
          (then (global.set $left (i32.sub (global.get $left) (i32.const 1))) (return (i32.const 1))))
        (call $return (i32.const 7))
        (i32.const 0))
      (func (export "recursed") (param i32 i32 i32) (result i32)
        (call $return (call $deeper (global.get $left)))
        (i32.const 0))
      (func (export "chained") (param i32 i32 i32) (result i32)
        (call $return (i32.add (i32.const 1) (call $next (i32.const 0))))
        (i32.const 0)))
    (core instance $i (instantiate $code (with "" (instance (export "return" (func $return)) (export "next" (func $next))))))
    (func (export "yields") async (param "times" u32) (result u32)
      (canon lift (core func $i "spin") async (callback (func $i "spun"))))
    (func (export "recurse") async (param "times" u32) (result u32)
      (canon lift (core func $i "spin") async (callback (func $i "recursed"))))
    (func (export "chain") async (param "times" u32) (result u32)
      (canon lift (core func $i "spin") async (callback (func $i "chained")))))"#;

/// Components in [`bombs`] that call each other from their callbacks, one after the other.
const LINKS: usize = 400;

fn bombs() -> Vec<u8> {
    let mut links = String::new();
    for link in 1..=LINKS {
        use std::fmt::Write as _;
        let before = if link == 1 {
            "(func $first \"yields\")".to_owned()
        } else {
            format!("(func $link{} \"chain\")", link - 1)
        };
        let _ = writeln!(links, "  (instance $link{link} (instantiate $inner (with \"next\" {before})))");
    }
    component(&format!(
        r#"(component
  (import "test:hostile/sink@0.1.0" (instance $sink (export "take" (func async (param "deep" {DEEP})))))
  {INNER}
  (component $end
    (core module $code (func (export "f") (param i32) (result i32) (i32.const 0)))
    (core instance $i (instantiate $code))
    (func (export "f") async (param "times" u32) (result u32) (canon lift (core func $i "f"))))
  (instance $end (instantiate $end))
  (instance $first (instantiate $inner (with "next" (func $end "f"))))
{links}
  (core module $memory
    (memory (export "memory") 4)
    ;; Every list but the last has the next one in it, so many times.
    (func (export "fill") (param $width i32) (result i32) (local $list i32) (local $item i32) (local $at i32)
      (loop $lists
        (local.set $item (i32.const 0))
        (loop $items
          (local.set $at
            (i32.add (i32.mul (local.get $list) (i32.const 16384)) (i32.mul (local.get $item) (i32.const 8))))
          (i32.store offset=65536 (local.get $at) (if (result i32) (i32.eq (local.get $list) (i32.const 4))
            (then (i32.const 0))
            (else (i32.add (i32.const 65536) (i32.mul (i32.add (local.get $list) (i32.const 1)) (i32.const 16384))))))
          (i32.store offset=65540 (local.get $at) (local.get $width))
          (local.set $item (i32.add (local.get $item) (i32.const 1)))
          (br_if $items (i32.lt_u (local.get $item) (local.get $width))))
        (local.set $list (i32.add (local.get $list) (i32.const 1)))
        (br_if $lists (i32.lt_u (local.get $list) (i32.const 5))))
      (i32.store (i32.const 8192) (i32.const 65536))
      (i32.store (i32.const 8196) (local.get $width))
      (i32.const 8192)))
  (core instance $m (instantiate $memory))
  (core func $take (canon lower (func $sink "take") (memory $m "memory")))
  (core module $code
    (import "" "fill" (func $fill (param i32) (result i32)))
    (import "" "take" (func $take (param i32 i32)))
    (func (export "send") (param $width i32) (result i32)
      (drop (call $fill (local.get $width)))
      (call $take (i32.const 65536) (local.get $width))
      (local.get $width)))
  (core instance $i (instantiate $code (with "" (instance
    (export "fill" (func $m "fill")) (export "take" (func $take))))))
  (func $give async (param "width" u32) (result {DEEP}) (canon lift (core func $m "fill") (memory $m "memory")))
  (func $send async (param "width" u32) (result u32) (canon lift (core func $i "send")))
  (instance $bombs
    (export "give" (func $give)) (export "send" (func $send)) (export "yields" (func $first "yields"))
    (export "recurse" (func $first "recurse")) (export "chain" (func $link{LINKS} "chain")))
  (export "test:hostile/bombs@0.1.0" (instance $bombs)))"#
    ))
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn caller() -> &'static Path {
    static CALLER: OnceLock<PathBuf> = OnceLock::new();
    CALLER.get_or_init(|| guest("caller"))
}

/// A host in a process of its own, so that its memory is known and its end would be seen.
struct Victim {
    process: Process,
    admin: String,
    client: Client<HttpConnector, Full<bytes::Bytes>>,
    _folder: Folder,
}

impl Victim {
    /// These components; the first answers requests.
    fn new(components: &[(&str, Vec<u8>)], text: &str) -> Self {
        let folder = Folder::new();
        let served = folder.path().join("components");
        std::fs::create_dir_all(&served).expect("a folder");
        for (name, bytes) in components {
            std::fs::write(served.join(format!("{name}.wasm")), bytes).expect("a file");
        }
        let chain = format!("[chains]\n\"wasi:http/handler\" = [\"{}\"]\n", components[0].0);
        let file = folder.write("hybrid.toml", format!("admin.listen = \"127.0.0.1:0\"\n{chain}{text}"));
        let mut command = Process::command();
        command.args(["--listen", "127.0.0.1:0", "--components"]).arg(served).arg("--config").arg(file);
        // Compiled code may be shared by tests and runs: it is found by hash.
        command.env("HYBRID_DATA_DIR", root().join("target/test-data"));
        let process = Process::start(&mut command);
        let admin = process.says(|line| {
            let listens = line.contains("the admin address").then(|| line.split_once("\"listen\":\""));
            Some(listens??.1.split('"').next()?.to_owned())
        });
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self { process, admin: format!("http://{admin}"), client, _folder: folder }
    }

    fn probe(limits: &str, upstream: Option<SocketAddr>) -> Self {
        let upstream = upstream.map_or_else(|| "127.0.0.1:1".to_owned(), |upstream| upstream.to_string());
        let grant = format!("[components.probe]\noutbound = [\"http://{upstream}\"]\n");
        Self::new(&[("probe", std::fs::read(probe()).expect("the probe"))], &format!("[limits]\n{limits}\n{grant}"))
    }

    fn caller(limits: &str) -> Self {
        let caller = std::fs::read(caller()).expect("the caller");
        Self::new(&[("caller", caller), ("bombs", bombs()), ("sink", sink())], &format!("[limits]\n{limits}\n"))
    }

    async fn ask(&self, url: &str) -> anyhow::Result<Answer> {
        let request = Request::get(url).body(Full::default())?;
        let response = tokio::time::timeout(Duration::from_secs(60), self.client.request(request)).await??;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("{}{path}", self.base())).await.unwrap_or_else(|error| panic!("{path}: {error:#}"))
    }

    fn base(&self) -> String {
        format!("http://{}", self.process.address)
    }

    async fn is_well(&self) {
        let began = Instant::now();
        assert_eq!(self.get("/hello").await.text(), "hello");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    async fn hits(&self, component: &str, limit: &str) -> u64 {
        let metrics = self.ask(&format!("{}/metrics", self.admin)).await.expect("metrics");
        let family = format!("hybrid_limit_hits_total{{component=\"{component}\",limit=\"{limit}\"}} ");
        metrics.text().lines().find_map(|line| line.strip_prefix(&family)?.parse().ok()).unwrap_or_default()
    }

    /// Of whoever's code ran.
    async fn cpu_hits(&self) -> u64 {
        let mut hits = 0;
        for component in ["bombs", "caller", "probe"] {
            hits += self.hits(component, "cpu").await;
        }
        hits
    }

    /// The most that it ever held.
    fn peak_mb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().split(' ').next().and_then(|number| number.parse::<u64>().ok()).expect("a number") / 1024
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_take_their_time_and_no_stack() {
    let victim = Victim::caller("cpu_ms = 20000");
    for (path, right) in [("/yields?300000", "7"), ("/recurse?1000", "1000")] {
        assert_eq!(victim.get(path).await.text(), right, "{path}");
    }
    // Each link calls the next from within its callback. What does not fit on a stack breaks off.
    let chained = victim.get("/chain").await;
    assert!(chained.status == StatusCode::INTERNAL_SERVER_ERROR || chained.text() == format!("{}", LINKS + 7));
    let victim = Victim::caller("cpu_ms = 500");
    let (answer, ()) = tokio::join!(victim.get("/yields?4294967295"), victim.is_well());
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_uniform(&answer, "internal_error");
    assert!(victim.cpu_hits().await >= 1);
    assert_uniform(&victim.get("/recurse?4294967295").await, "internal_error");
    victim.is_well().await;
}

/// Lists that share their parts in the memory of who gives them are a thousand to the power of six bytes elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn lists_in_lists_are_taken_as_far_as_they_may_go() {
    for (limit, mb, crowd) in [("hostcall_bytes = 4194304", 4, 16), ("", 64, 1)] {
        let victim = Victim::caller(limit);
        assert_eq!(victim.get("/give?2").await.text(), "64");
        assert_eq!(victim.get("/send?2").await.text(), "2");
        let before = victim.peak_mb();
        for path in ["/give?1000", "/send?1000"] {
            let crowd = futures::future::join_all((0..crowd).map(|_| victim.get(path)));
            let (answers, ()) = tokio::join!(crowd, victim.is_well());
            for answer in answers {
                assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
                assert_uniform(&answer, "internal_error");
            }
        }
        let rise = victim.peak_mb() - before;
        println!("{crowd} at once with {mb} MB each: {rise} MB more");
        // What is taken, once more where it lies in vectors that grew, and the instances.
        assert!(rise <= mb * crowd as u64 * 2 + 64, "{rise} MB for {crowd} at once with {mb} MB each");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_next_to_nothing_for_ever_computes() {
    let victim = Victim::probe("cpu_ms = 500", None);
    let began = Instant::now();
    let (answer, ()) = tokio::join!(victim.get("/yield"), victim.is_well());
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_uniform(&answer, "internal_error");
    assert_eq!(victim.hits("probe", "cpu").await, 1);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    victim.is_well().await;
}

/// Accepts, reads on, and says what it was given to say; the pieces come a while apart.
async fn upstream(pieces: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut call, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut seen = [0; 4096];
                let _ = call.read(&mut seen).await;
                for piece in pieces {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    let _ = call.write_all(piece.as_bytes()).await;
                }
                while !matches!(call.read(&mut seen).await, Ok(0) | Err(_)) {}
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_writes_without_end_come_to_an_end() {
    let silent = upstream(&[]).await;
    let victim = Victim::probe("cpu_ms = 5000", Some(silent));
    let before = victim.peak_mb();
    let began = Instant::now();
    // The head is out, so all that can be told is that this is not the whole answer.
    let url = format!("{}/nothing", victim.base());
    let (broken, ()) = tokio::join!(victim.ask(&url), victim.is_well());
    assert!(broken.is_err(), "nothing passed for an answer");
    assert_eq!(victim.hits("", "empty_pieces").await, 1);
    let path = format!("/send-nothing?{silent}");
    let (answer, ()) = tokio::join!(victim.get(&path), victim.is_well());
    assert!(answer.status.is_server_error(), "{}", answer.status);
    assert_uniform(&answer, "internal_error");
    assert_eq!(victim.hits("probe", "empty_pieces").await, 1);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let rise = victim.peak_mb() - before;
    assert!(rise < 64, "{rise} MB");
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, stream];
    frame.extend_from_slice(payload);
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_frames_of_data_end_their_connection() {
    let victim = Victim::probe("concurrent_requests = 2", None);
    let before = victim.peak_mb();
    for path in ["/swallow", "/echo"] {
        let stream = TcpStream::connect(&victim.process.address).await.expect("a connection");
        let (mut from, mut to) = stream.into_split();
        let mut head = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        head.extend(frame(4, 0, 0, &[]));
        // POST, http, the path and an authority, as HPACK writes them; a body follows.
        let mut fields = vec![0x83, 0x86, 0x04, u8::try_from(path.len()).expect("short")];
        fields.extend_from_slice(path.as_bytes());
        fields.extend_from_slice(&[0x01, 1, b'x']);
        head.extend(frame(1, 0x4, 1, &fields));
        to.write_all(&head).await.expect("written");
        let empty = frame(0, 0, 1, &[]).repeat(10_000);
        let mut sent = 0_u64;
        let flooding = async {
            while to.write_all(&empty).await.is_ok() {
                sent += 10_000;
            }
        };
        let mut said = Vec::new();
        let reading = async {
            // A reset is an end too.
            let _ = from.read_to_end(&mut said).await;
        };
        let both = async { tokio::join!(flooding, reading) };
        tokio::time::timeout(Duration::from_secs(20), both).await.expect("it was not ended");
        println!("{path}: ended after at most {sent} empty frames");
        // Its place is free again.
        victim.is_well().await;
        victim.is_well().await;
    }
    let rise = victim.peak_mb() - before;
    assert!(rise < 64, "{rise} MB");
}

const ANSWER: &[&str] = &["HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n", "answer"];

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_waits_for_no_time_at_all_is_told_so() {
    let slow = upstream(ANSWER).await;
    let victim = Victim::probe("", Some(slow));
    let at_once = victim.get(&format!("/send-in-no-time?head@{slow}")).await;
    assert!(at_once.status.is_server_error(), "{}", at_once.status);
    assert_uniform(&at_once, "internal_error");
    let url = format!("{}/send-in-no-time?between@{slow}", victim.base());
    assert!(victim.ask(&url).await.is_err(), "half of an answer passed for all of it");
    // How long a connection may take is the operator's to say.
    assert_eq!(victim.get(&format!("/send-in-no-time?connect@{slow}")).await.text(), "answer");
    victim.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_gives_no_time_at_all_is_told_what_it_may_give() {
    let house = House::of(&built(), "").await;
    let bodies = [
        ("/llm", json!({ "messages": [{ "role": "user", "content": "hello" }] })),
        ("/tts", json!({ "text": "hello" })),
        ("/image", json!({ "prompt": "the tide" })),
        ("/embedding", json!({ "text": "the tide" })),
    ];
    for (path, body) in bodies {
        for name in ["x-timeout-ms", "x-first-token-timeout-ms"] {
            for no_time in ["0", "-1", "99999999999999999999"] {
                let answer = house.post_with(path, &[(name, no_time)], body.to_string()).await;
                assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} with {name}: {no_time}");
                assert_uniform(&answer, "validation_error");
                assert!(answer.json()["details"][name].is_string(), "{}", answer.text());
            }
        }
        let answer = house.post_with(path, &[], body.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    }
}
