//! API keys: whose request it is, and what its owner may ask.
//!
//! A store holds `keys/SHA-256-OF-THE-KEY` → its record, and `keys/made` once there has been one. A key is 192 random
//! bits, so that its plain hash tells nobody anything.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::limits::Limits;
use crate::state::{Away, Store};

/// The record of a key, as `hybrid-ai key create` writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Key {
    pub id: String,
    pub name: String,
    /// Capabilities; all of them when absent.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    #[serde(default)]
    pub limits: Limits,
    /// Seconds since 1970.
    #[serde(default)]
    pub expires: Option<u64>,
    #[serde(default)]
    pub revoked: bool,
    /// Where its record was found.
    #[serde(skip)]
    hash: Hash,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    Missing,
    Unknown,
    Expired,
    Revoked,
    /// The key is good, for something else.
    Scope(&'static str),
}

impl Key {
    /// Whom its limits count for, and which they are where it has none of its own.
    pub(crate) fn counted(&self, others: Limits) -> (String, Limits) {
        (["key/", &self.id].concat(), if self.limits.any() { self.limits } else { others })
    }

    /// By which [`still`] finds it; it tells nobody the key.
    pub(crate) fn hash(&self) -> String {
        hex(&self.hash)
    }

    fn check(&self, capability: Option<&'static str>, now_ms: u64) -> Result<(), Denied> {
        if self.revoked {
            return Err(Denied::Revoked);
        }
        if self.expires.is_some_and(|end| end <= now_ms / 1000) {
            return Err(Denied::Expired);
        }
        match (capability, &self.scopes) {
            (Some(capability), Some(scopes)) if !scopes.iter().any(|scope| scope == capability) => {
                Err(Denied::Scope(capability))
            }
            _ => Ok(()),
        }
    }
}

/// Records are read again after this long, so that a revoked key is refused a second later everywhere.
const KNOWN_MS: u64 = 1000;
const MOST_KNOWN: usize = 256;
/// Longer than any key of ours, and than a provider's that somebody sends by mistake.
const MAX_KEY_BYTES: usize = 256;

/// Whether keys are asked for. Once one has been made they are for good.
pub(crate) fn are_made(store: &Store) -> Result<bool, Away> {
    thread_local! {
        static MADE: Cell<bool> = const { Cell::new(false) };
    }
    if !MADE.get() {
        MADE.set(store.exists("keys/made")?);
    }
    Ok(MADE.get())
}

/// Whose request it is, if that key may ask this.
pub(crate) fn admit(
    store: &Store,
    presented: Option<&[u8]>,
    capability: Option<&'static str>,
    now_ms: u64,
) -> Result<Result<Rc<Key>, Denied>, Away> {
    let Some(presented) = presented else { return Ok(Err(Denied::Missing)) };
    if presented.is_empty() || presented.len() > MAX_KEY_BYTES {
        return Ok(Err(Denied::Unknown));
    }
    let key = match find(store, hash(presented), now_ms)? {
        Some(key) => key,
        None => return Ok(Err(Denied::Unknown)),
    };
    Ok(key.check(capability, now_ms).map(|()| key))
}

/// The key that let a request in before, if it may still ask this.
pub(crate) fn still(
    store: &Store,
    hash: &str,
    capability: Option<&'static str>,
    now_ms: u64,
) -> Result<Result<Rc<Key>, Denied>, Away> {
    let Some(hash) = unhex(hash) else { return Ok(Err(Denied::Unknown)) };
    Ok(match find(store, hash, now_ms)? {
        Some(key) => key.check(capability, now_ms).map(|()| key),
        None => Err(Denied::Unknown),
    })
}

/// The name of a key that is not let in, where it is one of ours.
pub(crate) fn name(store: &Store, presented: &[u8], now_ms: u64) -> Option<String> {
    let key = find(store, hash(presented), now_ms).ok().flatten()?;
    Some(key.name.clone())
}

type Hash = [u8; 32];

/// A key's hash. Clients send the same one again and again, so the last is kept. To find that it is another one takes as long
/// whatever the two have in common.
fn hash(presented: &[u8]) -> Hash {
    thread_local! {
        static LAST: RefCell<(Vec<u8>, Hash)> = RefCell::default();
    }
    LAST.with_borrow_mut(|(last, hash)| {
        let differ = last.iter().zip(presented).fold(0, |differ, (one, other)| differ | (one ^ other));
        if differ != 0 || last.len() != presented.len() {
            *hash = Sha256::digest(presented).into();
            last.clear();
            last.extend_from_slice(presented);
        }
        *hash
    })
}

fn find(store: &Store, hash: Hash, now_ms: u64) -> Result<Option<Rc<Key>>, Away> {
    thread_local! {
        static KNOWN: RefCell<HashMap<Hash, (Rc<Key>, u64)>> = RefCell::default();
    }
    let fresh = KNOWN.with_borrow(|known| {
        let (key, since) = known.get(&hash)?;
        (*since..*since + KNOWN_MS).contains(&now_ms).then(|| Rc::clone(key))
    });
    if fresh.is_some() {
        return Ok(fresh);
    }
    let record = store.get(&format!("keys/{}", hex(&hash)))?;
    let key = record.and_then(|record| serde_json::from_slice::<Key>(&record).ok());
    let key = key.map(|key| Rc::new(Key { hash, ..key }));
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        match &key {
            Some(key) => known.insert(hash, (Rc::clone(key), now_ms)),
            None => known.remove(&hash),
        };
    });
    Ok(key)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // Writing to a string does not fail.
        text
    })
}

fn unhex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    let digits = text.as_bytes();
    if digits.len() != 2 * hash.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

/// The key in `authorization: Bearer KEY`, whatever the case of the first word.
pub(crate) fn bearer(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let (scheme, key) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn key(json: &str) -> Key {
        serde_json::from_str(json).expect("a record")
    }

    #[test]
    fn a_record_may_be_short() {
        let key = key(r#"{"id":"k","name":"phone"}"#);
        assert_eq!(key.check(Some("llm"), NOW), Ok(()));
        assert!(!key.limits.any());
    }

    #[test]
    fn keys_end_in_three_ways() {
        let scoped = key(r#"{"id":"k","name":"n","scopes":["tts"]}"#);
        assert_eq!(scoped.check(Some("llm"), NOW), Err(Denied::Scope("llm")));
        assert_eq!(scoped.check(Some("tts"), NOW), Ok(()));
        assert_eq!(scoped.check(None, NOW), Ok(()));
        assert_eq!(key(r#"{"id":"k","name":"n","scopes":[]}"#).check(Some("llm"), NOW), Err(Denied::Scope("llm")));
        let old = key(r#"{"id":"k","name":"n","expires":1800000000}"#);
        assert_eq!(old.check(None, NOW), Err(Denied::Expired));
        assert_eq!(old.check(None, NOW - 1), Ok(()));
        assert_eq!(key(r#"{"id":"k","name":"n","revoked":true}"#).check(None, NOW), Err(Denied::Revoked));
    }

    #[test]
    fn limits_are_read_by_their_long_names() {
        let key = key(r#"{"id":"k","name":"n","limits":{"requests_per_minute":5,"tokens_per_minute":100}}"#);
        assert_eq!((key.limits.requests, key.limits.tokens, key.limits.pictures), (Some(5), Some(100), None));
    }

    #[test]
    fn the_key_is_what_follows_bearer() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bearer  abc "), Some(&b"abc"[..]));
        assert_eq!(bearer(b"Basic abc"), None);
        assert_eq!(bearer(b"Bearer"), None);
    }

    #[test]
    fn the_last_key_is_known_again_and_no_other() {
        for presented in ["abc", "abc", "abd", "ab", "abcd", "abc"] {
            assert_eq!(hash(presented.as_bytes()), Hash::from(Sha256::digest(presented)), "{presented}");
        }
    }

    #[test]
    fn hashes_are_written_as_hex() {
        let hash: Hash = Sha256::digest(b"abc").into();
        assert_eq!(unhex(&hex(&hash)), Some(hash));
        for wrong in ["", "abc", &"g".repeat(64), &"+1".repeat(32), &"a".repeat(66)] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
        assert_eq!(hex(&Sha256::digest(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
