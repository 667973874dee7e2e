//! What is answered: the host's own words, or a component's as they stream out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use anyhow::anyhow;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::Full;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::Sleep;
use wasmtime_wasi_http::Error;

use crate::access::Access;
use crate::config::Config;
use crate::course::{BodyDone, Broken, Course};
use crate::empty::{Empty, Piece};
use crate::error::Refusal;
use crate::registry::Generation;
use crate::request::{Desk, LOG_USAGE, refusal};
use crate::telemetry::{self, Level};

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

/// A component's answer as it streams out, with the store that makes it: polling the one drives the other.
pub struct GuestBody {
    pub body: UnsyncBoxBody<Bytes, Error>,
    pub course: Option<Course>,
    pub body_done: Arc<BodyDone>,
    /// Bytes still owed by `content-length`.
    pub left: Option<u64>,
    pub clock: Pin<Box<Sleep>>,
    pub deadline: Instant,
    pub access: Access,
    pub desk: Arc<Desk>,
    pub place: Option<tokio::sync::OwnedSemaphorePermit>,
    /// The store broke; what it had sent before still goes out, and then an error.
    pub broken: Option<Broken>,
    pub over: bool,
    pub generation: Arc<Generation>,
    /// Waits for the end of this version's time; from the first pause on, most answers have none.
    pub expired: Option<Pin<Box<tokio_util::sync::WaitForCancellationFutureOwned>>>,
    /// Whether this is a stream of server-sent events, which can tell of an error in the middle.
    pub events: bool,
    /// Whether what was sent ends with a whole event.
    pub at_rest: bool,
    pub empty: Empty,
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

/// Whose time is over.
pub enum Late {
    Answer,
    Body,
}

/// Looks at the clock of a request, which goes off when there is something to look at.
pub fn late(
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
