//! API keys, as an operator makes and ends them. Whoever checks them in front of requests reads the same records: a store
//! holds `keys/SHA-256-OF-THE-KEY` → its record as JSON, and `keys/made` once there has been one.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::keyvalue::{Store, Stores};
use crate::telemetry;

/// The store that keys are in.
const STORE: &str = "default";
const MADE: &str = "keys/made";
/// Tells people and secret scanners what it is.
const PREFIX: &str = "hai_";
/// 192 bits: nobody guesses one, and its plain hash tells nobody anything.
const RANDOM_BYTES: usize = 24;

/// What an operator wants of a new key.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    pub name: String,
    /// What it may ask; everything when absent.
    pub scopes: Option<Vec<String>>,
    /// `requests_per_minute` and the like, to whoever enforces them.
    pub limits: BTreeMap<String, u32>,
    /// From now on.
    pub valid_seconds: Option<u64>,
}

/// A key as it is kept: everything but the key.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Record {
    pub id: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, u32>,
    pub created: String,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    #[serde(default)]
    pub revoked: bool,
}

impl Record {
    pub fn state(&self) -> &'static str {
        match self.expires {
            _ if self.revoked => "revoked",
            Some(end) if end <= now() => "expired",
            _ => "valid",
        }
    }
}

fn store(stores: &Stores) -> Result<&Store> {
    stores.get(STORE).with_context(|| format!("there is no store `{STORE}` to keep keys in"))
}

/// Makes a key. Its text is told this once.
pub async fn create(stores: &Stores, wanted: Wanted) -> Result<(String, Record)> {
    let store = store(stores)?;
    let name = wanted.name.trim();
    // It goes into headers, logs and metrics.
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if !(1..=64).contains(&name.len()) || !name.chars().all(harmless) {
        bail!("`name` must be 1 to 64 letters, digits and . _ - @");
    }
    if let Some((limit, _)) = wanted.limits.iter().find(|(_, most)| **most == 0) {
        bail!("`{limit}` must be at least 1");
    }
    if records(store).await?.iter().any(|(_, record)| record.name == name && record.state() == "valid") {
        bail!("there is a valid key `{name}` already: revoke it first, or choose another name");
    }
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).ok().context("the system gives no random numbers")?;
    let key = format!("{PREFIX}{}", hex(&random));
    let hash = hex(&Sha256::digest(&key));
    let record = Record {
        id: hash[..12].to_owned(),
        name: name.to_owned(),
        scopes: wanted.scopes,
        limits: wanted.limits,
        created: telemetry::timestamp(),
        expires: wanted.valid_seconds.map(|seconds| now().saturating_add(seconds)),
        revoked: false,
    };
    store.set(&format!("keys/{hash}"), serde_json::to_vec(&record)?).await?;
    // Last: from here on requests without a key are refused.
    store.set(MADE, b"1".to_vec()).await?;
    flush(stores).await;
    Ok((key, record))
}

pub async fn list(stores: &Stores) -> Result<Vec<Record>> {
    let mut records: Vec<Record> = records(store(stores)?).await?.into_iter().map(|(_, record)| record).collect();
    records.sort_by(|one, other| one.created.cmp(&other.created));
    Ok(records)
}

/// Ends a key, found by its id or its name. Its record stays, so that the last one's end opens nothing.
pub async fn revoke(stores: &Stores, which: &str) -> Result<Vec<Record>> {
    let store = store(stores)?;
    let mut revoked = Vec::new();
    for (at, mut record) in records(store).await? {
        if (record.id == which || record.name == which) && !record.revoked {
            record.revoked = true;
            store.set(&at, serde_json::to_vec(&record)?).await?;
            revoked.push(record);
        }
    }
    if revoked.is_empty() {
        bail!("there is no key `{which}` that could be revoked");
    }
    flush(stores).await;
    Ok(revoked)
}

/// Whether requests must show a key; none where the store cannot say.
pub async fn are_made(stores: &Stores) -> Option<bool> {
    store(stores).ok()?.exists(MADE).await.ok()
}

async fn records(store: &Store) -> Result<Vec<(String, Record)>> {
    let mut records = Vec::new();
    for at in store.keys().await?.into_iter().filter(|key| key.starts_with("keys/") && key != MADE) {
        if let Some(record) = store.get(&at).await? {
            let record = serde_json::from_slice(&record).with_context(|| format!("the record `{at}` is damaged"))?;
            records.push((at, record));
        }
    }
    Ok(records)
}

/// The disk is waited for off the threads that serve.
async fn flush(stores: &Stores) {
    if tokio::runtime::Handle::current().runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread {
        tokio::task::block_in_place(|| stores.flush());
    } else {
        stores.flush();
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// `90s`, `15m`, `12h`, `30d`.
pub fn span(text: &str) -> Result<Duration> {
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => bail!("`{text}` must be a number and s, m, h or d: 30d"),
    };
    let number: u64 =
        number.parse().ok().with_context(|| format!("`{text}` must be a number and s, m, h or d: 30d"))?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyvalue::{Kind, Place};

    fn stores() -> std::sync::Arc<Stores> {
        let kinds = BTreeMap::from([(STORE.to_owned(), Kind::default())]);
        Stores::open(&Place::Memory, &kinds, std::path::Path::new("/nowhere")).expect("memory")
    }

    fn wanted(name: &str) -> Wanted {
        Wanted { name: name.to_owned(), ..Wanted::default() }
    }

    #[tokio::test]
    async fn a_key_is_kept_as_its_hash_and_stays_when_it_ends() {
        let stores = stores();
        assert_eq!(are_made(&stores).await, Some(false));
        let (key, record) = create(&stores, wanted("phone")).await.expect("a key");
        assert_eq!(are_made(&stores).await, Some(true));
        let kept = stores.get(STORE).expect("a store");
        for at in kept.keys().await.expect("memory") {
            let value = kept.get(&at).await.expect("memory").expect("a value");
            assert!(!at.contains(&key) && !String::from_utf8_lossy(&value).contains(&key));
        }
        assert!(create(&stores, wanted("phone")).await.is_err());
        assert_eq!(revoke(&stores, &record.id).await.expect("revoked")[0].name, "phone");
        assert!(revoke(&stores, "phone").await.is_err());
        assert_eq!(list(&stores).await.expect("a list")[0].state(), "revoked");
        assert_eq!(are_made(&stores).await, Some(true));
        create(&stores, wanted("phone")).await.expect("the name is free again");
    }

    #[tokio::test]
    async fn odd_wishes_are_refused() {
        for name in ["", "a b", "é", &"x".repeat(65)] {
            assert!(create(&stores(), wanted(name)).await.is_err(), "{name}");
        }
        let limits = BTreeMap::from([("requests_per_minute".to_owned(), 0)]);
        assert!(create(&stores(), Wanted { limits, ..wanted("a") }).await.is_err());
    }

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(span("30d").expect("a span"), Duration::from_secs(30 * 86_400));
        for wrong in ["", "30", "d", "30é", "-1d"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
