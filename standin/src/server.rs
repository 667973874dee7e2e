//! Connections, and what happens to a request from its head to its answer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::Options;
use crate::answer::{Answer, Body, Content, How, whole};
use crate::errors;
use crate::faults::{Counts, Fault};
use crate::log::Log;
use crate::route::{Route, Task};
use crate::tasks::routed::{Jobs, Provider};
use crate::tasks::{self, Call};

/// More than the platform ever sends.
const MAX_BODY_BYTES: usize = 128 << 20;

/// Lives as long as the stand-in.
pub(crate) struct State {
    options: Options,
    pub(crate) log: Log,
    pub(crate) faults: Counts,
    pub(crate) in_flight: AtomicUsize,
    jobs: Jobs,
    pub(crate) streams: Arc<AtomicUsize>,
    fixed: Bytes,
    fixed_events: Bytes,
}

impl State {
    pub(crate) fn new(options: Options) -> State {
        State {
            options,
            log: Log::default(),
            faults: Counts::default(),
            in_flight: AtomicUsize::new(0),
            jobs: Jobs::default(),
            streams: Arc::default(),
            fixed: Bytes::from(tasks::chat::fixed()),
            fixed_events: Bytes::from(tasks::chat::fixed_events()),
        }
    }
}

pub(crate) async fn serve(listener: std::net::TcpListener, state: Arc<State>, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(move |request| handle(Arc::clone(&state), request));
            // An error here is a caller that went away, or a fault that was asked for.
            let _ =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Counts a request for as long as it lives.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An error closes the connection without an answer.
async fn handle(state: Arc<State>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let route = Route::of(&head.method, head.uri.path());
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(io::Error::other)?.to_bytes();
    if state.options.zero_latency && matches!(route, Route::Chat(_)) {
        let streamed = body.windows(13).any(|window| window == b"\"stream\":true");
        let (fixed, kind) = match streamed {
            true => (&state.fixed_events, "text/event-stream"),
            false => (&state.fixed, "application/json"),
        };
        let mut response = Response::new(whole(fixed.clone()));
        response.headers_mut().insert("content-type", http::HeaderValue::from_static(kind));
        return Ok(response);
    }
    state.in_flight.fetch_add(1, Ordering::Relaxed);
    let _in_flight = InFlight(&state.in_flight);

    let model = match &route {
        Route::Model(model) | Route::Features(model) | Route::Chat(Some(model)) | Route::Card(model) => {
            Some(model.clone())
        }
        Route::Chat(None) => {
            let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
            // `:fastest` and the like choose a provider, not a model.
            body["model"].as_str().map(|model| model.split(':').next().unwrap_or(model).to_owned())
        }
        Route::Routed(_, Some(model)) => Some(model.clone()),
        Route::Routed(_, None) => {
            let content_type =
                head.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
            match content_type.split_once("boundary=") {
                Some((_, boundary)) => tasks::routed::part(&body, boundary, "model")
                    .map(|model| String::from_utf8_lossy(model).into_owned()),
                None => {
                    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
                    body["model"].as_str().map(str::to_owned)
                }
            }
        }
        Route::Models | Route::Nothing => None,
        Route::File { .. } | Route::Sound(_) | Route::Moved { .. } | Route::Job { .. } => None,
    };
    state.log.add(&head, model.as_deref(), &body);
    let model = model.unwrap_or_default();
    let host = head.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    let call = Call { model: &model, headers: &head.headers, body: &body, origin: format!("http://{host}") };
    let task = match route {
        Route::Nothing => return Ok(errors::status(404).respond(Duration::ZERO)),
        Route::Models => return Ok(tasks::card::models().respond(Duration::ZERO)),
        Route::Card(_) if call.named("nohub") => return Ok(errors::status(500).respond(Duration::ZERO)),
        Route::Card(_) => {
            let unserved = state.options.unserved.contains(&model);
            return Ok(tasks::card::answer(&model, unserved).respond(Duration::ZERO));
        }
        Route::Sound(samples) => {
            return Ok(Answer::bytes("audio/wav", crate::media::wav(samples)).respond(Duration::ZERO));
        }
        Route::Moved { file, astray } => {
            // Off the path: by name, our own machine.
            let port = call.origin.rsplit(':').next().unwrap_or_default();
            let origin = if astray { format!("http://localhost:{port}") } else { call.origin.clone() };
            let answer = Answer::bytes("text/plain", "moved").with_status(302);
            return Ok(answer.with("location", &format!("{origin}/files/{file}")).respond(Duration::ZERO));
        }
        Route::Job { provider, id, result } => {
            return Ok(tasks::routed::status(provider, &id, result, &state.jobs).respond(Duration::ZERO));
        }
        Route::Routed(provider, _) => Asked::Routed(provider, head.uri.path()),
        Route::File { width, height } => return Ok(tasks::draw::file(width, height).respond(Duration::ZERO)),
        Route::Chat(_) => Asked::Task(Task::Chat),
        Route::Features(_) => Asked::Task(Task::Features),
        Route::Model(_) => Asked::Task(Task::of(&model, &head.headers, &body)),
    };
    if let Some(refusal) = refusal(&state, &call) {
        return Ok(refusal.respond(Duration::ZERO));
    }
    if state.options.unserved.contains(&model) {
        return Ok(errors::unserved(task.is_chat()).respond(Duration::ZERO));
    }
    faulty(&state, &call, task).await
}

/// Which of our faces is asked.
#[derive(Clone, Copy)]
enum Asked<'a> {
    Task(Task),
    Routed(Provider, &'a str),
}

impl Asked<'_> {
    fn is_chat(self) -> bool {
        matches!(self, Asked::Task(Task::Chat))
    }

    fn is(self, tasks: &[Task]) -> bool {
        matches!(self, Asked::Task(task) if tasks.contains(&task))
    }
}

/// The token, where one is wanted.
fn refusal(state: &State, call: &Call<'_>) -> Option<Answer> {
    let key = state.options.key.as_deref()?;
    match call.header("authorization").strip_prefix("Bearer ") {
        Some(given) if given == key => None,
        Some(_) => Some(errors::bad_token()),
        None => Some(errors::no_token()),
    }
}

/// The task's answer, spoiled as the model's name asks.
async fn faulty(state: &State, call: &Call<'_>, task: Asked<'_>) -> io::Result<Response<Body>> {
    let before = state.faults.next(call.model);
    let good = || answer(state, call, task);
    let now = Duration::ZERO;
    let good = || good().counted(&state.streams);
    let Some(fault) = Fault::of(call.model) else { return Ok(good().respond(now)) };
    let response = match fault {
        Fault::Fail { times, status } if before < times => errors::status(status).respond(now),
        Fault::Always(status) => errors::status(status).respond(now),
        Fault::Unserved => errors::unserved(task.is_chat()).respond(now),
        Fault::Gone => errors::status(410).respond(now),
        Fault::Gated => errors::gated().respond(now),
        Fault::Loading { seconds } if before == 0 => errors::loading(call.model, seconds).respond(now),
        Fault::RateLimit { seconds, times } if times.is_none_or(|times| before < times) => {
            errors::rate_limited(seconds).respond(now)
        }
        Fault::Slow(wait) => {
            tokio::time::sleep(wait).await;
            good().respond(now)
        }
        Fault::Late { times, wait } if before < times => {
            tokio::time::sleep(wait).await;
            good().respond(now)
        }
        Fault::Drip(pause) => good().respond_spoiled(How::Drip(pause)),
        Fault::Hang => std::future::pending().await,
        Fault::Close => return Err(io::Error::other("as asked")),
        Fault::Truncated => good().respond_spoiled(How::Truncated),
        Fault::Garbage => garbage(good()).respond(now),
        Fault::Html => errors::page(200).respond(now),
        Fault::WrongType => wrong_type(task).respond(now),
        Fault::Mislabelled => mislabelled(good(), task).respond(now),
        Fault::Endless => good().respond_spoiled(How::Endless),
        Fault::Huge { megabytes } => good().respond_spoiled(How::Huge(megabytes << 20)),
        Fault::StreamCut => match good() {
            // The first event has no content.
            answer @ Answer { content: Content::Events(_), .. } => {
                answer.respond_spoiled(How::Events { pause: now, cut: Some(4) })
            }
            answer => answer.respond_spoiled(How::Truncated),
        },
        Fault::StreamError => {
            let mut answer = good();
            match &mut answer.content {
                Content::Events(events) => {
                    events.truncate(2);
                    events.push(Bytes::from(tasks::chat::error_event()));
                    answer.respond(now)
                }
                Content::Whole(_) => errors::status(500).respond(now),
            }
        }
        Fault::StreamEarly => good().respond_spoiled(How::Events { pause: now, cut: Some(1) }),
        Fault::StreamHang => good().respond_spoiled(How::Hanging(3)),
        Fault::StreamSlow(pause) => good().respond(pause),
        Fault::Fail { .. } | Fault::Loading { .. } | Fault::RateLimit { .. } | Fault::Late { .. } => {
            good().respond(now)
        }
    };
    Ok(response)
}

fn answer(state: &State, call: &Call<'_>, asked: Asked<'_>) -> Answer {
    let task = match asked {
        Asked::Task(task) => task,
        Asked::Routed(provider, path) => {
            let answered = tasks::routed::answer(call, provider, path, &state.jobs);
            return answered.unwrap_or_else(|refused| refused);
        }
    };
    let answered = match task {
        Task::Speak => tasks::speak::answer(call),
        Task::Transcribe => tasks::transcribe::answer(call),
        Task::Draw => tasks::draw::answer(call),
        Task::Edit => tasks::edit::answer(call),
        Task::Features => tasks::features::answer(call),
        Task::Chat => tasks::chat::answer(call),
    };
    let id = format!("Root=1-00000000-{:016x}", crate::media::hash(call.model));
    answered.unwrap_or_else(|refused| refused).with("x-request-id", &id).with("x-compute-type", "cpu")
}

fn garbage(mut answer: Answer) -> Answer {
    // Not text either: every byte but zero, over and over.
    answer.content = Content::Whole((1..=255_u8).rev().cycle().take(2000).collect::<Vec<u8>>().into());
    answer
}

fn wrong_type(asked: Asked<'_>) -> Answer {
    match asked {
        Asked::Task(Task::Speak) => Answer::bytes("audio/wav", "this is not a sound"),
        _ => Answer::bytes("image/png", "this is not a picture"),
    }
}

fn mislabelled(good: Answer, asked: Asked<'_>) -> Answer {
    match () {
        () if asked.is(&[Task::Speak]) => good.with("content-type", "application/json"),
        () if asked.is(&[Task::Draw, Task::Edit]) => good.with("content-type", "image/bmp"),
        () => good.with("content-type", "text/plain"),
    }
}
