//! The recorded requests of providers' clients, made again.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::tests::{reply, upstream};

fn sent(request: &Request) -> Value {
    let bytes: Vec<u8> = request.body.pieces().flat_map(Cow::into_owned).collect();
    assert_eq!(bytes.len(), request.body.len());
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)))
}

fn text(request: &Request) -> String {
    String::from_utf8_lossy(&request.body.pieces().flat_map(Cow::into_owned).collect::<Vec<u8>>()).into_owned()
}

fn recorded(name: &str) -> Value {
    serde_json::from_slice(&reply(&format!("{name}.json"))).expect("JSON")
}

fn prompt(text: &str) -> PicturePrompt {
    PicturePrompt {
        text: text.into(),
        negative: None,
        width: 512,
        height: 512,
        seed: None,
        steps: None,
        guidance: None,
    }
}

fn of(wire: Wire, id: &str) -> Upstream {
    upstream(wire, id, "http://upstream")
}

fn bytes(bytes: &[u8]) -> Chunks {
    Chunks::of(vec![bytes.to_vec()])
}

#[test]
fn pictures_are_asked_for_by_each_provider_s_names() {
    let kite = PicturePrompt { steps: Some(20), seed: Some(7), ..prompt("a kite") };
    let fal = draw(&of(Wire::Fal, "fal-ai/flux/dev"), &kite).expect("a request");
    assert_eq!(path(&fal), "/fal-ai/flux/dev?_subdomain=queue");
    assert_eq!(sent(&fal), recorded("fal.t2i.request"));

    let schnell = of(Wire::Together, "black-forest-labs/FLUX.1-schnell");
    let together = draw(&schnell, &PicturePrompt { steps: Some(4), ..prompt("a kite") }).expect("a request");
    assert_eq!(path(&together), "/images/generations");
    assert_eq!(sent(&together), recorded("together.image.request"));

    let nscale = draw(&of(Wire::Nscale, "black-forest-labs/FLUX.1-schnell"), &PicturePrompt { steps: Some(4), ..kite });
    let mut wanted = recorded("nscale.image.request");
    wanted["seed"] = json!(7);
    assert_eq!(sent(&nscale.expect("a request")), wanted);
}

#[test]
fn replicate_takes_a_model_or_one_of_its_versions() {
    let version = recorded("replicate.request")["version"].as_str().expect("one").to_owned();
    let request = draw(&of(Wire::Replicate, &format!("acme/kite:{version}")), &prompt("a kite")).expect("a request");
    assert_eq!((path(&request), request.prefer), ("/v1/predictions", true));
    let body = sent(&request);
    assert_eq!((&body["version"], &body["input"]["prompt"]), (&json!(version), &json!("a kite")));
    let request = draw(&of(Wire::Replicate, "acme/kite"), &prompt("a kite")).expect("a request");
    assert_eq!(path(&request), "/v1/models/acme/kite/predictions");
    for id in ["../x", "a/b?c", "a b", "", "a/b:c/d"] {
        assert!(matches!(draw(&of(Wire::Replicate, id), &prompt("x")), Err(Reason::UnknownModel(_))), "{id}");
        assert!(matches!(draw(&of(Wire::Fal, id), &prompt("x")), Err(Reason::UnknownModel(_))), "{id}");
    }
}

#[test]
fn adapters_ride_on_a_shared_runner() {
    let with =
        |wire| Upstream { lora: Some("u/l/resolve/main/lora.safetensors".into()), ..of(wire, "fal-ai/flux-lora") };
    let fal = sent(&draw(&with(Wire::Fal), &prompt("x")).expect("a request"));
    let path = "https://huggingface.co/u/l/resolve/main/lora.safetensors";
    assert_eq!(fal["loras"], json!([{ "path": path, "scale": 1 }]));
    let replicate = sent(&draw(&with(Wire::Replicate), &prompt("x")).expect("a request"));
    assert_eq!(replicate["input"]["lora_weights"], "https://huggingface.co/u/l");
}

#[test]
fn pictures_are_edited_with_and_without_a_mask() {
    let (image, mask) = (bytes(&reply("input.png")), bytes(&reply("mask-white-right.png")));
    let uri = format!("data:image/png;base64,{}", STANDARD.encode(reply("input.png")));
    let plain = |wire, id, words: &str| {
        sent(&edit(&of(wire, id), &prompt(words), (&image, PNG), None, None, "b").expect("a request"))
    };
    let mut wanted = recorded("fal.i2i.request");
    wanted["image_size"] = json!({ "width": 512, "height": 512 });
    assert_eq!(plain(Wire::Fal, "a/b", "make it blue"), wanted);
    let names: Vec<String> =
        recorded("replicate.i2i.request")["input"].as_object().expect("input").keys().cloned().collect();
    let body = plain(Wire::Replicate, "a/b", "blue");
    assert_eq!(body["input"].as_object().expect("input").keys().cloned().collect::<Vec<_>>(), names);
    assert_eq!((&body["input"]["image"], &body["input"]["input_images"]), (&json!(uri), &json!([uri])));
    let kontext = plain(Wire::Together, "black-forest-labs/FLUX.1-kontext-pro", "blue");
    assert_eq!((&kontext["image_url"], &kontext["response_format"]), (&json!(uri), &json!("base64")));
    assert_eq!(plain(Wire::Together, "x/y", "blue")["reference_images"], json!([uri]));

    let grass = PicturePrompt { guidance: Some(30.0), steps: Some(28), ..prompt("grass") };
    let masked = |wire, strength| edit(&of(wire, "a/b"), &grass, (&image, PNG), Some(&mask), strength, "b");
    let mut wanted = recorded("replicate.inpaint.request");
    wanted["input"]["image"] = json!(uri);
    wanted["input"]["mask"] =
        json!(format!("data:image/png;base64,{}", STANDARD.encode(reply("mask-white-right.png"))));
    wanted["input"]["guidance"] = json!(30.0);
    assert_eq!(sent(&masked(Wire::Replicate, None).expect("a request")), wanted);
    let fal = sent(&masked(Wire::Fal, Some(0.5)).expect("a request"));
    assert_eq!((&fal["mask_url"], &fal["strength"]), (&wanted["input"]["mask"], &json!(0.5)));
    assert!(fal["image_urls"].is_null() && fal["image_size"].is_null());
    for wire in [Wire::Together, Wire::OpenAi] {
        assert!(matches!(masked(wire, None), Err(Reason::UnknownModel(_))), "{wire:?} repaints no mask");
    }
}

#[test]
fn speech_names_a_voice() {
    let fal = sent(&speak(&of(Wire::Fal, "a/b"), "hello", Some("af_heart"), None).expect("a request"));
    let mut wanted = recorded("fal.tts.request");
    wanted["prompt"] = json!("hello");
    assert_eq!(fal, wanted);
    let openai = speak(&of(Wire::OpenAi, "hexgrad/Kokoro-82M"), "hello", None, Some(1.5)).expect("a request");
    assert_eq!(path(&openai), "/audio/speech");
    assert_eq!(
        sent(&openai),
        json!({ "model": "hexgrad/Kokoro-82M", "input": "hello", "voice": "alloy", "response_format": "wav", "speed": 1.5 })
    );
    let replicate = sent(&speak(&of(Wire::Replicate, "a/b"), "hello", None, None).expect("a request"));
    assert_eq!(replicate, json!({ "input": { "text": "hello" } }));
}

#[test]
fn recordings_go_as_data_or_in_a_form() {
    let wav = bytes(b"RIFF");
    let fal = transcribe(&of(Wire::Fal, "a/b"), "audio/wav", &wav, None, "b").expect("a request");
    assert_eq!(sent(&fal), recorded("fal.asr.request"));
    assert!(matches!(transcribe(&of(Wire::Fal, "a/b"), "audio/flac", &wav, None, "b"), Err(Reason::UnknownModel(_))));
    let form =
        transcribe(&of(Wire::OpenAi, "openai/whisper"), "audio/mp4", &wav, Some("de"), "edge").expect("a request");
    assert_eq!(
        (path(&form), form.content_type.as_ref()),
        ("/audio/transcriptions", "multipart/form-data; boundary=edge")
    );
    let body = text(&form);
    assert_eq!(body.len(), form.body.len());
    for part in [
        "--edge\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nopenai/whisper\r\n",
        "name=\"language\"\r\n\r\nde\r\n",
        "name=\"file\"; filename=\"audio.m4a\"\r\ncontent-type: audio/mp4\r\n\r\nRIFF\r\n--edge--\r\n",
    ] {
        assert!(body.contains(part), "{body}");
    }
}

#[test]
fn texts_go_as_openai_or_tei_take_them() {
    let texts = ["one".to_owned(), "t\"wo".to_owned()];
    let openai = embed(&of(Wire::OpenAi, "m"), &texts);
    assert_eq!(path(&openai), "/embeddings");
    assert_eq!(sent(&openai), json!({ "model": "m", "input": texts, "encoding_format": "float" }));
    let tei = embed(&of(Wire::Tei, "m"), &texts);
    assert_eq!((path(&tei), sent(&tei)), ("/embed", json!({ "inputs": texts })));
}
