//! Spans go to a collector by OTLP: HTTP with JSON, many at a time, from a thread of its own. What a collector that is
//! away or slow does not take is dropped and counted: no request waits for it.
//!
//! The few fields that are told are written here. OpenTelemetry's own crates would bring an SDK with a second way to
//! measure, tonic's protocol buffers and reqwest beside the client that is here already.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::sync::{mpsc, oneshot};

use crate::config::Limits;
use crate::metrics::{Collect, Page};
use crate::telemetry::{self, Level};
use crate::trace::{Span, Value, hex};

/// Spans that may wait; past it they are dropped.
const WAITING: usize = 4096;
/// Spans in one request to the collector, and how long they are gathered for it.
const BATCH: usize = 512;
const GATHER: Duration = Duration::from_secs(1);
/// A collector is near, and answers at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// A collector's answer is a few words.
const MAX_ANSWER: usize = 64 * 1024;

/// Where spans go.
#[derive(Clone, PartialEq)]
pub struct Target {
    url: Uri,
    headers: HeaderMap,
    service: String,
    /// The share of the requests that nobody else's trace brings.
    sample: f64,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers are for tokens.
        f.debug_struct("Target").field("url", &self.url).finish_non_exhaustive()
    }
}

/// `[telemetry]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetText {
    otlp_endpoint: Option<String>,
    sample: Option<f64>,
}

impl Target {
    /// OpenTelemetry's own variables win. None where nothing says where to.
    pub fn read(text: TargetText, environment: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let sample = text.sample.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&sample) {
            bail!("`telemetry.sample` is {sample}, not between 0 and 1");
        }
        let off = |name: &str, word: &str| environment(name).is_some_and(|value| value.trim() == word);
        if off("OTEL_SDK_DISABLED", "true") || off("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let base = |text: String| format!("{}/v1/traces", text.trim().trim_end_matches('/'));
        let url = environment("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            .or_else(|| environment("OTEL_EXPORTER_OTLP_ENDPOINT").map(base))
            .or_else(|| text.otlp_endpoint.filter(|text| !text.is_empty()).map(base));
        let Some(url) = url else { return Ok(None) };
        let wrong = "the collector's address must be http(s)://HOST[:PORT], OTLP over HTTP (port 4318 by custom)";
        let url: Uri = url.trim().parse().ok().context(wrong)?;
        let plain = url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        if !matches!(url.scheme_str(), Some("http" | "https")) || !plain {
            bail!(wrong);
        }
        let mut headers = HeaderMap::new();
        let told =
            environment("OTEL_EXPORTER_OTLP_TRACES_HEADERS").or_else(|| environment("OTEL_EXPORTER_OTLP_HEADERS"));
        for pair in told.iter().flat_map(|told| told.split(',')).filter(|pair| !pair.trim().is_empty()) {
            // Not repeated: it may be a token.
            let wrong = "OTEL_EXPORTER_OTLP_HEADERS must be name=value, with commas between";
            let (name, value) = pair.split_once('=').context(wrong)?;
            let name = name.trim().parse::<HeaderName>().ok().context(wrong)?;
            let mut value = HeaderValue::from_str(value.trim().replace("%20", " ").as_str()).ok().context(wrong)?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let service = environment("OTEL_SERVICE_NAME").unwrap_or_else(|| "hybrid-ai".to_owned());
        Ok(Some(Self { url, headers, service, sample }))
    }
}

/// Where finished spans are handed in. The thread behind it ends with the last who holds it.
pub struct Traces {
    sender: mpsc::Sender<Message>,
    counts: Arc<Counts>,
    sample: f64,
}

#[derive(Default)]
struct Counts {
    exported: AtomicU64,
    dropped: AtomicU64,
}

enum Message {
    Span(Box<Span>),
    /// Tell when everything before this is sent.
    Flush(oneshot::Sender<()>),
}

impl Traces {
    pub fn start(target: &Target) -> Result<Arc<Self>> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let counts = Arc::<Counts>::default();
        let exporter = Exporter::new(target.clone(), Arc::clone(&counts))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("traces".into()).spawn(move || runtime.block_on(exporter.run(receiver)))?;
        Ok(Arc::new(Self { sender, counts, sample: target.sample }))
    }

    /// Whether a trace that begins here is told; by its id, so that every host says the same of it.
    pub fn takes(&self, trace: &[u8; 16]) -> bool {
        let [.., a, b, c, d] = *trace;
        f64::from(u32::from_be_bytes([a, b, c, d])) < self.sample * (f64::from(u32::MAX) + 1.0)
    }

    pub fn tell(&self, span: Span) {
        if self.sender.try_send(Message::Span(Box::new(span))).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was handed in so far is sent, or is dropped.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        let told = async {
            if self.sender.send(Message::Flush(done)).await.is_ok() {
                let _ = wait.await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, told).await;
    }
}

impl Collect for Traces {
    fn collect(&self, page: &mut Page) {
        let name = "hybrid_spans_total";
        page.family(name, "counter", "Spans of traces: taken by the collector, or dropped.");
        for (outcome, count) in [("exported", &self.counts.exported), ("dropped", &self.counts.dropped)] {
            page.sample(name, &[("outcome", outcome)], count.load(Ordering::Relaxed) as f64);
        }
    }
}

/// The thread's own side.
struct Exporter {
    client: Client<hyper_rustls::HttpsConnector<HttpConnector>, Full<Bytes>>,
    target: Target,
    counts: Arc<Counts>,
    away: bool,
}

impl Exporter {
    fn new(target: Target, counts: Arc<Counts>) -> Result<Self> {
        let connector = crate::outbound::connector(&Limits::default(), HttpConnector::new())?;
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector);
        Ok(Self { client, target, counts, away: false })
    }

    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        let mut is_over = false;
        while !is_over {
            let mut gather = std::pin::pin!(tokio::time::sleep(GATHER));
            while batch.len() < BATCH && waiting.is_empty() && !is_over {
                tokio::select! {
                    message = messages.recv() => match message {
                        Some(Message::Span(span)) => batch.push(*span),
                        Some(Message::Flush(done)) => waiting.push(done),
                        None => is_over = true,
                    },
                    () = &mut gather => break,
                }
            }
            if !batch.is_empty() {
                self.export(&batch).await;
                batch.clear();
            }
            for done in waiting.drain(..) {
                // Who asked may have lost patience.
                let _ = done.send(());
            }
        }
    }

    async fn export(&mut self, spans: &[Span]) {
        let sent = tokio::time::timeout(PATIENCE, self.send(spans)).await;
        let sent = sent.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {PATIENCE:?}")));
        let counter = if sent.is_ok() { &self.counts.exported } else { &self.counts.dropped };
        counter.fetch_add(spans.len() as u64, Ordering::Relaxed);
        match &sent {
            Err(error) if !std::mem::replace(&mut self.away, true) => {
                let error = format!("{error:#}");
                let message = "the collector takes no spans: they are dropped until it does";
                telemetry::line(Level::Warn, message, &[("error", (&error).into())]);
            }
            Ok(()) if std::mem::take(&mut self.away) => {
                telemetry::line(Level::Info, "the collector takes spans again", &[]);
            }
            _ => {}
        }
    }

    async fn send(&self, spans: &[Span]) -> Result<()> {
        let body = Full::new(Bytes::from(document(&self.target.service, spans).to_string()));
        let mut request = Request::post(self.target.url.clone()).body(body)?;
        request.headers_mut().extend(self.target.headers.clone());
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.client.request(request).await?;
        let status = answer.status();
        // Read, so that the connection can be used again.
        let _ = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        if !status.is_success() {
            bail!("it answered {status}");
        }
        Ok(())
    }
}

/// The body of OTLP's `ExportTraceServiceRequest`. Its JSON has ids in hexadecimal, and 64-bit numbers as text.
fn document(service: &str, spans: &[Span]) -> Json {
    let resource = [("service.name", service), ("service.version", env!("CARGO_PKG_VERSION"))];
    let resource: Vec<Json> = resource.iter().map(|(name, text)| attribute(name, &Value::from(*text))).collect();
    let spans: Vec<Json> = spans.iter().map(written).collect();
    let scope = json!({ "name": "hybrid-ai", "version": env!("CARGO_PKG_VERSION") });
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": scope, "spans": spans }],
    }] })
}

fn written(span: &Span) -> Json {
    let attributes: Vec<Json> = span.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    let mut told = json!({
        "traceId": hex(&span.context.trace),
        "spanId": hex(&span.context.span),
        "name": span.name,
        "kind": span.kind as u8,
        "startTimeUnixNano": span.start.to_string(),
        "endTimeUnixNano": span.end.to_string(),
        "attributes": attributes,
        // 2 is an error; nobody says that all is well.
        "status": if span.failed { json!({ "code": 2 }) } else { json!({}) },
    });
    if let Some(parent) = &span.parent {
        told["parentSpanId"] = hex(parent).into();
    }
    told
}

fn attribute(name: &str, value: &Value) -> Json {
    let value = match value {
        Value::Text(text) => json!({ "stringValue": text }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
    };
    json!({ "key": name, "value": value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, environment: &[(&str, &str)]) -> Result<Option<Target>> {
        let text = toml::from_str(file).expect("TOML");
        Target::read(text, |name| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_usual_variables_say_where_spans_go() {
        assert_eq!(read("", &[]).expect("valid"), None);
        let url = |file, environment: &[(&str, &str)]| {
            read(file, environment).expect("valid").map(|target| target.url.to_string())
        };
        let file = "otlp_endpoint = \"http://127.0.0.1:4318/\"";
        assert_eq!(url(file, &[]).as_deref(), Some("http://127.0.0.1:4318/v1/traces"));
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example/otlp");
        assert_eq!(url(file, &[base]).as_deref(), Some("https://collector.example/otlp/v1/traces"));
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other:1/path");
        assert_eq!(url(file, &[base, own]).as_deref(), Some("http://other:1/path"));
        assert_eq!(url(file, &[("OTEL_SDK_DISABLED", "true")]), None);
        for wrong in ["otlp_endpoint = \"127.0.0.1:4318\"", "otlp_endpoint = \"http://a:b@c\"", "sample = 2.0"] {
            assert!(read(wrong, &[]).is_err(), "{wrong}");
        }
        let secret = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20s3cret,x-tenant=a");
        let target = read(file, &[secret]).expect("valid").expect("a target");
        assert_eq!(
            (&target.headers["authorization"], &target.headers["x-tenant"]),
            (&"Basic s3cret".parse().expect("a value"), &"a".parse().expect("a value"))
        );
        assert!(!format!("{target:?}").contains("s3cret"));
    }
}
