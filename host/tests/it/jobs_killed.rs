//! The program is killed under load, and every job that it accepted ends all the same, once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use standin::{Options, Standin};
use tokio::task::JoinHandle;

use crate::house::{Folder, Process, root};
use crate::jobs::embed;
use crate::keys::built;

/// The binary with the built components. What it keeps is in the folder; compiled code is shared.
pub fn start(folder: &Folder, standin: &Standin, store: &str, jobs: &str) -> (Process, String) {
    let url = standin.url();
    let text = format!(
        "log_level = \"error\"\nlisten = \"127.0.0.1:0\"\nadmin.listen = \"off\"\n{store}\n[jobs]\nrunning = 8\n\
         attempts = 10\n{jobs}\n[settings]\nhf_base_url = \"{url}\"\nhf_hub_url = \"{url}\"\n"
    );
    let config = folder.write("hybrid.toml", text);
    let cache = folder.path().join("hybrid-ai-compiled");
    if !cache.exists() {
        std::fs::create_dir_all(&cache).expect("a folder");
        let compiled = root().join("target/test-data");
        std::fs::create_dir_all(&compiled).expect("a folder");
        std::os::unix::fs::symlink(compiled, cache.join("hybrid-ai")).expect("a link");
    }
    let mut command = Process::command();
    command.args(["serve", "--components"]).arg(built()).arg("--config").arg(config);
    command.env("XDG_DATA_HOME", folder.path()).env("XDG_CACHE_HOME", cache).env("HF_API_KEY", "hf_stand_in");
    command.env("HYBRID_WEBHOOK_SECRET", "a secret");
    let process = Process::start(&mut command);
    let base = format!("http://{}", process.address);
    (process, base)
}

pub type Http = Client<HttpConnector, Full<Bytes>>;

pub fn http() -> Http {
    Client::builder(TokioExecutor::new()).build(HttpConnector::new())
}

pub async fn ask(http: &Http, request: Request<Full<Bytes>>) -> Option<(StatusCode, Value)> {
    let answer = tokio::time::timeout(Duration::from_secs(20), http.request(request)).await.ok()?.ok()?;
    let status = answer.status();
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

/// A job as its host tells of it.
pub async fn told(http: &Http, base: &str, id: &str) -> Option<(StatusCode, Value)> {
    ask(http, Request::get(format!("{base}/jobs/{id}")).body(Full::default()).expect("a request")).await
}

/// Asks for an embedding later.
pub async fn send(http: &Http, base: &str, headers: &[(&str, &str)], body: &Value) -> Option<(StatusCode, Value)> {
    let mut request = Request::post(format!("{base}/embedding"))
        .header("content-type", "application/json")
        .header("prefer", "respond-async");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    ask(http, request.body(body.to_string().into()).expect("a request")).await
}

/// Clients that each send job after job, until their host is gone.
pub struct Load {
    accepted: Arc<Mutex<Vec<String>>>,
    senders: Vec<JoinHandle<()>>,
}

impl Load {
    /// One client for each of these addresses, which sends so many jobs for a model.
    pub fn begin(http: &Http, bases: &[&str], count: usize, model: &'static str) -> Self {
        let accepted: Arc<Mutex<Vec<String>>> = Arc::default();
        let sender = |(sender, base): (usize, &&str)| {
            let (http, base, accepted) = (http.clone(), (*base).to_owned(), Arc::clone(&accepted));
            tokio::spawn(async move {
                for number in 0..count {
                    match send(&http, &base, &[], &embed(&format!("{sender} {number}"), model)).await {
                        Some((StatusCode::ACCEPTED, job)) => {
                            let id = job["id"].as_str().expect("an id").to_owned();
                            accepted.lock().expect("nobody panics").push(id);
                        }
                        // It has not reached Redis yet.
                        Some((StatusCode::SERVICE_UNAVAILABLE, _)) => {
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                        _ => return,
                    }
                }
            })
        };
        let senders = bases.iter().enumerate().map(sender).collect();
        Self { accepted, senders }
    }

    /// Those that were accepted so far.
    pub fn accepted(&self) -> Vec<String> {
        self.accepted.lock().expect("nobody panics").clone()
    }

    pub async fn until(&self, count: usize) {
        for _ in 0..1000 {
            if self.accepted.lock().expect("nobody panics").len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no {count} were accepted");
    }

    /// Waits for the clients' end.
    pub async fn over(self) -> Vec<String> {
        for sender in self.senders {
            sender.await.expect("it does not panic");
        }
        self.accepted.lock().expect("nobody panics").clone()
    }
}

/// Jobs as they ended.
pub type Ends = BTreeMap<String, Value>;

/// Those that have ended by now, and must stay as they are.
pub async fn ended_by_now(http: &Http, base: &str, ids: &[String]) -> Ends {
    let mut ends = Ends::new();
    for id in ids {
        if let Some((StatusCode::OK, job)) = told(http, base, id).await
            && job["ended"].is_string()
        {
            ends.insert(id.clone(), job);
        }
    }
    ends
}

/// Waits for the end of all of them. None is lost, all succeed, and what had ended has not ended again.
pub async fn all_end(http: &Http, base: &str, ids: &[String], before: &Ends) -> Vec<Value> {
    let mut jobs = Vec::new();
    for id in ids {
        let mut job = Value::Null;
        for _ in 0..1500 {
            let (status, now) = told(http, base, id).await.expect("an answer");
            assert_eq!(status, StatusCode::OK, "{id} was lost");
            job = now;
            if job["ended"].is_string() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(job["state"], "succeeded", "{job}");
        assert!(before.get(id).is_none_or(|before| *before == job), "it ended twice: {job}");
        jobs.push(job);
    }
    jobs
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_ends_once_however_often_the_host_is_killed() {
    let model = "fault/slow-40-embed";
    let standin = Standin::start(Options::default()).expect("it starts");
    let folder = Folder::new();
    let http = http();
    let (mut accepted, mut ends) = (Vec::new(), Ends::new());
    for _ in 0..3 {
        let (mut child, base) = start(&folder, &standin, "", "");
        let load = Load::begin(&http, &[base.as_str(); 4], 50, model);
        // In the middle: some have ended, some run, some wait, some are being accepted.
        load.until(40).await;
        accepted.extend(load.accepted());
        ends.extend(ended_by_now(&http, &base, &accepted).await);
        child.kill();
        accepted.extend(load.over().await);
        accepted.sort_unstable();
        accepted.dedup();
    }
    let (mut child, base) = start(&folder, &standin, "", "");
    assert!(accepted.len() >= 120 && !ends.is_empty(), "{} accepted, {} ended early", accepted.len(), ends.len());
    all_end(&http, &base, &accepted, &ends).await;
    child.kill();
    // What had ended was not done again: only what ran when the host was killed, at most eight at a time.
    let calls = standin.requests_for(model).len();
    assert!(calls <= accepted.len() + 3 * (8 + 4), "{calls} calls for {} jobs", accepted.len());
}
