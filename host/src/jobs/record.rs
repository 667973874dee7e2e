//! A job as it is kept, and as it is told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::batch;
use crate::error::Refusal;
use crate::inside::Kept;
use crate::telemetry;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl State {
    pub fn has_ended(self) -> bool {
        !matches!(self, State::Queued | State::Running)
    }

    pub fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Running => "running",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }
}

/// All of a job but its request and its answer. It holds no key: the caller is known by the hash of one, or by an address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub id: String,
    pub caller: String,
    pub path: String,
    pub state: State,
    /// Milliseconds since 1970. Each later one is larger: they name the job's events, too.
    pub created_ms: u64,
    pub started_ms: Option<u64>,
    pub ended_ms: Option<u64>,
    /// How often the work began.
    pub attempts: u32,
    /// Requests in it, where it is a batch.
    pub items: Option<usize>,
    /// `Idempotency-Key`, hashed with its caller, and what it stands for.
    pub key: Option<(String, String)>,
    pub webhook: Option<Webhook>,
    pub request_bytes: u64,
    pub answer: Option<Answered>,
}

/// Who is told of a job's end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Webhook {
    pub url: String,
    pub attempts: u32,
    /// Told, or given up.
    pub done: bool,
}

/// What a job's answer is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answered {
    pub status: u16,
    pub content_type: String,
    pub bytes: u64,
}

impl Answered {
    pub fn of(answer: &Kept) -> Self {
        Self {
            status: answer.status.as_u16(),
            content_type: answer.content_type().to_owned(),
            bytes: answer.body.len() as u64,
        }
    }
}

/// How far a running job is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Requests of a batch that have ended.
    pub done: usize,
    /// Of an answer that is coming.
    pub bytes: u64,
    pub at_ms: u64,
}

pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time(ms: u64) -> String {
    telemetry::at(UNIX_EPOCH + Duration::from_millis(ms))
}

/// JSON that is larger is fetched from where it lies.
const MAX_TOLD_BYTES: u64 = 1024 * 1024;

impl Record {
    /// What it takes up on the disk, about.
    pub fn bytes(&self) -> u64 {
        let request = if self.state.has_ended() { 0 } else { self.request_bytes };
        request + self.answer.as_ref().map_or(0, |answer| answer.bytes) + 1024
    }

    /// Whether telling of it needs its answer.
    pub fn tells_answer(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| {
            answer.bytes <= MAX_TOLD_BYTES && answer.content_type.to_ascii_lowercase().contains("json")
        })
    }

    /// The job as its maker sees it.
    pub fn told(&self, progress: Option<Progress>, answer: Option<&Kept>, keep: Duration) -> String {
        let mut told = json!({ "id": self.id, "state": self.state.name(), "path": self.path });
        let share = match (self.state, progress, self.items) {
            (State::Succeeded, ..) => 1.0,
            (State::Running | State::Cancelled | State::Failed, Some(progress), Some(items)) => {
                progress.done as f64 / items.max(1) as f64
            }
            _ => 0.0,
        };
        told["progress"] = json!(share);
        if let Some(items) = self.items {
            let done =
                if self.state == State::Succeeded { items } else { progress.map_or(0, |progress| progress.done) };
            told["items"] = json!({ "total": items, "done": done });
        }
        if let Some(progress) = progress.filter(|progress| progress.bytes > 0 && self.state == State::Running) {
            told["received_bytes"] = json!(progress.bytes);
        }
        told["attempts"] = json!(self.attempts);
        told["created"] = json!(time(self.created_ms));
        if let Some(started) = self.started_ms {
            told["started"] = json!(time(started));
        }
        if let Some(ended) = self.ended_ms {
            told["ended"] = json!(time(ended));
            let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
            told["expires"] = json!(time(ended.saturating_add(keep)));
        }
        let mut text = told.to_string();
        if let Some((name, value)) = self.outcome(answer) {
            text.truncate(text.len() - 1);
            text.push_str(&format!(r#","{name}":{value}}}"#));
        }
        text
    }

    /// `result` or `error`, as JSON.
    fn outcome(&self, answer: Option<&Kept>) -> Option<(&'static str, String)> {
        if self.state == State::Cancelled || !self.state.has_ended() {
            return None;
        }
        let name = if self.state == State::Succeeded { "result" } else { "error" };
        if let Some(body) = answer.and_then(batch::as_json) {
            return Some((name, body.to_owned()));
        }
        let answered = self.answer.as_ref()?;
        let told = match self.state {
            State::Failed if answered.bytes == 0 => Refusal::BrokenOff.body(),
            _ => {
                let place: Value = json!({
                    "content_type": answered.content_type,
                    "size_bytes": answered.bytes,
                    "url": format!("{}{}/result", super::BELOW, self.id),
                });
                place.to_string()
            }
        };
        Some((name, told))
    }

    /// What happened so far, each with a number that grows, for whoever follows the job.
    pub fn events(&self, progress: Option<Progress>, keep: Duration) -> Vec<(u64, &'static str, String)> {
        let mut events = Vec::new();
        let as_of = |state, ended_ms, started_ms| Record { state, ended_ms, started_ms, answer: None, ..self.clone() };
        let queued = Record { attempts: 0, ..as_of(State::Queued, None, None) };
        events.push((self.created_ms, "queued", queued.told(None, None, keep)));
        if let Some(started) = self.started_ms {
            let running = as_of(State::Running, None, self.started_ms);
            events.push((started, "running", running.told(None, None, keep)));
            if let Some(progress) = progress.filter(|progress| progress.at_ms > 0) {
                events.push((progress.at_ms, "progress", running.told(Some(progress), None, keep)));
            }
        }
        events
    }
}

/// The state that an answer makes of a job.
pub fn state_of(status: StatusCode) -> State {
    if status.is_success() { State::Succeeded } else { State::Failed }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, header};

    use super::*;

    fn record(state: State) -> Record {
        Record {
            id: "abc".into(),
            caller: "key/x".into(),
            path: "/a".into(),
            state,
            created_ms: 1000,
            started_ms: Some(2000),
            ended_ms: state.has_ended().then_some(3000),
            attempts: 1,
            items: None,
            key: None,
            webhook: None,
            request_bytes: 10,
            answer: None,
        }
    }

    #[test]
    fn a_job_tells_its_answer_or_where_that_is() {
        let told = |record: &Record, answer: Option<&Kept>| -> Value {
            serde_json::from_str(&record.told(None, answer, Duration::from_secs(60))).expect("JSON")
        };
        let mut job = record(State::Succeeded);
        job.answer = Some(Answered { status: 200, content_type: "application/json".into(), bytes: 7 });
        assert!(job.tells_answer());
        let answer = Kept {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
            body: Bytes::from_static(b"{\"a\":1}"),
        };
        let json = told(&job, Some(&answer));
        assert_eq!((&json["result"], &json["progress"]), (&json!({"a": 1}), &json!(1.0)));
        assert_eq!(
            (&json["ended"], &json["expires"]),
            (&json!("1970-01-01T00:00:03Z"), &json!("1970-01-01T00:01:03Z"))
        );
        assert!(!json.to_string().contains("key/"), "{json}");
        job.answer = Some(Answered { status: 200, content_type: "image/png".into(), bytes: 7 });
        assert_eq!(told(&job, None)["result"]["url"], "/jobs/abc/result");
        assert!(told(&record(State::Running), None).get("result").is_none());
    }

    #[test]
    fn events_are_numbered_by_their_time() {
        let progress = Progress { done: 1, bytes: 0, at_ms: 2500 };
        let events = Record { items: Some(4), ..record(State::Running) }.events(Some(progress), Duration::ZERO);
        let names: Vec<_> = events.iter().map(|(at, name, _)| (*at, *name)).collect();
        assert_eq!(names, [(1000, "queued"), (2000, "running"), (2500, "progress")]);
        assert!(events[2].2.contains("\"progress\":0.25"), "{}", events[2].2);
    }
}
