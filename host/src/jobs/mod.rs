//! Requests that are kept and worked on later: `Prefer: respond-async`, and what lies below `/jobs`.
//!
//! A job is on the disk before its client is told of it, and its end before anybody can see it. What a crash leaves
//! unfinished begins again at the next start; a job that had begun too often by then has failed. So every job that was
//! accepted ends in one final state, once.

mod book;
mod events;
mod record;
mod run;
mod shared;
mod store;
mod webhook;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use anyhow::{Result, bail};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde::Deserialize;
use tokio::sync::watch;

use crate::again::Key;
use crate::answer::Answer;
use crate::beside::{Done, Refused, Visit, json};
use crate::error::Refusal;
use crate::held::{Budget, Held};
use crate::inside::{self, Admitted, Kept};
use crate::keyvalue::file;
use crate::lane::Lanes;
use crate::metrics::{Collect, Counters, Page};
use crate::registry::Registry;
use crate::server::Stop;
use crate::shelf;
use crate::telemetry::{self, Level};
use book::{Book, Find};
use record::{Progress, Record, State, Webhook, now_ms};
use shared::Shared;
use store::{Part, Store};
pub use store::{answer_bytes, read_answer};
pub use webhook::Secret;

pub const BELOW: &str = "/jobs/";
const WEBHOOK: HeaderName = HeaderName::from_static("x-webhook-url");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Whether a path is one of a job's.
pub fn covers(path: &str) -> bool {
    path.starts_with(BELOW)
}

/// Where jobs are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// In the data folder, by each host for itself.
    #[default]
    File,
    /// In the Redis that is the `store`, by all hosts that share it.
    Redis,
}

/// What jobs may take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Off, `Prefer: respond-async` is answered 501.
    pub enabled: bool,
    pub store: Keep,
    /// Shared, a job is taken over by another host when the one that works on it has not been heard of for so long.
    pub lease_ms: u64,
    /// At work at once, on all lanes together: the rest of the places is for those who wait for an answer.
    pub running: usize,
    /// That wait for their turn, of all callers and of one.
    pub queued: usize,
    pub queued_each: usize,
    /// Jobs of any state, each a kilobyte of memory.
    pub kept: usize,
    /// Requests and answers on the disk.
    pub stored_bytes: u64,
    /// The answer of one.
    pub answer_bytes: u64,
    /// How long an answer can be fetched; also how long `Idempotency-Key` gives the same job.
    pub keep_s: u64,
    /// How often the work may begin: it begins again after a crash, and should not cause one again and again.
    pub attempts: u32,
    /// How often a receiver is told of an end, and how long the first wait is; each is three times the last, to an hour.
    pub webhook_attempts: u32,
    pub webhook_retry_ms: u64,
    /// Whether webhooks may lead into our own network.
    pub webhook_private: bool,
}

/// It is renewed every third of it, across a network and a busy machine.
const SHORTEST_LEASE_MS: u64 = 1000;

impl Default for Limits {
    fn default() -> Self {
        Self {
            enabled: true,
            store: Keep::File,
            lease_ms: 15_000,
            running: 16,
            queued: 10_000,
            queued_each: 1000,
            kept: 100_000,
            stored_bytes: 2 * 1024 * 1024 * 1024,
            answer_bytes: 64 * 1024 * 1024,
            keep_s: 86_400,
            attempts: 3,
            webhook_attempts: 8,
            webhook_retry_ms: 5000,
            webhook_private: false,
        }
    }
}

impl Limits {
    pub fn check(&self) -> Result<()> {
        let zero = [("running", self.running as u64), ("attempts", u64::from(self.attempts)), ("keep_s", self.keep_s)];
        if let Some((name, _)) = zero.into_iter().find(|(_, value)| *value == 0) {
            bail!("`jobs.{name}` must be at least 1");
        }
        if self.lease_ms < SHORTEST_LEASE_MS {
            bail!("`jobs.lease_ms` must be at least {SHORTEST_LEASE_MS}");
        }
        Ok(())
    }

    fn keep(&self) -> Duration {
        Duration::from_secs(self.keep_s)
    }
}

/// Lives as long as the server.
pub struct Jobs {
    registry: Arc<Registry>,
    lanes: Lanes,
    stop: Stop,
    budget: Budget,
    state_dir: PathBuf,
    /// Where several hosts keep them together; otherwise the book and the store are used.
    shared: Option<Shared>,
    book: Mutex<Book>,
    store: OnceLock<Store>,
    /// Held while the file is opened.
    opening: tokio::sync::Mutex<()>,
    webhooks: OnceLock<Option<webhook::Sender>>,
    /// Where webhooks wait.
    background: tokio::runtime::Handle,
    ended: Counters,
    told: Counters,
}

impl Collect for Jobs {
    fn collect(&self, page: &mut Page) {
        self.ended.collect(page);
        self.told.collect(page);
        let (queued, running, bytes) = match &self.shared {
            Some(shared) => {
                let counts = shared.counts();
                (counts.queued, counts.running, counts.bytes)
            }
            None => {
                let book = self.book();
                (book.queued(), book.running(), book.bytes())
            }
        };
        page.family("hybrid_jobs", "gauge", "Jobs that have not ended, of all hosts that share them.");
        page.sample("hybrid_jobs", &[("state", "queued")], queued as f64);
        page.sample("hybrid_jobs", &[("state", "running")], running as f64);
        page.family("hybrid_jobs_stored_bytes", "gauge", "Requests and answers of jobs that are kept.");
        page.sample("hybrid_jobs_stored_bytes", &[], bytes as f64);
        if let Some(shared) = &self.shared {
            page.family(
                "hybrid_jobs_redis_connected",
                "gauge",
                "Whether the Redis that jobs are kept in can be reached.",
            );
            page.sample("hybrid_jobs_redis_connected", &[], f64::from(u8::from(shared.is_up())));
        }
    }
}

impl Jobs {
    /// Goes on with what the file holds, where there is one.
    pub fn start(registry: &Arc<Registry>, lanes: &Lanes, stop: &Stop, budget: &Budget) -> Result<Arc<Self>> {
        let config = registry.config();
        let background = tokio::runtime::Handle::current();
        let shared = match config.shared_jobs() {
            Some(address) if config.jobs.enabled => Some(Shared::new(address, background.clone())?),
            _ => None,
        };
        let jobs = Arc::new(Self {
            registry: Arc::clone(registry),
            lanes: lanes.clone(),
            stop: stop.clone(),
            budget: budget.clone(),
            state_dir: config.state_dir.clone(),
            shared,
            book: Mutex::default(),
            store: OnceLock::new(),
            opening: tokio::sync::Mutex::default(),
            webhooks: OnceLock::new(),
            background,
            ended: Counters::new("hybrid_jobs_ended_total", "Jobs by how they ended.", &["state"]),
            told: Counters::new("hybrid_job_webhooks_total", "Tries to tell of a job's end.", &["outcome"]),
        });
        // Scrapes do not keep a server's jobs alive when it has ended.
        registry.metrics.add(Arc::new(Told(Arc::downgrade(&jobs))));
        if jobs.shared.is_some() {
            jobs.share();
            return Ok(jobs);
        }
        if config.jobs.enabled && file::path(&jobs.state_dir, store::NAME).exists() {
            match Store::open(&jobs.state_dir) {
                Ok((store, records)) => Self::resume(&jobs, store, records),
                Err(error) => unavailable(&error),
            }
        }
        let sweeping = Arc::downgrade(&jobs);
        jobs.background.spawn(async move {
            loop {
                let Some(jobs) = sweeping.upgrade() else { return };
                let (pause, stop) = (jobs.limits().keep() / 4, jobs.stop.clone());
                jobs.sweep().await;
                drop(jobs);
                let pause = pause.clamp(Duration::from_millis(250), Duration::from_secs(60));
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.told() => return,
                }
            }
        });
        Ok(jobs)
    }

    fn resume(jobs: &Arc<Self>, store: Store, records: Vec<Record>) {
        let _ = jobs.store.set(store);
        let limits = jobs.limits();
        let (mut tired, mut untold) = (Vec::new(), Vec::new());
        {
            let mut book = jobs.book();
            for record in records {
                if !record.state.has_ended() && record.attempts >= limits.attempts {
                    tired.push(record.id.clone());
                }
                if record.state.has_ended() && record.webhook.as_ref().is_some_and(|webhook| !webhook.done) {
                    untold.push(record.id.clone());
                }
                book.resume(record);
            }
        }
        let weak = Arc::downgrade(jobs);
        jobs.background.spawn(async move {
            let Some(jobs) = weak.upgrade() else { return };
            for id in tired {
                jobs.end_here(&id, State::Failed, &run::lost(&Refusal::Interrupted)).await;
            }
            for id in untold {
                jobs.tell(&id);
            }
            jobs.go_on();
        });
    }

    fn limits(&self) -> Limits {
        self.registry.config().jobs.clone()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nobody panics holding it")
    }

    /// The file, opened when it is first needed.
    async fn store(self: &Arc<Self>) -> Result<&Store, Refusal> {
        if self.store.get().is_none() {
            let _opening = self.opening.lock().await;
            if self.store.get().is_none() {
                let dir = self.state_dir.clone();
                let opened = tokio::task::spawn_blocking(move || Store::open(&dir)).await;
                match opened.map_err(anyhow::Error::from).and_then(|opened| opened) {
                    Ok((store, records)) => Self::resume(self, store, records),
                    Err(error) => {
                        unavailable(&error);
                        return Err(Refusal::NoJobs);
                    }
                }
            }
        }
        self.store.get().ok_or(Refusal::NoJobs)
    }

    /// Whether a request may become a job, before anything of it is read.
    pub fn takes(&self, visit: &Visit) -> Result<(), Refusal> {
        let config = &visit.generation.config;
        if !config.jobs.enabled {
            return Err(Refusal::JobsOff);
        }
        if let Some(url) = visit.headers.get(WEBHOOK) {
            if config.webhook_secret.is_none() {
                let rule = "is not served here: no secret to sign with was set up";
                return Err(Refusal::Wrong("x-webhook-url", rule));
            }
            webhook::check(url.to_str().unwrap_or_default(), config.jobs.webhook_private)?;
        }
        match &self.shared {
            Some(shared) => shared.has_room(&config.jobs),
            None => self.has_room(&config.jobs, 0),
        }
    }

    fn has_room(&self, limits: &Limits, bytes: u64) -> Result<(), Refusal> {
        let book = self.book();
        let full =
            book.queued() >= limits.queued || book.len() >= limits.kept || book.bytes() + bytes > limits.stored_bytes;
        if full { Err(Refusal::QueueFull) } else { Ok(()) }
    }

    /// Keeps a request that was let in, and says where its answer will be.
    pub async fn accept(
        self: &Arc<Self>,
        visit: &Visit,
        admitted: Admitted,
        key: Option<Key>,
        held: Held,
        items: Option<usize>,
    ) -> Result<Done, Refused> {
        match self.accepted(visit, &admitted, key, held, items).await {
            Ok(id) => {
                // Of a job that is kept, its client is told, whatever has happened since.
                let told = self.told(&id).await.ok().flatten();
                let mut answer = told.unwrap_or_else(|| json(StatusCode::ACCEPTED, format!(r#"{{"id":"{id}"}}"#)));
                *answer.status_mut() = StatusCode::ACCEPTED;
                if let Ok(place) = HeaderValue::try_from(format!("{BELOW}{id}")) {
                    answer.headers_mut().insert(header::LOCATION, place);
                }
                answer.headers_mut().insert(APPLIED, HeaderValue::from_static("respond-async"));
                admitted.dress(&mut answer);
                Ok(Done::Told(answer))
            }
            Err(refusal) => Err(Refused::of(refusal, admitted)),
        }
    }

    async fn accepted(
        self: &Arc<Self>,
        visit: &Visit,
        admitted: &Admitted,
        key: Option<Key>,
        held: Held,
        items: Option<usize>,
    ) -> Result<String, Refusal> {
        let limits = &visit.generation.config.jobs;
        let url = visit.headers.get(WEBHOOK).and_then(|url| url.to_str().ok());
        let record = Record {
            id: inside::random_id(),
            caller: admitted.caller.to_string(),
            path: visit.target().to_owned(),
            state: State::Queued,
            created_ms: now_ms(),
            started_ms: None,
            ended_ms: None,
            attempts: 0,
            items,
            key: key.map(|key| (shelf::hex(&key.name), shelf::hex(&key.print))),
            webhook: url.map(|url| Webhook { url: url.to_owned(), attempts: 0, done: false }),
            request_bytes: held.bytes.len() as u64,
            answer: None,
        };
        if let Some(shared) = &self.shared {
            let request = store::request_bytes(&visit.brought(held.bytes));
            return shared.accept(&record, request, limits).await;
        }
        let store = self.store().await?;
        self.has_room(limits, record.request_bytes)?;
        // Its place under its key is taken before it is written, so that two at once become one.
        let found = self.book().enter(record.clone(), limits)?;
        match found {
            Find::Other => Err(Refusal::OtherRequest),
            Find::Same(id, mut changed) => loop {
                match self.book().is_kept(&id) {
                    None => return Err(Refusal::NoJobs),
                    Some(true) => return Ok(id),
                    Some(false) => {}
                }
                changed.changed().await.map_err(|_| Refusal::NoJobs)?;
            },
            Find::New => {
                let id = record.id.clone();
                let guard = Entered { jobs: self, id: &id };
                let request = Part::Put(store::request_bytes(&visit.brought(held.bytes)));
                let written = store.put(record, request, Part::Stays).await;
                std::mem::forget(guard);
                if !written {
                    self.book().forget(&id);
                    return Err(Refusal::NoJobs);
                }
                self.book().kept(&id);
                self.go_on();
                Ok(id)
            }
        }
    }

    /// What is asked about a job.
    pub async fn answer(self: Arc<Self>, visit: &Visit) -> Result<Done, Refused> {
        let admitted = match visit.ask(&visit.path).await {
            Ok(admitted) => admitted,
            Err(answer) => return Ok(Done::Told(answer)),
        };
        match self.about(visit, &admitted).await {
            Ok(mut answer) => {
                admitted.dress(&mut answer);
                Ok(Done::Told(answer))
            }
            Err(refusal) => Err(Refused::of(refusal, admitted)),
        }
    }

    async fn about(self: Arc<Self>, visit: &Visit, admitted: &Admitted) -> Result<Response<Answer>, Refusal> {
        let rest = visit.path.path().strip_prefix(BELOW).unwrap_or_default();
        let (id, part) = rest.split_once('/').unwrap_or((rest, ""));
        let (reads, cancels) = (matches!(visit.method, Method::GET | Method::HEAD), visit.method == Method::DELETE);
        match part {
            "" if !reads && !cancels => return Err(Refusal::Method { allow: "GET, HEAD, DELETE, OPTIONS" }),
            "result" | "events" if !reads => return Err(Refusal::Method { allow: "GET, HEAD, OPTIONS" }),
            _ => {}
        }
        let record = self.known(id).await?;
        let record = record.filter(|record| inside::may_see(&admitted.caller, &record.caller)).ok_or(Refusal::NoJob)?;
        match part {
            "" => {
                if cancels {
                    self.cancel(&record).await?;
                }
                self.told(id).await?.ok_or(Refusal::NoJob)
            }
            "result" if !record.state.has_ended() => Err(Refusal::NotEnded),
            "result" => Ok(self.kept(id).await?.ok_or(Refusal::NoJob)?.answer()),
            "events" => {
                let last = visit.headers.get(LAST_EVENT).and_then(|id| id.to_str().ok()?.trim().parse().ok());
                events::answer(Arc::clone(&self), id.to_owned(), last.unwrap_or(0)).await?.ok_or(Refusal::NoJob)
            }
            _ => Err(Refusal::NoJob),
        }
    }

    /// A job that its maker knows of. Err where it cannot be looked for.
    async fn known(&self, id: &str) -> Result<Option<Record>, Refusal> {
        match &self.shared {
            Some(shared) => Ok(shared.at(id).await?.map(|seen| seen.record)),
            None => Ok(self.book().record(id).cloned()),
        }
    }

    async fn at(&self, id: &str) -> Result<Option<(Record, Option<Progress>)>, Refusal> {
        match &self.shared {
            Some(shared) => Ok(shared.at(id).await?.map(|seen| (seen.record, seen.progress))),
            None => Ok(self.book().at(id)),
        }
    }

    /// A job's answer, from where it lies.
    async fn kept(self: &Arc<Self>, id: &str) -> Result<Option<Kept>, Refusal> {
        if let Some(shared) = &self.shared {
            return shared.answer(id).await;
        }
        let (jobs, id) = (Arc::clone(self), id.to_owned());
        Ok(tokio::task::spawn_blocking(move || jobs.store.get()?.answer(&id)).await.ok().flatten())
    }

    /// The job as its maker sees it.
    async fn text(self: &Arc<Self>, id: &str) -> Result<Option<(Record, String)>, Refusal> {
        let Some((record, progress)) = self.at(id).await? else { return Ok(None) };
        let text = self.text_of(&record, progress).await?;
        Ok(Some((record, text)))
    }

    async fn text_of(self: &Arc<Self>, record: &Record, progress: Option<Progress>) -> Result<String, Refusal> {
        let answer = if record.tells_answer() { self.kept(&record.id).await? } else { None };
        Ok(record.told(progress, answer.as_ref(), self.limits().keep()))
    }

    async fn told(self: &Arc<Self>, id: &str) -> Result<Option<Response<Answer>>, Refusal> {
        let Some((record, text)) = self.text(id).await? else { return Ok(None) };
        let mut answer = json(StatusCode::OK, text);
        if !record.state.has_ended() {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Ok(Some(answer))
    }

    fn changes(&self, id: &str) -> Option<watch::Receiver<()>> {
        match &self.shared {
            Some(shared) => Some(shared.changes(id)),
            None => self.book().changes(id),
        }
    }

    /// The events after one, and whether no more will come.
    async fn events(self: &Arc<Self>, id: &str, last: u64) -> Result<Option<Events>, Refusal> {
        let Some((record, progress)) = self.at(id).await? else { return Ok(None) };
        let mut events = record.events(progress, self.limits().keep());
        if let Some(ended) = record.ended_ms {
            events.push((ended, record.state.name(), self.text_of(&record, progress).await?));
        }
        events.retain(|(number, ..)| *number > last);
        Ok(Some((events, record.state.has_ended())))
    }

    /// Removes what has been kept for long enough.
    async fn sweep(self: &Arc<Self>) {
        let Some(store) = self.store.get() else { return };
        let (old, stale) = self.book().old(now_ms().saturating_sub(self.limits().keep_s.saturating_mul(1000)));
        if !old.is_empty() {
            store.remove(old);
        }
        for id in stale {
            self.end_here(&id, State::Failed, &run::lost(&Refusal::Expired)).await;
        }
    }
}

/// Numbered, with a name and the whole job as text; and whether no more will come.
type Events = (Vec<(u64, &'static str, String)>, bool);

/// A job that was entered and is not written yet: where its client leaves meanwhile, it is as if it had never been.
struct Entered<'a> {
    jobs: &'a Arc<Jobs>,
    id: &'a str,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        // It may be on the disk all the same; nobody was told of it.
        self.jobs.book().forget(self.id);
        if let Some(store) = self.jobs.store.get() {
            store.remove(vec![self.id.to_owned()]);
        }
    }
}

/// Jobs at a scrape, as long as there are any.
struct Told(std::sync::Weak<Jobs>);

impl Collect for Told {
    fn collect(&self, page: &mut Page) {
        if let Some(jobs) = self.0.upgrade() {
            jobs.collect(page);
        }
    }
}

fn unavailable(error: &anyhow::Error) {
    let error = format!("{error:#}");
    telemetry::line(Level::Error, "jobs cannot be kept", &[("error", (&error).into())]);
}
