//! `Idempotency-Key`: the same request sent again gets the same answer, and is worked on once.
//!
//! The client says by the key that it may have to ask again, so the work goes on when it leaves. Who asks again while it
//! runs reads along; who comes later gets what was kept. Only what succeeded is kept: after a failure asking again means
//! trying again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Response};
use serde::Deserialize;

use crate::beside::{Done, Refused, Visit};
use crate::error::Refusal;
use crate::flight::{End, Flight};
use crate::held::Budget;
use crate::inside::{Admitted, Kept};
use crate::request::Answer;
use crate::shelf::{Name, Shelf, name};

pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// A UUID has 36 characters.
const MAX_KEY_BYTES: usize = 255;

/// How long and how much is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How long the same key gets the same answer.
    pub keep_s: u64,
    /// All kept answers together, in memory: ten minutes of speech are 28 MB.
    pub bytes: u64,
    /// One of them; larger ones break off.
    pub answer_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { keep_s: 86_400, bytes: 128 * 1024 * 1024, answer_bytes: 64 * 1024 * 1024 }
    }
}

/// Lives as long as the server.
#[derive(Default)]
pub struct Again {
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    /// What is asked under a name, and who works on it.
    flights: HashMap<Name, (Name, Arc<Flight>)>,
    /// The same of what was answered.
    kept: Shelf<Name>,
}

/// The key of a request, with what it stands for.
pub struct Key {
    /// Of the caller's.
    pub name: Name,
    pub print: Name,
}

impl Key {
    pub fn new(caller: &str, key: &HeaderValue, print: Name) -> Result<Self, Refusal> {
        let key = key.as_bytes();
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(Refusal::Wrong("`Idempotency-Key` must have between 1 and 255 characters"));
        }
        Ok(Self { name: name(&[caller.as_bytes(), key]), print })
    }
}

/// What there is under a key.
enum Found {
    Kept(Kept),
    Flies(crate::flight::Reader),
    /// It is this request's to make.
    Begins(crate::flight::Reader, Arc<Flight>),
}

impl Again {
    fn find(&self, key: &Key, keep: Duration) -> Result<Found, Refusal> {
        let mut book = self.book.lock().expect("nobody panics holding it");
        if let Some((answer, print)) = book.kept.get(&key.name, keep) {
            return if *print == key.print { Ok(Found::Kept(answer.clone())) } else { Err(Refusal::OtherRequest) };
        }
        if let Some((print, flight)) = book.flights.get(&key.name) {
            if *print != key.print {
                return Err(Refusal::OtherRequest);
            }
            if let Some(reader) = flight.join() {
                return Ok(Found::Flies(reader));
            }
        }
        let flight = Flight::new(true);
        let reader = flight.join().expect("it has just begun");
        book.flights.insert(key.name, (key.print, Arc::clone(&flight)));
        Ok(Found::Begins(reader, flight))
    }

    /// The answer under this key; `work` makes it where nobody has.
    pub async fn answer(
        &self,
        visit: &Visit,
        admitted: Admitted,
        key: &Key,
        budget: &Budget,
        work: impl Future<Output = Response<Answer>> + Send + 'static,
    ) -> Result<Done, Refused> {
        let limits = visit.generation.config.again.clone();
        let (reader, begins) = match self.find(key, Duration::from_secs(limits.keep_s)) {
            Err(refusal) => return Err(Refused::of(refusal, admitted)),
            Ok(Found::Kept(kept)) => return Ok(Done::Told(replayed(kept.answer(), &admitted))),
            Ok(Found::Flies(reader)) => (reader, false),
            Ok(Found::Begins(reader, flight)) => {
                let (book, name, print) = (Arc::clone(&self.book), key.name, key.print);
                let budget = budget.clone();
                visit.desk.tasks.spawn(async move {
                    let end = flight.fly(work, limits.answer_bytes, &budget).await;
                    let mut book = book.lock().expect("nobody panics holding it");
                    book.flights.remove(&name);
                    let kept = flight.kept().filter(|kept| end == End::Whole && is_kept(kept));
                    if let Some(kept) = kept {
                        book.kept.put(name, kept, print, limits.bytes);
                    }
                });
                (reader, true)
            }
        };
        let Some(head) = reader.head().await else { return Err(Refused::of(Refusal::BrokenOff, admitted)) };
        let mut answer = reader.answer(&head);
        if begins {
            admitted.dress(&mut answer);
            return Ok(Done::Worked(answer));
        }
        Ok(Done::Told(replayed(answer, &admitted)))
    }
}

fn replayed(mut answer: Response<Answer>, admitted: &Admitted) -> Response<Answer> {
    answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    admitted.dress(&mut answer);
    answer
}

/// A stream that ended in an error has said so in its last event.
fn is_kept(kept: &Kept) -> bool {
    let end = &kept.body[kept.body.len().saturating_sub(4096)..];
    let says = |words: &[u8]| end.windows(words.len()).any(|window| window == words);
    kept.status.is_success() && !(kept.is_events() && (says(b"event: error") || says(b"data: {\"error\"")))
}
