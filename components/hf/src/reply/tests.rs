//! The recorded answers, read.

use hybrid_guest::types::Reason;

use super::*;
use crate::tests::reply;

fn recorded(name: &str) -> String {
    String::from_utf8(reply(name)).expect("text")
}

fn png() -> Found {
    Found::Bytes("image/png", reply("input.png"))
}

#[test]
fn pictures_are_found_in_every_form() {
    let coded = base64::engine::general_purpose::STANDARD.encode(reply("input.png"));
    for body in [
        recorded("t2i.response.b64.json"),
        recorded("together.image.response.json"),
        format!("\"{coded}\""),
        format!("\"{}\"", coded.trim_end_matches('=')),
        format!("{{\"images\": [\"{coded}\"]}}"),
        format!("{{\"images\": [{{\"image\": \"{coded}\"}}]}}"),
        format!("{{\"output\": \"data:image/png;base64,{coded}\"}}"),
        format!("[{{\"image\": \"{coded}\"}}]"),
    ] {
        assert_eq!(picture(&body).expect("a picture"), png(), "{body}");
    }
    let url = |name: &str| picture(&recorded(name)).expect("an address");
    assert_eq!(url("t2i.response.url.json"), Found::Url("https://example.invalid/out-0.png".into()));
    assert_eq!(url("fal.image.response.json"), Found::Url("https://v3.fal.media/files/x/y.png".into()));
}

#[test]
fn what_holds_no_picture_is_a_fault() {
    for body in
        ["{", "{}", "[]", "\"\"", "\"AAAA\"", "{\"images\": []}", "{\"output\": 3}", "null", "{\"url\": \"ftp://x\"}"]
    {
        assert!(picture(body).is_err(), "{body}");
    }
    let told = picture(r#"{"error": "NSFW content"}"#).expect_err("an error");
    assert!(matches!(told.reason, Reason::Failed(failure) if failure.message == "NSFW content"));
}

#[test]
fn samples_become_a_wav() {
    let Found::Bytes(kind, wav) = sound(&recorded("tts.response.toolkit.json")).expect("a sound") else {
        panic!("bytes")
    };
    assert_eq!((kind, sound_type(&wav), wav.len()), ("audio/wav", Some("audio/wav"), 44 + 6));
    assert_eq!(wav[22..28], [1, 0, 0x80, 0x3E, 0, 0]);
    assert_eq!(wav[44..], [0, 0, 0x48, 0x01, 0xB8, 0xFE]);
    let flat = sound(r#"{"audio": [1, -1], "sampling_rate": 8000.0}"#).expect("a sound");
    assert!(matches!(flat, Found::Bytes("audio/wav", wav) if wav[44..] == [0xFF, 0x7F, 0x01, 0x80]));
    let stereo = sound(r#"[{"audio": [[0, 0], [1, 1]], "sampling_rate": 8000}]"#).expect("a sound");
    assert!(
        matches!(stereo, Found::Bytes(_, wav) if wav[22] == 2 && wav[44..] == [0, 0, 0xFF, 0x7F, 0, 0, 0xFF, 0x7F])
    );
}

#[test]
fn sounds_are_found_as_base64_and_as_addresses() {
    let coded = base64::engine::general_purpose::STANDARD.encode(reply("speech.wav"));
    let inside = sound(&format!("{{\"audio\": \"{coded}\", \"sampling_rate\": 16000}}")).expect("a sound");
    assert_eq!(inside, Found::Bytes("audio/wav", reply("speech.wav")));
    let url = sound(&recorded("fal.tts.response.json")).expect("an address");
    assert_eq!(url, Found::Url("https://v3.fal.media/files/x/y.wav".into()));
    for body in [
        r#"{"audio": [], "sampling_rate": 16000}"#,
        r#"{"audio": [[1], [1, 2]], "sampling_rate": 16000}"#,
        r#"{"audio": [1], "sampling_rate": 0}"#,
        r#"{"audio": [1]}"#,
        "{}",
    ] {
        assert!(sound(body).is_err(), "{body}");
    }
}

#[test]
fn types_are_told_by_the_first_bytes() {
    assert_eq!(picture_type(&reply("input.png")), Some("image/png"));
    assert_eq!(picture_type(b"\xFF\xD8\xFF\xE0"), Some("image/jpeg"));
    assert_eq!(picture_type(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp"));
    assert_eq!(sound_type(&reply("speech.wav")), Some("audio/wav"));
    for (bytes, kind) in [
        (&b"fLaC\0\0"[..], Some("audio/flac")),
        (b"OggS\0", Some("audio/ogg")),
        (b"\x1A\x45\xDF\xA3", Some("audio/webm")),
        (b"\0\0\0\x20ftypM4A ", Some("audio/mp4")),
        (b"ID3\x04", Some("audio/mpeg")),
        (b"\xFF\xFB\x90\x64", Some("audio/mpeg")),
        (b"\xFF\xF1\x50\x80", Some("audio/aac")),
        (b"\xFF\xD8\xFF\xE0", None),
        (b"<!doctype html>", None),
        (b"", None),
    ] {
        assert_eq!(sound_type(bytes), kind, "{bytes:?}");
        assert_eq!(picture_type(&bytes[..bytes.len().min(2)]), None);
    }
}

#[test]
fn transcripts_are_read_with_their_segments() {
    assert_eq!(spoken(&recorded("asr.response.json")).expect("a text").text, "the tide is going out");
    let timed = spoken(&recorded("asr.response.chunks.json")).expect("a text");
    assert_eq!(timed.text, "The tide is going out.");
    let segments: Vec<_> = timed.segments.iter().map(|piece| (piece.start, piece.end, piece.text.as_str())).collect();
    assert_eq!(segments, [(0.0, Some(0.8), "The tide"), (0.8, None, "is going out.")]);
    let other = spoken(&recorded("deepinfra.asr.response.json")).expect("a text");
    assert_eq!((other.language.as_deref(), other.segments.len(), other.segments[0].end), (Some("en"), 1, Some(1.0)));
    let inferred = spoken(&recorded("fal.asr.response.json")).expect("a text");
    assert_eq!((inferred.language.as_deref(), inferred.confidence), (Some("en"), None));
    assert_eq!(spoken(r#"{"text": "x", "chunks": null, "confidence": 7}"#).expect("a text").confidence, None);
    for body in ["", "{}", "[]", "{\"text\": 3}", "<html>"] {
        assert!(spoken(body).is_err(), "{body}");
    }
}
