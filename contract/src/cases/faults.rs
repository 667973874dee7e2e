//! Answers that are none.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::House;
use crate::cases::answers::{is_good, with_model};
use crate::house::Part;
use crate::media;

const BROKEN: &[&str] = &["close", "truncated", "garbage", "html", "wrong-type"];

pub(super) async fn broken_answers_go_to_the_next_model(house: &House<'_>) -> Result<()> {
    for fault in BROKEN {
        let model = format!("fault/{fault}");
        for (path, body) in with_model(&model) {
            let reply = house.post(path, &body).await?;
            is_good(path, &reply).with_context(|| format!("{fault} at {path}"))?;
            reply.says("x-fallback-index", "1")?;
        }
        let sound = media::wav();
        let parts = [Part::text("model", &model), Part::file("audio", "a.wav", None, &sound)];
        is_good("/stt", &house.form("/stt", &[], &parts).await?).with_context(|| format!("{fault} at /stt"))?;
    }
    Ok(())
}

pub(super) async fn bytes_count_and_not_their_label(house: &House<'_>) -> Result<()> {
    for (path, body) in
        with_model("fault/mislabelled").into_iter().filter(|(path, _)| matches!(*path, "/image" | "/tts"))
    {
        let reply = house.post(path, &body).await?;
        is_good(path, &reply).with_context(|| path)?;
        reply.says("x-fallback-index", "0")?;
    }
    Ok(())
}

pub(super) async fn broken_answers_are_told(house: &House<'_>) -> Result<()> {
    for fault in BROKEN {
        for (path, body) in with_model(&format!("fault/{fault}")) {
            let reply = house.post_with(path, &[("x-fallback", "off")], &body).await?;
            // What broke the connection may be a service that is down; what came whole and wrong is not.
            let status = if matches!(*fault, "close" | "truncated") && reply.status == 503 { 503 } else { 502 };
            reply.refuses(status, "huggingface_api_error").with_context(|| format!("{fault} at {path}"))?;
            ensure!(reply.count("x-attempts")? >= 1, "no attempts");
        }
    }
    Ok(())
}

pub(super) async fn bodies_without_end_are_cut_off(house: &House<'_>) -> Result<()> {
    for fault in ["endless", "huge-300"] {
        for (path, body) in with_model(&format!("fault/{fault}")) {
            let started = Instant::now();
            let reply = house
                .post_with(path, &[("x-fallback", "off"), ("x-retries", "0"), ("x-timeout-ms", "4000")], &body)
                .await?;
            ensure!(matches!(reply.status.as_u16(), 502 | 504), "{fault} at {path} got {}", reply.status);
            ensure!(started.elapsed() < Duration::from_secs(8), "{fault} at {path} took {:?}", started.elapsed());
        }
    }
    Ok(())
}
