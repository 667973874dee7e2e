//! One connection, from its first byte to its end: TLS or not, HTTP/1 or HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::arrival::Draining;
use crate::config::Limits;
use crate::forwarded::Peer;
use crate::http2;
use crate::request::{self, Desk};
use crate::server::Stop;
use crate::telemetry::{self, Level};

/// hyper's own smallest allows 8 KiB heads; bearer tokens, cookies and trace headers together stay well below this.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;
/// With these bytes HTTP/2 begins where nobody has agreed on it before. No method of HTTP/1 does.
const HTTP2: &[u8; 3] = b"PRI";
/// A client that sends its first three bytes one by one is waited for by looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

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
                    let stream = TokioIo::new(stream);
                    if is_http2 {
                        Box::pin(http2::serve(desk, stream, peer, limits, stop)).await
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
            let stream = TokioIo::new(stream);
            match is_http2 {
                Ok(Ok(true)) => Box::pin(http2::serve(desk, stream, peer, limits, stop)).await,
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

async fn http1<I: Read + Write + Unpin + Send>(
    desk: Arc<Desk>,
    stream: I,
    peer: Peer,
    limits: &Limits,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.header_ms))
        .max_headers(limits.headers.saturating_add(1))
        .max_buf_size(MAX_HEAD_BYTES)
        .half_close(false);
    let service = service_fn(|mut request| {
        let (desk, client) = (Arc::clone(&desk), peer.client(&mut request));
        async move { Ok::<_, Infallible>(request::serve(desk, client, request).await) }
    });
    let stream = Draining::new(stream, Duration::from_millis(limits.write_ms));
    let mut connection = std::pin::pin!(http.serve_connection(stream, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.told() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    Ok(ended?)
}
