//! A streamed chat: the wait for its first piece, and the pump that carries the rest to the caller.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use hybrid_guest::types::{Error, Reason, Token};
use spin_sdk::wit_bindgen::{StreamResult, StreamWriter};

use crate::chat;
use crate::clock::{Deadline, sleep};
use crate::error::Fault;
use crate::head::Head;
use crate::incoming::Incoming;
use crate::sse::Answer;

const READ: usize = 16 * 1024;
/// How soon a caller who left while the model was thinking is noticed.
const LOOK_UP: Duration = Duration::from_millis(500);

/// A streamed answer of which something has been said.
pub(crate) struct Opened {
    pub(crate) provider: String,
    tokens: Vec<Token>,
    rest: Option<(Answer, Incoming)>,
    fault: Option<Fault>,
}

/// Reads until the first piece of content. What fails before it can be tried again; what fails later cannot.
pub(crate) async fn open(provider: String, head: &Head, mut incoming: Incoming) -> Result<Opened, Fault> {
    if head.is_json() {
        let answer = chat::completion(&incoming.json().await?)?;
        let tokens = [
            answer.text.filter(|text| !text.is_empty()).map(Token::Text),
            answer.more.map(Token::More),
            // Further choices of an answer that was to be streamed and came whole are not split up again.
            Some(Token::Finished(answer.finish_reason)),
            answer.usage.map(Token::Usage),
        ];
        return Ok(Opened { provider, tokens: tokens.into_iter().flatten().collect(), rest: None, fault: None });
    }
    let mut answer = Answer::default();
    let mut tokens = Vec::new();
    let mut buffer = Vec::with_capacity(READ);
    loop {
        let open;
        (buffer, open) = incoming.more(buffer).await?;
        let mut outcome = answer.feed(&buffer, &mut tokens);
        buffer.clear();
        let ended = !open || answer.is_done();
        if ended && outcome.is_ok() {
            outcome = answer.end(&mut tokens);
        }
        if tokens.is_empty() && outcome.is_ok() && !ended {
            continue;
        }
        if tokens.is_empty() {
            outcome?;
            return Err(Fault::garbage("the model's answer holds nothing"));
        }
        let fault = outcome.err();
        let rest = (fault.is_none() && !ended).then_some((answer, incoming));
        return Ok(Opened { provider, tokens, rest, fault });
    }
}

/// Carries an answer to its reader, until it ends, fails, meets the deadline, or the reader leaves. Returning drops the
/// connection to the upstream.
pub(crate) async fn pump(opened: Opened, mut writer: StreamWriter<Token>, deadline: Deadline, attempts: u32) {
    let Opened { mut tokens, mut rest, mut fault, .. } = opened;
    // Two timers for all pieces: starting one and taking it back costs more than a piece.
    let (mut over, mut look_up) = (pin!(sleep(deadline.left())), pin!(sleep(LOOK_UP)));
    let mut buffer = Vec::with_capacity(READ);
    loop {
        if let Some(fault) = fault.take() {
            tokens.push(Token::Failed(Error { reason: fault.reason, attempts }));
            rest = None;
        }
        if !tokens.is_empty() && !writer.write_all(std::mem::take(&mut tokens)).await.is_empty() {
            return;
        }
        let Some((answer, incoming)) = &mut rest else { return };
        let read = {
            let mut read = pin!(incoming.more(std::mem::take(&mut buffer)));
            loop {
                match next(read.as_mut(), over.as_mut(), look_up.as_mut()).await {
                    Event::Read(read) => break read,
                    Event::Deadline => break Err(Fault { reason: Reason::Timeout, ..Fault::timeout() }),
                    Event::LookUp if !has_reader(&mut writer).await => return,
                    Event::LookUp => look_up.set(sleep(LOOK_UP)),
                }
            }
        };
        let mut ended = true;
        let mut outcome = read.and_then(|(bytes, open)| {
            answer.feed(&bytes, &mut tokens)?;
            ended = !open || answer.is_done();
            buffer = bytes;
            buffer.clear();
            Ok(())
        });
        if ended && outcome.is_ok() {
            outcome = answer.end(&mut tokens);
        }
        fault = outcome.err();
        if ended {
            rest = None;
        }
    }
}

type Bytes = Result<(Vec<u8>, bool), Fault>;

enum Event {
    Read(Bytes),
    Deadline,
    LookUp,
}

async fn next(
    mut read: Pin<&mut impl Future<Output = Bytes>>,
    mut over: Pin<&mut impl Future<Output = ()>>,
    mut look_up: Pin<&mut impl Future<Output = ()>>,
) -> Event {
    poll_fn(|cx| {
        if let Poll::Ready(read) = read.as_mut().poll(cx) {
            return Poll::Ready(Event::Read(read));
        }
        if over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Event::Deadline);
        }
        look_up.as_mut().poll(cx).map(|()| Event::LookUp)
    })
    .await
}

/// Whether anybody still reads. Writing nothing ends at once when nobody does, and is taken back otherwise.
async fn has_reader(writer: &mut StreamWriter<Token>) -> bool {
    let mut nothing = pin!(writer.write(Vec::new()));
    let result = poll_fn(|cx| {
        Poll::Ready(match nothing.as_mut().poll(cx) {
            Poll::Ready((result, _)) => result,
            Poll::Pending => nothing.as_mut().cancel().0,
        })
    });
    result.await != StreamResult::Dropped
}
