//! What models did, by OpenTelemetry's names for it (semantic conventions, `gen_ai.*`), as Prometheus writes them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use crate::metrics::{Collect, Page};
use crate::told::{OTHER, Work};

/// The boundaries that the conventions ask for, in seconds and in tokens.
const SECONDS: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const FIRST: [f64; 16] = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const TOKENS: [f64; 14] = [
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
];
/// Models may be asked for by any name; past this many a lane counts the rest as `other`.
const MAX_SERIES: usize = 200;

/// Lives as long as the process. A lane counts in a table of its own, which only a scrape looks at beside it.
pub struct GenAi {
    lanes: Box<[Lane]>,
}

/// On cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Lane(Mutex<Table>);

#[derive(Default)]
struct Table {
    series: HashMap<Box<str>, Series>,
    /// Where labels are put together, so that known ones cost no allocation.
    labels: String,
}

/// The labels of one series, with tabs between them in its name.
const LABELS: [&str; 5] =
    ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_response_model", "error_type"];

#[derive(Default, Clone)]
struct Series {
    duration: Counted<{ SECONDS.len() }>,
    first_token: Counted<{ FIRST.len() }>,
    input: Counted<{ TOKENS.len() }>,
    output: Counted<{ TOKENS.len() }>,
}

#[derive(Clone)]
struct Counted<const N: usize> {
    buckets: [u64; N],
    count: u64,
    sum: f64,
}

impl<const N: usize> Default for Counted<N> {
    fn default() -> Self {
        Self { buckets: [0; N], count: 0, sum: 0.0 }
    }
}

impl<const N: usize> Counted<N> {
    fn record(&mut self, bounds: &[f64; N], value: f64) {
        if let Some(bucket) = bounds.iter().position(|bound| value <= *bound) {
            self.buckets[bucket] += 1;
        }
        self.count += 1;
        self.sum += value;
    }

    fn add(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(sum, count)| *sum += count);
        self.count += other.count;
        self.sum += other.sum;
    }

    fn write(&self, page: &mut Page, name: &str, labels: &[(&str, &str)], bounds: &[f64; N]) {
        if self.count > 0 {
            page.buckets(name, labels, bounds.iter().copied().zip(self.buckets), self.count, self.sum);
        }
    }
}

impl GenAi {
    pub fn new(lanes: usize) -> Self {
        Self { lanes: (0..lanes).map(|_| Lane::default()).collect() }
    }

    /// `error` is empty where all went well.
    pub fn count(&self, lane: usize, work: &Work<'_>, time: Duration, first_token: Option<Duration>, error: &str) {
        let mut table = self.lanes[lane].0.lock().expect("nobody panics holding it");
        let series = table.series([work.operation, work.provider, work.asked, work.model, error]);
        series.duration.record(&SECONDS, time.as_secs_f64());
        if let Some(first_token) = first_token {
            series.first_token.record(&FIRST, first_token.as_secs_f64());
        }
        for (counted, tokens) in [(&mut series.input, work.input_tokens), (&mut series.output, work.output_tokens)] {
            if tokens > 0 {
                counted.record(&TOKENS, tokens as f64);
            }
        }
    }
}

impl Table {
    fn series(&mut self, values: [&str; LABELS.len()]) -> &mut Series {
        self.labels.clear();
        for value in values {
            self.labels.push_str(value);
            self.labels.push('\t');
        }
        if !self.series.contains_key(self.labels.as_str()) {
            if self.series.len() >= MAX_SERIES {
                self.labels.clear();
                (0..LABELS.len() - 1).for_each(|_| self.labels.extend([OTHER, "\t"]));
                self.labels.push('\t');
            }
            // Also where it is there: this happens for each new name, and then no more.
            self.series.entry(self.labels.as_str().into()).or_default();
        }
        self.series.get_mut(self.labels.as_str()).expect("it is there, or was put there")
    }
}

impl Collect for GenAi {
    fn collect(&self, page: &mut Page) {
        let mut all: BTreeMap<Box<str>, Series> = BTreeMap::new();
        for lane in &self.lanes {
            for (labels, series) in &lane.0.lock().expect("nobody panics holding it").series {
                let sum = all.entry(labels.clone()).or_default();
                sum.duration.add(&series.duration);
                sum.first_token.add(&series.first_token);
                sum.input.add(&series.input);
                sum.output.add(&series.output);
            }
        }
        let labelled: Vec<(Vec<(&str, &str)>, &Series)> = all
            .iter()
            .map(|(labels, series)| {
                // An empty label is the same as none.
                let values = labels.split('\t').filter(|value| !value.is_empty()).count();
                let mut named = Vec::with_capacity(values + 1);
                named.extend(LABELS.into_iter().zip(labels.split('\t')).filter(|(_, value)| !value.is_empty()));
                (named, series)
            })
            .collect();
        let name = "gen_ai_client_operation_duration_seconds";
        page.family(name, "histogram", "Requests to models, from the request's head to the end of the answer.");
        for (labels, series) in &labelled {
            series.duration.write(page, name, labels, &SECONDS);
        }
        let name = "gen_ai_client_token_usage";
        page.family(name, "histogram", "Tokens of one request, where the model counts them.");
        for (labels, series) in &labelled {
            for (kind, counted) in [("input", &series.input), ("output", &series.output)] {
                let mut labels = labels.clone();
                labels.push(("gen_ai_token_type", kind));
                counted.write(page, name, &labels, &TOKENS);
            }
        }
        let name = "gen_ai_server_time_to_first_token_seconds";
        page.family(name, "histogram", "From a request's head to the first piece of a streamed answer.");
        for (labels, series) in &labelled {
            series.first_token.write(page, name, labels, &FIRST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(asked: &str) -> Work<'_> {
        Work { operation: "chat", provider: "p", asked, model: "a/b", input_tokens: 5, ..Work::default() }
    }

    fn page(counted: &GenAi) -> String {
        let mut page = Page::default();
        counted.collect(&mut page);
        page.text().to_owned()
    }

    #[test]
    fn a_request_is_counted_by_the_conventions_names() {
        let counted = GenAi::new(2);
        counted.count(0, &work("c/d"), Duration::from_millis(15), Some(Duration::from_millis(3)), "");
        counted.count(1, &work("c/d"), Duration::from_millis(15), None, "");
        counted.count(1, &work("c/d"), Duration::from_secs(100), None, "503");
        let text = page(&counted);
        let labels = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"p\",gen_ai_request_model=\"c/d\",gen_ai_response_model=\"a/b\"";
        for line in [
            format!("gen_ai_client_operation_duration_seconds_bucket{{{labels},le=\"0.01\"}} 0\n"),
            format!("gen_ai_client_operation_duration_seconds_bucket{{{labels},le=\"0.02\"}} 2\n"),
            format!("gen_ai_client_operation_duration_seconds_count{{{labels}}} 2\n"),
            format!("gen_ai_client_operation_duration_seconds_bucket{{{labels},error_type=\"503\",le=\"81.92\"}} 0\n"),
            format!("gen_ai_client_operation_duration_seconds_bucket{{{labels},error_type=\"503\",le=\"+Inf\"}} 1\n"),
            format!("gen_ai_client_token_usage_sum{{{labels},gen_ai_token_type=\"input\"}} 10\n"),
            format!("gen_ai_server_time_to_first_token_seconds_bucket{{{labels},le=\"0.005\"}} 1\n"),
        ] {
            assert!(text.contains(&line), "{line} is not in {text}");
        }
        assert!(!text.contains("gen_ai_token_type=\"output\""), "{text}");
    }

    #[test]
    fn made_up_names_have_an_end() {
        let counted = GenAi::new(1);
        for number in 0..3 * MAX_SERIES {
            counted.count(0, &work(&format!("a/{number}")), Duration::ZERO, None, "");
        }
        let text = page(&counted);
        let series = text.lines().filter(|line| line.starts_with("gen_ai_client_operation_duration_seconds_count"));
        assert_eq!(series.count(), MAX_SERIES + 1);
        assert!(text.contains("gen_ai_request_model=\"other\""));
    }
}
