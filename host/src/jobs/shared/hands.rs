//! What a host does for the jobs that all share: it takes its turn, says that it is still at work, takes over what others
//! left, tells receivers of ends, and removes what is old.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio_util::sync::CancellationToken;

use super::record::FIELDS;
use super::{AHEAD, Counts, End, Ended, PREFIX, Running, Seen, Shared, eval, millis, record};
use crate::error::Refusal;
use crate::inside::Kept;
use crate::jobs::record::{Answered, Progress, Record, State};
use crate::jobs::{Jobs, Limits, run, store};
use crate::redis_link::{Away, connect};
use crate::telemetry::{self, Level};

/// For so long it is up to who ended a job to tell of it. Its first try is over by then.
pub const TELLING: Duration = Duration::from_secs(30);
/// What is new of running jobs is told this often.
const TICK: Duration = Duration::from_millis(250);
/// Looking at what all have to do.
const ROUND: Duration = Duration::from_secs(1);
/// One wait for a job whose turn it is.
const BLOCK: Duration = Duration::from_secs(1);
/// After a Redis that is away, for which nobody waits.
const PAUSE: Duration = Duration::from_millis(500);
/// Jobs taken over at once.
const TAKEN_OVER: usize = 64;

impl Limits {
    fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}

impl Jobs {
    /// Does its part from now on, until the server is told to stop and what it works on has ended.
    pub fn share(self: &Arc<Self>) {
        self.background.spawn(listen(Arc::downgrade(self)));
        self.background.spawn(take_turns(Arc::downgrade(self)));
        self.background.spawn(tend(Arc::downgrade(self)));
    }

    /// Begins a job whose turn this host was given.
    async fn take(self: &Arc<Self>, shared: &Shared, entry: String, id: String) -> Result<(), Away> {
        // Given again, because Redis forgot for a moment: it goes on.
        if shared.running().get(&id).is_some_and(|running| running.entry == entry) {
            return Ok(());
        }
        if self.stop.is_told() {
            return shared.give_back(&id, "", &entry).await;
        }
        let mut pipe = redis::pipe();
        let begin = eval(&mut pipe, script!("begin")).arg(&entry).arg(&id).arg(&shared.host);
        begin.arg(self.limits().attempts).arg(FIELDS);
        let ((word, holder, fields),): ((String, String, Vec<Option<String>>),) = shared.link.ask(pipe, 0).await?;
        let Some(Seen { record, .. }) = record::read(&fields) else { return Ok(()) };
        let cancel = CancellationToken::new();
        let running = Running {
            entry,
            holder: holder.clone(),
            cancel: cancel.clone(),
            progress: Progress::default(),
            news: false,
        };
        shared.running().insert(id.clone(), running);
        let place = Place { jobs: Arc::clone(self), id, holder };
        match word.as_str() {
            "tired" => {
                self.end_shared(shared, &record, None, State::Failed, &run::lost(&Refusal::Interrupted)).await;
            }
            _ => self.lanes.spawn(move |desk| async move {
                place.jobs.run(&desk, record, cancel).await;
                drop(place);
            }),
        }
        Ok(())
    }

    /// Writes down how a job ended that this host works on, or (`meant`) that is still in that state; however long Redis is
    /// away.
    pub async fn end_shared(
        self: &Arc<Self>,
        shared: &Shared,
        record: &Record,
        meant: Option<State>,
        state: State,
        answer: &Kept,
    ) {
        let holder = if meant.is_some() { Some(String::new()) } else { shared.holder(&record.id) };
        let Some(holder) = holder else { return };
        let end = End {
            state,
            answered: Some(Answered::of(answer)),
            answer: store::answer_bytes(answer),
            tell: record.webhook.is_some(),
        };
        let (jobs, record) = (Arc::clone(self), record.clone());
        // In a task of its own: the lane may end before.
        let written = self.background.spawn(async move {
            let Some(shared) = &jobs.shared else { return };
            loop {
                match shared.finish(&record, &holder, meant, &end, &jobs.limits()).await {
                    Ok(ended) => return jobs.noted(&record, state, ended),
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        });
        let _ = written.await;
    }

    /// Ends a job that nobody wants any more, whoever works on it.
    pub async fn cancel_shared(self: &Arc<Self>, shared: &Shared, record: &Record) -> Result<(), Refusal> {
        let tell = record.webhook.is_some();
        let end = End { state: State::Cancelled, answered: None, answer: Vec::new(), tell };
        let ended =
            shared.finish(record, "", None, &end, &self.limits()).await.map_err(|away| super::no_jobs(&away))?;
        self.noted(record, State::Cancelled, ended);
        Ok(())
    }

    /// Whoever ended a job counts it, and tells of it.
    fn noted(self: &Arc<Self>, record: &Record, state: State, ended: Ended) {
        if ended == Ended::Now {
            self.ended.add(&[state.name()], 1);
            if record.webhook.is_some() {
                self.tell_shared(record.id.clone());
            }
        }
    }

    /// One try to tell the receiver of an end; what comes of it any host sees.
    fn tell_shared(self: &Arc<Self>, id: String) {
        let jobs = Arc::clone(self);
        self.background.spawn(async move {
            let Some(shared) = &jobs.shared else { return };
            let (done, wait) = match jobs.text(&id).await {
                Ok(Some((record, text))) => {
                    tokio::select! {
                        sent = jobs.send_once(&record, &text) => sent,
                        // Another one is asked before long.
                        () = jobs.stop.told() => return,
                    }
                }
                Ok(None) => (true, Duration::ZERO),
                Err(_) => return,
            };
            while shared.told(&id, done, wait).await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
}

impl Shared {
    /// This host does not go on with a job: another may.
    pub async fn release(&self, id: &str) {
        // First, since this host may be given it again at once.
        let Some(running) = self.running().remove(id) else { return };
        // Unheard, it is taken over when its lease has run out.
        let _ = self.give_back(id, &running.holder, &running.entry).await;
    }

    async fn give_back(&self, id: &str, holder: &str, entry: &str) -> Result<(), Away> {
        let mut pipe = redis::pipe();
        eval(&mut pipe, script!("release")).arg(id).arg(holder).arg(entry).arg(AHEAD);
        self.link.ask::<Value>(pipe, 0).await.map(drop)
    }

    fn free(&self, limits: &Limits) -> usize {
        limits.running.saturating_sub(self.running().len())
    }

    /// Gives jobs their turn, and counts.
    async fn deal(&self) -> Result<(), Away> {
        let mut pipe = redis::pipe();
        eval(&mut pipe, script!("deal")).arg(AHEAD);
        let ((queued, running, kept, bytes),): ((usize, usize, usize, u64),) = self.link.ask(pipe, 0).await?;
        *self.counts.lock().expect("nobody panics holding it") = Counts { queued, running, kept, bytes };
        Ok(())
    }

    /// Says that this host still works on these jobs, and stops work on those that it does not hold any more.
    async fn renew(&self, which: impl Fn(&str) -> bool) -> Result<(), Away> {
        let mut pipe = redis::pipe();
        let mut asked = Vec::new();
        for (id, running) in self.running().iter().filter(|(id, _)| which(id)) {
            let Running { entry, holder, .. } = running;
            eval(&mut pipe, script!("renew")).arg(entry).arg(id).arg(&self.host).arg(holder);
            asked.push((id.clone(), running.cancel.clone()));
        }
        if asked.is_empty() {
            return Ok(());
        }
        let answers: Vec<i64> = self.link.ask(pipe, 0).await?;
        for ((_, cancel), answer) in asked.iter().zip(answers) {
            if answer == 0 {
                cancel.cancel();
            }
        }
        Ok(())
    }

    async fn tell_progress(&self) -> Result<(), Away> {
        let mut pipe = redis::pipe();
        for (id, running) in self.running().iter_mut().filter(|(_, running)| running.news) {
            let Progress { done, bytes, .. } = running.progress;
            eval(&mut pipe, script!("progress")).arg(id).arg(&running.holder).arg(done).arg(bytes);
            running.news = false;
        }
        if pipe.is_empty() {
            return Ok(());
        }
        self.link.ask::<Value>(pipe, 0).await.map(drop)
    }

    /// Entries that nobody has said anything of for longer than a lease.
    async fn left_by_others(&self, lease: Duration, most: usize) -> Result<Vec<(String, String)>, Away> {
        let mut pipe = redis::pipe();
        let claim = pipe.cmd("XAUTOCLAIM").arg(format!("{PREFIX}turn")).arg("hosts").arg(&self.host);
        claim.arg(millis(lease)).arg("0-0").arg("COUNT").arg(most);
        let (answer,): (Value,) = self.link.ask(pipe, 0).await?;
        Ok(match answer {
            Value::Array(parts) => parts.get(1).map(entries).unwrap_or_default(),
            _ => Vec::new(),
        })
    }

    /// Jobs that may be there although their clients were told that they are not.
    async fn remove_unwanted(&self) -> Result<(), Away> {
        let ids = std::mem::take(&mut *self.unwanted.lock().expect("nobody panics holding it"));
        if ids.is_empty() {
            return Ok(());
        }
        let mut pipe = redis::pipe();
        for id in &ids {
            eval(&mut pipe, script!("remove")).arg(id);
        }
        let removed = self.link.ask::<Value>(pipe, 0).await;
        if removed.is_err() {
            self.unwanted.lock().expect("nobody panics holding it").extend(ids);
        }
        removed.map(drop)
    }

    async fn due(&self) -> Result<Vec<String>, Away> {
        let mut pipe = redis::pipe();
        eval(&mut pipe, script!("due")).arg(millis(TELLING));
        let (ids,): (Vec<String>,) = self.link.ask(pipe, 0).await?;
        Ok(ids)
    }

    async fn sweep(&self, limits: &Limits) -> Result<Vec<String>, Away> {
        let mut pipe = redis::pipe();
        eval(&mut pipe, script!("sweep")).arg(limits.keep_s.saturating_mul(1000));
        let (stale,): (Vec<String>,) = self.link.ask(pipe, 0).await?;
        Ok(stale)
    }

    fn changed(&self, id: Option<&str>) {
        let mut followed = self.followed.lock().expect("nobody panics holding it");
        followed.retain(|_, readers| readers.receiver_count() > 0);
        for (_, readers) in followed.iter().filter(|(known, _)| id.is_none_or(|id| id == *known)) {
            readers.send_replace(());
        }
    }
}

/// Follows what all hosts tell of jobs. Without it readers ask again after a while.
async fn listen(jobs: Weak<Jobs>) {
    let channel = format!("{PREFIX}changed");
    while let Some(held) = jobs.upgrade() {
        let (Some(shared), stop) = (&held.shared, held.stop.clone()) else { return };
        let client = shared.link.client().clone();
        drop(held);
        let subscribed = async {
            let mut all = client.get_async_pubsub().await?;
            all.subscribe(&channel).await?;
            redis::RedisResult::Ok(all.into_on_message())
        };
        if let Ok(Ok(mut messages)) = tokio::time::timeout(BLOCK * 2, subscribed).await {
            // Something may have been missed.
            let mut heard = Some(None);
            while let Some(id) = heard {
                let Some(held) = jobs.upgrade() else { return };
                if let Some(shared) = &held.shared {
                    shared.changed(id.as_deref());
                    if let Some(id) = &id {
                        // It may have been cancelled; otherwise its lease is asked for again soon.
                        let _ = shared.renew(|known| known == id).await;
                    }
                }
                drop(held);
                heard = tokio::select! {
                    message = messages.next() => message.map(|message| message.get_payload::<String>().ok()),
                    () = stop.told() => return,
                };
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.told() => return,
        }
    }
}

/// Takes jobs whose turn it is, as many as there are places.
async fn take_turns(jobs: Weak<Jobs>) {
    let mut connection = None;
    while let Some(jobs) = jobs.upgrade() {
        let Some(shared) = &jobs.shared else { return };
        if jobs.stop.is_told() {
            return;
        }
        let free = shared.free(&jobs.limits());
        if free == 0 {
            tokio::select! {
                () = shared.freed.notified() => {}
                () = tokio::time::sleep(ROUND) => {}
            }
            continue;
        }
        if read_turns(&jobs, shared, &mut connection, free).await.is_none() {
            connection = None;
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = jobs.stop.told() => {}
            }
        }
    }
}

/// None where Redis is away.
async fn read_turns(
    jobs: &Arc<Jobs>,
    shared: &Shared,
    connection: &mut Option<MultiplexedConnection>,
    free: usize,
) -> Option<()> {
    let up = match connection {
        Some(up) => up,
        none => none.insert(connect(shared.link.client()).await.ok()?),
    };
    shared.deal().await.ok()?;
    let mut read = redis::cmd("XREADGROUP");
    read.arg("GROUP").arg("hosts").arg(&shared.host).arg("COUNT").arg(free).arg("BLOCK").arg(millis(BLOCK));
    read.arg("STREAMS").arg(format!("{PREFIX}turn")).arg(">");
    let answer = tokio::time::timeout(BLOCK * 3, read.query_async::<Value>(up)).await.ok()?.ok()?;
    let Value::Array(streams) = answer else { return Some(()) };
    for stream in &streams {
        let Value::Array(parts) = stream else { continue };
        for (entry, id) in parts.get(1).map(entries).unwrap_or_default() {
            jobs.take(shared, entry, id).await.ok()?;
        }
    }
    Some(())
}

/// Entries of the stream, and the job that each names.
fn entries(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    };
    let entry = |value: &Value| {
        let Value::Array(parts) = value else { return None };
        let [entry, Value::Array(fields)] = parts.as_slice() else { return None };
        Some((text(entry)?, text(fields.get(1)?)?))
    };
    match value {
        Value::Array(values) => values.iter().filter_map(entry).collect(),
        _ => Vec::new(),
    }
}

/// What is due now and then.
struct Clock {
    every: Duration,
    last: Option<Instant>,
}

impl Clock {
    fn new(every: Duration) -> Self {
        Self { every, last: None }
    }

    fn strikes(&mut self) -> bool {
        let strikes = self.last.is_none_or(|last| last.elapsed() >= self.every);
        if strikes {
            self.last = Some(Instant::now());
        }
        strikes
    }
}

async fn tend(jobs: Weak<Jobs>) {
    let Some(limits) = jobs.upgrade().map(|jobs| jobs.limits()) else { return };
    let third = limits.lease() / 3;
    let (mut renewing, mut looking) = (Clock::new(third), Clock::new(ROUND));
    let (mut taking, mut sweeping) =
        (Clock::new(third), Clock::new((limits.keep() / 4).clamp(TICK, Duration::from_secs(60))));
    let mut was_up = None;
    while let Some(jobs) = jobs.upgrade() {
        let Some(shared) = &jobs.shared else { return };
        let limits = jobs.limits();
        let stopping = jobs.stop.is_told();
        if stopping && shared.running().is_empty() {
            return;
        }
        let done = async {
            if renewing.strikes() {
                shared.renew(|_| true).await?;
            }
            shared.tell_progress().await?;
            shared.remove_unwanted().await?;
            if stopping || !looking.strikes() {
                return Ok(());
            }
            shared.deal().await?;
            for id in shared.due().await? {
                jobs.tell_shared(id);
            }
            // After an outage, those who are at work are heard first.
            let settled = shared.link.up_for().is_some_and(|time| time >= limits.lease());
            let free = shared.free(&limits).min(TAKEN_OVER);
            if settled && free > 0 && taking.strikes() {
                for (entry, id) in shared.left_by_others(limits.lease(), free).await? {
                    jobs.take(shared, entry, id).await?;
                }
            }
            if sweeping.strikes() {
                for id in shared.sweep(&limits).await? {
                    if let Ok(Some(Seen { record, .. })) = shared.at(&id).await {
                        let answer = run::lost(&Refusal::Expired);
                        let queued = Some(State::Queued);
                        jobs.end_shared(shared, &record, queued, State::Failed, &answer).await;
                    }
                }
            }
            Ok(())
        };
        let done: Result<(), Away> = done.await;
        let is_up = shared.is_up();
        if was_up != Some(is_up) {
            match (&done, is_up) {
                (Err(away), false) => {
                    let error = away.to_string();
                    let message = "no jobs are taken until Redis is back";
                    telemetry::line(Level::Warn, message, &[("error", (&error).into())]);
                }
                _ if was_up.is_some() => telemetry::line(Level::Info, "Redis is back: jobs are taken again", &[]),
                _ => {}
            }
            was_up = Some(is_up);
        }
        drop(jobs);
        tokio::time::sleep(TICK).await;
    }
}

/// A running job's, free again when it goes.
struct Place {
    jobs: Arc<Jobs>,
    id: String,
    holder: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(shared) = &self.jobs.shared {
            let mut running = shared.running();
            // It may have been given up, and begun here again.
            if running.get(&self.id).is_some_and(|job| job.holder == self.holder) {
                running.remove(&self.id);
            }
            drop(running);
            shared.freed.notify_one();
        }
    }
}
