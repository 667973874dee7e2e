//! Jobs that an upstream queues: asked after until they are done.

use std::time::Duration;

use crate::clock;
use crate::config::{Base, Config};
use crate::error::Fault;
use crate::http::{self, Key};
use crate::upstream::{Upstream, Wire};
use hybrid_guest::json;

/// The first wait between two looks; each is half as long again as the one before.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(3);
/// Looks that may fail one after the other before the job is given up.
const FAILED_LOOKS: u32 = 3;

/// Where to look after a job, as its first answer says; none when that is the result already.
#[derive(Debug, PartialEq, Eq)]
struct Job {
    status: String,
    result: Option<String>,
}

impl Job {
    fn of(upstream: &Upstream, answer: &str) -> Option<Job> {
        let members = json::members(answer)?;
        let word = |name: &str| json::get(&members, name).and_then(json::text);
        if upstream.wire == Wire::Fal {
            let path = below(&upstream.base, &word("response_url")?)?;
            return Some(Job {
                status: format!("{path}/status?_subdomain=queue"),
                result: Some(format!("{path}?_subdomain=queue")),
            });
        }
        if json::get(&members, "output").is_some() || stage(answer) != Stage::Runs {
            return None;
        }
        let get = json::member(json::get(&members, "urls")?, "get").and_then(json::text)?;
        Some(Job { status: below(&upstream.base, &get)?, result: None })
    }
}

/// The path of an address that a provider gave, by way of the router: never another host, which would get our token.
fn below(base: &Base, url: &str) -> Option<String> {
    let given = Base::parse(url)?;
    // An upstream may know that it stands behind a router.
    let whole = given.authority == base.authority && given.path.starts_with(&base.path);
    Some(if whole { given.path } else { format!("{}{}", base.path, given.path) })
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Runs,
    Done,
    Failed,
}

fn stage(answer: &str) -> Stage {
    let word = json::member(answer, "status").and_then(json::text).unwrap_or_default().to_ascii_lowercase();
    match word.as_str() {
        "completed" | "succeeded" | "ok" => Stage::Done,
        "failed" | "error" | "canceled" | "cancelled" | "aborted" => Stage::Failed,
        _ => Stage::Runs,
    }
}

/// The result of a job whose first answer is `answer`. Whoever waits sets the limit; dropping the future ends the looking.
pub(crate) async fn settled(config: &Config, upstream: &Upstream, answer: String) -> Result<String, Fault> {
    if !upstream.wire.queues() {
        return Ok(answer);
    }
    let mut last = answer;
    if let Some(Job { status, result }) = Job::of(upstream, &last) {
        let (mut wait, mut failed) = (FIRST.min(config.longest_look), 0);
        loop {
            clock::sleep(wait).await;
            wait = (wait + wait / 2).min(LONGEST).min(config.longest_look);
            match look(config, upstream, &status).await {
                Ok(answer) => {
                    failed = 0;
                    last = answer;
                    if stage(&last) != Stage::Runs {
                        break;
                    }
                }
                Err(fault) if failed + 1 >= FAILED_LOOKS => return Err(fault),
                Err(_) => failed += 1,
            }
        }
        if let (Stage::Done, Some(result)) = (stage(&last), result) {
            return look(config, upstream, &result).await;
        }
    }
    if stage(&last) == Stage::Failed {
        let told = json::member(&last, "error").and_then(json::text);
        let told = told.as_deref().filter(|told| !told.is_empty()).map(crate::error::presentable);
        return Err(Fault::useless(told.as_deref().unwrap_or("the provider gave the job up")));
    }
    Ok(last)
}

async fn look(config: &Config, upstream: &Upstream, path: &str) -> Result<String, Fault> {
    let key = Key::Ours(upstream.authorization.as_deref());
    let time = config.attempt_timeout;
    let (head, incoming) = http::get(config, key, &upstream.base, path, time).await?;
    http::accepted(&upstream.id, head, incoming).await?.1.json().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{reply, upstream};

    fn recorded(name: &str) -> String {
        String::from_utf8(reply(&format!("{name}.json"))).expect("text")
    }

    #[test]
    fn jobs_are_looked_after_by_way_of_the_router() {
        let fal = upstream(Wire::Fal, "fal-ai/flux", "https://router.huggingface.co/fal-ai");
        let job = Job::of(&fal, &recorded("fal.queue.submit.response")).expect("queued");
        assert_eq!(job.status, "/fal-ai/fal-ai/flux/requests/req-EX/status?_subdomain=queue");
        assert_eq!(job.result.as_deref(), Some("/fal-ai/fal-ai/flux/requests/req-EX?_subdomain=queue"));
        assert_eq!(Job::of(&fal, &recorded("fal.sync.response")), None);

        let replicate = upstream(Wire::Replicate, "a/b", "http://127.0.0.1:9/replicate");
        let job = Job::of(&replicate, &recorded("replicate.response.202")).expect("it runs");
        assert_eq!(job, Job { status: "/replicate/v1/predictions/p2".into(), result: None });
        assert_eq!(Job::of(&replicate, &recorded("replicate.response.201")), None);
        let own = r#"{"status":"starting","urls":{"get":"http://127.0.0.1:9/replicate/v1/predictions/p3"}}"#;
        assert_eq!(Job::of(&replicate, own).expect("it runs").status, "/replicate/v1/predictions/p3");
    }

    #[test]
    fn stages_have_many_names() {
        assert_eq!(stage(&recorded("fal.queue.status.response")), Stage::Runs);
        assert_eq!(stage(r#"{"status": "COMPLETED"}"#), Stage::Done);
        assert_eq!(stage(r#"{"status": "canceled"}"#), Stage::Failed);
        assert_eq!(stage("{}"), Stage::Runs);
    }
}
