//! Trying again, and trying others.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::House;
use crate::cases::answers::{is_good, plain_requests, with_model};

/// A word of the model's name for each route, so that the stand-in knows the task.
pub(super) fn task(path: &str) -> &str {
    match path {
        "/edit-image" => "edit",
        "/tts" => "tts",
        "/llm" => "chat",
        "/embedding" => "embed",
        _ => "image",
    }
}

pub(super) async fn transient_failures_are_tried_again(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    for status in [500, 502, 503, 504, 429] {
        for (path, mut body) in plain_requests() {
            let model = format!("fault/fail-2-{status}-{}", task(path));
            body["model"] = model.as_str().into();
            let reply = house.post(path, &body).await?;
            is_good(path, &reply).with_context(|| model.clone())?;
            reply.says("x-model", &model)?.says("x-attempts", "3")?.says("x-fallback-index", "0")?;
            ensure!(house.standin.requests_for(&model).len() == 3, "`{model}` was not asked three times");
        }
    }
    let body = json!({ "text": "hello", "model": "fault/loading-tts" });
    house.post("/tts", &body).await?.is(200)?.says("x-attempts", "2")?;
    Ok(())
}

pub(super) async fn the_next_model_answers(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    for (path, mut body) in plain_requests() {
        let model = format!("fault/always-503-{}", task(path));
        body["model"] = model.as_str().into();
        let reply = house.post(path, &body).await?;
        is_good(path, &reply).with_context(|| path)?;
        reply.says("x-attempts", "4")?.says("x-fallback-index", "1")?.says("x-placeholder", "")?;
        ensure!(reply.header("x-model") != model, "the broken model answered");
        ensure!(house.standin.requests_for(&model).len() == 3, "`{model}` was not asked three times");
    }
    Ok(())
}

pub(super) async fn models_that_are_gone_are_not_tried_again(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    for fault in ["unserved", "gone", "always-404"] {
        for (path, mut body) in plain_requests() {
            let model = format!("fault/{fault}-{}", task(path));
            body["model"] = model.as_str().into();
            let reply = house.post(path, &body).await?;
            is_good(path, &reply).with_context(|| model.clone())?;
            // The Hub has told of the others that nobody serves them.
            let called = path == "/llm" || fault == "always-404";
            reply.says("x-attempts", if called { "2" } else { "1" })?.says("x-fallback-index", "1")?;
            let reply = house.post_with(path, &[("x-fallback", "off")], &body).await?;
            reply.refuses(404, "model_not_found")?;
        }
    }
    Ok(())
}

pub(super) async fn fallback_can_be_off_or_named(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    for (path, body) in with_model("fault/always-503") {
        let reply = house.post_with(path, &[("x-fallback", "off")], &body).await?;
        reply.refuses(503, "huggingface_api_error")?;
        reply.says("x-attempts", "3")?;
    }
    let body = json!({ "text": "hello", "model": "fault/always-404-embed-named" });
    let named = [("x-fallback", "fault/always-404-embed-2, acme/embed-named")];
    let reply = house.post_with("/embedding", &named, &body).await?;
    reply.is(200)?.says("x-model", "acme/embed-named")?.says("x-fallback-index", "2")?.says("x-attempts", "3")?;
    Ok(())
}

pub(super) async fn refusals_are_not_tried_again(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    for status in [400, 422] {
        let model = format!("fault/always-{status}");
        for (path, body) in with_model(&model) {
            let reply = house.post(path, &body).await?;
            reply.refuses(400, "huggingface_api_error")?;
            reply.says("x-attempts", "1")?;
        }
        ensure!(house.standin.requests_for(&model).len() == 5, "a refusal was tried again");
    }
    ensure!(house.standin.requests().len() == 10, "another model was asked");
    Ok(())
}

pub(super) async fn credentials_are_the_operators_business(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    for status in [401, 402, 403] {
        let body = json!({ "text": "hello", "model": format!("fault/always-{status}-tts") });
        let reply = house.post("/tts", &body).await?;
        reply.refuses(502, "huggingface_api_error")?;
        reply.says("x-attempts", "1")?;
        ensure!(!String::from_utf8_lossy(&reply.body).contains("hf_"), "a token is told");
    }
    ensure!(house.standin.requests().len() == 3, "another model was asked with the same credentials");
    Ok(())
}

pub(super) async fn rate_limits_are_passed_on(house: &House<'_>) -> Result<()> {
    let body = json!({ "text": "hello", "model": "fault/ratelimit-7-tts" });
    let started = Instant::now();
    let reply = house.post_with("/tts", &[("x-fallback", "off"), ("x-retries", "0")], &body).await?;
    reply.refuses(429, "rate_limited")?;
    reply.says("retry-after", "7")?.says("x-attempts", "1")?;
    ensure!(started.elapsed() < Duration::from_secs(3), "it waited for nothing");
    // A limit that ends in time is waited for.
    let body = json!({ "text": "hello", "model": "fault/ratelimit-1-1-tts" });
    let started = Instant::now();
    house.post("/tts", &body).await?.is(200)?.says("x-attempts", "2")?;
    ensure!(started.elapsed() >= Duration::from_millis(900), "`Retry-After` was not honoured");
    Ok(())
}

pub(super) async fn the_deadline_holds(house: &House<'_>) -> Result<()> {
    for (path, body) in with_model("fault/hang") {
        let started = Instant::now();
        let reply = house.post_with(path, &[("x-timeout-ms", "400")], &body).await?;
        reply.refuses(504, "timeout")?;
        let took = started.elapsed();
        ensure!((Duration::from_millis(350)..Duration::from_secs(5)).contains(&took), "{path} took {took:?}");
    }
    // Nobody waits any longer, so nobody upstream need work.
    let until = Instant::now() + Duration::from_secs(5);
    while house.standin.in_flight() > 0 {
        ensure!(Instant::now() < until, "{} calls go on upstream", house.standin.in_flight());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let body = json!({ "text": "hello", "model": "fault/slow-300-embed" });
    house.post_with("/embedding", &[("x-timeout-ms", "5000")], &body).await?.is(200)?.says("x-attempts", "1")?;
    Ok(())
}

pub(super) async fn retries_can_be_chosen(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    for (retries, attempts) in [("0", "1"), ("1", "2"), ("4", "5")] {
        let body = json!({ "text": "hello", "model": format!("fault/always-500-tts-{retries}") });
        let reply = house.post_with("/tts", &[("x-fallback", "off"), ("x-retries", retries)], &body).await?;
        reply.refuses(503, "huggingface_api_error")?;
        reply.says("x-attempts", attempts)?;
    }
    Ok(())
}
