//! The model table: services of the operator's own, and where each capability may be answered.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use standin::{Options, Standin};

use crate::contract::built;
use crate::house::{Answer, Folder, House, assert_uniform};

const OFF: (&str, &str) = ("x-fallback", "off");

async fn post(house: &House, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let mut request = http::Request::post(format!("{}{path}", house.base)).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    house.send(request.body(body.to_string().into()).expect("a request")).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn hello(model: &str) -> Value {
    json!({ "messages": [{ "role": "user", "content": "one two three" }], "model": model })
}

/// A house with this model table.
async fn with_table(folder: &Folder, table: &str, settings: &str, environment: &[(&str, &str)]) -> House {
    let file = folder.write("models.toml", table);
    let settings = format!("models_file = {:?}\n{settings}", file.display().to_string());
    House::with_environment(&built(), &settings, environment).await
}

#[tokio::test(flavor = "multi_thread")]
async fn services_of_ones_own_answer_without_a_key_of_hugging_face_s() {
    let standin =
        Standin::start(Options { key: Some("box-secret".to_owned()), ..Options::default() }).expect("it starts");
    let url = standin.url();
    let table = format!(
        "[aliases]\nmine = \"box/chat-small\"\n[endpoints.box]\nurl = \"{url}/box/v1\"\nsecret = \"box_key\"\n\
         [endpoints.vectors]\nurl = \"{url}\"\napi = \"tei\"\nsecret = \"box_key\"\n\
         [models.\"acme/pictures\"]\nendpoint = \"box\"\nid = \"image-big\"\n\
         [capabilities.llm]\nmodels = [\"box/chat-default\"]\n"
    );
    let folder = Folder::new();
    let house = with_table(&folder, &table, "", &[("BOX_KEY", "box-secret")]).await;

    let answer = post(&house, "/llm", &[OFF], &hello("box/chat-small")).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "x-provider")), (200, "box"), "{}", answer.text());
    assert_eq!(answer.json()["response"], "You said: one two three");
    let asked = standin.requests().pop().expect("it was asked");
    assert_eq!(
        (asked.json()["model"].as_str(), asked.header("authorization")),
        (Some("chat-small"), "Bearer box-secret")
    );
    let mut plain = hello("");
    plain.as_object_mut().expect("an object").remove("model");
    let answer = post(&house, "/llm", &[OFF], &plain).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "x-model")), (200, "box/chat-default"));

    // An alias has no owner, in the plan's API as in OpenAI's.
    for path in ["/llm", "/v1/chat/completions"] {
        let answer = post(&house, path, &[OFF], &hello("mine")).await;
        assert_eq!((answer.status.as_u16(), header(&answer, "x-model")), (200, "box/chat-small"), "{}", answer.text());
    }
    assert_uniform(&post(&house, "/llm", &[OFF], &hello("theirs")).await, "validation_error");

    for (path, body, provider) in [
        ("/embedding", json!({ "text": "hello", "model": "box/embed" }), "box"),
        ("/embedding", json!({ "text": "hello", "model": "vectors/minilm" }), "vectors"),
        ("/image", json!({ "prompt": "a kite", "width": 64, "height": 64, "model": "acme/pictures" }), "box"),
        ("/tts", json!({ "text": "hello", "model": "box/tts" }), "box"),
    ] {
        let answer = post(&house, path, &[OFF], &body).await;
        assert_eq!((answer.status.as_u16(), header(&answer, "x-provider")), (200, provider), "{path} {body}");
    }
    // Without a key there is nobody at Hugging Face, and the stand-in answers.
    let answer = post(&house, "/tts", &[], &json!({ "text": "hello" })).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "x-provider")), (200, "local"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_capability_is_answered_where_the_operator_says() {
    let standin = Standin::start(Options::default()).expect("it starts");
    let url = standin.url();
    let settings = format!(
        "[settings]\nhf_base_url = \"{url}\"\nhf_hub_url = \"{url}\"\nretry_initial_ms = 10\n[choice]\nllm = \"local\"\ntts = \"remote\"\n"
    );
    let house = House::with_environment(&built(), &settings, &[("HF_API_KEY", "hf_x")]).await;
    let answer = post(&house, "/llm", &[], &hello("openai/gpt-oss-20b")).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "x-provider")), (200, "local"), "{}", answer.text());
    assert_eq!(header(&answer, "x-placeholder"), "true");
    assert_uniform(&post(&house, "/llm", &[OFF], &hello("openai/gpt-oss-20b")).await, "huggingface_api_error");
    assert!(standin.requests().is_empty(), "a service was asked");
    let answer = post(&house, "/tts", &[], &json!({ "text": "hello", "model": "local/klatt-en" })).await;
    assert_ne!(header(&answer, "x-provider"), "local", "{}", answer.status);

    // `remote` without a key stays without an answer.
    let house = House::with_environment(&built(), "[choice]\nembedding = \"remote\"", &[]).await;
    let answer = post(&house, "/embedding", &[], &json!({ "text": "hello" })).await;
    assert_eq!(answer.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circuit_closes_again_when_the_upstream_is_back() {
    let standin = Standin::start(Options::default()).expect("it starts");
    let url = standin.url();
    let settings = format!(
        "[settings]\nhf_base_url = \"{url}\"\nhf_hub_url = \"{url}\"\nretry_attempts = 1\nnot_served_ms = 1\nbreaker_failures = 3\nbreaker_open_ms = 300\n"
    );
    let house = House::with_environment(&built(), &settings, &[("HF_API_KEY", "hf_x")]).await;
    // Down for its first eight calls: the probes that fail are among them.
    let body = json!({ "text": "hello", "model": "fault/fail-8-500-embed" });
    let deadline = Instant::now() + Duration::from_secs(40);
    let mut spared = 0;
    loop {
        let answer = post(&house, "/embedding", &[OFF], &body).await;
        match answer.status.as_u16() {
            200 => break,
            503 => spared += usize::from(header(&answer, "x-attempts").is_empty()),
            other => panic!("{other}: {}", answer.text()),
        }
        assert!(Instant::now() < deadline, "it stays open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(spared > 0, "no request was spared");
    assert_eq!(standin.requests_for("fault/fail-8-500-embed").len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_offered_is_told_with_how_it_does() {
    let standin = Standin::start(Options::default()).expect("it starts");
    let url = standin.url();
    let settings = format!(
        "[settings]\nhf_base_url = \"{url}\"\nhf_hub_url = \"{url}\"\nretry_attempts = 1\nbreaker_failures = 2\n"
    );
    let folder = Folder::new();
    let table =
        "[capabilities.embedding]\nmodels = [\"acme/embed\", \"fault/always-500-embed\", \"fault/unserved-embed\"]\n";
    let house = with_table(&folder, table, &settings, &[("HF_API_KEY", "hf_x")]).await;
    let states = async || -> Vec<(String, String)> {
        let offered = house.get("/models").await.json();
        let models = offered["capabilities"]["embedding"]["models"].as_array().expect("models").clone();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        models.iter().take(3).map(|model| (word(&model["id"]), word(&model["state"]))).collect()
    };
    assert!(states().await.iter().all(|(_, state)| state == "unknown"));
    // An instance counts for itself, and a client that is quick meets another one now and then.
    let failing = ["fault/always-500-embed"; 8];
    for model in ["acme/embed", "fault/unserved-embed"].into_iter().chain(failing) {
        post(&house, "/embedding", &[OFF], &json!({ "text": "hello", "model": model })).await;
    }
    let wanted =
        [("acme/embed", "served"), ("fault/always-500-embed", "circuit_open"), ("fault/unserved-embed", "not_served")];
    assert_eq!(states().await, wanted.map(|(model, state)| (model.to_owned(), state.to_owned())));
    // What one instance has learned, all know: no other asks the upstream again, nor the Hub.
    let before = (standin.requests().len(), standin.lookups().len());
    let ask = async |model: &str| {
        post(&house, "/embedding", &[OFF], &json!({ "text": "hello", "model": model })).await.status
    };
    let many = futures::future::join_all((0..32).map(|_| ask("fault/always-500-embed"))).await;
    assert!(many.iter().all(|status| status.as_u16() == 503), "{many:?}");
    futures::future::join_all((0..32).map(|_| ask("fault/unserved-embed"))).await;
    assert_eq!((standin.requests().len(), standin.lookups().len()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_ends_the_work_upstream() {
    let standin = Standin::start(Options::default()).expect("it starts");
    let url = standin.url();
    let settings = format!("[settings]\nhf_base_url = \"{url}\"\nhf_hub_url = \"{url}\"\n");
    let house = House::with_environment(&built(), &settings, &[("HF_API_KEY", "hf_x")]).await;
    for (path, body) in [
        ("/llm", hello("fault/hang-chat")),
        ("/llm", {
            let mut body = hello("fault/hang-chat");
            body["stream"] = true.into();
            body
        }),
        ("/embedding", json!({ "text": "hello", "model": "fault/hang-embed" })),
        ("/tts", json!({ "text": "hello", "model": "fault/hang-tts" })),
        ("/image", json!({ "prompt": "a kite", "width": 64, "height": 64, "model": "fault/hang-image" })),
    ] {
        let asking = post(&house, path, &[], &body);
        let left = tokio::time::timeout(Duration::from_millis(500), asking).await;
        assert!(left.is_err(), "{path} was answered");
        let until = Instant::now() + Duration::from_secs(10);
        while standin.in_flight() > 0 {
            assert!(Instant::now() < until, "{path}: the call goes on upstream");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(standin.requests().len(), 5, "each was asked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_answers_are_hedged_where_the_operator_says() {
    const AFTER: Duration = Duration::from_millis(700);
    let standin = Standin::start(Options::default()).expect("it starts");
    let url = standin.url();
    let settings = format!("[settings]\nhf_base_url = \"{url}\"\nhf_hub_url = \"{url}\"\n");
    let folder = Folder::new();
    let table = "[capabilities.embedding]\nhedge_ms = 700\n[capabilities.stt]\nhedge_ms = 700\n";
    let house = with_table(&folder, table, &settings, &[("HF_API_KEY", "hf_x")]).await;
    let speech = post(&house, "/tts", &[OFF], &json!({ "text": "hello", "model": "acme/tts-wav" })).await.body;
    let text = json!({ "text": "hello", "model": "fault/late-1-30000-embed" }).to_string().into();
    for (path, model, kind, body) in [
        ("/embedding", "fault/late-1-30000-embed", "application/json", text),
        ("/stt?model=fault/late-1-30000-stt", "fault/late-1-30000-stt", "audio/wav", speech),
    ] {
        let headers = [OFF, ("content-type", kind)];
        let asking = house.post_with(path, &headers, body);
        let watching = async {
            let mut came = Vec::new();
            while came.len() < 2 {
                if standin.requests_for(model).len() > came.len() {
                    came.push(Instant::now());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            came[1] - came[0]
        };
        let both = async { tokio::join!(asking, watching) };
        let (answer, between) = tokio::time::timeout(Duration::from_secs(20), both).await.expect("it is asked twice");
        // The second one's answer is taken, of which the first has no part: it would take half a minute.
        assert_eq!((answer.status.as_u16(), header(&answer, "x-attempts")), (200, "2"), "{path} {}", answer.text());
        assert!(between > AFTER - Duration::from_millis(100), "{path}: the second came after {between:?}");
        let until = Instant::now() + Duration::from_secs(10);
        while standin.in_flight() > 0 {
            assert!(Instant::now() < until, "{path}: the first call goes on upstream");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(standin.requests_for(model).len(), 2, "{path}");
    }
    // Who answers in time is asked once.
    let soon = json!({ "text": "hello", "model": "fault/slow-100-embed" });
    assert_eq!(header(&post(&house, "/embedding", &[OFF], &soon).await, "x-attempts"), "1");
    assert_eq!(standin.requests_for("fault/slow-100-embed").len(), 1);
}
