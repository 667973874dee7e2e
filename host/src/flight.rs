//! An answer that several clients wait for: it is made once, and each reads it from its beginning as it comes.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tokio_util::sync::CancellationToken;
use wasmtime_wasi_http::Error;

use crate::answer::Answer;
use crate::held::{Budget, Share};
use crate::inside::{Kept, REPEATABLE, of_the_answer};

/// Lives as long as somebody makes or reads the answer, or keeps it for later.
pub struct Flight {
    state: Mutex<State>,
    /// Told when nobody is left who would read it.
    unwanted: CancellationToken,
    /// Whether it is made for whoever comes later, too.
    goes_on: bool,
}

#[derive(Default)]
struct State {
    head: Option<Arc<Head>>,
    pieces: Vec<Bytes>,
    end: Option<End>,
    readers: usize,
    waiting: Vec<Waker>,
}

/// What an answer begins with.
pub struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// A component says that the same request would be answered the same.
    pub repeatable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Whole,
    Broken,
}

impl Flight {
    pub fn new(goes_on: bool) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), unwanted: CancellationToken::new(), goes_on })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics holding it")
    }

    /// Takes an answer to its end, whoever reads it, unless nobody is left who would.
    pub async fn fly(&self, answer: impl Future<Output = Response<Answer>>, most: u64, budget: &Budget) -> End {
        let take = async {
            let answer = answer.await;
            let (mut parts, mut body) = answer.into_parts();
            let repeatable = parts.headers.remove(REPEATABLE).is_some();
            let headers = of_the_answer(parts.headers);
            self.tell(|state| state.head = Some(Arc::new(Head { status: parts.status, headers, repeatable })));
            if body.size_hint().lower() > most {
                return End::Broken;
            }
            let (mut share, mut bytes) = (Share::default(), 0);
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return End::Broken };
                let Ok(piece) = frame.into_data() else { continue };
                bytes += piece.len();
                if bytes as u64 > most || budget.extend(&mut share, bytes).await.is_err() {
                    return End::Broken;
                }
                self.tell(|state| state.pieces.push(piece));
            }
            End::Whole
        };
        let end = tokio::select! {
            end = take => end,
            () = self.unwanted.cancelled() => End::Broken,
        };
        self.tell(|state| state.end = Some(end));
        end
    }

    fn tell(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// A place among its readers; none when it has been given up.
    pub fn join(self: &Arc<Self>) -> Option<Reader> {
        let mut state = self.state();
        if state.end == Some(End::Broken) || self.unwanted.is_cancelled() {
            return None;
        }
        state.readers += 1;
        drop(state);
        Some(Reader { flight: Arc::clone(self), next: 0 })
    }

    /// The whole of it, when it is whole.
    pub fn kept(&self) -> Option<Kept> {
        let state = self.state();
        let head = state.head.as_ref().filter(|_| state.end == Some(End::Whole))?;
        let body = match state.pieces.as_slice() {
            [one] => one.clone(),
            pieces => pieces.concat().into(),
        };
        Some(Kept { status: head.status, headers: head.headers.clone(), body })
    }

    /// Whether a component says that it would be answered the same again.
    pub fn is_repeatable(&self) -> bool {
        self.state().head.as_ref().is_some_and(|head| head.repeatable && head.status == StatusCode::OK)
    }
}

/// Somebody who reads an answer, at their own pace.
pub struct Reader {
    flight: Arc<Flight>,
    next: usize,
}

impl Reader {
    /// Waits for the answer's beginning; none when it never came.
    pub async fn head(&self) -> Option<Arc<Head>> {
        std::future::poll_fn(|cx| {
            let mut state = self.flight.state();
            match (&state.head, state.end) {
                (Some(head), _) => Poll::Ready(Some(Arc::clone(head))),
                (None, Some(_)) => Poll::Ready(None),
                (None, None) => wait(&mut state, cx),
            }
        })
        .await
    }

    /// The answer as this reader gets it.
    pub fn answer(self, head: &Head) -> Response<Answer> {
        let mut answer = Response::new(Answer::Kept(self.boxed_unsync()));
        *answer.status_mut() = head.status;
        *answer.headers_mut() = head.headers.clone();
        answer
    }
}

fn wait<T>(state: &mut State, cx: &Context<'_>) -> Poll<T> {
    if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
        state.waiting.push(cx.waker().clone());
    }
    Poll::Pending
}

impl http_body::Body for Reader {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let mut state = this.flight.state();
        match (state.pieces.get(this.next), state.end) {
            (Some(piece), _) => {
                this.next += 1;
                Poll::Ready(Some(Ok(Frame::data(piece.clone()))))
            }
            (None, Some(End::Whole)) => Poll::Ready(None),
            (None, Some(End::Broken)) => Poll::Ready(Some(Err(Error::HttpResponseIncomplete))),
            (None, None) => wait(&mut state, cx),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.flight.state();
        state.readers -= 1;
        if state.readers == 0 && state.end.is_none() && !self.flight.goes_on {
            self.flight.unwanted.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    fn answer(text: &'static str) -> Response<Answer> {
        Response::new(Answer::Told(Full::new(Bytes::from_static(text.as_bytes()))))
    }

    #[tokio::test]
    async fn all_read_the_same() {
        let (flight, budget) = (Flight::new(false), Budget::new(1 << 20));
        let readers = [flight.join().expect("it flies"), flight.join().expect("it flies")];
        assert_eq!(flight.fly(async { answer("once") }, 100, &budget).await, End::Whole);
        for reader in readers {
            let head = reader.head().await.expect("a beginning");
            let body = reader.answer(&head).into_body().collect().await.expect("whole").to_bytes();
            assert_eq!(body, "once");
        }
        assert_eq!(flight.kept().expect("whole").body, "once");
    }

    #[tokio::test]
    async fn what_nobody_reads_is_given_up_unless_it_goes_on() {
        let budget = Budget::new(1 << 20);
        let flight = Flight::new(false);
        drop(flight.join());
        assert_eq!(flight.fly(std::future::pending(), 100, &budget).await, End::Broken);
        assert!(flight.join().is_none());
        let flight = Flight::new(true);
        drop(flight.join());
        assert_eq!(flight.fly(async { answer("later") }, 100, &budget).await, End::Whole);
    }

    #[tokio::test]
    async fn what_is_too_large_breaks_off() {
        let flight = Flight::new(true);
        assert_eq!(flight.fly(async { answer("too long") }, 3, &Budget::new(1 << 20)).await, End::Broken);
        assert!(flight.kept().is_none());
    }
}
