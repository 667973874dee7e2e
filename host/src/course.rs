//! A store at work on a request: driven by its connection's task until it ends, or moved to where it may compute.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use anyhow::anyhow;
use tokio::sync::oneshot;

use crate::apart::Broke;
use crate::arrival::Arrival;
use crate::hits;
use crate::limits::Hit;
use crate::registry::{Registry, Worker};
use crate::request::Desk;
use crate::store::Meter;
use crate::telemetry::{self, Level};

/// A store at work on a request, polled by the connection's task until it ends.
///
/// What computes would hold up every other request of its lane, so at the second tick it is moved to the threads that
/// are there for it, and where it comes to a member that is known to compute, before that one begins. From then on this only
/// waits for it.
pub struct Course {
    drive: Drive,
    meter: Arc<Meter>,
    /// Ends the moved work when the client goes away.
    moved: Option<tokio::task::AbortHandle>,
}

impl Course {
    pub fn new(registry: Arc<Registry>, worker: Worker, body_done: Arc<BodyDone>) -> Self {
        let meter = Arc::clone(&worker.store.data().meter);
        Self { drive: Box::pin(drive(registry, worker, body_done)), meter, moved: None }
    }

    pub fn poll(&mut self, desk: &Desk, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.moved.is_some() {
            return self.drive.as_mut().poll(cx);
        }
        // The first member may be known already.
        if !self.meter.computes() {
            let poll = self.meter.run(|| self.drive.as_mut().poll(cx));
            if poll.is_ready() || !self.meter.computes() {
                return poll;
            }
        }
        let mut work = std::mem::replace(&mut self.drive, Box::pin(std::future::pending()));
        let meter = Arc::clone(&self.meter);
        let moved = desk.compute.spawn(std::future::poll_fn(move |cx| meter.run_apart(|| work.as_mut().poll(cx))));
        self.moved = Some(moved.abort_handle());
        self.drive = Box::pin(async move {
            moved.await.unwrap_or_else(|error| Err(Broken { error: error.into(), components: String::new() }))
        });
        self.drive.as_mut().poll(cx)
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        if let Some(moved) = &self.moved {
            moved.abort();
        }
    }
}

type Drive = Pin<Box<dyn Future<Output = Result<(), Broken>> + Send>>;

/// A component broke off, and took its store with it.
pub struct Broken {
    pub error: anyhow::Error,
    /// Who worked on the request until then.
    pub components: String,
}

/// That the answer's last byte is out, told to the task that drives the store; and how the request's body comes in.
pub struct BodyDone {
    done: AtomicBool,
    driver: futures::task::AtomicWaker,
    pub arrival: Arrival,
}

impl AsRef<Arrival> for BodyDone {
    fn as_ref(&self) -> &Arrival {
        &self.arrival
    }
}

impl BodyDone {
    pub fn new(started: Instant) -> Self {
        Self { done: AtomicBool::new(false), driver: futures::task::AtomicWaker::new(), arrival: Arrival::new(started) }
    }

    /// Of what has no body to send.
    pub fn told() -> Arc<Self> {
        let this = Self::new(Instant::now());
        this.tell();
        Arc::new(this)
    }

    pub fn tell(&self) {
        self.done.store(true, Ordering::Release);
        self.driver.wake();
    }

    fn is_told(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }
}

/// Why the event loop was left.
enum Step {
    Instantiate(usize, oneshot::Sender<()>),
    Done,
}

/// Runs a worker's store until its request is over, and gives the worker back.
pub async fn drive(registry: Arc<Registry>, mut worker: Worker, body_done: Arc<BodyDone>) -> Result<(), Broken> {
    loop {
        let step = worker
            .store
            .run_concurrent(async |accessor| {
                std::future::poll_fn(|cx| {
                    let (wanted, root_done) = accessor.with(|mut access| {
                        let state = access.data_mut();
                        if !state.driver.as_ref().is_some_and(|driver| driver.will_wake(cx.waker())) {
                            state.driver = Some(cx.waker().clone());
                        }
                        (state.wanted.pop(), state.root_done)
                    });
                    if let Some((member, done)) = wanted {
                        return Poll::Ready(Step::Instantiate(member, done));
                    }
                    // Work after the answer belongs to the request too: the worker is free when all of it has ended.
                    if root_done {
                        body_done.driver.register(cx.waker());
                        if body_done.is_told() && accessor.poll_no_interesting_tasks(cx).is_ready() {
                            return Poll::Ready(Step::Done);
                        }
                    }
                    Poll::Pending
                })
                .await
            })
            .await;
        match step {
            Ok(Step::Instantiate(member, done)) => {
                if worker.store.data().live[member].is_none()
                    && let Err(error) = worker.instantiate(member).await
                {
                    return Err(broken(&mut worker, &error));
                }
                let _ = done.send(());
            }
            Ok(Step::Done) => {
                worker.store.data_mut().end();
                say(&worker);
                registry.give_back(worker);
                return Ok(());
            }
            Err(error) => return Err(broken(&mut worker, &anyhow::Error::from(error))),
        }
    }
}

/// What went wrong, with the name of the component in which it did and what that one printed.
fn broken(worker: &mut Worker, error: &anyhow::Error) -> Broken {
    worker.store.data_mut().end();
    if let Some(broke) = error.downcast_ref::<Broke>() {
        return Broken { error: broke.error(), components: worker.store.data().components() };
    }
    let snapshot = &worker.generation.snapshot;
    let culprit = error.downcast_ref::<wasmtime::WasmBacktrace>().and_then(|trace| {
        let place = trace.frames().first()?.module().image_range().start;
        snapshot.members.iter().find(|member| member.loaded.code.image_range().contains(&place))
    });
    if let Some(member) = culprit {
        member.loaded.stats.trap();
    }
    if let Some(hit) = error.downcast_ref::<Hit>() {
        worker.store.data().metrics.limits.add(&[&hit.component, hit.kind.name()], 1);
        let error = anyhow::Error::new(hit.clone());
        return Broken { error, components: worker.store.data().components() };
    }
    if let Some(limit) = hits::limit(error) {
        let name = culprit.map_or("", |member| member.loaded.name.as_str());
        worker.store.data().metrics.limits.add(&[name, limit], 1);
    }
    let name = culprit.map_or("a component", |member| member.loaded.name.as_str());
    let cause = error.root_cause().to_string();
    let printed = worker.store.data().output.take().map(|text| format!("; it printed: {text}")).unwrap_or_default();
    Broken { error: anyhow!("`{name}` broke off: {cause}{printed}"), components: worker.store.data().components() }
}

/// Logs what components printed.
fn say(worker: &Worker) {
    if telemetry::enabled(Level::Info)
        && let Some(text) = worker.store.data().output.take()
    {
        telemetry::line(Level::Info, "printed by a component", &[("text", (&text).into())]);
    }
}
