//! Who has used what: requests, errors, tokens, pictures and seconds of audio for each key, capability, model and day.
//! Counts only.
//!
//! A lane counts in a table of its own, which nobody else touches but once a second: then what is new goes to the store
//! `usage`, where it lasts as long as the place in which stores are kept, and where several hosts add up. A crash loses
//! that second, and with a file the one by which it is written behind; an end in order loses nothing (`main`).

mod ask;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use futures::future::join_all;

use crate::keyvalue::{Store, Stores, Trouble};
use crate::telemetry::{self, Level};
use crate::told::{OTHER, Work};

pub use ask::Filter;

/// The store that counts are kept in: `DAY\tKEY\tCAPABILITY\tMODEL\tFIELD` → a count.
const STORE: &str = "usage";
/// What is counted, as it is kept.
const FIELDS: [&str; 6] = ["requests", "errors", "prompt_tokens", "completion_tokens", "pictures", "audio_ms"];
/// Rows of one day, and of one lane. What is more goes to `other`.
const MAX_ROWS: usize = 1000;
/// Rows for what is `other`, one for each capability.
const MORE_ROWS: usize = 50;
/// A row that was idle for so many seconds leaves its lane.
const IDLE_ROUNDS: u32 = 600;
const ROUND: Duration = Duration::from_secs(1);
/// A year and some weeks, so that a month can be held against the one a year before.
const KEPT_DAYS: u64 = 400;

type Counts = [u64; FIELDS.len()];

/// Lives as long as the process.
pub struct Usage {
    lanes: Box<[Lane]>,
    stores: Arc<Stores>,
    /// Held while counts are on their way from the lanes to the store: who asks waits for them.
    today: tokio::sync::Mutex<Today>,
}

/// On cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Lane(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// By key, capability and model, with tabs between.
    rows: HashMap<Box<str>, Row>,
    /// Where a row's name is put together, so that a known one costs no allocation.
    name: String,
}

#[derive(Default)]
struct Row {
    counts: Counts,
    idle: u32,
}

/// The day as the store knows it.
#[derive(Default)]
struct Today {
    day: String,
    rows: HashSet<String>,
    /// The log was told that the store takes no more.
    told_full: bool,
}

impl Usage {
    /// Counts, and writes what is counted for as long as somebody holds it.
    pub fn start(lanes: usize, stores: Arc<Stores>) -> Result<Arc<Self>> {
        let usage = Arc::new(Self::new(lanes, stores));
        let weak = Arc::downgrade(&usage);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new().name("usage".into()).spawn(move || runtime.block_on(settle_for_ever(&weak)))?;
        Ok(usage)
    }

    fn new(lanes: usize, stores: Arc<Stores>) -> Self {
        Self { lanes: (0..lanes).map(|_| Lane::default()).collect(), stores, today: tokio::sync::Mutex::default() }
    }

    pub fn count(&self, lane: usize, work: &Work<'_>, failed: bool) {
        let model = if work.model.is_empty() { work.asked } else { work.model };
        let counts = [1, u64::from(failed), work.input_tokens, work.output_tokens, work.pictures, work.audio_ms];
        self.lanes[lane].0.lock().expect("nobody panics holding it").add([work.key, work.capability, model], counts);
    }

    /// Brings everything counted so far to the store.
    pub async fn settle(&self) {
        let mut today = self.today.lock().await;
        let Some(store) = self.stores.get(STORE) else { return };
        let day = day_of(SystemTime::now());
        if today.day != day && !self.turn(&mut today, store, day).await {
            return;
        }
        let mut news: HashMap<String, Counts> = HashMap::new();
        for lane in &self.lanes {
            lane.0.lock().expect("nobody panics holding it").take(|name, counts| {
                let row = news.entry(today.place(name)).or_default();
                row.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            });
        }
        let day = &today.day;
        let writes = news.iter().flat_map(|(row, counts)| {
            let fields = FIELDS.iter().zip(counts).filter(|(_, count)| **count > 0);
            fields.map(move |(field, count)| {
                let count = i64::try_from(*count).unwrap_or(i64::MAX);
                async move { store.increment(&format!("{day}\t{row}\t{field}"), count).await }
            })
        });
        let full = join_all(writes).await.into_iter().any(|written| written == Err(Trouble::Full));
        if full && !std::mem::replace(&mut today.told_full, true) {
            telemetry::line(Level::Warn, "usage is no longer counted: the store is full", &[]);
        }
    }

    /// Begins a day: what the store has of it already, and what is too old to be kept. False where the store cannot say.
    async fn turn(&self, today: &mut Today, store: &Store, day: String) -> bool {
        let Ok(keys) = store.keys().await else { return false };
        let oldest = day_of(SystemTime::now() - Duration::from_secs(KEPT_DAYS * 86_400));
        today.rows.clear();
        let mut gone = Vec::new();
        for key in &keys {
            match key.split_once('\t') {
                Some((of, _)) if of < oldest.as_str() => gone.push(store.delete(key)),
                Some((of, rest)) if of == day => {
                    today.rows.extend(rest.rsplit_once('\t').map(|(row, _)| row.to_owned()));
                }
                _ => {}
            }
        }
        join_all(gone).await;
        (today.day, today.told_full) = (day, false);
        true
    }
}

/// Ends with the last who holds the counts.
async fn settle_for_ever(usage: &Weak<Usage>) {
    loop {
        tokio::time::sleep(ROUND).await;
        let Some(usage) = usage.upgrade() else { return };
        usage.settle().await;
    }
}

impl Table {
    fn add(&mut self, [key, capability, model]: [&str; 3], counts: Counts) {
        self.name.clear();
        for part in [key, "\t", capability, "\t", model] {
            self.name.push_str(part);
        }
        let rows = self.rows.len();
        let row = match self.rows.get_mut(self.name.as_str()) {
            Some(row) => row,
            None if rows < MAX_ROWS => self.rows.entry(self.name.as_str().into()).or_default(),
            None => self.rows.entry(others(capability, rows).into()).or_default(),
        };
        row.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        row.idle = 0;
    }

    /// Gives what was counted since the last time.
    fn take(&mut self, mut give: impl FnMut(&str, Counts)) {
        self.rows.retain(|name, row| {
            if row.counts[0] > 0 {
                give(name, std::mem::take(&mut row.counts));
            }
            row.idle += 1;
            row.idle < IDLE_ROUNDS
        });
    }
}

impl Today {
    /// The row in which a name is counted: its own, as long as there is room.
    fn place(&mut self, name: &str) -> String {
        if self.rows.contains(name) {
            return name.to_owned();
        }
        let capability = name.split('\t').nth(1).unwrap_or_default();
        let place = if self.rows.len() < MAX_ROWS { name.to_owned() } else { others(capability, self.rows.len()) };
        self.rows.insert(place.clone());
        place
    }
}

fn others(capability: &str, rows: usize) -> String {
    let capability = if rows < MAX_ROWS + MORE_ROWS { capability } else { OTHER };
    format!("{OTHER}\t{capability}\t{OTHER}")
}

/// The day in UTC, `2026-11-27`.
fn day_of(time: SystemTime) -> String {
    let mut text = telemetry::at(time);
    text.truncate("2026-11-27".len());
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::keyvalue::{Kind, Place};

    pub(super) fn usage() -> Usage {
        let kinds = BTreeMap::from([(STORE.to_owned(), Kind::default())]);
        Usage::new(2, Stores::open(&Place::Memory, &kinds, std::path::Path::new("/nowhere")).expect("memory"))
    }

    pub(super) fn work<'a>(key: &'a str, model: &'a str) -> Work<'a> {
        Work { key, capability: "llm", model, input_tokens: 10, output_tokens: 5, ..Work::default() }
    }

    async fn kept(usage: &Usage, key: &str) -> String {
        let day = day_of(SystemTime::now());
        let value = usage.stores.get(STORE).expect("a store").get(&format!("{day}\t{key}")).await.expect("memory");
        String::from_utf8(value.unwrap_or_default()).expect("text")
    }

    #[tokio::test]
    async fn lanes_and_rounds_add_up() {
        let usage = usage();
        for round in 0..3 {
            usage.count(0, &work("phone", "a/b"), round == 0);
            usage.count(1, &work("phone", "a/b"), false);
            usage.settle().await;
        }
        assert_eq!(kept(&usage, "phone\tllm\ta/b\trequests").await, "6");
        assert_eq!(kept(&usage, "phone\tllm\ta/b\terrors").await, "1");
        assert_eq!(kept(&usage, "phone\tllm\ta/b\tprompt_tokens").await, "60");
        // What is zero takes no room.
        assert_eq!(kept(&usage, "phone\tllm\ta/b\tpictures").await, "");
    }

    #[tokio::test]
    async fn rows_have_an_end() {
        let usage = usage();
        for number in 0..MAX_ROWS + 500 {
            usage.count(number % 2, &work("", &format!("a/{number}")), false);
            usage.settle().await;
        }
        assert_eq!(kept(&usage, "\tllm\ta/7\trequests").await, "1");
        assert_eq!(kept(&usage, "other\tllm\tother\trequests").await, "500");
        for number in 0..2 * MAX_ROWS {
            usage.count(0, &work("", &format!("b/{number}")), false);
        }
        let rows = usage.lanes[0].0.lock().expect("nobody panics holding it").rows.len();
        assert!(rows <= MAX_ROWS + MORE_ROWS + 1, "{rows}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn counts_outlast_the_process_where_there_is_a_file() {
        let folder = std::env::temp_dir().join(format!("hybrid-ai-usage-{}", std::process::id()));
        let kinds = BTreeMap::from([(STORE.to_owned(), Kind::default())]);
        for requests in ["1", "2"] {
            // The thread that writes the last one's file may still be ending.
            let mut tries = 0;
            let stores = loop {
                match Stores::open(&Place::File, &kinds, &folder) {
                    Ok(stores) => break stores,
                    Err(error) => assert!(tries < 100, "{error:#}"),
                }
                tries += 1;
                std::thread::sleep(Duration::from_millis(50));
            };
            let usage = Usage::new(1, stores);
            usage.count(0, &work("phone", "a/b"), false);
            usage.settle().await;
            usage.stores.flush();
            assert_eq!(kept(&usage, "phone\tllm\ta/b\trequests").await, requests);
        }
        std::fs::remove_dir_all(&folder).expect("it was there");
    }

    #[tokio::test]
    async fn what_was_counted_before_a_start_goes_on_and_old_days_go() {
        let usage = usage();
        let (day, store) = (day_of(SystemTime::now()), usage.stores.get(STORE).expect("a store").clone());
        store.increment(&format!("{day}\tphone\tllm\ta/b\trequests"), 7).await.expect("room");
        store.increment("2020-01-01\tphone\tllm\ta/b\trequests", 7).await.expect("room");
        usage.count(0, &work("phone", "a/b"), false);
        usage.settle().await;
        assert_eq!(kept(&usage, "phone\tllm\ta/b\trequests").await, "8");
        assert!(store.keys().await.expect("memory").iter().all(|key| !key.starts_with("2020")));
    }
}
