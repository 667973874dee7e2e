//! Hosts that serve the same components. They share a Redis, in which it is written which version of a component all of
//! them are to serve. Whoever is told to swap for the fleet puts the version through its own gates first and writes it
//! down then; the others see that, get the bytes from a host that has them, and put them through their own gates. A host
//! that was away finds what was written when it is back.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use crate::component;
use crate::config::Config;
use crate::keyvalue::{Place, Store, Stores};
use crate::registry::Registry;
use crate::swap::{Change, Door, Swaps, WeakSwaps};
use crate::telemetry::{self, Level};

/// The store that the fleet's records are in.
const STORE: &str = "fleet";
/// Counts the changes; whoever has seen as many has seen all.
const REVISION: &str = "revision";
/// How often that is looked at. What Redis said is believed for a second (`keyvalue/redis.rs`), so all hosts know of a
/// change within a little more than that.
const LOOK: Duration = Duration::from_millis(200);
/// Somebody counted a change, and was gone before it was written down.
const LOST: Duration = Duration::from_secs(5);
/// How often a host says that it is there, and for how long that is believed.
const SIGN: Duration = Duration::from_secs(5);
const SIGN_LASTS: u64 = 60;
/// Bytes that nobody has just now are asked for again after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// Some hundred megabytes from one host to another.
const FETCH: Duration = Duration::from_secs(120);

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
}

/// What all are to serve as one component.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    revision: i64,
    sha256: String,
    signature: Option<String>,
    /// Who wrote it, and had the bytes.
    by: Option<String>,
}

/// This host's part in it. Lives as long as the process.
pub struct Fleet {
    stores: Arc<Stores>,
    address: Option<String>,
    token: Option<String>,
    layout: Option<PathBuf>,
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
        let (token, layout) = (config.admin.token.clone(), config.fleet.layout.clone());
        Ok(Some(Arc::new(Self { stores: Arc::clone(stores), address, token, layout })))
    }

    fn store(&self) -> &Store {
        self.stores.get(STORE).expect("it was there when the fleet was joined")
    }

    /// Tells all others to serve this, too. It serves here already.
    pub async fn announce(&self, name: &str, sha256: &str, signature: Option<String>) -> Result<i64> {
        let revision = self.store().increment(REVISION, 1).await?;
        let record = Record { revision, sha256: sha256.to_owned(), signature, by: self.address.clone() };
        self.store().set(&key(name), serde_json::to_vec(&record)?).await?;
        let is_shared = self.stores.shared().is_some_and(|(is_up, _)| is_up);
        ensure!(is_shared, "Redis is away: the others hear of it when it is back");
        Ok(revision)
    }

    /// Follows what is written, on a thread of its own, for as long as changes can be handed in.
    pub fn follow(self: &Arc<Self>, registry: &Arc<Registry>, swaps: &Swaps) -> Result<()> {
        let follower = Follower {
            fleet: Arc::clone(self),
            registry: Arc::clone(registry),
            swaps: swaps.downgrade(),
            seen: None,
            counted: None,
            done: HashMap::new(),
            signed: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("fleet".into()).spawn(move || runtime.block_on(follower.run()))?;
        Ok(())
    }

    /// The bytes of a version, from whoever has them.
    async fn fetch(&self, registry: &Registry, name: &str, record: &Record) -> Result<Bytes> {
        let sha256 = &record.sha256;
        let right = |bytes: &[u8]| component::sha256(bytes) == *sha256;
        if let Some(bytes) = registry.kept(name, sha256).filter(|bytes| right(bytes)) {
            return Ok(bytes.into());
        }
        if let Some(layout) = &self.layout
            && let Ok(bytes) = std::fs::read(layout.join("blobs/sha256").join(sha256))
            && right(&bytes)
        {
            return Ok(bytes.into());
        }
        let limit = registry.config().limits.component_bytes;
        let mut problems = Vec::new();
        for address in self.others(record).await? {
            match tokio::time::timeout(FETCH, self.ask(&address, name, sha256, limit)).await {
                Ok(Ok(bytes)) if right(&bytes) => return Ok(bytes),
                Ok(Ok(_)) => problems.push(format!("{address} has other bytes")),
                Ok(Err(error)) => problems.push(format!("{address}: {error:#}")),
                Err(_) => problems.push(format!("{address} takes too long")),
            }
        }
        bail!("nobody has the bytes of {name}@{}: {}", &sha256[..12], problems.join("; "))
    }

    /// Who may have them: whoever wrote the record, and then all that have given a sign.
    async fn others(&self, record: &Record) -> Result<Vec<String>> {
        let mut others: Vec<String> = record.by.clone().into_iter().collect();
        for key in self.store().keys().await? {
            let Some(address) = key.strip_prefix("host/") else { continue };
            let said = self.store().get(&key).await?.and_then(|text| String::from_utf8(text).ok()?.parse::<u64>().ok());
            if said.is_some_and(|said| now().saturating_sub(said) <= SIGN_LASTS) {
                others.push(address.to_owned());
            } else {
                self.store().delete(&key).await?;
            }
        }
        others.retain(|address| Some(address) != self.address.as_ref());
        others.dedup();
        Ok(others)
    }

    async fn ask(&self, address: &str, name: &str, sha256: &str, limit: u64) -> Result<Bytes> {
        let stream = TcpStream::connect(address).await.context("it does not answer")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let path = format!("/components/{name}/bytes?sha256={sha256}");
        let mut request = Request::get(path).header(header::HOST, address);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let talk = async {
            let answer = sender.send_request(request.body(Full::<Bytes>::default())?).await?;
            let status = answer.status();
            ensure!(status == StatusCode::OK, "it answers {status}");
            let body = Limited::new(answer.into_body(), usize::try_from(limit).unwrap_or(usize::MAX));
            let body = body.collect().await.map_err(|error| anyhow::anyhow!("{error}"))?;
            anyhow::Ok(body.to_bytes())
        };
        tokio::select! {
            answered = talk => answered,
            ended = connection => {
                ended?;
                bail!("it closed the connection")
            }
        }
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

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// What a host has done of what is written.
struct Follower {
    fleet: Arc<Fleet>,
    registry: Arc<Registry>,
    swaps: WeakSwaps,
    /// The count up to which everything is done.
    seen: Option<i64>,
    /// A count beyond that, and since when it is known.
    counted: Option<(i64, Instant)>,
    /// By component: the change that was done, or refused.
    done: HashMap<String, i64>,
    signed: Option<Instant>,
}

impl Follower {
    async fn run(mut self) {
        loop {
            let Some(swaps) = self.swaps.upgrade() else { return };
            let wait = match self.look(&swaps).await {
                Ok(()) => LOOK,
                Err(error) => {
                    let error = format!("{error:#}");
                    let message = "the fleet's components could not be followed, again in a moment";
                    telemetry::line(Level::Warn, message, &[("error", (&error).into())]);
                    AGAIN
                }
            };
            drop(swaps);
            tokio::time::sleep(wait).await;
        }
    }

    async fn look(&mut self, swaps: &Swaps) -> Result<()> {
        self.sign().await?;
        let store = self.fleet.store().clone();
        let count = store.get(REVISION).await?.and_then(|text| String::from_utf8(text).ok()?.parse::<i64>().ok());
        let Some(count) = count else { return Ok(()) };
        if self.seen == Some(count) {
            return Ok(());
        }
        let mut newest = 0;
        for key in store.keys().await? {
            let Some(name) = key.strip_prefix("component/") else { continue };
            let Some(text) = store.get(&key).await? else { continue };
            let record: Record = serde_json::from_slice(&text).context("what is written of a component")?;
            newest = newest.max(record.revision);
            self.take(swaps, name, &record).await?;
        }
        // The record of the last change may not be there yet, or be known from a moment before.
        let since = match self.counted {
            Some((known, since)) if known == count => since,
            _ => self.counted.insert((count, Instant::now())).1,
        };
        if newest >= count || since.elapsed() >= LOST {
            self.seen = Some(count);
        }
        Ok(())
    }

    /// Puts into service what is written, unless it is there or was refused.
    async fn take(&mut self, swaps: &Swaps, name: &str, record: &Record) -> Result<()> {
        if self.done.get(name).is_some_and(|done| *done >= record.revision) {
            return Ok(());
        }
        let serving = self.registry.current().member(name).map(|loaded| loaded.sha256.clone());
        if serving.as_deref() != Some(record.sha256.as_str()) {
            let bytes = self.fleet.fetch(&self.registry, name, record).await?;
            let signature = record.signature.clone();
            let change = Change::Put { name: name.to_owned(), bytes, signature, door: Door::Fleet, canary: None };
            // A refusal is in the log, with its reason: this host goes on with what it has.
            let _ = swaps.submit(change).await;
        }
        self.done.insert(name.to_owned(), record.revision);
        Ok(())
    }

    /// Says that this host is there, for others who need bytes.
    async fn sign(&mut self) -> Result<()> {
        let Some(address) = &self.fleet.address else { return Ok(()) };
        if self.signed.is_none_or(|signed| signed.elapsed() >= SIGN) {
            self.fleet.store().set(&format!("host/{address}"), now().to_string().into_bytes()).await?;
            self.signed = Some(Instant::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis_link::Address;

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
