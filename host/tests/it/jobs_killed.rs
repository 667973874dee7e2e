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
    let process = Process::start(&mut command);
    let base = format!("http://{}", process.address);
    (process, base)
}

pub type Http = Client<HttpConnector, Full<Bytes>>;

pub async fn ask(http: &Http, request: Request<Full<Bytes>>) -> Option<(StatusCode, Value)> {
    let answer = tokio::time::timeout(Duration::from_secs(20), http.request(request)).await.ok()?.ok()?;
    let status = answer.status();
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_ends_once_however_often_the_host_is_killed() {
    let standin = Standin::start(Options::default()).expect("it starts");
    let folder = Folder::new();
    let http: Http = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let accepted: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut ends: BTreeMap<String, Value> = BTreeMap::new();
    for round in 0..3 {
        let (mut child, base) = start(&folder, &standin, "", "");
        let load: Vec<_> = (0..4)
            .map(|sender| {
                let (http, base, accepted) = (http.clone(), base.clone(), Arc::clone(&accepted));
                tokio::spawn(async move {
                    for number in 0..50 {
                        let body = embed(&format!("{round} {sender} {number}"), "fault/slow-40-embed").to_string();
                        let request = Request::post(format!("{base}/embedding"))
                            .header("content-type", "application/json")
                            .header("prefer", "respond-async")
                            .body(body.into())
                            .expect("a request");
                        match ask(&http, request).await {
                            Some((StatusCode::ACCEPTED, job)) => {
                                let id = job["id"].as_str().expect("an id").to_owned();
                                accepted.lock().expect("nobody panics").push(id);
                            }
                            _ => return,
                        }
                    }
                })
            })
            .collect();
        // In the middle: some have ended, some run, some wait, some are being accepted.
        let begun = accepted.lock().expect("nobody panics").len();
        for _ in 0..1000 {
            if accepted.lock().expect("nobody panics").len() >= begun + 40 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Those that have ended by now must stay as they are.
        let so_far = accepted.lock().expect("nobody panics").clone();
        for id in so_far {
            if let Some((StatusCode::OK, job)) =
                ask(&http, Request::get(format!("{base}/jobs/{id}")).body(Full::default()).expect("a request")).await
                && job["ended"].is_string()
            {
                ends.insert(id, job);
            }
        }
        child.kill();
        for sender in load {
            sender.await.expect("it does not panic");
        }
    }
    let (mut child, base) = start(&folder, &standin, "", "");
    let accepted = accepted.lock().expect("nobody panics").clone();
    assert!(accepted.len() >= 120 && !ends.is_empty(), "{} accepted, {} ended early", accepted.len(), ends.len());
    for id in &accepted {
        let get = || Request::get(format!("{base}/jobs/{id}")).body(Full::default()).expect("a request");
        let mut job = Value::Null;
        for _ in 0..1500 {
            let (status, now) = ask(&http, get()).await.expect("an answer");
            assert_eq!(status, StatusCode::OK, "{id} was lost");
            job = now;
            if job["ended"].is_string() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(job["state"], "succeeded", "{job}");
        if let Some(before) = ends.get(id) {
            assert_eq!(&job, before, "it ended twice");
        }
    }
    child.kill();
    // What had ended was not done again: only what ran when the host was killed, at most eight at a time.
    let calls = standin.requests_for("fault/slow-40-embed").len();
    assert!(calls <= accepted.len() + 3 * (8 + 4), "{calls} calls for {} jobs", accepted.len());
}
