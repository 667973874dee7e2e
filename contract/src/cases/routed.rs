//! Models that other services run, each behind a wire of its own.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::House;
use crate::cases::answers::{is_good, vector};
use crate::house::{Part, Reply};
use crate::media;

/// The name by which an answer names the provider that a word of a model's name stands for.
fn provider(word: &str) -> &str {
    if word.starts_with("fal") { "fal-ai" } else { word.split('-').next().unwrap_or(word) }
}

async fn drawn(house: &House<'_>, model: &str, headers: &[(&str, &str)]) -> Result<Reply> {
    let body = json!({ "prompt": "a red kite", "width": 64, "height": 64, "model": model });
    house.post_with("/image", headers, &body).await
}

const ALONE: (&str, &str) = ("x-fallback", "off");

pub(super) async fn every_provider_draws(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    for word in ["fal", "replicate", "replicate-later", "together", "nscale", "deepinfra", "fal-moved"] {
        let model = format!("acme/image-{word}");
        let reply = drawn(house, &model, &[ALONE]).await?;
        is_good("/image", &reply).with_context(|| word)?;
        reply.says("x-provider", provider(word))?.says("x-model", &model)?.says("x-attempts", "1")?;
    }
    // Results are fetched by their address alone.
    let fetched = house.standin.requests().into_iter().filter(|request| request.path.starts_with("/files/"));
    let told: Vec<String> = fetched.map(|request| request.header("authorization").to_owned()).collect();
    ensure!(told.len() == 4 && told.iter().all(String::is_empty), "the token went to where a result lies: {told:?}");
    Ok(())
}

pub(super) async fn every_provider_speaks_and_hears(house: &House<'_>) -> Result<()> {
    for word in ["fal", "replicate", "replicate-later", "together", "deepinfra"] {
        let model = format!("acme/tts-{word}");
        let reply = house.post_with("/tts", &[ALONE], &json!({ "text": "hello there", "model": model })).await?;
        is_good("/tts", &reply).with_context(|| model)?;
        reply.says("x-provider", provider(word))?;

        let (model, sound) = (format!("acme/asr-{word}"), media::wav());
        let parts = [Part::file("audio", "a.wav", None, &sound), Part::text("model", &model)];
        let reply = house.form("/stt", &[ALONE], &parts).await?;
        is_good("/stt", &reply).with_context(|| model.clone())?;
        reply.says("x-provider", provider(word))?;
    }
    Ok(())
}

pub(super) async fn providers_edit_with_a_mask_where_they_can(house: &House<'_>) -> Result<()> {
    let body = |model: &str, mask: bool| {
        let mut body = json!({ "prompt": "red", "image": media::base64(&media::png(64, 64)), "model": model });
        if mask {
            body["mask"] = media::base64(&media::mask(64, 64)).into();
        }
        body
    };
    for (word, masks) in [("fal", true), ("replicate", true), ("together", false)] {
        let model = format!("acme/edit-{word}");
        let reply = house.post_with("/edit-image", &[ALONE], &body(&model, false)).await?;
        is_good("/edit-image", &reply).with_context(|| word)?;
        reply.says("x-provider", provider(word))?;
        let reply = house.post_with("/edit-image", &[ALONE], &body(&model, true)).await?;
        if !masks {
            reply.refuses(404, "model_not_found")?;
            continue;
        }
        is_good("/edit-image", &reply).with_context(|| word)?;
        let sent = house.standin.requests_for(&model).pop().context("it was asked")?.json();
        let mask = sent["mask_url"].as_str().or_else(|| sent["input"]["mask"].as_str()).unwrap_or_default();
        let mask = media::unbase64(mask.strip_prefix("data:image/png;base64,").context("a mask as PNG")?)?;
        let mask = image::load_from_memory(&mask)?.to_luma8();
        ensure!(mask.get_pixel(8, 8).0 == [0] && mask.get_pixel(56, 8).0 == [255], "{word}: another mask");
    }
    Ok(())
}

pub(super) async fn providers_give_vectors(house: &House<'_>) -> Result<()> {
    for word in ["together", "deepinfra"] {
        let body = json!({ "text": "hello there", "model": format!("acme/embed-{word}") });
        let reply = house.post_with("/embedding", &[ALONE], &body).await?;
        ensure!(vector(&reply.is(200)?.json()?)?.len() == 384, "another length");
        reply.says("x-provider", word)?;
    }
    Ok(())
}

pub(super) async fn the_next_provider_answers_for_the_same_model(house: &House<'_>) -> Result<()> {
    let reply = drawn(house, "acme/image-nscale-down-fal", &[ALONE, ("x-retries", "1")]).await?;
    is_good("/image", &reply)?;
    reply.says("x-provider", "fal-ai")?.says("x-attempts", "3")?.says("x-fallback-index", "0")?;
    // What a provider only tries out is not used.
    let reply = drawn(house, "acme/image-nscale-staging", &[ALONE]).await?;
    reply.refuses(404, "model_not_found")?;
    reply.says("x-attempts", "")?;
    Ok(())
}

pub(super) async fn the_hub_is_asked_once_for_a_while(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    for _ in 0..8 {
        is_good("/image", &drawn(house, "acme/image-asked", &[ALONE]).await?)?;
        drawn(house, "fault/unserved-image-asked", &[ALONE]).await?.refuses(404, "model_not_found")?;
    }
    let asked =
        |model: &str| house.standin.lookups().iter().filter(|request| request.model.as_deref() == Some(model)).count();
    let (served, unserved) = (asked("acme/image-asked"), asked("fault/unserved-image-asked"));
    ensure!((1..=4).contains(&served) && (1..=4).contains(&unserved), "asked {served} and {unserved} times");
    ensure!(
        house.standin.requests_for("fault/unserved-image-asked").is_empty(),
        "a model that nobody serves was called"
    );
    // A hub that is down stops nobody.
    let reply = drawn(house, "acme/image-nohub", &[ALONE]).await?;
    is_good("/image", &reply)?;
    reply.says("x-provider", "hf-inference")?;
    Ok(())
}

pub(super) async fn results_are_fetched_from_known_places_only(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    for word in ["astray", "metadata"] {
        let reply = drawn(house, &format!("acme/image-fal-{word}"), &[ALONE]).await?;
        reply.refuses(502, "huggingface_api_error").with_context(|| word)?;
    }
    let fetched = house.standin.requests().iter().filter(|request| request.path.starts_with("/files/")).count();
    ensure!(fetched == 0, "a result was fetched from where nobody should go");
    Ok(())
}

pub(super) async fn jobs_that_never_end_or_fail_are_told(house: &House<'_>) -> Result<()> {
    for word in ["fal-stuck", "replicate-stuck"] {
        let started = Instant::now();
        let reply = drawn(house, &format!("acme/image-{word}"), &[ALONE, ("x-timeout-ms", "1500")]).await?;
        reply.refuses(504, "timeout").with_context(|| word)?;
        ensure!(started.elapsed() < Duration::from_secs(8), "{word} took {:?}", started.elapsed());
    }
    let reply = drawn(house, "acme/image-replicate-broken", &[ALONE]).await?;
    reply.refuses(502, "huggingface_api_error")?;
    reply.says("x-attempts", "1")?;
    Ok(())
}
