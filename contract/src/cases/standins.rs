//! Without a key and a network: embedded stand-ins, each labelled as one.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::house::{Part, Reply};
use crate::media;
use crate::{House, cases::answers};

fn is_stand_in(reply: &Reply) -> Result<()> {
    reply.is(200)?.says("x-placeholder", "true")?.says("x-provider", "local")?;
    ensure!(reply.header("x-model").starts_with("local/"), "x-model is `{}`", reply.header("x-model"));
    reply.count("x-attempts")?;
    reply.count("x-fallback-index")?;
    if reply.header("content-type").starts_with("application/json") {
        let body = reply.json()?;
        ensure!(body["placeholder"] == true, "the body is not labelled: {body}");
    }
    Ok(())
}

/// Models that run inside the platform; a composed file may be without them.
const REAL: &[&str] = &["local/all-MiniLM-L6-v2", "local/klatt-en", "local/classical-edit"];

/// A real model's answer passes as what it is, anything else is labelled.
pub(super) fn is_honest(reply: &Reply) -> Result<()> {
    if !REAL.contains(&reply.header("x-model")) {
        return is_stand_in(reply);
    }
    is_no_stand_in(reply)?;
    if reply.header("content-type") == "application/json" {
        ensure!(reply.json()?.get("placeholder").is_none(), "a model's answer is labelled as a stand-in");
    }
    Ok(())
}

/// What runs inside the platform and is the real thing is not labelled as anything else.
fn is_no_stand_in(reply: &Reply) -> Result<()> {
    reply.is(200)?.says("x-provider", "local")?;
    ensure!(reply.header("x-placeholder").is_empty(), "it is labelled as a stand-in");
    ensure!(reply.header("x-model").starts_with("local/"), "x-model is `{}`", reply.header("x-model"));
    Ok(())
}

pub(super) async fn every_answer_is_labelled(house: &House<'_>) -> Result<()> {
    for (path, body) in answers::plain_requests() {
        is_honest(&house.post(path, &body).await?).with_context(|| path)?;
    }
    is_stand_in(&stt(house, &media::wav()).await?)
}

async fn stt(house: &House<'_>, sound: &[u8]) -> Result<Reply> {
    house.form("/stt", &[], &[Part::file("audio", "a", None, sound)]).await
}

pub(super) async fn pictures_have_their_size_and_depend_on_the_prompt(house: &House<'_>) -> Result<()> {
    let draw = async |body: Value| -> Result<Vec<u8>> {
        let reply = house.post("/image", &body).await?;
        Ok(reply.is(200)?.is_of("image/png")?.body.to_vec())
    };
    let usual = draw(json!({ "prompt": "a red kite" })).await?;
    ensure!(media::decoded(&usual)?.dimensions() == (512, 512), "the default size is wrong");
    ensure!(usual == draw(json!({ "prompt": "a red kite" })).await?, "equal prompts give different pictures");
    ensure!(usual != draw(json!({ "prompt": "a blue kite" })).await?, "different prompts give equal pictures");
    for (width, height) in [(64, 64), (256, 64), (72, 2048), (2048, 64)] {
        let picture = draw(json!({ "prompt": "x", "width": width, "height": height })).await?;
        ensure!(media::decoded(&picture)?.dimensions() == (width, height), "{width}x{height} is of another size");
    }
    Ok(())
}

pub(super) async fn speech_is_real_and_in_four_voices(house: &House<'_>) -> Result<()> {
    let say = async |body: Value| -> Result<Vec<u8>> {
        let reply = house.post("/tts", &body).await?;
        reply.is(200)?.is_of("audio/wav")?.says("x-provider", "local")?.says("x-model", "local/klatt-en")?;
        ensure!(reply.header("x-placeholder") != "true", "real speech is labelled a placeholder");
        Ok(reply.body.to_vec())
    };
    let text = "Hello, this is a test of 3 voices and 1 more.";
    let mut voices = Vec::new();
    for speaker in 0..4 {
        let sound = say(json!({ "text": text, "speaker_id": speaker })).await?;
        let seconds = media::wav_seconds(&sound)?;
        ensure!((2.0..7.0).contains(&seconds), "voice {speaker} takes {seconds} s");
        ensure!(!voices.contains(&sound), "voice {speaker} sounds like another");
        voices.push(sound);
    }
    ensure!(say(json!({ "text": text })).await? == voices[0], "the first voice is not the default, or varies");
    let (slow, fast) = (json!({ "text": text, "speed": 0.5 }), json!({ "text": text, "speed": 2 }));
    let ratio = media::wav_seconds(&say(slow).await?)? / media::wav_seconds(&say(fast).await?)?;
    ensure!((3.6..4.4).contains(&ratio), "half and double speed differ by {ratio}");
    Ok(())
}

pub(super) async fn what_cannot_be_spoken_is_the_callers_to_mend(house: &House<'_>) -> Result<()> {
    for text in ["Привет, мир", "你好", "こんにちは", "مرحبا", "hello мир", "🎉🎉", "..."] {
        house.post("/tts", &json!({ "text": text })).await?.names(&["text"]).with_context(|| text)?;
    }
    house.post("/tts", &json!({ "text": "hello", "speaker_id": 4 })).await?.names(&["speaker_id"])?;
    say_whole(house, "Café: naïve 🎉 résumé").await
}

async fn say_whole(house: &House<'_>, text: &str) -> Result<()> {
    let reply = house.post("/tts", &json!({ "text": text })).await?;
    media::wav_seconds(&reply.is(200)?.body).map(|_| ())
}

pub(super) async fn recordings_get_their_duration(house: &House<'_>) -> Result<()> {
    for (kind, sound) in [("wav", media::wav()), ("flac", media::FLAC.to_vec())] {
        let body = stt(house, &sound).await?.is(200)?.json()?;
        ensure!(body["text"] == "", "{kind}: {body}");
        ensure!(body["confidence"].is_null() && body.get("confidence").is_some(), "{kind}: {body}");
        ensure!(body.get("language").is_some(), "{kind}: {body}");
        let duration = body["duration"].as_f64().with_context(|| format!("{kind} has no duration: {body}"))?;
        ensure!((0.45..0.55).contains(&duration), "{kind} lasts {duration} s");
        ensure!(body["transcript_available"] == false, "{kind}: {body}");
        ensure!(body["loudness_dbfs"].as_f64().is_some_and(|db| (-40.0..0.0).contains(&db)), "{kind}: {body}");
    }
    Ok(())
}

/// The platform hears where its own voice speaks, and where it pauses.
pub(super) async fn speech_is_found_in_a_recording(house: &House<'_>) -> Result<()> {
    let said = house.post("/tts", &json!({ "text": "This is one sentence. And here is another one." })).await?;
    let sound = said.is(200)?.body.to_vec();
    let seconds = media::wav_seconds(&sound)?;
    let body = stt(house, &sound).await?.is(200)?.json()?;
    let segments = body["segments"].as_array().context("segments")?;
    ensure!(segments.len() == 2, "{body}");
    for pair in segments.windows(2) {
        let (end, start) = (pair[0]["end"].as_f64().context("an end")?, pair[1]["start"].as_f64().context("a start")?);
        ensure!((0.2..0.8).contains(&(start - end)), "the pause lasts from {end} to {start}");
    }
    ensure!(
        segments.iter().all(|it| it["text"] == "" && it["end"].as_f64().is_some_and(|end| end <= seconds)),
        "{body}"
    );
    ensure!(body["loudness_dbfs"].as_f64().is_some_and(|db| (-30.0..-12.0).contains(&db)), "{body}");
    Ok(())
}

pub(super) async fn chat_says_what_it_is_and_quotes(house: &House<'_>) -> Result<()> {
    let question = "What is the capital of \"France\"?";
    let body =
        json!({ "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": question }] });
    let body = house.post("/llm", &body).await?.is(200)?.json()?;
    let said = body["response"].as_str().context("a response")?;
    ensure!(said.contains(question), "{said}");
    ensure!(body["model"].as_str().is_some_and(|model| model.starts_with("local/")), "{body}");
    ensure!(body["tokens_used"].is_u64(), "{body}");
    Ok(())
}

pub(super) async fn vectors_are_normal_and_near(house: &House<'_>) -> Result<()> {
    let embed = async |text: &str| -> Result<Vec<f64>> {
        let body = house.post("/embedding", &json!({ "text": text })).await?.is(200)?.json()?;
        ensure!(body["dimension"] == 384, "{}", body["dimension"]);
        answers::vector(&body)
    };
    let near = |one: &[f64], other: &[f64]| -> f64 { one.iter().zip(other).map(|(a, b)| a * b).sum() };
    let high = embed("the tide is high today").await?;
    ensure!(high.len() == 384 && (near(&high, &high) - 1.0).abs() < 1e-3, "not 384 numbers of length 1");
    ensure!(high == embed("the tide is high today").await?, "equal texts give different vectors");
    let (low, other) = (embed("the tide is low today").await?, embed("purple elephants juggle").await?);
    ensure!(near(&high, &low) > near(&high, &other), "texts that share words are not closer");
    Ok(())
}

pub(super) async fn edits_answer_without_a_key(house: &House<'_>) -> Result<()> {
    let plain = json!({ "image": media::base64(&media::png(96, 64)), "prompt": "warmer" });
    let mut masked = plain.clone();
    masked["mask"] = media::base64(&media::mask(96, 64)).into();
    for body in [plain, masked] {
        let reply = house.post("/edit-image", &body).await?;
        is_no_stand_in(&reply)?;
        ensure!(media::decoded(&reply.is_of("image/png")?.body)?.dimensions() == (96, 64), "another size");
    }
    Ok(())
}

pub(super) async fn edits_do_what_is_asked_or_refuse(house: &House<'_>) -> Result<()> {
    let large =
        json!({ "image": media::base64(&media::png(2048, 1024)), "prompt": "Crop to a square, then make it gray" });
    let reply = house.post("/edit-image", &large).await?;
    is_no_stand_in(&reply)?;
    let picture = media::clean(&reply.is_of("image/png")?.body)?;
    ensure!(picture.dimensions() == (1024, 1024), "the picture is {:?}", picture.dimensions());
    ensure!(picture.pixels().all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]), "there are colours left");
    let mut masked = json!({ "image": media::base64(&media::png(96, 64)), "prompt": "make the wall red" });
    masked["mask"] = media::base64(&media::mask(96, 64)).into();
    let picture = media::clean(&house.post("/edit-image", &masked).await?.is(200)?.body)?;
    ensure!(picture.get_pixel(80, 32)[0] > 120, "what the mask shows is not red");
    ensure!(picture.get_pixel(10, 32).0 == [0, 0, 200], "what the mask hides has changed");
    for prompt in ["a cat in a hat", "crop to a square and add a hat"] {
        let body = json!({ "image": media::base64(&media::png(96, 64)), "prompt": prompt });
        house.post("/edit-image", &body).await?.names(&["prompt"])?;
    }
    let body = json!({ "image": media::base64(&media::png(96, 64)), "prompt": "remove the car" });
    house.post("/edit-image", &body).await?.names(&["prompt"])?;
    let body = json!({ "image": media::base64(&media::png(96, 64)), "prompt": "remove it" });
    house.post("/edit-image", &body).await?.names(&["mask"])?;
    Ok(())
}

pub(super) async fn other_models_need_a_key(house: &House<'_>) -> Result<()> {
    let body = json!({ "text": "x", "model": "sentence-transformers/all-mpnet-base-v2" });
    let reply = house.post_with("/embedding", &[("x-fallback", "off")], &body).await?;
    reply.refuses(503, "huggingface_api_error")?;
    ensure!(matches!(reply.header("x-attempts"), "" | "0"), "there were attempts");
    // With the chain, what runs inside answers in its place, and says so.
    is_honest(&house.post("/embedding", &body).await?)?;
    ensure!(house.standin.requests().is_empty(), "something went upstream");
    Ok(())
}

pub(super) async fn unknown_local_models_are_404(house: &House<'_>) -> Result<()> {
    for (path, mut body) in answers::plain_requests() {
        body["model"] = "local/nobody".into();
        let reply = house.post_with(path, &[("x-fallback", "off")], &body).await?;
        reply.refuses(404, "model_not_found")?;
    }
    Ok(())
}
