//! How long a request has waited for upstreams: what is left of its time is the platform's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The time in which at least one upstream was asked or answered. Lives as long as its store, for one request after the
/// other; all of them are driven by one task at a time, so nothing here is contended.
pub struct Waiting {
    started: Instant,
    under_way: AtomicU32,
    /// Nanoseconds from `started` to when the first of those under way began.
    since: AtomicU64,
    total: AtomicU64,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            under_way: AtomicU32::new(0),
            since: AtomicU64::new(0),
            total: AtomicU64::new(0),
        }
    }
}

impl Waiting {
    /// Makes ready for the next request; what still holds the last one's keeps that.
    pub fn begin(this: &mut Arc<Self>) {
        match Arc::get_mut(this) {
            Some(waiting) => (*waiting.under_way.get_mut(), *waiting.total.get_mut()) = (0, 0),
            None => *this = Arc::default(),
        }
    }

    pub fn start(self: &Arc<Self>) -> Wait {
        if self.under_way.fetch_add(1, Ordering::Relaxed) == 0 {
            self.since.store(self.now(), Ordering::Relaxed);
        }
        Wait(Arc::clone(self))
    }

    pub fn total(&self) -> Duration {
        let running = match self.under_way.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.now().saturating_sub(self.since.load(Ordering::Relaxed)),
        };
        Duration::from_nanos(self.total.load(Ordering::Relaxed) + running)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// One upstream that is asked: from the request to the end of its answer, or to when nobody wants that any more.
pub struct Wait(Arc<Waiting>);

impl Drop for Wait {
    fn drop(&mut self) {
        let waiting = &self.0;
        if waiting.under_way.fetch_sub(1, Ordering::Relaxed) == 1 {
            let waited = waiting.now().saturating_sub(waiting.since.load(Ordering::Relaxed));
            waiting.total.fetch_add(waited, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_counts_once() {
        let mut waiting = Arc::<Waiting>::default();
        let (one, other) = (waiting.start(), waiting.start());
        std::thread::sleep(Duration::from_millis(20));
        drop(one);
        assert!(waiting.total() >= Duration::from_millis(20));
        drop(other);
        let total = waiting.total();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(waiting.total(), total);
        assert!(total < waiting.started.elapsed());
        Waiting::begin(&mut waiting);
        assert_eq!(waiting.total(), Duration::ZERO);
    }
}
