//! The line that the log gets for each request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use http::{HeaderValue, Request, StatusCode, header};

use crate::error::Form;
use crate::registry::{Generation, Worker};
use crate::request::Desk;
use crate::telemetry::{self, Level};

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
    parameters: Option<HeaderValue>,
    /// The name of the key that the request came with.
    key: Option<HeaderValue>,
    components: String,
    status: Option<StatusCode>,
    size_bytes: u64,
    written: bool,
    /// What the client expects the host's own words in.
    pub form: Option<Arc<Form>>,
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
            parameters: None,
            key: None,
            components: String::new(),
            status: None,
            size_bytes: 0,
            written: false,
            form: None,
        }
    }

    /// Nothing is written or counted: it is part of another request.
    pub fn is_silent(&mut self) {
        self.written = true;
    }

    pub fn status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    pub fn parameters(&mut self, parameters: &HeaderValue) {
        self.parameters = Some(parameters.clone());
    }

    pub fn key(&mut self, key: HeaderValue) {
        self.key = Some(key);
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
        self.desk.registry.metrics.lane(self.desk.lane).request(self.status, time);
        if !telemetry::enabled(Level::Info) {
            return;
        }
        let text = |value: &'_ Option<HeaderValue>| -> String {
            value.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let (agent, parameters, key) = (text(&self.agent), text(&self.parameters), text(&self.key));
        // Without the query: people put things there.
        let path = self.uri.path();
        let route = &path[..path.floor_char_boundary(MAX_PATH)];
        let duration_ms = time.as_secs_f64() * 1000.0;
        let status = self.status.map_or(CLIENT_GONE, |status| u64::from(status.as_u16()));
        telemetry::line(
            Level::Info,
            "request",
            &[
                ("method", self.method.as_str().into()),
                ("route", route.into()),
                ("parameters", (&parameters).into()),
                ("status", status.into()),
                ("duration_ms", duration_ms.into()),
                ("size_bytes", self.size_bytes.into()),
                ("user_agent", (&agent).into()),
                ("key", (&key).into()),
                ("client", self.client.as_ref().into()),
                ("request_id", self.id.to_str().unwrap_or_default().into()),
                ("components", (&self.components).into()),
            ],
        );
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        self.finished();
    }
}
