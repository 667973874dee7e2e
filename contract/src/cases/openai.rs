//! OpenAI's API: language, vectors, models and errors.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::House;

fn question(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "one two three" }] })
}

pub(super) async fn models_are_listed_and_found(house: &House<'_>) -> Result<()> {
    let list = house.get("/v1/models").await?.is(200)?.json()?;
    ensure!(list["object"] == "list", "{list}");
    let models = list["data"].as_array().context("a list")?;
    for model in models {
        let whole = model["id"].is_string() && model["object"] == "model" && model["created"].is_u64();
        ensure!(whole && model["owned_by"].is_string(), "{model}");
    }
    let named =
        models.iter().filter_map(|model| model["id"].as_str()).find(|id| id.contains('/')).context("a model")?;
    for path in [named.to_owned(), named.replace('/', "%2F")] {
        let one = house.get(&format!("/v1/models/{path}")).await?.is(200)?.json()?;
        ensure!(one["id"] == named && one["object"] == "model", "{one}");
    }
    let nowhere = house.get("/v1/models/no%2Fsuch").await?;
    nowhere.fails(404, "invalid_request_error", &json!("model_not_found"))?;
    let offer = house.get("/models").await?.is(200)?.json()?;
    for capability in ["llm", "embedding", "image", "image_edit", "tts", "stt"] {
        let models = offer["capabilities"][capability]["models"].as_array().context("models")?;
        let told = models.iter().all(|model| model["id"].is_string() && model["state"].is_string());
        ensure!(!models.is_empty() && told, "{capability}: {models:?}");
    }
    Ok(())
}

const ROUTES: &[&str] = &[
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
];

pub(super) async fn errors_are_openais(house: &House<'_>) -> Result<()> {
    let wrong = "invalid_request_error";
    for path in ["/v1", "/v1/", "/v1/nothing", "/v1/models/", "/v1/chat"] {
        house.get(path).await?.fails(404, wrong, &json!("not_found"))?;
    }
    for path in ROUTES {
        let reply = house.get(path).await?;
        reply.fails(405, wrong, &json!("method_not_allowed"))?;
        reply.says("allow", "POST, OPTIONS")?;
        let reply = house.send("POST", path, &[("content-type", "text/plain")], "x").await?;
        reply.fails(415, wrong, &json!("unsupported_media_type"))?;
    }
    house.send("POST", "/v1/models", &[], "").await?.fails(405, wrong, &json!("method_not_allowed"))?;
    for path in &ROUTES[..4] {
        for body in ["", "{", "nonsense"] {
            let reply = house.send("POST", path, &[("content-type", "application/json")], body).await?;
            reply.fails(400, wrong, &Value::Null).with_context(|| format!("{path} with `{body}`"))?;
        }
    }
    let reply = house.upload("/v1/audio/transcriptions", "multipart/form-data; boundary=x", 40 << 20).await?;
    reply.fails(413, wrong, &json!("payload_too_large"))?;
    Ok(())
}

pub(super) async fn wrong_fields_are_named(house: &House<'_>) -> Result<()> {
    for (path, body, field) in [
        ("/v1/chat/completions", json!({}), "messages"),
        ("/v1/chat/completions", json!({ "messages": [{ "role": "king", "content": "x" }] }), "messages[0].role"),
        ("/v1/completions", json!({ "prompt": [1, 2] }), "prompt"),
        ("/v1/embeddings", json!({ "input": [[1, 2], [3]] }), "input"),
        ("/v1/embeddings", json!({ "input": "x", "encoding_format": "hex" }), "encoding_format"),
        ("/v1/images/generations", json!({ "prompt": "x", "size": "huge" }), "size"),
        ("/v1/images/generations", json!({ "prompt": "x", "output_format": "webp" }), "output_format"),
        ("/v1/audio/speech", json!({ "input": "x", "response_format": "midi" }), "response_format"),
    ] {
        let error = house.post(path, &body).await?.fails(400, "invalid_request_error", &Value::Null)?;
        ensure!(error["param"] == field, "{path}: {error}");
    }
    // Names of other platforms' models are nobody's here.
    let reply = house.post("/v1/chat/completions", &question("gpt-0")).await?;
    let error = reply.fails(404, "invalid_request_error", &json!("model_not_found"))?;
    ensure!(error["param"] == "model", "{error}");
    Ok(())
}

pub(super) async fn stand_ins_say_so(house: &House<'_>) -> Result<()> {
    let reply = house.post("/v1/chat/completions", &json!({ "messages": question("")["messages"] })).await?;
    let body = reply.is(200)?.json()?;
    reply.says("x-placeholder", "true")?;
    ensure!(body["placeholder"] == true && body["model"] == "local/extractive", "{body}");
    let body = json!({ "messages": question("")["messages"], "stream": true });
    let events = house.events("/v1/chat/completions", &[], &body).await?.rest().await?;
    ensure!(events.first().context("events")?.json()?["placeholder"] == true, "a stream's stand-in is not labelled");
    ensure!(events.last().context("events")?.data == "[DONE]", "not done");
    let reply = house.post("/v1/embeddings", &json!({ "input": "hello" })).await?;
    super::standins::is_honest(&reply).context("vectors")?;
    // Who names a model of the upstream is told that there is none; its clients need not try again.
    let reply = house.post_with("/v1/chat/completions", &[("x-fallback", "off")], &question("acme/chat")).await?;
    reply.fails(503, "server_error", &json!("huggingface_api_error"))?;
    reply.says("x-should-retry", "false")?;
    Ok(())
}

pub(super) async fn chat_answers_whole(house: &House<'_>) -> Result<()> {
    let reply = house.post("/v1/chat/completions", &question("acme/chat-openai")).await?;
    let body = reply.is(200)?.json()?;
    ensure!(body["object"] == "chat.completion" && body["model"] == "acme/chat-openai", "{body}");
    ensure!(body["id"].as_str().is_some_and(|id| id.starts_with("chatcmpl-")) && body["created"].is_u64(), "{body}");
    let choice = &body["choices"][0];
    ensure!(choice["message"]["role"] == "assistant" && choice["finish_reason"] == "stop", "{body}");
    ensure!(choice["message"]["content"] == "You said: one two three", "{body}");
    ensure!(body["usage"]["total_tokens"] == 8 && body.get("placeholder").is_none(), "{body}");
    reply.says("x-model", "acme/chat-openai")?.says("x-provider", "standin")?;
    // What some clients say where there is but one model.
    for model in ["dummy", "tgi", "", "http://127.0.0.1:9/v1"] {
        let body = house.post("/v1/chat/completions", &question(model)).await?.is(200)?.json()?;
        ensure!(body["model"] == "meta-llama/Llama-2-7b-chat-hf", "`{model}` got {}", body["model"]);
    }
    Ok(())
}

pub(super) async fn what_a_chat_says_reaches_the_model(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    let asked = json!({
        "model": "acme/chat-carried",
        "messages": [
            { "role": "developer", "content": "be brief" },
            { "role": "user", "name": "eve", "content": [
                { "type": "text", "text": "what is it?" },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA", "detail": "low" } },
            ] },
            { "role": "assistant", "content": null, "tool_calls": [
                { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } },
            ] },
            { "role": "tool", "tool_call_id": "c1", "content": "4" },
        ],
        "top_p": 0.25, "n": 1, "stop": ["\n"], "seed": 7, "presence_penalty": 0.5, "frequency_penalty": -0.5,
        "logit_bias": { "50256": -100 }, "top_logprobs": 2, "max_completion_tokens": 40_000, "temperature": 0.7,
        "response_format": { "type": "json_schema", "json_schema": { "name": "a", "schema": { "type": "object" } } },
        "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }],
        "tool_choice": { "type": "function", "function": { "name": "f" } }, "parallel_tool_calls": false,
        "reasoning_effort": "low", "made_up": { "by": ["a", "client"] }, "user": "u1",
    });
    house.post("/v1/chat/completions", &asked).await?.is(200)?;
    let sent = house.only_request("acme/chat-carried")?.json();
    for (name, value) in asked.as_object().context("an object")? {
        match name.as_str() {
            "messages" | "max_completion_tokens" => {}
            _ => ensure!(sent[name] == *value, "`{name}` went as {}", sent[name]),
        }
    }
    ensure!(sent["max_tokens"] == 40_000 && sent.get("max_completion_tokens").is_none(), "{sent}");
    let mut messages = asked["messages"].clone();
    messages[0]["role"] = "system".into();
    messages[2].as_object_mut().context("a turn")?.remove("content");
    ensure!(sent["messages"] == messages, "{}", sent["messages"]);
    Ok(())
}

pub(super) async fn tools_are_called(house: &House<'_>) -> Result<()> {
    let mut asked = question("acme/chat-calls");
    asked["tools"] = json!([{ "type": "function", "function": { "name": "look_up" } }]);
    let body = house.post("/v1/chat/completions", &asked).await?.is(200)?.json()?;
    let choice = &body["choices"][0];
    ensure!(choice["finish_reason"] == "tool_calls" && choice["message"]["content"].is_null(), "{body}");
    let call = &choice["message"]["tool_calls"][0];
    ensure!(call["id"] == "call_standin" && call["function"]["name"] == "look_up", "{body}");
    let whole = call["function"]["arguments"].as_str().context("arguments are text")?.to_owned();

    asked["stream"] = true.into();
    let events = house.events("/v1/chat/completions", &[], &asked).await?.rest().await?;
    let (mut arguments, mut name, mut finish, mut roles) = (String::new(), String::new(), String::new(), 0);
    for event in &events[..events.len() - 1] {
        let choice = event.json()?["choices"][0].clone();
        let call = &choice["delta"]["tool_calls"][0];
        name.push_str(call["function"]["name"].as_str().unwrap_or_default());
        arguments.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
        finish.push_str(choice["finish_reason"].as_str().unwrap_or_default());
        roles += u32::from(choice["delta"]["role"] == "assistant");
    }
    ensure!((name.as_str(), arguments, finish.as_str(), roles) == ("look_up", whole, "tool_calls", 1), "{events:?}");
    Ok(())
}

pub(super) async fn several_answers_and_probabilities_come(house: &House<'_>) -> Result<()> {
    let mut asked = question("acme/chat-several");
    (asked["n"], asked["logprobs"]) = (2.into(), true.into());
    let body = house.post("/v1/chat/completions", &asked).await?.is(200)?.json()?;
    let choices = body["choices"].as_array().context("choices")?;
    ensure!(choices.len() == 2, "{body}");
    for (index, choice) in choices.iter().enumerate() {
        ensure!(choice["index"] == index && choice["message"]["content"] == "You said: one two three", "{choice}");
        ensure!(choice["logprobs"]["content"][0]["logprob"] == -0.5 && choice["finish_reason"] == "stop", "{choice}");
    }
    asked["stream"] = true.into();
    let events = house.events("/v1/chat/completions", &[], &asked).await?.rest().await?;
    let mut texts = [String::new(), String::new()];
    let mut finished = [0, 0];
    for event in &events[..events.len() - 1] {
        for choice in event.json()?["choices"].as_array().context("choices")? {
            let index = choice["index"].as_u64().context("an index")? as usize;
            if let Some(text) = choice["delta"]["content"].as_str() {
                texts[index].push_str(text);
                ensure!(choice["logprobs"]["content"][0]["token"] == text, "{choice}");
            }
            finished[index] += u32::from(choice["finish_reason"] == "stop");
        }
    }
    ensure!(texts.iter().all(|text| text == "You said: one two three") && finished == [1, 1], "{events:?}");
    Ok(())
}

pub(super) async fn prompts_are_answered(house: &House<'_>) -> Result<()> {
    let asked = json!({ "model": "acme/chat-prompt", "prompt": "one two", "max_tokens": 3 });
    let body = house.post("/v1/completions", &asked).await?.is(200)?.json()?;
    ensure!(body["object"] == "text_completion" && body["choices"][0]["text"] == "You said: one ", "{body}");
    ensure!(body["choices"][0]["finish_reason"] == "length", "{body}");
    let asked = json!({ "model": "acme/chat-prompt", "prompt": ["one two"], "stream": true });
    let events = house.events("/v1/completions", &[], &asked).await?.rest().await?;
    let texts: Result<Vec<String>> = events[..events.len() - 1]
        .iter()
        .map(|event| Ok(event.json()?["choices"][0]["text"].as_str().context("text")?.to_owned()))
        .collect();
    ensure!(texts?.concat() == "You said: one two" && events[events.len() - 1].data == "[DONE]", "{events:?}");
    Ok(())
}

pub(super) async fn vectors_come_as_asked(house: &House<'_>) -> Result<()> {
    let ask = async |more: Value| -> Result<Value> {
        let mut body = json!({ "model": "acme/embed-openai", "input": ["the tide", "is high"] });
        body.as_object_mut().context("an object")?.extend(more.as_object().cloned().unwrap_or_default());
        house.post("/v1/embeddings", &body).await?.is(200)?.json()
    };
    let plain = ask(json!({})).await?;
    ensure!(plain["object"] == "list" && plain["model"] == "acme/embed-openai", "{}", plain["model"]);
    ensure!(plain["usage"]["prompt_tokens"].is_u64() && plain["usage"]["total_tokens"].is_u64(), "{}", plain["usage"]);
    let rows = plain["data"].as_array().context("rows")?;
    ensure!(rows.len() == 2, "{} rows", rows.len());
    let numbers = |row: &Value| -> Result<Vec<f32>> {
        let all = row["embedding"].as_array().context("numbers")?.iter();
        all.map(|number| Ok(number.as_f64().context("a number")? as f32)).collect()
    };
    let coded = ask(json!({ "encoding_format": "base64" })).await?;
    for (index, row) in rows.iter().enumerate() {
        ensure!(row["object"] == "embedding" && row["index"] == index, "{}", row["index"]);
        let bytes = BASE64_STANDARD.decode(coded["data"][index]["embedding"].as_str().context("base64")?)?;
        let decoded: Vec<f32> =
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect();
        ensure!(decoded.len() == 384 && decoded == numbers(row)?, "row {index} differs");
    }
    let short = ask(json!({ "dimensions": 200 })).await?;
    let short = numbers(&short["data"][1])?;
    let length: f32 = short.iter().map(|number| number * number).sum();
    ensure!(short.len() == 200 && (length - 1.0).abs() < 1e-3, "{short:?}");
    let long = json!({ "model": "acme/embed-openai", "input": "x", "dimensions": 385 });
    let error = house.post("/v1/embeddings", &long).await?.fails(400, "invalid_request_error", &Value::Null)?;
    ensure!(error["param"] == "dimensions", "{error}");
    // More than the upstream takes at once.
    let many: Vec<String> = (0..70).map(|index| format!("text {index}")).collect();
    let body = json!({ "model": "acme/embed-many", "input": many });
    let body = house.post("/v1/embeddings", &body).await?.is(200)?.json()?;
    ensure!(body["data"].as_array().is_some_and(|rows| rows.len() == 70), "not 70 rows");
    Ok(())
}

pub(super) async fn errors_of_models_keep_their_class(house: &House<'_>) -> Result<()> {
    let off = [("x-fallback", "off"), ("x-retries", "0")];
    for (fault, status, kind, code) in [
        ("always-400", 400, "invalid_request_error", "huggingface_api_error"),
        ("always-401", 502, "server_error", "huggingface_api_error"),
        ("unserved", 404, "invalid_request_error", "model_not_found"),
        ("ratelimit-7", 429, "rate_limit_error", "rate_limit_exceeded"),
        ("always-503", 503, "server_error", "huggingface_api_error"),
        ("garbage", 502, "server_error", "huggingface_api_error"),
    ] {
        for stream in [false, true] {
            let mut asked = question(&format!("fault/{fault}-chat-v1"));
            asked["stream"] = stream.into();
            let reply = house.post_with("/v1/chat/completions", &off, &asked).await?;
            reply.fails(status, kind, &code.into()).with_context(|| format!("{fault}, stream {stream}"))?;
            if status == 429 {
                reply.says("retry-after", "7")?;
            }
        }
    }
    Ok(())
}
