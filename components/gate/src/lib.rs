//! The first link of the HTTP chain: CORS, the request's id, and the access log where nobody in front keeps one.
//!
//! Bodies pass through as handles. Where a front (our host) has given the request its id and writes the log, a request
//! that needs no CORS passes through whole: each call into the host and each copied header costs every request.

mod cors;
mod id;
mod log;

mod next {
    use spin_sdk::{wasip3, wit_bindgen};

    wit_bindgen::generate!({
        path: "wit",
        world: "hybrid:gate/link",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "wasi:http/types@0.3.0": wasip3::http::types },
        generate_all,
    });

    pub(crate) use wasi::http::handler::handle;
}

mod export {
    use spin_sdk::wasip3;

    use super::Gate;

    wasip3::http::service::export!(Gate with_types_in wasip3);
}

use std::sync::OnceLock;
use std::time::Instant;

use hybrid_guest::{settings, time};
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Method, Request, Response};
use spin_sdk::wasip3::{random, wit_future, wit_stream};

const REQUEST_ID: &str = "x-request-id";
const LOG_PARAMETERS: &str = "x-log-parameters";

struct Gate;

struct Settings {
    origins: cors::Allowed,
    /// Somebody in front of us gives ids, writes the log and takes `x-log-parameters` off the answer.
    front: bool,
}

fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| Settings {
        origins: cors::Allowed::from_setting(settings::list("allowed_origins")),
        front: settings::text("access_log").is_some_and(|log| log.trim() == "front"),
    })
}

impl Guest for Gate {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let Settings { origins, front } = settings();
        let headers = request.get_headers();
        // The front has given the request its id.
        if *front && !headers.has("origin") {
            drop(headers);
            return next::handle(request).await;
        }
        let origin = first(&headers, "origin");
        let theirs = headers.get(REQUEST_ID).first().and_then(|id| id::sane(id));

        let method = request.get_method();
        let visit = (!front).then(|| Visit::new(&request, &headers, &method));
        let asks_beforehand =
            origin.is_some() && matches!(method, Method::Options) && headers.has("access-control-request-method");
        let known = theirs.is_some();
        let id =
            theirs.unwrap_or_else(|| id::new((random::random::get_random_u64(), random::random::get_random_u64())));

        let (status, parameters, answer) = if let (true, Some(origin)) = (asks_beforehand, &origin) {
            let mut granted = cors::preflight(origins, origin);
            granted.push((REQUEST_ID, id.clone()));
            (204, String::new(), answer(204, &granted, None))
        } else {
            let request = if known { request } else { named(request, &headers, &method, &id) };
            drop(headers);
            let mut added = origin.map(|origin| cors::answer(origins, &origin)).unwrap_or_default();
            match next::handle(request).await {
                Ok(response) => {
                    let status = response.get_status_code();
                    added.push((REQUEST_ID, id.clone()));
                    let (parameters, response) = dressed(response, status, &added, *front);
                    (status, parameters, response)
                }
                // A front has its own way to say so, and knows more.
                Err(code) if *front => return Err(code),
                Err(code) => {
                    let status = refused(&code);
                    eprintln!(r#"{{"level":"error","message":"no answer: {code:?}","request_id":"{id}"}}"#);
                    added.extend([("content-type", "application/json".to_owned()), (REQUEST_ID, id.clone())]);
                    (status, String::new(), answer(status, &added, Some(error_body(status))))
                }
            }
        };
        if let Some(visit) = visit {
            visit.log(status, parameters, id);
        }
        Ok(answer)
    }
}

/// What the log needs of a request, kept until its answer is there.
struct Visit {
    started: Instant,
    method: String,
    path: String,
    user_agent: String,
    client: String,
}

impl Visit {
    fn new(request: &Request, headers: &Fields, method: &Method) -> Visit {
        let target = request.get_path_with_query().unwrap_or_default();
        Visit {
            started: Instant::now(),
            method: name(method),
            path: log::path(&target).to_owned(),
            user_agent: first(headers, "user-agent").unwrap_or_default(),
            // Clients can send this header themselves; the runtime's own comes last.
            client: headers.get("spin-client-addr").pop().and_then(|it| String::from_utf8(it).ok()).unwrap_or_default(),
        }
    }

    fn log(self, status: u16, parameters: String, request_id: String) {
        let duration_ms = self.started.elapsed().as_secs_f64() * 1000.0;
        let Visit { method, path, user_agent, client, .. } = self;
        let line = log::Line { method, path, parameters, status, duration_ms, user_agent, client, request_id };
        eprint!("{}", line.write(&time::now()));
    }
}

fn name(method: &Method) -> String {
    match method {
        Method::Other(name) => name.clone(),
        known => format!("{known:?}").to_uppercase().trim_start_matches("METHOD::").to_owned(),
    }
}

fn first(headers: &Fields, name: &str) -> Option<String> {
    headers.get(name).into_iter().next().and_then(|value| String::from_utf8(value).ok())
}

/// The same request with its id in the headers, which are not to be changed where they are.
fn named(request: Request, headers: &Fields, method: &Method, id: &str) -> Request {
    let fields = headers.clone();
    // Some runtimes refuse requests that name the host twice: here and in the authority.
    let _ = fields.delete("host");
    let _ = fields.set(REQUEST_ID, &[id.as_bytes().to_vec()]);
    let (authority, scheme, target) = (request.get_authority(), request.get_scheme(), request.get_path_with_query());
    let (done, result) = wit_future::new(|| Ok(()));
    let (body, trailers) = Request::consume_body(request, result);
    drop(done);
    let (request, _sent) = Request::new(fields, Some(body), trailers, None);
    // They were a request's before, so they are in order.
    let _ = request.set_method(method);
    let _ = request.set_scheme(scheme.as_ref());
    let _ = request.set_authority(authority.as_deref());
    let _ = request.set_path_with_query(target.as_deref());
    request
}

/// The same answer with more headers, and what the log is to say of it.
fn dressed(response: Response, status: u16, added: &[cors::Header], front: bool) -> (String, Response) {
    let fields = response.get_headers().clone();
    let mut parameters = String::new();
    if !front && let Ok(values) = fields.get_and_delete(LOG_PARAMETERS) {
        parameters = values.into_iter().next().and_then(|value| String::from_utf8(value).ok()).unwrap_or_default();
    }
    for (name, value) in added {
        let value = value.as_bytes().to_vec();
        let _ = if *name == "vary" { fields.append(name, &value) } else { fields.set(name, &[value]) };
    }
    let (done, result) = wit_future::new(|| Ok(()));
    let (body, trailers) = Response::consume_body(response, result);
    drop(done);
    let (response, _sent) = Response::new(fields, Some(body), trailers);
    let _ = response.set_status_code(status);
    (parameters, response)
}

fn answer(status: u16, headers: &[cors::Header], body: Option<String>) -> Response {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let fields = Fields::from_list(&headers).unwrap_or_else(|_| Fields::new());
    let (done, trailers) = wit_future::new(|| Ok(None));
    drop(done);
    let body = body.map(|body| {
        let (to, from) = wit_stream::new();
        hybrid_guest::bytes::send(to, body.into_bytes());
        from
    });
    let (response, _sent) = Response::new(fields, body, trailers);
    let _ = response.set_status_code(status);
    response
}

/// The status for a request that nobody behind us answered.
fn refused(code: &ErrorCode) -> u16 {
    match code {
        ErrorCode::HttpRequestBodySize(_) => 413,
        ErrorCode::HttpResponseTimeout | ErrorCode::ConnectionTimeout => 504,
        _ => 500,
    }
}

/// The platform's one error body.
fn error_body(status: u16) -> String {
    let (code, message) = match status {
        413 => ("payload_too_large", "the body is larger than is taken here"),
        504 => ("timeout", "no answer in time"),
        _ => ("internal_error", "something went wrong here; the request id finds it in the log"),
    };
    let timestamp = time::now();
    format!(r#"{{"error":"{code}","message":"{message}","details":{{}},"timestamp":"{timestamp}"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_their_names() {
        assert_eq!(name(&Method::Get), "GET");
        assert_eq!(name(&Method::Options), "OPTIONS");
        assert_eq!(name(&Method::Other("PURGE".into())), "PURGE");
    }

    #[test]
    fn an_error_has_the_usual_four_keys() {
        for code in [ErrorCode::HttpRequestBodySize(None), ErrorCode::HttpResponseTimeout, ErrorCode::LoopDetected] {
            let body: serde_json::Value = serde_json::from_str(&error_body(refused(&code))).expect("it is JSON");
            let keys: Vec<_> = body.as_object().expect("an object").keys().collect();
            assert_eq!(keys, ["details", "error", "message", "timestamp"]);
        }
    }
}
