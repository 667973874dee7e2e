//! One connection, from its first byte to its end: TLS or not, HTTP/1 or HTTP/2.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::answers::{self, Answers};
use crate::config::Limits;
use crate::forwarded::Peer;
use crate::http2;
use crate::memory;
use crate::parked::{Lent, Line};
use crate::request::Desk;
use crate::server::Stop;
use crate::telemetry::{self, Level};

/// hyper's own smallest allows 8 KiB heads; bearer tokens, cookies and trace headers together stay well below this.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;
/// With these bytes HTTP/2 begins where nobody has agreed on it before. No method of HTTP/1 does.
const HTTP2: &[u8; 3] = b"PRI";
/// A client that sends its first three bytes one by one is waited for by looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// A connection on which nothing was asked for so long, up to twice that, is kept as its socket alone.
const QUIET: Duration = Duration::from_secs(1);

pub async fn serve(desk: Arc<Desk>, stream: TcpStream, client: SocketAddr, stop: Stop) {
    // Without it the end of an answer waits for the peer's delayed acknowledgement, 40 ms.
    let _ = stream.set_nodelay(true);
    let config = desk.registry.config();
    let limits = &config.limits;
    let wait = Duration::from_millis(limits.header_ms);
    let tls = desk.tls.clone();
    let peer = Peer::new(client, &config.trusted_proxies, tls.is_some());
    let ended = match tls {
        Some(tls) => {
            let accepted = tokio::select! {
                accepted = tokio::time::timeout(wait, tls.accept(stream)) => accepted,
                () = stop.told() => return,
            };
            match accepted {
                Ok(Ok(stream)) => {
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    if is_http2 {
                        Box::pin(http2::serve(desk, TokioIo::new(stream), peer, limits, stop)).await
                    } else {
                        Box::pin(http1(desk, stream, peer, limits, stop)).await
                    }
                }
                Ok(Err(error)) => Err(error.into()),
                Err(_) => Ok(()),
            }
        }
        None => {
            // Until something comes a connection is little more than its socket.
            let is_http2 = tokio::select! {
                is_http2 = tokio::time::timeout(wait, begins_http2(&stream)) => is_http2,
                () = stop.told() => return,
            };
            match is_http2 {
                Ok(Ok(true)) => Box::pin(http2::serve(desk, TokioIo::new(stream), peer, limits, stop)).await,
                Ok(Ok(false)) => Box::pin(http1(desk, stream, peer, limits, stop)).await,
                Ok(Err(error)) => Err(error.into()),
                Err(_) => Ok(()),
            }
        }
    };
    if let Err(error) = ended
        && telemetry::enabled(Level::Debug)
    {
        let error = error.to_string();
        telemetry::line(Level::Debug, "a connection ended early", &[("error", (&error).into())]);
    }
}

/// Looks at the first bytes, and leaves them there.
async fn begins_http2(stream: &TcpStream) -> std::io::Result<bool> {
    let mut first = [0; HTTP2.len()];
    loop {
        let count = stream.peek(&mut first).await?;
        if count == 0 || first[..count] != HTTP2[..count] {
            return Ok(false);
        }
        if count == HTTP2.len() {
            return Ok(true);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// How a connection is after hyper has had it.
enum Left<I> {
    Ended,
    /// Nothing is asked just now.
    Quiet {
        line: I,
        before: Bytes,
    },
}

async fn http1<I: Line>(desk: Arc<Desk>, mut line: I, peer: Peer, limits: &Limits, stop: Stop) -> anyhow::Result<()> {
    let wait = Duration::from_millis(limits.header_ms);
    let mut read = Bytes::new();
    loop {
        let left = Box::pin(some_requests(Arc::clone(&desk), line, read, peer.clone(), limits, &stop)).await?;
        (line, read) = match left {
            Left::Ended => return Ok(()),
            Left::Quiet { line, before } => (line, before),
        };
        memory::taken_apart();
        if read.is_empty() {
            tokio::select! {
                stirs = tokio::time::timeout(wait.saturating_sub(QUIET), line.socket().readable()) => match stirs {
                    Ok(stirs) => stirs?,
                    Err(_) => return Ok(()),
                },
                () = stop.told() => return Ok(()),
            }
        }
    }
}

/// Has hyper serve a connection, until it ends or nothing is asked on it.
async fn some_requests<I: Line>(
    desk: Arc<Desk>,
    line: I,
    before: Bytes,
    peer: Peer,
    limits: &Limits,
    stop: &Stop,
) -> anyhow::Result<Left<I>> {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.header_ms))
        .max_headers(limits.headers.saturating_add(1))
        .max_buf_size(MAX_HEAD_BYTES)
        .half_close(false);
    let answers = Arc::new(Answers::default());
    let is_back = Arc::new(AtomicBool::new(false));
    let lent = Lent::new(TokioIo::new(line), Duration::from_millis(limits.write_ms), before, &is_back);
    let mut connection = http.serve_connection(lent, answers::service(desk, peer, Arc::clone(&answers)));
    let mut told = std::pin::pin!(stop.told());
    let (mut is_told, mut ended_before) = (false, 0);
    loop {
        tokio::select! {
            ended = &mut connection => {
                ended?;
                return Ok(Left::Ended);
            }
            () = &mut told, if !is_told => {
                is_told = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            () = tokio::time::sleep(QUIET), if !is_told => {
                let ended = answers.ended();
                // What came since the last look began this second, or is a request that has not come whole.
                if ended == 0 || ended != ended_before || answers.open() > 0 {
                    ended_before = ended;
                    continue;
                }
                is_back.store(true, Ordering::Relaxed);
                std::pin::Pin::new(&mut connection).graceful_shutdown();
                // It ends at once where nothing was going on; otherwise with what is.
                match futures::poll!(&mut connection) {
                    Poll::Ready(Ok(())) => {
                        let parts = connection.into_parts();
                        return Ok(Left::Quiet { line: parts.io.into_inner().into_inner(), before: parts.read_buf });
                    }
                    Poll::Ready(Err(error)) => return Err(error.into()),
                    Poll::Pending => {
                        is_back.store(false, Ordering::Relaxed);
                        is_told = true;
                    }
                }
            }
        }
    }
}
