//! Which jobs there are, whose turn it is, and who is told of their changes.

use std::collections::{HashMap, VecDeque};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::record::{Progress, Record, State, now_ms};
use crate::error::Refusal;

#[derive(Default)]
pub struct Book {
    jobs: HashMap<String, Job>,
    /// By hashed `Idempotency-Key`: what it stands for, and the job.
    keys: HashMap<String, (String, String)>,
    /// Callers with jobs that wait, each with theirs: one that sends a thousand does not hold up the others.
    turns: VecDeque<(String, VecDeque<String>)>,
    running: usize,
    bytes: u64,
}

struct Job {
    record: Record,
    /// It is on the disk.
    kept: bool,
    /// Its end is decided, and on its way to the disk.
    ending: bool,
    progress: Option<Progress>,
    cancel: CancellationToken,
    changed: watch::Sender<()>,
}

impl Job {
    fn new(record: Record, kept: bool) -> Self {
        let cancel = CancellationToken::new();
        Self { record, kept, ending: false, progress: None, cancel, changed: watch::Sender::new(()) }
    }
}

/// Whether a job is a new one.
pub enum Find {
    New,
    Same(String, watch::Receiver<()>),
    /// Its key was used for something else.
    Other,
}

impl Book {
    pub fn enter(&mut self, record: Record, limits: &Limits) -> Result<Find, Refusal> {
        if let Some((key, print)) = &record.key {
            let known = self.keys.get(key).and_then(|(print, id)| Some((print, self.jobs.get_key_value(id)?)));
            if let Some((known, (id, job))) = known {
                let same = known == print;
                return Ok(if same { Find::Same(id.clone(), job.changed.subscribe()) } else { Find::Other });
            }
        }
        let mine = self.turns.iter().find(|(caller, _)| *caller == record.caller).map_or(0, |(_, ids)| ids.len());
        if mine >= limits.queued_each {
            return Err(Refusal::TooManyJobs);
        }
        self.insert(record, false);
        Ok(Find::New)
    }

    fn insert(&mut self, record: Record, kept: bool) {
        if let Some((key, print)) = &record.key {
            self.keys.insert(key.clone(), (print.clone(), record.id.clone()));
        }
        self.bytes += record.bytes();
        self.jobs.insert(record.id.clone(), Job::new(record, kept));
    }

    /// A job as an earlier process left it: what ran then waits again.
    pub fn resume(&mut self, mut record: Record) {
        let waits = !record.state.has_ended();
        if waits {
            record.state = State::Queued;
        }
        let (id, caller) = (record.id.clone(), record.caller.clone());
        self.insert(record, true);
        if waits {
            self.wait(id, caller, false);
        }
    }

    /// It is on the disk, and waits for its turn.
    pub fn kept(&mut self, id: &str) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.kept = true;
        job.changed.send_replace(());
        let caller = job.record.caller.clone();
        self.wait(id.to_owned(), caller, false);
    }

    fn wait(&mut self, id: String, caller: String, first: bool) {
        match self.turns.iter_mut().find(|(known, _)| *known == caller) {
            Some((_, ids)) if first => ids.push_front(id),
            Some((_, ids)) => ids.push_back(id),
            None => self.turns.push_back((caller, VecDeque::from([id]))),
        }
    }

    pub fn is_kept(&self, id: &str) -> Option<bool> {
        self.jobs.get(id).map(|job| job.kept)
    }

    pub fn forget(&mut self, id: &str) {
        let Some(job) = self.jobs.remove(id) else { return };
        self.bytes -= job.record.bytes();
        if let Some((key, _)) = &job.record.key
            && self.keys.get(key).is_some_and(|(_, known)| known == id)
        {
            self.keys.remove(key);
        }
        self.leave(id, &job.record.caller);
    }

    /// It waits no longer.
    fn leave(&mut self, id: &str, caller: &str) {
        if let Some((_, ids)) = self.turns.iter_mut().find(|(known, _)| known == caller) {
            ids.retain(|known| known != id);
        }
        self.turns.retain(|(_, ids)| !ids.is_empty());
    }

    /// The next job whose turn it is, begun.
    pub fn begin(&mut self, limits: &Limits) -> Option<(Record, CancellationToken)> {
        if self.running >= limits.running {
            return None;
        }
        loop {
            let (caller, mut ids) = self.turns.pop_front()?;
            let id = ids.pop_front();
            if !ids.is_empty() {
                self.turns.push_back((caller, ids));
            }
            let Some(job) = id.and_then(|id| self.jobs.get_mut(&id)).filter(|job| !job.ending) else { continue };
            self.running += 1;
            job.record.state = State::Running;
            job.record.attempts += 1;
            job.record.started_ms = Some(now_ms().max(job.record.created_ms + 1));
            job.progress = None;
            job.changed.send_replace(());
            return Some((job.record.clone(), job.cancel.clone()));
        }
    }

    /// A place is free again.
    pub fn free(&mut self) {
        self.running -= 1;
    }

    /// It runs no longer and has its turn again.
    pub fn wait_again(&mut self, id: &str) {
        let Some(job) = self.jobs.get_mut(id).filter(|job| !job.ending) else { return };
        job.record.state = State::Queued;
        job.changed.send_replace(());
        let caller = job.record.caller.clone();
        self.wait(id.to_owned(), caller, true);
    }

    pub fn progressed(&mut self, id: &str, done: Option<usize>, bytes: Option<u64>) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let before = job.progress.unwrap_or_default();
        let at_ms = now_ms().max(before.at_ms + 1).max(job.record.started_ms.unwrap_or(0) + 1);
        job.progress =
            Some(Progress { done: done.unwrap_or(before.done), bytes: bytes.unwrap_or(before.bytes), at_ms });
        job.changed.send_replace(());
    }

    /// Decides a job's end, if nobody has: what is to be written of it.
    pub fn decide(&mut self, id: &str, state: State) -> Option<Record> {
        let job = self.jobs.get_mut(id)?;
        if job.ending || job.record.state.has_ended() {
            return None;
        }
        job.ending = true;
        if state == State::Cancelled {
            job.cancel.cancel();
        }
        let mut record = job.record.clone();
        record.state = state;
        let last =
            job.progress.map_or(0, |progress| progress.at_ms).max(record.started_ms.unwrap_or(record.created_ms));
        record.ended_ms = Some(now_ms().max(last + 1));
        self.leave(id, &record.caller);
        Some(record)
    }

    /// The end of a job is on the disk.
    pub fn ended(&mut self, record: Record) {
        let Some(job) = self.jobs.get_mut(&record.id) else { return };
        self.bytes = self.bytes - job.record.bytes() + record.bytes();
        job.record = record;
        job.changed.send_replace(());
    }

    pub fn told(&mut self, id: &str, done: bool) -> Option<Record> {
        let record = &mut self.jobs.get_mut(id)?.record;
        let webhook = record.webhook.as_mut()?;
        webhook.attempts += 1;
        webhook.done = done;
        Some(record.clone())
    }

    /// Takes out what ended before, and names what has waited since before.
    pub fn old(&mut self, before_ms: u64) -> (Vec<String>, Vec<String>) {
        let ids = |old: &dyn Fn(&Record) -> bool| -> Vec<String> {
            self.jobs.values().filter(|job| job.kept && old(&job.record)).map(|job| job.record.id.clone()).collect()
        };
        let gone = ids(&|record| record.ended_ms.is_some_and(|ended| ended < before_ms));
        let stale = ids(&|record| record.state == State::Queued && record.created_ms < before_ms);
        gone.iter().for_each(|id| self.forget(id));
        (gone, stale)
    }

    /// A job that its maker knows of.
    pub fn record(&self, id: &str) -> Option<&Record> {
        self.jobs.get(id).filter(|job| job.kept).map(|job| &job.record)
    }

    pub fn at(&self, id: &str) -> Option<(Record, Option<Progress>)> {
        self.jobs.get(id).map(|job| (job.record.clone(), job.progress))
    }

    pub fn changes(&self, id: &str) -> Option<watch::Receiver<()>> {
        self.jobs.get(id).map(|job| job.changed.subscribe())
    }

    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    pub fn queued(&self) -> usize {
        self.turns.iter().map(|(_, ids)| ids.len()).sum()
    }

    pub fn running(&self) -> usize {
        self.running
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, caller: &str, key: Option<&str>) -> Record {
        Record {
            id: id.into(),
            caller: caller.into(),
            path: "/a".into(),
            state: State::Queued,
            created_ms: 1,
            started_ms: None,
            ended_ms: None,
            attempts: 0,
            items: None,
            key: key.map(|key| (key.to_owned(), "print".to_owned())),
            webhook: None,
            request_bytes: 100,
            answer: None,
        }
    }

    fn enter(book: &mut Book, record: Record) {
        let id = record.id.clone();
        assert!(matches!(book.enter(record, &Limits::default()), Ok(Find::New)));
        book.kept(&id);
    }

    #[test]
    fn callers_take_turns() {
        let mut book = Book::default();
        for (id, caller) in [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")] {
            enter(&mut book, record(id, caller, None));
        }
        let limits = Limits { running: 3, ..Limits::default() };
        let begun: Vec<_> = std::iter::from_fn(|| book.begin(&limits)).map(|(record, _)| record.id).collect();
        assert_eq!(begun, ["a1", "b1", "a2"]);
        assert_eq!((book.running(), book.queued()), (3, 1));
        book.free();
        assert!(book.begin(&limits).is_some() && book.begin(&limits).is_none());
    }

    #[test]
    fn a_key_leads_to_one_job() {
        let mut book = Book::default();
        enter(&mut book, record("1", "a", Some("k")));
        let again = record("2", "a", Some("k"));
        assert!(matches!(book.enter(again.clone(), &Limits::default()), Ok(Find::Same(id, _)) if id == "1"));
        let other = Record { key: Some(("k".into(), "other".into())), ..again.clone() };
        assert!(matches!(book.enter(other, &Limits::default()), Ok(Find::Other)));
        book.forget("1");
        assert!(matches!(book.enter(again, &Limits::default()), Ok(Find::New)));
    }

    #[test]
    fn an_end_is_decided_once_and_its_time_is_its_last() {
        let mut book = Book::default();
        enter(&mut book, record("1", "a", None));
        let (begun, cancel) = book.begin(&Limits::default()).expect("its turn");
        book.progressed("1", Some(1), None);
        let (_, progress) = book.at("1").expect("it is there");
        let cancelled = book.decide("1", State::Cancelled).expect("undecided");
        assert!(cancel.is_cancelled() && book.decide("1", State::Succeeded).is_none());
        assert!(cancelled.ended_ms > Some(progress.expect("some").at_ms));
        assert!(progress.expect("some").at_ms > begun.started_ms.expect("begun"));
        let before = book.bytes();
        book.ended(cancelled);
        assert_eq!(before - book.bytes(), 100);
        let (gone, _) = book.old(u64::MAX);
        assert_eq!((gone.as_slice(), book.bytes()), (&["1".to_owned()][..], 0));
    }

    #[test]
    fn one_caller_fills_only_its_own_share() {
        let mut book = Book::default();
        let limits = Limits { queued_each: 1, ..Limits::default() };
        enter(&mut book, record("1", "a", None));
        assert!(matches!(book.enter(record("2", "a", None), &limits), Err(Refusal::TooManyJobs)));
        assert!(matches!(book.enter(record("3", "b", None), &limits), Ok(Find::New)));
    }
}
