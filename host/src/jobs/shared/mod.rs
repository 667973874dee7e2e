//! Jobs that several hosts share, in a Redis: any of them takes one, works on one, and tells of one.
//!
//! A job whose turn has come is an entry of a stream, on which the hosts are one group of consumers. Whoever is given it
//! says again and again that it still works on it; of a host that no longer does, another takes it over (`hands.rs`). What
//! is changed, is changed by scripts (`scripts/`), so that every step is whole: an end is written once, by who holds the job.

/// A script, with what all begin with.
macro_rules! script {
    ($name:literal) => {
        concat!(include_str!("scripts/common.lua"), include_str!(concat!("scripts/", $name, ".lua")))
    };
}

mod hands;
mod record;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use redis::{Pipeline, Value};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::record::{Answered, Progress, Record, State};
use super::store;
use crate::error::Refusal;
use crate::inside::{self, Brought, Kept};
use crate::redis_link::{Address, Away, Link};

/// In one slot of a cluster.
const PREFIX: &str = "hybrid-ai:{jobs}:";
/// Jobs whose turn has come and that nobody has taken yet: of so many it is settled who is next.
const AHEAD: usize = 8;
/// What is to be removed by a host that then ended is removed by Redis itself, so much later.
const LATER: Duration = Duration::from_secs(3600);
/// What a record takes up.
const RECORD_BYTES: usize = 1024;

/// Lives as long as the server.
pub struct Shared {
    link: Link,
    /// Who this host is among the consumers; another one in each process.
    host: String,
    running: Mutex<HashMap<String, Running>>,
    /// Jobs whose events somebody reads here.
    followed: Mutex<HashMap<String, watch::Sender<()>>>,
    counts: Mutex<Counts>,
    /// A place has become free.
    freed: Notify,
    /// Jobs that may lie in Redis although nobody was told that they were accepted.
    unwanted: Mutex<Vec<String>>,
}

/// A job that this host works on.
struct Running {
    entry: String,
    holder: String,
    cancel: CancellationToken,
    progress: Progress,
    /// Redis does not know of the progress yet.
    news: bool,
}

/// All hosts' jobs, as of a moment ago.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub queued: usize,
    pub running: usize,
    pub kept: usize,
    pub bytes: u64,
}

/// An end, for whoever writes it down.
pub struct End {
    pub state: State,
    pub answered: Option<Answered>,
    /// Head and body, as `store` writes them.
    pub answer: Vec<u8>,
    /// Somebody is to be told of it: by this host, and after so long by any.
    pub tell: bool,
}

/// Whether an end was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Now,
    /// It had ended, or is somebody else's by now.
    Before,
    Unknown,
}

/// A job, as Redis has it.
pub struct Seen {
    pub record: Record,
    pub progress: Option<Progress>,
}

impl Shared {
    pub fn new(address: &Address, runtime: Handle) -> anyhow::Result<Self> {
        Ok(Self {
            link: Link::new(address.client()?, runtime),
            host: inside::random_id(),
            running: Mutex::default(),
            followed: Mutex::default(),
            counts: Mutex::default(),
            freed: Notify::new(),
            unwanted: Mutex::default(),
        })
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().expect("nobody panics holding it")
    }

    pub fn counts(&self) -> Counts {
        *self.counts.lock().expect("nobody panics holding it")
    }

    pub fn is_up(&self) -> bool {
        self.link.up_for().is_some()
    }

    /// Whether there seems to be room, before anything is read.
    pub fn has_room(&self, limits: &Limits) -> Result<(), Refusal> {
        let counts = self.counts();
        let full = counts.queued >= limits.queued || counts.kept >= limits.kept || counts.bytes >= limits.stored_bytes;
        match (self.is_up(), full) {
            (false, _) => Err(Refusal::NoJobs),
            (true, true) => Err(Refusal::QueueFull),
            (true, false) => Ok(()),
        }
    }

    /// Keeps a job; the id is another's where the same was asked for before.
    pub async fn accept(&self, record: &Record, request: Vec<u8>, limits: &Limits) -> Result<String, Refusal> {
        let id = record.id.as_str();
        // Nobody may wait for it any more when it is done.
        let unsure = Unsure { shared: self, id };
        let bytes = request.len();
        let mut pipe = redis::pipe();
        pipe.cmd("SET").arg(name(id, ":request")).arg(request).arg("PX").arg(life(limits)).ignore();
        let (key, print) = record.key.as_ref().map_or(("", ""), |(key, print)| (key, print));
        eval(&mut pipe, script!("accept"))
            .arg(id)
            .arg(serde_json::to_string(record).expect("text is JSON"))
            .arg(&record.caller)
            .arg(key)
            .arg(print)
            .arg(bytes + RECORD_BYTES)
            .arg(limits.queued)
            .arg(limits.queued_each)
            .arg(limits.kept)
            .arg(limits.stored_bytes)
            .arg(life(limits))
            .arg(AHEAD);
        let ((word, other),): ((String, String),) = self.link.ask(pipe, bytes).await.map_err(|away| no_jobs(&away))?;
        std::mem::forget(unsure);
        match word.as_str() {
            "new" | "same" => Ok(other),
            "other" => Err(Refusal::OtherRequest),
            "yours" => Err(Refusal::TooManyJobs),
            _ => Err(Refusal::QueueFull),
        }
    }

    pub async fn at(&self, id: &str) -> Result<Option<Seen>, Refusal> {
        if !is_id(id) {
            return Ok(None);
        }
        let mut pipe = redis::pipe();
        pipe.cmd("HMGET").arg(name(id, "")).arg(record::FIELDS);
        let (fields,): (Vec<Option<String>>,) = self.link.ask(pipe, 0).await.map_err(|away| no_jobs(&away))?;
        Ok(record::read(&fields))
    }

    pub async fn answer(&self, id: &str) -> Result<Option<Kept>, Refusal> {
        let whole = self.whole(id, ":answer", 0).await.map_err(|away| no_jobs(&away))?;
        Ok(whole.as_ref().and_then(store::read_answer))
    }

    /// What was asked; none where it is gone.
    pub async fn request(&self, id: &str, bytes: u64) -> Result<Option<Brought>, Away> {
        Ok(self.whole(id, ":request", bytes).await?.as_ref().and_then(store::read_request))
    }

    async fn whole(&self, id: &str, part: &str, bytes: u64) -> Result<Option<Bytes>, Away> {
        let mut pipe = redis::pipe();
        pipe.cmd("GET").arg(name(id, part));
        let most = usize::try_from(bytes).unwrap_or(usize::MAX).max(64 * 1024 * 1024);
        let (whole,): (Option<Vec<u8>>,) = self.link.ask(pipe, most).await?;
        Ok(whole.map(Bytes::from))
    }

    /// By what this host holds a job.
    pub fn holder(&self, id: &str) -> Option<String> {
        self.running().get(id).map(|running| running.holder.clone())
    }

    /// Writes down how a job ended. Without a holder it is ended for whoever wants it to be, if it is in the state `meant`.
    pub async fn finish(
        &self,
        record: &Record,
        holder: &str,
        meant: Option<State>,
        end: &End,
        limits: &Limits,
    ) -> Result<Ended, Away> {
        let id = record.id.as_str();
        let mut pipe = redis::pipe();
        if end.answered.is_some() {
            let place = name(id, &format!(":answer:{holder}"));
            pipe.cmd("SET").arg(place).arg(&end.answer).arg("PX").arg(life(limits)).ignore();
        }
        let answered = end.answered.as_ref().map(|answered| serde_json::to_string(answered).expect("text is JSON"));
        eval(&mut pipe, script!("finish"))
            .arg(id)
            .arg(holder)
            .arg(meant.map_or("", State::name))
            .arg(end.state.name())
            .arg(answered.unwrap_or_default())
            .arg(end.answer.len() + RECORD_BYTES)
            .arg(limits.keep_s.saturating_mul(1000))
            .arg(life(limits))
            .arg(AHEAD)
            .arg(if end.tell { hands::TELLING.as_millis().to_string() } else { String::new() })
            .arg(serde_json::to_string(record).expect("text is JSON"));
        let (word,): (String,) = self.link.ask(pipe, end.answer.len()).await?;
        Ok(match word.as_str() {
            "done" => Ended::Now,
            "gone" => Ended::Unknown,
            _ => Ended::Before,
        })
    }

    pub fn progressed(&self, id: &str, done: Option<usize>, bytes: Option<u64>) {
        let mut running = self.running();
        let Some(job) = running.get_mut(id) else { return };
        job.progress.done = done.unwrap_or(job.progress.done);
        job.progress.bytes = bytes.unwrap_or(job.progress.bytes);
        job.news = true;
    }

    /// Told when a job changes, or may have.
    pub fn changes(&self, id: &str) -> watch::Receiver<()> {
        let mut followed = self.followed.lock().expect("nobody panics holding it");
        followed.retain(|_, readers| readers.receiver_count() > 0);
        followed.entry(id.to_owned()).or_default().subscribe()
    }

    /// A receiver was told of an end, or is to be told again after so long.
    pub async fn told(&self, id: &str, done: bool, wait: Duration) -> Result<(), Away> {
        let mut pipe = redis::pipe();
        eval(&mut pipe, script!("told")).arg(id).arg(u8::from(done)).arg(millis(wait));
        self.link.ask::<Value>(pipe, 0).await.map(drop)
    }
}

/// A job that is on its way to Redis: where its client leaves meanwhile, or Redis does not answer, it is to be removed.
struct Unsure<'a> {
    shared: &'a Shared,
    id: &'a str,
}

impl Drop for Unsure<'_> {
    fn drop(&mut self) {
        self.shared.unwanted.lock().expect("nobody panics holding it").push(self.id.to_owned());
    }
}

fn name(id: &str, part: &str) -> String {
    format!("{PREFIX}job:{id}{part}")
}

fn eval<'a>(pipe: &'a mut Pipeline, script: &str) -> &'a mut Pipeline {
    pipe.cmd("EVAL").arg(script).arg(1).arg(PREFIX)
}

/// Ids are part of names; ours are plain.
fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// For how long Redis keeps what nobody removes.
fn life(limits: &Limits) -> u64 {
    limits.keep_s.saturating_mul(2000).saturating_add(millis(LATER)).min(i64::MAX as u64 / 4)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// That Redis is gone is said once (`hands.rs`), and not for each who asks.
fn no_jobs(away: &Away) -> Refusal {
    if let Away::Refused(_) = away {
        super::unavailable(&anyhow::anyhow!("{away}"));
    }
    Refusal::NoJobs
}
