//! One request, from its head to the end of its answer.
//!
//! The store that works on a request is driven by the very task that serves its connection: no queue, no second task to
//! wake, and when the client goes away the task's future is dropped, with the store and every upstream call in it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body::Body as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use wasmtime::AsContextMut as _;
use wasmtime::component::{Accessor, AccessorTask, HasSelf};
use wasmtime_wasi_http::handler::{Prepared, Proxy};
use wasmtime_wasi_http::p3::Request as GuestRequest;
use wasmtime_wasi_http::{Error, FieldMap, WasiHttpView as _};

use crate::access::Access;
use crate::answer::{Answer, GuestBody, Late, late};
use crate::arrival::Arriving;
use crate::beside::Beside;
use crate::course::{BodyDone, Broken, Course};
use crate::empty::Empty;
use crate::error::Refusal;
use crate::forwarded::Secure;
use crate::leftover::Drained;
use crate::limits::{Hit, Kind};
use crate::pages::Pages;
use crate::registry::{Generation, HandleFunc, Live, Registry, Worker};
use crate::rounds::Rounds;
use crate::store::State;
use crate::tasks::Tasks;
use crate::trace::{Part, TRACEPARENT};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const COMPONENTS: HeaderName = HeaderName::from_static("x-components");
/// Set by us on every request, whatever the client says; Spin's name for it, so that a component reads one header.
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("spin-client-addr");
/// What components tell the access log; never sent on.
const LOG_PARAMETERS: HeaderName = HeaderName::from_static("x-log-parameters");
/// What an answer has cost, and whose key the request came with.
pub const LOG_USAGE: HeaderName = HeaderName::from_static("x-log-usage");
const LOG_KEY: HeaderName = HeaderName::from_static("x-log-key");
/// Who answered. These go out too.
const MODEL: HeaderName = HeaderName::from_static("x-model");
const PROVIDER: HeaderName = HeaderName::from_static("x-provider");

/// Until it is known why a component that gave no answer broke off.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A request's body, a client's or one that the host holds.
pub trait RequestBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static {}
impl<B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static> RequestBody for B {}
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Whose a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Clients,
    /// Nobody waits for its answer alone, so it can wait for a place.
    Nobodys,
    /// The host asks it about a client's: it is neither logged nor counted.
    Question,
}

type GuestResponse = Response<UnsyncBoxBody<Bytes, Error>>;

/// What requests need of the process.
pub struct Desk {
    pub registry: Arc<Registry>,
    pub places: Arc<tokio::sync::Semaphore>,
    pub tasks: Tasks,
    /// The app's; none for a component served alone.
    pub pages: Option<Arc<Pages>>,
    /// Our own headers on every request and answer; off for a component served alone.
    pub ours: bool,
    /// Which thread this is, and who begins on it.
    pub lane: usize,
    pub rounds: Arc<Rounds>,
    /// Where requests go on that compute.
    pub compute: tokio::runtime::Handle,
    /// Where clients come with TLS.
    pub tls: Option<TlsAcceptor>,
    /// What the host does beside handing requests on; off for a component served alone.
    pub beside: Option<Arc<Beside>>,
    /// A generation that is tried out; otherwise each request gets the one in service.
    pub pinned: Option<Arc<Generation>>,
}

/// Serves one request of a client's.
pub async fn serve(desk: Arc<Desk>, client: Arc<str>, request: Request<Drained>) -> Response<Answer> {
    let generation = generation(&desk, &client, &request);
    if let Some(beside) = &desk.beside
        && beside.concerns(&generation.config, &request)
    {
        let beside = Arc::clone(beside);
        // Few requests need it, and all would carry its size.
        return Box::pin(beside.answer(desk, client, generation, request)).await;
    }
    through(desk, client, generation, request, Whose::Clients).await
}

/// The versions that a request gets.
pub fn generation<B>(desk: &Desk, client: &str, request: &Request<B>) -> Arc<Generation> {
    match &desk.pinned {
        Some(pinned) => Arc::clone(pinned),
        None => desk.registry.pick(request.headers(), client),
    }
}

/// Leads a request through the chain.
pub async fn through<B: RequestBody>(
    desk: Arc<Desk>,
    client: Arc<str>,
    generation: Arc<Generation>,
    request: Request<B>,
    whose: Whose,
) -> Response<Answer> {
    let started = Instant::now();
    let id = request_id(request.headers());
    let mut access = Access::new(&desk, &generation, started, &request, &client, &id);
    access.part = Part::of(request.headers(), desk.registry.traces.as_ref());
    if whose == Whose::Question {
        access.is_silent();
    }
    if let Some(pages) = &desk.pages
        && Pages::concerns(request.uri().path())
        && let Some(mut answer) = pages.answer(&request, &id).await
    {
        answer.headers_mut().insert(REQUEST_ID, id);
        return told(answer, access);
    }
    match admit_and_start(&desk, &generation, &client, request, started, &id, &mut access, whose).await {
        Ok((place, course, head, body_done)) => {
            wait_for_head(&desk, &generation, started, place, course, head, body_done, &id, access).await
        }
        Err(refusal) => refused(&refusal, &id, access),
    }
}

pub fn refused(refusal: &Refusal, id: &HeaderValue, access: Access) -> Response<Answer> {
    let mut answer = refusal.formed(access.form().as_deref(), id);
    if matches!(refusal, Refusal::Replaced) {
        answer.extensions_mut().insert(AskAgain);
    }
    told(answer, access)
}

/// On an answer that only says that the same request would be answered now.
#[derive(Clone, Copy)]
pub struct AskAgain;

/// What an answer told of itself that the host had asked for on a client's behalf.
#[derive(Clone)]
struct Asked {
    key: Option<HeaderValue>,
    usage: Option<HeaderValue>,
}

/// The host's own answer.
fn told(answer: Response<Full<Bytes>>, access: Access) -> Response<Answer> {
    logged(answer.map(Answer::Told), access)
}

/// The same, whatever it is made of.
pub fn logged(answer: Response<Answer>, mut access: Access) -> Response<Answer> {
    if let Some(Asked { key, usage }) = answer.extensions().get::<Asked>() {
        (access.told.key, access.told.usage) = (key.clone(), usage.clone());
    }
    access.status(answer.status());
    access.sent(usize::try_from(answer.body().size_hint().lower()).unwrap_or_default());
    access.finished();
    answer
}

type Started = (tokio::sync::OwnedSemaphorePermit, Course, oneshot::Receiver<Result<Head, Error>>, Arc<BodyDone>);

/// The beginning of a component's answer, and who worked on it so far.
struct Head {
    response: GuestResponse,
    components: String,
}

#[expect(clippy::too_many_arguments, reason = "one caller; they are what a beginning request is made of")]
async fn admit_and_start<B: RequestBody>(
    desk: &Arc<Desk>,
    generation: &Arc<Generation>,
    client: &str,
    request: Request<B>,
    began: Instant,
    id: &HeaderValue,
    access: &mut Access,
    whose: Whose,
) -> Result<Started, Refusal> {
    let limits = &generation.config.limits;
    let met = |limit: &str| desk.registry.metrics.limits.add(&["", limit], 1);
    if request.headers().len() > limits.headers {
        met("headers");
        return Err(Refusal::TooManyHeaders { limit: limits.headers });
    }
    if request.body().size_hint().lower() > limits.request_body_bytes {
        met("request_body_bytes");
        return Err(Refusal::TooLarge { limit: limits.request_body_bytes });
    }
    let place = match Arc::clone(&desk.places).try_acquire_owned() {
        Ok(place) => place,
        // A moment's crowd waits; a lasting one is told.
        Err(_) => {
            let waiting = Arc::clone(&desk.places).acquire_owned();
            let most = if whose == Whose::Nobodys { limits.request() } else { std::time::Duration::from_secs(1) };
            match tokio::time::timeout(most, waiting).await {
                Ok(Ok(place)) => place,
                _ => {
                    met("concurrent_requests");
                    return Err(Refusal::Busy);
                }
            }
        }
    };
    let begun = desk.rounds.begin().await;
    let mut worker = desk.registry.worker(Arc::clone(generation), desk.lane);
    worker.served += 1;
    worker.begun = Some(begun);
    worker.store.set_epoch_deadline(1);
    access.waiting = Some(worker.store.data_mut().begin());
    worker.store.data_mut().hooks.part.clone_from(&access.part);
    if let Err(error) = worker.enter().await {
        access.broken(&worker, &error);
        return Err(refusal(&error));
    }
    let (head, wait) = oneshot::channel();
    let body_done = Arc::new(BodyDone::new(began));
    let request = request.map(|body| Arriving::new(body, Arc::clone(&body_done)));
    let started = match worker.entry.clone().expect("enter made it live") {
        Live::Handler(function) => {
            let (request, io) = guest_request(desk, client, request, id, &mut worker, limits.request_body_bytes);
            let root = Root { function, request, io: Box::pin(io), head };
            worker.store.spawn(root)
        }
        Live::Incoming(proxy) => {
            let root = IncomingRoot { proxy, request: stock_request(request), head };
            worker.store.spawn(root)
        }
    };
    if let Err(error) = started {
        access.broken(&worker, &anyhow::Error::from(error));
        return Err(Refusal::Broken);
    }
    let (entry, _) = worker.store.data().entry();
    // Its first turn is yet to come.
    let _ = worker.store.data_mut().leave_for(entry);
    let course = Course::new(Arc::clone(&desk.registry), worker, Arc::clone(&body_done));
    Ok((place, course, wait, body_done))
}

/// The request as the first component sees it.
fn guest_request<B: RequestBody>(
    desk: &Desk,
    client: &str,
    request: Request<Arriving<B, BodyDone>>,
    id: &HeaderValue,
    worker: &mut Worker,
    limit: u64,
) -> (GuestRequest, impl Future<Output = Result<(), Error>> + Send + 'static + use<B>) {
    let (mut parts, body) = request.into_parts();
    let authority = parts
        .uri
        .authority()
        .cloned()
        .or_else(|| parts.headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok());
    if desk.ours {
        if let Ok(client) = HeaderValue::from_str(client) {
            parts.headers.insert(CLIENT_ADDRESS, client);
        }
        parts.headers.insert(REQUEST_ID, id.clone());
        parts.headers.remove(LOG_PARAMETERS);
    }
    if let Some(part) = &worker.store.data().hooks.part
        && part.traces.is_some()
    {
        parts.headers.insert(TRACEPARENT, part.context.header());
    }
    let headers = FieldMap::new_immutable(worker.store.data_mut().http().hooks, parts.headers);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let body = Limited::new(body, limit).map_err(|error| match error.downcast::<hyper::Error>() {
        Ok(error) => Error::Hyper(*error),
        Err(_) => Error::HttpRequestBodySize(None),
    });
    GuestRequest::new(
        parts.method,
        Some(if parts.extensions.get::<Secure>().is_some() { Scheme::HTTPS } else { Scheme::HTTP }),
        authority,
        parts.uri.into_parts().path_and_query,
        headers,
        None,
        body,
    )
}

fn stock_request<B: RequestBody>(mut request: Request<Arriving<B, BodyDone>>) -> wasmtime_wasi_http::handler::Request {
    // WASI 0.2 wants an authority, which HTTP/1 keeps in a header.
    if request.uri().authority().is_none() {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        if let Ok(uri) = format!("http://{host}{path}").parse() {
            *request.uri_mut() = uri;
        }
    }
    request.map(|body| {
        let told = |error: B::Error| match error.into().downcast::<hyper::Error>() {
            Ok(error) => Error::Hyper(*error),
            Err(_) => Error::ConnectionTerminated,
        };
        body.map_err(told).boxed_unsync()
    })
}

/// The call into the first component, as a task of the store: it goes on while the driver steps out of the event loop to
/// instantiate somebody.
struct Root {
    function: HandleFunc,
    request: GuestRequest,
    io: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>,
    head: oneshot::Sender<Result<Head, Error>>,
}

impl AccessorTask<State, HasSelf<State>> for Root {
    async fn run(self, accessor: &Accessor<State>) -> wasmtime::Result<()> {
        let Root { function, request, io, head } = self;
        let request = accessor.with(|mut access| access.data_mut().table().push(request))?;
        let began = Instant::now();
        let (member, limit) = accessor.with(|mut access| access.data_mut().entry());
        let call = function.call_concurrent(accessor, (request,));
        let (answer,) = crate::link::within(accessor, limit, member, call).await?;
        accessor.with(|mut access| access.data_mut().note_entry_call(began.elapsed()));
        let answer = accessor.with(|mut access| match answer {
            Ok(response) => {
                let response = access.data_mut().table().delete(response)?;
                let response = response.into_http(&mut access, io)?;
                wasmtime::error::Ok(Ok(response))
            }
            Err(code) => Ok(Err(Error::InternalError(Some(code.to_string())))),
        })?;
        finish_root(accessor, head, answer);
        Ok(())
    }
}

fn finish_root(
    accessor: &Accessor<State>,
    head: oneshot::Sender<Result<Head, Error>>,
    answer: Result<GuestResponse, Error>,
) {
    accessor.with(|mut access| {
        let state = access.data_mut();
        state.root_done = true;
        let answer = answer.map(|response| Head { response, components: state.components() });
        // Nobody listens any more when the client has gone.
        let _ = head.send(answer);
    });
}

/// The same for a stock WASI 0.2 component.
struct IncomingRoot {
    proxy: Arc<Proxy>,
    request: wasmtime_wasi_http::handler::Request,
    head: oneshot::Sender<Result<Head, Error>>,
}

impl AccessorTask<State, HasSelf<State>> for IncomingRoot {
    async fn run(self, accessor: &Accessor<State>) -> wasmtime::Result<()> {
        let IncomingRoot { proxy, request, head } = self;
        let (answer, wait) = futures::channel::oneshot::channel();
        let prepared = accessor
            .with(|mut access| Prepared::new(access.as_context_mut(), &proxy, request, crate::compat::view, answer))?;
        // The answer's head comes while the call still runs, so both are waited for at once.
        let send = async {
            let Ok(answer) = wait.await else { return Ok(()) };
            let response = answer?;
            accessor.with(|mut access| {
                let components = access.data_mut().components();
                let _ = head.send(Ok(Head { response, components }));
            });
            wasmtime::error::Ok(())
        };
        let (run, sent) = futures::join!(prepared.run(accessor, std::future::pending()), send);
        run?;
        sent?;
        accessor.with(|mut access| access.data_mut().root_done = true);
        Ok(())
    }
}

#[expect(clippy::too_many_arguments, reason = "one caller; they are what a running request is made of")]
async fn wait_for_head(
    desk: &Arc<Desk>,
    generation: &Arc<Generation>,
    started: Instant,
    place: tokio::sync::OwnedSemaphorePermit,
    mut course: Course,
    mut head: oneshot::Receiver<Result<Head, Error>>,
    body_done: Arc<BodyDone>,
    id: &HeaderValue,
    mut access: Access,
) -> Response<Answer> {
    let deadline = started + generation.config.limits.request();
    let expired = generation.expired.cancelled();
    let mut expired = std::pin::pin!(expired);
    // Whether the client is too slow with its body is looked at by the same clock.
    let first = deadline.min(started + generation.config.limits.body());
    let mut clock = Box::pin(tokio::time::sleep_until(first.into()));
    enum Event {
        Head(Result<Head, Error>),
        Broken(Broken),
        Silent,
        Late,
        Slow,
        Replaced,
    }
    let mut ended = false;
    let event = std::future::poll_fn(|cx| {
        if !ended {
            match course.poll(desk, cx) {
                Poll::Ready(Ok(())) => ended = true,
                Poll::Ready(Err(error)) => return Poll::Ready(Event::Broken(error)),
                Poll::Pending => {}
            }
        }
        match Pin::new(&mut head).poll(cx) {
            Poll::Ready(Ok(head)) => return Poll::Ready(Event::Head(head)),
            Poll::Ready(Err(_)) => return Poll::Ready(Event::Silent),
            Poll::Pending => {}
        }
        if expired.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Event::Replaced);
        }
        match late(&mut clock, deadline, &body_done, &generation.config, cx) {
            None => Poll::Pending,
            Some(Late::Answer) => Poll::Ready(Event::Late),
            Some(Late::Body) => Poll::Ready(Event::Slow),
        }
    })
    .await;
    let event = match event {
        // What was moved ends a moment before it is known here why.
        Event::Silent if !ended => {
            let end = std::future::poll_fn(|cx| course.poll(desk, cx));
            match tokio::time::timeout(LAST_WORDS, end).await {
                Ok(Err(broken)) => Event::Broken(broken),
                Ok(Ok(())) | Err(_) => Event::Silent,
            }
        }
        event => event,
    };
    match event {
        // No client takes so many, and most break the connection off.
        Event::Head(Ok(Head { response, components }))
            if response.headers().len() > generation.config.limits.headers =>
        {
            let most = generation.config.limits.headers;
            desk.registry.metrics.limits.add(&["", "headers"], 1);
            access.failure("a component answered with too many header fields", &anyhow!("`limits.headers` is {most}"));
            access.components(components);
            refused(&Refusal::Broken, id, access)
        }
        Event::Head(Ok(Head { response, components })) => {
            let (mut parts, body) = response.into_parts();
            access.told.parameters = parts.headers.remove(LOG_PARAMETERS);
            access.told.key = parts.headers.remove(LOG_KEY);
            access.told.usage = parts.headers.remove(LOG_USAGE);
            access.told.model = parts.headers.get(MODEL).cloned();
            access.told.provider = parts.headers.get(PROVIDER).cloned();
            if access.is_part() {
                // Whoever asked on a client's behalf counts it, where that is the client's answer.
                parts.extensions.insert(Asked { key: access.told.key.clone(), usage: access.told.usage.clone() });
            }
            access.status(parts.status);
            if desk.ours {
                parts.headers.entry(REQUEST_ID).or_insert_with(|| id.clone());
                if let Ok(components) = HeaderValue::from_str(&components) {
                    parts.headers.insert(COMPONENTS, components);
                }
            }
            access.components(components);
            let left = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
            let course = (!ended).then_some(course);
            let events = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
                kind.to_str().is_ok_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
            });
            let body = GuestBody {
                generation: Arc::clone(generation),
                expired: None,
                events: events && left.is_none(),
                at_rest: true,
                empty: Empty::default(),
                body,
                course,
                body_done,
                left,
                clock,
                deadline,
                access,
                desk: Arc::clone(desk),
                place: Some(place),
                broken: None,
                over: false,
            };
            Response::from_parts(parts, Answer::Guest(body))
        }
        Event::Head(Err(error)) => {
            access.failure("a component answered with an error", &anyhow!(error.to_string()));
            refused(&Refusal::Broken, id, access)
        }
        Event::Broken(Broken { error, components }) => {
            access.failure("a component broke off", &error);
            access.components(components);
            refused(&refusal(&error), id, access)
        }
        Event::Silent => {
            access.failure("a component gave no answer", &anyhow!("its call ended without one"));
            refused(&Refusal::Broken, id, access)
        }
        Event::Late => {
            desk.registry.metrics.limits.add(&["", "request_ms"], 1);
            access.failure("the request took too long", &anyhow!("`limits.request_ms` passed"));
            refused(&Refusal::Timeout, id, access)
        }
        Event::Slow => {
            desk.registry.metrics.limits.add(&["", "body_ms"], 1);
            refused(&Refusal::SlowBody, id, access)
        }
        Event::Replaced => {
            access.failure("a request outlived its version", &anyhow!("`limits.drain_deadline_ms` passed"));
            refused(&Refusal::Replaced, id, access)
        }
    }
}

/// What is told of an error: most of them are ours alone.
pub fn refusal(error: &anyhow::Error) -> Refusal {
    match error.downcast_ref::<Hit>().map(|hit| hit.kind) {
        Some(Kind::Concurrency) => Refusal::Busy,
        Some(Kind::Call) => Refusal::Timeout,
        Some(Kind::Cpu) | None => Refusal::Broken,
    }
}

/// The client's own id where it is a sane one, a new one otherwise.
pub fn request_id(headers: &http::HeaderMap) -> HeaderValue {
    if let Some(theirs) = headers.get(REQUEST_ID) {
        let bytes = theirs.as_bytes();
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=64).contains(&bytes.len()) && bytes.iter().all(sane) {
            return theirs.clone();
        }
    }
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static SEED: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
        use std::hash::{BuildHasher as _, Hasher as _};
        std::hash::RandomState::new().build_hasher().finish()
    });
    // Unique within and across processes; not a secret.
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mixed = (count ^ *SEED).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ *SEED;
    HeaderValue::try_from(format!("{mixed:016x}{count:08x}")).expect("hex is a header value")
}
