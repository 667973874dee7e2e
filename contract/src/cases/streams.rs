//! Answers that come piece by piece.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::House;
use crate::house::Event;

/// The two routes, which keep the same promises in two forms.
const ROUTES: [&str; 2] = ["/llm", "/v1/chat/completions"];

fn asked(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "one two three" }], "stream": true })
}

/// The text of the events, in either form.
fn said(events: &[Event]) -> String {
    let text = |event: &Event| {
        let data: Value = serde_json::from_str(&event.data).ok()?;
        let text = data["response"].as_str().or(data["choices"][0]["delta"]["content"].as_str())?;
        Some(text.to_owned())
    };
    events.iter().filter_map(text).collect()
}

fn is_done(path: &str, events: &[Event]) -> bool {
    let Some(last) = events.last() else { return false };
    if path == "/llm" { last.json().is_ok_and(|data| data["done"] == true) } else { last.data == "[DONE]" }
}

fn is_error(path: &str, event: &Event) -> bool {
    let Ok(data) = event.json() else { return false };
    let code = if path == "/llm" { &data["error"] } else { &data["error"]["code"] };
    event.name == "error" && code.is_string()
}

pub(super) async fn events_come_as_the_model_speaks(house: &House<'_>) -> Result<()> {
    for path in ROUTES {
        let mut body = asked("fault/stream-slow-120");
        body["stream_options"] = json!({ "include_usage": true });
        let mut events = house.events(path, &[], &body).await?;
        events.reply.is(200)?.is_of("text/event-stream")?;
        events.reply.says("x-model", "fault/stream-slow-120")?.says("cache-control", "no-cache")?;
        let first = events.next().await?.context("an event")?;
        let mut all = vec![first];
        all.extend(events.rest().await?);
        ensure!(said(&all) == "You said: one two three" && is_done(path, &all), "{path}: {all:?}");
        // Five words with a pause before each: the first is here long before the last.
        ensure!(
            all[all.len() - 1].after - all[0].after > Duration::from_millis(300),
            "{path}: all came at once: {all:?}"
        );
        if path != "/llm" {
            let usage = all[all.len() - 2].json()?;
            ensure!(usage["choices"] == json!([]) && usage["usage"]["total_tokens"] == 8, "{usage}");
            ensure!(all[0].json()?["choices"][0]["delta"]["role"] == "assistant", "{:?}", all[0]);
        }
    }
    // Clients say what they want in the body or beside it.
    let mut body = asked("acme/chat-accept");
    body["stream"] = false.into();
    let events = house.events("/llm", &[("accept", "text/event-stream")], &body).await?;
    ensure!(is_done("/llm", &events.rest().await?), "`accept` alone gives no events");
    let reply = house.post_with("/v1/chat/completions", &[("accept", "text/event-stream")], &body).await?;
    reply.is(200)?.json()?;
    Ok(())
}

pub(super) async fn every_dialect_ends_well(house: &House<'_>) -> Result<()> {
    for dialect in ["plain", "tgi", "nodone", "crlf"] {
        for path in ROUTES {
            let all = house.events(path, &[], &asked(&format!("acme/chat-{dialect}"))).await?.rest().await?;
            ensure!(said(&all) == "You said: one two three" && is_done(path, &all), "{dialect} at {path}: {all:?}");
            ensure!(all.iter().all(|event| !event.data.contains(r#""content":"""#)), "{dialect}: an empty piece");
        }
    }
    Ok(())
}

pub(super) async fn another_model_is_asked_until_something_is_said(house: &House<'_>) -> Result<()> {
    for fault in ["always-503", "stream-early", "close", "html", "gone"] {
        for path in ROUTES {
            let events = house.events(path, &[], &asked(&format!("fault/{fault}-chat"))).await?;
            events.reply.is(200).with_context(|| format!("{fault} at {path}"))?;
            events.reply.says("x-fallback-index", "1")?;
            let all = events.rest().await?;
            ensure!(said(&all) == "You said: one two three" && is_done(path, &all), "{fault} at {path}: {all:?}");
        }
    }
    Ok(())
}

pub(super) async fn what_breaks_off_is_never_done(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    for fault in ["stream-cut", "stream-error"] {
        for path in ROUTES {
            let model = format!("fault/{fault}-chat");
            let all = house.events(path, &[], &asked(&model)).await?.rest().await?;
            let (last, before) = all.split_last().context("events")?;
            ensure!(!said(before).is_empty() && !is_done(path, &all), "{fault} at {path}: {all:?}");
            ensure!(is_error(path, last), "{fault} at {path} ends with {last:?}");
        }
        ensure!(house.standin.requests_for(&format!("fault/{fault}-chat")).len() == 2, "it was asked again");
    }
    Ok(())
}

pub(super) async fn the_first_token_has_a_deadline(house: &House<'_>) -> Result<()> {
    // Both wait, and may do so at once.
    try_join_all(ROUTES.map(|path| deadlines_hold(house, path))).await?;
    Ok(())
}

async fn deadlines_hold(house: &House<'_>, path: &str) -> Result<()> {
    let headers = [("x-first-token-timeout-ms", "300"), ("x-fallback", "off")];
    let started = Instant::now();
    let reply = house.post_with(path, &headers, &asked("fault/hang-chat")).await?;
    ensure!(reply.status == 504, "{path} got {}", reply.status);
    ensure!(started.elapsed() < Duration::from_secs(5), "{path} took {:?}", started.elapsed());
    // It is for each model: the next one may answer.
    let events = house.events(path, &headers[..1], &asked("fault/hang-chat")).await?;
    events.reply.is(200)?.says("x-fallback-index", "1")?;
    ensure!(is_done(path, &events.rest().await?), "{path} is not done");
    // It is for the first alone.
    let headers = [("x-first-token-timeout-ms", "600"), ("x-fallback", "off")];
    let all = house.events(path, &headers, &asked("fault/stream-slow-150")).await?.rest().await?;
    ensure!(is_done(path, &all), "{path}: {all:?}");
    // The whole has its own, also when something was said.
    let headers = [("x-timeout-ms", "900")];
    let all = house.events(path, &headers, &asked("fault/stream-hang-chat")).await?.rest().await?;
    ensure!(all.last().is_some_and(|last| is_error(path, last)), "{path}: {all:?}");
    Ok(())
}

/// The server says something every 700 ms.
pub(super) async fn silence_is_kept_alive(house: &House<'_>) -> Result<()> {
    // Both wait, and may do so at once.
    try_join_all(ROUTES.map(|path| silence_is_filled(house, path))).await?;
    Ok(())
}

async fn silence_is_filled(house: &House<'_>, path: &str) -> Result<()> {
    // Before the first token: another model can still be asked.
    let headers = [("x-first-token-timeout-ms", "1700")];
    let mut events = house.events(path, &headers, &asked("fault/hang-chat-alive")).await?;
    events.reply.is(200)?.is_of("text/event-stream")?;
    let first = events.next().await?.context("a comment")?;
    ensure!(first.comment && first.after < Duration::from_millis(1600), "{path} begins with {first:?}");
    let all = events.rest().await?;
    ensure!(said(&all) == "You said: one two three" && is_done(path, &all), "{path}: {all:?}");
    // A failure that late is an event.
    let headers = [("x-first-token-timeout-ms", "1200"), ("x-fallback", "off")];
    let all = house.events(path, &headers, &asked("fault/hang-chat-alive")).await?.rest().await?;
    ensure!(all.len() == 1 && is_error(path, &all[0]), "{path}: {all:?}");
    // After it.
    let headers = [("x-timeout-ms", "2600")];
    let mut events = house.events(path, &headers, &asked("fault/stream-hang-chat")).await?;
    let mut comments = 0;
    while let Some(event) = events.next().await? {
        comments += u32::from(event.comment);
    }
    ensure!(comments > 0, "{path}: silence after the first token");
    Ok(())
}

pub(super) async fn who_leaves_is_not_served(house: &House<'_>) -> Result<()> {
    for path in ROUTES {
        let mut events = house.events(path, &[], &asked("fault/stream-hang-chat")).await?;
        events.next().await?.context("an event")?;
        ensure!(house.standin.streams() > 0, "the upstream does not stream");
        drop(events);
        let left = Instant::now();
        while house.standin.streams() > 0 {
            ensure!(left.elapsed() < Duration::from_secs(5), "{path}: the upstream goes on after the client has left");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    Ok(())
}
