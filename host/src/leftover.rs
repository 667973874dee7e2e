//! What a client still sends when nobody reads it any more.
//!
//! A request that is refused by its head leaves its body unread. Closing the connection on it would have many clients
//! report a broken pipe in place of the refusal, so a little of it is read and thrown away.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::answers::Hold;
use crate::tasks::Tasks;

/// What is read of it: more than that costs more than a new connection.
const MAX_BYTES: u64 = 256 * 1024;
/// And for how long.
const PATIENCE: Duration = Duration::from_secs(2);

/// A request's body. When it is dropped, its rest is read.
pub struct Drained {
    /// None where there is nothing to read, or nobody would send it.
    rest: Option<Tasks>,
    /// Until it is dropped.
    body: Option<Incoming>,
    /// Until its rest is read, or nobody will.
    hold: Option<Arc<Hold>>,
}

impl Drained {
    /// The hold keeps the connection from being taken as quiet while a body that is half read lies in it.
    pub fn of(request: Request<Incoming>, tasks: &Tasks, hold: Option<Arc<Hold>>) -> Request<Self> {
        let is_whole = request.body().is_end_stream();
        // A client that first asks whether to send its body reads the refusal before.
        let sends = !is_whole && !request.headers().contains_key(header::EXPECT);
        let hold = hold.filter(|_| !is_whole);
        request.map(|body| Self { rest: sends.then(|| tasks.clone()), body: Some(body), hold })
    }
}

impl Body for Drained {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        if let Poll::Ready(None | Some(Err(_))) = &polled {
            self.rest = None;
            self.hold = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let (Some(tasks), Some(body)) = (self.rest.take(), self.body.take()) else { return };
        let hold = self.hold.take();
        let unread = !body.is_end_stream() && body.size_hint().lower() <= MAX_BYTES;
        // A store may outlive the runtime of its last request.
        if unread && tokio::runtime::Handle::try_current().is_ok() {
            tasks.spawn(async move {
                let _ = tokio::time::timeout(PATIENCE, drain(body)).await;
                drop(hold);
            });
        }
    }
}

async fn drain(mut body: Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len) as u64;
        if read > MAX_BYTES {
            return;
        }
    }
}
