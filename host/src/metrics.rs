//! What the host counts, and how it is told: `/metrics` in Prometheus' text format.
//!
//! What happens with every request is counted by lane, in atomics that no other lane touches; a scrape adds them up.
//! What happens seldom (a swap, a limit that was hit) is counted by labels behind a lock. Others add families of their
//! own with [`Metrics::add`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;

/// Four buckets for each power of two of microseconds, up to 18 minutes.
const BUCKETS: usize = 4 + 29 * 4;
/// Labels come from outside (names of models, say); past this many a family counts the rest as `other`.
const MAX_SERIES: usize = 1000;

/// How long things took. Recording is one atomic addition or two.
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| AtomicU64::new(0)), micros: AtomicU64::new(0) }
    }
}

fn bucket(micros: u64) -> usize {
    if micros < 4 {
        return usize::try_from(micros).unwrap_or(0);
    }
    let power = 63 - micros.leading_zeros() as usize;
    let quarter = (micros >> (power - 2)) as usize & 3;
    (4 + (power - 2) * 4 + quarter).min(BUCKETS - 1)
}

/// Where a bucket ends, in microseconds.
fn bucket_end(index: usize) -> u64 {
    if index < 4 {
        return index as u64 + 1;
    }
    let (power, quarter) = ((index - 4) / 4 + 2, (index - 4) as u64 % 4);
    (5 + quarter) << (power - 2)
}

impl Histogram {
    pub fn record(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub fn sight(&self) -> Times {
        let mut times = Times::default();
        times.take(self);
        times
    }
}

/// What histograms held at one moment, added up.
#[derive(Clone)]
pub struct Times {
    buckets: [u64; BUCKETS],
    micros: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], micros: 0 }
    }
}

impl Times {
    pub fn take(&mut self, histogram: &Histogram) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += bucket.load(Ordering::Relaxed);
        }
        self.micros += histogram.micros.load(Ordering::Relaxed);
    }

    pub fn add(&mut self, other: &Times) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += bucket;
        }
        self.micros += other.micros;
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub fn seconds(&self) -> f64 {
        self.micros as f64 / 1e6
    }

    /// How many took longer than this, to a quarter of a power of two.
    pub fn longer_than(&self, time: Duration) -> u64 {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.buckets[(bucket(micros) + 1).min(BUCKETS)..].iter().sum()
    }

    /// The time that this share of all stayed within, to a quarter of a power of two.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let wanted = ((count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let index = self.buckets.iter().position(|bucket| {
            seen += bucket;
            seen >= wanted
        })?;
        Some(Duration::from_micros(bucket_end(index)))
    }
}

/// What one lane counts. On cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
pub struct Lane {
    /// By first digit of the status; 0 for clients that left before an answer.
    statuses: [AtomicU64; 6],
    times: Histogram,
    /// The same without the waiting for upstreams.
    own: Histogram,
}

impl Lane {
    pub fn request(&self, status: Option<StatusCode>, time: Duration) {
        let class = status.map_or(0, |status| usize::from(status.as_u16() / 100).min(5));
        self.statuses[class].fetch_add(1, Ordering::Relaxed);
        self.times.record(time);
    }

    /// What of a request's time was the platform's own.
    pub fn own(&self, time: Duration) {
        self.own.record(time);
    }
}

/// A family of counters by labels, for what happens seldom.
pub struct Counters {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    series: Mutex<BTreeMap<Vec<String>, u64>>,
}

impl Counters {
    pub fn new(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self {
        Self { name, help, labels, series: Mutex::default() }
    }

    pub fn add(&self, values: &[&str], count: u64) {
        debug_assert_eq!(values.len(), self.labels.len(), "a value for each label");
        let mut series = self.series.lock().expect("nobody panics holding it");
        let known = series.len();
        let key: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        match series.get_mut(&key) {
            Some(counted) => *counted += count,
            None if known < MAX_SERIES => {
                series.insert(key, count);
            }
            None => *series.entry(vec!["other".to_owned(); values.len()]).or_default() += count,
        }
    }

    pub fn get(&self, values: &[&str]) -> u64 {
        let series = self.series.lock().expect("nobody panics holding it");
        series.iter().find(|(key, _)| key.iter().map(String::as_str).eq(values.iter().copied())).map_or(0, |(_, n)| *n)
    }
}

impl Collect for Counters {
    fn collect(&self, page: &mut Page) {
        page.family(self.name, "counter", self.help);
        for (values, count) in self.series.lock().expect("nobody panics holding it").iter() {
            let labels: Vec<(&str, &str)> =
                self.labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
            page.sample(self.name, &labels, *count as f64);
        }
    }
}

/// Whoever has something to tell at a scrape.
pub trait Collect: Send + Sync {
    fn collect(&self, page: &mut Page);
}

/// Everything the host counts. Lives as long as the process.
pub struct Metrics {
    lanes: Box<[Lane]>,
    /// A component reached one of its limits.
    pub limits: Counters,
    /// Swaps by how they ended.
    pub swaps: Counters,
    /// Requests that computed, or were about to.
    pub computing: Counters,
    more: Mutex<Vec<Arc<dyn Collect>>>,
}

impl Metrics {
    pub fn new(lanes: usize) -> Self {
        Self {
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            limits: Counters::new(
                "hybrid_limit_hits_total",
                "Requests that met a limit, by component and limit.",
                &["component", "limit"],
            ),
            swaps: Counters::new(
                "hybrid_swaps_total",
                "Changes of components, by component and how they ended.",
                &["component", "outcome"],
            ),
            computing: Counters::new(
                "hybrid_computing_total",
                "Requests that left their lane, by the component that computed and whether that was known before.",
                &["component", "known"],
            ),
            more: Mutex::default(),
        }
    }

    pub fn lane(&self, lane: usize) -> &Lane {
        &self.lanes[lane]
    }

    /// Adds families that every later scrape tells too.
    pub fn add(&self, more: Arc<dyn Collect>) {
        self.more.lock().expect("nobody panics holding it").push(more);
    }

    /// The page that Prometheus reads.
    pub fn text(&self) -> String {
        let mut page = Page::default();
        page.family("hybrid_requests_total", "counter", "Requests, by class of status; `gone` left before an answer.");
        for (class, name) in ["gone", "1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().enumerate() {
            let count: u64 = self.lanes.iter().map(|lane| lane.statuses[class].load(Ordering::Relaxed)).sum();
            page.sample("hybrid_requests_total", &[("status", name)], count as f64);
        }
        let mut times = Times::default();
        self.lanes.iter().for_each(|lane| times.take(&lane.times));
        page.family("hybrid_request_seconds", "histogram", "From a request's head to the end of its answer.");
        page.histogram("hybrid_request_seconds", &[], &times, power_of_two);
        let mut own = Times::default();
        self.lanes.iter().for_each(|lane| own.take(&lane.own));
        let help = "What of that was the platform's own: without the time in which an upstream was asked or answered.";
        page.family("hybrid_overhead_seconds", "histogram", help);
        page.histogram("hybrid_overhead_seconds", &[], &own, half_steps);
        self.limits.collect(&mut page);
        self.swaps.collect(&mut page);
        self.computing.collect(&mut page);
        if let Some(bytes) = resident_bytes() {
            page.family("process_resident_memory_bytes", "gauge", "Memory of this process that is in use.");
            page.sample("process_resident_memory_bytes", &[], bytes as f64);
        }
        for more in self.more.lock().expect("nobody panics holding it").iter() {
            more.collect(&mut page);
        }
        page.0
    }
}

/// From 128 µs to 9 minutes.
fn power_of_two(micros: u64) -> bool {
    micros.is_power_of_two() && (128..=1 << 29).contains(&micros)
}

/// From 24 µs to 8 s, two for each power of two: overhead is told well below a millisecond.
fn half_steps(micros: u64) -> bool {
    let half = micros.is_multiple_of(3) && (micros / 3).is_power_of_two();
    (half || micros.is_power_of_two()) && (24..=1 << 23).contains(&micros)
}

/// A page of metrics as it is written.
#[derive(Default)]
pub struct Page(String);

impl Page {
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Begins a family: what follows are its samples.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        self.labels(labels, None);
        let _ = writeln!(self.0, " {value}");
    }

    /// The samples of one histogram, with the bounds (in microseconds) that are wanted.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], times: &Times, wanted: fn(u64) -> bool) {
        let mut between = 0;
        let buckets = times.buckets.iter().enumerate().filter_map(|(index, count)| {
            between += count;
            let end = bucket_end(index);
            wanted(end).then(|| (end as f64 / 1e6, std::mem::take(&mut between)))
        });
        let buckets: Vec<(f64, u64)> = buckets.collect();
        self.buckets(name, labels, buckets.into_iter(), times.count(), times.seconds());
    }

    /// The same of counts for each bucket: where it ends, and how many lie in it.
    pub fn buckets(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        buckets: impl Iterator<Item = (f64, u64)>,
        count: u64,
        sum: f64,
    ) {
        let mut below = 0;
        let bucket = |page: &mut Self, end: f64, below: u64| {
            let _ = write!(page.0, "{name}_bucket");
            page.labels(labels, Some(end));
            let _ = writeln!(page.0, " {below}");
        };
        for (end, counted) in buckets {
            below += counted;
            bucket(self, end, below);
        }
        bucket(self, f64::INFINITY, count);
        let _ = write!(self.0, "{name}_sum");
        self.labels(labels, None);
        let _ = writeln!(self.0, " {sum}");
        let _ = write!(self.0, "{name}_count");
        self.labels(labels, None);
        let _ = writeln!(self.0, " {count}");
    }

    fn labels(&mut self, labels: &[(&str, &str)], le: Option<f64>) {
        if labels.is_empty() && le.is_none() {
            return;
        }
        self.0.push('{');
        for (index, (name, value)) in labels.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(self.0, "{comma}{name}=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    c => self.0.push(c),
                }
            }
            self.0.push('"');
        }
        if let Some(le) = le {
            let comma = if labels.is_empty() { "" } else { "," };
            let le = if le.is_infinite() { "+Inf".to_owned() } else { le.to_string() };
            let _ = write!(self.0, "{comma}le=\"{le}\"");
        }
        self.0.push('}');
    }
}

/// What the system says this process occupies.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lands_in_the_bucket_that_holds_it() {
        for micros in (0..5000).chain([1 << 20, (1 << 20) + 1, 123_456_789]) {
            let index = bucket(micros);
            assert!(micros < bucket_end(index), "{micros}");
            assert!(index == 0 || micros >= bucket_end(index - 1), "{micros}");
        }
    }

    #[test]
    fn quantiles_are_near() {
        let histogram = Histogram::default();
        (1..=1000).for_each(|millis| histogram.record(Duration::from_millis(millis)));
        let p99 = histogram.sight().quantile(0.99).expect("there are some").as_millis();
        assert!((990..=1250).contains(&p99), "{p99}");
    }

    #[test]
    fn a_page_reads_as_prometheus_writes_it() {
        let metrics = Metrics::new(2);
        metrics.lane(1).request(Some(StatusCode::OK), Duration::from_millis(2));
        metrics.limits.add(&["a\"b", "memory"], 3);
        let text = metrics.text();
        assert!(text.contains("hybrid_requests_total{status=\"2xx\"} 1\n"), "{text}");
        assert!(text.contains("hybrid_limit_hits_total{component=\"a\\\"b\",limit=\"memory\"} 3\n"), "{text}");
        assert!(text.contains("hybrid_request_seconds_bucket{le=\"+Inf\"} 1\n"), "{text}");
        assert!(text.contains("hybrid_request_seconds_bucket{le=\"0.001024\"} 0\n"), "{text}");
        assert!(text.contains("hybrid_request_seconds_bucket{le=\"0.002048\"} 1\n"), "{text}");
        metrics.lane(0).own(Duration::from_micros(45));
        let text = metrics.text();
        assert!(text.contains("hybrid_overhead_seconds_bucket{le=\"0.000032\"} 0\n"), "{text}");
        assert!(text.contains("hybrid_overhead_seconds_bucket{le=\"0.000048\"} 1\n"), "{text}");
    }
}
