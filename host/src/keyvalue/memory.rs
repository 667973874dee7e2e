//! A store in memory: what every kind of store works on, and all that there is of the one that lasts no longer than
//! the process.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::Trouble;

/// Locks are held for a look-up, so that a few of them keep the lanes out of each other's way.
const SHARDS: usize = 16;
/// What one store may hold, keys and all: a million counted addresses. Past it nothing new is taken.
const MAX_BYTES: usize = 128 * 1024 * 1024;
/// A key's record is a few hundred bytes.
pub const MAX_VALUE_BYTES: usize = 1024 * 1024;
pub const MAX_KEY_BYTES: usize = 512;
/// What the map itself needs for an entry, about.
const ENTRY_BYTES: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Bytes(Arc<[u8]>),
    Count(i64),
}

impl Value {
    /// As `get` gives it. A count is decimal text, as Redis has it.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Value::Bytes(bytes) => bytes.to_vec(),
            Value::Count(count) => count.to_string().into_bytes(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Value::Bytes(bytes) => bytes.len(),
            Value::Count(_) => 0,
        }
    }
}

struct Entry {
    value: Value,
    touched: Instant,
}

/// Lives as long as the process.
pub struct Memory {
    shards: [Mutex<HashMap<Box<str>, Entry>>; SHARDS],
    hasher: RandomState,
    bytes: AtomicUsize,
    /// Entries that nobody touched for so long are gone.
    forget_after: Option<Duration>,
}

impl Memory {
    pub fn new(forget_after: Option<Duration>) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { shards, hasher: RandomState::new(), bytes: AtomicUsize::new(0), forget_after }
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, HashMap<Box<str>, Entry>> {
        let shard = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[shard].lock().expect("nobody panics holding it")
    }

    pub fn get(&self, key: &str) -> Option<Value> {
        self.shard(key).get(key).map(|entry| entry.value.clone())
    }

    /// The value, and how long ago it was put there or last counted up.
    pub fn get_with_age(&self, key: &str) -> Option<(Value, Duration)> {
        self.shard(key).get(key).map(|entry| (entry.value.clone(), entry.touched.elapsed()))
    }

    pub fn set(&self, key: &str, value: Value) -> Result<(), Trouble> {
        if key.len() > MAX_KEY_BYTES || value.size() > MAX_VALUE_BYTES {
            return Err(Trouble::TooLarge);
        }
        self.put(&mut self.shard(key), key, value)
    }

    fn put(&self, shard: &mut HashMap<Box<str>, Entry>, key: &str, value: Value) -> Result<(), Trouble> {
        let (size, touched) = (value.size(), Instant::now());
        match shard.get_mut(key) {
            Some(entry) => {
                let before = entry.value.size();
                *entry = Entry { value, touched };
                self.bytes.fetch_add(size, Ordering::Relaxed);
                self.bytes.fetch_sub(before, Ordering::Relaxed);
            }
            None => {
                self.grow(key.len() + size)?;
                shard.insert(key.into(), Entry { value, touched });
            }
        }
        Ok(())
    }

    /// Puts a value in place of the one that was seen. Where it is another one by now, that is the answer.
    pub fn swap(&self, key: &str, seen: Option<&[u8]>, value: Vec<u8>) -> Result<Result<(), Option<Vec<u8>>>, Trouble> {
        if key.len() > MAX_KEY_BYTES || value.len() > MAX_VALUE_BYTES {
            return Err(Trouble::TooLarge);
        }
        let mut shard = self.shard(key);
        let now = shard.get(key).map(|entry| entry.value.bytes());
        if now.as_deref() != seen {
            return Ok(Err(now));
        }
        self.put(&mut shard, key, Value::Bytes(value.into()))?;
        Ok(Ok(()))
    }

    pub fn delete(&self, key: &str) {
        if let Some(entry) = self.shard(key).remove(key) {
            self.shrink(key, &entry);
        }
    }

    pub fn increment(&self, key: &str, delta: i64) -> Result<i64, Trouble> {
        if key.len() > MAX_KEY_BYTES {
            return Err(Trouble::TooLarge);
        }
        let mut shard = self.shard(key);
        if let Some(entry) = shard.get_mut(key) {
            entry.touched = Instant::now();
            let Value::Count(count) = &mut entry.value else { return Err(Trouble::NoCount) };
            *count = count.saturating_add(delta);
            return Ok(*count);
        }
        self.grow(key.len())?;
        match shard.entry(key.into()) {
            Slot::Vacant(slot) => slot.insert(Entry { value: Value::Count(delta), touched: Instant::now() }),
            Slot::Occupied(_) => unreachable!("it was looked for under the same lock"),
        };
        Ok(delta)
    }

    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        for shard in &self.shards {
            keys.extend(shard.lock().expect("nobody panics holding it").keys().map(|key| String::from(&**key)));
        }
        keys.sort_unstable();
        keys
    }

    /// Drops what nobody touched for too long, and of the rest what is `stale`.
    pub fn forget(&self, stale: impl Fn(&Value) -> bool) {
        let most = self.forget_after.unwrap_or(Duration::MAX);
        for shard in &self.shards {
            shard.lock().expect("nobody panics holding it").retain(|key, entry| {
                let keep = entry.touched.elapsed() < most && !stale(&entry.value);
                if !keep {
                    self.shrink(key, entry);
                }
                keep
            });
        }
    }

    fn grow(&self, bytes: usize) -> Result<(), Trouble> {
        let before = self.bytes.fetch_add(bytes + ENTRY_BYTES, Ordering::Relaxed);
        if before > MAX_BYTES {
            self.bytes.fetch_sub(bytes + ENTRY_BYTES, Ordering::Relaxed);
            return Err(Trouble::Full);
        }
        Ok(())
    }

    fn shrink(&self, key: &str, entry: &Entry) {
        self.bytes.fetch_sub(key.len() + entry.value.size() + ENTRY_BYTES, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Value {
        Value::Bytes(text.as_bytes().into())
    }

    #[test]
    fn what_is_put_is_found_until_it_is_deleted() {
        let memory = Memory::new(None);
        memory.set("a", bytes("one")).expect("room");
        memory.set("a", bytes("three")).expect("room");
        assert_eq!(memory.get("a"), Some(bytes("three")));
        assert_eq!(memory.keys(), ["a"]);
        memory.delete("a");
        assert_eq!((memory.get("a"), memory.bytes.load(Ordering::Relaxed)), (None, 0));
    }

    #[test]
    fn counts_add_up_from_all_threads() {
        let memory = Memory::new(None);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| assert!(memory.increment("n", 1).is_ok())));
            }
        });
        assert_eq!(memory.increment("n", -1), Ok(3999));
        assert_eq!(memory.get("n").map(|count| count.bytes()), Some(b"3999".to_vec()));
        memory.set("text", bytes("x")).expect("room");
        assert_eq!(memory.increment("text", 1), Err(Trouble::NoCount));
    }

    #[test]
    fn a_value_is_swapped_for_the_one_that_was_seen() {
        let memory = Memory::new(None);
        assert_eq!(memory.swap("a", None, b"one".to_vec()), Ok(Ok(())));
        assert_eq!(memory.swap("a", None, b"two".to_vec()), Ok(Err(Some(b"one".to_vec()))));
        assert_eq!(memory.swap("a", Some(b"one"), b"two".to_vec()), Ok(Ok(())));
        memory.delete("a");
        assert_eq!(memory.swap("a", Some(b"two"), b"three".to_vec()), Ok(Err(None)));
        memory.increment("n", 5).expect("room");
        assert_eq!(memory.swap("n", Some(b"5"), b"6".to_vec()), Ok(Ok(())));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let mut seen = memory.get("n").map(|value| value.bytes());
                        loop {
                            let text = String::from_utf8(seen.clone().expect("some")).expect("text");
                            let next = (text.parse::<u32>().expect("a number") + 1).to_string().into_bytes();
                            match memory.swap("n", seen.as_deref(), next).expect("room") {
                                Ok(()) => break,
                                Err(now) => seen = now,
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(memory.get("n").map(|value| value.bytes()), Some(b"406".to_vec()));
    }

    #[test]
    fn it_takes_no_more_than_its_share() {
        let memory = Memory::new(None);
        assert_eq!(memory.set("a", Value::Bytes(vec![0; MAX_VALUE_BYTES + 1].into())), Err(Trouble::TooLarge));
        let large: Arc<[u8]> = vec![0; MAX_VALUE_BYTES].into();
        let put =
            (0..200).filter(|number| memory.set(&number.to_string(), Value::Bytes(large.clone())).is_ok()).count();
        assert!((120..140).contains(&put), "{put} MiB were taken");
    }

    #[test]
    fn what_nobody_touches_is_forgotten() {
        let memory = Memory::new(Some(Duration::ZERO));
        memory.increment("n", 1).expect("room");
        memory.forget(|_| false);
        assert_eq!((memory.get("n"), memory.bytes.load(Ordering::Relaxed)), (None, 0));
    }
}
