//! Answers kept in memory for a time, and the names by which equal requests find them.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use http::{HeaderMap, header};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::inside::Kept;

/// A hash of what two requests have in common.
pub type Name = [u8; 32];

/// Kept answers, the longest unused of which give way. `T` is what else is known of each.
pub struct Shelf<T> {
    by_name: HashMap<Name, Entry<T>>,
    /// When each was last used, the oldest first.
    by_use: BTreeMap<u64, Name>,
    uses: u64,
    bytes: u64,
}

struct Entry<T> {
    answer: Kept,
    more: T,
    since: Instant,
    used: u64,
    bytes: u64,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { by_name: HashMap::new(), by_use: BTreeMap::new(), uses: 0, bytes: 0 }
    }
}

impl<T> Shelf<T> {
    /// An answer that is no older than this.
    pub fn get(&mut self, name: &Name, most: Duration) -> Option<(&Kept, &T)> {
        if self.by_name.get(name)?.since.elapsed() >= most {
            self.remove(name);
            return None;
        }
        let entry = self.by_name.get_mut(name)?;
        self.uses += 1;
        self.by_use.remove(&entry.used);
        entry.used = self.uses;
        self.by_use.insert(self.uses, *name);
        Some((&entry.answer, &entry.more))
    }

    /// Keeps an answer, if all together stay within so many bytes.
    pub fn put(&mut self, name: Name, answer: Kept, more: T, most: u64) {
        // Names, headers and the maps' own rows come to about a kilobyte.
        let bytes = answer.body.len() as u64 + 1024;
        self.remove(&name);
        if bytes > most {
            return;
        }
        while self.bytes + bytes > most {
            let Some(oldest) = self.by_use.first_key_value().map(|(_, name)| *name) else { return };
            self.remove(&oldest);
        }
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, name);
        self.by_name.insert(name, Entry { answer, more, since: Instant::now(), used: self.uses, bytes });
    }

    fn remove(&mut self, name: &Name) {
        if let Some(entry) = self.by_name.remove(name) {
            self.bytes -= entry.bytes;
            self.by_use.remove(&entry.used);
        }
    }

    /// Keeps only these.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let gone: Vec<Name> =
            self.by_name.iter().filter(|(_, entry)| !keep(&entry.more)).map(|(name, _)| *name).collect();
        gone.iter().for_each(|name| self.remove(name));
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// A name made of parts, none of which can run into the next.
pub fn name(parts: &[&[u8]]) -> Name {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

pub fn hex(name: &Name) -> String {
    name.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// JSON that is larger holds a picture or a recording, and is not worth being read for its order.
const MAX_SORTED: usize = 1024 * 1024;

/// What is asked, in whatever order a client writes its JSON, and whatever boundary it chose for its form.
pub fn fingerprint(path: &str, headers: &HeaderMap, body: &[u8]) -> Name {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(path.as_bytes());
    hash.update([0]);
    if let Some(boundary) = boundary(kind) {
        hash.update(b"form\0");
        let mut rest = body;
        while let Some(at) = find(rest, boundary.as_bytes()) {
            hash.update(&rest[..at]);
            hash.update([0]);
            rest = &rest[at + boundary.len()..];
        }
        hash.update(rest);
        return hash.finalize().into();
    }
    let is_json = kind.is_empty() || kind.to_ascii_lowercase().contains("json");
    match serde_json::from_slice::<Value>(body) {
        Ok(value) if is_json && body.len() <= MAX_SORTED => {
            hash.update(b"json\0");
            sorted(&value, &mut hash);
        }
        _ => {
            hash.update(kind.as_bytes());
            hash.update([0]);
            hash.update(body);
        }
    }
    hash.finalize().into()
}

/// The boundary of a form, which every sending chooses anew.
fn boundary(kind: &str) -> Option<&str> {
    if !kind.trim_start().get(..10)?.eq_ignore_ascii_case("multipart/") {
        return None;
    }
    let parameter = kind
        .split(';')
        .skip(1)
        .map(str::trim)
        .find(|it| it.get(..9).is_some_and(|name| name.eq_ignore_ascii_case("boundary=")))?;
    let boundary = parameter[9..].trim().trim_matches('"');
    (!boundary.is_empty()).then_some(boundary)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted.first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| byte == first) {
        let at = from + at;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn sorted(value: &Value, hash: &mut Sha256) {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_unstable();
            hash.update(b"{");
            for name in names {
                hash.update((name.len() as u64).to_le_bytes());
                hash.update(name.as_bytes());
                sorted(&fields[name], hash);
            }
            hash.update(b"}");
        }
        Value::Array(items) => {
            hash.update(b"[");
            items.iter().for_each(|item| sorted(item, hash));
            hash.update(b"]");
        }
        Value::String(text) => {
            hash.update(b"\"");
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        plain => {
            hash.update(plain.to_string().as_bytes());
            hash.update(b",");
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, StatusCode};

    use super::*;

    fn answer(bytes: usize) -> Kept {
        Kept { status: StatusCode::OK, headers: HeaderMap::new(), body: vec![0; bytes].into() }
    }

    #[test]
    fn the_longest_unused_gives_way() {
        let (mut shelf, day) = (Shelf::default(), Duration::from_secs(86_400));
        let [a, b, c] = [[1; 32], [2; 32], [3; 32]];
        shelf.put(a, answer(1024), (), 5000);
        shelf.put(b, answer(1024), (), 5000);
        assert!(shelf.get(&a, day).is_some());
        shelf.put(c, answer(1024), (), 5000);
        assert!(shelf.get(&a, day).is_some() && shelf.get(&b, day).is_none() && shelf.get(&c, day).is_some());
        assert_eq!(shelf.bytes(), 4096);
        shelf.put(b, answer(9000), (), 5000);
        assert!(shelf.get(&b, day).is_none() && shelf.get(&a, day).is_some());
        assert!(shelf.get(&a, Duration::ZERO).is_none());
        shelf.retain(|()| false);
        assert_eq!(shelf.bytes(), 0);
    }

    fn kind(kind: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(kind).expect("a value"))])
    }

    #[test]
    fn the_order_of_json_does_not_matter_and_all_else_does() {
        let print = |path: &str, body: &str| fingerprint(path, &kind("application/json"), body.as_bytes());
        let one = print("/a", r#"{"a":1,"b":{"c":[1,2],"d":"x"}}"#);
        assert_eq!(one, print("/a", "{ \"b\": {\"d\":\"x\", \"c\":[1,2]},\n\"a\":1}"));
        for (path, other) in [
            ("/b", r#"{"a":1,"b":{"c":[1,2],"d":"x"}}"#),
            ("/a", r#"{"a":1,"b":{"c":[2,1],"d":"x"}}"#),
            ("/a", r#"{"a":1,"b":{"c":[12],"d":"x"}}"#),
            ("/a", r#"{"a":"1","b":{"c":[1,2],"d":"x"}}"#),
            ("/a", "not JSON"),
        ] {
            assert_ne!(one, print(path, other), "{path} {other}");
        }
    }

    #[test]
    fn a_form_sent_again_is_the_same_form() {
        let form = |boundary: &str, text: &str| {
            let body = format!(
                "--{boundary}\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n{text}\r\n--{boundary}--\r\n"
            );
            fingerprint("/a", &kind(&format!("multipart/form-data; boundary=\"{boundary}\"")), body.as_bytes())
        };
        assert_eq!(form("x1", "hello"), form("y22", "hello"));
        assert_ne!(form("x1", "hello"), form("x1", "other"));
    }
}
