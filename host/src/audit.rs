//! Who changed what: keys made and revoked, components replaced. A line of JSON for each, in the log and, for good, at
//! the end of `audit.jsonl` beside the stores.

use std::io::Write as _;
use std::path::Path;

use serde_json::json;

use crate::telemetry::{self, Level};

/// Notes a change. Where the file cannot be written the log says so, and the change stands.
pub fn note(state_dir: &Path, action: &str, subject: &str, by: &str, details: &str) {
    let fields =
        [("action", action.into()), ("subject", subject.into()), ("by", by.into()), ("details", details.into())];
    telemetry::line(Level::Info, "audit", &fields);
    let line = json!({
        "timestamp": telemetry::timestamp(), "action": action, "subject": subject, "by": by, "details": details,
    });
    if let Err(error) = append(state_dir, &line.to_string()) {
        let error = error.to_string();
        telemetry::line(Level::Warn, "the audit log could not be written", &[("error", (&error).into())]);
    }
}

fn append(state_dir: &Path, line: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::create_dir_all(state_dir)?;
    let mut file =
        std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(state_dir.join("audit.jsonl"))?;
    // One write: lines of two processes never mix.
    file.write_all(format!("{line}\n").as_bytes())
}
