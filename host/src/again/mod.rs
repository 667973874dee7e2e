//! `Idempotency-Key`: the same request sent again gets the same answer, and is worked on once.
//!
//! The client says by the key that it may have to ask again, so the work goes on when it leaves. Who asks again while it
//! runs reads along; who comes later gets what was kept. Only what succeeded is kept: after a failure asking again means
//! trying again.

mod shared;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use http::{HeaderName, HeaderValue, Response};
use serde::Deserialize;
use tokio::runtime::Handle;

use crate::answer::Answer;
use crate::beside::{Done, Refused, Visit};
use crate::config::Config;
use crate::error::Refusal;
use crate::flight::{End, Flight};
use crate::held::Budget;
use crate::inside::{Admitted, Kept};
use crate::shelf::{Name, Shelf, name};
use shared::{Shared, Turn};

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
    /// All kept answers together, in memory, and the same in Redis where hosts share them: ten minutes of speech are 28 MB.
    pub bytes: u64,
    /// One of them; larger ones break off.
    pub answer_bytes: u64,
    /// One that other hosts are given, too.
    pub shared_answer_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            keep_s: 86_400,
            bytes: 128 * 1024 * 1024,
            answer_bytes: 64 * 1024 * 1024,
            shared_answer_bytes: 8 * 1024 * 1024,
        }
    }
}

/// Lives as long as the server.
pub struct Again {
    book: Arc<Mutex<Book>>,
    /// Where hosts share what they keep.
    shared: Option<Arc<Shared>>,
}

#[derive(Default)]
struct Book {
    /// What is asked under a name, and who works on it.
    flights: HashMap<Name, (Name, Arc<Flight>)>,
    /// The same of what was answered.
    kept: Shelf<Name>,
}

/// The key of a request, with what it stands for.
#[derive(Clone)]
pub struct Key {
    /// Of the caller's.
    pub name: Name,
    pub print: Name,
}

impl Key {
    pub fn new(caller: &str, key: &HeaderValue, print: Name) -> Result<Self, Refusal> {
        let key = key.as_bytes();
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(Refusal::Wrong("Idempotency-Key", "must have between 1 and 255 characters"));
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
    pub fn new(config: &Config) -> Result<Self> {
        let shared = match config.shared_jobs() {
            Some(address) => Some(Arc::new(Shared::new(address, Handle::current())?)),
            None => None,
        };
        Ok(Self { book: Arc::default(), shared })
    }

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
        // Whether the answer was made elsewhere.
        let elsewhere = Arc::new(AtomicBool::new(false));
        let (reader, begins) = match self.find(key, Duration::from_secs(limits.keep_s)) {
            Err(refusal) => return Err(Refused::of(refusal, admitted)),
            Ok(Found::Kept(kept)) => return Ok(Done::Told(replayed(kept.answer(), &admitted))),
            Ok(Found::Flies(reader)) => (reader, false),
            Ok(Found::Begins(reader, flight)) => {
                let (book, name, print) = (Arc::clone(&self.book), key.name, key.print);
                let (budget, shared, elsewhere) = (budget.clone(), self.shared.clone(), Arc::clone(&elsewhere));
                let (form, id) = (visit.generation.config.form(visit.path.path()), visit.id.clone());
                let most = visit.generation.config.limits.request();
                let key = key.clone();
                visit.desk.tasks.spawn(async move {
                    let turn = match &shared {
                        Some(shared) => shared.turn(&key, most).await,
                        None => Turn::Alone,
                    };
                    let told = |answer| {
                        elsewhere.store(true, Ordering::Relaxed);
                        std::future::ready(answer)
                    };
                    let (end, hold) = match turn {
                        Turn::Alone => (flight.fly(work, limits.answer_bytes, &budget).await, None),
                        Turn::Kept(kept) => {
                            let answer = told(replay(kept.answer()));
                            (flight.fly(answer, limits.answer_bytes, &budget).await, None)
                        }
                        Turn::Refused(refusal) => {
                            let answer = told(refusal.formed(form.as_deref(), &id).map(Answer::Told));
                            (flight.fly(answer, limits.answer_bytes, &budget).await, None)
                        }
                        Turn::Mine(hold) => {
                            let shared = shared.as_deref().expect("it gave the turn");
                            let end = tokio::select! {
                                end = flight.fly(work, limits.answer_bytes, &budget) => end,
                                () = shared.hold(&hold) => unreachable!("it holds as long as it is polled"),
                            };
                            (end, Some((shared, hold)))
                        }
                    };
                    let kept = flight.kept().filter(|kept| end == End::Whole && is_kept(kept));
                    if let Some((shared, hold)) = &hold {
                        shared.keep(hold, kept.as_ref(), &limits).await;
                    }
                    let mut book = book.lock().expect("nobody panics holding it");
                    book.flights.remove(&name);
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
            let logged = !elsewhere.load(Ordering::Relaxed);
            return Ok(if logged { Done::Worked(answer) } else { Done::Told(answer) });
        }
        Ok(Done::Told(replayed(answer, &admitted)))
    }
}

fn replayed(answer: Response<Answer>, admitted: &Admitted) -> Response<Answer> {
    let mut answer = replay(answer);
    admitted.dress(&mut answer);
    answer
}

fn replay(mut answer: Response<Answer>) -> Response<Answer> {
    answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    answer
}

/// A stream that ended in an error has said so in its last event.
fn is_kept(kept: &Kept) -> bool {
    let end = &kept.body[kept.body.len().saturating_sub(4096)..];
    let says = |words: &[u8]| end.windows(words.len()).any(|window| window == words);
    kept.status.is_success() && !(kept.is_events() && (says(b"event: error") || says(b"data: {\"error\"")))
}
