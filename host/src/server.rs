//! Connections in, answers out, and an orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::beside::Beside;
use crate::lane::Lanes;
use crate::pages::Pages;
use crate::registry::Registry;
use crate::request::Desk;
use crate::tasks::Tasks;
use crate::telemetry::{self, Level};
use crate::tls;

/// For an event and the end of an answer.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A server that listens. Lives until [`Server::run`] returns.
///
/// Connections are served by lanes: threads that each have a runtime, waiting instances and upstream connections of
/// their own, so that a request never changes threads. Measured: 27 % less CPU per request than one runtime that
/// shares everything. A request that turns out to compute is moved off its lane (`course.rs`).
pub struct Server {
    listener: TcpListener,
    /// Where clients are to come with TLS.
    tls: Option<TlsAcceptor>,
    registry: Arc<Registry>,
    ours: bool,
    pages: Option<Arc<Pages>>,
}

/// How the server is told to end.
#[derive(Clone)]
pub struct Stop {
    sender: Arc<watch::Sender<bool>>,
    receiver: watch::Receiver<bool>,
}

impl Default for Stop {
    fn default() -> Self {
        let (sender, receiver) = watch::channel(false);
        Self { sender: Arc::new(sender), receiver }
    }
}

impl Stop {
    /// Running requests and streams end; nothing new begins.
    pub fn stop(&self) {
        self.sender.send_replace(true);
    }

    pub fn is_told(&self) -> bool {
        *self.receiver.borrow()
    }

    pub async fn told(&self) {
        let mut receiver = self.receiver.clone();
        // The sender is part of `self`, so waiting cannot fail.
        let _ = receiver.wait_for(|stop| *stop).await;
    }
}

impl Server {
    pub async fn bind(registry: Arc<Registry>, ours: bool) -> Result<Self> {
        let config = registry.config();
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let listen = config.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| format!("listening on {listen}"))?;
        Ok(Self { listener, tls, registry, ours, pages: None })
    }

    /// Serves the app too.
    pub fn with_pages(self, pages: Option<Pages>) -> Self {
        Self { pages: pages.map(Arc::new), ..self }
    }

    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves until told to stop and everything that runs has ended, or `limits.shutdown_ms` has passed.
    pub async fn run(self, stop: Stop) -> Result<()> {
        let Server { listener, tls, registry, ours, pages } = self;
        let wait = Duration::from_millis(registry.config().limits.shutdown_ms);
        let (lanes, beginnings) = Lanes::new(registry.lanes());
        let beside = match ours {
            true => Some(Beside::start(&registry, &lanes, &stop)?),
            false => None,
        };
        for (number, beginning) in beginnings.into_iter().enumerate() {
            let desk = Desk {
                registry: Arc::clone(&registry),
                places: Arc::clone(&registry.places),
                tasks: Tasks::default(),
                ours,
                pages: pages.clone(),
                beside: beside.clone(),
                lane: number,
                rounds: Arc::default(),
                compute: registry.compute.clone(),
                tls: tls.clone(),
                pinned: None,
            };
            beginning.start(Arc::new(desk), stop.clone())?;
        }
        drop(beside);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.told() => break,
            };
            match accepted {
                Ok((stream, client)) => lanes.take(stream, client),
                Err(error) => {
                    // Out of descriptors, most likely: those in use come back as requests end.
                    let error = error.to_string();
                    telemetry::line(Level::Warn, "a connection was not accepted", &[("error", (&error).into())]);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        let ended = lanes.ended();
        let mut ended = std::pin::pin!(ended);
        if tokio::time::timeout(wait, ended.as_mut()).await.is_err() {
            // Streams still get to say why they end.
            registry.expire();
            if tokio::time::timeout(LAST_WORDS, ended).await.is_ok() {
                return Ok(());
            }
            telemetry::line(Level::Warn, "requests were still running when `limits.shutdown_ms` passed", &[]);
        }
        Ok(())
    }
}
