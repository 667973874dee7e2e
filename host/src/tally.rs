//! What requests cost, by key, capability and model: OpenTelemetry's `gen_ai.*` for Prometheus, and the sums of each day
//! for `GET /usage`. Names and counts only.
//!
//! Components tell it as data, in headers and trailers that the host takes off (`x-log-usage`); the host knows none of
//! their words but the units. Each lane counts for itself; who asks adds them up.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::HeaderMap;
use serde_json::{Value as Json, json};

use crate::keyvalue::Stores;
use crate::metrics::{Collect, Page};
use crate::telemetry;

/// The store that the days' sums are in.
const STORE: &str = "usage";
/// Sums reach the store this much later, at most.
const BEHIND: Duration = Duration::from_secs(5);
/// Names come from outside; past this many a lane counts the rest as `other`.
const MAX_SERIES: usize = 500;
const MAX_NAME: usize = 96;

/// OpenTelemetry's own bounds, in seconds, and a few below.
const DURATIONS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const FIRST_TOKENS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const OVERHEADS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_15, 0.000_2, 0.000_3, 0.000_4, 0.000_6, 0.001, 0.002, 0.004, 0.008, 0.016, 0.05, 0.2, 1.0,
    5.0,
];
const TOKENS: [f64; 16] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
];

/// Counts below bounds that somebody else knows.
#[derive(Debug, Clone, Copy, Default)]
struct Spread {
    counts: [u64; 17],
    sum: f64,
}

impl Spread {
    fn record(&mut self, bounds: &[f64; 16], value: f64) {
        self.counts[bounds.partition_point(|bound| *bound < value)] += 1;
        self.sum += value;
    }

    fn add(&mut self, other: &Spread) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
        self.sum += other.sum;
    }

    fn page(&self, page: &mut Page, name: &str, bounds: &[f64; 16], labels: &[(&str, &str)]) {
        let count: u64 = self.counts.iter().sum();
        if count == 0 {
            return;
        }
        let (bucket, mut below) = (format!("{name}_bucket"), 0);
        let ends = bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (end, counted) in ends.zip(self.counts) {
            below += counted;
            let labels: Vec<_> = labels.iter().copied().chain([("le", end.as_str())]).collect();
            page.sample(&bucket, &labels, below as f64);
        }
        page.sample(&format!("{name}_sum"), labels, self.sum);
        page.sample(&format!("{name}_count"), labels, count as f64);
    }
}

/// What is counted besides time.
const UNITS: [&str; 6] = ["requests", "errors", "input_tokens", "output_tokens", "pictures", "audio_ms"];

/// One key's requests of one kind to one model.
#[derive(Debug, Clone, Default)]
struct Series {
    /// In the order of `UNITS`; since the process started, and what the store does not have yet.
    total: [u64; 6],
    unsaved: [u64; 6],
    durations: Spread,
    first_tokens: Spread,
    input: Spread,
    output: Spread,
}

#[derive(Default)]
struct Lane {
    /// By key, capability, operation, provider, asked model and answering model, a line each.
    series: HashMap<Box<str>, Series>,
    overhead: Spread,
    /// Written anew for each request, so that looking a series up allocates nothing.
    name: String,
}

/// What a request was and cost, as far as components told.
#[derive(Debug, Default)]
pub struct Report {
    pub started: Option<Instant>,
    pub failed: bool,
    pub key: Option<http::HeaderValue>,
    pub usage: Option<http::HeaderValue>,
    /// What came after the body.
    pub late: Option<http::HeaderValue>,
    pub parameters: Option<http::HeaderValue>,
    pub provider: Option<http::HeaderValue>,
    pub model: Option<http::HeaderValue>,
    pub first_token: Option<Duration>,
    pub overhead: Option<Duration>,
}

impl Report {
    /// What an answer's headers tell of who answered; they stay.
    pub fn read(&mut self, headers: &HeaderMap) {
        self.model = headers.get("x-model").cloned();
        self.provider = headers.get("x-provider").cloned();
    }
}

fn text(value: Option<&http::HeaderValue>) -> &str {
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The value of `name` in `a=1 b=2`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// Lives as long as the process.
pub struct Tally {
    lanes: Box<[Mutex<Lane>]>,
    stores: Arc<Stores>,
    changed: AtomicBool,
}

impl Tally {
    pub fn start(lanes: usize, stores: &Arc<Stores>) -> Arc<Self> {
        let lanes = (0..lanes).map(|_| Mutex::default()).collect();
        let tally = Arc::new(Self { lanes, stores: Arc::clone(stores), changed: AtomicBool::new(false) });
        let weak = Arc::downgrade(&tally);
        // Without it sums are saved when somebody asks for them.
        let _ = std::thread::Builder::new().name("tally".into()).spawn(move || {
            loop {
                std::thread::sleep(BEHIND);
                let Some(tally) = weak.upgrade() else { return };
                futures::executor::block_on(tally.save());
            }
        });
        tally
    }

    /// Counts a request that is over.
    pub fn request(&self, lane: usize, report: &Report, time: Duration) {
        let usage = text(report.usage.as_ref());
        let Some(capability) = field(usage, "capability") else { return };
        let late = text(report.late.as_ref());
        let units = |name| field(late, name).or_else(|| field(usage, name)).and_then(|count| count.parse::<u64>().ok());
        let model = text(report.model.as_ref());
        let asked = field(text(report.parameters.as_ref()), "model").unwrap_or(model);
        let mut lane = self.lanes[lane].lock().expect("nobody panics holding it");
        let Lane { series, overhead, name } = &mut *lane;
        name.clear();
        let provider = text(report.provider.as_ref());
        let operation = field(usage, "operation").unwrap_or(capability);
        for part in [text(report.key.as_ref()), capability, operation, provider, asked, model] {
            name.push_str(&part[..part.floor_char_boundary(MAX_NAME)]);
            name.push('\n');
        }
        let known = series.len();
        let one = match series.get_mut(name.as_str()) {
            Some(one) => one,
            None if known < MAX_SERIES => series.entry(name.as_str().into()).or_default(),
            None => series.entry("other\nother\nother\nother\nother\nother\n".into()).or_default(),
        };
        let (input, output) = (units("input_tokens"), units("output_tokens"));
        let counts = [
            1,
            u64::from(report.failed),
            input.unwrap_or(0),
            output.unwrap_or(0),
            units("pictures").unwrap_or(0),
            units("audio_ms").unwrap_or(0),
        ];
        for (index, count) in counts.into_iter().enumerate() {
            one.total[index] += count;
            one.unsaved[index] += count;
        }
        one.durations.record(&DURATIONS, time.as_secs_f64());
        if let Some(first) = report.first_token {
            one.first_tokens.record(&FIRST_TOKENS, first.as_secs_f64());
        }
        if let Some(input) = input {
            one.input.record(&TOKENS, input as f64);
        }
        if let Some(output) = output {
            one.output.record(&TOKENS, output as f64);
        }
        if let Some(time) = report.overhead {
            overhead.record(&OVERHEADS, time.as_secs_f64());
        }
        self.changed.store(true, Ordering::Relaxed);
    }

    /// Adds what is new to the sums of today.
    pub async fn save(&self) {
        if !self.changed.swap(false, Ordering::Relaxed) {
            return;
        }
        let Some(store) = self.stores.get(STORE) else { return };
        let today = telemetry::timestamp()[..10].to_owned();
        let mut unsaved: HashMap<String, [u64; 6]> = HashMap::new();
        for lane in &self.lanes {
            for (name, one) in &mut lane.lock().expect("nobody panics holding it").series {
                let counts = std::mem::take(&mut one.unsaved);
                let parts: Vec<&str> = name.split('\n').collect();
                if let ([key, capability, _, _, _, model, ..], true) = (parts.as_slice(), counts[0] > 0) {
                    let sums = unsaved.entry(format!("{today}|{key}|{capability}|{}", model.replace('|', "/"))).or_default();
                    sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
                }
            }
        }
        for (name, counts) in unsaved {
            for (unit, count) in UNITS.iter().zip(counts).filter(|(_, count)| *count > 0) {
                // A store that is full or away loses counts, and nothing else.
                let _ = store.increment(&format!("{name}|{unit}"), i64::try_from(count).unwrap_or(i64::MAX)).await;
            }
        }
    }

    /// The days' sums, `from` and `to` inclusive: `2026-11-24`.
    pub async fn usage(&self, from: Option<&str>, to: Option<&str>, whose: Option<&str>) -> anyhow::Result<Json> {
        self.save().await;
        let mut rows: std::collections::BTreeMap<String, [u64; 6]> = std::collections::BTreeMap::new();
        if let Some(store) = self.stores.get(STORE) {
            for key in store.keys().await? {
                let Some((name, unit)) = key.rsplit_once('|') else { continue };
                let day = name.split('|').next().unwrap_or_default();
                let wanted = from.is_none_or(|from| day >= from)
                    && to.is_none_or(|to| day <= to)
                    && whose.is_none_or(|whose| name.split('|').nth(1) == Some(whose));
                let Some(index) = UNITS.iter().position(|known| *known == unit).filter(|_| wanted) else { continue };
                let count = store.get(&key).await?.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok());
                rows.entry(name.to_owned()).or_default()[index] = count.unwrap_or(0);
            }
        }
        let rows = rows.iter().map(|(name, counts)| {
            let mut parts = name.splitn(4, '|');
            let mut part = || parts.next().unwrap_or_default().to_owned();
            let (day, key, capability, model) = (part(), part(), part(), part());
            json!({
                "day": day,
                "key": if key.is_empty() { Json::Null } else { key.into() },
                "capability": capability,
                "model": if model.is_empty() { Json::Null } else { model.into() },
                "requests": counts[0],
                "errors": counts[1],
                "input_tokens": counts[2],
                "output_tokens": counts[3],
                "pictures": counts[4],
                "audio_seconds": counts[5] as f64 / 1000.0,
            })
        });
        let rows: Vec<Json> = rows.collect();
        Ok(json!({ "kept": self.stores.place(), "usage": rows }))
    }
}

impl Collect for Tally {
    fn collect(&self, page: &mut Page) {
        let mut all: HashMap<Box<str>, Series> = HashMap::new();
        let mut overhead = Spread::default();
        for lane in &self.lanes {
            let lane = lane.lock().expect("nobody panics holding it");
            overhead.add(&lane.overhead);
            for (name, one) in &lane.series {
                let sum = all.entry(name.clone()).or_default();
                sum.total.iter_mut().zip(one.total).for_each(|(sum, count)| *sum += count);
                sum.durations.add(&one.durations);
                sum.first_tokens.add(&one.first_tokens);
                sum.input.add(&one.input);
                sum.output.add(&one.output);
            }
        }
        if let Some((is_up, lost)) = self.stores.shared() {
            page.family("hybrid_shared_state_up", "gauge", "1 while hosts count together through Redis, 0 while each goes alone.");
            page.sample("hybrid_shared_state_up", &[], if is_up { 1.0 } else { 0.0 });
            page.family("hybrid_shared_state_lost_total", "counter", "How often Redis was lost.");
            page.sample("hybrid_shared_state_lost_total", &[], lost as f64);
        }
        page.family("hybrid_overhead_seconds", "histogram", "The platform's own part of a request's time to its answer's head.");
        overhead.page(page, "hybrid_overhead_seconds", &OVERHEADS, &[]);
        self.units(page, &all);
        // Keys are the platform's own business: OpenTelemetry's families add them up.
        let mut by_model: HashMap<String, Series> = HashMap::new();
        for (name, one) in &all {
            let rest: Vec<&str> = name.split('\n').skip(2).collect();
            let sum = by_model.entry(rest.join("\n")).or_default();
            sum.durations.add(&one.durations);
            sum.first_tokens.add(&one.first_tokens);
            sum.input.add(&one.input);
            sum.output.add(&one.output);
        }
        let mut by_model: Vec<_> = by_model.into_iter().collect();
        by_model.sort_by(|one, other| one.0.cmp(&other.0));
        type Pick = fn(&Series) -> &Spread;
        let families: [(&str, &str, &[f64; 16], &[(&str, Pick)]); 3] = [
            (
                "gen_ai_client_operation_duration_seconds",
                "gen_ai.client.operation.duration",
                &DURATIONS,
                &[("", |one| &one.durations)],
            ),
            (
                "gen_ai_server_time_to_first_token_seconds",
                "gen_ai.server.time_to_first_token",
                &FIRST_TOKENS,
                &[("", |one| &one.first_tokens)],
            ),
            (
                "gen_ai_client_token_usage",
                "gen_ai.client.token.usage",
                &TOKENS,
                &[("input", |one| &one.input), ("output", |one| &one.output)],
            ),
        ];
        for (name, help, bounds, picks) in families {
            page.family(name, "histogram", help);
            for (model, one) in &by_model {
                let parts: Vec<&str> = model.split('\n').collect();
                let [operation, provider, asked, answering, ..] = parts.as_slice() else { continue };
                for (kind, pick) in picks {
                    let mut labels = vec![
                        ("gen_ai_operation_name", *operation),
                        ("gen_ai_provider_name", *provider),
                        ("gen_ai_request_model", *asked),
                        ("gen_ai_response_model", *answering),
                    ];
                    if !kind.is_empty() {
                        labels.push(("gen_ai_token_type", kind));
                    }
                    pick(one).page(page, name, bounds, &labels);
                }
            }
        }
    }
}

impl Tally {
    fn units(&self, page: &mut Page, all: &HashMap<Box<str>, Series>) {
        let mut sums: std::collections::BTreeMap<(&str, &str, &str), [u64; 6]> = std::collections::BTreeMap::new();
        for (name, one) in all {
            let parts: Vec<&str> = name.split('\n').collect();
            if let [key, capability, _, _, _, model, ..] = parts.as_slice() {
                let sum = sums.entry((key, capability, model)).or_default();
                sum.iter_mut().zip(one.total).for_each(|(sum, count)| *sum += count);
            }
        }
        let mut name = String::new();
        for (index, unit) in UNITS.iter().enumerate() {
            name.clear();
            let _ = write!(name, "hybrid_usage_{unit}_total");
            page.family(&name, "counter", "By key, capability and the model that answered; since the host started.");
            for ((key, capability, model), counts) in sums.iter().filter(|(_, counts)| counts[index] > 0) {
                let labels = [("key", *key), ("capability", *capability), ("model", *model)];
                page.sample(&name, &labels, counts[index] as f64);
            }
        }
    }
}


#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::keyvalue::{Kind, Place};

    fn value(text: &str) -> Option<http::HeaderValue> {
        text.parse().ok()
    }

    #[tokio::test]
    async fn what_is_told_is_added_up_over_lanes() {
        let kinds = BTreeMap::from([(STORE.to_owned(), Kind::default())]);
        let stores = Stores::open(&Place::Memory, &kinds, std::path::Path::new("/nowhere")).expect("memory");
        let tally = Tally::start(2, &stores);
        let report = Report {
            key: value("phone"),
            usage: value("capability=talk operation=chat input_tokens=3"),
            late: value("output_tokens=5"),
            parameters: value("messages=1 model=a/asked"),
            provider: value("somebody"),
            model: value("a/b"),
            first_token: Some(Duration::from_millis(30)),
            overhead: Some(Duration::from_micros(120)),
            ..Report::default()
        };
        tally.request(0, &report, Duration::from_millis(50));
        tally.request(1, &Report { failed: true, ..report }, Duration::from_millis(70));
        tally.request(0, &Report::default(), Duration::from_millis(1));
        let usage = tally.usage(None, None, Some("phone")).await.expect("usage");
        let row = &usage["usage"][0];
        assert_eq!(usage["usage"].as_array().map(Vec::len), Some(1));
        assert_eq!((&row["requests"], &row["errors"], &row["capability"]), (&2.into(), &1.into(), &"talk".into()));
        assert_eq!((&row["input_tokens"], &row["output_tokens"], &row["model"]), (&6.into(), &10.into(), &"a/b".into()));
        // Nothing is added twice.
        assert_eq!(tally.usage(None, None, None).await.expect("usage"), usage);
        assert_eq!(tally.usage(Some("2999-01-01"), None, None).await.expect("usage")["usage"], json!([]));
        let mut page = Page::default();
        tally.collect(&mut page);
        let text = page.text();
        let labels = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"somebody\",gen_ai_request_model=\"a/asked\",gen_ai_response_model=\"a/b\"";
        for line in [
            format!("gen_ai_client_operation_duration_seconds_count{{{labels}}} 2"),
            format!("gen_ai_server_time_to_first_token_seconds_bucket{{{labels},le=\"0.04\"}} 2"),
            format!("gen_ai_client_token_usage_sum{{{labels},gen_ai_token_type=\"output\"}} 10"),
            "hybrid_overhead_seconds_bucket{le=\"0.00015\"} 2".to_owned(),
            "hybrid_usage_requests_total{key=\"phone\",capability=\"talk\",model=\"a/b\"} 2".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} is not in {text}");
        }
    }
}
