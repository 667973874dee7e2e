//! Many requests at once on one connection. What hyper does by itself for HTTP/1 is done here: a connection on which
//! nothing is asked ends, and so does one whose client takes nothing of an answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::rt::{Executor, Read, Write};
use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;

use crate::answers::{self, Answers};
use crate::config::Limits;
use crate::connection::MAX_HEAD_BYTES;
use crate::forwarded::Peer;
use crate::parked::Lent;
use crate::request::Desk;
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
    let service = answers::service(desk, peer, Arc::clone(&answers));
    let lent = Lent::new(stream, stall, Bytes::new(), &Arc::default());
    let mut connection = std::pin::pin!(http.serve_connection(lent, service));
    let mut told = std::pin::pin!(stop.told());
    let (mut is_told, mut quiet_since, mut goodbye) = (false, Instant::now(), None::<Instant>);
    let mut ended_before = 0;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            () = &mut told, if !is_told => {
                is_told = true;
                connection.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep(look) => {
                // A busy connection may be seen just between its requests, again and again.
                let ended = answers.ended();
                if answers.open() > 0 || ended != ended_before {
                    (quiet_since, ended_before) = (Instant::now(), ended);
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
