//! HTTP that components send: allowed host by host, over one pool of connections, with the credential added here.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderName, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use crate::address::{NotPublic, PublicResolver, is_public};
use crate::config::{ComponentLimits, Grant, Limits, Origin, Outbound};
use crate::empty::{Empty, Piece};
use crate::forbidden;
use crate::metrics::Metrics;
use crate::trace::{self, Kind, Part, Span, TRACEPARENT, TRACESTATE, Value};
use crate::waiting::{Wait, Waiting};

/// The connections of all components. Lives as long as the process.
pub struct Pool {
    client: Client<HttpsConnector<HttpConnector>, WasiBody>,
    /// For what others name: it connects to public addresses alone.
    guarded: Client<HttpsConnector<HttpConnector<PublicResolver>>, WasiBody>,
}

impl Pool {
    pub fn new(limits: &Limits) -> Result<Arc<Self>> {
        let client = client_with(limits, HttpConnector::new())?;
        let guarded = client_with(limits, HttpConnector::new_with_resolver(PublicResolver::new()))?;
        Ok(Arc::new(Self { client, guarded }))
    }
}

/// A client with connections of its own, made as the limits say.
pub fn client_with<R, B>(
    limits: &Limits,
    connector: HttpConnector<R>,
) -> Result<Client<HttpsConnector<HttpConnector<R>>, B>>
where
    B: Body + Send,
    B::Data: Send,
    HttpConnector<R>: Connect + Clone,
    HttpsConnector<HttpConnector<R>>: Connect + Clone,
{
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_millis(limits.idle_upstream_ms))
        .pool_max_idle_per_host(limits.idle_upstream_connections)
        .build(self::connector(limits, connector)?))
}

pub fn connector<R>(limits: &Limits, mut connector: HttpConnector<R>) -> Result<HttpsConnector<HttpConnector<R>>> {
    connector.enforce_http(false);
    // Head and body of a request are two writes; with Nagle's algorithm the second waits for the peer's delayed
    // acknowledgement, 40 ms.
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_millis(limits.connect_ms)));
    connector.set_keepalive(Some(Duration::from_secs(30)));
    Ok(hyper_rustls::HttpsConnectorBuilder::new()
        .with_native_roots()
        .context("reading the machine's certificates")?
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector))
}

/// A component that sends, with what it may do.
#[derive(Debug, Clone)]
pub struct Sender {
    pub component: String,
    pub grant: Grant,
    pub limits: ComponentLimits,
}

/// A store's door to the outside.
pub struct Hooks {
    pool: Arc<Pool>,
    /// The component that sends just now; set by its own import right before the request is looked at.
    sender: Option<Arc<Sender>>,
    /// Who sends by WASI 0.2, where imports cannot be told apart; only for a component alone.
    fallback: Option<Arc<Sender>>,
    /// What each has sent for the request that runs.
    used: Vec<Used>,
    metrics: Arc<Metrics>,
    /// How long the request that runs has waited for others.
    waiting: Arc<Waiting>,
    /// What it has to do with a trace.
    pub part: Option<Part>,
}

struct Used {
    sender: Arc<Sender>,
    requests: u32,
    meter: Arc<Moved>,
}

/// Bytes of all bodies, both ways, that one component has moved for one request.
struct Moved {
    moved: AtomicU64,
    limit: u64,
    component: String,
    metrics: Arc<Metrics>,
}

impl Moved {
    fn count(&self, bytes: usize) -> Result<(), Error> {
        let before = self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
        let now = before.saturating_add(bytes as u64);
        if now <= self.limit {
            return Ok(());
        }
        if before <= self.limit {
            self.metrics.limits.add(&[&self.component, "outbound_bytes"], 1);
        }
        Err(Error::HttpResponseBodySize(Some(self.limit)))
    }
}

impl Hooks {
    pub fn new(pool: Arc<Pool>, fallback: Option<Arc<Sender>>, metrics: Arc<Metrics>) -> Self {
        Self { pool, sender: None, fallback, used: Vec::new(), metrics, waiting: Arc::default(), part: None }
    }

    /// Makes ready for the next request. Gives where it is counted how long that waits for others.
    pub fn begin(&mut self) -> Arc<Waiting> {
        self.sender = None;
        self.used.clear();
        self.part = None;
        Waiting::begin(&mut self.waiting);
        Arc::clone(&self.waiting)
    }

    pub fn sends(&mut self, sender: Arc<Sender>) {
        self.sender = Some(sender);
    }

    /// Counts one more request of a sender.
    fn count(&mut self, sender: Arc<Sender>) -> Result<Arc<Moved>, Error> {
        let place = self.used.iter().position(|used| Arc::ptr_eq(&used.sender, &sender)).unwrap_or_else(|| {
            let meter = Moved {
                moved: AtomicU64::new(0),
                limit: sender.limits.outbound_bytes,
                component: sender.component.clone(),
                metrics: Arc::clone(&self.metrics),
            };
            self.used.push(Used { sender, requests: 0, meter: Arc::new(meter) });
            self.used.len() - 1
        });
        let used = &mut self.used[place];
        used.requests += 1;
        if used.requests > used.sender.limits.outbound_requests {
            self.metrics.limits.add(&[&used.sender.component, "outbound_requests"], 1);
            return Err(Error::HttpRequestDenied);
        }
        Ok(Arc::clone(&used.meter))
    }

    /// Whether the request may go out, and is counted: whether its address is to be looked at, and what goes along with it.
    fn admit(&mut self, request: &mut Request<WasiBody>) -> Result<(Guard, Flight), Error> {
        let sender = self.sender.take().or_else(|| self.fallback.clone()).ok_or(Error::HttpRequestDenied)?;
        let guard = self.guard(&sender.grant, request).inspect_err(|_| {
            self.metrics.limits.add(&[&sender.component, "outbound_host"], 1);
        })?;
        let call = self.part.as_ref().and_then(|part| Call::new(part, &sender, guard, request));
        Ok((guard, Flight { moved: self.count(sender)?, _wait: self.waiting.start(), call }))
    }

    /// Whether a sender may go there, with the credential added where it belongs. A component that fetches what somebody
    /// else named says `authorization: none`, and nothing is added.
    fn guard(&self, grant: &Grant, request: &mut Request<WasiBody>) -> Result<Guard, Error> {
        let uri = request.uri();
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(Error::HttpRequestUriInvalid);
        };
        let origin = Origin::new(scheme, authority).ok_or(Error::HttpRequestUriInvalid)?;
        let listed = match &grant.outbound {
            Outbound::Anywhere => true,
            Outbound::To(origins) => origins.contains(&origin),
            Outbound::Nowhere => false,
        };
        if !listed {
            let pattern =
                grant.results.iter().find(|pattern| pattern.matches(&origin)).ok_or(Error::HttpRequestDenied)?;
            // Whose trace it is concerns nobody there.
            request.headers_mut().remove(TRACEPARENT);
            request.headers_mut().remove(TRACESTATE);
            request.headers_mut().remove(header::AUTHORIZATION);
            if pattern.is_address() {
                return Ok(Guard::Stranger);
            }
            // An address needs no resolver, so that none would look at it.
            let ours = origin.address().is_some_and(|address| !is_public(address));
            return if ours { Err(Error::DestinationIpProhibited) } else { Ok(Guard::Public) };
        }
        if request.headers().get(header::AUTHORIZATION).is_some_and(|value| value == "none") {
            request.headers_mut().remove(header::AUTHORIZATION);
            return Ok(Guard::No);
        }
        // The last one is the more particular.
        if let Some(credential) = grant.credentials.iter().rfind(|credential| credential.hosts.contains(&origin)) {
            request.headers_mut().insert(header::AUTHORIZATION, credential.value.clone());
        }
        Ok(Guard::No)
    }
}

/// What is looked at before a connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    No,
    /// Nothing, although others named it: the operator wrote that very address.
    Stranger,
    /// The address must be one of the public internet.
    Public,
}

type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        forbidden::is_forbidden(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        forbidden::filter()
    }

    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let admitted = self.admit(&mut request);
        let pool = Arc::clone(&self.pool);
        Box::new(async move {
            let (guard, mut flight) = admitted?;
            let sent = Arc::clone(&flight.moved);
            let request = request.map(|body| Counted { body, moved: sent, empty: Empty::default() }.boxed_unsync());
            // The head must come within this; hyper-util has its own limit for the connection.
            let wait = options.and_then(|options| options.first_byte_timeout);
            let sending = match guard {
                Guard::No | Guard::Stranger => pool.client.request(request),
                Guard::Public => pool.guarded.request(request),
            };
            let response = match wait {
                Some(wait) => tokio::time::timeout(wait, sending).await,
                None => Ok(sending.await),
            };
            let response = match response {
                Ok(response) => response.map_err(|error| told(&error)),
                Err(_) => Err(Error::ConnectionReadTimeout),
            };
            if let Some(call) = &mut flight.call {
                call.answered(&response);
            }
            let (response, flight) = (response?, Some(flight));
            let gap = options.and_then(|options| options.between_bytes_timeout);
            let response = response.map(|body| match gap {
                Some(gap) => Landing { body: Paced { body, gap, late: None }, flight }.boxed_unsync(),
                None => Landing { body: body.map_err(Error::from), flight }.boxed_unsync(),
            });
            Ok((response, Box::new(std::future::ready(Ok(()))) as _))
        })
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, Error>>>;

fn counted(polled: Polled, moved: &Moved) -> Polled {
    if let Poll::Ready(Some(Ok(frame))) = &polled
        && let Some(data) = frame.data_ref()
        && let Err(error) = moved.count(data.len())
    {
        return Poll::Ready(Some(Err(error)));
    }
    polled
}

/// A body that counts towards what its component may move.
struct Counted<B> {
    body: B,
    moved: Arc<Moved>,
    empty: Empty,
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            match self.empty.look(frame) {
                Piece::Passes => {}
                Piece::Nothing => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Piece::TooMuchOfNothing => {
                    self.moved.metrics.limits.add(&[&self.moved.component, "empty_pieces"], 1);
                    return Poll::Ready(Some(Err(Error::InternalError(Some("only empty pieces came".to_owned())))));
                }
            }
        }
        counted(polled, &self.moved)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What goes along with a request until its answer's last byte, or until nobody wants that any more.
struct Flight {
    moved: Arc<Moved>,
    _wait: Wait,
    call: Option<Box<Call>>,
}

/// An answer's body, with what counts it.
struct Landing<B> {
    body: B,
    /// Until the last byte: who reads it may hold the empty rest for longer.
    flight: Option<Flight>,
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Landing<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let Some(flight) = &self.flight else { return polled };
        let polled = counted(polled, &flight.moved);
        if matches!(&polled, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream() {
            self.flight = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A call as its span tells it.
struct Call {
    part: Part,
    context: trace::Context,
    began: Instant,
    attributes: Vec<(&'static str, Value)>,
    name: String,
    failed: bool,
}

impl Call {
    /// Hands the trace on to an upstream that is configured; others hear nothing of it. None where no span is told.
    fn new(part: &Part, sender: &Sender, guard: Guard, request: &mut Request<WasiBody>) -> Option<Box<Self>> {
        let context = if part.traces.is_some() { part.context.child() } else { part.context };
        if guard == Guard::No && matches!(sender.grant.outbound, Outbound::To(_)) {
            request.headers_mut().insert(TRACEPARENT, context.header());
            if let Some(state) = &part.state {
                request.headers_mut().insert(TRACESTATE, state.clone());
            }
        }
        part.traces.as_ref()?;
        let (method, uri) = (request.method(), request.uri());
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
        // Without the path and the query: some upstreams take names and signatures there.
        let attributes = vec![
            ("http.request.method", method.as_str().into()),
            ("server.address", host.into()),
            ("server.port", u64::from(port).into()),
            ("hybrid.component", sender.component.as_str().into()),
        ];
        let name = format!("{method} {host}");
        Some(Box::new(Self { part: part.clone(), context, began: Instant::now(), attributes, name, failed: true }))
    }

    fn answered(&mut self, response: &Result<Response<Incoming>, Error>) {
        match response {
            Ok(response) => {
                let status = response.status();
                self.attributes.push(("http.response.status_code", u64::from(status.as_u16()).into()));
                self.failed = status.is_client_error() || status.is_server_error();
                if self.failed {
                    self.attributes.push(("error.type", status.as_str().into()));
                }
            }
            Err(error) => self.attributes.push(("error.type", error.to_string().as_str().into())),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Some(traces) = self.part.traces.take() else { return };
        let (start, end) = trace::until_now(self.began.elapsed());
        traces.tell(Span {
            context: self.context,
            parent: Some(self.part.context.span),
            name: std::mem::take(&mut self.name),
            kind: Kind::Client,
            start,
            end,
            attributes: std::mem::take(&mut self.attributes),
            failed: self.failed,
        });
    }
}

/// A body that may not pause for longer than its reader allows.
struct Paced {
    body: Incoming,
    gap: Duration,
    /// Runs while nothing comes.
    late: Option<Pin<Box<Sleep>>>,
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Paced { body, gap, late } = &mut *self;
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(frame) => {
                *late = None;
                Poll::Ready(frame.map(|frame| frame.map_err(Error::from)))
            }
            Poll::Pending => {
                let late = late.get_or_insert_with(|| Box::pin(tokio::time::sleep(*gap)));
                late.as_mut().poll(cx).map(|()| Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A client error in WASI's words, so that the sender can tell a refused connection from a broken one.
fn told(error: &hyper_util::client::legacy::Error) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            if io.get_ref().is_some_and(|inner| inner.is::<NotPublic>()) {
                return Error::DestinationIpProhibited;
            }
            return match io.kind() {
                io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
                io::ErrorKind::TimedOut => Error::ConnectionTimeout,
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                    Error::ConnectionTerminated
                }
                _ if error.to_string().contains("dns") => {
                    Error::DnsError { rcode: Some("address not available".into()), info_code: None }
                }
                _ => Error::DestinationUnavailable,
            };
        }
        if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
            if hyper.is_incomplete_message() || hyper.is_canceled() || hyper.is_closed() {
                return Error::ConnectionTerminated;
            }
            if hyper.is_parse() {
                return Error::HttpProtocolError;
            }
        }
        source = error.source();
    }
    if error.is_connect() { Error::DestinationUnavailable } else { Error::HttpProtocolError }
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;

    use super::*;
    use crate::config::{Credential, Pattern};

    fn hooks(grant: Grant) -> Hooks {
        hooks_with(grant, &crate::limits::LimitsText::default())
    }

    fn hooks_with(grant: Grant, limits: &crate::limits::LimitsText) -> Hooks {
        let pool = Pool::new(&Limits::default()).expect("a pool");
        let mut hooks = Hooks::new(pool, None, Arc::new(Metrics::new(1)));
        let limits = ComponentLimits::new(limits, &Limits::default()).expect("sane limits");
        hooks.sends(Arc::new(Sender { component: "one".to_owned(), grant, limits }));
        hooks
    }

    fn origin(scheme: http::uri::Scheme, host: &str, port: u16) -> Origin {
        Origin { scheme, host: host.into(), port }
    }

    fn request(uri: &str) -> Request<WasiBody> {
        let body = Empty::new().map_err(|never: std::convert::Infallible| match never {}).boxed_unsync();
        Request::builder().uri(uri).body(body).expect("a request")
    }

    fn grant() -> Grant {
        let upstream = origin(http::uri::Scheme::HTTPS, "router.example", 443);
        Grant {
            outbound: Outbound::To(vec![upstream.clone(), origin(http::uri::Scheme::HTTP, "cdn.example", 8080)]),
            results: vec![Pattern::parse("https://*.store.example").expect("a pattern")],
            credentials: vec![Credential {
                value: "Bearer secret".try_into().expect("a value"),
                hosts: vec![upstream],
            }],
            stores: Vec::new(),
            withholds: Arc::default(),
            apart: false,
        }
    }

    #[tokio::test]
    async fn the_credential_goes_to_its_own_hosts_only() {
        let mut upstream = request("https://Router.example/v1");
        hooks(grant()).admit(&mut upstream).expect("allowed");
        assert_eq!(upstream.headers()[header::AUTHORIZATION], "Bearer secret");
        let mut elsewhere = request("http://cdn.example:8080/a.png");
        hooks(grant()).admit(&mut elsewhere).expect("allowed");
        assert!(!elsewhere.headers().contains_key(header::AUTHORIZATION));
    }

    #[tokio::test]
    async fn other_hosts_ports_and_schemes_are_refused() {
        for uri in ["https://evil.example/", "https://router.example:8443/", "http://router.example/"] {
            assert!(hooks(grant()).admit(&mut request(uri)).is_err(), "{uri}");
        }
    }

    #[tokio::test]
    async fn results_are_fetched_without_credentials_and_from_public_addresses() {
        let mut result = request("https://v1.store.example/a.png");
        assert_eq!(hooks(grant()).admit(&mut result).expect("allowed").0, Guard::Public);
        assert!(!result.headers().contains_key(header::AUTHORIZATION));
        let mut beside = request("https://router.example/a.png");
        beside.headers_mut().insert(header::AUTHORIZATION, "none".try_into().expect("a value"));
        assert_eq!(hooks(grant()).admit(&mut beside).expect("allowed").0, Guard::No);
        assert!(!beside.headers().contains_key(header::AUTHORIZATION));

        // An operator's own address is meant; a name that leads to one is not.
        let with = |pattern: &str| Grant { results: vec![Pattern::parse(pattern).expect("a pattern")], ..grant() };
        let admitted = |pattern: &str, uri: &str| hooks(with(pattern)).admit(&mut request(uri));
        assert_eq!(admitted("http://127.0.0.1:9", "http://127.0.0.1:9/a").expect("meant").0, Guard::Stranger);
        assert_eq!(admitted("http://localhost:9", "http://localhost:9/a").expect("looked at").0, Guard::Public);
        assert!(admitted("https://*.0.1", "https://127.0.0.1/a").is_err());
        assert!(admitted("https://store.example", "https://store.example:8443/a").is_err());
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_not_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let origin = format!("http://localhost:{port}");
        let grant = Grant { results: vec![Pattern::parse(&origin).expect("a pattern")], ..Grant::default() };
        let sent =
            hooks(grant).send_request(request(&format!("{origin}/a")), None, Box::new(std::future::ready(Ok(()))));
        let error = Pin::from(sent).await.err().expect("it is refused");
        assert!(matches!(error, Error::DestinationIpProhibited), "{error:?}");
        let connected = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(connected.is_err(), "it was connected to");
    }

    #[tokio::test]
    async fn a_grant_is_used_for_one_request() {
        let mut hooks = hooks(grant());
        hooks.admit(&mut request("https://router.example/")).expect("allowed");
        assert!(hooks.admit(&mut request("https://router.example/")).is_err());
    }
}
