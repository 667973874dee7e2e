//! A load that comes at its own pace, whatever becomes of it, so that a server that stalls is seen to: what an answer takes
//! counts from when its request was due.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::load::{Way, ask, connect};

/// Well below what two cores can do, so that what is measured is no queue of the load's own making.
pub(super) const PER_SECOND: f64 = 300.0;
const CONNECTIONS: usize = 12;
pub(super) const WINDOW: Duration = Duration::from_secs(3);

/// What each answer took, in microseconds, in order.
pub(super) async fn drive(address: &str, length: Duration) -> anyhow::Result<Vec<u32>> {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        let address = address.to_owned();
        tasks.spawn(async move {
            let mut sender = connect(&address).await?;
            let mut times = Vec::new();
            let due = |count: usize| Duration::from_secs_f64((count * CONNECTIONS + connection) as f64 / PER_SECOND);
            for due in (0..).map(due).take_while(|due| *due < length) {
                tokio::time::sleep_until((began + due).into()).await;
                let answered = ask(&mut sender, &address, "", Way::Whole).await?;
                times.push(u32::try_from((answered - began).saturating_sub(due).as_micros()).unwrap_or(u32::MAX));
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done?.context("a request failed")?);
    }
    times.sort_unstable();
    Ok(times)
}

/// In milliseconds.
pub(super) fn at(times: &[u32], share: f64) -> f64 {
    times.get((times.len() as f64 * share) as usize).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
}

pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Windows with something going on, and those without it beside them.
#[derive(Default)]
pub(super) struct Pairs {
    quiet: Vec<Vec<u32>>,
    busy: Vec<Vec<u32>>,
}

/// Drives windows in which `meanwhile` goes on, which is to last for a [`WINDOW`], in turn with windows in which it does not.
/// Another kind begins each time, so that neither always comes first.
pub(super) async fn in_turn(
    address: &str,
    pairs: usize,
    mut meanwhile: impl AsyncFnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Pairs> {
    let mut windows = Pairs::default();
    for pair in 0..pairs {
        for busy in [pair % 2 == 0, pair % 2 == 1] {
            let load = drive(address, WINDOW);
            if busy {
                let (times, done) = tokio::join!(load, meanwhile());
                windows.busy.push(times?);
                done?;
            } else {
                windows.quiet.push(load.await?);
            }
        }
    }
    Ok(windows)
}

impl Pairs {
    /// The medians of all windows; how much more p99 is while something goes on, in percent.
    pub(super) fn print(&self, what: &str) -> f64 {
        let of = |windows: &[Vec<u32>], share| median(windows.iter().map(|times| at(times, share)));
        let (quiet, busy) = (of(&self.quiet, 0.99), of(&self.busy, 0.99));
        let more = (busy / quiet - 1.0) * 100.0;
        let all = |windows: &[Vec<u32>]| windows.iter().map(Vec::len).sum::<usize>();
        println!(
            "{what:<10} p50 {:.2} → {:.2} ms, p99 {quiet:.2} → {busy:.2} ms: {more:+.0} %   ({} and {} requests)",
            of(&self.quiet, 0.5),
            of(&self.busy, 0.5),
            all(&self.quiet),
            all(&self.busy),
        );
        more
    }
}
