//! Redis, asked over one connection that is made again when it breaks.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, Pipeline, TlsCertificates};
use tokio::runtime::Handle;

/// Where a Redis is. The URL may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub url: String,
    /// Who vouches for it, beside whom the system trusts: a file of PEM.
    pub ca: Option<PathBuf>,
}

impl Address {
    /// `redis://[user:password@]host[:port][/db]`, or `rediss://` for TLS.
    pub fn parse(text: &str, ca: Option<&Path>) -> Option<Self> {
        let known = text.starts_with("redis://") || text.starts_with("rediss://");
        known.then(|| Self { url: text.to_owned(), ca: ca.map(Path::to_owned) })
    }

    pub fn client(&self) -> Result<Client> {
        let root_cert = match &self.ca {
            Some(file) => Some(std::fs::read(file).with_context(|| format!("reading {}", file.display()))?),
            None => None,
        };
        let client = match root_cert {
            Some(root) if self.url.starts_with("rediss://") => {
                Client::build_with_tls(self.url.as_str(), TlsCertificates { client_tls: None, root_cert: Some(root) })
            }
            _ => Client::open(self.url.as_str()),
        };
        // Its own message could hold the password.
        client.ok().context("the store's address is no redis:// or rediss:// URL, or its certificates cannot be read")
    }
}

/// Opening a connection; a Redis nearby takes a millisecond, with TLS ten.
const CONNECT: Duration = Duration::from_secs(1);
/// Waiting for an answer, beside a second for each of these bytes sent.
const PATIENCE: Duration = Duration::from_secs(2);
const BYTES_A_SECOND: usize = 8 * 1024 * 1024;
/// Those who ask while Redis is away are told at once, but for one of them in so long.
const RETRY: Duration = Duration::from_millis(250);

/// Redis did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum Away {
    #[error("Redis is away: {0}")]
    Gone(String),
    /// It is there, and says no: it is full, say, or still reads what it has kept.
    #[error("Redis refuses: {0}")]
    Refused(String),
}

/// Lives as long as whoever asks.
pub struct Link {
    client: Client,
    state: Mutex<State>,
    /// Held while a connection is made.
    connecting: tokio::sync::Mutex<()>,
    /// Where the connection itself runs: those who ask may end before it.
    runtime: Handle,
}

#[derive(Default)]
struct State {
    up: Option<(MultiplexedConnection, Instant)>,
    failed: Option<Instant>,
}

impl Link {
    pub fn new(client: Client, runtime: Handle) -> Self {
        Self { client, state: Mutex::default(), connecting: tokio::sync::Mutex::default(), runtime }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics holding it")
    }

    /// For how long it has been connected without a break.
    pub fn up_for(&self) -> Option<Duration> {
        self.state().up.as_ref().map(|(_, since)| since.elapsed())
    }

    /// Everything in the pipeline, in order. `bytes` is about how much is sent or asked for.
    pub async fn ask<T: FromRedisValue + Send + 'static>(&self, pipe: Pipeline, bytes: usize) -> Result<T, Away> {
        let mut up = self.connection().await?;
        let patience = PATIENCE + Duration::from_secs((bytes / BYTES_A_SECOND) as u64);
        let error = match tokio::time::timeout(patience, pipe.query_async::<T>(&mut up)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if !error.is_io_error() && !error.is_unrecoverable_error() => {
                return Err(Away::Refused(error.to_string()));
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        let mut state = self.state();
        (state.up, state.failed) = (None, None);
        Err(Away::Gone(error))
    }

    async fn connection(&self) -> Result<MultiplexedConnection, Away> {
        if let Some(up) = self.at_once()? {
            return Ok(up);
        }
        let _connecting = self.connecting.lock().await;
        if let Some(up) = self.at_once()? {
            return Ok(up);
        }
        let client = self.client.clone();
        let made = self.runtime.spawn(async move { connect(&client).await }).await;
        let made = made.map_err(|error| error.to_string()).and_then(|made| made.map_err(|error| error.to_string()));
        let mut state = self.state();
        match made {
            Ok(up) => {
                *state = State { up: Some((up.clone(), Instant::now())), failed: None };
                Ok(up)
            }
            Err(error) => {
                state.failed = Some(Instant::now());
                Err(Away::Gone(error))
            }
        }
    }

    fn at_once(&self) -> Result<Option<MultiplexedConnection>, Away> {
        let state = self.state();
        if let Some((up, _)) = &state.up {
            return Ok(Some(up.clone()));
        }
        match state.failed {
            Some(failed) if failed.elapsed() < RETRY => {
                Err(Away::Gone("it could not be reached a moment ago".to_owned()))
            }
            _ => Ok(None),
        }
    }
}

/// A connection whose questions may take as long as they like.
pub async fn connect(client: &Client) -> redis::RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config).await
}
