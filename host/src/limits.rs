//! What one component may use, beside what all together may ([`crate::config::Limits`]).

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http::{Method, StatusCode};
use serde::Deserialize;

use crate::config::Limits;
use crate::smoke::Call;

/// Whether an instance serves more than one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// One after the other, until it has served its time: the memory of one request is there for the next.
    #[default]
    Reuse,
    /// Every request gets fresh ones.
    Request,
}

/// What one component may use for one request. What the configuration leaves out is as large as for all together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentLimits {
    /// Each of its linear memories.
    pub memory_bytes: usize,
    /// Its own computing.
    pub cpu_ms: u64,
    /// From a call of it to its return; what it streams after that is under the limit of the whole request.
    pub call: Option<Duration>,
    /// Requests that may be at work in it at once; the next wait a second.
    pub concurrent_requests: Option<usize>,
    pub outbound_requests: u32,
    pub outbound_bytes: u64,
    pub isolation: Isolation,
}

/// The same as written in `[components.NAME.limits]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsText {
    memory_bytes: Option<usize>,
    cpu_ms: Option<u64>,
    call_ms: Option<u64>,
    concurrent_requests: Option<usize>,
    outbound_requests: Option<u32>,
    outbound_bytes: Option<u64>,
    isolation: Option<Isolation>,
}

impl ComponentLimits {
    pub fn new(text: &LimitsText, all: &Limits) -> Result<Self> {
        if text.memory_bytes.is_some_and(|bytes| bytes > all.memory_bytes) {
            bail!("`memory_bytes` is more than `limits.memory_bytes` leaves to anybody");
        }
        if [text.cpu_ms, text.call_ms, text.concurrent_requests.map(|n| n as u64)].contains(&Some(0)) {
            bail!("a limit of 0 would refuse every request: leave the component out instead");
        }
        Ok(Self {
            memory_bytes: text.memory_bytes.unwrap_or(all.memory_bytes),
            cpu_ms: text.cpu_ms.unwrap_or(all.cpu_ms).min(all.cpu_ms),
            call: text.call_ms.map(Duration::from_millis),
            concurrent_requests: text.concurrent_requests,
            outbound_requests: text.outbound_requests.unwrap_or(all.outbound_requests),
            outbound_bytes: text.outbound_bytes.unwrap_or(all.outbound_bytes),
            isolation: text.isolation.unwrap_or(all.isolation),
        })
    }
}

/// A call that a new version must answer, as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmokeText {
    #[serde(default)]
    method: Option<String>,
    path: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    limit_ms: Option<u64>,
}

impl SmokeText {
    pub fn parse(self) -> Result<Call> {
        let default = if self.body.is_empty() { "GET" } else { "POST" };
        let method = self.method.unwrap_or_else(|| default.to_owned());
        if !self.path.starts_with('/') {
            bail!("`smoke.path` is `{}`, not a path", self.path);
        }
        Ok(Call {
            method: Method::from_bytes(method.as_bytes()).with_context(|| format!("`smoke.method` is `{method}`"))?,
            path: self.path,
            body: self.body,
            status: StatusCode::from_u16(self.status.unwrap_or(200)).context("`smoke.status` is no status")?,
            limit: Duration::from_millis(self.limit_ms.unwrap_or(10_000)),
        })
    }
}

/// A request met a limit of one component. Whoever answers the request decides what is told.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{component}` {what}")]
pub struct Hit {
    pub component: String,
    pub kind: Kind,
    pub what: String,
}

/// Which limit it was, by the name that metrics use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Cpu,
    Call,
    Concurrency,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Cpu => "cpu",
            Kind::Call => "call",
            Kind::Concurrency => "concurrency",
        }
    }
}
