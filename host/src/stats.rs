//! What each version of a component has done, and what all versions of it have done together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::metrics::{Collect, Histogram, Page, Times};

/// Of one version of one component. Lives as long as the last store that holds an instance of it.
pub struct Stats {
    lanes: Box<[Counts]>,
    traps: AtomicU64,
    instances: AtomicU64,
    /// The largest linear memory that an instance has had.
    memory_bytes: AtomicU64,
    pub since: SystemTime,
}

/// On cache lines of its own: counted with every call.
#[derive(Default)]
#[repr(align(128))]
struct Counts {
    requests: AtomicU64,
    calls: Histogram,
}

impl Stats {
    pub fn new(lanes: usize) -> Self {
        Self {
            lanes: (0..lanes).map(|_| Counts::default()).collect(),
            traps: AtomicU64::new(0),
            instances: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
            since: SystemTime::now(),
        }
    }

    pub fn request(&self, lane: usize) {
        self.lanes[lane].requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A call returned; what it streams may still come.
    pub fn call(&self, lane: usize, time: Duration) {
        self.lanes[lane].calls.record(time);
    }

    pub fn trap(&self) {
        self.traps.fetch_add(1, Ordering::Relaxed);
    }

    /// An instance was made.
    pub fn instance(&self) {
        self.instances.fetch_add(1, Ordering::Relaxed);
    }

    pub fn memory(&self, bytes: usize) {
        self.memory_bytes.fetch_max(bytes as u64, Ordering::Relaxed);
    }

    pub fn sight(&self) -> Sight {
        let mut sight = Sight {
            traps: self.traps.load(Ordering::Relaxed),
            instances: self.instances.load(Ordering::Relaxed),
            memory_bytes: self.memory_bytes.load(Ordering::Relaxed),
            ..Sight::default()
        };
        for counts in &self.lanes {
            sight.requests += counts.requests.load(Ordering::Relaxed);
            sight.calls.take(&counts.calls);
        }
        sight
    }
}

/// What was counted at one moment.
#[derive(Default, Clone)]
pub struct Sight {
    pub requests: u64,
    pub traps: u64,
    pub instances: u64,
    pub memory_bytes: u64,
    pub calls: Times,
}

/// The counts of every component by name: those of versions that are gone, and the versions that are there.
pub struct Ledger {
    lanes: usize,
    components: Mutex<BTreeMap<String, Account>>,
}

#[derive(Default)]
struct Account {
    past: Sight,
    live: Vec<Arc<Stats>>,
}

impl Account {
    /// Adds up the versions that nobody holds any more.
    fn close(&mut self) {
        let past = &mut self.past;
        self.live.retain(|stats| {
            let held = Arc::strong_count(stats) > 1;
            if !held {
                let sight = stats.sight();
                past.requests += sight.requests;
                past.traps += sight.traps;
                past.instances += sight.instances;
                past.calls.add(&sight.calls);
            }
            held
        });
    }
}

impl Ledger {
    pub fn new(lanes: usize) -> Self {
        Self { lanes, components: Mutex::default() }
    }

    /// For a version that comes.
    pub fn open(&self, name: &str) -> Arc<Stats> {
        let stats = Arc::new(Stats::new(self.lanes));
        let mut components = self.components.lock().expect("nobody panics holding it");
        let account = components.entry(name.to_owned()).or_default();
        account.close();
        account.live.push(Arc::clone(&stats));
        stats
    }
}

impl Collect for Ledger {
    fn collect(&self, page: &mut Page) {
        let mut components = self.components.lock().expect("nobody panics holding it");
        let totals: Vec<(&str, Sight)> = components
            .iter_mut()
            .map(|(name, account)| {
                account.close();
                let mut total = account.past.clone();
                for sight in account.live.iter().map(|stats| stats.sight()) {
                    total.requests += sight.requests;
                    total.traps += sight.traps;
                    total.instances += sight.instances;
                    total.memory_bytes = total.memory_bytes.max(sight.memory_bytes);
                    total.calls.add(&sight.calls);
                }
                (name.as_str(), total)
            })
            .collect();
        let family = |page: &mut Page, name: &str, kind: &str, help: &str, value: fn(&Sight) -> u64| {
            page.family(name, kind, help);
            for (component, sight) in &totals {
                page.sample(name, &[("component", component)], value(sight) as f64);
            }
        };
        family(page, "hybrid_component_requests_total", "counter", "Requests a component worked on.", |s| s.requests);
        family(page, "hybrid_component_traps_total", "counter", "Requests a component broke off.", |s| s.traps);
        family(page, "hybrid_component_instances_total", "counter", "Instances made of a component.", |s| s.instances);
        family(
            page,
            "hybrid_component_memory_bytes",
            "gauge",
            "The largest linear memory an instance in service has had.",
            |s| s.memory_bytes,
        );
        page.family("hybrid_component_call_seconds", "summary", "From a call of a component to its return.");
        for (component, sight) in &totals {
            for (share, name) in [(0.5, "0.5"), (0.99, "0.99")] {
                let time = sight.calls.quantile(share).map_or(f64::NAN, |time| time.as_secs_f64());
                let labels = [("component", *component), ("quantile", name)];
                page.sample("hybrid_component_call_seconds", &labels, time);
            }
            let labels = [("component", *component)];
            page.sample("hybrid_component_call_seconds_sum", &labels, sight.calls.seconds());
            page.sample("hybrid_component_call_seconds_count", &labels, sight.calls.count() as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_outlive_versions() {
        let ledger = Ledger::new(1);
        let first = ledger.open("a");
        first.request(0);
        drop(first);
        let second = ledger.open("a");
        second.request(0);
        let mut page = Page::default();
        ledger.collect(&mut page);
        assert!(page.text().contains("hybrid_component_requests_total{component=\"a\"} 2\n"), "{}", page.text());
    }
}
