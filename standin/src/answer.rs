//! An answer before it goes out, so that a fault can still spoil it.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tokio::sync::mpsc;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) content: Content,
    /// Counts events that are being written.
    streams: Option<Arc<AtomicUsize>>,
}

#[derive(Debug)]
pub(crate) enum Content {
    Whole(Bytes),
    /// Server-sent events, each with the line breaks that end it.
    Events(Vec<Bytes>),
}

/// How a body that is not simply there is written.
pub(crate) enum How {
    Events {
        pause: Duration,
        /// After this many the connection ends.
        cut: Option<usize>,
    },
    /// Sixteen bytes at a time, with this pause before each.
    Drip(Duration),
    /// So many events, then nothing, as long as somebody reads.
    Hanging(usize),
    /// Half of it, then the connection ends.
    Truncated,
    /// Over and over.
    Endless,
    /// Once, then zeros up to this many bytes.
    Huge(usize),
}

impl Answer {
    pub(crate) fn bytes(content_type: &str, body: impl Into<Bytes>) -> Answer {
        let empty =
            Answer { status: StatusCode::OK, headers: Vec::new(), content: Content::Whole(body.into()), streams: None };
        empty.with("content-type", content_type)
    }

    pub(crate) fn json(status: u16, body: &Value) -> Answer {
        Answer::bytes("application/json", body.to_string()).with_status(status)
    }

    pub(crate) fn events(events: Vec<String>) -> Answer {
        let mut answer = Answer::bytes("text/event-stream", Bytes::new());
        answer.content = Content::Events(events.into_iter().map(Bytes::from).collect());
        answer
    }

    pub(crate) fn counted(mut self, streams: &Arc<AtomicUsize>) -> Answer {
        self.streams = Some(Arc::clone(streams));
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Answer {
        self.status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Answer {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            self.headers.retain(|(known, _)| *known != name);
            self.headers.push((name, value));
        }
        self
    }

    /// As it goes out when nothing is wrong. `pause` comes before each event.
    pub(crate) fn respond(self, pause: Duration) -> Response<Body> {
        let body = match self.content {
            Content::Whole(bytes) => whole(bytes),
            Content::Events(events) => sent(events, How::Events { pause, cut: None }, self.streams),
        };
        assemble(self.status, self.headers, body)
    }

    /// As it goes out when its body is to break a promise.
    pub(crate) fn respond_spoiled(mut self, how: How) -> Response<Body> {
        let pieces = match self.content {
            Content::Whole(bytes) => vec![bytes],
            Content::Events(events) => events,
        };
        let promised: usize = match how {
            How::Truncated | How::Drip(_) => pieces.iter().map(Bytes::len).sum(),
            How::Huge(bytes) => bytes,
            How::Endless | How::Hanging(_) | How::Events { .. } => 0,
        };
        if promised > 0 {
            self.headers.push((CONTENT_LENGTH, HeaderValue::from(promised)));
        }
        assemble(self.status, self.headers, sent(pieces, how, self.streams))
    }

    #[cfg(test)]
    pub(crate) fn body(&self) -> Vec<u8> {
        match &self.content {
            Content::Whole(bytes) => bytes.to_vec(),
            Content::Events(events) => events.concat(),
        }
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body()).expect("text")
    }

    #[cfg(test)]
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.to_str().ok()).unwrap_or_default()
    }
}

pub(crate) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn assemble(status: StatusCode, headers: Vec<(HeaderName, HeaderValue)>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().extend(headers);
    response
}

/// A body that a task writes, as long as somebody reads it. An error ends the connection.
fn sent(pieces: Vec<Bytes>, how: How, streams: Option<Arc<AtomicUsize>>) -> Body {
    let (sender, received) = mpsc::channel(4);
    tokio::spawn(write(sender, pieces, how));
    Received(received, streams.map(Counted::new)).boxed_unsync()
}

/// What the connection reads; dropped when nobody reads any more.
struct Received(
    mpsc::Receiver<io::Result<Bytes>>,
    #[expect(dead_code, reason = "it counts by living")] Option<Counted>,
);

struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(streams: Arc<AtomicUsize>) -> Counted {
        streams.fetch_add(1, Ordering::Relaxed);
        Counted(streams)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// Gives up, with none, when nobody reads on.
async fn write(sender: mpsc::Sender<io::Result<Bytes>>, pieces: Vec<Bytes>, how: How) -> Option<()> {
    let send = async |piece| sender.send(Ok(piece)).await.ok();
    let end = async || {
        // What was sent before goes out first; hyper drops what it has not flushed when a body fails.
        tokio::time::sleep(Duration::from_millis(20)).await;
        sender.send(Err(io::Error::other("as asked"))).await.ok()
    };
    match how {
        How::Events { pause, cut } => {
            for piece in pieces.into_iter().take(cut.unwrap_or(usize::MAX)) {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                send(piece).await?;
            }
            if cut.is_some() { end().await } else { None }
        }
        How::Drip(pause) => {
            for piece in pieces.concat().chunks(16) {
                tokio::time::sleep(pause).await;
                send(Bytes::copy_from_slice(piece)).await?;
            }
            None
        }
        How::Hanging(events) => {
            for piece in pieces.into_iter().take(events) {
                send(piece).await?;
            }
            sender.closed().await;
            None
        }
        How::Truncated => {
            let all = pieces.concat();
            send(Bytes::copy_from_slice(&all[..all.len() / 2])).await?;
            end().await
        }
        How::Endless => {
            let once = pieces.concat();
            let piece = Bytes::from(once.repeat((1 << 17) / once.len().max(1) + 1));
            loop {
                send(piece.clone()).await?;
                // Fast enough to fill a memory, slow enough to leave a core to others.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        How::Huge(bytes) => {
            let zeros = Bytes::from(vec![0_u8; 1 << 16]);
            let mut beginning = Bytes::from(pieces.concat());
            beginning.truncate(bytes);
            let mut left = bytes - beginning.len();
            send(beginning).await?;
            while left > 0 {
                let piece = zeros.slice(..left.min(zeros.len()));
                left -= piece.len();
                send(piece).await?;
            }
            None
        }
    }
}
