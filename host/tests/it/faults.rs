//! Upstreams that fail in every way at once, and are killed: each request ends within its deadline with a right status,
//! none is lost, and none is answered twice.
//!
//! Where other gateways were seen to fail, and the test that holds us to it (`contract` stands for the cases in
//! `contract/src/cases`, which `contract.rs` runs):
//!
//! | failure | tests |
//! |---|---|
//! | a cut stream looks whole | contract `streams::what_breaks_off_is_never_done`, `streams::another_model_is_asked_until_something_is_said` |
//! | fallback for chat alone, forms not sent again | contract `faults::broken_answers_go_to_the_next_model`, `patience::forms_are_sent_again_whole` |
//! | attempts times timeout add up, `Retry-After` lost | contract `patience::one_deadline_is_for_everything`, `retries::rate_limits_are_passed_on`, `patience::a_storm_of_limits_stays_a_limit` |
//! | the upstream goes on after the client left | `cancel`, `models::who_leaves_ends_the_work_upstream`, contract `streams::who_leaves_is_not_served` |
//! | a plugin's bug takes the process down | `trap`, `swap::a_canary_that_traps_is_taken_back_within_twenty_bad_requests` |
//! | keys and limits need a database | `keys::keys_outlast_the_process_that_made_them` |
//! | limits multiply by the number of nodes | `shared::two_hosts_enforce_one_limit_and_outlive_their_redis` |
//! | shutdown cuts streams | `shutdown::a_running_stream_ends_before_the_process_does` |
//! | memory grows with pictures | `reuse::an_instance_that_grew_is_not_kept` |
//! | the configuration needs a restart | `reload::the_configuration_is_taken_whole_or_not_at_all` |
//! | secrets and internal addresses leak | `nothing_of_the_inside_comes_out` |
//! | no hedging | `models::slow_answers_are_hedged_where_the_operator_says` |
//! | no swap of a provider while serving | `swap`, `cargo xtask bench swap` |
//! | killed, hung, cut, slow, limited, half of them down | here |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use http::{HeaderName, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use standin::{Options, Standin};

use crate::house::{Answer, Folder, House};
use crate::keys::built;

/// Requests at once.
const CROWD: usize = 16;
/// What a busy machine may add to a deadline.
const GRACE: Duration = Duration::from_secs(4);

async fn post(house: &House, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let mut request = Request::post(format!("{}{path}", house.base)).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    house.send(request.body(Full::new(body.to_string().into())).expect("a request")).await
}

fn header<'a>(answer: &'a Answer, name: &'static str) -> &'a str {
    answer.headers.get(HeaderName::from_static(name)).map_or("", |value| value.to_str().expect("text"))
}

/// What a chat says, whole or in events; each request says something of its own.
fn chat(number: usize, model: &str, streamed: bool) -> Value {
    json!({ "messages": [{ "role": "user", "content": format!("request {number} ends") }], "model": model,
            "stream": streamed })
}

fn is_answered(answer: &Answer, number: usize, streamed: bool) -> bool {
    let said = if streamed {
        let events = answer.text().split("\n\n").filter_map(|event| event.strip_prefix("data: "));
        let data: Vec<Value> = events.map(|data| serde_json::from_str(data).expect("JSON")).collect();
        let whole = data.last().is_some_and(|last| last["done"] == true);
        let text: String = data.iter().filter_map(|data| data["response"].as_str()).collect();
        if whole { text } else { return false }
    } else {
        answer.json()["response"].as_str().unwrap_or_default().to_owned()
    };
    said == format!("You said: request {number} ends")
}

/// How often a stand-in was asked for each request, by what that said.
fn asked(standin: &Standin) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for request in standin.requests() {
        let body = request.json();
        let said = body["messages"][0]["content"].as_str().unwrap_or_default();
        if let Some(number) = said.split(' ').nth(1).and_then(|number| number.parse().ok()) {
            *counts.entry(number).or_default() += 1;
        }
    }
    counts
}

/// A platform that knows these endpoints, by name, and asks them in this order.
async fn with_endpoints(folder: &Folder, endpoints: &[(&str, String)], settings: &str) -> House {
    use std::fmt::Write as _;
    let mut table = String::new();
    for (name, url) in endpoints {
        let _ = writeln!(table, "[endpoints.{name}]\nurl = \"{url}/box/v1\"");
    }
    let models: Vec<String> = endpoints.iter().map(|(name, _)| format!("\"{name}/chat\"")).collect();
    let _ = writeln!(table, "[capabilities.llm]\nmodels = [{}]", models.join(", "));
    let file = folder.write("models.toml", table);
    let settings =
        format!("models_file = {:?}\n[settings]\nretry_initial_ms = 10\n{settings}", file.display().to_string());
    House::of(&built(), &settings).await
}

/// Sends so many requests, a few at once; gives each answer with its number and how long it took.
async fn crowd<'a, F: Future<Output = Answer> + 'a>(
    count: usize,
    send: impl Fn(usize) -> F + 'a,
) -> Vec<(usize, Answer, Duration)> {
    let requests = futures::stream::iter(0..count).map(|number| {
        let sent = send(number);
        async move {
            let began = Instant::now();
            (number, sent.await, began.elapsed())
        }
    });
    requests.buffer_unordered(CROWD).collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_killed_in_the_middle_loses_no_request() {
    let doomed = Standin::start(Options::default()).expect("it starts");
    let living = Standin::start(Options::default()).expect("it starts");
    let folder = Folder::new();
    let endpoints = [("doomed", doomed.url()), ("living", living.url())];
    let house = Arc::new(with_endpoints(&folder, &endpoints, "").await);
    // Slow enough that some are at work when it goes.
    let killer = tokio::spawn(async move {
        while doomed.requests().len() < 60 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(doomed);
    });
    let sender = Arc::clone(&house);
    let answers = crowd(300, move |number| {
        let house = Arc::clone(&sender);
        async move {
            let model = format!("doomed/slow-20-chat-{number}");
            let headers = [("x-timeout-ms", "8000"), ("x-fallback", "living/chat")];
            post(&house, "/llm", &headers, &chat(number, &model, false)).await
        }
    })
    .await;
    killer.await.expect("it is dead");
    let living = asked(&living);
    let mut by_living = 0;
    for (number, answer, took) in &answers {
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        assert!(is_answered(answer, *number, false), "{number}: {}", answer.text());
        assert!(*took < Duration::from_secs(8) + GRACE, "{number} took {took:?}");
        let here = usize::from(header(answer, "x-provider") == "living");
        assert_eq!(living.get(number).copied().unwrap_or(0), here, "{number} was asked twice, or for nothing");
        by_living += here;
    }
    assert_eq!(answers.len(), 300);
    assert!(by_living >= 200, "only {by_living} were answered by the one that lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_half_of_the_upstreams_down_the_others_answer() {
    let good = [(); 2].map(|()| Standin::start(Options::default()).expect("it starts"));
    // One refuses, the other takes connections and never says a word.
    let refuses = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let refused = format!("http://{}", refuses.local_addr().expect("an address"));
    drop(refuses);
    let hangs = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let hung = format!("http://{}", hangs.local_addr().expect("an address"));
    let endpoints = [("refuses", refused), ("hangs", hung), ("one", good[0].url()), ("two", good[1].url())];
    let folder = Folder::new();
    let house = Arc::new(
        with_endpoints(&folder, &endpoints, "attempt_timeout_ms = 300\nretry_attempts = 1\nbreaker_failures = 2\n")
            .await,
    );
    let sender = Arc::clone(&house);
    let answers = crowd(240, move |number| {
        let house = Arc::clone(&sender);
        async move {
            let first = ["refuses", "hangs", "one", "two"][number % 4];
            let headers = [("x-timeout-ms", "6000")];
            post(&house, "/llm", &headers, &chat(number, &format!("{first}/chat"), number % 3 == 0)).await
        }
    })
    .await;
    let counts = good.each_ref().map(asked);
    for (number, answer, took) in &answers {
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        assert!(is_answered(answer, *number, *number % 3 == 0), "{number}: {}", answer.text());
        assert!(*took < Duration::from_secs(6) + GRACE, "{number} took {took:?}");
        let times: usize = counts.iter().map(|counts| counts.get(number).copied().unwrap_or(0)).sum();
        assert_eq!(times, 1, "{number} was answered {times} times");
    }
    assert_eq!(answers.len(), 240);
    // Half of them lead by who never answers. That one is left alone after a while, and most do not wait.
    let waited = answers.iter().filter(|(_, _, took)| *took >= Duration::from_millis(290)).count();
    assert!(waited < 80, "{waited} of 240 waited for who never answers");
}

/// A fault, and the statuses that are right where nobody else is asked.
const FAULTS: [(&str, &[u16]); 11] = [
    ("chat", &[200]),
    ("slow-100-chat", &[200]),
    ("fail-1-503-chat", &[200]),
    ("close-chat", &[502, 503]),
    ("truncated-chat", &[502, 503]),
    ("garbage-chat", &[502]),
    ("always-500-chat", &[503]),
    ("ratelimit-20-chat", &[429]),
    ("hang-chat", &[504]),
    ("drip-300-chat", &[504]),
    ("stream-cut-chat", &[200, 502, 503]),
];

#[tokio::test(flavor = "multi_thread")]
async fn in_a_storm_of_faults_each_request_ends_in_time_with_its_own_status() {
    let standin = Standin::start(Options::default()).expect("it starts");
    let url = standin.url();
    let settings = format!("[settings]\nhf_base_url = \"{url}\"\nhf_hub_url = \"{url}\"\nretry_initial_ms = 10\n");
    let house = Arc::new(House::with_environment(&built(), &settings, &[("HF_API_KEY", "hf_x")]).await);
    let count = FAULTS.len() * 20;
    let streamed = |number: usize| number / FAULTS.len() % 2 == 1;
    let model = |number: usize| format!("fault/{}-{number}", FAULTS[number % FAULTS.len()].0);
    let sender = Arc::clone(&house);
    let answers = crowd(count, move |number| {
        let house = Arc::clone(&sender);
        async move {
            let headers = [("x-timeout-ms", "1500"), ("x-fallback", "off"), ("x-retries", "1")];
            post(&house, "/llm", &headers, &chat(number, &model(number), streamed(number))).await
        }
    })
    .await;
    assert_eq!(answers.len(), count);
    let asked = asked(&standin);
    for (number, answer, took) in &answers {
        let (fault, right) = FAULTS[number % FAULTS.len()];
        // A stream that has begun ends in an event.
        let events = header(answer, "content-type").starts_with("text/event-stream");
        let status = answer.status.as_u16();
        assert!(right.contains(&status) || events, "{fault} as {number} got {status}: {}", answer.text());
        assert!(*took < Duration::from_millis(1500) + GRACE, "{fault} as {number} took {took:?}");
        let whole = status == 200 && is_answered(answer, *number, events);
        match (fault, events) {
            ("chat" | "slow-100-chat" | "fail-1-503-chat", _) => assert!(whole, "{fault}: {}", answer.text()),
            (_, true) => assert!(!whole && answer.text().contains("event: error\n"), "{fault}: {}", answer.text()),
            (_, false) => assert!(answer.json()["error"].is_string(), "{fault}: {}", answer.text()),
        }
        let times = asked.get(number).copied().unwrap_or(0);
        let most = if matches!(fault, "chat" | "slow-100-chat") { 1 } else { 2 };
        assert!((1..=most).contains(&times), "{fault} as {number} was asked {times} times");
    }
    // Nobody waits any longer, so nobody upstream need work.
    let until = Instant::now() + Duration::from_secs(5);
    while standin.in_flight() > 0 || standin.streams() > 0 {
        assert!(Instant::now() < until, "{} calls and {} streams go on", standin.in_flight(), standin.streams());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_inside_comes_out() {
    let standin =
        Standin::start(Options { key: Some("hf_secret".to_owned()), ..Options::default() }).expect("it starts");
    let url = standin.url();
    let settings = format!(
        "[settings]\nhf_base_url = \"{url}\"\nhf_hub_url = \"{url}\"\nretry_initial_ms = 10\nattempt_timeout_ms = 500\n"
    );
    // The wrong token too: the upstream's own words would tell of it.
    for key in ["hf_secret", "hf_wrong"] {
        let house = House::with_environment(&built(), &settings, &[("HF_API_KEY", key)]).await;
        for fault in [
            "chat",
            "close",
            "html",
            "garbage",
            "gated",
            "always-500",
            "always-401",
            "hang",
            "stream-error-chat",
            "unserved",
        ] {
            for streamed in [false, true] {
                let headers = [("x-fallback", "off"), ("x-retries", "0"), ("x-timeout-ms", "1500")];
                let answer = post(&house, "/llm", &headers, &chat(1, &format!("fault/{fault}"), streamed)).await;
                let text = format!("{:?} {}", answer.headers, answer.text());
                for inside in [key, url.trim_start_matches("http://"), "x-log-", "Bearer hf"] {
                    assert!(!text.contains(inside), "{fault} tells `{inside}`: {text}");
                }
            }
        }
    }
}
