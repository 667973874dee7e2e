//! The description of the API for programs. It is a file; only limits that were set otherwise are written into it.

use std::sync::OnceLock;

use serde_json::Value;

use crate::limits::Limits;

const DOCUMENT: &str = include_str!("pages/openapi.json");

/// Where the limits stand that a setting can change.
type Place = (&'static str, fn(&Limits) -> u64);
const PLACES: &[Place] = &[
    ("/components/schemas/Prompt/maxLength", |limits| limits.prompt_chars),
    ("/components/schemas/NegativePrompt/maxLength", |limits| limits.prompt_chars),
    ("/components/schemas/PictureSide/maximum", |limits| limits.picture_side),
    ("/components/schemas/SpeechRequest/properties/text/maxLength", |limits| limits.tts_chars),
    ("/components/schemas/EmbeddingRequest/properties/text/maxLength", |limits| limits.embedding_chars),
    ("/components/schemas/ChatRequest/properties/messages/maxItems", |limits| limits.llm_messages),
    ("/components/schemas/ChatRequest/properties/messages/x-max-characters", |limits| limits.llm_chars),
    ("/components/schemas/ChatCompletionRequest/properties/messages/maxItems", |limits| limits.llm_messages),
    ("/components/schemas/ChatCompletionRequest/properties/messages/x-max-characters", |limits| limits.llm_chars),
    ("/components/schemas/CompletionRequest/properties/prompt/maxLength", |limits| limits.llm_chars),
    ("/components/schemas/EmbeddingsRequest/properties/input/maxLength", |limits| limits.embedding_chars),
    ("/components/schemas/EmbeddingsRequest/properties/input/items/maxLength", |limits| limits.embedding_chars),
    ("/components/schemas/AudioSpeechRequest/properties/input/maxLength", |limits| limits.tts_chars),
    ("/components/schemas/Base64Picture/x-max-bytes", |limits| limits.upload_bytes),
    ("/components/schemas/File/x-max-bytes", |limits| limits.upload_bytes),
];

pub(crate) fn document() -> &'static str {
    static CHANGED: OnceLock<Option<String>> = OnceLock::new();
    CHANGED.get_or_init(|| with(Limits::get())).as_deref().unwrap_or(DOCUMENT)
}

/// The document with these limits; none where they are the usual ones.
fn with(limits: &Limits) -> Option<String> {
    if *limits == Limits::default() {
        return None;
    }
    let mut document: Value = serde_json::from_str(DOCUMENT).ok()?;
    for (place, limit) in PLACES {
        *document.pointer_mut(place)? = limit(limits).into();
    }
    Some(document.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::control;
    use crate::input::llm::CARRIED;
    use crate::limits;
    use crate::routes::{Page, ROUTES, Route};

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).expect("it is JSON")
    }

    fn schema(name: &str) -> Value {
        document()["components"]["schemas"][name].clone()
    }

    /// The value with every `$ref` on the way followed.
    fn resolved(document: &Value, value: &Value) -> Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let target = document.pointer(reference.trim_start_matches('#'));
                resolved(document, target.unwrap_or_else(|| panic!("nothing at {reference}")))
            }
            None => value.clone(),
        }
    }

    #[test]
    fn it_describes_the_routes_and_no_others() {
        let document = document();
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .expect("paths")
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().expect("methods").keys().map(move |method| (path.clone(), method.clone()))
            })
            .collect();
        // Answered by the platform's own host, in front of us.
        let hosts = [
            ("/batch", "post"),
            ("/jobs/{id}", "get"),
            ("/jobs/{id}", "delete"),
            ("/jobs/{id}/result", "get"),
            ("/jobs/{id}/events", "get"),
        ];
        let hosts = hosts.map(|(path, method)| (path.to_owned(), method.to_owned()));
        let served: BTreeSet<(String, String)> = ROUTES
            .iter()
            .filter(|(_, route)| !matches!(route, Route::Page(Page::DocsScript | Page::DocsStyle)))
            .map(|(path, route)| {
                let method = if matches!(route, Route::Page(_)) { "get" } else { "post" };
                ((*path).to_owned(), method.to_owned())
            })
            .chain(hosts)
            .collect();
        assert_eq!(described, served);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(document: &Value, value: &Value) {
            match value {
                Value::Object(fields) => {
                    resolved(document, value);
                    fields.values().for_each(|field| walk(document, field));
                }
                Value::Array(items) => items.iter().for_each(|item| walk(document, item)),
                _ => {}
            }
        }
        walk(&document(), &document());
        assert_eq!(document()["openapi"], "3.1.0");
    }

    #[test]
    fn the_limits_are_those_that_are_kept() {
        for (place, limit) in PLACES {
            assert_eq!(document().pointer(place), Some(&limit(&Limits::default()).into()), "{place}");
        }
        let bounds = |name: &str, field: &str| {
            let document = document();
            let field = resolved(&document, &schema(name)["properties"][field]);
            (field["minimum"].as_f64().expect("a minimum"), field["maximum"].as_f64().expect("a maximum"))
        };
        let integers = |range: std::ops::RangeInclusive<u64>| (*range.start() as f64, *range.end() as f64);
        let numbers = |range: std::ops::RangeInclusive<f64>| (*range.start(), *range.end());
        assert_eq!(bounds("ChatRequest", "max_tokens"), integers(limits::MAX_TOKENS));
        assert_eq!(bounds("ChatRequest", "temperature"), numbers(limits::TEMPERATURE));
        assert_eq!(bounds("SpeechRequest", "speaker_id"), integers(limits::SPEAKER));
        assert_eq!(bounds("SpeechRequest", "speed"), numbers(limits::SPEED));
        for request in ["ImageRequest", "EditRequest", "EditForm"] {
            assert_eq!(bounds(request, "seed"), integers(limits::SEED));
            assert_eq!(bounds(request, "num_inference_steps"), integers(limits::STEPS));
            assert_eq!(bounds(request, "guidance_scale"), numbers(limits::GUIDANCE));
        }
        assert_eq!(bounds("EditRequest", "strength"), numbers(limits::STRENGTH));
        let side = schema("PictureSide");
        assert_eq!(side["minimum"], limits::MIN_PICTURE_SIDE);
        assert_eq!(side["multipleOf"], limits::PICTURE_SIDE_STEP);
        assert_eq!(side["default"], limits::DEFAULT_PICTURE_SIDE);
    }

    #[test]
    fn every_request_example_is_taken() {
        use crate::input::{edit, embedding, image, llm, tts};
        use crate::v1;

        let limits = Limits::default();
        let example = |name: &str| schema(name)["examples"][0].to_string().into_bytes();
        assert!(image::parse(&example("ImageRequest"), &limits).is_ok());
        assert!(edit::parse(&example("EditRequest"), &limits).is_ok_and(|input| input.is_ok()));
        assert!(tts::parse(&example("SpeechRequest"), &limits).is_ok());
        assert!(llm::parse(&example("ChatRequest"), &limits).is_ok());
        assert!(embedding::parse(&example("EmbeddingRequest"), &limits).is_ok());
        assert!(llm::parse_openai(&example("ChatCompletionRequest"), &limits).is_ok());
        assert!(llm::parse_prompt(&example("CompletionRequest"), &limits).is_ok());
        assert!(v1::embeddings::parse(&example("EmbeddingsRequest"), &limits).is_ok());
        assert!(v1::images::parse(&example("ImagesRequest"), &limits).is_ok());
        assert!(v1::speech::parse(&example("AudioSpeechRequest"), &limits).is_ok());
    }

    #[test]
    fn what_is_carried_and_the_control_headers_are_told() {
        for name in CARRIED {
            assert!(schema("ChatRequest")["properties"].get(name).is_some(), "{name}");
        }
        let document = document();
        for (path, _) in ROUTES.iter().filter(|(_, route)| matches!(route, Route::Endpoint(_))) {
            let openai = crate::v1::covers(path);
            let post = &document["paths"][path]["post"];
            let headers: Vec<String> = post["parameters"]
                .as_array()
                .expect("parameters")
                .iter()
                .map(|it| resolved(&document, it)["name"].as_str().expect("a name").to_lowercase())
                .collect();
            for name in [control::FALLBACK, control::TIMEOUT, control::RETRY] {
                assert!(headers.iter().any(|known| known == name), "{path} {name}");
            }
            for status in ["200", "400", "404", "413", "415", "422", "429", "500", "502", "503", "504"] {
                // OpenAI knows no 422.
                assert_eq!(post["responses"].get(status).is_some(), !openai || status != "422", "{path} {status}");
            }
            let first_token = headers.iter().any(|known| known == control::FIRST_TOKEN_TIMEOUT);
            assert_eq!(first_token, path.contains("llm") || path.contains("completions"), "{path}");
        }
    }

    #[test]
    fn limits_that_were_set_are_written_in() {
        assert_eq!(with(&Limits::default()), None);
        let limits = Limits { prompt_chars: 7, llm_messages: 3, ..Limits::default() };
        let changed: Value = serde_json::from_str(&with(&limits).expect("it is changed")).expect("it is JSON");
        assert_eq!(changed["components"]["schemas"]["Prompt"]["maxLength"], 7);
        assert_eq!(changed["components"]["schemas"]["ChatRequest"]["properties"]["messages"]["maxItems"], 3);
    }
}
