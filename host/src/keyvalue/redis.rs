//! A store that several hosts share: Redis, with a copy of what this host has seen beside it.
//!
//! One thread talks to Redis. Whatever is asked while it waits for an answer goes out together in the next pipeline, so
//! that a busy host makes few round trips, and counts are exact all the same: every increment gets the total that Redis
//! had after it. While Redis is away this host goes on alone with its copy, and says so; what it counted meanwhile is
//! added when Redis is back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};
use tokio::sync::{mpsc, oneshot};

use super::Trouble;
use super::memory::{MAX_KEY_BYTES, MAX_VALUE_BYTES, Memory, Value};
use crate::redis_link::Address;
use crate::telemetry::{self, Level};

/// Redis answers within a millisecond; one that does not within this is as good as gone.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks whether Redis still is there.
const LOOK: Duration = Duration::from_millis(500);
/// Between two attempts to reach one that is away. A restart takes it a moment, and what hosts do together waits for it.
const RETRY: Duration = Duration::from_millis(200);
/// What was read is answered from the copy for so long. A revoked key works at most this much longer on other hosts.
pub const FRESH: Duration = Duration::from_secs(1);
/// Questions in one pipeline.
const BATCH: usize = 1024;
/// Questions that may wait; past it this host answers from its copy.
const WAITING: usize = 16 * 1024;
/// Tells a Redis that was emptied, by a restart without persistence, from one that was merely away.
const MARK: &str = "mark";

/// Lives as long as the process.
pub struct Redis {
    asked: mpsc::Sender<Asked>,
    pub state: Arc<Connection>,
}

/// How the connection fares, for whoever wants to know.
#[derive(Default)]
pub struct Connection {
    connected: AtomicBool,
    pub lost: AtomicU64,
}

impl Connection {
    pub fn is_up(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }
}

struct Asked {
    store: usize,
    question: Question,
}

enum Question {
    Get { key: String, answer: oneshot::Sender<Option<Value>> },
    Set { key: String, value: Arc<[u8]>, answer: oneshot::Sender<()> },
    Delete { key: String, answer: oneshot::Sender<()> },
    Swap { key: String, seen: Option<Vec<u8>>, value: Vec<u8>, answer: oneshot::Sender<Swapped> },
    Increment { key: String, delta: i64, answer: oneshot::Sender<i64> },
    Keys { answer: oneshot::Sender<Vec<String>> },
}

/// Done, or what is there by now.
type Swapped = Result<(), Option<Vec<u8>>>;

/// Whether the first argument is 1 says whether there was a value, which is the second; the third is the new one.
const SWAP: &str = "local now = redis.call('GET', KEYS[1]) \
     if now ~= (ARGV[1] == '1' and ARGV[2] or false) then return {0, now} end \
     redis.call('SET', KEYS[1], ARGV[3]) return {1, false}";

/// A store as this side sees it.
pub struct Shared {
    pub name: String,
    pub copy: Arc<Memory>,
    /// Redis forgets what is not touched for so long.
    pub forget_after: Option<Duration>,
}

impl Redis {
    /// Returns once it is connected, or has found that it cannot be.
    pub fn start(address: &Address, stores: Vec<Shared>) -> Result<Arc<Self>> {
        let client = address.client()?;
        let (asked, questions) = mpsc::channel(WAITING);
        let state = Arc::<Connection>::default();
        let (ready, wait) = std::sync::mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let worker = Worker { client, stores, questions, state: Arc::clone(&state), owed: HashMap::new(), seen: false };
        std::thread::Builder::new().name("redis".into()).spawn(move || runtime.block_on(worker.run(ready)))?;
        let _ = wait.recv();
        Ok(Arc::new(Self { asked, state }))
    }

    /// None when Redis cannot be asked.
    async fn ask<T>(&self, store: usize, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
        let (answer, wait) = oneshot::channel();
        self.asked.try_send(Asked { store, question: question(answer) }).ok()?;
        wait.await.ok()
    }

    /// `Err` when Redis is away and this host has never seen the key.
    pub async fn get(&self, store: usize, copy: &Memory, key: &str) -> Result<Option<Value>, Trouble> {
        match copy.get_with_age(key) {
            Some((value, age)) if age < FRESH => Ok(Some(value).filter(|value| !is_absent(value))),
            _ => self.look(store, copy, key).await,
        }
    }

    /// The same, whatever was known a moment ago.
    pub async fn look(&self, store: usize, copy: &Memory, key: &str) -> Result<Option<Value>, Trouble> {
        if self.state.is_up() {
            let key = key.to_owned();
            if let Some(value) = self.ask(store, |answer| Question::Get { key, answer }).await {
                return Ok(value);
            }
        }
        match copy.get(key) {
            Some(value) => Ok(Some(value).filter(|value| !is_absent(value))),
            None => Err(Trouble::Away),
        }
    }

    pub async fn set(&self, store: usize, copy: &Memory, key: &str, value: Vec<u8>) -> Result<(), Trouble> {
        let value: Arc<[u8]> = value.into();
        copy.set(key, Value::Bytes(Arc::clone(&value)))?;
        let key = key.to_owned();
        // Unanswered it is owed, and follows when Redis is back.
        let _ = self.ask(store, |answer| Question::Set { key, value, answer }).await;
        Ok(())
    }

    pub async fn delete(&self, store: usize, copy: &Memory, key: &str) -> Result<(), Trouble> {
        copy.delete(key);
        let key = key.to_owned();
        let _ = self.ask(store, |answer| Question::Delete { key, answer }).await;
        Ok(())
    }

    /// Among hosts nobody can swap alone: without Redis nothing is.
    pub async fn swap(
        &self,
        store: usize,
        copy: &Memory,
        key: &str,
        seen: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<Swapped, Trouble> {
        if key.len() > MAX_KEY_BYTES || value.len() > MAX_VALUE_BYTES {
            return Err(Trouble::TooLarge);
        }
        let name = key.to_owned();
        let new: Arc<[u8]> = value.as_slice().into();
        let swapped = self.ask(store, |answer| Question::Swap { key: name, seen, value, answer }).await;
        let swapped = swapped.ok_or(Trouble::NotAlone)?;
        let now = match &swapped {
            Ok(()) => Value::Bytes(new),
            Err(now) => now.as_ref().map_or_else(absent, |now| Value::Bytes(now.as_slice().into())),
        };
        copy.set(key, now)?;
        Ok(swapped)
    }

    pub async fn increment(&self, store: usize, copy: &Memory, key: &str, delta: i64) -> Result<i64, Trouble> {
        let name = key.to_owned();
        match self.ask(store, |answer| Question::Increment { key: name, delta, answer }).await {
            Some(total) => Ok(total),
            None => copy.increment(key, delta),
        }
    }

    pub async fn keys(&self, store: usize, copy: &Memory) -> Result<Vec<String>, Trouble> {
        let known = || copy.keys().into_iter().filter(|key| copy.get(key).is_some_and(|value| !is_absent(&value)));
        match self.ask(store, |answer| Question::Keys { answer }).await {
            Some(mut keys) => {
                keys.sort_unstable();
                Ok(keys)
            }
            None => Ok(known().collect()),
        }
    }
}

/// That Redis has no such key is remembered too, as bytes that nobody can set: one address, everywhere the same.
fn absent() -> Value {
    static ABSENT: std::sync::LazyLock<Arc<[u8]>> = std::sync::LazyLock::new(|| Arc::from(*b"absent"));
    Value::Bytes(Arc::clone(&ABSENT))
}

pub fn is_absent(value: &Value) -> bool {
    match (value, absent()) {
        (Value::Bytes(one), Value::Bytes(other)) => Arc::ptr_eq(one, &other),
        _ => false,
    }
}

/// The thread's own side.
struct Worker {
    client: Client,
    stores: Vec<Shared>,
    questions: mpsc::Receiver<Asked>,
    state: Arc<Connection>,
    /// What this host did while Redis was away: counted up, or put (`None` stands for what the copy holds).
    owed: HashMap<(usize, String), Option<i64>>,
    /// Redis has answered once in this process's life.
    seen: bool,
}

impl Worker {
    async fn run(mut self, ready: std::sync::mpsc::Sender<()>) {
        let mut connection = self.connect().await;
        if connection.is_none() {
            let message = "Redis cannot be reached: this host counts by itself until it can";
            telemetry::line(Level::Warn, message, &[]);
        }
        let _ = ready.send(());
        let mut batch = Vec::new();
        loop {
            match &mut connection {
                Some(up) => {
                    let done = match tokio::time::timeout(LOOK, self.questions.recv_many(&mut batch, BATCH)).await {
                        Ok(0) => return,
                        Ok(_) => self.put(up, &mut batch).await,
                        // Nobody asks: a Redis that has gone is noticed all the same.
                        Err(_) => probe(up).await,
                    };
                    if let Err(error) = done {
                        self.state.connected.store(false, Ordering::Relaxed);
                        self.state.lost.fetch_add(1, Ordering::Relaxed);
                        let error = error.to_string();
                        let message = "Redis is away: limits are per host until it is back";
                        telemetry::line(Level::Warn, message, &[("error", (&error).into())]);
                        connection = None;
                        self.answer_alone(&mut batch);
                    }
                }
                None => {
                    let retry = tokio::time::sleep(RETRY);
                    tokio::pin!(retry);
                    loop {
                        tokio::select! {
                            () = &mut retry => break,
                            count = self.questions.recv_many(&mut batch, BATCH) => {
                                if count == 0 {
                                    return;
                                }
                                self.answer_alone(&mut batch);
                            }
                        }
                    }
                    // Attempts hold up nobody: what is asked meanwhile is answered from the copy.
                    let client = self.client.clone();
                    let attempt = async move { connect(&client).await.ok() };
                    tokio::pin!(attempt);
                    let reached = loop {
                        tokio::select! {
                            reached = &mut attempt => break reached,
                            count = self.questions.recv_many(&mut batch, BATCH) => {
                                if count == 0 {
                                    return;
                                }
                                self.answer_alone(&mut batch);
                            }
                        }
                    };
                    connection = match reached {
                        Some(up) => self.settle(up).await,
                        None => None,
                    };
                }
            }
        }
    }

    async fn connect(&mut self) -> Option<MultiplexedConnection> {
        let up = connect(&self.client).await.ok()?;
        self.settle(up).await
    }

    /// Brings Redis up to what this host knows, and begins to rely on it.
    async fn settle(&mut self, mut up: MultiplexedConnection) -> Option<MultiplexedConnection> {
        match self.make_even(&mut up).await {
            Ok(restored) => {
                if self.seen {
                    let message = "Redis is back: limits are shared again";
                    telemetry::line(Level::Info, message, &[("restored", restored.into())]);
                }
                self.seen = true;
                self.owed.clear();
                self.state.connected.store(true, Ordering::Relaxed);
                Some(up)
            }
            Err(_) => None,
        }
    }

    async fn make_even(&mut self, up: &mut MultiplexedConnection) -> redis::RedisResult<u64> {
        let mark = format!("hybrid-ai:{MARK}");
        let was_there: bool = redis::cmd("EXISTS").arg(&mark).query_async(up).await?;
        let mut pipe = redis::pipe();
        let mut restored = 0;
        if self.seen && !was_there {
            // Emptied: everything this host knows, unless another host was faster.
            for (index, store) in self.stores.iter().enumerate() {
                for key in store.copy.keys() {
                    let Some(value) = store.copy.get(&key).filter(|value| !is_absent(value)) else { continue };
                    restored += 1;
                    pipe.cmd("SET").arg(self.name(index, &key)).arg(value.bytes()).arg("NX");
                    if let Some(life) = store.forget_after {
                        pipe.arg("EX").arg(life.as_secs().max(1));
                    }
                    pipe.ignore();
                }
            }
        } else {
            for ((index, key), owed) in &self.owed {
                restored += 1;
                match (owed, self.stores[*index].copy.get(key)) {
                    (Some(delta), _) => pipe.cmd("INCRBY").arg(self.name(*index, key)).arg(*delta).ignore(),
                    (None, Some(value)) => pipe.cmd("SET").arg(self.name(*index, key)).arg(value.bytes()).ignore(),
                    (None, None) => pipe.cmd("DEL").arg(self.name(*index, key)).ignore(),
                };
            }
        }
        pipe.cmd("SET").arg(&mark).arg("1").ignore();
        pipe.query_async::<()>(up).await?;
        Ok(restored)
    }

    fn name(&self, store: usize, key: &str) -> String {
        format!("hybrid-ai:{}:{key}", self.stores[store].name)
    }

    /// One pipeline for all that is asked. Increments of one key go as one; each gets the total as of its own turn.
    async fn put(&mut self, up: &mut MultiplexedConnection, batch: &mut Vec<Asked>) -> redis::RedisResult<()> {
        let mut pipe = redis::pipe();
        let mut sums: HashMap<(usize, &str), i64> = HashMap::new();
        for Asked { store, question } in batch.iter() {
            match question {
                Question::Increment { key, delta, .. } => *sums.entry((*store, key)).or_default() += delta,
                Question::Get { key, .. } => {
                    pipe.cmd("GET").arg(self.name(*store, key));
                }
                Question::Set { key, value, .. } => {
                    pipe.cmd("SET").arg(self.name(*store, key)).arg(&value[..]);
                }
                Question::Delete { key, .. } => {
                    pipe.cmd("DEL").arg(self.name(*store, key));
                }
                Question::Swap { key, seen, value, .. } => {
                    pipe.cmd("EVAL").arg(SWAP).arg(1).arg(self.name(*store, key));
                    pipe.arg(u8::from(seen.is_some())).arg(seen.as_deref().unwrap_or_default()).arg(&value[..]);
                }
                Question::Keys { .. } => {
                    let pattern = format!("{}*", self.name(*store, ""));
                    pipe.cmd("KEYS").arg(pattern);
                }
            }
        }
        let sums: Vec<((usize, String), i64)> =
            sums.into_iter().map(|((store, key), sum)| ((store, key.to_owned()), sum)).collect();
        for ((store, key), sum) in &sums {
            let name = self.name(*store, key);
            pipe.cmd("INCRBY").arg(&name).arg(*sum);
            if let Some(life) = self.stores[*store].forget_after {
                pipe.cmd("EXPIRE").arg(&name).arg(life.as_secs().max(1)).ignore();
            }
        }
        let answers: Vec<redis::Value> = tokio::time::timeout(PATIENCE, pipe.query_async(up))
            .await
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        let mut answers = answers.into_iter();
        // First those in the order they were asked, then the sums.
        let asked = std::mem::take(batch);
        let (counts, others): (Vec<_>, Vec<_>) =
            asked.into_iter().partition(|asked| matches!(asked.question, Question::Increment { .. }));
        for Asked { store, question } in others {
            let value = answers.next().unwrap_or(redis::Value::Nil);
            self.take(store, question, value);
        }
        let mut before: HashMap<(usize, String), i64> = HashMap::new();
        for ((store, key), sum) in sums {
            let redis::Value::Int(total) = answers.next().unwrap_or(redis::Value::Nil) else { continue };
            // A copy that is full only costs the knowledge of this count when Redis goes.
            let _ = self.stores[store].copy.set(&key, Value::Count(total));
            before.insert((store, key), total - sum);
        }
        for Asked { store, question } in counts {
            let Question::Increment { key, delta, answer } = question else { continue };
            // Not there where the key holds no count; its asker is then answered by the copy.
            if let Some(total) = before.get_mut(&(store, key)) {
                *total += delta;
                let _ = answer.send(*total);
            }
        }
        Ok(())
    }

    fn take(&self, store: usize, question: Question, value: redis::Value) {
        match question {
            Question::Get { key, answer } => {
                let found = match value {
                    redis::Value::BulkString(bytes) => Some(Value::Bytes(bytes.into())),
                    _ => None,
                };
                let _ = self.stores[store].copy.set(&key, found.clone().unwrap_or_else(absent));
                let _ = answer.send(found);
            }
            Question::Keys { answer } => {
                let prefix = self.name(store, "");
                let redis::Value::Array(names) = value else { return };
                let names = names.into_iter().filter_map(|name| match name {
                    redis::Value::BulkString(name) => {
                        String::from_utf8(name).ok()?.strip_prefix(&prefix).map(str::to_owned)
                    }
                    _ => None,
                });
                let _ = answer.send(names.collect());
            }
            Question::Swap { answer, .. } => {
                let redis::Value::Array(parts) = value else { return };
                let swapped = match parts.as_slice() {
                    [redis::Value::Int(1), ..] => Ok(()),
                    [_, redis::Value::BulkString(now)] => Err(Some(now.clone())),
                    _ => Err(None),
                };
                let _ = answer.send(swapped);
            }
            Question::Set { answer, .. } | Question::Delete { answer, .. } => {
                let _ = answer.send(());
            }
            Question::Increment { .. } => {}
        }
    }

    /// Without Redis: counts go on in the copy, everything else is answered by whoever asked, from the copy too.
    fn answer_alone(&mut self, batch: &mut Vec<Asked>) {
        for Asked { store, question } in batch.drain(..) {
            match question {
                Question::Increment { key, delta, answer } => {
                    if let Ok(total) = self.stores[store].copy.increment(&key, delta) {
                        let owed = self.owed.entry((store, key)).or_insert(Some(0));
                        *owed = Some(owed.unwrap_or(0) + delta);
                        let _ = answer.send(total);
                    }
                }
                Question::Set { key, .. } | Question::Delete { key, .. } => {
                    self.owed.insert((store, key), None);
                }
                Question::Get { .. } | Question::Keys { .. } | Question::Swap { .. } => {}
            }
        }
    }
}

async fn probe(up: &mut MultiplexedConnection) -> redis::RedisResult<()> {
    let ping = redis::cmd("PING");
    let answer = tokio::time::timeout(PATIENCE, ping.query_async::<String>(up)).await;
    answer.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    Ok(())
}

async fn connect(client: &Client) -> redis::RedisResult<MultiplexedConnection> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
    client.get_multiplexed_async_connection_with_config(&config).await
}
