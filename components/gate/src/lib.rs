//! The first link of the HTTP chain: CORS, API keys and rate limits, the request's id, and the access log where nobody
//! in front keeps one.
//!
//! Bodies pass through as handles. Where a front (our host) has given the request its id and writes the log, a request
//! that needs no CORS, no key and no limit passes through whole: each call into the host and each copied header costs
//! every request.

mod admission;
mod cors;
mod guard;
mod id;
mod keys;
mod limits;
mod log;
mod refusal;
mod routes;
mod state;
mod usage;
mod window;

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
use spin_sdk::wasip3::wit_bindgen::spawn;
use spin_sdk::wasip3::{random, wit_future, wit_stream};

use admission::Ticket;
use cors::Header;
use limits::Standing;
use refusal::Refusal;
use usage::Usage;

const REQUEST_ID: &str = "x-request-id";
const LOG_PARAMETERS: &str = "x-log-parameters";
const LOG_USAGE: &str = "x-log-usage";
/// Whose key a request came with, by name: for the front's log and counts.
const LOG_KEY: &str = "x-log-key";
/// What shows a key, or who asks for the front. It ends here: nobody behind the gate has use for it.
const END_HERE: [&str; 5] =
    ["authorization", "x-api-key", admission::ADMISSION, admission::ADMITTED_AS, admission::COUNT];

struct Gate;

struct Settings {
    origins: cors::Allowed,
    rules: guard::Rules,
    /// Somebody in front of us gives ids, writes the log and takes the headers for it off the answer.
    front: bool,
    /// Who links us takes off what ends here.
    withheld: bool,
    /// By which that one is known where it asks for itself.
    admission_secret: Option<String>,
}

fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| Settings {
        origins: cors::Allowed::from_setting(settings::list("allowed_origins")),
        rules: guard::Rules::read(),
        front: settings::text("access_log").is_some_and(|log| log.trim() == "front"),
        withheld: settings::list("withheld")
            .is_some_and(|names| END_HERE.iter().all(|end| names.iter().any(|it| it == end))),
        admission_secret: settings::text("admission_secret"),
    })
}

impl Guest for Gate {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let Settings { origins, rules, front, withheld, admission_secret } = settings();
        let headers = request.get_headers();
        let guarded = guard::needed(rules);
        let ticket = admission::ticket(&headers, admission_secret.as_deref());
        // The front has given the request its id.
        if *front && guarded == Ok(false) && ticket.is_none() && !headers.has("origin") {
            drop(headers);
            return next::handle(request).await;
        }
        let origin = headers.has("origin").then(|| first(&headers, "origin")).flatten();
        let theirs = || headers.get(REQUEST_ID).first().and_then(|id| id::sane(id));
        let new = || id::new((random::random::get_random_u64(), random::random::get_random_u64()));
        // Whoever is in front has put it there; it is looked up where it is said.
        let own = (!front).then(theirs);
        let known = own.as_ref().is_none_or(Option::is_some);
        let own = own.map(|theirs| theirs.unwrap_or_else(new));
        let id = || own.clone().or_else(theirs).unwrap_or_else(new);

        let visit = (!front).then(|| Visit::new(&request, &headers, &request.get_method()));
        let asks_beforehand = origin.is_some()
            && matches!(request.get_method(), Method::Options)
            && headers.has("access-control-request-method");

        if let (true, Some(origin)) = (asks_beforehand, &origin) {
            let wanted = first(&headers, "access-control-request-headers").unwrap_or_default();
            let mut granted = cors::preflight(origins, origin, &wanted);
            granted.push((REQUEST_ID, id()));
            return Ok(told(visit, id(), 204, &granted, None));
        }
        let mut added = origin.map(|origin| cors::answer(origins, &origin)).unwrap_or_default();
        let guest = match guarded {
            Ok(false) => None,
            // What cannot be looked up is asked for again: who it is matters for what is public.
            Ok(true) | Err(_) => match guard::admit(rules, &request, &headers, ticket.as_ref()) {
                Ok(guest) => Some(guest),
                Err(turned) => {
                    let guard::Turned { refusal, standings, key } = *turned;
                    let target = request.get_path_with_query().unwrap_or_default();
                    // It counts among what was asked with this key, though nobody worked on it.
                    if *front {
                        let asked = routes::capability(routes::path(&target));
                        added.extend(asked.map(|capability| (LOG_USAGE, format!("capability={capability}"))));
                        added.extend(key.map(|key| (LOG_KEY, key)));
                    }
                    let body = refusal.body(routes::is_openai(&target), &time::now());
                    added.extend([("content-type", "application/json".to_owned()), (REQUEST_ID, id())]);
                    added.extend(refusal_headers(&refusal));
                    added.extend(standing_headers(&standings));
                    return Ok(told(visit, id(), refusal.status, &added, Some(body)));
                }
            },
        };
        if let Some(Ticket::Asks(_)) = ticket {
            if let Some(guest) = &guest {
                added.extend(standing_headers(guest.standings()));
                added.extend(guest.key.as_ref().map(|key| (LOG_KEY, key.name.clone())));
            }
            added.push((admission::CALLER, guard::caller(guest.as_ref(), &headers)));
            return Ok(told(visit, id(), 204, &added, None));
        }
        let ends_here = || ticket.is_some() || (guest.is_some() && END_HERE.iter().any(|name| headers.has(name)));
        let as_it_is = known && (*withheld || !ends_here());
        let request = if as_it_is { request } else { renewed(request, &headers, &id()) };
        drop(headers);
        // A front has it already.
        let id = own.unwrap_or_default();
        match next::handle(request).await {
            Ok(response) => {
                if let Some(guest) = &guest {
                    added.extend(standing_headers(guest.standings()));
                    if let Some(key) = guest.key.as_ref().filter(|_| *front) {
                        added.push((LOG_KEY, key.name.clone()));
                    }
                }
                let pays = guest.filter(guard::Guest::pays);
                if *front && added.is_empty() && pays.is_none() {
                    return Ok(response);
                }
                let status = response.get_status_code();
                if !front {
                    added.push((REQUEST_ID, id.clone()));
                }
                let (parameters, response) = dressed(response, status, &added, pays, *front);
                if let Some(visit) = visit {
                    visit.log(status, parameters, id);
                }
                Ok(response)
            }
            // A front has its own way to say so, and knows more.
            Err(code) if *front => Err(code),
            Err(code) => {
                let status = refused(&code);
                eprintln!(r#"{{"level":"error","message":"no answer: {code:?}","request_id":"{id}"}}"#);
                added.extend([("content-type", "application/json".to_owned()), (REQUEST_ID, id.clone())]);
                Ok(told(visit, id, status, &added, Some(error_body(status))))
            }
        }
    }
}

/// An answer of the gate's own, in the log where the gate keeps one.
fn told(visit: Option<Visit>, id: String, status: u16, headers: &[Header], body: Option<String>) -> Response {
    if let Some(visit) = visit {
        visit.log(status, String::new(), id);
    }
    answer(status, headers, body)
}

fn refusal_headers(refusal: &Refusal) -> Vec<Header> {
    let mut headers = Vec::new();
    if refusal.status == 401 {
        headers.push(("www-authenticate", "Bearer".to_owned()));
    }
    if let Some(wait_ms) = refusal.wait_ms {
        headers.push(("retry-after", wait_ms.div_ceil(1000).to_string()));
        headers.push(("retry-after-ms", wait_ms.to_string()));
    }
    headers
}

/// OpenAI's three headers for each limit.
fn standing_headers(standings: &[Standing]) -> Vec<Header> {
    let names = |unit| match unit {
        limits::Unit::Requests => {
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"]
        }
        limits::Unit::Tokens => {
            ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]
        }
        limits::Unit::Pictures => {
            ["x-ratelimit-limit-pictures", "x-ratelimit-remaining-pictures", "x-ratelimit-reset-pictures"]
        }
    };
    let mut headers = Vec::with_capacity(3 * standings.len());
    for Standing { unit, limit, remaining, reset_ms } in standings {
        let (time, unit_of_time) = if *reset_ms < 1000 { (*reset_ms, "ms") } else { (reset_ms.div_ceil(1000), "s") };
        let [name_of_limit, name_of_remaining, name_of_reset] = names(*unit);
        headers.push((name_of_limit, limit.to_string()));
        headers.push((name_of_remaining, remaining.to_string()));
        headers.push((name_of_reset, time.to_string() + unit_of_time));
    }
    headers
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
            path: routes::path(&target).to_owned(),
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

/// The same request with its id in the headers and without the client's key or the front's secret; they are not to be changed where they are.
fn renewed(request: Request, headers: &Fields, id: &str) -> Request {
    let mut kept = headers.copy_all();
    // Some runtimes refuse requests that name the host twice: here and in the authority.
    kept.retain(|(name, _)| !matches!(name.as_str(), "host" | REQUEST_ID) && !END_HERE.contains(&name.as_str()));
    kept.push((REQUEST_ID.to_owned(), id.as_bytes().to_vec()));
    let fields = fields(&kept);
    let (authority, scheme, target) = (request.get_authority(), request.get_scheme(), request.get_path_with_query());
    let method = request.get_method();
    let (done, result) = wit_future::new(|| Ok(()));
    let (body, trailers) = Request::consume_body(request, result);
    drop(done);
    let (request, _sent) = Request::new(fields, Some(body), trailers, None);
    // They were a request's before, so they are in order.
    let _ = request.set_method(&method);
    let _ = request.set_scheme(scheme.as_ref());
    let _ = request.set_authority(authority.as_deref());
    let _ = request.set_path_with_query(target.as_deref());
    request
}

/// The same answer with more headers, and what the log is to say of it. Who pays by the answer's cost is charged.
fn dressed(
    response: Response,
    status: u16,
    added: &[Header],
    pays: Option<guard::Guest>,
    front: bool,
) -> (String, Response) {
    // All of them out of the runtime and in again: to have it change them one by one is a call for each.
    let mut all = response.get_headers().copy_all();
    let last = |name: &str| all.iter().rfind(|(theirs, _)| theirs.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let told = last(LOG_USAGE).and_then(|value| Usage::parse(value));
    let parameters = last(LOG_PARAMETERS).filter(|_| !front).and_then(|value| String::from_utf8(value.clone()).ok());
    let parameters = parameters.unwrap_or_default();
    // What is for the log ends here, unless there is a front that keeps it.
    let ends = if front { &[][..] } else { &[LOG_USAGE, LOG_PARAMETERS] };
    let replaced = added.iter().map(|(name, _)| *name).filter(|name| *name != "vary");
    let gone =
        |theirs: &str| ends.iter().copied().chain(replaced.clone()).any(|name| theirs.eq_ignore_ascii_case(name));
    all.retain(|(name, _)| !gone(name));
    all.extend(added.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())));
    let fields = fields(&all);
    let (done, result) = wit_future::new(|| Ok(()));
    let (body, mut trailers) = Response::consume_body(response, result);
    drop(done);
    match (told, pays) {
        (Some(usage), Some(guest)) => guest.pay(usage),
        // It comes after the body, if at all.
        (None, pays) if pays.is_some() || !front => {
            let (to, passed) = wit_future::new(|| Ok(None));
            let theirs = std::mem::replace(&mut trailers, passed);
            spawn(async move {
                let mut theirs = theirs.await;
                if let Ok(Some(fields)) = &mut theirs {
                    let mine = fields.clone();
                    if let (Some(usage), Some(guest)) = (usage(&mine, front), &pays) {
                        guest.pay(usage);
                    }
                    *fields = mine;
                }
                // Nobody may want them.
                let _ = to.write(theirs).await;
            });
        }
        _ => {}
    }
    let (response, _sent) = Response::new(fields, Some(body), trailers);
    // A new one is 200.
    if status != 200 {
        let _ = response.set_status_code(status);
    }
    (parameters, response)
}

/// Headers that were a message's before, or are ours, so that they are in order.
fn fields(headers: &[(String, Vec<u8>)]) -> Fields {
    Fields::from_list(headers).unwrap_or_else(|_| Fields::new())
}

/// What an answer's trailers say that it cost; taken off where nobody in front does.
fn usage(fields: &Fields, front: bool) -> Option<Usage> {
    let values = if front { fields.get(LOG_USAGE) } else { fields.get_and_delete(LOG_USAGE).ok()? };
    Usage::parse(values.first()?)
}

fn answer(status: u16, headers: &[Header], body: Option<String>) -> Response {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let fields = fields(&headers);
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
