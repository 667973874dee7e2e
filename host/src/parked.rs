//! A connection on which nothing is asked just now. hyper keeps two buffers and the room for a request by each, some 30 KB;
//! so after a second of silence it is taken apart, and only its socket is kept until something comes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::arrival::{Drain, What};

/// Whatever a client is connected by.
pub trait Line: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static {
    fn socket(&self) -> &TcpStream;
}

impl Line for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Line for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// What hyper is given to read and write: it can be taken back from it, and it ends where the client takes nothing.
pub struct Lent<I> {
    io: I,
    /// What was read by hyper before, and not looked at.
    before: Bytes,
    /// Whether an end is the end of the connection, too.
    is_back: Arc<AtomicBool>,
    drain: Drain,
}

impl<I> Lent<I> {
    /// With how long a client may take nothing of what is there for it.
    pub fn new(io: I, wait: Duration, before: Bytes, is_back: &Arc<AtomicBool>) -> Self {
        Self { io, before, is_back: Arc::clone(is_back), drain: Drain::new(wait) }
    }

    pub fn into_inner(self) -> I {
        self.io
    }
}

impl<I: Read + Unpin> Read for Lent<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.before.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let count = self.before.len().min(buffer.remaining());
        buffer.put_slice(&self.before[..count]);
        self.before.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<I: Write + Unpin> Write for Lent<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.drain.watched(cx, What::Write, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.drain.watched(cx, What::Flush, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_back.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        let shut = Pin::new(&mut self.io).poll_shutdown(cx);
        self.drain.watched(cx, What::Flush, shut)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.drain.watched(cx, What::Write, written)
    }
}
