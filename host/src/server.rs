//! Connections in, answers out, and an orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_rustls::TlsAcceptor;

use crate::connection;
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
/// shares everything. A request that turns out to compute is moved off its lane (`request.rs`, `Course`).
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

    pub(crate) async fn told(&self) {
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
        let lanes = (0..registry.lanes())
            .map(|number| {
                let desk = Desk {
                    registry: Arc::clone(&registry),
                    places: Arc::clone(&registry.places),
                    tasks: Tasks::default(),
                    ours,
                    pages: pages.clone(),
                    lane: number,
                    compute: tokio::runtime::Handle::current(),
                    tls: tls.clone(),
                    pinned: None,
                };
                Lane::start(Arc::new(desk), stop.clone())
            })
            .collect::<Result<Vec<_>>>()?;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.told() => break,
            };
            match accepted {
                Ok(accepted) => {
                    let lane = lanes.iter().min_by_key(|lane| lane.open.load(Ordering::Relaxed));
                    lane.expect("there is at least one").take(accepted);
                }
                Err(error) => {
                    // Out of descriptors, most likely: those in use come back as requests end.
                    let error = error.to_string();
                    telemetry::line(Level::Warn, "a connection was not accepted", &[("error", (&error).into())]);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        let ended = async {
            for lane in lanes {
                lane.ended().await;
            }
        };
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

/// A thread that serves connections.
struct Lane {
    connections: mpsc::UnboundedSender<(std::net::TcpStream, SocketAddr)>,
    /// Connections open now; the next one goes where there are fewest.
    open: Arc<AtomicUsize>,
    ended: oneshot::Receiver<()>,
}

impl Lane {
    fn start(desk: Arc<Desk>, stop: Stop) -> Result<Self> {
        let (connections, mut waiting) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let open = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&open);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name(format!("lane-{}", desk.lane)).spawn(move || {
            runtime.block_on(async move {
                let tasks = Tasks::default();
                while let Some((stream, client)) = waiting.recv().await {
                    let (desk, stop, count) = (Arc::clone(&desk), stop.clone(), Arc::clone(&count));
                    tasks.spawn(async move {
                        if let Ok(stream) = TcpStream::from_std(stream) {
                            connection::serve(desk, stream, client, stop).await;
                        }
                        count.fetch_sub(1, Ordering::Relaxed);
                    });
                }
                tasks.ended().await;
                desk.tasks.ended().await;
            });
            let _ = end.send(());
        })?;
        Ok(Self { connections, open, ended })
    }

    fn take(&self, (stream, client): (TcpStream, SocketAddr)) {
        if let Ok(stream) = stream.into_std() {
            self.open.fetch_add(1, Ordering::Relaxed);
            // A lane ends only after its sender is gone.
            let _ = self.connections.send((stream, client));
        }
    }

    /// No more connections come; resolves when those there are have ended.
    async fn ended(self) {
        let Lane { connections, ended, .. } = self;
        drop(connections);
        let _ = ended.await;
    }
}
