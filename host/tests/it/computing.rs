//! What is known to compute begins where that holds up nobody, and is forgotten again.

use http::StatusCode;
use serde_json::json;

use crate::contract::built;
use crate::house::{House, folder_of_probes, one_probe};

/// Requests that left their lane for a component, by whether it was known to compute.
async fn left(house: &House, component: &str, known: &str) -> u64 {
    let metrics = house.ask("GET", "/metrics", "").await;
    let family = format!("hybrid_computing_total{{component=\"{component}\",known=\"{known}\"}} ");
    metrics.text().lines().find_map(|line| line.strip_prefix(&family)?.parse().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_component_is_known_by_two_requests_and_forgotten_by_others() {
    let folder = folder_of_probes(&["one"]);
    let house = House::of(folder.path(), &one_probe("limits = { cpu_ms = 100 }\n")).await;
    for _ in 0..4 {
        assert_eq!(house.get("/loop").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert_eq!((left(&house, "one", "no").await, left(&house, "one", "yes").await), (2, 2));
    let hello = async || {
        for _ in 0..8 {
            assert_eq!(house.get("/hello").await.text(), "hello");
        }
        left(&house, "one", "yes").await
    };
    // The first of them have to show it.
    let forgotten = hello().await;
    assert!(forgotten > 2);
    assert_eq!((left(&house, "one", "no").await, hello().await), (2, forgotten));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_leaves_before_a_component_that_computes_and_those_around_it_are_not_to_blame() {
    let house = House::of(&built(), "").await;
    let text = "The tide comes in, and the tide goes out. ".repeat(40);
    for _ in 0..5 {
        let answer = house.post("/tts", json!({ "text": text }).to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    let others = ["gate", "router", "tts"];
    assert!(left(&house, "local-tts", "yes").await >= 2);
    for other in others {
        assert_eq!(left(&house, other, "yes").await, 0, "{other}");
    }
    // Somebody else's request stays where it is.
    let before = left(&house, "local-tts", "yes").await;
    let chat = json!({ "messages": [{ "role": "user", "content": "hello" }] });
    assert_eq!(house.post("/llm", chat.to_string()).await.status, StatusCode::OK);
    assert_eq!(left(&house, "local-tts", "yes").await, before);
}
