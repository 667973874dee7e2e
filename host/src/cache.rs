//! Answers kept for who asks the same, where the answer would be the same: exact matches alone, in memory alone.
//!
//! Components say of an answer whether it is repeatable (`inside.rs`, `REPEATABLE`). A key is made of what is asked, of the
//! headers that change what is answered, of who may see it, and of the versions and the configuration that answered:
//! after a swap or a new model table nothing of before is found. Who asks the same while it is being made waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, bail};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;

use crate::beside::{Done, Refused, Visit};
use crate::error::Refusal;
use crate::flight::{End, Flight, Reader};
use crate::held::{Budget, Held};
use crate::inside::{self, Admitted, Brought, Kept};
use crate::metrics::{Collect, Counters, Page};
use crate::request::Whose;
use crate::shelf::{Name, Shelf, fingerprint, name};

const CACHE: HeaderName = HeaderName::from_static("x-cache");
const TTL: HeaderName = HeaderName::from_static("x-cache-ttl");

/// Which requests look for a kept answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    Never,
    /// Those that say `x-cache: use`.
    #[default]
    Asked,
    /// All but those that say `x-cache: no-store`.
    Always,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    #[serde(rename = "use")]
    pub used: Use,
    /// How old an answer may be. `x-cache-ttl` asks for younger ones, in seconds.
    pub ttl_s: u64,
    /// All answers together: ten thousand vectors, or a hundred pictures.
    pub bytes: u64,
    /// One of them. A picture of 1024 × 1024 is 2 MB.
    pub answer_bytes: u64,
    /// Requests that are larger are not looked for: they hold recordings, which nobody sends twice.
    pub request_bytes: u64,
    /// Whether one caller's answer is found by another who asks the same.
    pub shared: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            used: Use::Asked,
            ttl_s: 3600,
            bytes: 128 * 1024 * 1024,
            answer_bytes: 16 * 1024 * 1024,
            request_bytes: 1024 * 1024,
            shared: false,
        }
    }
}

impl Limits {
    pub fn check(&self) -> Result<()> {
        if self.answer_bytes > self.bytes {
            bail!("`cache.answer_bytes` must be at most `cache.bytes`");
        }
        Ok(())
    }

    /// How old an answer may be that a request with these headers looks for; None where it looks for none.
    pub fn wanted(&self, headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
        let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
        let says = match text(CACHE) {
            None => None,
            Some(word) if word.eq_ignore_ascii_case("use") => Some(true),
            Some(word) if word.eq_ignore_ascii_case("no-store") => Some(false),
            Some(_) => return Err(Refusal::Wrong("x-cache", "must be `use` or `no-store`")),
        };
        let younger = match text(TTL).map(str::parse::<u64>) {
            None => u64::MAX,
            Some(Ok(seconds)) => seconds,
            Some(Err(_)) => return Err(Refusal::Wrong("x-cache-ttl", "must be a whole number of seconds")),
        };
        let length = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
        let small = length.is_some_and(|length| length <= self.request_bytes);
        let wanted = match self.used {
            Use::Never => false,
            Use::Asked => says == Some(true),
            Use::Always => says != Some(false),
        };
        Ok((small && wanted).then(|| Duration::from_secs(younger.min(self.ttl_s))))
    }
}

/// Whether a request says something of kept answers, right or wrong.
pub fn concerns(headers: &HeaderMap) -> bool {
    headers.contains_key(CACHE) || headers.contains_key(TTL)
}

/// Lives as long as the server.
pub struct Cache {
    book: Mutex<Book>,
    answers: Counters,
}

#[derive(Default)]
struct Book {
    flights: HashMap<Name, Arc<Flight>>,
    /// By which generation each was answered.
    kept: Shelf<u64>,
    generation: u64,
}

enum Found {
    Kept(Kept),
    Flies(Reader),
    Begins(Reader, Arc<Flight>),
}

impl Default for Cache {
    fn default() -> Self {
        let help = "Answers to requests that looked for a kept one, by whether there was one.";
        Self { book: Mutex::default(), answers: Counters::new("hybrid_cache_answers_total", help, &["outcome"]) }
    }
}

impl Collect for Cache {
    fn collect(&self, page: &mut Page) {
        self.answers.collect(page);
        page.family("hybrid_cache_bytes", "gauge", "What kept answers take up in memory.");
        page.sample("hybrid_cache_bytes", &[], self.book.lock().expect("nobody panics holding it").kept.bytes() as f64);
    }
}

impl Cache {
    fn find(&self, name: &Name, most: Duration) -> Found {
        let mut book = self.book.lock().expect("nobody panics holding it");
        if let Some((answer, _)) = book.kept.get(name, most) {
            return Found::Kept(answer.clone());
        }
        if let Some(reader) = book.flights.get(name).and_then(Flight::join) {
            return Found::Flies(reader);
        }
        let flight = Flight::new(false);
        let reader = flight.join().expect("it has just begun");
        book.flights.insert(*name, Arc::clone(&flight));
        Found::Begins(reader, flight)
    }

    fn ended(&self, name: &Name, flight: &Arc<Flight>, end: End, generation: u64, limits: &Limits) {
        let mut book = self.book.lock().expect("nobody panics holding it");
        if book.flights.get(name).is_some_and(|known| Arc::ptr_eq(known, flight)) {
            book.flights.remove(name);
        }
        // A trial's answers are found by those who get it; what is older than both is found by nobody.
        if generation > book.generation {
            book.generation = generation;
            book.kept.retain(|kept| *kept + 2 > generation);
        }
        if end == End::Whole
            && flight.is_repeatable()
            && let Some(kept) = flight.kept().filter(|kept| kept.body.len() as u64 <= limits.answer_bytes)
        {
            book.kept.put(*name, kept, generation, limits.bytes);
        }
    }

    pub async fn answer(
        self: &Arc<Self>,
        visit: &Visit,
        admitted: Admitted,
        held: Held,
        most: Duration,
        budget: &Budget,
    ) -> Result<Done, Refused> {
        let limits = visit.generation.config.cache.clone();
        let mut brought = visit.brought(held.bytes);
        let name = key(&admitted, &brought, visit.generation.number, limits.shared);
        brought.headers.insert(inside::REPEATABLE, HeaderValue::from_static("ask"));
        let caller = Arc::clone(&admitted.caller);
        let dressed = |outcome: &'static str, mut answer: http::Response<crate::answer::Answer>| {
            self.answers.add(&[outcome], 1);
            answer.headers_mut().insert(CACHE, HeaderValue::from_static(outcome));
            admitted.dress(&mut answer);
            answer
        };
        match self.find(&name, most) {
            Found::Kept(kept) => return Ok(Done::Told(dressed("hit", kept.answer()))),
            Found::Flies(reader) => {
                // What is made by chance is each one's own.
                if let Some(head) = reader.head().await.filter(|head| head.repeatable) {
                    return Ok(Done::Told(dressed("hit", reader.answer(&head))));
                }
            }
            Found::Begins(reader, flight) => {
                let (desk, client, generation) =
                    (Arc::clone(&visit.desk), Arc::clone(&visit.client), Arc::clone(&visit.generation));
                let (cache, budget, most) = (Arc::clone(self), budget.clone(), generation.config.again.answer_bytes);
                visit.desk.tasks.spawn(async move {
                    let number = generation.number;
                    let work =
                        async { inside::bring(&desk, &client, &generation, &caller, brought, Whose::Clients).await };
                    let end = flight.fly(work, most, &budget).await;
                    cache.ended(&name, &flight, end, number, &limits);
                });
                let Some(head) = reader.head().await else { return Err(Refused::of(Refusal::BrokenOff, admitted)) };
                let outcome = if head.repeatable { "miss" } else { "bypass" };
                return Ok(Done::Worked(dressed(outcome, reader.answer(&head))));
            }
        }
        let mut answer =
            inside::bring(&visit.desk, &visit.client, &visit.generation, &admitted.caller, brought, Whose::Clients)
                .await;
        answer.headers_mut().remove(inside::REPEATABLE);
        Ok(Done::Worked(dressed("bypass", answer)))
    }
}

fn key(admitted: &Admitted, brought: &Brought, generation: u64, shared: bool) -> Name {
    let path = brought.path.path_and_query().map_or("/", |path| path.as_str());
    let print = fingerprint(path, &brought.headers, &brought.body);
    let mut headers: Vec<_> = brought
        .headers
        .iter()
        .filter(|(name, _)| {
            !matches!(name.as_str(), "user-agent" | "traceparent" | "tracestate" | "x-request-id" | "content-type")
                && !name.as_str().starts_with("x-stainless-")
        })
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    headers.sort_unstable();
    let generation = generation.to_le_bytes();
    let mut parts: Vec<&[u8]> = vec![&print, &generation];
    parts.push(if shared { b"" } else { admitted.caller.as_bytes() });
    for (name, value) in &headers {
        parts.extend([name.as_bytes(), value]);
    }
    name(&parts)
}
