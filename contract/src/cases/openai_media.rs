//! OpenAI's API: pictures and sound.

use anyhow::{Context, Result, ensure};
use image::{Rgba, RgbaImage};
use serde_json::{Value, json};

use crate::House;
use crate::house::Part;
use crate::media;

pub(super) async fn pictures_come_as_base64_or_urls(house: &House<'_>) -> Result<()> {
    let mut asked = json!({ "model": "acme/image-openai", "prompt": "a kite", "size": "128x64", "n": 2 });
    let reply = house.post("/v1/images/generations", &asked).await?;
    let body = reply.is(200)?.json()?;
    ensure!(body["created"].is_u64() && body["size"] == "128x64" && body["output_format"] == "png", "{}", body["size"]);
    reply.says("x-model", "acme/image-openai")?.says("x-attempts", "2")?;
    let data = body["data"].as_array().context("data")?;
    ensure!(data.len() == 2, "{} pictures", data.len());
    for picture in data {
        let bytes = media::unbase64(picture["b64_json"].as_str().context("base64")?)?;
        ensure!(media::clean(&bytes)?.dimensions() == (128, 64), "another size");
    }
    asked["response_format"] = "url".into();
    let body = house.post("/v1/images/generations", &asked).await?.is(200)?.json()?;
    let url = body["data"][1]["url"].as_str().context("a URL")?;
    let bytes = media::unbase64(url.strip_prefix("data:image/png;base64,").context("a `data:` URL")?)?;
    ensure!(media::clean(&bytes)?.dimensions() == (128, 64), "another size");
    Ok(())
}

pub(super) async fn a_transparent_mask_says_what_is_painted(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    let picture = media::png(64, 64);
    // Transparent on the left half.
    let mask = RgbaImage::from_fn(64, 64, |x, _| Rgba([0, 0, 0, if x < 32 { 0 } else { 255 }]));
    let mask = media::encoded(mask, image::ImageFormat::Png);
    for (name, model) in [("image", "acme/edit-openai"), ("image[]", "acme/edit-openai-list")] {
        let octets = Some("application/octet-stream");
        let parts = [
            Part::text("prompt", "grass"),
            Part::text("model", model),
            Part::text("n", "1"),
            Part::text("size", "512x512"),
            Part::file("mask", "m.png", octets, &mask),
            Part::file(name, "t.png", octets, &picture),
        ];
        let body = house.form("/v1/images/edits", &[], &parts).await?.is(200)?.json()?;
        let bytes = media::unbase64(body["data"][0]["b64_json"].as_str().context("base64")?)?;
        ensure!(media::clean(&bytes)?.dimensions() == (64, 64) && body["size"] == "64x64", "another size");
        let sent = house.only_request(model)?.json();
        let sent = media::unbase64(sent["parameters"]["mask_image"].as_str().context("a mask")?)?;
        let sent = image::load_from_memory(&sent)?.to_luma8();
        ensure!(
            (sent.get_pixel(31, 0).0, sent.get_pixel(32, 0).0) == ([255], [0]),
            "the mask is not white where to paint"
        );
    }
    let parts = [
        Part::text("prompt", "grass"),
        Part::file("image[]", "a.png", None, &picture),
        Part::file("image[]", "b.png", None, &picture),
    ];
    let reply = house.form("/v1/images/edits", &[], &parts).await?;
    let error = reply.fails(400, "invalid_request_error", &Value::Null)?;
    ensure!(error["param"] == "image", "{error}");
    Ok(())
}

pub(super) async fn speech_is_what_it_says(house: &House<'_>) -> Result<()> {
    for (format, kind) in [
        (None, "audio/wav"),
        (Some("wav"), "audio/wav"),
        (Some("mp3"), "audio/wav"),
        (Some("flac"), "audio/flac"),
        (Some("pcm"), "audio/pcm"),
    ] {
        let mut asked = json!({ "model": "acme/tts-openai", "input": "hello there", "voice": "alloy" });
        if let Some(format) = format {
            asked["response_format"] = format.into();
        }
        let reply = house.post("/v1/audio/speech", &asked).await?;
        let bytes = &reply.is(200)?.is_of(kind)?.body;
        let good = match kind {
            "audio/wav" => (0.2..3.0).contains(&media::wav_seconds(bytes)?),
            "audio/flac" => bytes.starts_with(b"fLaC"),
            // 16 bit at 24 kHz, of the same fraction of a second.
            _ => bytes.len() % 2 == 0 && (0.2..3.0).contains(&(bytes.len() as f64 / 48_000.0)),
        };
        ensure!(good, "{format:?} is no {kind}: {} bytes", bytes.len());
        reply.says("x-model", "acme/tts-openai")?;
    }
    let asked = json!({ "model": "acme/tts-openai", "input": "hello", "voice": "alloy", "stream_format": "sse" });
    let events = house.events("/v1/audio/speech", &[], &asked).await?.rest().await?;
    let mut sound = Vec::new();
    for event in &events {
        let event = event.json()?;
        if event["type"] == "speech.audio.delta" {
            sound.extend(media::unbase64(event["audio"].as_str().context("audio")?)?);
        }
    }
    media::wav_seconds(&sound)?;
    ensure!(events.last().context("events")?.json()?["type"] == "speech.audio.done", "not done");
    Ok(())
}

pub(super) async fn recordings_become_text_in_every_form(house: &House<'_>) -> Result<()> {
    let wav = media::wav();
    let ask = async |format: &str| {
        let file = Part::file("file", "a.wav", Some("application/octet-stream"), &wav);
        let parts = [file, Part::text("model", "acme/asr-openai"), Part::text("response_format", format)];
        house.form("/v1/audio/transcriptions", &[], &parts).await
    };
    let body = ask("json").await?.is(200)?.json()?;
    ensure!(body["text"] == "0.5 seconds of wav.", "{body}");
    let reply = ask("text").await?;
    ensure!(reply.is(200)?.is_of("text/plain")?.body == "0.5 seconds of wav.\n", "{:?}", reply.body);
    let reply = ask("srt").await?;
    let text = std::str::from_utf8(&reply.is(200)?.is_of("text/plain")?.body)?.to_owned();
    ensure!(text.starts_with("1\n00:00:00,000 --> 00:00:00,250\n0.5 seconds\n\n2\n00:00:00,250 --> "), "{text}");
    let reply = ask("vtt").await?;
    let text = std::str::from_utf8(&reply.is(200)?.is_of("text/plain")?.body)?.to_owned();
    ensure!(text.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:00.250\n0.5 seconds\n\n"), "{text}");
    let body = ask("verbose_json").await?.is(200)?.json()?;
    ensure!(body["task"] == "transcribe" && body["duration"].is_number() && body["language"].is_string(), "{body}");
    ensure!(body["segments"].as_array().is_some_and(|all| all.len() == 2 && all[1]["id"] == 1), "{body}");
    let parts = [Part::text("stream", "true"), Part::file("file", "a.wav", None, &wav)];
    let reply = house.form("/v1/audio/transcriptions", &[], &parts).await?;
    let text = std::str::from_utf8(&reply.is(200)?.is_of("text/event-stream")?.body)?.to_owned();
    ensure!(text.contains(r#""type":"transcript.text.done""#), "{text}");
    Ok(())
}
