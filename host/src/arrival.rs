//! Clients that are too slow. A request holds a place, so nobody may hold one for longer than what he sends or takes is
//! worth. What is waited for is the client alone: a component that does not read holds up nobody's time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// Beyond the wait that everybody has, a body must come at this rate. The slowest mobile line is ten times as fast.
pub const BYTES_PER_SECOND: u64 = 1000;
/// A body that is still coming is looked at this often.
const LOOK: Duration = Duration::from_secs(1);

/// How long a client is waited for that has sent so many bytes.
pub fn patience(wait_ms: u64, bytes: u64) -> Duration {
    Duration::from_millis(wait_ms.saturating_add(bytes.saturating_mul(1000) / BYTES_PER_SECOND))
}

/// How a request's body comes in, shared by who reads it and who watches the time.
pub struct Arrival {
    began: Instant,
    /// Milliseconds that the body was waited for, without the present wait.
    waited: AtomicU64,
    /// Milliseconds from `began` to the present wait, plus one; 0 where nobody waits.
    since: AtomicU64,
    bytes: AtomicU64,
}

impl Arrival {
    pub fn new(began: Instant) -> Self {
        Self { began, waited: AtomicU64::new(0), since: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    fn waits(&self) {
        if self.since.load(Ordering::Relaxed) == 0 {
            self.since.store(self.now() + 1, Ordering::Relaxed);
        }
    }

    fn came(&self, bytes: u64) {
        let since = self.since.swap(0, Ordering::Relaxed);
        if since > 0 {
            self.waited.fetch_add(self.now().saturating_sub(since - 1), Ordering::Relaxed);
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether the client has taken more time for its body than it may, beside when to look again.
    pub fn is_late(&self, wait_ms: u64) -> Result<Duration, TooSlow> {
        let since = self.since.load(Ordering::Relaxed);
        let present = if since == 0 { 0 } else { self.now().saturating_sub(since - 1) };
        let waited = self.waited.load(Ordering::Relaxed) + present;
        let most = patience(wait_ms, self.bytes.load(Ordering::Relaxed));
        if since > 0 && Duration::from_millis(waited) > most { Err(TooSlow) } else { Ok(LOOK) }
    }
}

/// The client takes too long to send its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooSlow;

pin_project_lite::pin_project! {
    /// A body that tells its [`Arrival`], which is part of something that is shared, how it comes in.
    pub struct Arriving<B, A> {
        #[pin]
        body: B,
        arrival: Arc<A>,
    }
}

impl<B, A: AsRef<Arrival>> Arriving<B, A> {
    pub fn new(body: B, arrival: Arc<A>) -> Self {
        Self { body, arrival }
    }
}

impl<B: Body<Data = Bytes>, A: AsRef<Arrival>> Body for Arriving<B, A> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let frame = this.body.poll_frame(cx);
        let arrival = A::as_ref(this.arrival);
        match &frame {
            Poll::Pending => arrival.waits(),
            Poll::Ready(Some(Ok(frame))) => {
                arrival.came(frame.data_ref().map_or(0, |data| data.remaining() as u64));
            }
            Poll::Ready(_) => arrival.came(0),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How a client takes what is there for it. One that has taken nothing of it for too long is served no more.
pub struct Drain {
    wait: Duration,
    /// Runs while what is there cannot go out, which it nearly always can.
    held: Option<(What, Pin<Box<Sleep>>)>,
}

/// What the client holds up: TLS takes bytes in that it cannot send yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Write,
    Flush,
}

impl Drain {
    pub fn new(wait: Duration) -> Self {
        Self { wait, held: None }
    }

    pub fn watched<T>(&mut self, cx: &mut Context<'_>, what: What, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            // Bytes that went out are proof of a client; that there is nothing to flush is none.
            if what == What::Write || self.held.as_ref().is_some_and(|(held, _)| *held == What::Flush) {
                self.held = None;
            }
            return done;
        }
        let wait = self.wait;
        let (_, timer) = self.held.get_or_insert_with(|| (what, Box::pin(tokio::time::sleep(wait))));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing any more")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_buys_time() {
        let began = Instant::now().checked_sub(Duration::from_secs(60)).expect("a clock that runs for a minute");
        let arrival = Arrival::new(began);
        assert!(arrival.is_late(1000).is_ok(), "nobody waits");
        arrival.since.store(1, Ordering::Relaxed);
        assert_eq!(arrival.is_late(20_000), Err(TooSlow));
        assert!(arrival.is_late(61_000).is_ok());
        arrival.came(50_000);
        assert!(arrival.is_late(20_000).is_ok(), "nobody waits");
        arrival.waits();
        // A minute was waited, for which 20 seconds and 50,000 bytes pay.
        assert!(arrival.is_late(20_000).is_ok());
        assert_eq!(arrival.is_late(9_000), Err(TooSlow));
    }
}
