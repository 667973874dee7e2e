//! Calls that are worked on apart from the requests that make them: those of components that the configuration has `apart`.
//!
//! The instances of a request share a store, and a store computes on one core. A component that computes has stores to itself
//! in place of that, as many as there are cores, whoever calls it: calls that one request makes beside each other use all
//! cores, and what an instance holds in memory is there once for each core and not for each request.
//!
//! A call that is carried over is plain values; what it gives back may hold a stream of numbers (`Function::can_be_carried`). All
//! others are answered in the request's own store.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use anyhow::Result;
use futures::task::AtomicWaker;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use wasmtime::component::{
    Accessor, AccessorTask, ComponentType, Destination, HasSelf, Lift, LinkerInstance, Lower, Source, StreamAny,
    StreamConsumer, StreamProducer, StreamReader, StreamResult, Val, VecBuffer,
};
use wasmtime::{AsContextMut, StoreContextMut};

use crate::course::{BodyDone, Broken, drive};
use crate::limits::Hit;
use crate::link::{Target, live, use_member, within};
use crate::registry::{Generation, Registry};
use crate::store::State;

/// Where the calls from a store find others. Lives as long as its store.
#[derive(Default)]
pub struct Home {
    pub registry: Weak<Registry>,
    pub generation: Weak<Generation>,
}

/// Work on a call broke off. It has been counted where it happened.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}")]
pub struct Broke {
    what: String,
    hit: Option<Hit>,
}

impl Broke {
    fn new(broken: &Broken) -> Self {
        Self { what: broken.error.to_string(), hit: broken.error.downcast_ref::<Hit>().cloned() }
    }

    /// As it was in its own store.
    pub fn error(&self) -> anyhow::Error {
        match &self.hit {
            Some(hit) => hit.clone().into(),
            None => anyhow::anyhow!(self.what.clone()),
        }
    }
}

/// Every call of an imported function becomes one of the target's in another store.
pub fn define(instance: &mut LinkerInstance<'_, State>, name: &str, target: Target) -> Result<()> {
    instance.func_new_concurrent(name, move |accessor, _, params, results| {
        Box::pin(async move {
            use_member(accessor, target.member).await?;
            let limit = accessor.with(|mut access| access.data_mut().seat(target.member).limits.call);
            let began = Instant::now();
            within(accessor, limit, target.member, carry(accessor, target, params, results)).await?;
            accessor.with(|mut access| access.data_mut().note_call(target.member, began.elapsed()));
            Ok(())
        })
    })?;
    Ok(())
}

/// Has a call worked on when a core is free for it. Whoever drops this ends the work.
async fn carry(
    accessor: &Accessor<State>,
    target: Target,
    params: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let (registry, generation, meter, part, lane) = accessor.with(|mut access| {
        let state = access.data_mut();
        let home = (state.home.registry.upgrade(), state.home.generation.upgrade());
        (home.0, home.1, Arc::clone(state.meter.of_request()), state.hooks.part.clone(), state.lane())
    });
    let gone = || wasmtime::Error::msg("the host has ended");
    let (Some(registry), Some(generation)) = (registry, generation) else { return Err(gone()) };
    let place = Arc::clone(&generation.apart[target.member].places).acquire_owned().await?;

    let limit = generation.config.limits.request();
    let mut worker = registry.worker_apart(generation, target.member, lane).await;
    worker.served += 1;
    worker.store.set_epoch_deadline(1);
    let state = worker.store.data_mut();
    state.begin_apart(target.member, &meter);
    state.hooks.part = part;
    let meter = Arc::clone(&state.meter);
    let fate = Arc::<Fate>::default();
    let (told, wait) = oneshot::channel();
    let (params, count) = (params.to_vec(), results.len());
    worker.store.spawn(Root { target, params, results: count, told, fate: Arc::clone(&fate) })?;

    let compute = registry.compute.clone();
    let told_of = Arc::clone(&fate);
    let task = compute.spawn(async move {
        let _place = place;
        let mut work = Box::pin(drive(registry, worker, BodyDone::told()));
        let work = std::future::poll_fn(move |cx| meter.run_apart(|| work.as_mut().poll(cx)));
        // What follows the call may take as long as a request may.
        let end = match tokio::time::timeout(limit, work).await {
            Ok(end) => end.err().map(|broken| Broke::new(&broken)),
            Err(_) => Some(Broke { what: format!("a call apart took longer than {limit:?}"), hit: None }),
        };
        told_of.tell(end);
    });
    let mut under_way = UnderWay(Some(task.abort_handle()));
    let Ok(Carried { values, outlet, used }) = wait.await else {
        let _ = task.await;
        return Err(fate.broke().map_or_else(gone, wasmtime::Error::from));
    };
    // What it streams comes as it is read, and nobody who reads ends that.
    under_way.0 = None;
    accessor.with(|mut access| {
        access.data_mut().note_others(&used);
        let stream = outlet.map(|outlet| outlet.stream(access.as_context_mut())).transpose()?;
        for (result, mut value) in results.iter_mut().zip(values) {
            if let (Some(place), Some(stream)) = (stream_in(&mut value), &stream) {
                place.clone_from(stream);
            }
            *result = value;
        }
        Ok(())
    })
}

/// A call that somebody waits for.
struct UnderWay(Option<AbortHandle>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(work) = &self.0 {
            work.abort();
        }
    }
}

/// What a call gave, taken out of its store.
struct Carried {
    values: Vec<Val>,
    outlet: Option<Outlet>,
    used: Vec<usize>,
}

/// The call, as a task of its store.
struct Root {
    target: Target,
    params: Vec<Val>,
    results: usize,
    told: oneshot::Sender<Carried>,
    fate: Arc<Fate>,
}

impl AccessorTask<State, HasSelf<State>> for Root {
    async fn run(self, accessor: &Accessor<State>) -> wasmtime::Result<()> {
        let Root { target, params, results, told, fate } = self;
        let (function, _) = live(accessor, target).await?;
        let mut values = vec![Val::Bool(false); results];
        function.call_concurrent(accessor, &params, &mut values).await?;
        accessor.with(|mut access| {
            let stream = values.iter_mut().find_map(stream_in).cloned();
            let outlet = stream.map(|stream| Outlet::of(access.as_context_mut(), stream, fate)).transpose()?;
            let state = access.data_mut();
            state.root_done = true;
            // Nobody listens any more when the request has ended.
            let _ = told.send(Carried { values, outlet, used: state.used.clone() });
            Ok(())
        })
    }
}

/// The one stream that a value may hold.
fn stream_in(value: &mut Val) -> Option<&mut StreamAny> {
    match value {
        Val::Stream(stream) => Some(stream),
        Val::Tuple(values) => values.iter_mut().find_map(stream_in),
        Val::Record(fields) => fields.iter_mut().find_map(|(_, value)| stream_in(value)),
        Val::Variant(_, Some(value)) | Val::Option(Some(value)) => stream_in(value),
        Val::Result(Ok(Some(value)) | Err(Some(value))) => stream_in(value),
        // Lists hold none.
        _ => None,
    }
}

/// How the work on a call ended, after all that followed it. Its stream ends when this is known: what broke off must not
/// look whole.
#[derive(Default)]
struct Fate {
    end: OnceLock<Option<Broke>>,
    reader: AtomicWaker,
}

impl Fate {
    fn tell(&self, end: Option<Broke>) {
        let _ = self.end.set(end);
        self.reader.wake();
    }

    fn broke(&self) -> Option<Broke> {
        self.end.get().cloned().flatten()
    }
}

/// A stream of one of the types that are carried.
enum Outlet {
    Bytes(Out<u8>),
    Numbers(Out<f32>),
}

impl Outlet {
    fn of(mut store: impl AsContextMut<Data = State>, stream: StreamAny, fate: Arc<Fate>) -> wasmtime::Result<Self> {
        match stream.clone().try_into_stream_reader::<f32>() {
            Ok(reader) => Ok(Self::Numbers(Out::of(&mut store, reader, fate)?)),
            Err(_) => Ok(Self::Bytes(Out::of(&mut store, stream.try_into_stream_reader::<u8>()?, fate)?)),
        }
    }

    fn stream(self, store: impl AsContextMut<Data = State>) -> wasmtime::Result<StreamAny> {
        match self {
            Outlet::Bytes(out) => out.stream(store),
            Outlet::Numbers(out) => out.stream(store),
        }
    }
}

/// Values on their way from one store to another.
struct Pipe<T> {
    flow: Mutex<Flow<T>>,
    fate: Arc<Fate>,
}

struct Flow<T> {
    values: Vec<T>,
    /// No more come.
    ended: bool,
    /// Nobody takes any more.
    unwanted: bool,
    writer: Option<Waker>,
    reader: Option<Waker>,
}

/// Values in a pipe at once.
const MOST: usize = 64 * 1024;

impl<T> Pipe<T> {
    fn flow(&self) -> std::sync::MutexGuard<'_, Flow<T>> {
        self.flow.lock().expect("nobody panics holding it")
    }
}

/// Where the call's own store puts them in.
struct In<T>(Arc<Pipe<T>>);

/// Where the other takes them out.
struct Out<T>(Arc<Pipe<T>>);

/// What may be in a carried stream.
trait Number: ComponentType + Lift + Lower + Copy + Send + Sync + 'static {}
impl Number for u8 {}
impl Number for f32 {}

impl<T: Number> Out<T> {
    fn of(store: impl AsContextMut<Data = State>, reader: StreamReader<T>, fate: Arc<Fate>) -> wasmtime::Result<Self> {
        let flow = Flow { values: Vec::new(), ended: false, unwanted: false, writer: None, reader: None };
        let pipe = Arc::new(Pipe { flow: Mutex::new(flow), fate });
        reader.pipe(store, In(Arc::clone(&pipe)))?;
        Ok(Self(pipe))
    }

    fn stream(self, mut store: impl AsContextMut<Data = State>) -> wasmtime::Result<StreamAny> {
        let reader = StreamReader::new(&mut store, self)?;
        StreamAny::try_from_stream_reader(&mut store, reader)
    }
}

impl<T: Number> StreamConsumer<State> for In<T> {
    type Item = T;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, State>,
        mut source: Source<'_, T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut flow = self.0.flow();
        if flow.unwanted {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        let room = MOST - flow.values.len();
        if room == 0 {
            if finish {
                return Poll::Ready(Ok(StreamResult::Cancelled));
            }
            flow.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut values = Vec::with_capacity(source.remaining(&mut store).min(room));
        source.read(store, &mut values)?;
        flow.values.append(&mut values);
        flow.reader.take().inspect(Waker::wake_by_ref);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl<T> Drop for In<T> {
    fn drop(&mut self) {
        let mut flow = self.0.flow();
        flow.ended = true;
        flow.reader.take().inspect(Waker::wake_by_ref);
    }
}

impl<T: Number> StreamProducer<State> for Out<T> {
    type Item = T;
    type Buffer = VecBuffer<T>;

    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, State>,
        mut destination: Destination<'_, T, VecBuffer<T>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut flow = self.0.flow();
        if !flow.values.is_empty() {
            // Who only wants to know whether there is something takes it with the next look.
            if destination.remaining(store) != Some(0) {
                destination.set_buffer(std::mem::take(&mut flow.values).into());
                flow.writer.take().inspect(Waker::wake_by_ref);
            }
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        if flow.ended {
            self.0.fate.reader.register(cx.waker());
            match self.0.fate.end.get() {
                Some(None) => return Poll::Ready(Ok(StreamResult::Dropped)),
                Some(Some(broke)) => return Poll::Ready(Err(broke.clone().into())),
                None => {}
            }
        }
        if finish {
            return Poll::Ready(Ok(StreamResult::Cancelled));
        }
        flow.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Out<T> {
    fn drop(&mut self) {
        let mut flow = self.0.flow();
        flow.unwanted = true;
        flow.values = Vec::new();
        flow.writer.take().inspect(Waker::wake_by_ref);
    }
}
