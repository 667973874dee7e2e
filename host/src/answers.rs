//! The requests of one connection, and how their answers go out.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};

use crate::answer::Answer;
use crate::forwarded::Peer;
use crate::leftover::Drained;
use crate::request::{self, Desk};

/// What answers a connection's requests, whichever HTTP it speaks.
pub fn service(
    desk: Arc<Desk>,
    peer: Peer,
    answers: Arc<Answers>,
) -> impl Service<Request<Incoming>, Response = Response<Taken<Answer>>, Error = Infallible, Future: Send + 'static> {
    service_fn(move |mut request: Request<Incoming>| {
        let (desk, client) = (Arc::clone(&desk), peer.client(&mut request));
        let hold = answers.begin();
        async move {
            let request = Drained::of(request, &desk.tasks, Some(Arc::clone(&hold)));
            let answer: Response<Answer> = request::serve(desk, client, request).await;
            Ok::<_, Infallible>(answer.map(|body| Taken { body, hold }))
        }
    })
}

/// The requests of one connection that are not over yet.
#[derive(Default)]
pub struct Answers {
    open: Mutex<Vec<Weak<Hold>>>,
    ended: Arc<AtomicU64>,
}

/// One of them. Lives until its answer is out or given up, and its body read or given up.
pub struct Hold {
    began: Instant,
    ended: Arc<AtomicU64>,
    /// Milliseconds from `began` to when a piece was handed out, plus one; 0 while the next one is waited for.
    out_since: AtomicU64,
}

impl Answers {
    fn begin(&self) -> Arc<Hold> {
        let ended = Arc::clone(&self.ended);
        let hold = Arc::new(Hold { began: Instant::now(), ended, out_since: AtomicU64::new(0) });
        let mut open = self.open.lock().expect("nobody panics holding it");
        open.retain(|one| one.strong_count() > 0);
        open.push(Arc::downgrade(&hold));
        hold
    }

    pub fn open(&self) -> usize {
        let mut open = self.open.lock().expect("nobody panics holding it");
        open.retain(|one| one.strong_count() > 0);
        open.len()
    }

    /// How many have ended.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Whether a piece of an answer lies here that the client's window has had no room for.
    pub fn any_stalled(&self, limit: Duration) -> bool {
        let open = self.open.lock().expect("nobody panics holding it");
        open.iter().filter_map(Weak::upgrade).any(|hold| {
            let since = hold.out_since.load(Ordering::Relaxed);
            since > 0 && hold.began.elapsed() >= Duration::from_millis(since - 1) + limit
        })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// An answer's body that notes when the connection took a piece of it, and when it asked for the next.
pub struct Taken<B> {
    body: B,
    hold: Arc<Hold>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Taken<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let out = match &frame {
            Poll::Ready(Some(_)) => u64::try_from(self.hold.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1,
            Poll::Ready(None) | Poll::Pending => 0,
        };
        self.hold.out_since.store(out, Ordering::Relaxed);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Taken<B> {
    fn drop(&mut self) {
        // The request's body may outlast its answer, which keeps nobody waiting any more.
        self.hold.out_since.store(0, Ordering::Relaxed);
    }
}
