//! Answers kept for who asks the same.

use http::StatusCode;
use hybrid_ai::keys;
use serde_json::{Value, json};

use crate::house::{Answer, Folder, House, assert_uniform};
use crate::jobs::{LATER, Platform, embed};
use crate::keys::{built, wanted};

const USE: (&str, &str) = ("x-cache", "use");

fn said(answer: &Answer) -> &str {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.headers.get("x-cache").map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_is_asked_once() {
    let platform = Platform::new("").await;
    let ask = async |headers: &[(&str, &str)], body: &str| {
        platform.house.post_with("/embedding", headers, body.to_owned()).await
    };
    let asked = || platform.standin.requests_for("acme/embed").len();
    let body = embed("hello", "acme/embed").to_string();
    let first = ask(&[USE], &body).await;
    let second = ask(&[USE], r#"{ "text": "hello", "model": "acme/embed" }"#).await;
    assert_eq!((said(&first), said(&second)), ("miss", "hit"));
    assert!(first.body == second.body && first.headers["x-model"] == second.headers["x-model"]);
    assert!(second.headers["x-components"].to_str().expect("text").contains("embedding@"));
    assert!(second.headers.keys().all(|name| !name.as_str().starts_with("x-log-")), "{:?}", second.headers);
    assert_eq!(asked(), 1);
    // Who does not ask for it gets a new one, and so does who asks something else, or for something younger.
    assert_eq!(said(&ask(&[], &body).await), "");
    assert_eq!(said(&ask(&[USE, ("x-cache-ttl", "0")], &body).await), "miss");
    assert_eq!(said(&ask(&[USE], &embed("other", "acme/embed").to_string()).await), "miss");
    assert_eq!(said(&ask(&[USE, ("x-fallback", "off")], &body).await), "miss");
    assert_eq!(asked(), 5);
    let metrics = platform.house.ask("GET", "/metrics", "").await;
    assert!(metrics.text().contains("hybrid_cache_answers_total{outcome=\"hit\"} 1\n"), "{}", metrics.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_it_that_nobody_understands_is_refused() {
    for used in ["asked", "always", "never"] {
        let platform = Platform::new(&format!("[cache]\nuse = \"{used}\"")).await;
        let ask = async |path: &str, headers: &[(&str, &str)]| {
            let body = json!({ "text": "hello", "input": "hello", "model": "acme/embed" });
            platform.house.post_with(path, headers, body.to_string()).await
        };
        let word = [("x-cache", "bypass")];
        let ttl = [USE, ("x-cache-ttl", "soon")];
        for (headers, name, rule) in [
            (&word[..], "x-cache", "must be `use` or `no-store`"),
            (&[("x-cache", "")], "x-cache", "must be `use` or `no-store`"),
            (&[word[0], LATER], "x-cache", "must be `use` or `no-store`"),
            (&ttl, "x-cache-ttl", "must be a whole number of seconds"),
            (&ttl[1..], "x-cache-ttl", "must be a whole number of seconds"),
        ] {
            let message = format!("`{name}` {rule}");
            let refused = ask("/embedding", headers).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{used} {headers:?}");
            assert_uniform(&refused, "validation_error");
            let body = refused.json();
            assert_eq!((&body["message"], &body["details"]), (&json!(message), &json!({ name: rule })));
            let refused = ask("/v1/embeddings", headers).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{used} {headers:?}");
            let error = refused.json()["error"].clone();
            assert_eq!((&error["type"], &error["param"]), (&json!("invalid_request_error"), &json!(name)));
            assert_eq!(error["message"], json!(message));
        }
        assert!(platform.standin.requests().is_empty());
        for headers in [USE, ("x-cache", " No-Store "), ("x-cache-ttl", "5")] {
            assert_eq!(ask("/embedding", &[headers]).await.status, StatusCode::OK, "{used} {headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_requests_at_once_fly_together() {
    let platform = Platform::new("").await;
    let model = "fault/slow-300-embed";
    let body = embed("hello", model).to_string();
    let answers =
        futures::future::join_all((0..12).map(|_| platform.house.post_with("/embedding", &[USE], body.clone()))).await;
    assert_eq!(platform.standin.requests_for(model).len(), 1);
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK && answer.body == answers[0].body));
    assert_eq!(answers.iter().filter(|answer| said(answer) == "miss").count(), 1);
    assert_eq!(platform.standin.in_flight(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_would_be_the_same_is_kept() {
    let platform = Platform::new("[cache]\nuse = \"always\"").await;
    let chat = |more: Value| {
        let mut body = json!({ "messages": [{ "role": "user", "content": "hi" }], "model": "acme/chat" });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let picture = |more: Value| {
        let mut body = json!({ "prompt": "a kite", "width": 64, "height": 64, "model": "acme/image" });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    for (path, body, kept) in [
        ("/llm", chat(json!({ "temperature": 0 })), true),
        ("/llm", chat(json!({ "temperature": 0.5 })), false),
        ("/llm", chat(json!({})), false),
        ("/llm", chat(json!({ "temperature": 0, "stream": true })), false),
        ("/v1/chat/completions", chat(json!({ "temperature": 0.0 })), true),
        ("/image", picture(json!({ "seed": 7 })), true),
        ("/image", picture(json!({})), false),
        ("/tts", json!({ "text": "hello", "model": "acme/tts" }), true),
        ("/v1/embeddings", json!({ "input": ["a", "b"], "model": "acme/embed" }), true),
    ] {
        let (first, second) = (
            platform.house.post_with(path, &[], body.to_string()).await,
            platform.house.post_with(path, &[], body.to_string()).await,
        );
        let wanted = if kept { ("miss", "hit") } else { ("bypass", "bypass") };
        assert_eq!((said(&first), said(&second)), wanted, "{path} {body}");
        assert!(first.body == second.body || !kept, "{path} {body}");
        let third = platform.house.post_with(path, &[("x-cache", "no-store")], body.to_string()).await;
        assert_eq!(said(&third), "", "{path} {body}");
    }
    // A failure is not kept, nor is what another model answered.
    let failing = embed("x", "fault/fail-1-503-cache").to_string();
    let off = [("x-fallback", "off"), ("x-retries", "0")];
    assert_eq!(
        platform.house.post_with("/embedding", &off, failing.clone()).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(said(&platform.house.post_with("/embedding", &off, failing).await), "miss");
    let down = embed("x", "fault/always-503-cache").to_string();
    let instead = [("x-fallback", "acme/embed"), ("x-retries", "0")];
    for _ in 0..2 {
        let answer = platform.house.post_with("/embedding", &instead, down.clone()).await;
        assert_eq!((said(&answer), &answer.headers["x-fallback-index"]), ("bypass", &"1".parse().expect("a value")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_was_answered_another_does_not_get_unless_it_is_shared() {
    for (shared, wanted_of_other) in [("false", "miss"), ("true", "hit")] {
        let platform = Platform::new(&format!("[cache]\nshared = {shared}")).await;
        let stores = platform.house.registry.stores();
        let (one, _) = keys::create(stores, wanted("one", &[])).await.expect("a key");
        let (other, _) = keys::create(stores, wanted("other", &[("requests_per_minute", 1)])).await.expect("a key");
        let ask = async |key: &str| {
            platform
                .house
                .post_with("/embedding", &[USE, ("x-api-key", key)], embed("x", "acme/embed").to_string())
                .await
        };
        assert_eq!(said(&ask(&one).await), "miss");
        assert_eq!(said(&ask(&other).await), wanted_of_other);
        // A kept answer is one's own to ask for: keys and limits come first.
        assert_eq!(ask(&other).await.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(ask("wrong").await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_empties_it() {
    let folder = Folder::new();
    for entry in built().read_dir().expect("the components") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            std::fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
    let house = House::of(folder.path(), "").await;
    let ask = async || house.post_with("/embedding", &[USE], r#"{"text":"hello","model":"local/hashed-words"}"#).await;
    let (first, second) = (ask().await, ask().await);
    assert_eq!((said(&first), said(&second)), ("miss", "hit"));
    // The same component with another custom section.
    let mut bytes = std::fs::read(folder.path().join("embedding.wasm")).expect("a component");
    bytes.extend_from_slice(&[0, 4, 2, b'v', b'_', 7]);
    let swapped = house.ask("PUT", "/components/embedding", bytes).await;
    assert_eq!(swapped.status, StatusCode::OK, "{}", swapped.text());
    assert_eq!((said(&ask().await), said(&ask().await)), ("miss", "hit"));
}
