//! What the host tells of its requests: usage, metrics, traces, and who changed what.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hybrid_ai::keys;
use hybrid_ai::keyvalue::{Kind, Place, Stores};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use standin::{Options, Standin};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::house::{Answer, Folder, House, folder_of_probes, one_probe, other_version};
use crate::jobs_killed::{Http, start};
use crate::keys::{built, wanted};

/// The platform in front of a stand-in, with these lines of configuration.
async fn in_front_of(standin: &Standin, text: &str) -> House {
    let url = standin.url();
    let settings = format!(
        "store = \"memory\"\n{text}\n[settings]\nhf_base_url = \"{url}\"\nhf_hub_url = \"{url}\"\nretry_initial_ms = 10\n"
    );
    House::with_environment(&built(), &settings, &[("HF_API_KEY", "hf_x")]).await
}

async fn post(house: &House, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let mut request = Request::post(format!("{}{path}", house.base)).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    house.send(request.body(Full::new(body.to_string().into())).expect("a request")).await
}

fn chat(model: &str) -> Value {
    json!({ "messages": [{ "role": "user", "content": "one two three" }], "model": model })
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_told_by_key_model_and_capability() {
    let standin = Standin::start(Options::default()).expect("it starts");
    let house = in_front_of(&standin, "").await;
    let (key, _) = keys::create(house.registry.stores(), wanted("phone", &[])).await.expect("a key");
    let shown = [("x-api-key", key.as_str()), ("x-fallback", "off"), ("x-retries", "0")];
    let whole = post(&house, "/llm", &shown, &chat("acme/chat-usage")).await;
    assert_eq!(whole.status, StatusCode::OK);
    let mut streamed = chat("acme/chat-usage");
    streamed["stream"] = true.into();
    let events = post(&house, "/llm", &shown, &streamed).await;
    assert!(events.text().contains("\"done\":true"), "{}", events.text());
    for (path, body, status) in [
        ("/image", json!({ "prompt": "a kite", "width": 64, "height": 64, "model": "acme/image-usage" }), 200),
        ("/embedding", json!({ "text": "hello", "model": "fault/always-500-embed-usage" }), 503),
        // A name that nobody serves makes no row of its own.
        ("/embedding", json!({ "text": "hello", "model": "fault/unserved-embed-usage" }), 404),
    ] {
        let answer = post(&house, path, &shown, &body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    // Who has no key is refused, which counts too.
    assert_eq!(post(&house, "/llm", &[], &chat("acme/chat-usage")).await.status, StatusCode::UNAUTHORIZED);

    let told = house.ask("GET", "/usage", "").await.json();
    let rows = told["rows"].as_array().expect("rows");
    let row = |capability: &str, model: &Value| {
        let mut found = rows.iter().filter(|row| row["capability"] == capability && row["model"] == *model);
        found.next().unwrap_or_else(|| panic!("no row for {capability} by {model}: {told:#}")).clone()
    };
    let chats = row("llm", &"acme/chat-usage".into());
    let counted = whole.json()["tokens_used"].as_u64().expect("tokens");
    assert_eq!((&chats["key"], &chats["requests"], &chats["errors"]), (&"phone".into(), &2.into(), &0.into()));
    let tokens = |row: &Value| row["prompt_tokens"].as_u64().zip(row["completion_tokens"].as_u64()).expect("counts");
    assert_eq!(tokens(&chats).0 + tokens(&chats).1, 2 * counted, "{chats:#}");
    assert_eq!(row("image", &"acme/image-usage".into())["pictures"], 1);
    assert_eq!(row("embedding", &"fault/always-500-embed-usage".into())["errors"], 1);
    assert_eq!(row("embedding", &Value::Null)["errors"], 1);
    let refused = row("llm", &Value::Null);
    assert_eq!((&refused["key"], &refused["requests"], &refused["errors"]), (&Value::Null, &1.into(), &1.into()));
    assert_eq!(told["total"]["requests"], 6);

    let only = house.ask("GET", "/usage?model=acme%2Fchat-usage&key=phone", "").await.json();
    assert_eq!((only["rows"].as_array().map(Vec::len), &only["total"]["requests"]), (Some(1), &2.into()));
    assert_eq!(house.ask("GET", "/usage?key=tablet", "").await.json()["rows"], json!([]));
    assert_eq!(house.ask("GET", "/usage?from=2020-01-01&to=2020-12-31", "").await.json()["rows"], json!([]));
    assert_eq!(house.ask("GET", "/usage?from=soon", "").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(house.ask("POST", "/usage", "").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_at_the_door_is_counted_by_key() {
    let standin = Standin::start(Options::default()).expect("it starts");
    let house = in_front_of(&standin, "").await;
    let stores = house.registry.stores();
    let scoped = keys::Wanted { scopes: Some(vec!["tts".into()]), ..wanted("voice", &[]) };
    let (voice, _) = keys::create(stores, scoped).await.expect("a key");
    let (few, _) = keys::create(stores, wanted("few", &[("requests_per_minute", 1)])).await.expect("a key");
    for (key, headers, status) in [
        ("wrong", &[][..], StatusCode::UNAUTHORIZED),
        (&voice, &[], StatusCode::FORBIDDEN),
        (&few, &[], StatusCode::OK),
        (&few, &[], StatusCode::TOO_MANY_REQUESTS),
        // Also where the host asks first.
        (&few, &[("prefer", "respond-async")], StatusCode::TOO_MANY_REQUESTS),
        (&voice, &[("idempotency-key", "a")], StatusCode::FORBIDDEN),
    ] {
        let headers: Vec<_> = headers.iter().copied().chain([("x-api-key", key)]).collect();
        let answer = post(&house, "/llm", &headers, &chat("acme/chat-door")).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("x-log-")), "{:?}", answer.headers);
    }
    let told = house.ask("GET", "/usage?capability=llm", "").await.json();
    let counts = |key: Value| -> (u64, u64) {
        let rows = told["rows"].as_array().expect("rows").iter().filter(|row| row["key"] == key);
        let sum = |field: &str| rows.clone().filter_map(|row| row[field].as_u64()).sum();
        (sum("requests"), sum("errors"))
    };
    assert_eq!(counts("voice".into()), (2, 2), "{told:#}");
    assert_eq!(counts("few".into()), (3, 2), "{told:#}");
    assert_eq!(counts(Value::Null), (1, 1), "{told:#}");
    // Nobody asked a model.
    let metrics = house.ask("GET", "/metrics", "").await;
    assert!(!metrics.text().contains("gen_ai_operation_name=\"\""), "{}", metrics.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_last_is_kept_when_the_host_ends_in_order() {
    let standin = Standin::start(Options::default()).expect("it starts");
    let folder = Folder::new();
    let (mut child, base) = start(&folder, &standin, "store = \"file\"", "");
    let http: Http = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let request = Request::post(format!("{base}/embedding")).header("content-type", "application/json");
    let request = request.body(r#"{"text":"x","model":"acme/embed"}"#.into()).expect("a request");
    assert_eq!(crate::jobs_killed::ask(&http, request).await.expect("an answer").0, StatusCode::OK);
    child.signal("TERM");
    assert!(child.wait().success());
    let kinds = std::collections::BTreeMap::from([("usage".to_owned(), Kind::default())]);
    let stores = Stores::open(&Place::File, &kinds, &folder.path().join("hybrid-ai")).expect("the file");
    let usage = stores.get("usage").expect("a store");
    let keys = usage.keys().await.expect("the file");
    let requests = keys.iter().find(|key| key.ends_with("\tembedding\tacme/embed\trequests"));
    assert_eq!(usage.get(requests.unwrap_or_else(|| panic!("{keys:?}"))).await, Ok(Some(b"1".to_vec())));
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_timed_by_opentelemetrys_names_and_the_platform_by_its_own() {
    let standin = Standin::start(Options::default()).expect("it starts");
    let house = in_front_of(&standin, "").await;
    let slow = post(&house, "/llm", &[], &chat("fault/slow-300-chat")).await;
    assert_eq!(slow.status, StatusCode::OK, "{}", slow.text());
    let mut streamed = chat("acme/chat-timed");
    streamed["stream"] = true.into();
    post(&house, "/llm", &[], &streamed).await;
    post(&house, "/llm", &[("x-fallback", "off"), ("x-retries", "0")], &chat("fault/ratelimit-7-chat-timed")).await;
    let text = house.ask("GET", "/metrics", "").await.text().to_owned();
    let value = |family: &str, wanted: &[&str]| -> f64 {
        let found = text.lines().find(|line| line.starts_with(family) && wanted.iter().all(|part| line.contains(part)));
        let line = found.unwrap_or_else(|| panic!("no {family} with {wanted:?} in {text}"));
        line.rsplit_once(' ').expect("a value").1.parse().expect("a number")
    };
    let slow = ["gen_ai_operation_name=\"chat\"", "gen_ai_response_model=\"fault/slow-300-chat\""];
    assert_eq!(value("gen_ai_client_operation_duration_seconds_count{", &slow), 1.0);
    assert!(value("gen_ai_client_operation_duration_seconds_sum{", &slow) >= 0.3);
    assert!(value("gen_ai_client_token_usage_sum{", &[slow[1], "gen_ai_token_type=\"input\""]) > 0.0);
    let streamed = ["gen_ai_request_model=\"acme/chat-timed\"", "gen_ai_provider_name=\"hf-inference\""];
    assert_eq!(value("gen_ai_server_time_to_first_token_seconds_count{", &streamed[..1]), 1.0);
    assert!(value("gen_ai_client_token_usage_sum{", &[streamed[0], "gen_ai_token_type=\"output\""]) > 0.0);
    let limited = ["gen_ai_request_model=\"fault/ratelimit-7-chat-timed\"", "error_type=\"429\""];
    assert_eq!(value("gen_ai_client_operation_duration_seconds_count{", &limited), 1.0);
    // 300 ms of waiting are not the platform's own.
    assert_eq!(value("hybrid_overhead_seconds_count", &[]), 3.0);
    let (own, all) = (value("hybrid_overhead_seconds_sum", &[]), value("hybrid_request_seconds_sum", &[]));
    assert!(own > 0.0 && own + 0.29 < all, "{own} of {all}");
    assert!(text.contains("hybrid_overhead_seconds_bucket{le=\"0.000048\"}"), "{text}");
}

/// A collector of OTLP's JSON: what came, with its headers.
struct Collector {
    url: String,
    seen: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let all = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let all = Arc::clone(&all);
                let service = service_fn(move |request: Request<Incoming>| {
                    let all = Arc::clone(&all);
                    async move {
                        assert_eq!(request.uri().path(), "/v1/traces");
                        let headers = request.headers().clone();
                        let body = request.into_body().collect().await?.to_bytes();
                        let told = serde_json::from_slice(&body).expect("JSON");
                        all.lock().expect("nobody panics holding it").push((headers, told));
                        Ok::<_, hyper::Error>(Response::new(Full::<Bytes>::from("{}")))
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { url, seen }
    }

    /// Every span so far.
    fn spans(&self) -> Vec<Value> {
        let seen = self.seen.lock().expect("nobody panics holding it");
        let spans = |told: &Value| told["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().cloned();
        seen.iter().filter_map(|(_, told)| spans(told)).flatten().collect()
    }
}

fn attribute(span: &Value, name: &str) -> Option<String> {
    let all = span["attributes"].as_array().expect("attributes");
    let value = &all.iter().find(|attribute| attribute["key"] == name)?["value"];
    value["stringValue"].as_str().or_else(|| value["intValue"].as_str()).map(str::to_owned)
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_told_to_the_collector_as_part_of_its_clients_trace() {
    let standin = Standin::start(Options::default()).expect("it starts");
    let collector = Collector::start().await;
    let house = in_front_of(&standin, &format!("[telemetry]\notlp_endpoint = \"{}\"", collector.url)).await;
    let theirs = format!("00-{TRACE}-{PARENT}-01");
    let answer = post(&house, "/llm", &[("traceparent", &theirs)], &chat("acme/chat-traced")).await;
    assert_eq!(answer.status, StatusCode::OK);
    // Whose trace is not kept is not told, and goes on all the same.
    let dropped = format!("00-{TRACE}-{PARENT}-00");
    post(&house, "/llm", &[("traceparent", &dropped)], &chat("acme/chat-dropped")).await;
    // Nobody's trace begins here.
    assert_eq!(house.get("/health").await.status, StatusCode::OK);
    house.registry.traces.as_ref().expect("a collector is named").flush().await;

    let spans = collector.spans();
    let server = spans.iter().find(|span| span["name"] == "POST /llm").expect("the request's span");
    assert_eq!(
        (&server["traceId"], &server["parentSpanId"], &server["kind"]),
        (&TRACE.into(), &PARENT.into(), &2.into())
    );
    for (name, wanted) in [
        ("http.response.status_code", "200"),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.response.model", "acme/chat-traced"),
    ] {
        assert_eq!(attribute(server, name).as_deref(), Some(wanted), "{name}");
    }
    let calls: Vec<&Value> = spans.iter().filter(|span| span["traceId"] == TRACE && span["kind"] == 3).collect();
    assert!(!calls.is_empty() && calls.iter().all(|call| call["parentSpanId"] == server["spanId"]), "{spans:#?}");
    let upstream = standin.requests_for("acme/chat-traced").pop().expect("it was asked");
    let asked = calls.iter().find(|call| {
        upstream.header("traceparent") == format!("00-{TRACE}-{}-01", call["spanId"].as_str().expect("an id"))
    });
    assert!(asked.is_some(), "{} is none of {calls:#?}", upstream.header("traceparent"));
    assert_eq!(standin.requests_for("acme/chat-dropped").pop().expect("it was asked").header("traceparent"), dropped);
    assert!(!spans.iter().any(|span| attribute(span, "gen_ai.response.model").as_deref() == Some("acme/chat-dropped")));
    let health = spans.iter().find(|span| span["name"] == "GET /health").expect("a trace of its own");
    assert!(health.get("parentSpanId").is_none() && health["traceId"] != TRACE, "{health}");
    let text = json!(spans).to_string();
    assert!(!text.contains("one two three") && !text.contains("hf_x"), "content or a key was told");
    let metrics = house.ask("GET", "/metrics", "").await;
    assert!(metrics.text().contains("hybrid_spans_total{outcome=\"dropped\"} 0\n"), "{}", metrics.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_up_nobody() {
    let standin = Standin::start(Options::default()).expect("it starts");
    let house = in_front_of(&standin, "[telemetry]\notlp_endpoint = \"http://127.0.0.1:9\"").await;
    for _ in 0..20 {
        assert_eq!(post(&house, "/llm", &[], &chat("acme/chat-away")).await.status, StatusCode::OK);
    }
    house.registry.traces.as_ref().expect("a collector is named").flush().await;
    let metrics = house.ask("GET", "/metrics", "").await.text().to_owned();
    let dropped = metrics.lines().find_map(|line| line.strip_prefix("hybrid_spans_total{outcome=\"dropped\"} "));
    assert!(dropped.and_then(|count| count.parse::<u32>().ok()).is_some_and(|count| count >= 40), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_collects_a_clients_trace_goes_on_to_upstreams_alone() {
    let standin = Standin::start(Options::default()).expect("it starts");
    let house = in_front_of(&standin, "").await;
    let theirs = format!("00-{TRACE}-{PARENT}-01");
    post(&house, "/llm", &[("traceparent", &theirs), ("tracestate", "other=1")], &chat("acme/chat-on")).await;
    post(&house, "/llm", &[("tracestate", "other=1")], &chat("acme/chat-none")).await;
    post(&house, "/llm", &[("traceparent", "nonsense")], &chat("acme/chat-nonsense")).await;
    let sent = |model: &str| standin.requests_for(model).pop().expect("it was asked").header("traceparent").to_owned();
    assert_eq!((sent("acme/chat-on").as_str(), sent("acme/chat-none").as_str()), (theirs.as_str(), ""));
    assert_eq!(sent("acme/chat-nonsense"), "");
    let state = |model: &str| standin.requests_for(model).pop().expect("it was asked").header("tracestate").to_owned();
    assert_eq!((state("acme/chat-on").as_str(), state("acme/chat-none").as_str()), ("other=1", ""));
    // What lies elsewhere is fetched without it.
    let picture = json!({ "prompt": "a kite", "width": 64, "height": 64, "model": "acme/image-fal" });
    let answer = post(&house, "/image", &[("traceparent", &theirs)], &picture).await;
    assert_eq!(answer.status, StatusCode::OK);
    let requests = standin.requests();
    let sent = |to_files: bool| {
        let all = requests.iter().filter(move |request| request.path.starts_with("/files/") == to_files);
        all.map(|request| request.header("traceparent")).collect::<Vec<_>>()
    };
    // The stand-in's own address is a configured upstream, so its files may be told too; strangers are never: `outbound.rs`.
    assert!(sent(false).contains(&theirs.as_str()));
}

#[tokio::test]
async fn changes_of_components_are_noted_with_their_door_and_their_digests() {
    let (folder, data) = (folder_of_probes(&["one"]), Folder::new());
    let environment = [("HYBRID_DATA_DIR", data.path().to_str().expect("a path"))];
    let house = House::with_environment(folder.path(), &one_probe(""), &environment).await;
    let digest = async || house.ask("GET", "/components", "").await.json()["components"][0]["sha256"].clone();
    let first = digest().await;
    assert_eq!(house.ask("PUT", "/components/one", other_version(1)).await.status, StatusCode::OK);
    let second = digest().await;
    assert_eq!(house.ask("PUT", "/components/one", "no component").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(house.ask("POST", "/components/one/rollback", "").await.status, StatusCode::OK);
    house.watch(folder.path());
    let part = folder.write(".one.part", other_version(2));
    let before = house.version().await;
    std::fs::rename(part, folder.path().join("one.wasm")).expect("renamed");
    house.until_not(&before).await;

    let lines = || -> Vec<Value> {
        let text = std::fs::read_to_string(data.path().join("audit.jsonl")).expect("the audit log");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    // The last is written right after its version serves.
    for _ in 0..100 {
        if lines().len() >= 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told: Vec<(String, String, Value)> = lines()
        .iter()
        .map(|line| {
            assert_eq!(line["subject"], "one");
            assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
            let text = |name: &str| line[name].as_str().expect("text").to_owned();
            (text("action"), text("by"), serde_json::from_str(&text("details")).expect("JSON"))
        })
        .collect();
    let actions: Vec<(&str, &str, &str)> = told
        .iter()
        .map(|(action, by, details)| (action.as_str(), by.as_str(), details["outcome"].as_str().expect("text")))
        .collect();
    assert_eq!(
        actions,
        [
            ("component.put", "admin address", "serving"),
            ("component.put", "admin address", "refused"),
            ("component.rollback", "admin address", "serving"),
            ("component.put", "components' folder", "serving"),
        ]
    );
    assert_eq!((&told[0].2["before"], &told[0].2["after"], &told[0].2["asked"]), (&first, &second, &second));
    assert_eq!((&told[1].2["before"], &told[1].2["after"]), (&second, &second));
    assert!(told[1].2["reason"].is_string() && told[1].2["asked"] != second);
    assert_eq!((&told[2].2["before"], &told[2].2["after"]), (&second, &first));
}

#[tokio::test]
async fn limits_that_the_runtime_keeps_are_counted_too() {
    let folder = folder_of_probes(&["one"]);
    let limits = "[limits]\nrandom_bytes = 1000\nhandles = 200\nheaders = 50\nhostcall_bytes = 500000\n";
    let house = House::of(folder.path(), &one_probe(limits)).await;
    for (path, component, limit) in [
        ("/random?100000", "one", "random_bytes"),
        ("/handles?5000", "one", "handles"),
        ("/field?300000", "one", "header_bytes"),
        ("/field?600000", "one", "hostcall_bytes"),
        ("/fields?60", "", "headers"),
    ] {
        let _ = house.get(path).await;
        let line = format!("hybrid_limit_hits_total{{component=\"{component}\",limit=\"{limit}\"}} 1\n");
        let metrics = house.ask("GET", "/metrics", "").await;
        assert!(metrics.text().contains(&line), "{path}: {}", metrics.text());
    }
    let mut many = Request::get(format!("{}/hello", house.base));
    for number in 0..50 {
        many = many.header(format!("x-{number}"), "1");
    }
    house.send(many.body(Full::default()).expect("a request")).await;
    let metrics = house.ask("GET", "/metrics", "").await;
    assert!(metrics.text().contains("{component=\"\",limit=\"headers\"} 2\n"), "{}", metrics.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_by_the_head_may_end_its_body_and_ask_again() {
    let house = House::of(&built(), "store = \"memory\"\n[settings]\nrequire_key = true\n").await;
    for length in [200_000, 10] {
        let mut stream = TcpStream::connect(house.authority()).await.expect("a connection");
        let head = format!(
            "POST /llm HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("the head");
        // By now the refusal is there; a client that does not look yet goes on.
        tokio::time::sleep(Duration::from_millis(300)).await;
        for piece in vec![b'x'; length].chunks(20_000) {
            stream.write_all(piece).await.expect("the body is taken");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stream
            .write_all(b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .await
            .expect("the next request");
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).await.expect("both answers");
        let answers = String::from_utf8_lossy(&answers);
        assert!(answers.starts_with("HTTP/1.1 401"), "{answers}");
        assert!(answers.contains("HTTP/1.1 200"), "{answers}");
    }
    // Nobody reads for ever, and a connection is not taken as quiet while it happens, whenever that ends.
    let authority = house.authority();
    let clients = (0..48).map(|number| async move {
        let mut stream = TcpStream::connect(authority).await.expect("a connection");
        tokio::time::sleep(Duration::from_micros(200 * number)).await;
        let head = b"POST /llm HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n";
        stream.write_all(head).await.expect("the head");
        let mut answer = Vec::new();
        let all = stream.read_to_end(&mut answer);
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("it is closed").expect("read");
        assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 401"));
    });
    futures::future::join_all(clients).await;
}
