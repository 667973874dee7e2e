//! Requests that are worked on later.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use hybrid_ai::keys;
use serde_json::{Value, json};
use standin::{Options, Standin};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::house::{Answer, Folder, House, assert_uniform};
use crate::keys::{built, wanted};

pub const LATER: (&str, &str) = ("prefer", "respond-async");
const KEY: &str = "hf_stand_in";

/// The platform with an upstream, and a folder for what it keeps.
pub struct Platform {
    pub house: House,
    pub standin: Standin,
    pub state: Folder,
    text: String,
}

impl Platform {
    pub async fn new(text: &str) -> Self {
        let standin = Standin::start(Options { key: Some(KEY.to_owned()), ..Options::default() }).expect("it starts");
        let url = standin.url();
        let text = format!(
            "store = \"memory\"\n{text}\n[settings]\nhf_base_url = \"{url}\"\nhf_hub_url = \"{url}\"\nretry_initial_ms = 10\n"
        );
        let state = Folder::new();
        let house = Self::open(&text, &state).await;
        Self { house, standin, state, text }
    }

    async fn open(text: &str, state: &Folder) -> House {
        House::keeping(&built(), text, &[("HF_API_KEY", KEY), ("HYBRID_WEBHOOK_SECRET", "a secret")], state.path())
            .await
    }

    /// The host ends in order, and another takes over what it kept.
    pub async fn restart(self) -> Self {
        let Self { house, standin, state, text } = self;
        house.stop();
        // The file can be open once.
        for _ in 0..500 {
            match redb::Database::open(state.path().join("jobs.redb")) {
                Ok(_) => break,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        drop(house);
        let house = Self::open(&text, &state).await;
        Self { house, standin, state, text }
    }

    /// Asks for it later, and tells the job's path.
    pub async fn later(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> String {
        let headers: Vec<_> = headers.iter().copied().chain([LATER]).collect();
        let answer = self.house.post_with(path, &headers, body.to_string()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        answer.headers["location"].to_str().expect("text").to_owned()
    }

    /// Waits for a line of the metrics.
    pub async fn until_counted(&self, line: &str) {
        for _ in 0..1000 {
            if self.house.ask("GET", "/metrics", "").await.text().lines().any(|known| known == line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("`{line}` is not among the metrics");
    }

    pub async fn ended(&self, job: &str, headers: &[(&str, &str)]) -> Value {
        ended(async || self.house.request("GET", job, headers, "").await).await
    }
}

/// The job when it has ended.
pub async fn ended(ask: impl AsyncFn() -> Answer) -> Value {
    for _ in 0..1500 {
        let answer = ask().await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let job = answer.json();
        if !["queued", "running"].contains(&job["state"].as_str().expect("a state")) {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not end");
}

pub fn embed(text: &str, model: &str) -> Value {
    json!({ "text": text, "model": model })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_later_and_is_the_same() {
    let platform = Platform::new("").await;
    let house = &platform.house;
    let body = embed("hello", "sentence-transformers/all-MiniLM-L6-v2");
    let now = house.post_with("/embedding", &[], body.to_string()).await;
    let accepted = house.post_with("/embedding", &[LATER, ("x-request-id", "mine-1")], body.to_string()).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
    assert_eq!(
        (&accepted.headers["preference-applied"], &accepted.headers["x-request-id"]),
        (&"respond-async".parse().expect("a value"), &"mine-1".parse().expect("a value"))
    );
    assert!(accepted.headers.keys().all(|name| !name.as_str().starts_with("x-log-")), "{:?}", accepted.headers);
    let place = accepted.headers["location"].to_str().expect("text").to_owned();
    assert_eq!(place, format!("/jobs/{}", accepted.json()["id"].as_str().expect("an id")));
    let job = platform.ended(&place, &[]).await;
    assert_eq!((&job["state"], &job["progress"]), (&json!("succeeded"), &json!(1.0)));
    assert_eq!(job["result"], now.json());
    let result = house.get(&format!("{place}/result")).await;
    assert_eq!((result.status, result.json()), (StatusCode::OK, now.json()));
    assert_eq!(result.headers["x-model"], now.headers["x-model"]);
    // What is no JSON is fetched by itself, with its own type.
    let place = platform.later("/tts", &[], &json!({ "text": "hello" })).await;
    let job = platform.ended(&place, &[]).await;
    assert_eq!(job["result"]["content_type"], "audio/wav", "{job}");
    let sound = house.get(job["result"]["url"].as_str().expect("an address")).await;
    assert_eq!(sound.headers["content-type"], "audio/wav");
    assert!(sound.body.starts_with(b"RIFF") && job["result"]["size_bytes"] == sound.body.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_says_why_and_what_is_wrong_is_told() {
    let platform = Platform::new("").await;
    let place = platform.later("/embedding", &[("x-fallback", "off")], &embed("x", "fault/always-503-job")).await;
    let job = platform.ended(&place, &[]).await;
    assert_eq!(job["state"], "failed");
    assert!(job["error"]["message"].is_string() && job.get("result").is_none(), "{job}");
    assert_eq!(platform.house.get(&format!("{place}/result")).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let place = platform.later("/v1/embeddings", &[], &json!({ "input": 5 })).await;
    assert_eq!(platform.ended(&place, &[]).await["error"]["error"]["type"], "invalid_request_error");
    for (method, path, code, status) in [
        ("GET", "/jobs/none", "not_found", StatusCode::NOT_FOUND),
        ("GET", "/jobs/", "not_found", StatusCode::NOT_FOUND),
        ("GET", &format!("{place}/other"), "not_found", StatusCode::NOT_FOUND),
        ("PUT", "/jobs/none", "method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
        ("PUT", &place, "method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
        ("DELETE", &format!("{place}/result"), "method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let answer = platform.house.request(method, path, &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_uniform(&answer, code);
    }
}

/// The events of a job from a place in them, until they end: number, name, data.
async fn events(house: &House, job: &str, last: Option<&str>, most: usize) -> Vec<(String, String, Value)> {
    let mut stream = TcpStream::connect(house.authority()).await.expect("a connection");
    let last = last.map(|last| format!("last-event-id: {last}\r\n")).unwrap_or_default();
    let head = format!("GET {job}/events HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{last}\r\n");
    stream.write_all(head.as_bytes()).await.expect("a request");
    let mut lines = BufReader::new(stream).lines();
    let (mut found, mut id, mut name) = (Vec::new(), String::new(), String::new());
    let read = async {
        while let Some(line) = lines.next_line().await.expect("a line") {
            match line.split_once(": ") {
                Some(("id", value)) => id = value.to_owned(),
                Some(("event", value)) => name = value.to_owned(),
                Some(("data", value)) => {
                    found.push((id.clone(), name.clone(), serde_json::from_str(value).expect("JSON")));
                    if found.len() == most {
                        return;
                    }
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), read).await.expect("in time");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_followed_and_nothing_is_missed_in_between() {
    let platform = Platform::new("").await;
    let items: Vec<Value> = (0..4).map(|n| embed(&format!("text {n}"), "fault/slow-150-embed")).collect();
    let place = platform.later("/batch", &[], &json!({ "path": "/embedding", "items": items })).await;
    let first = events(&platform.house, &place, None, 2).await;
    assert_eq!((first[0].1.as_str(), first[1].1.as_str()), ("queued", "running"), "{first:?}");
    let rest = events(&platform.house, &place, Some(&first[1].0), usize::MAX).await;
    let (last, between) = rest.split_last().expect("an end");
    assert_eq!((last.1.as_str(), &last.2["state"]), ("succeeded", &json!("succeeded")));
    assert_eq!(last.2["result"]["succeeded"], 4);
    assert!(!between.is_empty() && between.iter().all(|(_, name, _)| name == "progress"), "{between:?}");
    let numbers: Vec<u64> = first.iter().chain(&rest).map(|(id, ..)| id.parse().expect("a number")).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    // All of it again for who begins later, and nothing for who knows all.
    let again = events(&platform.house, &place, None, usize::MAX).await;
    assert_eq!((again[0].1.as_str(), again.last().expect("an end").0.as_str()), ("queued", last.0.as_str()));
    let answer = platform.house.request("GET", &format!("{place}/events"), &[("last-event-id", &last.0)], "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_reaches_upstream() {
    let platform = Platform::new("[jobs]\nrunning = 1").await;
    let running = platform.later("/embedding", &[], &embed("x", "fault/hang-job")).await;
    let waiting = platform.later("/embedding", &[], &embed("y", "fault/hang-job")).await;
    until("it never got there", || platform.standin.in_flight() == 1).await;
    for job in [&waiting, &running] {
        let answer = platform.house.request("DELETE", job, &[], "").await;
        assert_eq!((answer.status, &answer.json()["state"]), (StatusCode::OK, &json!("cancelled")));
    }
    until("upstream goes on", || platform.standin.in_flight() == 0).await;
    // Once ended, it stays so; and the place is free.
    let done = platform.later("/embedding", &[], &embed("z", "sentence-transformers/all-MiniLM-L6-v2")).await;
    assert_eq!(platform.ended(&done, &[]).await["state"], "succeeded");
    for (job, state) in [(&running, "cancelled"), (&done, "succeeded")] {
        let answer = platform.house.request("DELETE", job, &[], "").await;
        assert_eq!(answer.json()["state"], state);
    }
    assert_eq!(platform.standin.requests_for("fault/hang-job").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_its_makers_alone_and_ends_with_the_key() {
    let platform = Platform::new("[jobs]\nrunning = 1").await;
    let stores = platform.house.registry.stores();
    let (one, record) = keys::create(stores, wanted("one", &[("requests_per_minute", 5)])).await.expect("a key");
    let (other, _) = keys::create(stores, wanted("other", &[])).await.expect("a key");
    let (mine, theirs) = ([("x-api-key", one.as_str())], [("x-api-key", other.as_str())]);
    let refused = platform.house.post_with("/embedding", &[LATER], "{}").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_uniform(&refused, "unauthorized");
    let place = platform.later("/embedding", &mine, &embed("hello", "fault/slow-300-embed")).await;
    for path in [place.clone(), format!("{place}/result"), format!("{place}/events")] {
        assert_eq!(platform.house.request("GET", &path, &theirs, "").await.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(platform.house.request("GET", &path, &[], "").await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(platform.house.request("DELETE", &place, &theirs, "").await.status, StatusCode::NOT_FOUND);
    // Looking at it costs nothing of five requests a minute, and the work was counted once.
    let job = platform.ended(&place, &mine).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    for _ in 0..10 {
        assert_eq!(platform.house.request("GET", &place, &mine, "").await.status, StatusCode::OK);
    }
    let accepted =
        platform.house.post_with("/embedding", &[mine[0], LATER], embed("x", "fault/slow-2500").to_string()).await;
    assert_eq!(accepted.headers["x-ratelimit-remaining-requests"], "3");
    // A key that is revoked while its job waits ends it.
    let waits = platform.later("/embedding", &mine, &embed("x", "fault/slow-1")).await;
    keys::revoke(stores, &record.id).await.expect("revoked");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(platform.house.request("GET", &waits, &mine, "").await.status, StatusCode::UNAUTHORIZED);
    platform.until_counted("hybrid_jobs_ended_total{state=\"failed\"} 1").await;
    assert_eq!(platform.standin.requests_for("fault/slow-1").len(), 0);
    // No key is in the file.
    let bytes = std::fs::read(platform.state.path().join("jobs.redb")).expect("the file");
    assert!(!bytes.windows(one.len()).any(|window| window == one.as_bytes()), "the key was written down");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_pretend_to_have_been_let_in() {
    let platform = Platform::new("").await;
    let (_, record) = keys::create(platform.house.registry.stores(), wanted("one", &[])).await.expect("a key");
    let caller = format!("key/{}", record.id);
    for headers in [
        &[("x-admission", "guess"), ("x-admitted-as", caller.as_str())][..],
        &[("x-admitted-as", &caller)],
        &[("x-admission", ""), ("x-admitted-as", "address/127.0.0.1")],
        &[LATER, ("x-admitted-as", &caller)],
        &[("idempotency-key", "k"), ("x-admitted-as", "address/127.0.0.1")],
    ] {
        let answer = platform.house.post_with("/embedding", headers, embed("x", "a/b").to_string()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_jobs_are_refused_with_a_time_to_come_again() {
    let platform = Platform::new("[jobs]\nrunning = 1\nqueued = 2\nqueued_each = 1").await;
    let hang = embed("x", "fault/hang-job");
    let first = platform.later("/embedding", &[], &hang).await;
    until("it never got there", || platform.standin.in_flight() == 1).await;
    let second = platform.later("/embedding", &[], &hang).await;
    let refused = platform.house.post_with("/embedding", &[LATER], hang.to_string()).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_uniform(&refused, "too_many_jobs");
    assert!(refused.headers.contains_key("retry-after"));
    for job in [first, second] {
        platform.house.request("DELETE", &job, &[], "").await;
    }
    platform.later("/embedding", &[], &hang).await;
    let off = House::of(&built(), "[jobs]\nenabled = false").await;
    let refused = off.post_with("/embedding", &[LATER], hang.to_string()).await;
    assert_eq!(refused.status, StatusCode::NOT_IMPLEMENTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_outlast_the_host() {
    let platform = Platform::new("[jobs]\nrunning = 1").await;
    let done = platform.later("/embedding", &[], &embed("a", "sentence-transformers/all-MiniLM-L6-v2")).await;
    let result = platform.ended(&done, &[]).await;
    let cancelled = platform.later("/embedding", &[], &embed("b", "fault/hang-job")).await;
    platform.house.request("DELETE", &cancelled, &[], "").await;
    let slow = platform.later("/embedding", &[], &embed("c", "fault/slow-300-embed")).await;
    let waits = platform.later("/embedding", &[], &embed("d", "sentence-transformers/all-MiniLM-L6-v2")).await;
    let platform = platform.restart().await;
    assert_eq!(platform.ended(&done, &[]).await, result);
    assert_eq!(platform.ended(&cancelled, &[]).await["state"], "cancelled");
    assert_eq!(platform.ended(&slow, &[]).await["state"], "succeeded");
    assert_eq!(platform.ended(&waits, &[]).await["state"], "succeeded");
    // It ran to its end before the host did, and not twice.
    assert_eq!(platform.standin.requests_for("fault/slow-300-embed").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_when_their_time_is_over() {
    let platform = Platform::new("[jobs]\nkeep_s = 5").await;
    let place = platform.later("/embedding", &[], &embed("a", "sentence-transformers/all-MiniLM-L6-v2")).await;
    assert_eq!(platform.ended(&place, &[]).await["state"], "succeeded");
    for _ in 0..1500 {
        if platform.house.get(&place).await.status == StatusCode::NOT_FOUND {
            assert_eq!(platform.house.get(&format!("{place}/result")).await.status, StatusCode::NOT_FOUND);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_make_jobs() {
    let platform = Platform::new("").await;
    let origin = ("origin", "https://app.example");
    let body = embed("a", "sentence-transformers/all-MiniLM-L6-v2");
    let accepted = platform.house.post_with("/embedding", &[LATER, origin], body.to_string()).await;
    let place = accepted.headers["location"].to_str().expect("text").to_owned();
    let allowed = |headers: &HeaderMap| headers.get("access-control-allow-origin").cloned();
    assert_eq!(allowed(&accepted.headers).expect("it is told"), "https://app.example");
    let exposed = accepted.headers["access-control-expose-headers"].to_str().expect("text").to_owned();
    assert!(exposed.contains("Location"), "{exposed}");
    for path in [place.as_str(), "/jobs/none"] {
        let answer = platform.house.request("GET", path, &[origin], "").await;
        assert_eq!(allowed(&answer.headers).expect("it is told"), "https://app.example", "{path}");
        assert_eq!(answer.headers.get_all("access-control-allow-origin").iter().count(), 1);
    }
    let asks = [origin, ("access-control-request-method", "DELETE")];
    let answer = platform.house.request("OPTIONS", &place, &asks, "").await;
    assert_eq!((answer.status, allowed(&answer.headers).is_some()), (StatusCode::NO_CONTENT, true));
}
