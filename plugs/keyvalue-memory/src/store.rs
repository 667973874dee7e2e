//! Keys and values. What is oldest goes when there is no more room.

use std::collections::{BTreeMap, VecDeque};

/// Keys and values together. A count of the gate's takes about a hundred bytes.
const MAX_BYTES: usize = 8 * 1024 * 1024;
const PAGE: usize = 1000;

#[derive(Default)]
pub(crate) struct Store {
    entries: BTreeMap<String, Vec<u8>>,
    /// In the order in which they came; those that were deleted since are in it too.
    ages: VecDeque<String>,
    bytes: usize,
}

impl Store {
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.entries.get(key).map(Vec::as_slice)
    }

    pub(crate) fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), String> {
        if key.len() + value.len() > MAX_BYTES / 8 {
            return Err("the value is too large".to_owned());
        }
        self.bytes += key.len() + value.len();
        match self.entries.insert(key.clone(), value) {
            Some(before) => self.bytes -= key.len() + before.len(),
            None => self.ages.push_back(key),
        }
        while self.bytes > MAX_BYTES || self.ages.len() > 2 * self.entries.len() + PAGE {
            let Some(oldest) = self.ages.pop_front() else { break };
            self.delete(&oldest);
        }
        Ok(())
    }

    pub(crate) fn delete(&mut self, key: &str) {
        if let Some(value) = self.entries.remove(key) {
            self.bytes -= key.len() + value.len();
        }
    }

    /// A count is decimal text.
    pub(crate) fn increment(&mut self, key: String, delta: i64) -> Result<i64, String> {
        let count = match self.entries.get(&key) {
            None => 0,
            Some(text) => {
                let count = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
                count.ok_or("the key holds no count")?
            }
        };
        let count = count.saturating_add(delta);
        self.set(key, count.to_string().into_bytes())?;
        Ok(count)
    }

    /// A page of keys after `cursor`, and where to go on.
    pub(crate) fn keys(&self, cursor: Option<&str>) -> (Vec<String>, Option<String>) {
        let after = self.entries.keys().filter(|key| cursor.is_none_or(|cursor| key.as_str() > cursor));
        let mut keys: Vec<String> = after.take(PAGE + 1).cloned().collect();
        let more = keys.len() > PAGE;
        keys.truncate(PAGE);
        let cursor = keys.last().filter(|_| more).cloned();
        (keys, cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_begin_at_nothing() {
        let mut store = Store::default();
        assert_eq!(store.increment("n".into(), 3), Ok(3));
        assert_eq!(store.increment("n".into(), -1), Ok(2));
        store.set("text".into(), b"x".to_vec()).expect("room");
        assert!(store.increment("text".into(), 1).is_err());
    }

    #[test]
    fn keys_come_in_pages() {
        let mut store = Store::default();
        (0..1500).for_each(|number| store.set(format!("{number:04}"), Vec::new()).expect("room"));
        let (first, cursor) = store.keys(None);
        let (rest, end) = store.keys(cursor.as_deref());
        assert_eq!((first.len(), rest.len(), end), (1000, 500, None));
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut store = Store::default();
        (0..100).for_each(|number| store.set(number.to_string(), vec![0; 500_000]).expect("room"));
        assert!(store.bytes <= MAX_BYTES && store.get("99").is_some() && store.get("0").is_none());
        (0..100).for_each(|number| store.delete(&number.to_string()));
        assert_eq!(store.bytes, 0);
    }
}
