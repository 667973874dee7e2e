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
    let (model, picture, mask) = (format!("fault/{fault}-form-edit"), media::png(64, 64), media::mask(64, 64));
    let parts = [
        Part::file("image", "a.png", None, &picture),
        Part::text("prompt", "grass"),
        Part::file("mask", "m.png", None, &mask),
        Part::text("model", &model),
    ];
    replies.push(("/edit-image", house.form("/edit-image", headers, &parts).await?));
    Ok(replies)
}

pub(super) async fn forms_are_sent_again_whole(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    for (path, reply) in every_kind(house, "fail-2-503-again", &[]).await? {
        reply.is(200).with_context(|| path)?.says("x-attempts", "3").with_context(|| path)?;
    }
    for kind in ["asr", "form-edit"] {
        let model = format!("fault/fail-2-503-again-{kind}");
        let sent: Vec<_> = house.standin.requests_for(&model).into_iter().map(|request| request.body).collect();
        ensure!(
            sent.len() == 3 && sent[0] == sent[1] && sent[1] == sent[2],
            "{kind}: {} bodies, not alike",
            sent.len()
        );
    }
    // And to the next model.
    for (path, reply) in every_kind(house, "gone-form", &[]).await? {
        reply.is(200).with_context(|| path)?.says("x-fallback-index", "1").with_context(|| path)?;
    }
    Ok(())
}

pub(super) async fn one_deadline_is_for_everything(house: &House<'_>) -> Result<()> {
    // Retries and fallbacks among what hangs, and what is slow to fail.
    let fallbacks = "fault/hang-tts-next, fault/hang-chat-next, fault/hang-embed-next";
    let headers = [("x-timeout-ms", "600"), ("x-retries", "5"), ("x-fallback", fallbacks)];
    let started = Instant::now();
    let replies = every_kind(house, "hang-deadline", &headers).await?;
    let took = started.elapsed();
    for (path, reply) in &replies {
        reply.refuses(504, "timeout").with_context(|| *path)?;
    }
    ensure!(took < Duration::from_secs(15), "{} requests of 0.6 s took {took:?}", replies.len());
    for (path, reply) in every_kind(house, "ratelimit-7-once", &ONCE).await? {
        reply.refuses(429, "rate_limited").with_context(|| path)?;
        reply.says("retry-after", "7").with_context(|| path)?;
    }
    Ok(())
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
    ensure!(called + spared == 112, "{called} calls and {spared} spared are not 112");
    // Five each, for as many instances as there may be.
    ensure!(spared >= 28, "only {spared} of 112 requests spared the upstream a call");
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
    ensure!(called <= 84, "{called} of 112 requests went on to who had asked for patience");
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
