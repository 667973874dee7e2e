//! What is refused before anything goes upstream.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::House;
use crate::house::Part;
use crate::media;

const JSON_ROUTES: &[&str] = &["/image", "/edit-image", "/tts", "/llm", "/embedding"];

pub(super) async fn what_is_no_json_is_400(house: &House<'_>) -> Result<()> {
    for path in JSON_ROUTES {
        for body in ["", "{", "hello", "{\"a\":1}}", "\u{feff}"] {
            let reply = house.send("POST", path, &[("content-type", "application/json")], body).await?;
            reply.refuses(400, "validation_error")?;
        }
        // Invalid UTF-8.
        let reply =
            house.send("POST", path, &[("content-type", "application/json")], &b"{\"text\":\"\xff\"}"[..]).await?;
        reply.refuses(400, "validation_error")?;
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let reply = house.send("POST", path, &[("content-type", "application/json")], deep).await?;
        ensure!(reply.status.is_client_error(), "deep nesting got {}", reply.status);
        for other in [json!([]), json!("text"), json!(null)] {
            let reply = house.post(path, &other).await?;
            ensure!(matches!(reply.status.as_u16(), 400 | 422), "{other} at {path} got {}", reply.status);
        }
    }
    Ok(())
}

pub(super) async fn wrong_media_types_are_415(house: &House<'_>) -> Result<()> {
    for path in JSON_ROUTES {
        for wrong in ["text/plain", "application/x-www-form-urlencoded", "image/png"] {
            let reply = house.send("POST", path, &[("content-type", wrong)], "{}").await?;
            reply.refuses(415, "unsupported_media_type")?;
        }
    }
    for wrong in ["application/json", "audio/wav"] {
        let reply = house.send("POST", "/stt", &[("content-type", wrong)], "{}").await?;
        reply.refuses(415, "unsupported_media_type")?;
    }
    let charset = [("content-type", "Application/JSON; charset=utf-8")];
    let body = json!({ "text": "hello", "model": "local/hashed-words" });
    house.send("POST", "/embedding", &charset, body.to_string()).await?.is(200)?;
    Ok(())
}

pub(super) async fn problems_are_told_all_at_once(house: &House<'_>) -> Result<()> {
    let cases: [(&str, Value, &[&str]); 12] = [
        ("/image", json!({}), &["prompt"]),
        (
            "/image",
            json!({ "prompt": "", "width": 63, "height": 4096, "model": "../x" }),
            &["prompt", "width", "height", "model"],
        ),
        (
            "/image",
            json!({ "prompt": 7, "width": "wide", "negative_prompt": [] }),
            &["prompt", "width", "negative_prompt"],
        ),
        ("/edit-image", json!({}), &["image", "prompt"]),
        ("/edit-image", json!({ "image": "***", "prompt": " ", "strength": 1.5 }), &["image", "prompt", "strength"]),
        ("/tts", json!({}), &["text"]),
        ("/tts", json!({ "text": " \n ", "speaker_id": -1 }), &["text", "speaker_id"]),
        ("/llm", json!({}), &["messages"]),
        (
            "/llm",
            json!({ "messages": [], "max_tokens": 0, "temperature": 9 }),
            &["messages", "max_tokens", "temperature"],
        ),
        (
            "/llm",
            json!({ "messages": [{ "role": "king", "content": "x" }, { "role": "user" }] }),
            &["messages[0].role", "messages[1].content"],
        ),
        ("/embedding", json!({ "model": "x" }), &["text", "model"]),
        ("/embedding", json!({ "text": "" }), &["text"]),
    ];
    for (path, body, fields) in cases {
        house.post(path, &body).await?.names(fields)?;
    }
    Ok(())
}

pub(super) async fn lengths_and_sides_are_limited(house: &House<'_>) -> Result<()> {
    let text = |length: usize| "x".repeat(length);
    house.post("/image", &json!({ "prompt": text(2001) })).await?.names(&["prompt"])?;
    house.post("/tts", &json!({ "text": text(5001) })).await?.names(&["text"])?;
    house.post("/embedding", &json!({ "text": text(32_001) })).await?.names(&["text"])?;
    let turn = |length: usize| json!({ "role": "user", "content": text(length) });
    let turns = |count: usize, length: usize| json!({ "messages": vec![turn(length); count] });
    house.post("/llm", &turns(201, 1)).await?.names(&["messages"])?;
    house.post("/llm", &turns(2, 100_001)).await?.names(&["messages"])?;
    for side in [0, 8, 56, 65, 516, 2056, -512] {
        house.post("/image", &json!({ "prompt": "x", "width": side })).await?.names(&["width"])?;
    }
    house.post("/image", &json!({ "prompt": "x", "height": 64.5 })).await?.names(&["height"])?;
    Ok(())
}

pub(super) async fn characters_count_and_not_bytes(house: &House<'_>) -> Result<()> {
    let prompt = "ü".repeat(2000);
    house
        .post("/image", &json!({ "prompt": prompt, "width": 64, "height": 64, "model": "local/pattern" }))
        .await?
        .is(200)?;
    Ok(())
}

pub(super) async fn models_become_no_path(house: &House<'_>) -> Result<()> {
    let long = format!("a/{}", "b".repeat(200));
    let odd = [
        "x",
        "/a/b",
        "a/b/c",
        "a/..",
        "../a",
        "a/b?x=1",
        "a/b#c",
        "a/b%2fc",
        "a b/c",
        "a/",
        "/b",
        "",
        "http://a/b",
        "local/",
        "local/../x",
        "local/A B",
        "a/b..c",
        "a\\b/c",
        "a/b\n",
        long.as_str(),
    ];
    for model in odd {
        house.post("/embedding", &json!({ "text": "x", "model": model })).await?.names(&["model"])?;
    }
    house.post("/image", &json!({ "prompt": "x", "model": 7 })).await?.names(&["model"])?;
    Ok(())
}

pub(super) async fn unknown_fields_are_ignored(house: &House<'_>) -> Result<()> {
    let body = json!({ "text": "x", "model": "local/hashed-words", "colour": "blue", "options": { "deep": [1] } });
    house.post("/embedding", &body).await?.is(200)?;
    let nothing = json!({
        "prompt": "x", "model": "local/pattern", "negative_prompt": null, "width": null, "height": 64, "seed": null
    });
    house.post("/image", &nothing).await?.is(200)?;
    Ok(())
}

pub(super) async fn uploads_are_limited(house: &House<'_>) -> Result<()> {
    let mut sound = media::wav();
    sound.resize((25 << 20) + 1, 0);
    let parts = [Part::text("model", "local/speech-segments"), Part::file("audio", "a.wav", Some("audio/wav"), &sound)];
    house.form("/stt", &[], &parts).await?.refuses(413, "payload_too_large")?;
    for path in ["/embedding", "/edit-image", "/llm"] {
        house.upload(path, "application/json", 80 << 20).await?.refuses(413, "payload_too_large")?;
    }
    house.upload("/stt", "multipart/form-data; boundary=x", 80 << 20).await?.refuses(413, "payload_too_large")?;
    Ok(())
}

pub(super) async fn pictures_are_looked_at_before_they_are_decoded(house: &House<'_>) -> Result<()> {
    let edit = async |image: &[u8], mask: Option<&[u8]>| {
        let mut body = json!({ "image": media::base64(image), "prompt": "warmer", "model": "local/classical-edit" });
        if let Some(mask) = mask {
            body["mask"] = media::base64(mask).into();
        }
        house.post("/edit-image", &body).await
    };
    let started = std::time::Instant::now();
    edit(&media::bomb(), None).await?.names(&["image"])?;
    ensure!(started.elapsed().as_secs() < 5, "the bomb took {:?}", started.elapsed());
    edit(&media::png(64, 64), Some(&media::bomb())).await?.names(&["mask"])?;
    edit(&media::png(64, 64), Some(&media::mask(64, 72))).await?.names(&["mask"])?;
    edit(b"<svg xmlns='http://www.w3.org/2000/svg'/>", None).await?.names(&["image"])?;
    let whole = media::png(64, 64);
    edit(&whole[..whole.len() / 2], None).await?.names(&["image"])?;
    edit(b"", None).await?.names(&["image"])?;
    Ok(())
}

pub(super) async fn forms_are_read_with_care(house: &House<'_>) -> Result<()> {
    let sound = media::wav();
    let file = || Part::file("audio", "a.wav", None, &sound);
    house.form("/stt", &[], &[Part::text("language", "en")]).await?.names(&["audio"])?;
    house.form("/stt", &[], &[Part::file("audio", "a.wav", None, b"")]).await?.names(&["audio"])?;
    house.form("/stt", &[], &[file(), Part::text("model", "../x")]).await?.names(&["model"])?;
    house.form("/stt", &[], &[file(), Part::text("language", "not a language")]).await?.names(&["language"])?;
    let reply =
        house.form("/stt", &[], &[Part::file("audio", "a.wav", Some("audio/wav"), b"this is no sound")]).await?;
    ensure!(matches!(reply.status.as_u16(), 415 | 422), "garbage got {}", reply.status);
    for (content_type, body) in [
        ("multipart/form-data; boundary=x", "no boundary in here"),
        ("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"audio\"\r\n\r\ncut"),
        ("multipart/form-data", "--x--"),
    ] {
        let reply = house.send("POST", "/stt", &[("content-type", content_type)], body).await?;
        reply.refuses(400, "validation_error")?;
    }
    Ok(())
}
