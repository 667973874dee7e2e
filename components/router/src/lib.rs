//! The HTTP API: paths, bodies, rules and errors of the plan. What answers is behind the six capabilities.

mod answer;
mod base64;
mod body;
mod control;
mod head;
mod input;
mod limits;
mod multipart;
mod openapi;
mod output;
mod refusal;
mod routes;
mod serve;
mod stream;
mod v1;

mod bindings {
    use spin_sdk::wit_bindgen;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/router",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
}

mod export {
    use spin_sdk::wasip3;

    use super::Router;

    wasip3::http::service::export!(Router with_types_in wasip3);
}

use hybrid_guest::time;
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Method, Request, Response};

use answer::{Answer, JSON};
use head::Head;
use input::Parameters;
use refusal::Refusal;
use routes::{Page, Verb, Way, way};

struct Router;

impl Guest for Router {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        Ok(answer(request).await.into_response())
    }
}

async fn answer(request: Request) -> Answer {
    let verb = match request.get_method() {
        Method::Get => Verb::Get,
        Method::Head => Verb::Head,
        Method::Post => Verb::Post,
        Method::Options => Verb::Options,
        _ => Verb::Other,
    };
    let target = request.get_path_with_query().unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let refusal = match way(verb, &path) {
        Way::Page(wanted) => match page(wanted, &path) {
            Ok(answer) if verb == Verb::Head => return answer.head(),
            Ok(answer) => return answer,
            Err(refusal) => refusal,
        },
        Way::Tell(allow) => return Answer::empty(204).with("allow", allow),
        Way::NotFound => Refusal::not_found(),
        Way::NotAllowed(allow) => Refusal::method_not_allowed(allow),
        Way::Endpoint(endpoint) => {
            let head = Head::new(target, request.get_headers().copy_all());
            let mut parameters = Parameters::default();
            match serve::endpoint(endpoint, &head, request, &mut parameters).await {
                Ok(answer) => return answer.kept(&head).logged(&parameters, endpoint.work()),
                Err(refusal) => {
                    tell(&refusal);
                    if parameters.0.is_empty() && !refusal.details.is_empty() {
                        parameters.add("refused", routes::names(&refusal.details));
                    }
                    return Answer::refusal(&refusal, &path).logged(&parameters, endpoint.work());
                }
            }
        }
    };
    let answer = Answer::refusal(&refusal, &path);
    if verb == Verb::Head { answer.head() } else { answer }
}

fn page(page: Page, path: &str) -> Result<Answer, Refusal> {
    // The page may run and load what comes from here, and nothing else.
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                          img-src blob: data:; media-src blob:; base-uri 'none'; form-action 'none'; \
                          frame-ancestors 'none'";
    let asset = |content_type, content: &'static str| {
        serve::page(content_type, content.as_bytes())
            .with("cache-control", "no-cache")
            .with("x-content-type-options", "nosniff")
    };
    Ok(match page {
        Page::Health => Answer::bytes(JSON, output::health(&time::now())).with("cache-control", "no-store"),
        Page::Models => Answer::bytes(JSON, v1::offer()).with("cache-control", "no-cache"),
        Page::OpenAiModels => Answer::bytes(JSON, v1::list()).with("cache-control", "no-cache"),
        Page::OpenAiModel => {
            let model = path.strip_prefix(routes::OPENAI_MODEL).unwrap_or_default();
            Answer::bytes(JSON, v1::one(model)?).with("cache-control", "no-cache")
        }
        Page::OpenApi => asset(JSON, openapi::document()),
        Page::Docs => asset("text/html; charset=utf-8", include_str!("pages/docs.html"))
            .with("content-security-policy", POLICY)
            .with("referrer-policy", "no-referrer"),
        Page::DocsScript => asset("text/javascript; charset=utf-8", include_str!("pages/docs.js")),
        Page::DocsStyle => asset("text/css; charset=utf-8", include_str!("pages/docs.css")),
    })
}

/// What must not leave the platform goes to the log.
fn tell(refusal: &Refusal) {
    if let Some(inside) = &refusal.inside {
        let message = serde_json::Value::from(inside.as_str());
        eprintln!(r#"{{"level":"error","code":"{}","message":{message}}}"#, refusal.code);
    }
}
