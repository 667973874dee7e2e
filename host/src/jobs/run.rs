//! The work of jobs: whose turn it is begins on the lane that has least to do, and its end is written once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use tokio_util::sync::CancellationToken;

use super::record::{Answered, Record, State, state_of};
use super::store::{self, Part};
use super::{Jobs, webhook};
use crate::batch;
use crate::error::Refusal;
use crate::held::Share;
use crate::inside::{self, Brought, Kept, Lost};
use crate::request::{Desk, Whose};
use crate::telemetry::{self, Level};

/// Who the log says is the client of work that nobody waits for.
const NOBODY: &str = "127.0.0.1:0";
/// An answer's growth is told this often.
const TOLD_EVERY: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A host's own words as a job's answer.
pub fn lost(refusal: &Refusal) -> Kept {
    let json = HeaderValue::from_static("application/json");
    Kept {
        status: refusal.status(),
        headers: HeaderMap::from_iter([(header::CONTENT_TYPE, json)]),
        body: Bytes::from(refusal.body()),
    }
}

/// What work came to.
enum Outcome {
    Answered(Kept),
    Lost(Lost),
    Cancelled,
    /// Its request cannot be read.
    Gone,
}

impl Jobs {
    /// Begins what may run.
    pub fn go_on(self: &Arc<Self>) {
        let limits = self.limits();
        while !self.stop.is_told() {
            let mut book = self.book();
            let Some((record, cancel)) = book.begin(&limits) else { return };
            if let Some(store) = self.store.get() {
                store.note(record.clone());
            }
            drop(book);
            let jobs = Arc::clone(self);
            self.lanes.spawn(move |desk| async move {
                let _place = Place(&jobs);
                jobs.run(&desk, record, cancel).await;
            });
        }
    }

    pub async fn run(self: &Arc<Self>, desk: &Arc<Desk>, record: Record, cancel: CancellationToken) {
        let outcome = tokio::select! {
            outcome = self.work(desk, &record) => outcome,
            () = cancel.cancelled() => Outcome::Cancelled,
        };
        let failed = match outcome {
            Outcome::Answered(kept) => return self.end(&record, state_of(kept.status), kept).await,
            // Whoever cancelled writes it down.
            Outcome::Cancelled => return,
            // It begins again with the next process, or with another host.
            Outcome::Lost(_) if self.stop.is_told() => return self.leave(&record.id).await,
            Outcome::Lost(Lost::AskAgain) if record.attempts < self.limits().attempts => {
                return self.wait_again(&record.id).await;
            }
            Outcome::Lost(Lost::AskAgain) | Outcome::Gone => Refusal::Interrupted,
            Outcome::Lost(Lost::BrokenOff) => Refusal::BrokenOff,
            Outcome::Lost(Lost::TooLarge) => Refusal::AnswerTooLarge,
        };
        self.end(&record, State::Failed, lost(&failed)).await;
    }

    async fn wait_again(&self, id: &str) {
        match &self.shared {
            Some(shared) => shared.release(id).await,
            None => self.book().wait_again(id),
        }
    }

    /// The server ends before the work does. In a file it is written already that it had begun.
    async fn leave(&self, id: &str) {
        if let Some(shared) = &self.shared {
            shared.release(id).await;
        }
    }

    fn progressed(&self, id: &str, done: Option<usize>, bytes: Option<u64>) {
        match &self.shared {
            Some(shared) => shared.progressed(id, done, bytes),
            None => self.book().progressed(id, done, bytes),
        }
    }

    /// What was asked; it waits for a Redis that is away.
    async fn request(self: &Arc<Self>, record: &Record) -> Option<Brought> {
        if let Some(shared) = &self.shared {
            loop {
                match shared.request(&record.id, record.request_bytes).await {
                    Ok(request) => return request,
                    Err(_) => tokio::time::sleep(TOLD_EVERY).await,
                }
            }
        }
        let (jobs, id) = (Arc::clone(self), record.id.clone());
        tokio::task::spawn_blocking(move || jobs.store.get()?.request(&id)).await.ok().flatten()
    }

    async fn work(self: &Arc<Self>, desk: &Arc<Desk>, record: &Record) -> Outcome {
        // It may wait for its share of memory as long as others need theirs.
        let mut share = Share::default();
        let size = usize::try_from(record.request_bytes).unwrap_or(usize::MAX);
        while self.budget.extend(&mut share, size).await.is_err() {}
        let Some(brought) = self.request(record).await else { return Outcome::Gone };
        let client: Arc<str> = NOBODY.into();
        let caller: Arc<str> = record.caller.as_str().into();
        let config = desk.registry.config();
        let most = config.jobs.answer_bytes;
        let answer = match record.items {
            Some(_) => {
                let done = |done| self.progressed(&record.id, Some(done), None);
                batch::answer(&self.lanes, &client, &caller, &brought, &config.batch, done).await
            }
            None => {
                let generation = desk.registry.pick(&brought.headers, &client);
                inside::bring(desk, &client, &generation, &caller, brought, Whose::Nobodys).await
            }
        };
        let mut told = Instant::now();
        let seen = |bytes| {
            if told.elapsed() >= TOLD_EVERY {
                told = Instant::now();
                self.progressed(&record.id, None, Some(bytes));
            }
        };
        match inside::keep(answer, most, seen).await {
            Ok(kept) => Outcome::Answered(kept),
            Err(lost) => Outcome::Lost(lost),
        }
    }

    /// Writes down how a job ended, unless that was decided before.
    pub async fn end(self: &Arc<Self>, record: &Record, state: State, answer: Kept) {
        match &self.shared {
            Some(shared) => self.end_shared(shared, record, None, state, &answer).await,
            None => self.end_here(&record.id, state, &answer).await,
        }
    }

    pub async fn end_here(self: &Arc<Self>, id: &str, state: State, answer: &Kept) {
        let Some(mut record) = self.book().decide(id, state) else { return };
        record.answer = Some(Answered::of(answer));
        self.write_end(record, Part::Put(store::answer_bytes(answer))).await;
    }

    /// Ends a job that nobody wants any more; what runs of it is dropped, with every call upstream.
    pub async fn cancel(self: &Arc<Self>, record: &Record) -> Result<(), Refusal> {
        if let Some(shared) = &self.shared {
            return self.cancel_shared(shared, record).await;
        }
        self.cancel_here(&record.id).await;
        Ok(())
    }

    async fn cancel_here(self: &Arc<Self>, id: &str) {
        let decided = self.book().decide(id, State::Cancelled);
        if let Some(record) = decided {
            self.write_end(record, Part::Goes).await;
            return;
        }
        // Its end is on its way to the disk: what is told next should be that.
        let Some(mut changed) = self.changes(id) else { return };
        while self.book().record(id).is_some_and(|record| !record.state.has_ended()) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// In a task of its own: who asked for it may leave.
    async fn write_end(self: &Arc<Self>, record: Record, answer: Part) {
        let jobs = Arc::clone(self);
        let written = tokio::spawn(async move {
            let Some(store) = jobs.store.get() else { return };
            let mut answer = answer;
            // A disk that is full for a moment should not lose an end; the next start would do the work again.
            for wait in [1, 5, 30] {
                let part = std::mem::replace(&mut answer, Part::Stays);
                let again = match &part {
                    Part::Put(bytes) => Part::Put(bytes.clone()),
                    Part::Goes => Part::Goes,
                    Part::Stays => Part::Stays,
                };
                if store.put(record.clone(), Part::Goes, part).await {
                    let id = record.id.clone();
                    jobs.ended.add(&[record.state.name()], 1);
                    jobs.book().ended(record);
                    jobs.tell(&id);
                    return;
                }
                answer = again;
                tokio::time::sleep(Duration::from_secs(wait)).await;
            }
        });
        let _ = written.await;
    }

    /// Tells the receiver of a job's end, until it is taken.
    pub fn tell(self: &Arc<Self>, id: &str) {
        let waits = |record: &&Record| record.webhook.as_ref().is_some_and(|webhook| !webhook.done);
        if self.book().record(id).filter(waits).is_none() {
            return;
        }
        let (weak, id, stop) = (Arc::downgrade(self), id.to_owned(), self.stop.clone());
        self.background.spawn(async move {
            loop {
                let Some(jobs) = weak.upgrade() else { return };
                let told = tokio::select! {
                    told = jobs.tell_once(&id) => told,
                    () = stop.told() => return,
                };
                drop(jobs);
                let Some(wait) = told else { return };
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stop.told() => return,
                }
            }
        });
    }

    /// One try; how long to wait for the next, where there is to be one.
    async fn tell_once(self: &Arc<Self>, id: &str) -> Option<Duration> {
        let (record, text) = self.text(id).await.ok().flatten()?;
        let (done, wait) = self.send_once(&record, &text).await;
        let record = self.book().told(id, done);
        if let (Some(record), Some(store)) = (record, self.store.get()) {
            store.note(record);
        }
        (!done).then_some(wait)
    }

    /// Sends once what is said of a job's end: whether that was the last time, and how long to wait for the next.
    pub async fn send_once(&self, record: &Record, text: &str) -> (bool, Duration) {
        let Some(target) = record.webhook.as_ref().filter(|target| !target.done) else { return (true, Duration::ZERO) };
        let (id, config) = (record.id.as_str(), self.registry.config());
        let sender = self.webhooks.get_or_init(|| {
            webhook::Sender::new(&config.limits, config.jobs.webhook_private)
                .map_err(|error| super::unavailable(&error))
                .ok()
        });
        let body = format!(
            r#"{{"type":"job.{}","timestamp":"{}","data":{text}}}"#,
            record.state.name(),
            telemetry::timestamp()
        );
        let sent = match (sender, &config.webhook_secret) {
            (Some(sender), Some(secret)) => sender.send(secret, &target.url, id, body).await,
            _ => Err(anyhow::anyhow!("no secret is set up")),
        };
        self.told.add(&[if sent.is_ok() { "taken" } else { "not taken" }], 1);
        let attempts = target.attempts + 1;
        let last = attempts >= config.jobs.webhook_attempts;
        if let Err(error) = &sent {
            let (error, left) =
                (format!("{error:#}"), u64::from(config.jobs.webhook_attempts.saturating_sub(attempts)));
            let said: &[(&str, telemetry::Value<'_>)] =
                &[("job", id.into()), ("error", (&error).into()), ("attempts_left", left.into())];
            telemetry::line(Level::Warn, "a webhook was not taken", said);
        }
        let first = Duration::from_millis(config.jobs.webhook_retry_ms);
        (sent.is_ok() || last, first.saturating_mul(3_u32.saturating_pow(attempts - 1)).min(LONGEST_WAIT))
    }
}

/// A running job's, given to the next when it goes.
struct Place<'a>(&'a Arc<Jobs>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.book().free();
        self.0.go_on();
    }
}
