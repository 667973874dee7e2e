//! A job as Redis has it: what was accepted, and what has become of it since.

use super::Seen;
use crate::jobs::record::{Progress, Record, State};

pub const FIELDS: &[&str] = &[
    "record",
    "state",
    "created_ms",
    "started_ms",
    "ended_ms",
    "attempts",
    "answered",
    "progress",
    "told_attempts",
    "told",
];

/// None where there is no such job.
pub fn read(fields: &[Option<String>]) -> Option<Seen> {
    let mut fields = fields.iter().map(|field| field.as_deref());
    let mut next = || fields.next().flatten();
    let mut record: Record = serde_json::from_str(next()?).ok()?;
    record.state = state(next()?)?;
    record.created_ms = next().and_then(|text| text.parse().ok()).unwrap_or(record.created_ms);
    record.started_ms = next().and_then(|text| text.parse().ok());
    record.ended_ms = next().and_then(|text| text.parse().ok());
    record.attempts = next().and_then(|text| text.parse().ok()).unwrap_or(0);
    record.answer = next().and_then(|text| serde_json::from_str(text).ok());
    let progress = next().and_then(|text| {
        let mut parts = text.split(' ');
        let mut part = || parts.next().and_then(|part| part.parse::<u64>().ok());
        let (done, bytes, at_ms) = (part()?, part()?, part()?);
        Some(Progress { done: usize::try_from(done).ok()?, bytes, at_ms })
    });
    let (attempts, told) = (next().and_then(|text| text.parse().ok()), next());
    if let Some(webhook) = &mut record.webhook {
        webhook.attempts = attempts.unwrap_or(0);
        webhook.done = told == Some("1");
    }
    Some(Seen { record, progress })
}

fn state(name: &str) -> Option<State> {
    use State::{Cancelled, Failed, Queued, Running, Succeeded};
    [Queued, Running, Succeeded, Failed, Cancelled].into_iter().find(|state| state.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_become_of_a_job_is_read_beside_what_was_accepted() {
        let accepted = r#"{"id":"a","caller":"key/x","path":"/a","state":"queued","created_ms":5,"started_ms":null,
            "ended_ms":null,"attempts":0,"items":4,"key":null,"webhook":{"url":"http://x/","attempts":0,"done":false},
            "request_bytes":9,"answer":null}"#;
        let field = |text: &str| Some(text.to_owned());
        let fields = [
            field(accepted),
            field("running"),
            field("7"),
            field("8"),
            None,
            field("2"),
            None,
            field("3 10 9"),
            field("1"),
            field("0"),
        ];
        let Seen { record, progress } = read(&fields).expect("a job");
        assert_eq!((record.state, record.created_ms, record.started_ms), (State::Running, 7, Some(8)));
        assert_eq!((record.ended_ms, record.attempts), (None, 2));
        let progress = progress.expect("some");
        assert_eq!((progress.done, progress.bytes, progress.at_ms), (3, 10, 9));
        let webhook = record.webhook.expect("one");
        assert_eq!((webhook.attempts, webhook.done), (1, false));
        assert!(read(&vec![None; FIELDS.len()]).is_none());
    }
}
