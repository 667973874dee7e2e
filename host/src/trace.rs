//! Traces: W3C's `traceparent` is taken from clients, goes on to upstreams, and where `OTEL_EXPORTER_OTLP_ENDPOINT` is
//! set every request and every call upstream is exported as a span, in OTLP's JSON over HTTP.
//!
//! Names, sizes and statuses only. A collector that is slow or away costs its own spans, and no request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use crate::telemetry::{self, Level};

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Spans that may wait for the collector.
const WAITING: usize = 8192;
const BATCH: usize = 512;
/// Spans are gathered this long, so that one request to the collector takes many.
const GATHER: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);

/// A place in somebody's trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    id: u128,
    /// The span that this place is in.
    pub span: u64,
    parent: Option<u64>,
    sampled: bool,
}

impl Trace {
    /// A span of ours in the client's trace, or in a new one where spans are exported; none where nobody wants to know.
    pub fn begin(headers: &HeaderMap, exported: bool) -> Option<Self> {
        let theirs = headers.get(TRACEPARENT).and_then(|value| Self::parse(value.to_str().ok()?));
        match theirs {
            Some(theirs) => Some(theirs.child()),
            None if exported => {
                let id = u128::from(random()) << 64 | u128::from(random());
                Some(Self { id, span: random(), parent: None, sampled: true })
            }
            None => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        if !is_hex(version, 2) || version == "ff" || !is_hex(id, 32) || !is_hex(span, 16) || !is_hex(flags, 2) {
            return None;
        }
        // Version 00 has these four parts; later ones may have more.
        if version == "00" && parts.next().is_some() {
            return None;
        }
        let (id, span) = (u128::from_str_radix(id, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        (id != 0 && span != 0).then_some(Self { id, span, parent: None, sampled })
    }

    /// A new span below this one.
    pub fn child(self) -> Self {
        Self { span: random(), parent: Some(self.span), ..self }
    }

    pub fn header(self) -> HeaderValue {
        let text = format!("00-{:032x}-{:016x}-{:02x}", self.id, self.span, u8::from(self.sampled));
        HeaderValue::try_from(text).expect("hex is a header value")
    }
}

/// Unlike any other; not a secret.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u64(COUNT.fetch_add(1, Ordering::Relaxed));
    hasher.finish().max(1)
}

/// Something that took time.
#[derive(Debug)]
pub struct Span {
    pub trace: Trace,
    pub name: String,
    /// A request that came in, or one that went out.
    pub incoming: bool,
    pub started: SystemTime,
    pub attributes: Vec<(&'static str, Json)>,
    pub failed: bool,
}

/// The way to the collector. Cheap to clone.
#[derive(Clone)]
pub struct Exporter {
    spans: mpsc::Sender<(Span, SystemTime)>,
    lost: Arc<AtomicU64>,
}

impl Exporter {
    /// Sends what it is given to `ENDPOINT/v1/traces`, from a thread of its own.
    pub fn start(endpoint: &str) -> Result<Self> {
        let uri = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let uri: Uri = uri.parse().ok().context("OTEL_EXPORTER_OTLP_ENDPOINT is no URL")?;
        if uri.scheme().is_none() {
            anyhow::bail!("OTEL_EXPORTER_OTLP_ENDPOINT must be http://HOST:PORT or https://HOST:PORT");
        }
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_native_roots()
            .context("reading the machine's certificates")?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let (spans, mut waiting) = mpsc::channel(WAITING);
        let lost = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&lost);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("traces".into()).spawn(move || {
            runtime.block_on(async move {
                let (mut batch, mut away) = (Vec::new(), false);
                while waiting.recv_many(&mut batch, BATCH).await > 0 {
                    if batch.len() < BATCH {
                        tokio::time::sleep(GATHER).await;
                        while let (true, Ok(more)) = (batch.len() < BATCH, waiting.try_recv()) {
                            batch.push(more);
                        }
                    }
                    let request = Request::post(uri.clone())
                        .header(header::CONTENT_TYPE, "application/json")
                        .body(Full::new(Bytes::from(written(&batch).to_string())))
                        .expect("a URI and a type make a request");
                    let sent = tokio::time::timeout(PATIENCE, async {
                        let answer = client.request(request).await.ok()?;
                        let fine = answer.status().is_success();
                        // The connection is used again once the answer is read.
                        let _ = answer.into_body().collect().await;
                        fine.then_some(())
                    });
                    let fine = matches!(sent.await, Ok(Some(())));
                    if !fine {
                        counted.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    }
                    if fine == away {
                        away = !fine;
                        let message = if fine { "traces are taken again" } else { "traces are not taken by the collector" };
                        telemetry::line(Level::Warn, message, &[("lost", counted.load(Ordering::Relaxed).into())]);
                    }
                    batch.clear();
                }
            });
        })?;
        Ok(Self { spans, lost })
    }

    /// A span ends now.
    pub fn end(&self, span: Span) {
        if self.spans.try_send((span, SystemTime::now())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn written(batch: &[(Span, SystemTime)]) -> Json {
    let nanos = |time: &SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
    let value = |value: &Json| match value {
        Json::Number(number) => json!({ "intValue": number.to_string() }),
        Json::String(text) => json!({ "stringValue": text }),
        other => json!({ "stringValue": other.to_string() }),
    };
    let spans: Vec<Json> = batch
        .iter()
        .map(|(span, ended)| {
            let attributes: Vec<Json> =
                span.attributes.iter().map(|(key, told)| json!({ "key": key, "value": value(told) })).collect();
            let mut written = json!({
                "traceId": format!("{:032x}", span.trace.id),
                "spanId": format!("{:016x}", span.trace.span),
                "name": span.name,
                "kind": if span.incoming { 2 } else { 3 },
                "startTimeUnixNano": nanos(&span.started),
                "endTimeUnixNano": nanos(ended),
                "attributes": attributes,
                "status": if span.failed { json!({ "code": 2 }) } else { json!({}) },
            });
            if let Some(parent) = span.trace.parent {
                written["parentSpanId"] = format!("{parent:016x}").into();
            }
            written
        })
        .collect();
    let service = [
        json!({ "key": "service.name", "value": { "stringValue": env!("CARGO_PKG_NAME") } }),
        json!({ "key": "service.version", "value": { "stringValue": env!("CARGO_PKG_VERSION") } }),
    ];
    json!({ "resourceSpans": [{
        "resource": { "attributes": service },
        "scopeSpans": [{ "scope": { "name": env!("CARGO_PKG_NAME") }, "spans": spans }],
    }] })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEIRS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(TRACEPARENT, text.parse().expect("a value"))])
    }

    #[test]
    fn a_clients_trace_goes_on() {
        let ours = Trace::begin(&headers(THEIRS), false).expect("a trace");
        assert_eq!((ours.id, ours.parent), (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, Some(0x00f0_67aa_0ba9_02b7)));
        let upstream = ours.child().header();
        let upstream = upstream.to_str().expect("text");
        assert!(upstream.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && upstream.ends_with("-01"), "{upstream}");
        assert!(!upstream.contains("00f067aa0ba902b7"));
    }

    #[test]
    fn what_is_no_trace_is_none() {
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(Trace::begin(&headers(text), false), None, "{text}");
        }
        assert!(Trace::begin(&HeaderMap::new(), true).is_some());
    }

    #[test]
    fn spans_are_written_as_collectors_read_them() {
        let trace = Trace::begin(&headers(THEIRS), true).expect("a trace");
        let attributes = vec![("http.response.status_code", 200.into()), ("url.path", "/x".into())];
        let name = "POST /x".to_owned();
        let span = Span { trace, name, incoming: true, started: UNIX_EPOCH, attributes, failed: false };
        let written = written(&[(span, UNIX_EPOCH + Duration::from_secs(1))]);
        let span = &written["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
        assert_eq!((&span["kind"], &span["endTimeUnixNano"]), (&2.into(), &"1000000000".into()));
        assert_eq!(span["attributes"][0]["value"]["intValue"], "200");
    }
}
