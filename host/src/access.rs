//! What is said of each request when it is over: a line in the log, the counts, and the span of its trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderValue, Request, StatusCode, header};

use crate::error::Form;
use crate::registry::{Generation, Worker};
use crate::request::Desk;
use crate::telemetry::{self, Level};
use crate::told::{Told, Work};
use crate::trace::{self, Kind, Part, Span, Value};
use crate::waiting::Waiting;

/// Kept while a request runs; written when it is over, whatever way that comes about.
pub struct Access {
    desk: Arc<Desk>,
    generation: Arc<Generation>,
    broken: AtomicBool,
    started: Instant,
    method: http::Method,
    uri: http::Uri,
    agent: Option<HeaderValue>,
    client: Arc<str>,
    id: HeaderValue,
    /// What the answer tells of itself.
    pub told: Told,
    /// What the request has to do with a trace.
    pub part: Option<Part>,
    /// How long it waits for others; none where no component is asked.
    pub waiting: Option<Arc<Waiting>>,
    /// When the first piece of a stream went out.
    first: Option<Duration>,
    components: String,
    status: Option<StatusCode>,
    size_bytes: u64,
    written: bool,
}

/// A path longer than any of ours is somebody's probe.
const MAX_PATH: usize = 200;
/// The client left before an answer; nginx's number for it.
const CLIENT_GONE: u64 = 499;

impl Access {
    pub fn new<B>(
        desk: &Arc<Desk>,
        generation: &Arc<Generation>,
        started: Instant,
        request: &Request<B>,
        client: &Arc<str>,
        id: &HeaderValue,
    ) -> Self {
        Self {
            desk: Arc::clone(desk),
            generation: Arc::clone(generation),
            broken: AtomicBool::new(false),
            started,
            method: request.method().clone(),
            uri: request.uri().clone(),
            agent: request.headers().get(header::USER_AGENT).cloned(),
            client: Arc::clone(client),
            id: id.clone(),
            told: Told::default(),
            part: None,
            waiting: None,
            first: None,
            components: String::new(),
            status: None,
            size_bytes: 0,
            written: false,
        }
    }

    /// What the client expects the host's own words in.
    pub fn form(&self) -> Option<Arc<Form>> {
        self.generation.config.form(self.uri.path())
    }

    /// Nothing is written or counted: it is part of another request.
    pub fn is_silent(&mut self) {
        self.written = true;
    }

    /// Whether it is part of another request.
    pub fn is_part(&self) -> bool {
        self.written
    }

    pub fn status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// A piece of a stream goes out; a comment is none.
    pub fn piece(&mut self, data: &[u8]) {
        if self.first.is_none() && data.first().is_some_and(|first| *first != b':') {
            self.first = Some(self.started.elapsed());
        }
    }

    pub fn components(&mut self, components: String) {
        self.components = components;
    }

    pub fn sent(&mut self, bytes: usize) {
        self.size_bytes += bytes as u64;
    }

    /// Something of ours went wrong: the whole chain goes to the log, under the request's id.
    pub fn failure(&self, message: &str, error: &anyhow::Error) {
        self.broken.store(true, Ordering::Relaxed);
        let error = format!("{error:#}");
        let id = self.id.to_str().unwrap_or_default();
        telemetry::line(Level::Error, message, &[("request_id", id.into()), ("error", (&error).into())]);
    }

    pub fn broken(&self, worker: &Worker, error: &anyhow::Error) {
        let names = worker.store.data().components();
        self.failure(&format!("a component could not be started ({names})"), error);
    }

    pub fn finished(&mut self) {
        if self.written {
            return;
        }
        self.written = true;
        let time = self.started.elapsed();
        if let Some(trial) = &*self.desk.registry.canary.load() {
            trial.ended(&self.generation, self.status, self.broken.load(Ordering::Relaxed), time);
        }
        self.counted(time);
        if !telemetry::enabled(Level::Info) {
            return;
        }
        let text = |value: &'_ Option<HeaderValue>| -> String {
            value.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let (agent, parameters, key) = (text(&self.agent), text(&self.told.parameters), text(&self.told.key));
        let trace = self.part.as_ref().map(|part| trace::hex(&part.context.trace));
        let duration_ms = time.as_secs_f64() * 1000.0;
        let status = self.status.map_or(CLIENT_GONE, |status| u64::from(status.as_u16()));
        let fields = [
            ("method", self.method.as_str().into()),
            ("route", self.route().into()),
            ("parameters", (&parameters).into()),
            ("status", status.into()),
            ("duration_ms", duration_ms.into()),
            ("size_bytes", self.size_bytes.into()),
            ("user_agent", (&agent).into()),
            ("key", (&key).into()),
            ("client", self.client.as_ref().into()),
            ("request_id", self.id.to_str().unwrap_or_default().into()),
            ("components", (&self.components).into()),
            ("trace_id", trace.as_deref().unwrap_or_default().into()),
        ];
        // Most requests are part of no trace.
        let fields = if trace.is_some() { &fields[..] } else { &fields[..fields.len() - 1] };
        telemetry::line(Level::Info, "request", fields);
    }

    /// Without the query: people put things there.
    fn route(&self) -> &str {
        let path = self.uri.path();
        &path[..path.floor_char_boundary(MAX_PATH)]
    }

    fn counted(&mut self, time: Duration) {
        let (registry, lane) = (&self.desk.registry, self.desk.lane);
        let counts = registry.metrics.lane(lane);
        counts.request(self.status, time);
        if let Some(waiting) = &self.waiting {
            counts.own(time.saturating_sub(waiting.total()));
        }
        let work = self.told.work(self.status);
        let broken = self.broken.load(Ordering::Relaxed);
        if let Some(work) = &work {
            let error = match &self.status {
                _ if broken => "broken",
                Some(status) if status.as_u16() >= 400 => status.as_str(),
                Some(_) => "",
                None => "gone",
            };
            registry.usage.count(lane, work, !error.is_empty());
            // Who was refused at the door asked no model.
            if !work.operation.is_empty() {
                registry.gen_ai.count(lane, work, time, self.first, error);
            }
        }
        if let Some(part) = &self.part
            && let Some(traces) = &part.traces
        {
            traces.tell(self.span(part, work.as_ref(), broken, time));
        }
    }

    /// Names and sizes: no content, and no keys.
    fn span(&self, part: &Part, work: Option<&Work<'_>>, broken: bool, time: Duration) -> Span {
        let (start, end) = trace::until_now(time);
        let status = self.status.map_or(CLIENT_GONE, |status| u64::from(status.as_u16()));
        let mut attributes: Vec<(&str, Value)> = vec![
            ("http.request.method", self.method.as_str().into()),
            ("url.path", self.route().into()),
            ("http.response.status_code", status.into()),
            ("http.response.body.size", self.size_bytes.into()),
            ("hybrid.request_id", self.id.to_str().unwrap_or_default().into()),
            ("hybrid.components", self.components.as_str().into()),
        ];
        if let Some(work) = work {
            let names = [
                ("gen_ai.operation.name", work.operation),
                ("gen_ai.provider.name", work.provider),
                ("gen_ai.request.model", work.asked),
                ("gen_ai.response.model", work.model),
            ];
            attributes
                .extend(names.into_iter().filter(|(_, name)| !name.is_empty()).map(|(at, name)| (at, name.into())));
            let counts =
                [("gen_ai.usage.input_tokens", work.input_tokens), ("gen_ai.usage.output_tokens", work.output_tokens)];
            attributes.extend(counts.into_iter().filter(|(_, count)| *count > 0).map(|(at, count)| (at, count.into())));
        }
        Span {
            context: part.context,
            parent: part.parent,
            name: format!("{} {}", self.method, self.route()),
            kind: Kind::Server,
            start,
            end,
            attributes,
            failed: broken || status >= 500,
        }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        self.finished();
    }
}
