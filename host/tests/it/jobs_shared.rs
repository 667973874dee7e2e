//! Jobs that several hosts share: one Redis, a real one, and hosts that come and go.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use standin::{Options, Standin};

use crate::house::{Folder, House, assert_uniform};
use crate::jobs::{LATER, embed, ended};
use crate::jobs_killed::{Http, Load, all_end, ended_by_now, http, send, start, told};
use crate::keys::built;
use crate::shared::Redis;
use crate::webhooks::{receiver, signed, until_called};

const KEY: &str = "hf_stand_in";

/// Hosts in this process, with one Redis and one upstream.
struct Fleet {
    redis: Redis,
    standin: Standin,
    state: Folder,
}

impl Fleet {
    fn new(redis: Redis) -> Self {
        let standin = Standin::start(Options { key: Some(KEY.to_owned()), ..Options::default() }).expect("it starts");
        Self { redis, standin, state: Folder::new() }
    }

    async fn host(&self, jobs: &str) -> House {
        let (url, redis) = (self.standin.url(), self.redis.url());
        let text = format!(
            "store = \"{redis}\"\n[limits]\nshutdown_ms = 300\n[jobs]\nstore = \"redis\"\n{jobs}\n[settings]\nhf_base_url = \"{url}\"\n\
             hf_hub_url = \"{url}\"\nretry_initial_ms = 10\n"
        );
        let environment = [("HF_API_KEY", KEY), ("HYBRID_WEBHOOK_SECRET", "a secret")];
        let house = House::keeping(&built(), &text, &environment, self.state.path()).await;
        // It takes jobs when it has reached Redis.
        for _ in 0..200 {
            if house.ask("GET", "/metrics", "").await.text().contains("hybrid_jobs_redis_connected 1") {
                return house;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not reach Redis");
    }
}

async fn later(house: &House, headers: &[(&str, &str)], body: &Value) -> String {
    let headers: Vec<_> = headers.iter().copied().chain([LATER]).collect();
    let answer = house.post_with("/embedding", &headers, body.to_string()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    answer.headers["location"].to_str().expect("text").to_owned()
}

async fn state(house: &House, job: &str) -> Value {
    house.get(job).await.json()["state"].clone()
}

async fn until_state(house: &House, job: &str, wanted: &str) {
    for _ in 0..500 {
        if state(house, job).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{job} is not {wanted}: {}", house.get(job).await.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn any_host_tells_of_a_job_and_ends_it() {
    let fleet = Fleet::new(Redis::start());
    let (one, other) = (fleet.host("").await, fleet.host("").await);
    let job = later(&one, &[], &embed("hello", "fault/slow-40-embed")).await;
    let told = ended(async || other.get(&job).await).await;
    assert_eq!((&told["state"], &told["attempts"]), (&json!("succeeded"), &json!(1)), "{told}");
    assert!(told["result"]["embedding"].is_array() && told["expires"].is_string(), "{told}");
    assert_eq!(one.get(&job).await.json(), told);
    let result = other.get(&format!("{job}/result")).await;
    assert_eq!((result.status, result.json()), (StatusCode::OK, told["result"].clone()));
    // Its events, from the other one; a reader that comes back goes on where it was.
    let events = other.get(&format!("{job}/events")).await;
    let text = events.text();
    let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["queued", "running", "succeeded"], "{text}");
    let last = text.lines().filter_map(|line| line.strip_prefix("id: ")).nth(1).expect("a second");
    let rest = one.request("GET", &format!("{job}/events"), &[("last-event-id", last)], "").await;
    assert!(rest.text().contains("event: succeeded") && !rest.text().contains("event: running"), "{}", rest.text());
    // A job that nobody has.
    let none = other.get("/jobs/0123456789abcdef0123456789abcdef").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    assert_eq!(other.get("/jobs/{jobs}:turn").await.status, StatusCode::NOT_FOUND);
    // Cancelled at either, whoever works on it: what runs of it is dropped.
    for house in [&one, &other] {
        let job = later(&one, &[], &embed("slow", "fault/hang-embed")).await;
        until_state(&other, &job, "running").await;
        let told = house.request("DELETE", &job, &[], "").await;
        assert_eq!((told.status, &told.json()["state"]), (StatusCode::OK, &json!("cancelled")), "{}", told.text());
        assert_eq!(state(&one, &job).await, "cancelled");
    }
    for _ in 0..200 {
        if one.ask("GET", "/metrics", "").await.text().contains("hybrid_jobs{state=\"running\"} 0") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("cancelled jobs still run");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_job_at_every_host() {
    let fleet = Fleet::new(Redis::start());
    let (one, other) = (fleet.host("").await, fleet.host("").await);
    let key = &[("idempotency-key", "k-1")][..];
    let body = embed("hello", "fault/slow-300-embed");
    let (first, second) = tokio::join!(later(&one, key, &body), later(&other, key, &body));
    assert_eq!(first, second);
    let refused =
        other.post_with("/embedding", &[key[0], LATER], embed("other", "fault/slow-300-embed").to_string()).await;
    assert_uniform(&refused, "idempotency_mismatch");
    assert_eq!(ended(async || one.get(&first).await).await["state"], "succeeded");
    assert_eq!(fleet.standin.requests_for("fault/slow-300-embed").len(), 1);
    assert_eq!(later(&other, key, &body).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_answer_at_every_host() {
    let mut fleet = Fleet::new(Redis::start());
    let (one, other) = (fleet.host("").await, fleet.host("").await);
    let model = "fault/slow-300-embed";
    let key = &[("idempotency-key", "a-1")][..];
    let body = embed("hello", model).to_string();
    let (first, second) =
        tokio::join!(one.post_with("/embedding", key, body.clone()), other.post_with("/embedding", key, body.clone()));
    assert_eq!((first.status, second.status), (StatusCode::OK, StatusCode::OK), "{}", second.text());
    assert!(first.body == second.body && first.headers["x-model"] == second.headers["x-model"]);
    assert_ne!(first.headers["x-request-id"], second.headers["x-request-id"]);
    assert_eq!(fleet.standin.requests_for(model).len(), 1);
    // A host that comes later knows of it too.
    let third = fleet.host("").await;
    let again = third.post_with("/embedding", key, format!(" {body}")).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &first.body));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert!(again.headers.keys().all(|name| !name.as_str().starts_with("x-log-")), "{:?}", again.headers);
    assert_eq!(fleet.standin.requests_for(model).len(), 1);
    // Something else under the same key, in the words of the path.
    let refused = third.post_with("/embedding", key, embed("other", model).to_string()).await;
    assert_uniform(&refused, "idempotency_mismatch");
    let late = fleet.host("").await;
    let openai = late.post_with("/v1/embeddings", key, r#"{"input":"x"}"#).await;
    assert_eq!(
        (openai.status, &openai.json()["error"]["code"]),
        (StatusCode::BAD_REQUEST, &json!("idempotency_mismatch"))
    );
    // What failed is tried again, at any.
    let failing = embed("x", "fault/always-503-again").to_string();
    for house in [&one, &other] {
        let headers = &[("idempotency-key", "a-3"), ("x-fallback", "off"), ("x-retries", "0")];
        let answer = house.post_with("/embedding", headers, failing.clone()).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
    }
    assert_eq!(fleet.standin.requests_for("fault/always-503-again").len(), 2);
    // Without Redis each goes on with what it knows.
    fleet.redis.kill();
    let answer = one.post_with("/embedding", &[("idempotency-key", "a-4")], body.clone()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(one.post_with("/embedding", key, body).await.body, first.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_take_turns_and_one_fills_only_its_share() {
    let fleet = Fleet::new(Redis::start());
    let house = fleet.host("running = 1\nqueued_each = 30").await;
    let (phone, _) =
        hybrid_ai::keys::create(house.registry.stores(), crate::keys::wanted("phone", &[])).await.expect("a key");
    let (tablet, _) =
        hybrid_ai::keys::create(house.registry.stores(), crate::keys::wanted("tablet", &[])).await.expect("a key");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let body = embed("x", "fault/slow-40-embed").to_string();
    let mut jobs = Vec::new();
    let mut refused = 0;
    for _ in 0..45 {
        let answer = house.post_with("/embedding", &[LATER, ("x-api-key", &phone)], body.clone()).await;
        match answer.status {
            StatusCode::ACCEPTED => jobs.push(answer.headers["location"].to_str().expect("text").to_owned()),
            _ => {
                assert_uniform(&answer, "too_many_jobs");
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && jobs.len() >= 30, "{refused} refused, {} taken", jobs.len());
    let answer = house.post_with("/embedding", &[LATER, ("x-api-key", &tablet)], body).await;
    let theirs = answer.headers["location"].to_str().expect("text").to_owned();
    let asked = |job: String, key: String| {
        let house = &house;
        async move { house.request("GET", &job, &[("x-api-key", &key)], "").await }
    };
    assert_eq!(ended(async || asked(theirs.clone(), tablet.clone()).await).await["state"], "succeeded");
    // Those that were dealt before it are done, and not all that came before it.
    let last = jobs.last().expect("some").clone();
    assert_eq!(asked(last, phone.clone()).await.json()["state"], "queued");
    // Nobody sees another's.
    assert_eq!(asked(theirs, phone).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_is_told_once_and_again_until_it_takes_it() {
    let fleet = Fleet::new(Redis::start());
    let jobs = "webhook_private = true\nwebhook_retry_ms = 100";
    let (one, _other) = (fleet.host(jobs).await, fleet.host(jobs).await);
    let (url, calls) = receiver(&[500, 200]).await;
    let job = later(&one, &[("x-webhook-url", &url)], &embed("hello", "fault/slow-40-embed")).await;
    let seen = until_called(&calls, 2).await;
    let body: Value = serde_json::from_slice(&seen[1].1).expect("JSON");
    assert_eq!(
        (&body["type"], &body["data"]["id"]),
        (&json!("job.succeeded"), &json!(job.trim_start_matches("/jobs/")))
    );
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(calls.lock().expect("nobody panics").len(), 2, "it was told after it had taken it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_is_removed_with_all_that_it_took_up() {
    let fleet = Fleet::new(Redis::start());
    let house = fleet.host("keep_s = 1").await;
    let job = later(&house, &[("idempotency-key", "k")], &embed("hello", "fault/slow-40-embed")).await;
    assert_eq!(ended(async || house.get(&job).await).await["state"], "succeeded");
    for _ in 0..200 {
        let gone = house.get(&job).await.status == StatusCode::NOT_FOUND;
        if gone && house.ask("GET", "/metrics", "").await.text().contains("hybrid_jobs_stored_bytes 0") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_no_job_is_taken_and_what_runs_goes_on() {
    let mut fleet = Fleet::new(Redis::lasting());
    let (one, other) = (fleet.host("lease_ms = 4000").await, fleet.host("lease_ms = 4000").await);
    let running = later(&one, &[], &embed("runs", "fault/slow-1500-embed")).await;
    until_state(&other, &running, "running").await;
    let mut waiting = Vec::new();
    for number in 0..40 {
        waiting.push(later(&other, &[], &embed(&format!("waits {number}"), "fault/slow-300-embed")).await);
    }
    fleet.redis.kill();
    for house in [&one, &other] {
        let refused = house.post_with("/embedding", &[LATER], embed("x", "fault/slow-40-embed").to_string()).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text());
        assert_uniform(&refused, "service_unavailable");
        assert!(refused.headers.contains_key("retry-after"));
        let unknown = house.get(&running).await;
        assert_eq!(unknown.status, StatusCode::SERVICE_UNAVAILABLE, "{}", unknown.text());
    }
    // Whoever waits for an answer gets one.
    let now = one.post_with("/embedding", &[], embed("now", "fault/slow-40-embed").to_string()).await;
    assert_eq!(now.status, StatusCode::OK, "{}", now.text());
    tokio::time::sleep(Duration::from_millis(2500)).await;
    fleet.redis.again();
    for job in waiting.iter().chain([&running]) {
        let mut told = Value::Null;
        for _ in 0..1500 {
            let answer = one.get(job).await;
            if answer.status == StatusCode::OK {
                told = answer.json();
                if told["ended"].is_string() {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!((&told["state"], &told["attempts"]), (&json!("succeeded"), &json!(1)), "{told}");
    }
    // What ran while Redis was away was not begun again.
    assert_eq!(fleet.standin.requests_for("fault/slow-1500-embed").len(), 1);
    assert_eq!(fleet.standin.requests_for("fault/slow-300-embed").len(), 40);
    let job = later(&other, &[], &embed("after", "fault/slow-40-embed")).await;
    assert_eq!(ended(async || one.get(&job).await).await["state"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_ends_in_order_gives_back_what_it_cannot_finish() {
    let fleet = Fleet::new(Redis::start());
    let one = fleet.host("").await;
    let job = later(&one, &[], &embed("late", "fault/late-1-20000-embed")).await;
    until_state(&one, &job, "running").await;
    let other = fleet.host("").await;
    let began = std::time::Instant::now();
    one.stop();
    let told = ended(async || other.get(&job).await).await;
    assert_eq!((&told["state"], &told["attempts"]), (&json!("succeeded"), &json!(2)), "{told}");
    // The lease is 15 s.
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_host_had_accepted_ends_once_at_another() {
    let model = "fault/slow-400-embed";
    let redis = Redis::lasting();
    let standin = Standin::start(Options::default()).expect("it starts");
    let (store, jobs) = (format!("store = \"{}\"", redis.url()), "store = \"redis\"\nlease_ms = 3000");
    let folders = [Folder::new(), Folder::new()];
    let [(mut child, one), (_left, other)] = folders.each_ref().map(|folder| start(folder, &standin, &store, jobs));
    let http = http();
    // More comes than both can do: the one that is killed is at work.
    let load = Load::begin(&http, &[&one, &other], 150, model);
    load.until(80).await;
    // Something has ended, and most has not.
    let first = &load.accepted()[..1];
    for _ in 0..1000 {
        if !ended_by_now(&http, &other, first).await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    child.kill();
    let ends = ended_by_now(&http, &other, &load.accepted()).await;
    let accepted = load.over().await;
    assert!(accepted.len() >= 120 && !ends.is_empty(), "{} accepted, {} ended early", accepted.len(), ends.len());
    let jobs = all_end(&http, &other, &accepted, &ends).await;
    let again: u64 = jobs.iter().map(|job| job["attempts"].as_u64().expect("a number") - 1).sum();
    // Only what the killed host was working on was begun again, and by one.
    let calls = standin.requests_for(model).len();
    assert!((1..=8).contains(&again), "{again} were begun again");
    assert!(calls <= accepted.len() + usize::try_from(again).expect("few") + 2, "{calls} calls for {}", accepted.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_a_killed_host_was_to_tell_are_told_by_another() {
    let redis = Redis::start();
    let standin = Standin::start(Options::default()).expect("it starts");
    let store = format!("store = \"{}\"", redis.url());
    let jobs = "store = \"redis\"\nlease_ms = 3000\nwebhook_private = true\nwebhook_retry_ms = 3000";
    let folders = [Folder::new(), Folder::new()];
    let (mut child, one) = start(&folders[0], &standin, &store, jobs);
    let http = http();
    // One has ended, and its receiver did not take it; one is being worked on.
    let ((ended_url, ended_calls), (running_url, running_calls)) =
        (receiver(&[503, 200]).await, receiver(&[200]).await);
    let ended = accepted(&http, &one, &ended_url, "fault/slow-40-embed").await;
    until_called(&ended_calls, 1).await;
    let running = accepted(&http, &one, &running_url, "fault/late-1-60000-embed").await;
    for _ in 0..500 {
        if standin.in_flight() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(told(&http, &one, &running).await.expect("an answer").1["state"], "running");
    let (_left, other) = start(&folders[1], &standin, &store, jobs);
    child.kill();
    for (id, calls, count) in [(&ended, ended_calls, 2), (&running, running_calls, 1)] {
        let seen = until_called(&calls, count).await;
        let (_, job) = told(&http, &other, id).await.expect("an answer");
        for (head, body) in &seen {
            assert_eq!(&signed(head, body), id);
            let told: Value = serde_json::from_slice(body).expect("JSON");
            assert_eq!((&told["type"], &told["data"]), (&json!("job.succeeded"), &job));
        }
    }
    let (_, job) = told(&http, &other, &running).await.expect("an answer");
    assert_eq!(job["attempts"], 2, "{job}");
}

/// The id of a job whose end this address is to be told of.
async fn accepted(http: &Http, base: &str, url: &str, model: &str) -> String {
    for _ in 0..100 {
        match send(http, base, &[("x-webhook-url", url)], &embed("hello", model)).await.expect("an answer") {
            (StatusCode::ACCEPTED, job) => return job["id"].as_str().expect("an id").to_owned(),
            // It has not reached Redis yet.
            (StatusCode::SERVICE_UNAVAILABLE, _) => tokio::time::sleep(Duration::from_millis(100)).await,
            refused => panic!("{refused:?}"),
        }
    }
    panic!("it does not reach Redis");
}
