//! Workers that wait for a request, and how many of them are worth their memory.
//!
//! A crowd of requests leaves as many workers behind, each with instances of a megabyte or two. Whoever had nothing to do
//! between two looks was not needed: the worker that was given back last is taken first, so those at the bottom are spare.

use std::sync::Mutex;

use wasmtime::Store;

use crate::registry::Live;
use crate::store::State;

/// A worker without its generation, which owns it.
pub struct IdleWorker {
    pub store: Store<State>,
    pub entry: Option<Live>,
    pub served: u32,
}

/// The workers of one lane, or those of a member's calls apart.
#[derive(Default)]
pub struct Shelf(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    workers: Vec<IdleWorker>,
    /// So many at the bottom have waited ever since the last look.
    unneeded: usize,
}

impl Shelf {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().expect("nobody panics holding it")
    }

    pub fn take(&self) -> Option<IdleWorker> {
        let mut waiting = self.waiting();
        let worker = waiting.workers.pop();
        waiting.unneeded = waiting.unneeded.min(waiting.workers.len());
        worker
    }

    /// Gives how many wait now.
    pub fn put(&self, worker: IdleWorker) -> usize {
        let mut waiting = self.waiting();
        waiting.workers.push(worker);
        waiting.workers.len()
    }

    pub fn len(&self) -> usize {
        self.waiting().workers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn clear(&self) {
        let workers = std::mem::take(&mut self.waiting().workers);
        drop(workers);
    }

    /// Takes those out that were not needed since the last look, but for one. `over` is called where no more than that one
    /// is left, before anybody can put another there.
    pub fn spare(&self, over: impl FnOnce()) -> Vec<IdleWorker> {
        let mut waiting = self.waiting();
        let count = waiting.unneeded.min(waiting.workers.len().saturating_sub(1));
        let spare = waiting.workers.drain(..count).collect();
        waiting.unneeded = waiting.workers.len();
        if waiting.workers.len() <= 1 {
            over();
        }
        spare
    }
}
