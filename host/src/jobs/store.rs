//! Jobs on the disk: a file of redb's in the data folder. One thread writes, all changes that wait in one commit.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::record::Record;
use crate::inside::{Brought, Kept};
use crate::keyvalue::file;
use crate::telemetry::{self, Level};

pub const NAME: &str = "jobs";

const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
const REQUESTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("requests");
const ANSWERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("answers");
/// Changes in one commit: beyond it those who wait for the first wait too long.
const MOST_AT_ONCE: usize = 256;

/// Lives as long as somebody needs the file, and its thread as long.
pub struct Store {
    database: Arc<Database>,
    changes: Sender<Change>,
}

enum Change {
    Put {
        record: Box<Record>,
        request: Part,
        answer: Part,
        /// Told when it is on the disk, or cannot be.
        done: Option<oneshot::Sender<bool>>,
    },
    Remove(Vec<String>),
}

/// What becomes of a job's request or answer.
pub enum Part {
    Stays,
    Put(Vec<u8>),
    Goes,
}

#[derive(Serialize, Deserialize)]
struct Head {
    /// A method and a path, or a status.
    first: String,
    headers: Vec<(String, String)>,
}

impl Store {
    /// Opens the file, or makes it, and reads what is in it.
    pub fn open(data_dir: &Path) -> Result<(Self, Vec<Record>)> {
        let mut database = file::open(data_dir, NAME)?;
        // What was removed is room in the file, until it is given back.
        database.compact()?;
        let write = database.begin_write()?;
        for table in [RECORDS, REQUESTS, ANSWERS] {
            write.open_table(table)?;
        }
        write.commit()?;
        let mut records = Vec::new();
        for entry in database.begin_read()?.open_table(RECORDS)?.iter()? {
            let (_, record) = entry?;
            records.push(serde_json::from_slice(record.value())?);
        }
        let database = Arc::new(database);
        let (changes, waiting) = channel();
        let writing = Arc::clone(&database);
        std::thread::Builder::new().name("jobs".into()).spawn(move || write_all(&writing, &waiting))?;
        Ok((Self { database, changes }, records))
    }

    /// Whether the change is on the disk.
    pub async fn put(&self, record: Record, request: Part, answer: Part) -> bool {
        let (done, told) = oneshot::channel();
        self.send(Change::Put { record: Box::new(record), request, answer, done: Some(done) });
        told.await.unwrap_or(false)
    }

    /// The same without waiting for it.
    pub fn note(&self, record: Record) {
        self.send(Change::Put { record: Box::new(record), request: Part::Stays, answer: Part::Stays, done: None });
    }

    pub fn remove(&self, ids: Vec<String>) {
        self.send(Change::Remove(ids));
    }

    fn send(&self, change: Change) {
        // The thread lives as long as this sender.
        let _ = self.changes.send(change);
    }

    /// A job's request. It reads from the disk.
    pub fn request(&self, id: &str) -> Option<Brought> {
        read_request(&self.read(REQUESTS, id)?)
    }

    /// A job's answer. It reads from the disk.
    pub fn answer(&self, id: &str) -> Option<Kept> {
        read_answer(&self.read(ANSWERS, id)?)
    }

    fn read(&self, table: TableDefinition<'_, &str, &[u8]>, id: &str) -> Option<Bytes> {
        let read = || -> Result<Option<Vec<u8>>> {
            let read = self.database.begin_read()?;
            Ok(read.open_table(table)?.get(id)?.map(|value| value.value().to_vec()))
        };
        match read() {
            Ok(whole) => Some(Bytes::from(whole?)),
            Err(error) => {
                let error = format!("{error:#}");
                telemetry::line(Level::Error, "a job could not be read", &[("error", (&error).into())]);
                None
            }
        }
    }
}

/// A request as it is kept: its head as JSON, the length of that before it, and the body.
pub fn request_bytes(brought: &Brought) -> Vec<u8> {
    let path = brought.path.path_and_query().map_or("/", |path| path.as_str());
    written(format!("{} {path}", brought.method), &brought.headers, &brought.body)
}

pub fn read_request(whole: &Bytes) -> Option<Brought> {
    let (Head { first, headers }, body) = read(whole)?;
    let (method, path) = first.split_once(' ')?;
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    Some(Brought { method, path: path.parse().ok()?, headers: read_headers(headers), body })
}

/// An answer, in the same way.
pub fn answer_bytes(kept: &Kept) -> Vec<u8> {
    written(kept.status.as_str().to_owned(), &kept.headers, &kept.body)
}

pub fn read_answer(whole: &Bytes) -> Option<Kept> {
    let (Head { first, headers }, body) = read(whole)?;
    Some(Kept { status: StatusCode::from_bytes(first.as_bytes()).ok()?, headers: read_headers(headers), body })
}

fn read(whole: &Bytes) -> Option<(Head, Bytes)> {
    let (length, _) = whole.split_first_chunk::<4>()?;
    let body = 4 + usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let head = serde_json::from_slice(whole.get(4..body)?).ok()?;
    Some((head, whole.slice(body..)))
}

fn written(first: String, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let headers = headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect();
    let head = serde_json::to_vec(&Head { first, headers }).expect("text is JSON");
    let length = u32::try_from(head.len()).expect("heads are limited");
    let mut whole = Vec::with_capacity(4 + head.len() + body.len());
    whole.extend_from_slice(&length.to_le_bytes());
    whole.extend_from_slice(&head);
    whole.extend_from_slice(body);
    whole
}

fn read_headers(headers: Vec<(String, String)>) -> HeaderMap {
    let read = |(name, value): (String, String)| {
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::try_from(value).ok()?))
    };
    headers.into_iter().filter_map(read).collect()
}

fn write_all(database: &Database, waiting: &Receiver<Change>) {
    while let Ok(first) = waiting.recv() {
        let mut changes = vec![first];
        while changes.len() < MOST_AT_ONCE
            && let Ok(next) = waiting.try_recv()
        {
            changes.push(next);
        }
        let written = commit(database, &changes);
        if let Err(error) = &written {
            let error = format!("{error:#}");
            telemetry::line(Level::Error, "jobs could not be written", &[("error", (&error).into())]);
        }
        for change in changes {
            if let Change::Put { done: Some(done), .. } = change {
                // Who asked may have gone.
                let _ = done.send(written.is_ok());
            }
        }
    }
}

fn commit(database: &Database, changes: &[Change]) -> Result<()> {
    let write = database.begin_write()?;
    {
        let mut records = write.open_table(RECORDS)?;
        let mut requests = write.open_table(REQUESTS)?;
        let mut answers = write.open_table(ANSWERS)?;
        for change in changes {
            match change {
                Change::Put { record, request, answer, .. } => {
                    let id = record.id.as_str();
                    records.insert(id, serde_json::to_vec(record)?.as_slice())?;
                    for (table, part) in [(&mut requests, request), (&mut answers, answer)] {
                        match part {
                            Part::Stays => {}
                            Part::Put(bytes) => drop(table.insert(id, bytes.as_slice())?),
                            Part::Goes => drop(table.remove(id)?),
                        }
                    }
                }
                Change::Remove(ids) => {
                    for id in ids {
                        records.remove(id.as_str())?;
                        requests.remove(id.as_str())?;
                        answers.remove(id.as_str())?;
                    }
                }
            }
        }
    }
    write.commit()?;
    Ok(())
}
