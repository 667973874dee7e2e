//! Who begins where a lane is crowded.
//!
//! A request that has begun has instances to itself. Where all of a crowd begin at once, each goes on after all others, and
//! finds nothing of its own in the processor's caches: on 256 connections a request took a fifth more CPU. So from a few on
//! they begin one by one, each when those that can go on have done so. Requests that wait for an upstream hold nobody up.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use tokio::sync::Semaphore;

/// So many begin at once. Fewer would have the lane wait for upstreams that answer at once.
const FEW: usize = 8;

/// The requests of one lane. A round is what the lane's runtime does from one look at its sockets to the next.
pub struct Rounds {
    under_way: AtomicUsize,
    waiting: AtomicUsize,
    /// Whether the next round lets one begin.
    is_next: AtomicBool,
    may_begin: Semaphore,
}

impl Default for Rounds {
    fn default() -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            is_next: AtomicBool::new(false),
            may_begin: Semaphore::new(0),
        }
    }
}

/// A request that has begun. Lives until its instances are free again.
pub struct Begun(Arc<Rounds>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One that has not, and may go away meanwhile.
struct Waiting<'a>(&'a Rounds);

impl<'a> Waiting<'a> {
    fn new(rounds: &'a Rounds) -> Self {
        rounds.waiting.fetch_add(1, Ordering::Relaxed);
        Self(rounds)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Rounds {
    pub async fn begin(self: &Arc<Self>) -> Begun {
        if self.under_way.load(Ordering::Relaxed) >= FEW || self.is_awaited() {
            let waiting = Waiting::new(self);
            self.next();
            // It is never closed.
            self.may_begin.acquire().await.into_iter().for_each(tokio::sync::SemaphorePermit::forget);
            drop(waiting);
            if self.is_awaited() {
                self.next();
            }
        }
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Begun(Arc::clone(self))
    }

    fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Lets one begin in the next round: who yields is woken when the runtime has looked at its sockets, after all that can go
    /// on.
    fn next(self: &Arc<Self>) {
        if !self.is_next.swap(true, Ordering::Relaxed) {
            let waker = Waker::from(Arc::clone(self));
            let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&waker));
        }
    }
}

impl Wake for Rounds {
    fn wake(self: Arc<Self>) {
        self.is_next.store(false, Ordering::Relaxed);
        // Who was let in may have gone away.
        if self.may_begin.available_permits() == 0 {
            self.may_begin.add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_crowd_begins_one_by_one() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let rounds = Arc::<Rounds>::default();
            let mut begun = Vec::new();
            for _ in 0..FEW {
                begun.push(futures::FutureExt::now_or_never(rounds.begin()).expect("a few begin at once"));
            }
            let crowd: Vec<_> = (0..3)
                .map(|_| {
                    let rounds = Arc::clone(&rounds);
                    tokio::spawn(async move { rounds.begin().await })
                })
                .collect();
            let count = || rounds.under_way.load(Ordering::Relaxed);
            // Whoever goes away holds up nobody.
            crowd[0].abort();
            let mut seen = vec![count()];
            while count() < FEW + 2 {
                tokio::time::timeout(Duration::from_secs(10), tokio::task::yield_now()).await.expect("it goes on");
                seen.push(count());
            }
            assert!(seen.windows(2).all(|two| two[1] <= two[0] + 1), "one in a round: {seen:?}");
            drop((begun, crowd));
            tokio::task::yield_now().await;
            assert_eq!(rounds.waiting.load(Ordering::Relaxed), 0);
            drop(futures::FutureExt::now_or_never(rounds.begin()).expect("nobody waits"));
        });
    }
}
