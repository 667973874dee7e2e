//! The recorded requests, made again.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::tests::reply;

fn sent(request: &Request) -> Value {
    let bytes: Vec<u8> = request.body.pieces().flat_map(Cow::into_owned).collect();
    assert_eq!(bytes.len(), request.body.len());
    serde_json::from_slice(&bytes).expect("JSON")
}

/// A recorded request as a Hugging Face client sends it: nulls are left out.
fn recorded(name: &str) -> Value {
    fn without_nulls(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.retain(|_, value| !value.is_null());
                members.values_mut().for_each(without_nulls);
            }
            Value::Array(items) => items.iter_mut().for_each(without_nulls),
            _ => {}
        }
    }
    let mut value = serde_json::from_slice(&reply(name)).expect("JSON");
    without_nulls(&mut value);
    value
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

fn message(role: Role, text: Option<&str>, more: Option<&str>) -> Message {
    Message { role, text: text.map(str::to_owned), more: more.map(str::to_owned) }
}

fn conversation(messages: Vec<Message>, more: Option<&str>) -> Conversation {
    Conversation { messages, max_tokens: None, temperature: None, more: more.map(str::to_owned) }
}

fn path(request: &Request) -> &str {
    match &request.target {
        Target::Task(path) => path,
        Target::Chat => panic!("a chat has no path of its own"),
    }
}

#[test]
fn speech_goes_as_recorded_and_names_its_voice() {
    let request = speak("a/b", "The tide is going out.", None, None).expect("a request");
    assert_eq!(sent(&request), recorded("tts.request.json"));
    assert_eq!(path(&request), "/hf-inference/models/a/b");
    let voiced = speak("a/b", "x", Some(3), Some(1.5)).expect("a request");
    assert_eq!(sent(&voiced), json!({"inputs": "x", "parameters": {"speaker_id": 3, "speed": 1.5}}));
}

#[test]
fn a_recording_goes_raw_without_a_language_and_as_json_with_one() {
    let wav = Chunks::of(vec![reply("speech.wav")]);
    let raw = transcribe("a/b", "audio/wav", wav.clone(), None, false).expect("a request");
    assert_eq!((raw.content_type.as_ref(), &raw.body), ("audio/wav", &Body(vec![Part::Bytes(wav.clone())])));
    let m4a = transcribe("a/b", "audio/mp4", wav.clone(), None, false).expect("a request");
    assert_eq!(m4a.content_type, "audio/m4a");

    let spoken = transcribe("a/b", "audio/wav", wav, Some("de"), false).expect("a request");
    let body = sent(&spoken);
    assert_eq!(body["inputs"], STANDARD.encode(reply("speech.wav")));
    assert_eq!(body["parameters"], json!({"return_timestamps": true, "generation_parameters": {"language": "de"}}));
    assert_eq!(spoken.content_type, "application/json");
    let recorded = recorded("asr.request.json");
    assert_eq!(recorded["parameters"]["return_timestamps"], body["parameters"]["return_timestamps"]);
}

#[test]
fn a_picture_is_asked_for_as_recorded() {
    let wish = PicturePrompt {
        negative: Some("text".into()),
        seed: Some(7),
        steps: Some(20),
        guidance: Some(5.0),
        ..prompt("a red kite over dunes")
    };
    let request = draw("a/b", &wish).expect("a request");
    let mut wanted = recorded("t2i.request.json");
    wanted["parameters"].as_object_mut().expect("parameters").remove("scheduler");
    assert_eq!((sent(&request), request.accept), (wanted, "image/png"));
    let plain = draw("a/b", &PicturePrompt { guidance: Some(f32::NAN), ..prompt("x") }).expect("a request");
    assert_eq!(sent(&plain), json!({"inputs": "x", "parameters": {"width": 512, "height": 512}}));
}

#[test]
fn an_edit_goes_as_recorded_with_and_without_a_mask() {
    let image = || Chunks::of(vec![reply("input.png")]);
    let wish = PicturePrompt {
        negative: Some("noise".into()),
        steps: Some(20),
        guidance: Some(7.0),
        ..prompt("make it blue")
    };
    let request = edit("a/b", &wish, image(), None, None).expect("a request");
    assert_eq!(sent(&request), recorded("i2i.request.json"));

    let mask = Chunks::of(vec![reply("mask-white-right.png")]);
    let request = edit("a/b", &prompt("fill with grass"), image(), Some(mask), Some(0.9)).expect("a request");
    let mut wanted = recorded("inpaint.request.hf-convention.json");
    wanted["parameters"]["width"] = 512.into();
    wanted["parameters"]["height"] = 512.into();
    assert_eq!(sent(&request), wanted);
}

#[test]
fn texts_go_to_the_pipeline_that_makes_vectors() {
    let one = embed("a/b", &["tide tables".to_owned()]).expect("a request");
    assert_eq!(sent(&one), recorded("features.request.single.json"));
    assert_eq!(path(&one), "/hf-inference/models/a/b/pipeline/feature-extraction");
    let two = embed("a/b", &["tide tables".to_owned(), "moon phase".to_owned()]).expect("a request");
    assert_eq!(sent(&two)["inputs"], recorded("features.request.batch.json")["inputs"]);
}

#[test]
fn a_chat_goes_as_recorded_with_its_model_first() {
    let talk = Conversation {
        max_tokens: Some(64),
        temperature: Some(0.2),
        ..conversation(
            vec![message(Role::System, Some("Be brief."), None), message(Role::User, Some("Name a tide."), None)],
            None,
        )
    };
    let request = chat("openai/gpt-oss-120b:fastest", &talk, false).expect("a request");
    assert_eq!(sent(&request), recorded("chat.request.json"));
    assert!(request.body.pieces().next().expect("a body").starts_with(b"{\"model\":\"openai/gpt-oss-120b:fastest\","));
    let streamed = sent(&chat("a/b", &talk, true).expect("a request"));
    assert_eq!((&streamed["stream"], &streamed["stream_options"]), (&json!(true), &json!({"include_usage": true})));
}

/// A recorded request taken apart into a conversation, put together again.
fn again(name: &str) -> (Value, Value) {
    let mut wanted = recorded(name);
    wanted["model"] = "a/b".into();
    let members = wanted.as_object().expect("an object");
    let role = |message: &Value| match message["role"].as_str().expect("a role") {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => Role::Tool,
    };
    let messages = members["messages"].as_array().expect("messages").iter();
    let messages = messages.map(|turn| message(role(turn), Some("unused"), Some(&turn.to_string())));
    // A turn whose content is a null has nothing to say beside its calls.
    let messages = messages.map(|turn| match &turn.more {
        Some(more) if !more.contains("\"content\"") => Message { text: None, ..turn },
        _ => turn,
    });
    let more: serde_json::Map<String, Value> =
        members.iter().filter(|(key, _)| *key != "messages").map(|(key, value)| (key.clone(), value.clone())).collect();
    let talk = conversation(messages.collect(), Some(&Value::Object(more).to_string()));
    let mut body = sent(&chat("a/b", &talk, false).expect("a request"));
    body.as_object_mut().expect("an object").remove("stream");
    (body, wanted)
}

#[test]
fn tools_pictures_and_schemas_pass_unchanged() {
    for name in ["tools", "tool-result", "vision", "schema"] {
        let (body, wanted) = again(&format!("chat.request.{name}.json"));
        assert_eq!(body, wanted, "{name}");
    }
}

#[test]
fn a_schema_in_the_endpoints_form_becomes_openai_s() {
    let (body, wanted) = again("chat.request.schema.hf-endpoint.json");
    let format = &body["response_format"];
    assert_eq!((&format["type"], &format["json_schema"]["name"]), (&json!("json_schema"), &json!("answer")));
    assert_eq!(format["json_schema"]["schema"], wanted["response_format"]["value"]);
}

#[test]
fn named_settings_win_and_openai_s_names_are_translated() {
    let turns = || vec![message(Role::User, Some("x"), None)];
    let more = r#"{"max_completion_tokens": 5, "temperature": 1, "model": "z/z", "messages": [], "stream": true,
        "stream_options": {}, "stop": null, "top_p": 0.5}"#;
    let body = sent(&chat("a/b", &conversation(turns(), Some(more)), false).expect("a request"));
    let wanted = json!({"model": "a/b", "messages": [{"role": "user", "content": "x"}], "max_tokens": 5,
        "temperature": 1, "top_p": 0.5, "stream": false});
    assert_eq!(body, wanted);
    let named = Conversation { max_tokens: Some(9), temperature: Some(0.5), ..conversation(turns(), Some(more)) };
    let body = sent(&chat("a/b", &named, false).expect("a request"));
    assert_eq!((&body["max_tokens"], &body["temperature"]), (&json!(9), &json!(0.5)));
    let broken = conversation(vec![message(Role::User, None, Some("[]"))], None);
    assert!(matches!(chat("a/b", &broken, false), Err(Reason::Invalid(_))));
}

#[test]
fn nothing_climbs_out_of_its_place_in_the_path() {
    for model in ["a/b", "meta-llama/Llama-3.1-8B-Instruct", "a_b/c.d-e_f", "0/1"] {
        assert!(is_model(model) && is_chat_model(model), "{model}");
    }
    for model in [
        "", "a", "a/", "/b", "a/b/c", "../b", "a/..", "a/b..c", "a/.b", "a/b?c", "a/b#c", "a/b%2e", "a b/c", "a/b\n",
        "ä/b",
    ] {
        assert!(!is_model(model) && !is_chat_model(model), "{model}");
        assert!(matches!(embed(model, &[String::new()]), Err(Reason::Invalid(_))), "{model}");
    }
    assert!(!is_model(&format!("a/{}", "b".repeat(200))));
    assert!(is_chat_model("a/b:hf-inference") && !is_model("a/b:hf-inference"));
    assert!(!is_chat_model("a/b:") && !is_chat_model("a/b:X") && !is_chat_model("a/b:c:d"));
}

#[test]
fn the_chat_path_is_appended_once() {
    for (base, wanted) in [
        ("", "/v1/chat/completions"),
        ("/v1", "/v1/chat/completions"),
        ("/x", "/x/v1/chat/completions"),
        ("/x/v1/chat/completions?y=z", "/x/v1/chat/completions?y=z"),
    ] {
        assert_eq!(chat_path(base), wanted, "{base}");
    }
}
