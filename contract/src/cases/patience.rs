//! Upstreams that fail for long: they are left alone, and the caller is told the truth.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::House;
use crate::cases::answers::with_model;
use crate::cases::retries::task;
use crate::house::{Part, Reply};
use crate::media;

/// A request of each kind for a model whose name begins with `fault`, forms among them.
async fn every_kind(house: &House<'_>, fault: &str, headers: &[(&str, &str)]) -> Result<Vec<(&'static str, Reply)>> {
    let mut replies = Vec::new();
    for (path, mut body) in with_model("") {
        body["model"] = format!("fault/{fault}-{}", task(path)).into();
        replies.push((path, house.post_with(path, headers, &body).await?));
    }
    let (model, sound) = (format!("fault/{fault}-asr"), media::wav());
    let parts = [Part::text("model", &model), Part::file("audio", "a.wav", None, &sound)];
    replies.push(("/stt", house.form("/stt", headers, &parts).await?));
    Ok(replies)
}

const ONCE: [(&str, &str); 2] = [("x-fallback", "off"), ("x-retries", "0")];

pub(super) async fn who_fails_again_and_again_is_left_alone(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    let mut spared = 0;
    for _ in 0..16 {
        for (path, reply) in every_kind(house, "always-500-broken", &ONCE).await? {
            reply.refuses(503, "huggingface_api_error").with_context(|| path)?;
            spared += usize::from(reply.header("x-attempts").is_empty());
        }
    }
    let called = house.standin.requests().len();
    ensure!(called + spared == 96, "{called} calls and {spared} spared are not 96");
    // Five each, for as many instances as there may be.
    ensure!(spared >= 24, "only {spared} of 96 requests spared the upstream a call");
    Ok(())
}

pub(super) async fn a_storm_of_limits_stays_a_limit(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    for _ in 0..16 {
        for (path, reply) in every_kind(house, "ratelimit-20-storm", &ONCE).await? {
            reply.refuses(429, "rate_limited").with_context(|| path)?;
            ensure!(
                (1..=20).contains(&reply.count("retry-after")?),
                "{path}: retry-after {}",
                reply.header("retry-after")
            );
        }
    }
    let called = house.standin.requests().len();
    ensure!(called <= 72, "{called} of 96 requests went on to who had asked for patience");
    Ok(())
}

pub(super) async fn another_model_answers_meanwhile(house: &House<'_>) -> Result<()> {
    for _ in 0..3 {
        for (path, reply) in every_kind(house, "always-503-meanwhile", &[("x-retries", "0")]).await? {
            reply.is(200).with_context(|| path)?.says("x-fallback-index", "1").with_context(|| path)?;
        }
    }
    Ok(())
}

pub(super) async fn dripping_answers_end_with_the_deadline(house: &House<'_>) -> Result<()> {
    for (path, body) in with_model("fault/drip-200") {
        let started = Instant::now();
        let reply = house.post_with(path, &[("x-fallback", "off"), ("x-timeout-ms", "900")], &body).await?;
        reply.refuses(504, "timeout").with_context(|| path)?;
        ensure!(started.elapsed() < Duration::from_secs(6), "{path} took {:?}", started.elapsed());
    }
    Ok(())
}
