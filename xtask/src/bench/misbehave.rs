//! `bench misbehave`: what one component that does what it should not costs those who ask for something else.
//!
//! In place of `tts` stands a component that loops, hoards memory, floods headers or sends without end, as it is asked to.
//! Windows in which somebody asks it to, again and again, take turns with windows in which nobody does; others ask for chats
//! all the while, each of which must be answered, and each of the former must get its error as JSON.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};

use super::paced::{self, WINDOW};
use super::server::Server;
use super::swap::House;
use crate::process::{cargo, run as run_program};
use crate::tree;

const PAIRS: usize = 3;
/// So that it meets its limits several times in a window.
const LIMITS: &str = "limits = { cpu_ms = 1000, call_ms = 1500, memory_bytes = 268435456 }";

pub(super) async fn measure(folder: &Path) -> anyhow::Result<()> {
    run_program(cargo().args(["build", "--profile", "component", "--target", "wasm32-wasip2", "-p", "rogue-tts"]))?;
    let rogue = tree::target().join("wasm32-wasip2/component/rogue_tts.wasm");
    let ourselves = std::env::current_exe()?;
    let standin = Server::start("stand-in", &ourselves, &["standin", "--zero-latency"], &[])?;
    let upstream = &standin.address;
    let grant = format!("[components.tts]\noutbound = [\"http://{upstream}\"]\n{LIMITS}\n");
    let house = House::start(folder, upstream, &grant, &[("tts", &rogue)])?;
    house.admin_answers().await?;
    paced::drive(&house.server.address, WINDOW).await?;
    println!("{} requests/s for chats, while a component that nobody of them needs misbehaves", paced::PER_SECOND);
    let calls = format!("calls {upstream}");
    for what in ["loop", "yield", "hoard", "headers", &calls] {
        let mut errors = 0;
        let pairs = paced::in_turn(&house.server.address, PAIRS, async || {
            errors += misbehaving(&house, what).await?;
            Ok(())
        })
        .await?;
        pairs.print(what.split(' ').next().unwrap_or(what));
        println!("{:<10} {errors} times, each with its error", "");
    }
    Ok(())
}

/// Has it misbehave for as long as a window lasts, one request after the other.
async fn misbehaving(house: &House, what: &str) -> anyhow::Result<usize> {
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < WINDOW {
        let body = serde_json::json!({ "text": what }).to_string();
        let request = Request::post(format!("http://{}/tts", house.server.address))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let answer = house.client.request(request).await.context("no answer from who misbehaves")?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let told: serde_json::Value = serde_json::from_slice(&body).context("an error that is no JSON")?;
        ensure!(status.is_server_error() && told["error"].is_string(), "{what}: {status} {told}");
        count += 1;
    }
    Ok(count)
}
