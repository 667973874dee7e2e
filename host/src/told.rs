//! What components tell of an answer, in headers that are for whoever counts and never go out.
//!
//! `x-log-usage` says what was done and what it has cost, as `name=value` with spaces between: `capability`, `operation`
//! (OpenTelemetry's word for it), `input_tokens`, `output_tokens`, `pictures`, `audio_ms`; what is known at the end only
//! comes in a trailer of that name. `x-log-parameters` has the `model` that was asked for, `x-model` and `x-provider` who
//! answered, and `x-log-key` whose key it was. The values are the components' own; none is known here.

use http::{HeaderValue, StatusCode};

/// Names are labels and keys; a longer one is somebody's probe.
const MAX_NAME: usize = 128;
/// Stands for what is not told apart.
pub const OTHER: &str = "other";

/// The headers as they came.
#[derive(Default)]
pub struct Told {
    pub parameters: Option<HeaderValue>,
    pub key: Option<HeaderValue>,
    pub usage: Option<HeaderValue>,
    /// `x-log-usage` among the trailers.
    pub cost: Option<HeaderValue>,
    pub model: Option<HeaderValue>,
    pub provider: Option<HeaderValue>,
}

/// What was done for one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Work<'a> {
    pub key: &'a str,
    pub capability: &'a str,
    pub operation: &'a str,
    /// The model that was asked for, where one was named.
    pub asked: &'a str,
    /// The one that answered.
    pub model: &'a str,
    pub provider: &'a str,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub pictures: u64,
    pub audio_ms: u64,
}

impl Told {
    /// None where no capability worked: pages, health, and what was refused at the door.
    pub fn work(&self, status: Option<StatusCode>) -> Option<Work<'_>> {
        let mut work = Work::default();
        for (name, value) in pairs(&self.usage).chain(pairs(&self.cost)) {
            let count = || value.parse().unwrap_or(0);
            match name {
                "capability" => work.capability = short(value),
                "operation" => work.operation = short(value),
                "input_tokens" => work.input_tokens = count(),
                "output_tokens" => work.output_tokens = count(),
                "pictures" => work.pictures = count(),
                "audio_ms" => work.audio_ms = count(),
                _ => {}
            }
        }
        if work.capability.is_empty() {
            return None;
        }
        work.key = short(text(&self.key));
        work.model = short(text(&self.model));
        work.provider = short(text(&self.provider));
        // A name that nobody serves gets no row of its own: callers could make as many as they like.
        let mistaken = status.is_some_and(|status| status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS);
        if !mistaken {
            work.asked =
                pairs(&self.parameters).find(|(name, _)| *name == "model").map_or("", |(_, model)| short(model));
        }
        Some(work)
    }
}

fn text(value: &Option<HeaderValue>) -> &str {
    value.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn pairs(value: &Option<HeaderValue>) -> impl Iterator<Item = (&str, &str)> {
    text(value).split(' ').filter_map(|pair| pair.split_once('='))
}

/// A tab separates names where they are kept.
fn short(name: &str) -> &str {
    if name.len() > MAX_NAME || name.contains('\t') { OTHER } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &'static str) -> Option<HeaderValue> {
        Some(HeaderValue::from_static(text))
    }

    #[test]
    fn head_and_trailers_are_read_together() {
        let told = Told {
            usage: value("capability=llm operation=chat"),
            cost: value("input_tokens=12 output_tokens=30"),
            parameters: value("messages=1 model=a/b"),
            model: value("c/d"),
            provider: value("p"),
            key: value("phone"),
        };
        let work = told.work(Some(StatusCode::OK)).expect("somebody worked");
        assert_eq!((work.capability, work.operation, work.asked, work.model), ("llm", "chat", "a/b", "c/d"));
        assert_eq!((work.key, work.provider, work.input_tokens, work.output_tokens), ("phone", "p", 12, 30));
    }

    #[test]
    fn a_model_that_nobody_serves_has_no_name() {
        let told = Told { usage: value("capability=llm"), parameters: value("model=made/up"), ..Told::default() };
        assert_eq!(told.work(Some(StatusCode::NOT_FOUND)).expect("it is counted").asked, "");
        for status in [Some(StatusCode::TOO_MANY_REQUESTS), Some(StatusCode::BAD_GATEWAY), None] {
            assert_eq!(told.work(status).expect("it is counted").asked, "made/up", "{status:?}");
        }
    }

    #[test]
    fn what_is_no_work_is_not_counted_and_odd_names_are_others() {
        assert_eq!(Told::default().work(None), None);
        assert_eq!(Told { usage: value("pictures=1"), ..Told::default() }.work(None), None);
        let long = HeaderValue::from_str(&"x".repeat(200)).expect("a value");
        let told = Told { usage: value("capability=a"), model: Some(long), ..Told::default() };
        assert_eq!(told.work(None).expect("it is counted").model, OTHER);
    }
}
