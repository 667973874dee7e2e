//! Many requests at once on one connection. What hyper does by itself for HTTP/1 is done here: a connection on which
//! nothing is asked ends, and so does one whose client takes nothing of an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::{Executor, Read, Write};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;

use crate::arrival::Draining;
use crate::config::Limits;
use crate::connection::MAX_HEAD_BYTES;
use crate::forwarded::Peer;
use crate::request::{self, Desk};
use crate::server::Stop;
use crate::tasks::Tasks;

/// A browser asks for some tens of things at once; a gateway in front opens more connections.
const STREAMS: u32 = 128;
/// Bytes of a request's body that come before a component has read those before them.
const WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes of an answer that wait for their client.
const SEND_BYTES: usize = 256 * 1024;
/// How often a connection is looked at, where its limits are not shorter.
const LOOK: Duration = Duration::from_secs(1);
/// A client that is told of the end has this long to have heard.
const FAREWELL: Duration = Duration::from_secs(2);

pub async fn serve<I: Read + Write + Unpin + Send + 'static>(
    desk: Arc<Desk>,
    stream: I,
    peer: Peer,
    limits: &Limits,
    stop: Stop,
) -> anyhow::Result<()> {
    let (idle, stall) = (Duration::from_millis(limits.header_ms), Duration::from_millis(limits.write_ms));
    let look = LOOK.min(idle / 2).min(stall / 2);
    let answers = Arc::new(Answers::default());
    let mut http = http2::Builder::new(Here(desk.tasks.clone()));
    http.timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES * 4)
        .max_send_buf_size(SEND_BYTES)
        // A peer that went without a word is found out.
        .keep_alive_interval(idle)
        .keep_alive_timeout(idle);
    let service = {
        let answers = Arc::clone(&answers);
        service_fn(move |mut request| {
            let (desk, client) = (Arc::clone(&desk), peer.client(&mut request));
            let hold = answers.begin();
            async move {
                let answer = request::serve(desk, client, request).await;
                Ok::<_, Infallible>(answer.map(|body| Taken { body, hold }))
            }
        })
    };
    let mut connection = std::pin::pin!(http.serve_connection(Draining::new(stream, stall), service));
    let mut told = std::pin::pin!(stop.told());
    let (mut is_told, mut quiet_since, mut goodbye) = (false, Instant::now(), None::<Instant>);
    loop {
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            () = &mut told, if !is_told => {
                is_told = true;
                connection.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep(look) => {
                if answers.open() > 0 {
                    quiet_since = Instant::now();
                    anyhow::ensure!(!answers.any_stalled(stall), "the client takes nothing of an answer");
                } else if quiet_since.elapsed() >= idle && goodbye.is_none() {
                    goodbye = Some(Instant::now());
                    connection.as_mut().graceful_shutdown();
                }
                if goodbye.is_some_and(|since| since.elapsed() >= FAREWELL) && answers.open() == 0 {
                    return Ok(());
                }
            }
        }
    }
}

/// Requests of a connection run on the thread of the connection.
#[derive(Clone)]
struct Here(Tasks);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Here {
    fn execute(&self, work: F) {
        self.0.spawn(work);
    }
}

/// The requests of one connection that are not over yet.
#[derive(Default)]
struct Answers {
    open: Mutex<Vec<Weak<Hold>>>,
}

/// One of them. Lives until its answer is out or given up.
struct Hold {
    began: Instant,
    /// Milliseconds from `began` to when a piece was handed out, plus one; 0 while the next one is waited for.
    out_since: AtomicU64,
}

impl Answers {
    fn begin(&self) -> Arc<Hold> {
        let hold = Arc::new(Hold { began: Instant::now(), out_since: AtomicU64::new(0) });
        let mut open = self.open.lock().expect("nobody panics holding it");
        open.retain(|one| one.strong_count() > 0);
        open.push(Arc::downgrade(&hold));
        hold
    }

    fn open(&self) -> usize {
        let mut open = self.open.lock().expect("nobody panics holding it");
        open.retain(|one| one.strong_count() > 0);
        open.len()
    }

    /// Whether a piece of an answer lies here that the client's window has had no room for.
    fn any_stalled(&self, limit: Duration) -> bool {
        let open = self.open.lock().expect("nobody panics holding it");
        open.iter().filter_map(Weak::upgrade).any(|hold| {
            let since = hold.out_since.load(Ordering::Relaxed);
            since > 0 && hold.began.elapsed() >= Duration::from_millis(since - 1) + limit
        })
    }
}

/// An answer's body that notes when the connection took a piece of it, and when it asked for the next.
struct Taken<B> {
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
