//! The operator's address: which components are in service, how they do, and whether the host is ready.
//!
//! It is a listener of its own, on loopback unless told otherwise, so that nothing here can be reached through the
//! address that serves clients.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::canary::Terms;
use crate::component::{Interface, Loaded};
use crate::config::{Admin as Told, Config, Outbound};
use crate::intake::{Check, Refused};
use crate::key_cli;
use crate::keyvalue::Trouble;
use crate::queue::{Change, Door, Outcome, Swaps};
use crate::registry::{Generation, Registry};
use crate::server::Stop;
use crate::tasks::Tasks;
use crate::telemetry::{self, Level};
use crate::usage::Filter;

/// Operators and their scrapers are few; a head comes at once or not at all.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// A component of some hundred megabytes over a slow line.
const BODY_WAIT: Duration = Duration::from_secs(300);
/// A detached minisign signature of the body, in base64 since it has four lines.
pub const SIGNATURE: &str = "x-minisign";

/// A wish for a key has a name, a dozen words and a few numbers.
const MAX_WISH_BYTES: usize = 64 * 1024;
/// Who changed keys, in the audit log.
const BY: &str = "admin address";

pub type Answer = Response<Full<Bytes>>;

/// Listens for the operator. Lives until told to stop and everything else has ended.
pub struct Admin {
    listener: TcpListener,
    desk: Arc<Desk>,
}

/// What answers need.
struct Desk {
    registry: Arc<Registry>,
    swaps: Swaps,
    told: Told,
    stop: Stop,
}

impl Admin {
    /// `None` where the configuration wants none, or where the default port is taken: a second host on one machine
    /// serves all the same.
    pub async fn bind(registry: Arc<Registry>, swaps: Swaps, stop: Stop) -> Result<Option<Self>> {
        let told = registry.config().admin.clone();
        let Some(listen) = told.listen else { return Ok(None) };
        let listener = match TcpListener::bind(listen).await {
            Ok(listener) => listener,
            Err(error) if told.by_default => {
                let (listen, error) = (listen.to_string(), error.to_string());
                let message = "there is no admin address: set `admin.listen`";
                telemetry::line(Level::Warn, message, &[("listen", (&listen).into()), ("error", (&error).into())]);
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(|| format!("listening on {listen}, `admin.listen`")),
        };
        Ok(Some(Self { listener, desk: Arc::new(Desk { registry, swaps, told, stop }) }))
    }

    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves for as long as it is polled: an operator looks on while the host drains.
    pub async fn run(self) {
        let tasks = Tasks::default();
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => tasks.spawn(connection(Arc::clone(&self.desk), stream)),
                // Out of descriptors, most likely: those in use come back as requests end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

async fn connection(desk: Arc<Desk>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(answer(&desk, request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT);
    // A client that breaks off is its own business.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(desk: &Desk, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    // Whoever only wants to know whether this host lives needs no token.
    match path.as_str() {
        "/healthz" => return text(StatusCode::OK, "ok\n"),
        "/readyz" if desk.stop.is_told() => return text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        "/readyz" => return text(StatusCode::OK, "ready\n"),
        _ => {}
    }
    if let Some(refusal) = turned_away(&desk.told, &request) {
        return refusal;
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let named = |name: &str| name.to_owned();
    match (request.method().clone(), parts.as_slice()) {
        (Method::PUT, ["components", name]) => put(desk, name, request).await,
        (Method::DELETE, ["components", name]) => {
            changed(desk.swaps.submit(Change::Remove { name: named(name), door: Door::Admin }).await)
        }
        (Method::POST, ["components", name, "rollback"]) => {
            let is_trial = is_fleets_trial(desk, name);
            let done = desk.swaps.submit(Change::Rollback { name: named(name), door: Door::Admin }).await;
            let is_for_all = request.uri().query() == Some("fleet");
            changed(match (is_trial, is_for_all) {
                (true, _) => over_for_all(desk, name, done).await,
                (false, true) => for_all(desk, name, done).await,
                (false, false) => done,
            })
        }
        (Method::GET, ["components", name, "bytes"]) => {
            let wanted = request.uri().query().and_then(|query| query.strip_prefix("sha256=")).unwrap_or_default();
            match desk.registry.kept(name, wanted) {
                Some(bytes) => Response::new(Full::new(bytes.into())),
                None => refused(StatusCode::NOT_FOUND, "not_found", "no such version is kept here"),
            }
        }
        // What is on trial on all hosts ends on all of them.
        (Method::POST, ["components", name, "promote"]) => {
            let is_for_all = is_fleets_trial(desk, name);
            let done = desk.swaps.submit(Change::Promote { name: named(name), door: Door::Admin }).await;
            changed(if is_for_all { for_all(desk, name, done).await } else { done })
        }
        (Method::POST, ["components", name, "abandon"]) => {
            let is_for_all = is_fleets_trial(desk, name);
            let done = desk.swaps.submit(Change::Abandon { name: named(name), door: Door::Admin }).await;
            changed(if is_for_all { over_for_all(desk, name, done).await } else { done })
        }
        (Method::GET, ["metrics"]) => {
            let mut answer = text(StatusCode::OK, desk.registry.metrics.text());
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            answer.headers_mut().insert(header::CONTENT_TYPE, kind);
            answer
        }
        (Method::GET, ["components"]) => json_answer(StatusCode::OK, &components(&desk.registry)),
        (Method::GET, ["keys"]) => told_of_keys(key_cli::list(desk.registry.stores()).await, StatusCode::OK),
        (Method::POST, ["keys"]) => make_key(desk, request).await,
        (Method::DELETE, ["keys", which]) => {
            let dir = &desk.registry.config().state_dir;
            told_of_keys(key_cli::revoke(desk.registry.stores(), dir, BY, which).await, StatusCode::OK)
        }
        (Method::GET, ["usage"]) => usage(desk, request.uri().query().unwrap_or_default()).await,
        (_, ["metrics" | "components" | "usage"]) => not_allowed("GET"),
        (_, ["keys"]) => not_allowed("GET, POST"),
        (_, ["keys", _]) => not_allowed("DELETE"),
        (_, ["components", _]) => not_allowed("PUT, DELETE"),
        (_, ["components", _, "rollback" | "promote" | "abandon"]) => not_allowed("POST"),
        _ => refused(StatusCode::NOT_FOUND, "not_found", "the admin address knows no such path"),
    }
}

/// With a token set, the token. Without one the address is on loopback, where the danger is a web page in the operator's
/// browser: it cannot help sending `origin` with what it posts, and a name of its own as `host` where it had that name
/// lead here.
fn turned_away(told: &Told, request: &Request<Incoming>) -> Option<Answer> {
    let given = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if let Some(token) = &told.token {
        let theirs = given(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        return (!same(theirs.as_bytes(), token.as_bytes())).then(|| {
            let mut answer = refused(StatusCode::UNAUTHORIZED, "unauthorized", "the admin token is missing or wrong");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            answer
        });
    }
    let host = given(header::HOST).unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let welcome = here && !request.headers().contains_key(header::ORIGIN);
    (!welcome)
        .then(|| refused(StatusCode::FORBIDDEN, "forbidden", "not from a web page; set an admin token to allow it"))
}

/// In a time that does not tell how much of it was right.
fn same(theirs: &[u8], ours: &[u8]) -> bool {
    theirs.len() == ours.len() && theirs.iter().zip(ours).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// What was used, by whom: `?from=2026-11-01&to=2026-11-30&key=NAME&model=ORG/NAME&capability=NAME`, each left out at will.
async fn usage(desk: &Desk, query: &str) -> Answer {
    let filter = match Filter::parse(query) {
        Ok(filter) => filter,
        Err(error) => return refused(StatusCode::BAD_REQUEST, "validation_error", &format!("{error:#}")),
    };
    match desk.registry.usage.tell(&filter).await {
        Ok(told) => json_answer(StatusCode::OK, &told),
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", &format!("{error:#}")),
    }
}

/// A key as the body wants it: `{"name": "phone", "scopes": ["CAPABILITY"], "limits": {"requests_per_minute": 60},
/// "valid_seconds": 86400}`, all but the name left out at will. The key itself is told this once.
async fn make_key(desk: &Desk, request: Request<Incoming>) -> Answer {
    let body = Limited::new(request.into_body(), MAX_WISH_BYTES).collect();
    let wanted = match tokio::time::timeout(HEAD_WAIT, body).await {
        Ok(Ok(body)) => key_cli::wanted(&body.to_bytes()),
        _ => Err(anyhow::anyhow!("the body must come at once, with at most {MAX_WISH_BYTES} bytes")),
    };
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(error) => return refused(StatusCode::BAD_REQUEST, "validation_error", &format!("{error:#}")),
    };
    let dir = &desk.registry.config().state_dir;
    told_of_keys(key_cli::create(desk.registry.stores(), dir, BY, wanted).await, StatusCode::CREATED)
}

fn told_of_keys(done: Result<Value>, status: StatusCode) -> Answer {
    let mut answer = match done {
        Ok(told) => json_answer(status, &told),
        Err(error) => {
            let (status, code) = match error.downcast_ref::<Trouble>() {
                Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "service_unavailable"),
                None => (StatusCode::UNPROCESSABLE_ENTITY, "validation_error"),
            };
            refused(status, code, &format!("{error:#}"))
        }
    };
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A new version, in the body. `?canary=5` gives it to five percent of the clients first, `&promote_after=1000` makes it
/// serve all of them after so many good requests; `&fleet` does it on every host.
async fn put(desk: &Desk, name: &str, request: Request<Incoming>) -> Answer {
    let query = request.uri().query().unwrap_or_default();
    let is_for_all = query.split('&').any(|word| word == "fleet");
    let terms = match terms(query) {
        // Without the others there is nobody to decide with.
        Ok(terms) => terms.map(|terms| Terms { is_fleets: is_for_all && desk.registry.fleet.get().is_some(), ..terms }),
        Err(error) => return refused(StatusCode::BAD_REQUEST, "validation_error", &format!("{error:#}")),
    };
    let signature = request.headers().get(SIGNATURE).and_then(|value| {
        let text = from_base64(value.to_str().ok()?)?;
        String::from_utf8(text).ok()
    });
    let limit = desk.registry.config().limits.component_bytes;
    let too_large = || {
        let reason = format!("a component must have at most {limit} bytes, `limits.component_bytes`");
        changed(Err(Check::Size.refuses(reason)))
    };
    if request.body().size_hint().lower() > limit {
        return too_large();
    }
    let body = Limited::new(request.into_body(), usize::try_from(limit).unwrap_or(usize::MAX));
    let bytes = match tokio::time::timeout(BODY_WAIT, body.collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return too_large(),
        Ok(Err(_)) => return refused(StatusCode::BAD_REQUEST, "validation_error", "the body did not come whole"),
        Err(_) => return refused(StatusCode::REQUEST_TIMEOUT, "timeout", "the body took too long"),
    };
    let change = Change::Put { name: name.to_owned(), bytes, signature, door: Door::Admin, canary: terms };
    let done = desk.swaps.submit(change).await;
    changed(if is_for_all { for_all(desk, name, done).await } else { done })
}

/// Whether a version of it is on trial on every host.
fn is_fleets_trial(desk: &Desk, name: &str) -> bool {
    desk.registry.canary.load().as_ref().is_some_and(|trial| trial.terms.is_fleets && trial.loaded.name == name)
}

/// What was put into service here, or on trial, is told to the fleet.
async fn for_all(desk: &Desk, name: &str, done: Result<Outcome, Refused>) -> Result<Outcome, Refused> {
    let mut outcome = done?;
    let Some(fleet) = desk.registry.fleet.get() else {
        outcome.notes.push("it serves on this host alone, which is in no fleet: set `fleet.join`".to_owned());
        return Ok(outcome);
    };
    let registry = &desk.registry;
    let version = |loaded: &Loaded| fleet.version(&loaded.sha256, registry.kept_signature(&loaded.sha256));
    let current = registry.current();
    let Some(serving) = current.member(name).map(|loaded| version(loaded)) else { return Ok(outcome) };
    let trial = registry.canary.load_full().filter(|trial| trial.terms.is_fleets && trial.loaded.name == name);
    let told = match trial.filter(|_| outcome.state == "canary") {
        Some(trial) => fleet.begin_trial(name, serving, version(&trial.loaded), trial.terms).await,
        None => fleet.announce(name, serving).await,
    };
    outcome.notes.push(in_words(told));
    Ok(outcome)
}

/// That what was on trial here is so no more is told to the fleet.
async fn over_for_all(desk: &Desk, name: &str, done: Result<Outcome, Refused>) -> Result<Outcome, Refused> {
    let mut outcome = done?;
    if let Some(fleet) = desk.registry.fleet.get() {
        outcome.notes.push(in_words(fleet.end_trial(name).await));
    }
    Ok(outcome)
}

fn in_words(told: Result<u64>) -> String {
    match told {
        Ok(revision) => format!("told to the fleet, as change {revision} of this component"),
        Err(error) => format!("the fleet was not told: {error:#}"),
    }
}

fn terms(query: &str) -> Result<Option<Terms>> {
    let mut share = None;
    let mut promote_after = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "fleet" => {}
            "canary" => {
                let percent: f64 = value.trim_end_matches('%').trim_end_matches("%25").parse().unwrap_or(-1.0);
                if !(percent > 0.0 && percent <= 100.0) {
                    bail!("`canary` is `{value}`, not a percentage above 0 and up to 100");
                }
                share = Some((percent * 100.0).round() as u32);
            }
            "promote_after" => {
                promote_after = Some(value.parse().ok().with_context(|| format!("`promote_after` is `{value}`"))?);
            }
            _ => bail!("`{key}` is not known here"),
        }
    }
    if share.is_none() && promote_after.is_some() {
        bail!("`promote_after` needs `canary`");
    }
    Ok(share.map(|share| Terms { share, promote_after, is_fleets: false }))
}

/// How a change ended, in the operator's words.
fn changed(answer: Result<Outcome, Refused>) -> Answer {
    match answer {
        Ok(outcome) => json_answer(
            StatusCode::OK,
            &json!({
                "component": outcome.name,
                "state": outcome.state,
                "version": outcome.label,
                "before": outcome.before,
                "duration_ms": outcome.took.as_micros() as f64 / 1000.0,
                "notes": outcome.notes,
            }),
        ),
        Err(Refused { check, reason }) => {
            let status = match check {
                Check::Size => StatusCode::PAYLOAD_TOO_LARGE,
                Check::State | Check::Importers => StatusCode::CONFLICT,
                Check::Host => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            };
            let body = json!({
                "error": "component_refused",
                "message": format!("refused at the check `{check}`: {reason}"),
                "details": { "check": check.name(), "reason": reason },
                "timestamp": telemetry::timestamp(),
            });
            json_answer(status, &body)
        }
    }
}

/// Text of several lines as it can stand in a header.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |place: usize| u32::from(chunk.get(place).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.trim().trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(out)
}

/// Everything that has an instance somewhere: in service, on trial, or still at work on requests that began before.
fn components(registry: &Registry) -> Value {
    let current = registry.current();
    let members = |generation: &Generation| generation.snapshot.loaded();
    let mut seen: Vec<(Arc<Loaded>, &str)> = members(&current).into_iter().map(|loaded| (loaded, "serving")).collect();
    if let Some(trial) = registry.canary.load_full() {
        seen.push((Arc::clone(&trial.loaded), "canary"));
    }
    for generation in registry.draining() {
        for loaded in members(&generation) {
            if !seen.iter().any(|(known, _)| Arc::ptr_eq(known, &loaded)) {
                seen.push((loaded, "draining"));
            }
        }
    }
    seen.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let described: Vec<Value> = seen.iter().map(|(loaded, state)| describe(&current.config, loaded, state)).collect();
    json!({ "components": described })
}

fn describe(config: &Config, loaded: &Loaded, state: &str) -> Value {
    let names =
        |interfaces: &[Interface]| interfaces.iter().map(|interface| interface.name.clone()).collect::<Vec<_>>();
    let sight = loaded.stats.sight();
    let millis = |share| sight.calls.quantile(share).map(|time| time.as_micros() as f64 / 1000.0);
    let grant = config.grants.get(&loaded.name);
    let outbound = match grant.map(|grant| &grant.outbound) {
        None | Some(Outbound::Nowhere) => json!([]),
        Some(Outbound::To(origins)) => origins.iter().map(ToString::to_string).collect(),
        Some(Outbound::Anywhere) => json!(["*"]),
    };
    json!({
        "name": loaded.name,
        "sha256": loaded.sha256,
        "size_bytes": loaded.size_bytes,
        "state": state,
        "since": telemetry::at(loaded.stats.since),
        "since_seconds": SystemTime::now().duration_since(loaded.stats.since).unwrap_or_default().as_secs(),
        "exports": names(&loaded.exports),
        "imports": names(&loaded.imports),
        "grants": { "outbound": outbound, "credential": grant.is_some_and(|grant| !grant.credentials.is_empty()),
            "stores": grant.map(|grant| &grant.stores) },
        "requests": sight.requests,
        "traps": sight.traps,
        "p50_ms": millis(0.5),
        "p99_ms": millis(0.99),
        "memory_bytes": sight.memory_bytes,
    })
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &format!("this takes {methods}"));
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    answer
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

pub fn json_answer(status: StatusCode, value: &Value) -> Answer {
    let mut answer = text(status, format!("{value:#}\n"));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// The uniform error body.
pub fn refused(status: StatusCode, code: &str, message: &str) -> Answer {
    let body = json!({ "error": code, "message": message, "details": {}, "timestamp": telemetry::timestamp() });
    json_answer(status, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_goes_both_ways() {
        for text in ["", "a", "ab", "abc", "untrusted comment: x\nRW\n"] {
            assert_eq!(from_base64(&base64(text.as_bytes())).as_deref(), Some(text.as_bytes()), "{text}");
        }
        assert_eq!(base64(b"ab"), "YWI=");
        assert_eq!(from_base64("a b"), None);
    }

    #[test]
    fn a_share_is_a_percentage() {
        let share = |query| terms(query).ok().flatten().map(|terms| (terms.share, terms.promote_after));
        assert_eq!(share("canary=5"), Some((500, None)));
        assert_eq!(share("canary=0.5%25&promote_after=10"), Some((50, Some(10))));
        assert!(terms("canary=0").is_err() && terms("canary=200").is_err() && terms("promote_after=1").is_err());
        assert!(matches!(terms(""), Ok(None)));
    }
}
