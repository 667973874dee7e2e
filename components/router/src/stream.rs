//! Answers that come piece by piece, as server-sent events.
//!
//! The status waits for the first piece of content: until then another model can still be asked, and a failure has its
//! status. Only where that takes longer than people in between wait for a first byte (`stream_keep_alive_ms`), the
//! answer begins with a comment: other models can still be asked then, a failure comes as an event. After the first
//! piece nobody else is asked, and a failure is an event that ends the answer, without the word that says it is whole.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::Poll;

use hybrid_guest::settings;
use hybrid_guest::types::{Error, Served, Token, Usage};
use spin_sdk::wasip3::clocks::monotonic_clock;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields};
use spin_sdk::wasip3::wit_bindgen::{FutureWriter, StreamReader, StreamResult, StreamWriter, spawn};
use spin_sdk::wasip3::{wit_future, wit_stream};

use crate::answer::{Answer, counted};
use crate::bindings::hybrid::llm::llm::AnswerTokens;
use crate::refusal::Refusal;

/// Tokens come one by one or a few at a time.
const TOKENS_AT_ONCE: usize = 16;
/// Proxies in between end what is silent for 30 to 100 s; servers of models comment as often.
const KEEP_ALIVE_MS: u64 = 15_000;
const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// How the pieces of an answer are written.
pub(crate) trait Dialect: 'static {
    /// Told before any piece.
    fn served(&mut self, served: Served);
    fn text(&mut self, text: &str, out: &mut Vec<u8>);
    /// Something else than text, in the form of OpenAI's `delta`.
    fn more(&mut self, delta: &str, out: &mut Vec<u8>);
    /// A piece of one of several choices, in the form of OpenAI's.
    fn choice(&mut self, choice: &str, out: &mut Vec<u8>);
    /// The answer is whole.
    fn done(&mut self, finish_reason: &str, usage: Option<&Usage>, out: &mut Vec<u8>);
    /// The answer will not become whole.
    fn failed(&mut self, refusal: &Refusal, out: &mut Vec<u8>);
}

/// Where the answer's cost goes once it is known.
type Cost = FutureWriter<Result<Option<Fields>, ErrorCode>>;
type Asked = Pin<Box<dyn Future<Output = Result<AnswerTokens, Error>>>>;

/// Waits for the first piece, and answers with all of them.
pub(crate) async fn answer(
    asked: impl Future<Output = Result<AnswerTokens, Error>> + 'static,
    mut dialect: impl Dialect,
) -> Result<Answer, Refusal> {
    let mut asked: Asked = Box::pin(asked);
    let first = or_timer(asked.as_mut(), pin!(keep_alive())).await;
    let (to, from) = wit_stream::new();
    let (cost, trailers) = wit_future::new(|| Ok(None));
    let answer = Answer::stream("text/event-stream", from).with("cache-control", "no-cache").followed_by(trailers);
    let Some(first) = first else {
        spawn(late(asked, dialect, to, cost));
        return Ok(answer);
    };
    let AnswerTokens { tokens, served } = first?;
    let answer = answer.by(&served);
    dialect.served(served);
    spawn(events(tokens, dialect, to, cost));
    Ok(answer)
}

/// What has begun without a first piece.
async fn late(mut asked: Asked, mut dialect: impl Dialect, mut to: StreamWriter<u8>, cost: Cost) {
    loop {
        // What comes back unsent, nobody wants; who is asked is told by our leaving.
        if !to.write_all(KEEP_ALIVE.to_vec()).await.is_empty() {
            return;
        }
        match or_timer(asked.as_mut(), pin!(keep_alive())).await {
            None => {}
            Some(Ok(AnswerTokens { tokens, served })) => {
                dialect.served(served);
                return events(tokens, dialect, to, cost).await;
            }
            Some(Err(error)) => return fail(error.into(), &mut dialect, Vec::new(), to).await,
        }
    }
}

async fn fail(refusal: Refusal, dialect: &mut impl Dialect, mut out: Vec<u8>, mut to: StreamWriter<u8>) {
    crate::tell(&refusal);
    dialect.failed(&refusal, &mut out);
    to.write_all(out).await;
}

/// Tokens as events, as they come. The last one tells that the answer is whole, or what went wrong.
async fn events(mut tokens: StreamReader<Token>, mut dialect: impl Dialect, mut to: StreamWriter<u8>, cost: Cost) {
    let (mut finished, mut usage) = (None, None);
    // One timer for many tokens: each costs a call into the runtime.
    let (mut tick, mut quiet) = (pin!(keep_alive()), false);
    loop {
        let (result, batch) = {
            let mut read = pin!(tokens.read(Vec::with_capacity(TOKENS_AT_ONCE)));
            loop {
                if let Some(read) = or_timer(read.as_mut(), tick.as_mut()).await {
                    break read;
                }
                tick.set(keep_alive());
                if std::mem::replace(&mut quiet, true) && !to.write_all(KEEP_ALIVE.to_vec()).await.is_empty() {
                    return;
                }
            }
        };
        quiet = false;
        let mut out = Vec::new();
        for token in batch {
            match token {
                Token::Text(text) => dialect.text(&text, &mut out),
                Token::More(delta) => dialect.more(&delta, &mut out),
                Token::Choice(choice) => dialect.choice(&choice, &mut out),
                Token::Finished(reason) => finished = Some(reason),
                Token::Usage(counted) => usage = Some(counted),
                Token::Failed(error) => return fail(error.into(), &mut dialect, out, to).await,
            }
        }
        let over = !matches!(result, StreamResult::Complete(_));
        if over {
            match &finished {
                Some(reason) => dialect.done(reason, usage.as_ref(), &mut out),
                None => return fail(Refusal::useless("the model's answer broke off"), &mut dialect, out, to).await,
            }
        }
        // The client may have gone: then the model is told by our dropping its tokens.
        let gone = !out.is_empty() && !to.write_all(out).await.is_empty();
        if over || gone {
            // Whoever counts reads it after the body; who has left is not waited for.
            if let (Some(usage), false) = (&usage, gone) {
                drop(to);
                let _ = cost.write(Ok(counted(usage))).await;
            }
            return;
        }
    }
}

/// What `work` gives, or none when the timer ends first; the timer only starts when there is something to wait for.
async fn or_timer<T>(
    mut work: Pin<&mut (impl Future<Output = T> + ?Sized)>,
    mut timer: Pin<&mut impl Future<Output = ()>>,
) -> Option<T> {
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
    })
    .await
}

async fn keep_alive() {
    static MILLIS: OnceLock<u64> = OnceLock::new();
    let millis = *MILLIS.get_or_init(|| settings::parsed("stream_keep_alive_ms", KEEP_ALIVE_MS).max(1));
    monotonic_clock::wait_for(millis.saturating_mul(1_000_000)).await;
}

/// The next event. `data` is one line.
pub(crate) fn event(name: Option<&str>, data: &[u8], out: &mut Vec<u8>) {
    if let Some(name) = name {
        out.extend_from_slice(format!("event: {name}\n").as_bytes());
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

/// JSON on one line: an event's data ends at a line's end, which inside JSON means nothing.
pub(crate) fn one_line(json: &str) -> std::borrow::Cow<'_, str> {
    if json.contains(['\r', '\n']) { json.replace(['\r', '\n'], " ").into() } else { json.into() }
}
