//! Recordings as they come from phones and browsers.

use anyhow::{Context, Result, ensure};

use crate::House;
use crate::cases::answers::is_good;
use crate::house::Part;
use crate::media;

pub(super) async fn forms_come_in_any_order(house: &House<'_>) -> Result<()> {
    let sound = media::wav();
    let file = || Part::file("audio", "a.wav", Some("audio/wav"), &sound);
    let model = || Part::text("model", "acme/asr-order");
    let language = || Part::text("language", "en");
    let unknown = || Part::text("colour", "blue");
    let forms = [
        vec![file(), model(), language()],
        vec![language(), model(), file()],
        vec![unknown(), model(), file(), unknown(), language()],
        vec![model(), file()],
    ];
    for (index, parts) in forms.iter().enumerate() {
        let reply = house.form("/stt", &[], parts).await?;
        is_good("/stt", &reply).with_context(|| format!("form {index}"))?;
        reply.says("x-model", "acme/asr-order")?;
        let body = reply.json()?;
        ensure!(parts.len() == 2 || body["language"] == "en", "form {index}: {body}");
    }
    Ok(())
}

pub(super) async fn sounds_are_known_by_their_bytes(house: &House<'_>) -> Result<()> {
    let wav = media::wav();
    let types = [None, Some("application/octet-stream"), Some("audio/mpeg"), Some("video/webm"), Some("text/plain")];
    for content_type in types {
        for name in ["a.wav", "recording", "söund \u{1f3a4}.mp3"] {
            house.standin.forget();
            let parts = [Part::text("model", "acme/asr-type"), Part::file("audio", name, content_type, &wav)];
            is_good("/stt", &house.form("/stt", &[], &parts).await?).with_context(|| format!("{content_type:?}"))?;
            house.only_request("acme/asr-type")?;
        }
    }
    let parts = [Part::text("model", "acme/asr-type"), Part::file("audio", "a", None, media::FLAC)];
    let body = house.form("/stt", &[], &parts).await?.is(200)?.json()?;
    ensure!(body["text"].as_str().is_some_and(|text| text.contains("flac") || text.contains("wav")), "{body}");
    Ok(())
}
