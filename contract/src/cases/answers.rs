//! What comes from the upstream, in every form it comes in, and what goes there.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::house::{Part, Reply};
use crate::media;
use crate::{House, KEY};

/// A request for each route that takes JSON, with nothing in it that need not be.
pub(super) fn plain_requests() -> [(&'static str, Value); 5] {
    [
        ("/image", json!({ "prompt": "a red kite", "width": 64, "height": 64 })),
        ("/edit-image", json!({ "prompt": "warmer", "image": media::base64(&media::png(64, 64)) })),
        ("/tts", json!({ "text": "hello there" })),
        ("/llm", json!({ "messages": [{ "role": "user", "content": "one two three" }] })),
        ("/embedding", json!({ "text": "hello there" })),
    ]
}

/// The same with a model.
pub(super) fn with_model(model: &str) -> [(&'static str, Value); 5] {
    plain_requests().map(|(path, mut body)| {
        body["model"] = model.into();
        (path, body)
    })
}

pub(super) fn vector(body: &Value) -> Result<Vec<f64>> {
    let vector: Option<Vec<f64>> = body["embedding"].as_array().and_then(|all| all.iter().map(Value::as_f64).collect());
    let vector = vector.with_context(|| format!("no vector in {body}"))?;
    ensure!(body["dimension"] == vector.len(), "`dimension` is {}, not {}", body["dimension"], vector.len());
    Ok(vector)
}

/// Whether an answer is what its route promises.
pub(super) fn is_good(path: &str, reply: &Reply) -> Result<()> {
    reply.is(200)?;
    match path {
        "/image" | "/edit-image" => {
            ensure!(media::clean(&reply.is_of("image/png")?.body)?.dimensions() == (64, 64), "another size");
        }
        "/tts" => {
            media::wav_seconds(&reply.is_of("audio/wav")?.body)?;
        }
        "/llm" => {
            let body = reply.json()?;
            ensure!(body["response"] == "You said: one two three", "{body}");
            ensure!(body["tokens_used"].is_u64() && body["model"] == reply.header("x-model"), "{body}");
        }
        "/stt" => {
            let body = reply.json()?;
            ensure!(body["text"] == "0.5 seconds of wav.", "{body}");
            ensure!(body.get("confidence").is_some_and(Value::is_null), "{body}");
        }
        _ => {
            let body = reply.json()?;
            ensure!(vector(&body)?.len() == 384 && body["model"] == reply.header("x-model"), "{body}");
        }
    }
    Ok(())
}

pub(super) async fn the_default_model_answers(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    let defaults = [
        "stabilityai/stable-diffusion-3-medium",
        "stabilityai/stable-diffusion-xl-inpainting",
        "espnet/kan-bayashi_ljspeech_vits",
        "meta-llama/Llama-2-7b-chat-hf",
        "sentence-transformers/all-MiniLM-L6-v2",
    ];
    for ((path, body), model) in plain_requests().into_iter().zip(defaults) {
        let reply = house.post(path, &body).await?;
        is_good(path, &reply).with_context(|| path)?;
        reply
            .says("x-model", model)?
            .says("x-attempts", "1")?
            .says("x-fallback-index", "0")?
            .says("x-placeholder", "")?;
        let provider = if path == "/llm" { "standin" } else { "hf-inference" };
        reply.says("x-provider", provider)?;
        house.only_request(model)?;
    }
    let reply = house.form("/stt", &[], &[Part::file("audio", "a.wav", None, &media::wav())]).await?;
    is_good("/stt", &reply)?;
    reply.says("x-model", "openai/whisper-base")?;
    Ok(())
}

pub(super) async fn pictures_come_in_every_form(house: &House<'_>) -> Result<()> {
    for form in ["png", "jpeg", "webp", "b64", "url"] {
        let model = format!("acme/image-{form}");
        let body = json!({ "prompt": "x", "width": 128, "height": 64, "model": model });
        let reply = house.post("/image", &body).await?;
        let picture = media::clean(&reply.is(200)?.is_of("image/png")?.body).with_context(|| form)?;
        ensure!(picture.dimensions() == (128, 64), "{form} is of another size");
        reply.says("x-model", &model)?;
    }
    Ok(())
}

pub(super) async fn speech_comes_in_every_form(house: &House<'_>) -> Result<()> {
    for form in ["wav", "flac", "json", "b64"] {
        let reply = house.post("/tts", &json!({ "text": "hello", "model": format!("acme/tts-{form}") })).await?;
        let seconds = media::wav_seconds(&reply.is(200)?.is_of("audio/wav")?.body).with_context(|| form)?;
        ensure!((0.2..2.0).contains(&seconds), "{form} lasts {seconds} s");
    }
    Ok(())
}

pub(super) async fn vectors_come_in_every_shape(house: &House<'_>) -> Result<()> {
    let mut plain = Vec::new();
    for shape in ["flat", "nested", "tokens"] {
        let body = json!({ "text": "the tide is high", "model": format!("acme/{shape}") });
        let given = vector(&house.post("/embedding", &body).await?.is(200)?.json()?)?;
        ensure!(given.len() == 384, "{shape} has {} numbers", given.len());
        if plain.is_empty() {
            plain = given;
            continue;
        }
        let dot = |one: &[f64], other: &[f64]| -> f64 { one.iter().zip(other).map(|(a, b)| a * b).sum() };
        let near = dot(&plain, &given) / (dot(&plain, &plain) * dot(&given, &given)).sqrt();
        ensure!(near > 0.999, "{shape} points elsewhere: {near}");
    }
    Ok(())
}

/// The value under a key, at any depth.
fn found<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Object(all) => all.get(key).or_else(|| all.values().find_map(|value| found(value, key))),
        Value::Array(all) => all.iter().find_map(|value| found(value, key)),
        _ => None,
    }
}

pub(super) async fn parameters_reach_the_wire_by_name(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    let body = json!({
        "prompt": "a kite", "negative_prompt": "text", "width": 128, "height": 64, "model": "acme/image-wire"
    });
    house.post("/image", &body).await?.is(200)?;
    let sent = house.only_request("acme/image-wire")?.json();
    ensure!(sent["inputs"] == "a kite", "{sent}");
    let wanted = [("negative_prompt", json!("text")), ("width", json!(128)), ("height", json!(64))];
    for (name, value) in wanted {
        ensure!(sent["parameters"][name] == value, "{sent}");
    }
    house.post("/tts", &json!({ "text": "hi", "speaker_id": 3, "model": "acme/tts-wire" })).await?.is(200)?;
    let sent = house.only_request("acme/tts-wire")?.json();
    ensure!(sent["inputs"] == "hi" && sent["parameters"]["speaker_id"] == 3, "{sent}");

    let body = json!({
        "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "Hi" }],
        "max_tokens": 17, "temperature": 0.25, "model": "acme/chat-wire:fastest",
    });
    house.post("/llm", &body).await?.is(200)?;
    let request = house.only_request("acme/chat-wire")?;
    let sent = request.json();
    ensure!(request.path == "/v1/chat/completions" && request.body.starts_with(b"{\"model\":"), "{}", request.path);
    ensure!(sent["max_tokens"] == 17 && sent["temperature"] == 0.25, "{sent}");
    ensure!(sent["messages"] == body["messages"] && sent["model"] == body["model"], "{sent}");

    house.post("/embedding", &json!({ "text": "tide", "model": "acme/embed-wire" })).await?.is(200)?;
    let request = house.only_request("acme/embed-wire")?;
    ensure!(request.path.ends_with("/acme/embed-wire/pipeline/feature-extraction"), "{}", request.path);
    ensure!(found(&request.json(), "inputs").is_some(), "{}", request.json());

    let parts = |model| [Part::file("audio", "a.wav", None, WAV.as_slice()), Part::text("model", model)];
    house.form("/stt", &[], &parts("acme/asr-raw")).await?.is(200)?;
    let request = house.only_request("acme/asr-raw")?;
    ensure!(
        request.header("content-type") == "audio/wav" && request.body.starts_with(b"RIFF"),
        "{:?}",
        request.headers
    );
    let [file, model] = parts("acme/asr-wire");
    house.form("/stt", &[], &[file, model, Part::text("language", "de")]).await?.is(200)?;
    let sent = house.only_request("acme/asr-wire")?.json();
    ensure!(found(&sent, "language") == Some(&json!("de")), "the language is lost");
    Ok(())
}

static WAV: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(media::wav);

pub(super) async fn the_token_goes_to_the_upstream_alone(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    let body = json!({ "prompt": "x", "width": 64, "height": 64, "model": "acme/image-url" });
    // A caller's own header is not handed on.
    house.post_with("/image", &[("authorization", "Bearer mine"), ("cookie", "a=b")], &body).await?.is(200)?;
    let requests = house.standin.requests();
    ensure!(requests.len() == 2, "{} requests", requests.len());
    ensure!(
        requests[0].header("authorization") == format!("Bearer {KEY}"),
        "`{}`",
        requests[0].header("authorization")
    );
    ensure!(requests[0].header("cookie").is_empty(), "the caller's cookie was handed on");
    ensure!(requests[1].path.starts_with("/files/"), "{}", requests[1].path);
    ensure!(requests[1].header("authorization").is_empty(), "the token went to where the result lies");
    Ok(())
}

pub(super) async fn many_at_once_get_their_own(house: &House<'_>) -> Result<()> {
    let ask = async |index: usize| -> Result<()> {
        let body = json!({
            "messages": [{ "role": "user", "content": format!("question {index}") }], "model": "acme/chat-many"
        });
        let body = house.post("/llm", &body).await?.is(200)?.json()?;
        ensure!(body["response"] == format!("You said: question {index}"), "{index} got {}", body["response"]);
        Ok(())
    };
    futures::future::try_join_all((0..64).map(ask)).await?;
    Ok(())
}
