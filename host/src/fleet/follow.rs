//! Does here what is written for all, and tells the others how a version on trial does here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;

use super::{Fleet, Record, STAMP, Trial, Version};
use crate::canary::{self, Counts, Verdict};
use crate::queue::{Change, Door, Swaps, WeakSwaps};
use crate::registry::Registry;
use crate::telemetry::{self, Level};

/// How often Redis is asked whether something was written: a question of some ten bytes.
const LOOK: Duration = Duration::from_millis(100);
/// How often a host says that it is there.
const SIGN: Duration = Duration::from_secs(5);
/// Bytes that nobody has just now are asked for again after so long.
const AGAIN: Duration = Duration::from_millis(500);
/// What is counted of a trial over all hosts, as in [`Counts`].
const COUNTED: [&str; 4] = ["good", "bad", "others_good", "others_bad"];

impl Fleet {
    /// Follows what is written, on a thread of its own, for as long as changes can be handed in.
    pub fn follow(self: &Arc<Self>, registry: &Arc<Registry>, swaps: &Swaps) -> Result<()> {
        let follower = Follower {
            fleet: Arc::clone(self),
            registry: Arc::clone(registry),
            swaps: swaps.downgrade(),
            seen: None,
            done: HashMap::new(),
            trials: HashMap::new(),
            signed: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("fleet".into()).spawn(move || runtime.block_on(follower.run()))?;
        Ok(())
    }
}

/// What a host has done of what is written.
struct Follower {
    fleet: Arc<Fleet>,
    registry: Arc<Registry>,
    swaps: WeakSwaps,
    /// The stamp up to which everything is done.
    seen: Option<Option<Vec<u8>>>,
    /// By component: what was done, or refused.
    done: HashMap<String, Record>,
    /// By component: the trials that this host is part of.
    trials: HashMap<String, Part>,
    signed: Option<Instant>,
}

/// This host's part in a trial.
struct Part {
    trial: Trial,
    /// What the others know of it.
    told: Counts,
}

impl Follower {
    async fn run(mut self) {
        loop {
            let Some(swaps) = self.swaps.upgrade() else { return };
            let wait = match self.look(&swaps).await {
                Ok(()) => LOOK,
                Err(error) => {
                    let error = format!("{error:#}");
                    let message = "the fleet's components could not be followed, again in a moment";
                    telemetry::line(Level::Warn, message, &[("error", (&error).into())]);
                    AGAIN
                }
            };
            drop(swaps);
            tokio::time::sleep(wait).await;
        }
    }

    async fn look(&mut self, swaps: &Swaps) -> Result<()> {
        if self.signed.is_none_or(|signed| signed.elapsed() >= SIGN) {
            self.fleet.sign().await?;
            self.signed = Some(Instant::now());
        }
        self.count().await?;
        let stamp = self.fleet.store().look(STAMP).await?;
        if self.seen.as_ref() == Some(&stamp) {
            return Ok(());
        }
        let mut failed = None;
        for name in self.fleet.names().await? {
            let Some(record) = self.fleet.newest(&name).await? else { continue };
            // One whose bytes nobody has does not hold up the others.
            if let Err(error) = self.take(swaps, &name, &record).await {
                failed = Some(error);
            }
        }
        match failed {
            Some(error) => Err(error),
            None => {
                self.seen = Some(stamp);
                Ok(())
            }
        }
    }

    /// Puts into service what is written, and on trial, unless it is there or was refused.
    async fn take(&mut self, swaps: &Swaps, name: &str, record: &Record) -> Result<()> {
        if self.done.get(name) == Some(record) {
            return Ok(());
        }
        let serving = self.registry.current().member(name).map(|loaded| loaded.sha256.clone());
        if serving.as_deref() != Some(record.serving.sha256.as_str()) {
            if self.on_trial(name, &record.serving.sha256).is_some() {
                let _ = swaps.submit(Change::Promote { name: name.to_owned(), door: Door::Fleet }).await;
            } else {
                self.put(swaps, name, &record.serving, None).await?;
            }
        }
        match &record.trial {
            Some(trial) => {
                let Trial { version, share, promote_after, .. } = trial;
                if self.on_trial(name, &version.sha256).is_none() {
                    let terms = canary::Terms { share: *share, promote_after: *promote_after, is_fleets: true };
                    self.put(swaps, name, version, Some(terms)).await?;
                }
                let part = self.trials.get(name);
                if part.is_none_or(|part| part.trial != *trial) {
                    self.trials.insert(name.to_owned(), Part { trial: trial.clone(), told: Counts::default() });
                }
            }
            None => {
                if let Some(Part { trial, .. }) = self.trials.remove(name) {
                    if self.on_trial(name, &trial.version.sha256).is_some() {
                        let _ = swaps.submit(Change::Abandon { name: name.to_owned(), door: Door::Fleet }).await;
                    }
                    for what in COUNTED {
                        self.fleet.store().delete(&counter(name, &trial, what)).await?;
                    }
                }
            }
        }
        self.done.insert(name.to_owned(), record.clone());
        Ok(())
    }

    /// A refusal is in the log, with its reason: this host goes on with what it has.
    async fn put(&self, swaps: &Swaps, name: &str, version: &Version, canary: Option<canary::Terms>) -> Result<()> {
        let bytes = self.fleet.fetch(&self.registry, name, version).await?;
        let signature = version.signature.clone();
        let _ = swaps.submit(Change::Put { name: name.to_owned(), bytes, signature, door: Door::Fleet, canary }).await;
        Ok(())
    }

    /// The fleet's trial of this version, where it is under way here.
    fn on_trial(&self, name: &str, sha256: &str) -> Option<Arc<canary::Trial>> {
        let is_it =
            |trial: &canary::Trial| trial.terms.is_fleets && trial.loaded.name == name && trial.loaded.sha256 == sha256;
        self.registry.canary.load_full().filter(|trial| is_it(trial))
    }

    /// Adds up how trials do on all hosts. Whoever sees one decided writes that down for all.
    async fn count(&mut self) -> Result<()> {
        let mut decided = Vec::new();
        let names: Vec<String> = self.trials.keys().cloned().collect();
        for name in names {
            let Part { trial, told } = &self.trials[&name];
            let Some(here) = self.on_trial(&name, &trial.version.sha256) else { continue };
            let counts = here.counts_here();
            let store = self.fleet.store();
            let totals = COUNTED.iter().zip(counts.iter().zip(told)).map(|(what, (now, told))| {
                let (key, more) = (counter(&name, trial, what), now - told);
                async move { store.increment(&key, i64::try_from(more).unwrap_or(i64::MAX)).await }
            });
            // All in one round trip.
            let totals = try_join_all(totals).await?;
            let elsewhere: Vec<u64> = totals
                .into_iter()
                .zip(counts)
                .map(|(all, here)| u64::try_from(all).unwrap_or(0).saturating_sub(here))
                .collect();
            here.set_elsewhere(elsewhere.try_into().unwrap_or_default());
            decided.push((name.clone(), trial.clone(), here.judge()));
            if let Some(part) = self.trials.get_mut(&name) {
                part.told = counts;
            }
        }
        for (name, trial, verdict) in decided.into_iter().filter(|(.., verdict)| *verdict != Verdict::Open) {
            // Somebody may have written it already.
            if self.fleet.newest(&name).await?.is_none_or(|record| record.trial.as_ref() != Some(&trial)) {
                continue;
            }
            match verdict {
                Verdict::Open => continue,
                Verdict::Good => {
                    let Version { sha256, signature, .. } = &trial.version;
                    self.fleet.announce(&name, self.fleet.version(sha256, signature.clone())).await?
                }
                Verdict::Broken | Verdict::Slow => self.fleet.end_trial(&name).await?,
            };
        }
        Ok(())
    }
}

fn counter(name: &str, trial: &Trial, what: &str) -> String {
    format!("trial/{name}/{}/{what}", trial.since)
}
