//! A component that computes is worked with apart from the requests that call it, on every core.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::contract::built;
use crate::house::{Answer, House, assert_uniform};

async fn post(house: &House, path: &str, body: &Value) -> Answer {
    let request = http::Request::post(format!("{}{path}", house.base))
        .header("content-type", "application/json")
        .body(body.to_string().into())
        .expect("a request");
    house.send(request).await
}

fn text(number: usize) -> String {
    format!("text {number}: {}", "the tide comes in and goes out again, ".repeat(number % 5))
}

async fn list(house: &House, count: usize) -> Answer {
    let texts: Vec<String> = (0..count).map(text).collect();
    post(house, "/v1/embeddings", &json!({ "input": texts, "model": "local/all-MiniLM-L6-v2" })).await
}

/// A sample of `/metrics` by the beginning of its line.
async fn sample(house: &House, begin: &str) -> u64 {
    let metrics = house.ask("GET", "/metrics", "").await;
    metrics.text().lines().find_map(|line| line.strip_prefix(begin)?.trim().parse().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_texts_of_one_list_are_worked_on_in_several_stores() {
    let house = House::of(&built(), "").await;
    let whole = list(&house, 41).await;
    assert_eq!(whole.status, StatusCode::OK, "{}", whole.text());
    let components = whole.headers["x-components"].to_str().expect("text");
    let names: Vec<&str> = components.split(',').map(|one| one.split('@').next().unwrap_or_default()).collect();
    assert_eq!(names.iter().filter(|name| **name == "local-embedding").count(), 1, "{components}");
    assert!(!whole.headers.contains_key("x-placeholder"));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let made = sample(&house, "hybrid_component_instances_total{component=\"local-embedding\"} ").await;
    assert_eq!(made, cores.min(8) as u64, "instances on {cores} cores");
    // At rest one is enough; the other store is that of the request.
    let one_is_left = async {
        while house.registry.idle() != 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), one_is_left).await.unwrap_or_else(|_| {
        panic!("{} stores wait", house.registry.idle());
    });

    let whole = whole.json();
    let rows = whole["data"].as_array().expect("vectors");
    let mut tokens = 0;
    for (number, row) in rows.iter().enumerate() {
        let one = post(&house, "/v1/embeddings", &json!({ "input": text(number), "model": "local/all-MiniLM-L6-v2" }))
            .await
            .json();
        assert_eq!((&row["index"], &row["embedding"]), (&json!(number), &one["data"][0]["embedding"]));
        tokens += one["usage"]["total_tokens"].as_u64().expect("a count");
    }
    assert_eq!((rows.len(), &whole["usage"]["total_tokens"]), (41, &json!(tokens)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_all_calls_of_a_request_is_the_requests() {
    // No part of the list takes so long alone.
    let limits = "[components.local-embedding.limits]\ncpu_ms = 200\n";
    let house = House::of(&built(), limits).await;
    assert_eq!(list(&house, 5).await.status, StatusCode::OK);
    assert_uniform_v1(&list(&house, 400).await);
    // Two calls may meet it at once.
    assert!(sample(&house, "hybrid_limit_hits_total{component=\"local-embedding\",limit=\"cpu\"} ").await >= 1);
    assert_eq!(list(&house, 5).await.status, StatusCode::OK);
}

/// The host's refusal in the form of OpenAI's API.
fn assert_uniform_v1(answer: &Answer) {
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (StatusCode::INTERNAL_SERVER_ERROR, &json!("internal_error"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_apart_costs_the_request_that_called() {
    // The model's own memory, and next to nothing for a long text.
    let house = House::of(&built(), "[components.local-embedding.limits]\nmemory_bytes = 33554432\n").await;
    let long = json!({ "text": "many words ".repeat(300) });
    let broken = post(&house, "/embedding", &long).await;
    assert_uniform(&broken, "internal_error");
    assert_eq!(sample(&house, "hybrid_component_traps_total{component=\"local-embedding\"} ").await, 1);
    assert_eq!(post(&house, "/embedding", &json!({ "text": "tide" })).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_ends_the_calls_apart() {
    let house = House::of(&built(), "").await;
    let list = list(&house, 2000);
    assert!(tokio::time::timeout(Duration::from_millis(100), list).await.is_err(), "it was done at once");
    let calls = || sample(&house, "hybrid_component_call_seconds_count{component=\"local-embedding\"} ");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = calls().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(calls().await, before);
}
