//! One request, from its head to the end of its answer.
//!
//! The store that works on a request is driven by the very task that serves its connection: no queue, no second task to
//! wake, and when the client goes away the task's future is dropped, with the store and every upstream call in it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use wasmtime::AsContextMut as _;
use wasmtime::component::{Accessor, AccessorTask, HasSelf};
use wasmtime_wasi_http::handler::{Prepared, Proxy};
use wasmtime_wasi_http::p3::Request as GuestRequest;
use wasmtime_wasi_http::{Error, FieldMap, WasiHttpView as _};

use crate::access::Access;
use crate::apart::Broke;
use crate::arrival::{Arrival, Arriving};
use crate::beside::Beside;
use crate::config::Config;
use crate::empty::{Empty, Piece};
use crate::error::Refusal;
use crate::forwarded::Secure;
use crate::hits;
use crate::leftover::Drained;
use crate::limits::{Hit, Kind};
use crate::pages::Pages;
use crate::registry::{Generation, HandleFunc, Live, Registry, Worker};
use crate::store::{Meter, State};
use crate::tasks::Tasks;
use crate::telemetry::{self, Level};
use crate::trace::{Part, TRACEPARENT};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const COMPONENTS: HeaderName = HeaderName::from_static("x-components");
/// Set by us on every request, whatever the client says; Spin's name for it, so that a component reads one header.
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("spin-client-addr");
/// What components tell the access log; never sent on.
const LOG_PARAMETERS: HeaderName = HeaderName::from_static("x-log-parameters");
/// What an answer has cost, and whose key the request came with.
const LOG_USAGE: HeaderName = HeaderName::from_static("x-log-usage");
const LOG_KEY: HeaderName = HeaderName::from_static("x-log-key");
/// Who answered. These go out too.
const MODEL: HeaderName = HeaderName::from_static("x-model");
const PROVIDER: HeaderName = HeaderName::from_static("x-provider");

/// Until it is known why a component that gave no answer broke off.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What `serve` answers with.
#[expect(
    clippy::large_enum_variant,
    reason = "most are the large one, and a box would cost each of them an allocation"
)]
pub enum Answer {
    /// The host's own few words.
    Told(Full<Bytes>),
    /// A component's stream.
    Guest(GuestBody),
    /// What the host has of one, or tells as it comes.
    Kept(UnsyncBoxBody<Bytes, Error>),
}

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
type Drive = Pin<Box<dyn Future<Output = Result<(), Broken>> + Send>>;

/// A component broke off, and took its store with it.
pub struct Broken {
    pub error: anyhow::Error,
    /// Who worked on the request until then.
    components: String,
}

/// What requests need of the process.
pub struct Desk {
    pub registry: Arc<Registry>,
    pub places: Arc<tokio::sync::Semaphore>,
    pub tasks: Tasks,
    /// The app's; none for a component served alone.
    pub pages: Option<Arc<Pages>>,
    /// Our own headers on every request and answer; off for a component served alone.
    pub ours: bool,
    /// Which thread this is.
    pub lane: usize,
    /// Where requests go on that compute.
    pub compute: tokio::runtime::Handle,
    /// Where clients come with TLS.
    pub tls: Option<TlsAcceptor>,
    /// What the host does beside handing requests on; off for a component served alone.
    pub beside: Option<Arc<Beside>>,
    /// A generation that is tried out; otherwise each request gets the one in service.
    pub pinned: Option<Arc<Generation>>,
}

/// A store at work on a request, polled by the connection's task until it ends.
///
/// What computes would hold up every other request of its lane, so at the second tick it is moved to the threads that
/// are there for it, and where it comes to a member that is known to compute, before that one begins. From then on this only
/// waits for it.
struct Course {
    drive: Drive,
    meter: Arc<Meter>,
    /// Ends the moved work when the client goes away.
    moved: Option<tokio::task::AbortHandle>,
}

impl Course {
    fn poll(&mut self, desk: &Desk, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.moved.is_some() {
            return self.drive.as_mut().poll(cx);
        }
        // The first member may be known already.
        if !self.meter.computes() {
            let poll = self.meter.run(|| self.drive.as_mut().poll(cx));
            if poll.is_ready() || !self.meter.computes() {
                return poll;
            }
        }
        let mut work = std::mem::replace(&mut self.drive, Box::pin(std::future::pending()));
        let meter = Arc::clone(&self.meter);
        let moved = desk.compute.spawn(std::future::poll_fn(move |cx| meter.run_apart(|| work.as_mut().poll(cx))));
        self.moved = Some(moved.abort_handle());
        self.drive = Box::pin(async move {
            moved.await.unwrap_or_else(|error| Err(Broken { error: error.into(), components: String::new() }))
        });
        self.drive.as_mut().poll(cx)
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        if let Some(moved) = &self.moved {
            moved.abort();
        }
    }
}

/// That the answer's last byte is out, told to the task that drives the store; and how the request's body comes in.
pub struct BodyDone {
    done: AtomicBool,
    driver: futures::task::AtomicWaker,
    arrival: Arrival,
}

impl AsRef<Arrival> for BodyDone {
    fn as_ref(&self) -> &Arrival {
        &self.arrival
    }
}

impl BodyDone {
    fn new(started: Instant) -> Self {
        Self { done: AtomicBool::new(false), driver: futures::task::AtomicWaker::new(), arrival: Arrival::new(started) }
    }

    /// Of what has no body to send.
    pub fn told() -> Arc<Self> {
        let this = Self::new(Instant::now());
        this.tell();
        Arc::new(this)
    }

    fn tell(&self) {
        self.done.store(true, Ordering::Release);
        self.driver.wake();
    }

    fn is_told(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }
}

/// Serves one request of a client's.
pub async fn serve(desk: Arc<Desk>, client: Arc<str>, request: Request<Incoming>) -> Response<Answer> {
    let generation = generation(&desk, &client, &request);
    if let Some(beside) = &desk.beside
        && beside.concerns(&generation.config, &request)
    {
        let beside = Arc::clone(beside);
        // Few requests need it, and all would carry its size.
        return Box::pin(beside.answer(desk, client, generation, request)).await;
    }
    let request = Drained::of(request, &desk.tasks);
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
    let mut worker = desk.registry.worker(Arc::clone(generation), desk.lane);
    worker.served += 1;
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
    let meter = Arc::clone(&worker.store.data().meter);
    let (entry, _) = worker.store.data().entry();
    // Its first turn is yet to come.
    let _ = worker.store.data_mut().leave_for(entry);
    let drive = Box::pin(drive(Arc::clone(&desk.registry), worker, Arc::clone(&body_done)));
    Ok((place, Course { drive, meter, moved: None }, wait, body_done))
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

/// Why the event loop was left.
enum Step {
    Instantiate(usize, oneshot::Sender<()>),
    Done,
}

/// Runs a worker's store until its request is over, and gives the worker back.
pub async fn drive(registry: Arc<Registry>, mut worker: Worker, body_done: Arc<BodyDone>) -> Result<(), Broken> {
    loop {
        let step = worker
            .store
            .run_concurrent(async |accessor| {
                std::future::poll_fn(|cx| {
                    let (wanted, root_done) = accessor.with(|mut access| {
                        let state = access.data_mut();
                        if !state.driver.as_ref().is_some_and(|driver| driver.will_wake(cx.waker())) {
                            state.driver = Some(cx.waker().clone());
                        }
                        (state.wanted.pop(), state.root_done)
                    });
                    if let Some((member, done)) = wanted {
                        return Poll::Ready(Step::Instantiate(member, done));
                    }
                    // Work after the answer belongs to the request too: the worker is free when all of it has ended.
                    if root_done {
                        body_done.driver.register(cx.waker());
                        if body_done.is_told() && accessor.poll_no_interesting_tasks(cx).is_ready() {
                            return Poll::Ready(Step::Done);
                        }
                    }
                    Poll::Pending
                })
                .await
            })
            .await;
        match step {
            Ok(Step::Instantiate(member, done)) => {
                if worker.store.data().live[member].is_none()
                    && let Err(error) = worker.instantiate(member).await
                {
                    return Err(broken(&mut worker, &error));
                }
                let _ = done.send(());
            }
            Ok(Step::Done) => {
                worker.store.data_mut().end();
                say(&worker);
                registry.give_back(worker);
                return Ok(());
            }
            Err(error) => return Err(broken(&mut worker, &anyhow::Error::from(error))),
        }
    }
}

/// What went wrong, with the name of the component in which it did and what that one printed.
fn broken(worker: &mut Worker, error: &anyhow::Error) -> Broken {
    worker.store.data_mut().end();
    if let Some(broke) = error.downcast_ref::<Broke>() {
        return Broken { error: broke.error(), components: worker.store.data().components() };
    }
    let snapshot = &worker.generation.snapshot;
    let culprit = error.downcast_ref::<wasmtime::WasmBacktrace>().and_then(|trace| {
        let place = trace.frames().first()?.module().image_range().start;
        snapshot.members.iter().find(|member| member.loaded.code.image_range().contains(&place))
    });
    if let Some(member) = culprit {
        member.loaded.stats.trap();
    }
    if let Some(hit) = error.downcast_ref::<Hit>() {
        worker.store.data().metrics.limits.add(&[&hit.component, hit.kind.name()], 1);
        let error = anyhow::Error::new(hit.clone());
        return Broken { error, components: worker.store.data().components() };
    }
    if let Some(limit) = hits::limit(error) {
        let name = culprit.map_or("", |member| member.loaded.name.as_str());
        worker.store.data().metrics.limits.add(&[name, limit], 1);
    }
    let name = culprit.map_or("a component", |member| member.loaded.name.as_str());
    let cause = error.root_cause().to_string();
    let printed = worker.store.data().output.take().map(|text| format!("; it printed: {text}")).unwrap_or_default();
    Broken { error: anyhow!("`{name}` broke off: {cause}{printed}"), components: worker.store.data().components() }
}

/// Logs what components printed.
fn say(worker: &Worker) {
    if telemetry::enabled(Level::Info)
        && let Some(text) = worker.store.data().output.take()
    {
        telemetry::line(Level::Info, "printed by a component", &[("text", (&text).into())]);
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

/// Whose time is over.
enum Late {
    Answer,
    Body,
}

/// Looks at the clock of a request, which goes off when there is something to look at.
fn late(
    clock: &mut Pin<Box<Sleep>>,
    deadline: Instant,
    body: &BodyDone,
    config: &Config,
    cx: &mut Context<'_>,
) -> Option<Late> {
    while clock.as_mut().poll(cx).is_ready() {
        let now = Instant::now();
        if now >= deadline {
            return Some(Late::Answer);
        }
        match body.arrival.is_late(config.limits.body_ms) {
            Ok(again) => clock.as_mut().reset(deadline.min(now + again).into()),
            Err(_) => return Some(Late::Body),
        }
    }
    None
}

/// What is told of an error: most of them are ours alone.
fn refusal(error: &anyhow::Error) -> Refusal {
    match error.downcast_ref::<Hit>().map(|hit| hit.kind) {
        Some(Kind::Concurrency) => Refusal::Busy,
        Some(Kind::Call) => Refusal::Timeout,
        Some(Kind::Cpu) | None => Refusal::Broken,
    }
}

/// A component's answer as it streams out, with the store that makes it: polling the one drives the other.
pub struct GuestBody {
    body: UnsyncBoxBody<Bytes, Error>,
    course: Option<Course>,
    body_done: Arc<BodyDone>,
    /// Bytes still owed by `content-length`.
    left: Option<u64>,
    clock: Pin<Box<Sleep>>,
    deadline: Instant,
    access: Access,
    desk: Arc<Desk>,
    place: Option<tokio::sync::OwnedSemaphorePermit>,
    /// The store broke; what it had sent before still goes out, and then an error.
    broken: Option<Broken>,
    over: bool,
    generation: Arc<Generation>,
    /// Waits for the end of this version's time; from the first pause on, most answers have none.
    expired: Option<Pin<Box<tokio_util::sync::WaitForCancellationFutureOwned>>>,
    /// Whether this is a stream of server-sent events, which can tell of an error in the middle.
    events: bool,
    /// Whether what was sent ends with a whole event.
    at_rest: bool,
    empty: Empty,
}

impl GuestBody {
    /// The end of an answer that was not finished: an event that says why where the answer consists of events, and
    /// otherwise an error, so that it cannot be taken for whole.
    fn broken_off(&mut self, refusal: &Refusal, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.course = None;
        self.broken = None;
        if !self.events {
            return Poll::Ready(Some(Err(error)));
        }
        self.over = true;
        let begin = if self.at_rest { "" } else { "\n\n" };
        let event = Bytes::from(format!("{begin}event: error\ndata: {}\n\n", refusal.body()));
        self.access.sent(event.len());
        self.access.finished();
        Poll::Ready(Some(Ok(Frame::data(event))))
    }

    /// Lets the store finish what follows the answer, without the client.
    fn wind_up(&mut self) {
        self.body_done.tell();
        if self.over {
            return;
        }
        self.over = true;
        self.access.finished();
        let Some(mut course) = self.course.take() else { return };
        let mut nobody = Context::from_waker(std::task::Waker::noop());
        // Most are done with the last byte.
        match course.poll(&self.desk, &mut nobody) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(Broken { error, .. })) => {
                self.access.failure("a component broke off after its answer", &error);
            }
            Poll::Pending => {
                let place = self.place.take();
                let limit = self.generation.config.limits.request();
                let desk = Arc::clone(&self.desk);
                self.desk.tasks.spawn(async move {
                    let end = std::future::poll_fn(|cx| course.poll(&desk, cx));
                    if let Ok(Err(broken)) = tokio::time::timeout(limit, end).await {
                        let error = broken.error.to_string();
                        telemetry::line(
                            Level::Error,
                            "a component broke off after its answer",
                            &[("error", (&error).into())],
                        );
                    }
                    drop(place);
                });
            }
        }
    }
}

impl http_body::Body for GuestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        if let Some(course) = &mut this.course
            && let Poll::Ready(ended) = course.poll(&this.desk, cx)
        {
            this.course = None;
            this.broken = ended.err();
        }
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                match this.empty.look(&frame) {
                    Piece::Passes => {}
                    Piece::Nothing => {
                        // Others of this lane come first.
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Piece::TooMuchOfNothing => {
                        this.desk.registry.metrics.limits.add(&["", "empty_pieces"], 1);
                        this.access.failure("an answer went on with nothing", &anyhow!("only empty pieces came"));
                        return this.broken_off(&Refusal::Broken, Error::HttpResponseIncomplete);
                    }
                }
                if let Some(data) = frame.data_ref() {
                    this.access.sent(data.len());
                    if this.events {
                        this.access.piece(data);
                    }
                    this.at_rest = data.ends_with(b"\n\n") || data.ends_with(b"\r\n\r\n");
                    if let Some(left) = &mut this.left {
                        *left = left.saturating_sub(data.len() as u64);
                    }
                } else if let Some(trailers) = frame.trailers_mut() {
                    this.access.told.cost = trailers.remove(LOG_USAGE);
                    if trailers.is_empty() {
                        return self.poll_frame(cx);
                    }
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.access.failure("an answer broke off", &anyhow!(error.to_string()));
                Poll::Ready(Some(Err(error)))
            }
            // A broken store closes the body too, and that must not look like its end.
            Poll::Ready(None) | Poll::Pending if this.broken.is_some() => {
                let Some(Broken { error, .. }) = this.broken.take() else { return Poll::Pending };
                this.access.failure("a component broke off in its answer", &error);
                this.broken_off(&refusal(&error), Error::HttpResponseIncomplete)
            }
            Poll::Ready(None) => {
                this.wind_up();
                Poll::Ready(None)
            }
            Poll::Pending => {
                match late(&mut this.clock, this.deadline, &this.body_done, &this.generation.config, cx) {
                    Some(Late::Answer) => {
                        this.desk.registry.metrics.limits.add(&["", "request_ms"], 1);
                        this.access.failure("the answer took too long", &anyhow!("`limits.request_ms` passed"));
                        return this.broken_off(&Refusal::Timeout, Error::HttpResponseTimeout);
                    }
                    Some(Late::Body) => {
                        this.desk.registry.metrics.limits.add(&["", "body_ms"], 1);
                        return this.broken_off(&Refusal::SlowBody, Error::HttpResponseIncomplete);
                    }
                    None => {}
                }
                let expired =
                    this.expired.get_or_insert_with(|| Box::pin(this.generation.expired.clone().cancelled_owned()));
                if expired.as_mut().poll(cx).is_ready() {
                    this.access
                        .failure("an answer outlived its version", &anyhow!("`limits.drain_deadline_ms` passed"));
                    return this.broken_off(&Refusal::Replaced, Error::HttpResponseIncomplete);
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for GuestBody {
    fn drop(&mut self) {
        // hyper does not ask for the end once `content-length` is met.
        if self.left == Some(0) || self.body.is_end_stream() {
            self.wind_up();
        }
        // Otherwise the client has gone: what is left of the drive is dropped here, and cancels everything below.
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Answer::Told(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Answer::Guest(body) => Pin::new(body).poll_frame(cx),
            Answer::Kept(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Told(body) => body.is_end_stream(),
            Answer::Guest(body) => body.is_end_stream(),
            Answer::Kept(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Told(body) => body.size_hint(),
            Answer::Guest(body) => body.size_hint(),
            Answer::Kept(body) => body.size_hint(),
        }
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
