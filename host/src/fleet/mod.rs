//! Hosts that serve the same components. They share a Redis, in which it is written which version of a component all of
//! them are to serve, and which is on trial. Whoever is told to swap for the fleet puts the version through its own gates
//! first and writes it down then; the others see that, get the bytes from a host that has them, and put them through their
//! own gates (`follow.rs`). A host that was away finds what was written when it is back.

mod bytes;
mod follow;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::canary;
use crate::config::Config;
use crate::keyvalue::{Place, Store, Stores};
use crate::oci;

/// The store that the fleet's records are in.
const STORE: &str = "fleet";
/// Another text for every change; whoever has seen the one that is there has seen all of them.
const STAMP: &str = "stamp";

/// `[fleet]`, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// Whether this host serves what the others do.
    pub join: bool,
    /// Where the others reach this host's admin address; by default where it listens.
    pub address: Option<String>,
    /// A folder in the layout of OCI images, where bytes are looked for too.
    pub layout: Option<PathBuf>,
    /// A place in a registry of OCI images, where bytes are looked for last, each component's in a repository below it.
    pub registry: Option<String>,
}

/// What all are to serve as one component. The newest record of a name is what counts, wherever it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    revision: u64,
    #[serde(flatten)]
    serving: Version,
    #[serde(default)]
    trial: Option<Trial>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    pub sha256: String,
    pub signature: Option<String>,
    /// Who wrote it down, and had the bytes.
    #[serde(default)]
    by: Option<String>,
}

/// A version that a share of all clients gets, on every host the same ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Trial {
    #[serde(flatten)]
    version: Version,
    /// In hundredths of a percent.
    share: u32,
    promote_after: Option<u64>,
    /// The change that began it, by which its counts are found.
    since: u64,
}

impl Record {
    /// Two hosts may write at the same moment; then all agree on one of them, whichever.
    fn is_newer_than(&self, other: &Self) -> bool {
        let rank = |record: &Self| (record.revision, record.trial.is_none(), record.serving.clone());
        rank(self).cmp(&rank(other)) == Ordering::Greater
    }
}

/// This host's part in it. Lives as long as the process.
pub struct Fleet {
    stores: Arc<Stores>,
    address: Option<String>,
    token: Option<String>,
    layout: Option<PathBuf>,
    registry: Option<oci::Registry>,
    /// The newest that this host has seen or written. A Redis that came back without it gets it from here.
    known: Mutex<BTreeMap<String, Record>>,
}

impl Fleet {
    /// `None` where this host is to be on its own.
    pub fn new(config: &Config, stores: &Arc<Stores>, admin: Option<SocketAddr>) -> Result<Option<Arc<Self>>> {
        if !config.fleet.join {
            return Ok(None);
        }
        ensure!(stores.shared().is_some(), "`fleet.join` needs a `store` that hosts share: redis://HOST");
        ensure!(stores.get(STORE).is_some(), "`fleet.join` needs `[stores.{STORE}]`");
        let told = config.fleet.address.clone();
        let address = told.or_else(|| admin.map(|listen| reached(listen, &config.place).to_string()));
        let registry = config.fleet.registry.as_deref().map(|place| oci::Registry::parse(place, config));
        Ok(Some(Arc::new(Self {
            stores: Arc::clone(stores),
            address,
            token: config.admin.token.clone(),
            layout: config.fleet.layout.clone(),
            registry: registry.transpose().context("in `fleet.registry`")?,
            known: Mutex::default(),
        })))
    }

    fn store(&self) -> &Store {
        self.stores.get(STORE).expect("it was there when the fleet was joined")
    }

    /// Tells all others to serve this, too. It serves here already.
    pub async fn announce(&self, name: &str, serving: Version) -> Result<u64> {
        self.change(name, |record| {
            record.serving = serving;
            record.trial = None;
        })
        .await
    }

    /// Tells all others to give this to a share of their clients, too. It is on trial here already, beside what serves.
    /// There is one trial at a time.
    pub async fn begin_trial(&self, name: &str, serving: Version, tried: Version, terms: canary::Terms) -> Result<u64> {
        let others: Vec<String> = {
            let known = self.known.lock().expect("nobody panics holding it");
            let on_trial = known.iter().filter(|(other, record)| *other != name && record.trial.is_some());
            on_trial.map(|(other, _)| other.clone()).collect()
        };
        for other in others {
            self.end_trial(&other).await?;
        }
        self.change(name, |record| {
            let since = record.revision + 1;
            let canary::Terms { share, promote_after, .. } = terms;
            record.serving = serving;
            record.trial = Some(Trial { version: tried, share, promote_after, since });
        })
        .await
    }

    /// Tells all others that what was on trial serves nobody any more.
    pub async fn end_trial(&self, name: &str) -> Result<u64> {
        self.change(name, |record| record.trial = None).await
    }

    /// A version whose bytes this host has.
    pub fn version(&self, sha256: &str, signature: Option<String>) -> Version {
        Version { sha256: sha256.to_owned(), signature, by: self.address.clone() }
    }

    /// Writes a newer record of a component than any that is known.
    async fn change(&self, name: &str, edit: impl FnOnce(&mut Record)) -> Result<u64> {
        let written = self.read(name).await.ok().flatten();
        let record = {
            let mut known = self.known.lock().expect("nobody panics holding it");
            let record = known.entry(name.to_owned()).or_default();
            if let Some(written) = written.filter(|written| written.is_newer_than(record)) {
                *record = written;
            }
            edit(record);
            record.revision += 1;
            record.clone()
        };
        self.write(name, &record).await?;
        let is_shared = self.stores.shared().is_some_and(|(is_up, _)| is_up);
        ensure!(is_shared, "Redis is away: the others hear of it when it is back");
        Ok(record.revision)
    }

    async fn read(&self, name: &str) -> Result<Option<Record>> {
        let text = self.store().look(&key(name)).await?;
        text.map(|text| serde_json::from_slice(&text).context("what is written of a component")).transpose()
    }

    /// The record first: whoever sees the stamp sees it too.
    async fn write(&self, name: &str, record: &Record) -> Result<()> {
        self.store().set(&key(name), serde_json::to_vec(record)?).await?;
        let mut stamp = [0; 8];
        getrandom::fill(&mut stamp).ok().context("the system gives no random numbers")?;
        let stamp = format!("{:016x}", u64::from_le_bytes(stamp));
        Ok(self.store().set(STAMP, stamp.into_bytes()).await?)
    }

    /// What all are to serve by a name, as far as anybody knows.
    async fn newest(&self, name: &str) -> Result<Option<Record>> {
        let written = self.read(name).await?;
        let ours = self.known.lock().expect("nobody panics holding it").get(name).cloned();
        match (written, ours) {
            (written, Some(ours)) if written.as_ref().is_none_or(|written| ours.is_newer_than(written)) => {
                // Redis came back without it.
                self.write(name, &ours).await?;
                Ok(Some(ours))
            }
            (Some(written), _) => {
                self.known.lock().expect("nobody panics holding it").insert(name.to_owned(), written.clone());
                Ok(Some(written))
            }
            (None, _) => Ok(None),
        }
    }

    /// The components of which something is written, or was.
    async fn names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = {
            let known = self.known.lock().expect("nobody panics holding it");
            known.keys().cloned().collect()
        };
        let keys = self.store().keys().await?;
        names.extend(keys.iter().filter_map(|key| key.strip_prefix("component/")).map(str::to_owned));
        names.sort();
        names.dedup();
        Ok(names)
    }
}

/// Where others reach what listens on all addresses: by the one from which this host reaches the Redis that they share.
fn reached(listen: SocketAddr, place: &Place) -> SocketAddr {
    let Place::Redis(address) = place else { return listen };
    if !listen.ip().is_unspecified() {
        return listen;
    }
    let own = || {
        let host = address.url.split_once("://")?.1.split('/').next()?.rsplit('@').next()?;
        let host = if host.rsplit(']').next()?.contains(':') { host.to_owned() } else { format!("{host}:6379") };
        let socket = UdpSocket::bind("[::]:0").or_else(|_| UdpSocket::bind("0.0.0.0:0")).ok()?;
        // Nothing is sent: the system only finds the way.
        socket.connect(host).ok()?;
        Some(socket.local_addr().ok()?.ip().to_canonical())
    };
    SocketAddr::new(own().unwrap_or(listen.ip()), listen.port())
}

fn key(name: &str) -> String {
    format!("component/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis_link::Address;

    #[test]
    fn of_two_records_written_at_once_all_take_the_same() {
        let record = |revision, sha256: &str, trial: Option<Trial>| {
            let serving = Version { sha256: sha256.to_owned(), ..Version::default() };
            Record { revision, serving, trial }
        };
        let trial = Trial { version: Version::default(), share: 500, promote_after: None, since: 3 };
        let (one, other) = (record(4, "a", None), record(4, "b", Some(trial)));
        assert!(one.is_newer_than(&other) && !other.is_newer_than(&one));
        assert!(record(5, "a", None).is_newer_than(&record(4, "z", None)));
        assert!(!one.is_newer_than(&one.clone()));
    }

    #[test]
    fn a_host_that_listens_everywhere_is_reached_by_the_address_that_leads_to_redis() {
        let listen = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let redis = |url: &str| Place::Redis(Address { url: url.to_owned(), ca: None });
        for url in ["redis://127.0.0.1", "redis://user:p%40ss@127.0.0.1:6379/2"] {
            assert_eq!(reached(listen("0.0.0.0:3001"), &redis(url)), listen("127.0.0.1:3001"), "{url}");
        }
        assert_eq!(reached(listen("10.0.0.3:3001"), &redis("redis://127.0.0.1")), listen("10.0.0.3:3001"));
        assert_eq!(reached(listen("0.0.0.0:3001"), &Place::Memory), listen("0.0.0.0:3001"));
    }
}
