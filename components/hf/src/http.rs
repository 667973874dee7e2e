//! Calls over `wasi:http/client`: one attempt, and as many as the policy allows.

use std::cell::RefCell;
use std::pin::Pin;
use std::time::Duration;

use hybrid_guest::types::{Error, Reason};
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Method, Request as Outgoing, RequestOptions, Scheme};
use spin_sdk::wasip3::{wit_future, wit_stream};
use spin_sdk::wit_bindgen::{StreamReader, StreamWriter};

use crate::body::Body;
use crate::clock::{self, Deadline};
use crate::config::{Base, Config};
use crate::error::{Fault, refusal};
use crate::head::Head;
use crate::incoming::Incoming;
use crate::request::{Request, Target, chat_path};
use crate::retry::{Policy, Step};

/// More of an error body says nothing more.
const ERROR_CAP: usize = 64 * 1024;

/// How long one call may take in all, and how often it is tried.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) deadline: Deadline,
    pub(crate) policy: Policy,
}

/// Sends `request` until `read` makes something of an answer, and tells how many attempts that took. Dropping the future
/// ends the attempt that runs.
pub(crate) async fn call<T>(
    config: &Config,
    upstream: &Base,
    model: &str,
    request: &Request,
    patience: Patience,
    read: impl AsyncFn(Head, Incoming) -> Result<T, Fault>,
) -> Result<(T, u32), Error> {
    let answer = RefCell::new(None);
    let (reader, slot) = (&read, &answer);
    let keep = move |head, incoming| -> Reading<'_> {
        Box::pin(async move {
            let read = reader(head, incoming).await?;
            slot.replace(Some(read));
            Ok(())
        })
    };
    let attempts = attempts(config, upstream, model, request, patience, &keep).await?;
    Ok((answer.into_inner().expect("an attempt that ends well was read"), attempts))
}

/// The reading of one answer. The machinery below is the same for all tasks, and in the component but once.
type Reading<'a> = Pin<Box<dyn Future<Output = Result<(), Fault>> + 'a>>;

async fn attempts<'a>(
    config: &Config,
    upstream: &Base,
    model: &str,
    request: &Request,
    patience: Patience,
    read: &(dyn Fn(Head, Incoming) -> Reading<'a> + 'a),
) -> Result<u32, Error> {
    let mut attempts = 0;
    let mut hold = false;
    loop {
        let time = patience.deadline.left().min(config.attempt_timeout);
        if time.is_zero() {
            return Err(Error { reason: Reason::Timeout, attempts });
        }
        attempts += 1;
        let attempt = attempt(config, upstream, model, request, hold, time, read);
        let fault = match clock::within(time, config.watched, attempt).await {
            Some(Ok(())) => return Ok(attempts),
            Some(Err(fault)) => fault,
            None => Fault::timeout(),
        };
        match patience.policy.step(attempts, fault.again, patience.deadline.left(), clock::noise()) {
            Step::GiveUp => return Err(Error { reason: fault.reason, attempts }),
            Step::Wait { delay, hold: wanted } => {
                hold |= wanted;
                if delay > Duration::ZERO {
                    clock::sleep(delay).await;
                }
            }
        }
    }
}

async fn attempt<'a>(
    config: &Config,
    upstream: &Base,
    model: &str,
    request: &Request,
    hold: bool,
    time: Duration,
    read: &(dyn Fn(Head, Incoming) -> Reading<'a> + 'a),
) -> Result<(), Fault> {
    let (body, contents) = match request.target {
        Target::Result(_) => (None, None),
        _ => {
            let (body, contents) = wit_stream::new();
            (Some(body), Some(contents))
        }
    };
    let outgoing = outgoing(config, upstream, request, hold, time, contents)?;
    let answer = async {
        let response = client::send(outgoing).await.map_err(|code| transport(&code))?;
        let (head, incoming) = Incoming::open(response);
        if (200..300).contains(&head.status) {
            return read(head, incoming).await;
        }
        let body = incoming.beginning(ERROR_CAP).await;
        Err(refusal(model, &head, &body, clock::now()))
    };
    clock::alongside(answer, async {
        if let Some(writer) = body {
            send(writer, &request.body).await;
        }
    })
    .await
}

/// Writes piece after piece, each made when the one before has gone.
async fn send(mut writer: StreamWriter<u8>, body: &Body) {
    for piece in body.pieces() {
        if !writer.write_all(piece.into_owned()).await.is_empty() {
            return;
        }
    }
}

#[inline(never)]
fn outgoing(
    config: &Config,
    upstream: &Base,
    request: &Request,
    hold: bool,
    time: Duration,
    contents: Option<StreamReader<u8>>,
) -> Result<Outgoing, Fault> {
    let mut headers = Vec::with_capacity(6);
    headers.push(field("accept", request.accept));
    headers.push(field("user-agent", "hybrid-ai"));
    let (base, path) = match &request.target {
        Target::Result(base) => (base, base.path.clone()),
        target => {
            headers.push(field("content-type", &request.content_type));
            headers.push(field("content-length", &request.body.len().to_string()));
            headers.extend(config.authorization.as_ref().map(|key| field("authorization", key)));
            if hold {
                headers.push(field("x-wait-for-model", "true"));
            }
            let path = match target {
                Target::Task(path) => format!("{}{path}", upstream.path.strip_suffix("/v1").unwrap_or(&upstream.path)),
                _ => chat_path(&upstream.path),
            };
            (upstream, path)
        }
    };
    let headers = Fields::from_list(&headers).map_err(|_| Fault::internal("a header was refused"))?;
    // There are no trailers: dropping the writer says so.
    let (_, trailers) = wit_future::new(|| Ok(None));
    let posts = contents.is_some();
    // What the runtime holds to needs no timer here; see `clock::within` for one that does not.
    let options = RequestOptions::new();
    let _ = options.set_first_byte_timeout(Some(clock::nanos(time)));
    let _ = options.set_between_bytes_timeout(Some(clock::nanos(time)));
    let (outgoing, _) = Outgoing::new(headers, contents, trailers, Some(options));
    let scheme = if base.https { Scheme::Https } else { Scheme::Http };
    let set = outgoing
        .set_method(if posts { &Method::Post } else { &Method::Get })
        .and_then(|()| outgoing.set_scheme(Some(&scheme)))
        .and_then(|()| outgoing.set_authority(Some(&base.authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(&path)));
    set.map_err(|()| Fault::internal("a part of the upstream's address was refused"))?;
    Ok(outgoing)
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
            Fault { again: crate::retry::Again::No, ..Fault::unreachable("the platform may not call the upstream") }
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
