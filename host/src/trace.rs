//! Which trace a request is part of (W3C Trace Context), and what is told of it.
//!
//! What a client says in `traceparent` and `tracestate` goes to the components and on to the upstreams that are configured. Where spans
//! are told (`otlp.rs`), a request without it begins a trace of its own.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::otlp::Traces;

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// What every tracer must hand on; of more, nobody is told anything.
const MAX_STATE_BYTES: usize = 512;
const SAMPLED: u8 = 1;

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    pub trace: [u8; 16],
    pub span: [u8; 8],
    flags: u8,
}

impl Context {
    /// `00-TRACE-SPAN-FLAGS` in small hexadecimal digits; later versions may say more behind it.
    fn parse(text: &[u8]) -> Option<Self> {
        let (head, rest) = text.split_at_checked(55)?;
        let [dash_one, dash_two, dash_three] = [head[2], head[35], head[52]];
        if [dash_one, dash_two, dash_three] != [b'-'; 3] {
            return None;
        }
        let version = bytes::<1>(&head[..2])?[0];
        let whole = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|byte| *byte == b'-'),
        };
        let context =
            Self { trace: bytes(&head[3..35])?, span: bytes(&head[36..52])?, flags: bytes::<1>(&head[53..])?[0] };
        (whole && context.trace != [0; 16] && context.span != [0; 8]).then_some(context)
    }

    fn new() -> Self {
        Self { trace: random(), span: random(), flags: SAMPLED }
    }

    /// A new span of the same trace.
    pub fn child(self) -> Self {
        Self { span: random(), ..self }
    }

    pub fn header(&self) -> HeaderValue {
        let text = format!("00-{}-{}-{:02x}", hex(&self.trace), hex(&self.span), self.flags);
        HeaderValue::try_from(text).expect("hexadecimal digits are a header's value")
    }
}

/// What one request has to do with a trace.
#[derive(Clone)]
pub struct Part {
    /// Our span where spans are told, the client's otherwise.
    pub context: Context,
    /// The client's, where we told of one of ours.
    pub parent: Option<[u8; 8]>,
    /// What other tracers keep in the client's `tracestate`; we have no entry of our own in it.
    pub state: Option<HeaderValue>,
    pub traces: Option<Arc<Traces>>,
}

impl Part {
    /// None, mostly: nobody said anything, and nobody is told.
    pub fn of(headers: &HeaderMap, traces: Option<&Arc<Traces>>) -> Option<Self> {
        let theirs = headers.get(TRACEPARENT);
        if theirs.is_none() && traces.is_none() {
            return None;
        }
        let theirs = theirs.and_then(|value| Context::parse(value.as_bytes()));
        let state = theirs.and_then(|_| state(headers));
        match (theirs, traces) {
            // Whose trace it is decides whether it is kept.
            (Some(theirs), Some(traces)) if theirs.flags & SAMPLED != 0 => Some(Self {
                context: theirs.child(),
                parent: Some(theirs.span),
                state,
                traces: Some(Arc::clone(traces)),
            }),
            (Some(theirs), _) => Some(Self { context: theirs, parent: None, state, traces: None }),
            (None, Some(traces)) => {
                let context = Context::new();
                let traces = traces.takes(&context.trace).then(|| Arc::clone(traces));
                traces.map(|traces| Self { context, parent: None, state, traces: Some(traces) })
            }
            (None, None) => None,
        }
    }
}

/// All of it in one header; it may come in several.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut all = headers.get_all(TRACESTATE).iter();
    let mut state = all.next()?.as_bytes().to_vec();
    for more in all {
        state.push(b',');
        state.extend_from_slice(more.as_bytes());
    }
    HeaderValue::from_bytes(&state).ok().filter(|state| !state.is_empty() && state.len() <= MAX_STATE_BYTES)
}

/// One thing that took time.
#[derive(Debug)]
pub struct Span {
    pub context: Context,
    pub parent: Option<[u8; 8]>,
    pub name: String,
    pub kind: Kind,
    /// Nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    pub attributes: Vec<(&'static str, Value)>,
    pub failed: bool,
}

/// As OTLP counts them.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A request that came in.
    Server = 2,
    /// One that went out.
    Client = 3,
}

#[derive(Debug)]
pub enum Value {
    Text(String),
    Number(u64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Number(number)
    }
}

/// Start and end of what took this long until now.
pub fn until_now(time: Duration) -> (u64, u64) {
    let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    (nanos(end.saturating_sub(time)), nanos(end))
}

pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks(2)) {
        *byte = digit(pair[0])? << 4 | digit(*pair.get(1)?)?;
    }
    (digits.len() == 2 * N).then_some(out)
}

/// Never all zeros, which means none.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() || bytes == [0; N] {
        bytes[N - 1] = 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_good_word_is_read_and_written_alike() {
        let context = Context::parse(GOOD.as_bytes()).expect("it is good");
        assert_eq!(context.header(), GOOD);
        let child = context.child();
        assert!(child.trace == context.trace && child.span != context.span);
        assert!(Context::parse(format!("cc{}-more", &GOOD[2..]).as_bytes()).is_some());
    }

    #[test]
    fn others_are_nobodys() {
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(Context::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn where_no_spans_are_told_a_clients_word_is_handed_on() {
        let mut headers = HeaderMap::new();
        assert!(Part::of(&headers, None).is_none());
        headers.insert(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(Part::of(&headers, None).expect("a part").context.header(), GOOD);
        for state in ["a=1", "b=2"] {
            headers.append(TRACESTATE, HeaderValue::from_static(state));
        }
        assert_eq!(Part::of(&headers, None).expect("a part").state.expect("one"), "a=1,b=2");
        headers.append(TRACESTATE, HeaderValue::try_from("c=".repeat(300)).expect("a value"));
        assert!(Part::of(&headers, None).expect("a part").state.is_none());
        headers.insert(TRACEPARENT, HeaderValue::from_static("nonsense"));
        assert!(Part::of(&headers, None).is_none());
    }
}
