//! What the platform promises over HTTP, as cases that run against any server that claims to be it: our host, the
//! composed file under somebody else's, a deployment.
//!
//! A server under test is started by the caller, in one of two ways:
//!
//! - [`Kind::Keyless`]: as it comes, with no key and no upstream;
//! - [`Kind::Upstream`]: `hf_base_url` and `hf_hub_url` at the stand-in, `hf_api_key` [`KEY`], `retry_initial_ms` 10 and
//!   `poll_ms` 20 (so that retries and queues cost no time), `stream_keep_alive_ms` 700 (so that silence is short), everything else by default.

mod cases;
mod house;
mod media;

use std::time::{Duration, Instant};

use standin::Standin;

pub use house::{House, Reply};

/// The token that the server sends upstream.
pub const KEY: &str = "hf_contract";

/// How the server under test was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Keyless,
    Upstream,
    /// As `Upstream`, by a runtime that keeps neither instances nor state from one request to the next.
    Forgetful,
}

/// A case may wait for a deadline of the platform's, never for its default ones.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs every case that fits, and panics with all that failed.
///
/// `base` is `http://127.0.0.1:PORT`. The stand-in is nobody else's meanwhile; a keyless server never reaches it.
pub async fn run_all(base: &str, standin: &Standin, kind: Kind) {
    let failed = run(base, standin, kind, "").await;
    assert!(failed.is_empty(), "{} cases failed:\n{}", failed.len(), failed.join("\n"));
}

/// Runs the cases whose name has `part` in it; gives what failed, each with its reason.
pub async fn run(base: &str, standin: &Standin, kind: Kind, part: &str) -> Vec<String> {
    let house = House::new(base, standin);
    let mut failed = Vec::new();
    for case in cases::all(kind).filter(|case| case.name.contains(part)) {
        let started = Instant::now();
        let outcome = tokio::time::timeout(PATIENCE, (case.run)(&house)).await;
        let reason = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{error:#}")),
            Err(_) => Some(format!("took longer than {} s", PATIENCE.as_secs())),
        };
        let took = started.elapsed().as_millis();
        match reason {
            None => eprintln!("ok      {took:>6} ms  {}", case.name),
            Some(reason) => {
                eprintln!("FAILED  {took:>6} ms  {}: {reason}", case.name);
                failed.push(format!("{}: {reason}", case.name));
            }
        }
    }
    failed
}
