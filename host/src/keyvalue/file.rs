//! A store that lasts: a file of redb's in the data folder, read once and written behind.
//!
//! Everything is answered from memory. Changes are written by a thread of its own, many at a time: a commit waits for
//! the disk, and no request should.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::memory::{Memory, Value};
use crate::telemetry::{self, Level};

/// Counts are written this much later, at most: what a crash may lose.
const BEHIND: Duration = Duration::from_secs(1);
/// `store\0key` → a tag (`b` for bytes, `n` for a count in decimal text) and the value.
const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");

/// Opens one of the host's embedded databases, or makes it. It can be open once at a time, in all processes.
pub fn open(data_dir: &Path, name: &str) -> Result<Database> {
    std::fs::create_dir_all(data_dir).with_context(|| format!("making {}", data_dir.display()))?;
    let file = path(data_dir, name);
    Database::create(&file).map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => anyhow::anyhow!(
            "{} is in use by another process: stop that one, or give each a data folder of its own",
            file.display()
        ),
        other => anyhow::Error::from(other).context(format!("opening {}", file.display())),
    })
}

pub fn path(data_dir: &Path, name: &str) -> std::path::PathBuf {
    data_dir.join(format!("{name}.redb"))
}

/// Lives as long as the process; what is unwritten then is written when it goes.
pub struct File {
    database: Database,
    changed: Mutex<Changed>,
    /// Told when something changes, and when all of it is written.
    told: Condvar,
}

#[derive(Default)]
struct Changed {
    entries: HashSet<(usize, Box<str>)>,
    /// Somebody waits for the disk.
    hurry: bool,
    writing: bool,
}

impl File {
    /// Reads the file into the stores and begins to write their changes. Stores are known by their place among `stores`.
    pub fn start(database: Database, stores: Vec<(String, Arc<Memory>)>) -> Result<Arc<Self>> {
        let write = database.begin_write()?;
        write.open_table(ENTRIES)?;
        write.commit()?;
        let read = database.begin_read()?;
        for entry in read.open_table(ENTRIES)?.iter()? {
            let (name, value) = entry?;
            let Some((store, key)) = name.value().split_once('\0') else { continue };
            let Some((_, memory)) = stores.iter().find(|(known, _)| known == store) else { continue };
            if let Some(value) = read_value(value.value()) {
                memory.set(key, value).with_context(|| format!("reading `{key}` into memory"))?;
            }
        }
        let file = Arc::new(Self { database, changed: Mutex::default(), told: Condvar::new() });
        let weak = Arc::downgrade(&file);
        std::thread::Builder::new().name("store".into()).spawn(move || {
            while let Some(file) = weak.upgrade() {
                let changed = file.changed.lock().expect("nobody panics holding it");
                let idle = |changed: &mut Changed| !changed.hurry;
                drop(file.told.wait_timeout_while(changed, BEHIND, idle).expect("nobody panics holding it"));
                file.write(&stores);
            }
        })?;
        Ok(file)
    }

    /// The value of a key was changed in memory.
    pub fn changed(&self, store: usize, key: &str) {
        self.changed.lock().expect("nobody panics holding it").entries.insert((store, key.into()));
    }

    /// Waits until everything changed so far is on the disk.
    pub fn flush(&self) {
        let mut changed = self.changed.lock().expect("nobody panics holding it");
        changed.hurry = true;
        self.told.notify_all();
        let unwritten = |changed: &mut Changed| !changed.entries.is_empty() || changed.writing;
        let _ = self.told.wait_timeout_while(changed, Duration::from_secs(5), unwritten);
    }

    fn write(&self, stores: &[(String, Arc<Memory>)]) {
        let mut changed = self.changed.lock().expect("nobody panics holding it");
        changed.hurry = false;
        let entries = std::mem::take(&mut changed.entries);
        changed.writing = true;
        drop(changed);
        if !entries.is_empty()
            && let Err(error) = self.commit(stores, &entries)
        {
            let error = format!("{error:#}");
            telemetry::line(Level::Error, "the store could not be written", &[("error", (&error).into())]);
            // Tried again with what changes next.
            self.changed.lock().expect("nobody panics holding it").entries.extend(entries);
        }
        self.changed.lock().expect("nobody panics holding it").writing = false;
        self.told.notify_all();
    }

    fn commit(&self, stores: &[(String, Arc<Memory>)], entries: &HashSet<(usize, Box<str>)>) -> Result<()> {
        let write = self.database.begin_write()?;
        {
            let mut table = write.open_table(ENTRIES)?;
            for (store, key) in entries {
                let (name, memory) = &stores[*store];
                let name = format!("{name}\0{key}");
                match memory.get(key) {
                    Some(value) => table.insert(name.as_str(), written_value(&value).as_slice())?,
                    None => table.remove(name.as_str())?,
                };
            }
        }
        write.commit()?;
        Ok(())
    }
}

fn read_value(written: &[u8]) -> Option<Value> {
    match written.split_first()? {
        (b'b', bytes) => Some(Value::Bytes(bytes.into())),
        (b'n', count) => std::str::from_utf8(count).ok()?.parse().ok().map(Value::Count),
        _ => None,
    }
}

fn written_value(value: &Value) -> Vec<u8> {
    let tag = match value {
        Value::Bytes(_) => b'b',
        Value::Count(_) => b'n',
    };
    let mut written = vec![tag];
    written.extend(value.bytes());
    written
}
