//! Time as the runtime gives it: deadlines, waits, and work that may not take longer.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use spin_sdk::wasip3::clocks::{monotonic_clock, system_clock};

/// A moment by which something must have happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(u64);

impl Deadline {
    /// `time` after `moment`.
    pub(crate) fn after(moment: u64, time: Duration) -> Deadline {
        Deadline(moment.saturating_add(nanos(time)))
    }

    pub(crate) fn left(self) -> Duration {
        self.left_at(monotonic_clock::now())
    }

    /// As `left`, at a moment of `moment`: every look at the clock is a call into the runtime.
    pub(crate) fn left_at(self, moment: u64) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(moment))
    }
}

/// Now, for `left_at` and `within`.
pub(crate) fn moment() -> u64 {
    monotonic_clock::now()
}

pub(crate) async fn sleep(time: Duration) {
    monotonic_clock::wait_for(nanos(time)).await;
}

/// What `work` gives, or none when it takes longer than `time` from `moment` on; it is dropped then, and with it what it
/// waits for.
///
/// A timer is a call into the runtime, and taking one back makes it switch stacks: a tenth of a quick request. Where the
/// runtime itself ends a connection that is silent for `time` (`watched`), there is none until a sixteenth of the time has
/// passed.
pub(crate) async fn within<T>(moment: u64, time: Duration, watched: bool, work: impl Future<Output = T>) -> Option<T> {
    let deadline = Deadline::after(moment, time);
    let mut work = pin!(work);
    let mut timer = pin!(None);
    let mut first = true;
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        // It has only begun the first time; every look at the clock is a call into the runtime.
        let left = if std::mem::take(&mut first) { time } else { deadline.left() };
        if timer.is_none() && (!watched || time - left.min(time) > time / 16) {
            timer.set(Some(sleep(left)));
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

/// What `work` gives, while `other` runs beside it as long as both last.
pub(crate) async fn alongside<T>(work: impl Future<Output = T>, other: impl Future<Output = ()>) -> T {
    let (mut work, mut other) = (pin!(work), pin!(other));
    let mut runs = true;
    poll_fn(|cx| {
        let done = work.as_mut().poll(cx);
        if done.is_pending() && runs {
            runs = other.as_mut().poll(cx).is_pending();
        }
        done
    })
    .await
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    system_clock::now().seconds
}

/// As `now`, in thousandths.
pub(crate) fn millis() -> i64 {
    let now = system_clock::now();
    now.seconds * 1000 + i64::from(now.nanoseconds / 1_000_000)
}

/// A number that differs from call to call; for spreading waits, not for secrets.
pub(crate) fn noise() -> u32 {
    (monotonic_clock::now() / 1_000) as u32
}

/// A number that nobody outside can guess.
pub(crate) fn unforeseen() -> u64 {
    spin_sdk::wasip3::random::random::get_random_u64()
}

pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
