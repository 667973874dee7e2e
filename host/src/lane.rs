//! Lanes: threads that serve, each with a runtime of its own. They are given connections, and work of the host's.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::connection;
use crate::memory;
use crate::request::Desk;
use crate::server::Stop;
use crate::tasks::Tasks;

/// How often a lane looks whether there is memory to give back.
const TIDY: Duration = Duration::from_secs(1);
/// Instances that had nothing to do for so long go. New ones cost a request a millisecond or two, so pauses of a second in
/// traffic are no reason.
const SPARE: Duration = Duration::from_secs(2);

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
type Work = Box<dyn FnOnce(Arc<Desk>) -> Running + Send>;

enum Given {
    Connection(std::net::TcpStream, SocketAddr),
    Work(Work),
    NoMore,
}

/// All lanes. Cheap to clone.
#[derive(Clone)]
pub struct Lanes(Arc<[Lane]>);

struct Lane {
    given: mpsc::UnboundedSender<Given>,
    /// Connections and works at hand; the next one goes where there are fewest.
    open: Arc<AtomicUsize>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

/// A lane that has not started yet. What it is given waits.
pub struct Beginning {
    given: mpsc::UnboundedReceiver<Given>,
    open: Arc<AtomicUsize>,
    end: oneshot::Sender<()>,
}

impl Lanes {
    pub fn new(count: usize) -> (Self, Vec<Beginning>) {
        let (lanes, beginnings): (Vec<_>, Vec<_>) = (0..count)
            .map(|_| {
                let (sender, given) = mpsc::unbounded_channel();
                let (end, ended) = oneshot::channel();
                let open = Arc::new(AtomicUsize::new(0));
                let lane = Lane { given: sender, open: Arc::clone(&open), ended: Mutex::new(Some(ended)) };
                (lane, Beginning { given, open, end })
            })
            .unzip();
        (Self(lanes.into()), beginnings)
    }

    pub fn take(&self, stream: TcpStream, client: SocketAddr) {
        if let Ok(stream) = stream.into_std() {
            self.give(Given::Connection(stream, client));
        }
    }

    /// Has a lane do this. Once the lanes have ended it is dropped.
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(&self, work: impl FnOnce(Arc<Desk>) -> F + Send + 'static) {
        self.give(Given::Work(Box::new(move |desk| Box::pin(work(desk)))));
    }

    /// The same, waiting for what comes of it. Who no longer waits ends it.
    pub async fn run<T, F>(&self, work: impl FnOnce(Arc<Desk>) -> F + Send + 'static) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (mut told, result) = oneshot::channel();
        self.spawn(move |desk| {
            let work = work(desk);
            async move {
                tokio::select! {
                    // Nobody may wait any more.
                    result = work => drop(told.send(result)),
                    () = told.closed() => {}
                }
            }
        });
        result.await.ok()
    }

    fn give(&self, given: Given) {
        let lane = self.0.iter().min_by_key(|lane| lane.open.load(Ordering::Relaxed)).expect("there is at least one");
        lane.open.fetch_add(1, Ordering::Relaxed);
        // Who still gives when all is over gives in vain.
        let _ = lane.given.send(given);
    }

    /// Nothing more comes; resolves when everything there is has ended.
    pub async fn ended(&self) {
        for lane in self.0.iter() {
            let _ = lane.given.send(Given::NoMore);
        }
        for lane in self.0.iter() {
            let ended = lane.ended.lock().expect("nobody panics holding it").take();
            if let Some(ended) = ended {
                let _ = ended.await;
            }
        }
    }
}

impl Beginning {
    pub fn start(self, desk: Arc<Desk>, stop: Stop) -> Result<()> {
        let Beginning { mut given, open, end } = self;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name(format!("lane-{}", desk.lane)).spawn(move || {
            runtime.block_on(async move {
                let tasks = Tasks::default();
                let mut tidying = tokio::time::interval(TIDY);
                let mut looked = Instant::now();
                loop {
                    let given = tokio::select! {
                        given = given.recv() => given,
                        _ = tidying.tick() => {
                            memory::tidy();
                            if looked.elapsed() >= SPARE {
                                looked = Instant::now();
                                desk.registry.spare(desk.lane);
                            }
                            continue;
                        }
                    };
                    let Some(given) = given else { break };
                    let (desk, stop, open) = (Arc::clone(&desk), stop.clone(), Arc::clone(&open));
                    match given {
                        Given::Connection(stream, client) => tasks.spawn(async move {
                            if let Ok(stream) = TcpStream::from_std(stream) {
                                connection::serve(desk, stream, client, stop).await;
                            }
                            open.fetch_sub(1, Ordering::Relaxed);
                        }),
                        Given::Work(work) => tasks.spawn(async move {
                            work(desk).await;
                            open.fetch_sub(1, Ordering::Relaxed);
                        }),
                        Given::NoMore => break,
                    }
                }
                tasks.ended().await;
                desk.tasks.ended().await;
            });
            let _ = end.send(());
        })?;
        Ok(())
    }
}
