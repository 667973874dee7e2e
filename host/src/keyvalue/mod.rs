//! State that components share through `wasi:keyvalue`: in memory, in a file, or in a Redis that several hosts share.
//! Which stores there are, and who may open them, is configuration.

pub mod file;
pub mod import;
mod memory;
mod redis;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use futures::FutureExt as _;
use serde::Deserialize;

use file::File;
use memory::{Memory, Value};
use redis::{Redis, Shared};

use crate::redis_link::Address;

/// Where shared state is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    Memory,
    File,
    Redis(Address),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Place::Memory => "Memory",
            Place::File => "File",
            Place::Redis(_) => "Redis",
        })
    }
}

impl Place {
    /// What the configuration says; without a word the file where one has been made, and memory otherwise.
    pub fn parse(text: Option<&str>, ca: Option<&Path>, state_dir: &Path) -> Result<Self> {
        match text.map(str::trim) {
            None if file::path(state_dir, "state").exists() => Ok(Place::File),
            None | Some("memory") => Ok(Place::Memory),
            Some("file") => Ok(Place::File),
            Some(url) => match Address::parse(url, ca) {
                Some(address) => Ok(Place::Redis(address)),
                // Not repeated: it may hold a password.
                None => bail!("`store` must be memory, file, redis://HOST[:PORT] or rediss://HOST[:PORT]"),
            },
        }
    }
}

/// A store as the configuration has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kind {
    /// What nobody touches for so long is forgotten; such a store is for counts, and lasts no longer than the process.
    pub forget_after_s: Option<u64>,
}

/// Why a store does not do as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("the store cannot be reached")]
    Away,
    #[error("the store is full")]
    Full,
    #[error("the key or the value is too large")]
    TooLarge,
    #[error("the key holds no count")]
    NoCount,
    #[error("the store is shared, and cannot be reached: nothing is swapped")]
    NotAlone,
}

/// Every store. Lives as long as the process.
pub struct Stores {
    by_name: BTreeMap<String, Store>,
    far: Far,
}

/// What is behind the memory.
#[derive(Clone)]
enum Far {
    Nothing,
    File(Arc<File>),
    Redis(Arc<Redis>),
}

/// One store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    index: usize,
    memory: Arc<Memory>,
    far: Far,
}

/// Counts that are not touched are looked for this often.
const FORGET: Duration = Duration::from_secs(60);

impl Stores {
    pub fn open(place: &Place, kinds: &BTreeMap<String, Kind>, state_dir: &Path) -> Result<Arc<Self>> {
        let life = |kind: &Kind| kind.forget_after_s.map(Duration::from_secs);
        let memories: Vec<_> =
            kinds.iter().map(|(name, kind)| (name.clone(), Arc::new(Memory::new(life(kind))), life(kind))).collect();
        let far = match place {
            Place::Memory => Far::Nothing,
            Place::File => {
                let named = memories.iter().map(|(name, memory, _)| (name.clone(), Arc::clone(memory))).collect();
                Far::File(File::start(file::open(state_dir, "state")?, named)?)
            }
            Place::Redis(address) => {
                let shared = memories.iter().map(|(name, memory, life)| Shared {
                    name: name.clone(),
                    copy: Arc::clone(memory),
                    forget_after: *life,
                });
                Far::Redis(Redis::start(address, shared.collect())?)
            }
        };
        let by_name = memories
            .iter()
            .enumerate()
            .map(|(index, (name, memory, life))| {
                // A file keeps what is to last.
                let far = if life.is_some() && matches!(far, Far::File(_)) { Far::Nothing } else { far.clone() };
                (name.clone(), Store { index, memory: Arc::clone(memory), far })
            })
            .collect();
        let stores = Arc::new(Self { by_name, far });
        let weak = Arc::downgrade(&stores);
        std::thread::Builder::new().name("forget".into()).spawn(move || {
            loop {
                std::thread::sleep(FORGET);
                let Some(stores) = weak.upgrade() else { return };
                stores.by_name.values().for_each(|store| store.memory.forget(redis::is_absent));
            }
        })?;
        Ok(stores)
    }

    pub fn get(&self, name: &str) -> Option<&Store> {
        self.by_name.get(name)
    }

    /// Whether every question is answered without waiting.
    fn are_near(&self) -> bool {
        !matches!(self.far, Far::Redis(_))
    }

    /// Where state is, in a word, for whoever asks.
    pub fn place(&self) -> &'static str {
        match self.far {
            Far::Nothing => "memory",
            Far::File(_) => "file",
            Far::Redis(_) => "redis",
        }
    }

    /// Whether hosts count together now, and how often the connection was lost; none where there is nobody to share with.
    pub fn shared(&self) -> Option<(bool, u64)> {
        match &self.far {
            Far::Redis(redis) => {
                Some((redis.state.is_up(), redis.state.lost.load(std::sync::atomic::Ordering::Relaxed)))
            }
            _ => None,
        }
    }

    /// Waits until everything changed so far is on the disk, where there is one. It may wait for the disk.
    pub fn flush(&self) {
        if let Far::File(file) = &self.far {
            file.flush();
        }
    }
}

impl Store {
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Trouble> {
        let found = match &self.far {
            Far::Redis(redis) => redis.get(self.index, &self.memory, key).await?,
            _ => self.memory.get(key),
        };
        Ok(found.map(|value| value.bytes()))
    }

    /// As [`Store::get`], asked of Redis where there is one, whatever it said a moment ago.
    pub async fn look(&self, key: &str) -> Result<Option<Vec<u8>>, Trouble> {
        let found = match &self.far {
            Far::Redis(redis) => redis.look(self.index, &self.memory, key).await?,
            _ => self.memory.get(key),
        };
        Ok(found.map(|value| value.bytes()))
    }

    pub async fn exists(&self, key: &str) -> Result<bool, Trouble> {
        match &self.far {
            Far::Redis(redis) => Ok(redis.get(self.index, &self.memory, key).await?.is_some()),
            _ => Ok(self.memory.get(key).is_some()),
        }
    }

    pub async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), Trouble> {
        match &self.far {
            Far::Redis(redis) => return redis.set(self.index, &self.memory, key, value).await,
            Far::File(_) | Far::Nothing => self.memory.set(key, Value::Bytes(value.into()))?,
        }
        self.changed(key);
        Ok(())
    }

    pub async fn delete(&self, key: &str) -> Result<(), Trouble> {
        match &self.far {
            Far::Redis(redis) => return redis.delete(self.index, &self.memory, key).await,
            Far::File(_) | Far::Nothing => self.memory.delete(key),
        }
        self.changed(key);
        Ok(())
    }

    pub async fn increment(&self, key: &str, delta: i64) -> Result<i64, Trouble> {
        let total = match &self.far {
            Far::Redis(redis) => return redis.increment(self.index, &self.memory, key, delta).await,
            Far::File(_) | Far::Nothing => self.memory.increment(key, delta)?,
        };
        self.changed(key);
        Ok(total)
    }

    /// Puts a value in place of the one that was seen. Where it is another one by now, that is the answer.
    pub async fn swap(
        &self,
        key: &str,
        seen: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<Result<(), Option<Vec<u8>>>, Trouble> {
        let swapped = match &self.far {
            Far::Redis(redis) => return redis.swap(self.index, &self.memory, key, seen, value).await,
            Far::File(_) | Far::Nothing => self.memory.swap(key, seen.as_deref(), value)?,
        };
        if swapped.is_ok() {
            self.changed(key);
        }
        Ok(swapped)
    }

    pub async fn keys(&self) -> Result<Vec<String>, Trouble> {
        match &self.far {
            Far::Redis(redis) => redis.keys(self.index, &self.memory).await,
            _ => Ok(self.memory.keys()),
        }
    }

    fn changed(&self, key: &str) {
        if let Far::File(file) = &self.far {
            file.changed(self.index, key);
        }
    }
}

/// What a near store answers, which never waits.
fn at_once<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().expect("only Redis makes anybody wait")
}
