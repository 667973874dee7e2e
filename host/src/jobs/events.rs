//! A job's events as they happen. Each is numbered and tells the whole state, so a reader that comes back says which it
//! saw last and misses nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::sync::watch;

use super::Jobs;
use crate::answer::Answer;
use crate::error::Refusal;

/// Proxies end what is silent for longer.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Other hosts tell of their changes; what was not heard is seen after so long.
const LOOK: Duration = Duration::from_secs(2);

struct Following {
    jobs: Arc<Jobs>,
    id: String,
    changed: watch::Receiver<()>,
    last: u64,
    over: bool,
    /// When something was last said.
    said: Instant,
}

/// The events after `last`. One that ended and told all of it is answered 204, which ends a browser's asking again.
pub async fn answer(jobs: Arc<Jobs>, id: String, last: u64) -> Result<Option<Response<Answer>>, Refusal> {
    let Some(changed) = jobs.changes(&id) else { return Ok(None) };
    let Some((first, over)) = jobs.events(&id, last).await? else { return Ok(None) };
    if over && first.is_empty() {
        let mut answer = Response::new(Answer::Told(Full::default()));
        *answer.status_mut() = StatusCode::NO_CONTENT;
        return Ok(Some(answer));
    }
    let begin = futures::stream::iter([written(&first)]);
    let last = first.last().map_or(last, |(number, ..)| *number);
    let following = Following { jobs, id, changed, last, over, said: Instant::now() };
    let rest = futures::stream::unfold(following, next);
    let frames = begin.chain(rest).map(|text| Ok(Frame::data(Bytes::from(text))));
    let mut answer = Response::new(Answer::Kept(StreamBody::new(frames).boxed_unsync()));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(Some(answer))
}

async fn next(mut following: Following) -> Option<(String, Following)> {
    if following.over {
        return None;
    }
    let stop = following.jobs.stop.clone();
    let wait = if following.jobs.shared.is_some() { LOOK } else { KEEP_ALIVE };
    loop {
        tokio::select! {
            changed = following.changed.changed() => changed.ok()?,
            () = tokio::time::sleep(wait) => {}
            // The reader comes back, to this host or the next.
            () = stop.told() => return None,
        }
        // Where it cannot be seen just now, there is no news.
        if let Ok(seen) = following.jobs.events(&following.id, following.last).await {
            let (events, over) = seen?;
            if let Some((number, ..)) = events.last() {
                (following.last, following.over, following.said) = (*number, over, Instant::now());
                return Some((written(&events), following));
            }
            if over {
                return None;
            }
        }
        if following.said.elapsed() >= KEEP_ALIVE {
            following.said = Instant::now();
            return Some((": still there\n\n".to_owned(), following));
        }
    }
}

fn written(events: &[(u64, &'static str, String)]) -> String {
    events.iter().map(|(number, name, data)| format!("id: {number}\nevent: {name}\ndata: {data}\n\n")).collect()
}
