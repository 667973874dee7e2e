//! A version on trial: a share of the requests gets it, and how they end decides whether it stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode, header};

use crate::component::Loaded;
use crate::metrics::Histogram;
use crate::registry::Generation;

/// So many bad requests more than chance explains, and it is taken back. The promise is 20.
const MAX_BAD: u64 = 10;
/// What is bad this long is bad enough, however few.
const MAX_BAD_TIME: Duration = Duration::from_millis(900);
/// A p99 of fewer requests says nothing.
const ENOUGH_TIMES: u64 = 50;
/// How much slower a version may be at p99 than the current one.
const MAX_SLOWER: f64 = 3.0;

/// What the operator wants of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// In hundredths of a percent.
    pub share: u32,
    /// Good requests until it is promoted by itself; never where there are none.
    pub promote_after: Option<u64>,
    /// Whether it is on trial on every host of a fleet, and decided by what all of them count.
    pub is_fleets: bool,
}

/// Requests that ended: good and bad ones with the version on trial, and good and bad ones beside it.
pub type Counts = [u64; 4];

/// A trial under way. Lives as long as requests that are part of it.
pub struct Trial {
    pub loaded: Arc<Loaded>,
    pub generation: Arc<Generation>,
    pub terms: Terms,
    tally: Arc<Tally>,
}

/// What both sides of a trial have done. Outlives a trial's generation, which is made anew when another component is
/// replaced meanwhile.
pub struct Tally {
    canary: Side,
    current: Side,
    began: Instant,
    /// Milliseconds from `began` to the first bad request, plus one.
    first_bad: AtomicU64,
    /// What other hosts have counted of the same trial, as in [`Counts`].
    elsewhere: [AtomicU64; 4],
    verdict: AtomicU8,
}

#[derive(Default)]
struct Side {
    good: AtomicU64,
    bad: AtomicU64,
    times: Histogram,
}

/// What a trial has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    Open = 0,
    Good = 1,
    /// Traps or answers of 5xx.
    Broken = 2,
    Slow = 3,
}

impl Trial {
    pub fn new(loaded: Arc<Loaded>, generation: Arc<Generation>, terms: Terms) -> Self {
        let tally = Tally {
            canary: Side::default(),
            current: Side::default(),
            began: Instant::now(),
            first_bad: AtomicU64::new(0),
            elsewhere: Default::default(),
            verdict: AtomicU8::new(0),
        };
        Self { loaded, generation, terms, tally: Arc::new(tally) }
    }

    /// The same trial beside other components.
    pub fn beside(&self, generation: Arc<Generation>) -> Self {
        Self { loaded: Arc::clone(&self.loaded), generation, terms: self.terms, tally: Arc::clone(&self.tally) }
    }

    /// Whether this client is among those who get it: always the same, by API key, or by address where there is none.
    pub fn takes(&self, headers: &HeaderMap, client: &str) -> bool {
        if self.verdict() as u8 >= Verdict::Broken as u8 {
            return false;
        }
        let key = headers.get(header::AUTHORIZATION).or_else(|| headers.get("x-api-key"));
        let who = match key {
            Some(key) => key.as_bytes(),
            None => client.rsplit_once(':').map_or(client, |(address, _)| address).as_bytes(),
        };
        // FNV-1a, begun with the version's hash: another version gets other clients.
        let seed = self.loaded.sha256.as_bytes();
        let hash = seed
            .iter()
            .chain(who)
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        // Its low bits are poorly mixed.
        ((hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 10_000 < u64::from(self.terms.share)
    }

    /// A request ended, on this generation. A client that left says how long it had waited, and nothing else.
    pub fn ended(&self, generation: &Arc<Generation>, status: Option<StatusCode>, broken: bool, time: Duration) {
        let on_trial = generation.snapshot.members.iter().any(|member| Arc::ptr_eq(&member.loaded, &self.loaded));
        let side = if on_trial { &self.tally.canary } else { &self.tally.current };
        let bad = broken || status.is_some_and(|status| status.is_server_error());
        side.times.record(time);
        if status.is_none() && !broken {
            return;
        }
        if !bad {
            side.good.fetch_add(1, Ordering::Relaxed);
            return;
        }
        side.bad.fetch_add(1, Ordering::Relaxed);
        if on_trial {
            self.note_bad();
            self.judge();
        }
    }

    fn note_bad(&self) {
        let now = u64::try_from(self.tally.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let _ = self.tally.first_bad.compare_exchange(0, now + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub fn verdict(&self) -> Verdict {
        match self.tally.verdict.load(Ordering::Acquire) {
            1 => Verdict::Good,
            2 => Verdict::Broken,
            3 => Verdict::Slow,
            _ => Verdict::Open,
        }
    }

    /// Good and bad requests so far, on all hosts.
    pub fn counts(&self) -> (u64, u64) {
        let [good, bad, ..] = self.all_counts();
        (good, bad)
    }

    /// What this host has counted.
    pub fn counts_here(&self) -> Counts {
        let Tally { canary, current, .. } = &*self.tally;
        [&canary.good, &canary.bad, &current.good, &current.bad].map(|count| count.load(Ordering::Relaxed))
    }

    /// What the others have counted, in place of what they had before.
    pub fn set_elsewhere(&self, counts: Counts) {
        for (ours, count) in self.tally.elsewhere.iter().zip(counts) {
            ours.store(count, Ordering::Relaxed);
        }
        if counts[1] > 0 {
            self.note_bad();
        }
    }

    fn all_counts(&self) -> Counts {
        let mut counts = self.counts_here();
        for (count, elsewhere) in counts.iter_mut().zip(&self.tally.elsewhere) {
            *count += elsewhere.load(Ordering::Relaxed);
        }
        counts
    }

    /// Looks at what has come together. Asked after every bad request, and a few times a second.
    pub fn judge(&self) -> Verdict {
        let tally = &*self.tally;
        let [good, bad, others_good, others_bad] = self.all_counts();
        // What fails for everybody, an upstream that is down, is not this version's doing: as many as fail beside it are
        // forgiven, twice over.
        let others = (others_good + others_bad).max(1) as f64;
        let forgiven = (good + bad) as f64 * (others_bad as f64 / others) * 2.0;
        let surplus = bad as f64 - forgiven;
        let first = tally.first_bad.load(Ordering::Relaxed);
        let since_first = Duration::from_millis(
            u64::try_from(tally.began.elapsed().as_millis())
                .unwrap_or(u64::MAX)
                .saturating_sub(first.saturating_sub(1)),
        );
        let rate = bad as f64 / ((good + bad).max(1)) as f64;
        let verdict = if surplus >= MAX_BAD as f64
            // A single one among thousands is nobody's reason.
            || (first > 0 && surplus >= 1.0 && since_first >= MAX_BAD_TIME && rate > 0.01)
        {
            Verdict::Broken
        } else if self.is_slow() {
            Verdict::Slow
        } else if self.terms.promote_after.is_some_and(|wanted| good >= wanted) {
            Verdict::Good
        } else {
            return self.verdict();
        };
        let _ = tally.verdict.compare_exchange(0, verdict as u8, Ordering::AcqRel, Ordering::Acquire);
        self.verdict()
    }

    /// Whether its p99 is beyond what is allowed: more than one in a hundred takes longer than the current version's p99
    /// that many times over.
    fn is_slow(&self) -> bool {
        let theirs = self.tally.current.times.sight();
        let Some(p99) = theirs.quantile(0.99).filter(|_| theirs.count() >= ENOUGH_TIMES) else { return false };
        let ours = self.tally.canary.times.sight();
        let slow = ours.longer_than(p99.mul_f64(MAX_SLOWER));
        slow >= MAX_BAD && slow * 100 > ours.count()
    }
}
