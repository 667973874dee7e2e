//! Calls over `wasi:http/client`: one attempt, and as many as the policy allows.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use hybrid_guest::types::{Error, Reason};
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Method, Request as Outgoing, RequestOptions, Scheme};
use spin_sdk::wasip3::{wit_future, wit_stream};
use spin_sdk::wit_bindgen::{FutureWriter, StreamReader, StreamWriter};

use crate::body::Body;
use crate::clock::{self, Deadline};
use crate::config::{Base, Config};
use crate::error::{Fault, refusal};
use crate::head::Head;
use crate::health;
use crate::incoming::Incoming;
use crate::request::{Request, Target, chat_path};
use crate::retry::{Again, Policy, Step};
use crate::upstream::{Task, Upstream, Wire};

/// More of an error body says nothing more.
const ERROR_CAP: usize = 64 * 1024;

/// How long one call may take in all, and how often it is tried.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) deadline: Deadline,
    pub(crate) policy: Policy,
    /// When to send the same once more, where the first is still out.
    pub(crate) hedge: Option<Duration>,
}

/// What a request says of who we are.
#[derive(Clone, Copy)]
pub(crate) enum Key<'a> {
    /// The upstream's: `Bearer …`, or nothing where the host adds it.
    Ours(Option<&'a str>),
    /// Nothing, and the host adds nothing: for what others name.
    None,
}

/// What one call is for: whom to ask, and with what.
pub(crate) struct Call<'a> {
    pub(crate) config: &'a Config,
    pub(crate) task: Task,
    pub(crate) model: &'a str,
    pub(crate) upstreams: &'a [Upstream],
    pub(crate) patience: Patience,
    pub(crate) request: &'a dyn Fn(&Upstream) -> Result<Request, Reason>,
}

/// Asks one upstream after the other until `read` makes something of an answer. Tells which it was, and how many attempts
/// that took in all. Dropping the future ends the attempt that runs.
pub(crate) async fn call<T>(
    call: Call<'_>,
    read: impl AsyncFn(&Upstream, Head, Incoming) -> Result<T, Fault>,
) -> Result<(T, u32, usize), Error> {
    let answer = RefCell::new(None);
    let (reader, slot) = (&read, &answer);
    let keep = move |upstream, head, incoming| -> Reading<'_> {
        Box::pin(async move {
            let read = reader(upstream, head, incoming).await?;
            slot.replace(Some(read));
            Ok(())
        })
    };
    let (attempts, index) = over(&call, &keep).await?;
    Ok((answer.into_inner().expect("an attempt that ends well was read"), attempts, index))
}

/// The reading of one answer. The machinery below is the same for all tasks, and in the component but once.
type Reading<'a> = Pin<Box<dyn Future<Output = Result<(), Fault>> + 'a>>;
type Read<'a> = dyn Fn(&'a Upstream, Head, Incoming) -> Reading<'a> + 'a;

async fn over<'a>(call: &Call<'a>, read: &Read<'a>) -> Result<(u32, usize), Error> {
    let breaker = &call.config.breaker;
    let mut attempts = 0;
    let mut kept: Option<Reason> = None;
    let mut shut = None;
    for (index, upstream) in call.upstreams.iter().enumerate() {
        let (moment, now) = (clock::moment(), clock::millis());
        let time = call.patience.deadline.left_at(moment);
        if time.is_zero() {
            kept = Some(Reason::Timeout);
            break;
        }
        let key = health::key(&upstream.provider, call.task.capability(), &upstream.id);
        let request = health::admit(breaker, &key, call.model, now).and_then(|()| (call.request)(upstream));
        let reason = match request {
            Err(reason) => reason,
            Ok(request) => match tries(call, upstream, &request, moment, read).await {
                Ok(made) => {
                    // Where all is well, the minute counts and not the time that the answer took.
                    health::note(breaker, &key, None, time, now);
                    health::tell(call.task.capability(), call.model, None, None, now);
                    return Ok((attempts + made, index));
                }
                Err(Error { reason, attempts: made }) => {
                    attempts += made;
                    health::note(breaker, &key, Some(&reason), time, clock::millis());
                    reason
                }
            },
        };
        let reason = match reason {
            Reason::UnknownModel(_) => Reason::UnknownModel(call.model.to_owned()),
            reason => reason,
        };
        let others = matches!(
            reason,
            Reason::UnknownModel(_)
                | Reason::Unavailable(_)
                | Reason::Failed(_)
                | Reason::RateLimited(_)
                | Reason::Timeout
        );
        if !others {
            return Err(Error { reason, attempts });
        }
        shut = shut.or(health::shut_until(&key, clock::millis()));
        if kept.as_ref().is_none_or(|kept| matches!(kept, Reason::UnknownModel(_))) {
            kept = Some(reason);
        }
    }
    let reason = kept.unwrap_or_else(|| Reason::UnknownModel(call.model.to_owned()));
    health::tell(call.task.capability(), call.model, Some(&reason), shut, clock::millis());
    Err(Error { reason, attempts })
}

/// Asks one upstream as often as the policy allows, the first time at `moment`; the number of attempts it took.
async fn tries<'a>(
    call: &Call<'a>,
    upstream: &'a Upstream,
    request: &Request,
    mut moment: u64,
    read: &Read<'a>,
) -> Result<u32, Error> {
    let Call { config, patience, .. } = *call;
    let mut attempts = 0;
    let mut hold = false;
    loop {
        let left = patience.deadline.left_at(moment);
        let own = config.table.number(call.model, "attempt_timeout_ms").map(Duration::from_millis);
        // Who queues a job is asked often, and each time answers soon.
        let longest = if upstream.wire.queues() { left } else { own.unwrap_or(config.attempt_timeout) };
        let time = left.min(longest);
        if time.is_zero() {
            return Err(Error { reason: Reason::Timeout, attempts });
        }
        attempts += 1;
        let send = || attempt(config, upstream, call.model, request, hold, time, read);
        let outcome = match patience.hedge.filter(|hedge| *hedge < time) {
            None => clock::within(moment, time, config.watched, send()).await,
            Some(hedge) => clock::within(moment, time, false, hedged(hedge, send, &mut attempts)).await,
        };
        let mut fault = match outcome {
            Some(Ok(())) => return Ok(attempts),
            Some(Err(fault)) => fault,
            None => Fault::timeout(),
        };
        // What hung once will hang again, and the time is better spent on another.
        if matches!(fault.reason, Reason::Timeout) && !patience.policy.patient {
            fault.again = Again::No;
        }
        match patience.policy.step(attempts, fault.again, patience.deadline.left(), clock::noise()) {
            Step::GiveUp => return Err(Error { reason: fault.reason, attempts }),
            Step::Wait { delay, hold: wanted } => {
                hold |= wanted;
                if delay > Duration::ZERO {
                    clock::sleep(delay).await;
                }
                moment = clock::moment();
            }
        }
    }
}

/// The first good end of two equal attempts, of which the second begins when the first takes longer than `after`.
async fn hedged<F: Future<Output = Result<(), Fault>>>(
    after: Duration,
    send: impl Fn() -> F,
    attempts: &mut u32,
) -> Result<(), Fault> {
    let mut first = pin!(send());
    if let Some(done) = clock::within(clock::moment(), after, false, first.as_mut()).await {
        return done;
    }
    *attempts += 1;
    let mut second = pin!(send());
    let mut failed = [false; 2];
    poll_fn(|cx| {
        for (index, running) in [first.as_mut(), second.as_mut()].into_iter().enumerate() {
            if failed[index] {
                continue;
            }
            match running.poll(cx) {
                Poll::Ready(Err(_)) if !failed[1 - index] => failed[index] = true,
                Poll::Ready(done) => return Poll::Ready(done),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    })
    .await
}

async fn attempt<'a>(
    config: &Config,
    upstream: &'a Upstream,
    model: &str,
    request: &Request,
    hold: bool,
    time: Duration,
    read: &Read<'a>,
) -> Result<(), Fault> {
    let path = match &request.target {
        Target::Task(_) if upstream.wire == Wire::Bare => upstream.base.path.clone(),
        Target::Task(path) => format!("{}{path}", upstream.base.path),
        Target::Chat => chat_path(&upstream.base.path),
    };
    let (contents, reader) = wit_stream::new();
    let key = Key::Ours(upstream.authorization.as_deref());
    let (outgoing, trailers) = outgoing(config, key, &upstream.base, &path, Some((request, hold, reader)), time)?;
    let answer = async {
        let response = client::send(outgoing).await.map_err(|code| transport(&code))?;
        let (head, incoming) = Incoming::open(response);
        let (head, incoming) = accepted(model, head, incoming).await?;
        read(upstream, head, incoming).await
    };
    clock::alongside(answer, send(contents, &request.body, trailers)).await
}

/// Fetches what lies below a base.
pub(crate) async fn get(
    config: &Config,
    key: Key<'_>,
    base: &Base,
    path: &str,
    time: Duration,
) -> Result<(Head, Incoming), Fault> {
    let (outgoing, trailers) = outgoing(config, key, base, path, None, time)?;
    drop(trailers);
    let response = client::send(outgoing).await;
    Ok(Incoming::open(response.map_err(|code| transport(&code))?))
}

/// The answer, where it is one.
pub(crate) async fn accepted(model: &str, head: Head, incoming: Incoming) -> Result<(Head, Incoming), Fault> {
    if (200..300).contains(&head.status) {
        return Ok((head, incoming));
    }
    let body = incoming.beginning(ERROR_CAP).await;
    Err(refusal(model, &head, &body, clock::now()))
}

/// A result that lies elsewhere, from where the model table says that results lie, without credentials. Redirections are
/// followed as far as they keep to that; what fails is tried again here, so that no model works twice for it.
pub(crate) async fn fetch(config: &Config, upstream: &Upstream, url: String) -> Result<(Head, Incoming), Fault> {
    const TRIES: u32 = 3;
    let mut tries = 1;
    loop {
        match fetch_once(config, upstream, url.clone()).await {
            Err(fault) if fault.again != Again::No && tries < TRIES => clock::sleep(FETCH_PAUSE * tries).await,
            Err(fault) => return Err(Fault { again: Again::No, ..fault }),
            fetched => return fetched,
        }
        tries += 1;
    }
}

const FETCH_PAUSE: Duration = Duration::from_millis(300);
const REDIRECTIONS: u32 = 3;

async fn fetch_once(config: &Config, upstream: &Upstream, mut url: String) -> Result<(Head, Incoming), Fault> {
    for _ in 0..=REDIRECTIONS {
        let base = Base::parse(&url).filter(|base| {
            let beside = base.https == upstream.base.https && base.authority == upstream.base.authority;
            beside || config.table.holds_results(base)
        });
        let nowhere = || Fault::useless("the model's answer lies where the platform does not fetch from");
        let base = base.ok_or_else(nowhere)?;
        let (head, incoming) = get(config, Key::None, &base, &base.path, config.attempt_timeout).await?;
        if !matches!(head.status, 301 | 302 | 303 | 307 | 308) {
            return accepted(&upstream.id, head, incoming).await;
        }
        let location = head.get("location").ok_or_else(nowhere)?;
        url = if location.starts_with('/') && !location.starts_with("//") {
            format!("{}{}{location}", if base.https { "https://" } else { "http://" }, base.authority)
        } else {
            location.to_owned()
        };
    }
    Err(Fault::useless("the model's answer is moved from place to place"))
}

/// Writes piece after piece, each made when the one before has gone. Nothing follows them, and that is said last: a write
/// that nobody waits for yet costs an event later.
async fn send(mut writer: StreamWriter<u8>, body: &Body, _trailers: NoTrailers) {
    for piece in body.pieces() {
        if !writer.write_all(piece.into_owned()).await.is_empty() {
            return;
        }
    }
}

/// Dropping it says that no trailers come.
type NoTrailers = FutureWriter<Result<Option<Fields>, ErrorCode>>;

#[inline(never)]
fn outgoing(
    config: &Config,
    key: Key<'_>,
    base: &Base,
    path: &str,
    posted: Option<(&Request, bool, StreamReader<u8>)>,
    time: Duration,
) -> Result<(Outgoing, NoTrailers), Fault> {
    let mut headers = Vec::with_capacity(8);
    headers.push(field("user-agent", "hybrid-ai"));
    match key {
        Key::Ours(key) => headers.extend(key.map(|key| field("authorization", key))),
        // The host takes it off again.
        Key::None if config.watched => headers.push(field("authorization", "none")),
        Key::None => {}
    }
    let (method, contents) = match posted {
        None => {
            headers.push(field("accept", "*/*"));
            (Method::Get, None)
        }
        Some((request, hold, contents)) => {
            headers.push(field("accept", request.accept));
            headers.push(field("content-type", &request.content_type));
            headers.push(field("content-length", &request.body.len().to_string()));
            if hold {
                headers.push(field("x-wait-for-model", "true"));
            }
            if request.prefer {
                headers.push(field("prefer", "wait"));
            }
            (Method::Post, Some(contents))
        }
    };
    let headers = Fields::from_list(&headers).map_err(|_| Fault::internal("a header was refused"))?;
    let (none, trailers) = wit_future::new(|| Ok(None));
    // What the runtime holds to needs no timer here; see `clock::within` for one that does not.
    let options = RequestOptions::new();
    let _ = options.set_first_byte_timeout(Some(clock::nanos(time)));
    let _ = options.set_between_bytes_timeout(Some(clock::nanos(time)));
    let (outgoing, _) = Outgoing::new(headers, contents, trailers, Some(options));
    let scheme = if base.https { Scheme::Https } else { Scheme::Http };
    let set = outgoing
        .set_method(&method)
        .and_then(|()| outgoing.set_scheme(Some(&scheme)))
        .and_then(|()| outgoing.set_authority(Some(&base.authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(if path.is_empty() { "/" } else { path })));
    set.map_err(|()| Fault::internal("a part of the upstream's address was refused"))?;
    Ok((outgoing, none))
}

#[inline(never)]
fn field(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_owned(), value.as_bytes().to_vec())
}

/// Sorts what went wrong below HTTP.
#[cold]
pub(crate) fn transport(code: &ErrorCode) -> Fault {
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
            Fault { again: Again::No, ..Fault::unreachable("the platform may not call the upstream") }
        }
        ErrorCode::ConfigurationError | ErrorCode::HttpRequestMethodInvalid | ErrorCode::HttpRequestUriInvalid => {
            Fault::internal("the runtime refused the request to the upstream")
        }
        ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => Fault::timeout(),
        ErrorCode::DnsTimeout | ErrorCode::ConnectionTimeout | ErrorCode::ConnectionWriteTimeout => {
            Fault::unreachable("the upstream did not answer in time")
        }
        ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => Fault::unreachable("the upstream was not found"),
        ErrorCode::HttpResponseIncomplete | ErrorCode::ConnectionTerminated => {
            Fault::unreachable("the upstream closed the connection")
        }
        ErrorCode::TlsProtocolError | ErrorCode::TlsCertificateError | ErrorCode::TlsAlertReceived(_) => {
            Fault::unreachable("no safe connection to the upstream could be made")
        }
        _ => Fault::unreachable("the upstream could not be reached"),
    }
}
