//! What a change of what is in service goes through: hash, trust, shape, compile, link, start, smoke call, publish. What is
//! refused on the way changes nothing.
//!
//! One thread works changes off (`queue.rs` has those that wait), one after the other; the threads that serve only ever see
//! the pointer that it stores at the end.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::audit;
use crate::canary::{Terms, Trial, Verdict};
use crate::component::{self, Loaded};
use crate::config::Config;
use crate::history::History;
use crate::intake::{Check, Refused};
use crate::link::Ungranted;
use crate::queue::{Answer, Change, Door, Job, Outcome, Queue, Swaps, WeakSwaps};
use crate::registry::{Generation, Registry};
use crate::snapshot::Snapshot;
use crate::telemetry::{self, Level};
use crate::{memory, smoke, trust, turns};

/// How often draining versions and those on trial are looked at.
const WATCH: Duration = Duration::from_millis(100);
/// Refusals that are remembered; a folder holds tens of files.
const MAX_REMEMBERED: usize = 1000;

/// Starts the threads that work changes off. `folder` is where accepted components are kept.
pub fn start(registry: &Arc<Registry>, folder: Option<PathBuf>) -> Result<Swaps> {
    let (swaps, queue) = Swaps::new();
    let config = registry.config();
    // Before anybody can tell of the folder.
    for loaded in registry.current().snapshot.loaded() {
        queue.lies_there(&loaded.name, &loaded.sha256);
    }
    let mut pipeline = Pipeline {
        queue,
        runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        versions: registry.versions(),
        history: History::read(&config.state_dir),
        registry: Arc::clone(registry),
        folder,
        refused: HashMap::new(),
        held: BTreeMap::new(),
    };
    std::thread::Builder::new().name("swap".into()).spawn(move || {
        // With less priority it would hold up who serves wherever both want one lock.
        turns::give_turns();
        pipeline.run();
    })?;
    let (registry, handle) = (Arc::downgrade(registry), swaps.downgrade());
    std::thread::Builder::new().name("drain".into()).spawn(move || watch(&registry, &handle))?;
    Ok(swaps)
}

/// Ends what drains for too long, and trials that are decided; gives back memory that is free.
fn watch(registry: &Weak<Registry>, swaps: &WeakSwaps) {
    loop {
        std::thread::sleep(WATCH);
        memory::give_back_unused();
        let (Some(registry), Some(swaps)) = (registry.upgrade(), swaps.upgrade()) else { return };
        drop(registry.draining());
        let Some(trial) = registry.canary.load_full() else { continue };
        let name = trial.loaded.name.clone();
        let verdict = trial.judge();
        if trial.terms.is_fleets {
            // Decided once for all hosts, by what they count together.
            continue;
        }
        let change = match verdict {
            Verdict::Open => continue,
            Verdict::Good => Change::Promote { name, door: Door::Trial },
            Verdict::Broken | Verdict::Slow => Change::Abandon { name, door: Door::Trial },
        };
        // How it ended is logged where it was done; a trial that is over by now is nobody's concern.
        let _ = swaps.submit_blocking(change);
    }
}

/// The thread that works changes off.
struct Pipeline {
    queue: Arc<Queue>,
    registry: Arc<Registry>,
    runtime: tokio::runtime::Runtime,
    folder: Option<PathBuf>,
    /// The bytes of what served, for a way back.
    versions: PathBuf,
    /// By name and hash: what was refused for what it is, and would be again.
    refused: HashMap<(String, String), Refused>,
    /// Compiled, but it does not fit what is in service; it may, once something else has changed too.
    held: BTreeMap<String, Arc<Loaded>>,
    history: History,
}

impl Pipeline {
    fn run(&mut self) {
        let serving = self.registry.current().snapshot.loaded();
        for loaded in &serving {
            self.keep_file_of(loaded);
        }
        let forgotten = self.history.begin(&serving, |name, sha256| self.registry.is_kept(name, sha256));
        forgotten.iter().for_each(|sha256| self.forget(sha256));
        memory::give_back();
        while let Some(Job { change, reply }) = self.queue.next() {
            let name = change.name().to_owned();
            let began = Instant::now();
            let (action, door) = change.described();
            let before = self.serving(&name);
            let asked = match &change {
                Change::Put { bytes, .. } => Some(component::sha256(bytes)),
                _ => None,
            };
            let mut answer = self.work(change);
            if let Ok(outcome) = &mut answer {
                outcome.took = began.elapsed();
            }
            self.tell(&name, &answer);
            memory::give_back();
            self.note(action, &name, door, json!({ "before": before, "asked": asked }), &answer);
            // Nobody may be waiting for it.
            let _ = reply.send(answer);
        }
    }

    /// The hash of what serves by a name.
    fn serving(&self, name: &str) -> Option<String> {
        self.registry.current().member(name).map(|loaded| loaded.sha256.clone())
    }

    /// Who changed what, for good.
    fn note(&self, action: &str, name: &str, door: Door, mut details: Value, answer: &Answer) {
        match answer {
            // A file in the folder is seen more than once.
            Ok(Outcome { state: "unchanged", .. }) if door == Door::Folder => return,
            Ok(outcome) => {
                details["outcome"] = outcome.state.into();
                if !outcome.notes.is_empty() {
                    details["notes"] = outcome.notes.join("; ").into();
                }
            }
            Err(refused) => {
                details["outcome"] = "refused".into();
                details["check"] = refused.check.name().into();
                details["reason"] = refused.reason.as_str().into();
            }
        }
        details["after"] = self.serving(name).into();
        audit::note(&self.registry.config().state_dir, action, name, door.name(), &details.to_string());
    }

    fn tell(&self, name: &str, answer: &Answer) {
        let state = match answer {
            Ok(Outcome { state: "unchanged", .. }) => return,
            Ok(outcome) => {
                let label = outcome.label.clone().unwrap_or_default();
                let before = outcome.before.clone().unwrap_or_default();
                let notes = outcome.notes.join("; ");
                telemetry::line(
                    Level::Info,
                    "a component was changed",
                    &[
                        ("component", name.into()),
                        ("state", outcome.state.into()),
                        ("version", (&label).into()),
                        ("before", (&before).into()),
                        ("duration_ms", (outcome.took.as_secs_f64() * 1000.0).into()),
                        ("notes", (&notes).into()),
                    ],
                );
                outcome.state
            }
            Err(refused) => {
                telemetry::line(
                    Level::Warn,
                    "a change was refused; what served before goes on serving",
                    &[
                        ("component", name.into()),
                        ("check", refused.check.name().into()),
                        ("error", (&refused.reason).into()),
                    ],
                );
                "refused"
            }
        };
        self.registry.metrics.swaps.add(&[name, state], 1);
    }

    fn work(&mut self, change: Change) -> Answer {
        match change {
            Change::Put { name, bytes, signature, door, canary } => {
                self.put(&name, &bytes, signature.as_deref(), door, canary)
            }
            Change::Remove { name, door } => self.remove(&name, door),
            Change::Rollback { name, .. } => self.rollback(&name),
            Change::Promote { name, .. } => self.promote(&name),
            Change::Abandon { name, door } => self.abandon(&name, door),
            Change::Configure(config) => self.configure(*config),
        }
    }

    fn put(&mut self, name: &str, bytes: &[u8], signature: Option<&str>, door: Door, canary: Option<Terms>) -> Answer {
        check_name(name)?;
        let current = self.registry.current();
        let sha256 = component::sha256(bytes);
        let before = current.member(name).map(|loaded| loaded.label.clone());
        if let Some(same) = current.member(name).filter(|loaded| loaded.sha256 == sha256) {
            self.held.remove(name);
            return Ok(outcome(name, "unchanged", Some(same), before));
        }
        // Another change may have written the file since it was read.
        if door == Door::Folder && self.is_out_of_date(name, &sha256) {
            return Ok(outcome(name, "unchanged", current.member(name), before));
        }
        let key = (name.to_owned(), sha256);
        if let Some(refused) = self.refused.get(&key) {
            // The log has it already, and a file in the folder is seen more than once.
            if door == Door::Folder {
                return Ok(outcome(name, "unchanged", current.member(name), before));
            }
            let reason = format!("{} (these bytes were refused before)", refused.reason);
            return Err(Refused { check: refused.check, reason });
        }
        let taken = self.take(&key, bytes, signature, door, canary);
        if let Err(refused) = &taken
            && refused.check.is_about_the_bytes()
        {
            self.remember_refusal(key, refused);
        }
        let mut outcome = taken?;
        outcome.before = before;
        Ok(outcome)
    }

    fn remember_refusal(&mut self, key: (String, String), refused: &Refused) {
        if self.refused.len() >= MAX_REMEMBERED {
            self.refused.clear();
        }
        self.refused.insert(key, refused.clone());
    }

    /// Everything from the check of the bytes to the pointer that is stored.
    fn take(
        &mut self,
        key @ (name, sha256): &(String, String),
        bytes: &[u8],
        signature: Option<&str>,
        door: Door,
        canary: Option<Terms>,
    ) -> Answer {
        let registry = Arc::clone(&self.registry);
        let current = registry.current();
        let loaded = registry.intake.admit(&registry.engine, &current.config, name, bytes, sha256, signature)?;
        let mut changed = vec![Arc::clone(&loaded)];
        let generation = match self.linked(&changed) {
            Ok(generation) => generation,
            Err(alone) if alone.downcast_ref::<Ungranted>().is_some_and(|it| it.component == *name) => {
                self.held.remove(name);
                let refused = misfit(&alone);
                self.remember_refusal(key.clone(), &refused);
                return Err(refused);
            }
            Err(alone) => {
                // A changed interface needs both sides of it, and files come one at a time.
                self.held.insert(name.clone(), Arc::clone(&loaded));
                changed = self.held_with(&loaded);
                let together = if changed.len() > 1 && canary.is_none() { self.linked(&changed) } else { Err(alone) };
                together.map_err(|error| misfit(&error))?
            }
        };
        for loaded in &changed {
            self.tried(&generation, loaded)?;
        }
        self.remember(name, sha256, bytes, signature);
        self.wait_for_drain(name)?;
        let mut result = outcome(name, "serving", Some(&loaded), None);
        if let Some(terms) = canary {
            let before = registry.canary.swap(Some(Arc::new(Trial::new(Arc::clone(&loaded), generation, terms))));
            if let Some(before) = before {
                registry.retire(&before.generation);
                result.notes.push(format!("the trial of {} is over", before.loaded.label));
            }
            result.state = "canary";
            return Ok(result);
        }
        self.publish(generation, &changed, &mut result.notes);
        if matches!(door, Door::Admin | Door::Fleet) {
            self.keep_in_folder(name, bytes, signature, &mut result.notes);
        }
        if changed.len() > 1 {
            let names: Vec<&str> = changed.iter().map(|loaded| loaded.label.as_str()).collect();
            result.notes.push(format!("put into service together: {}", names.join(", ")));
        }
        Ok(result)
    }

    /// What is held and has to do with this one, by way of others too: the rest fits no better for it.
    fn held_with(&self, loaded: &Arc<Loaded>) -> Vec<Arc<Loaded>> {
        let mut rest: Vec<_> = self.held.values().filter(|held| held.name != loaded.name).cloned().collect();
        let mut found = vec![Arc::clone(loaded)];
        let mut next = 0;
        while let Some(one) = found.get(next).cloned() {
            found.extend(rest.extract_if(.., |held| one.concerns(held)));
            next += 1;
        }
        found
    }

    /// What is in service with these in place of those of their names, linked.
    fn linked(&self, changed: &[Arc<Loaded>]) -> Result<Arc<Generation>> {
        let current = self.registry.current();
        let mut all = current.snapshot.loaded();
        all.retain(|loaded| !changed.iter().any(|new| new.name == loaded.name));
        all.extend(changed.iter().cloned());
        let snapshot = current.snapshot.next(&self.registry.base, all, &current.config)?;
        Ok(self.registry.generation(snapshot, Arc::clone(&current.config)))
    }

    /// Makes one instance, which must come about in a moment: what traps or never ends there would do so in requests.
    /// Then the calls that the configuration asks for.
    fn tried(&self, generation: &Arc<Generation>, loaded: &Arc<Loaded>) -> Result<(), Refused> {
        let limit = Duration::from_millis(generation.config.limits.start_ms);
        let members = &generation.snapshot.members;
        let Some(place) = members.iter().position(|member| Arc::ptr_eq(&member.loaded, loaded)) else { return Ok(()) };
        let started = self.runtime.block_on(async {
            tokio::time::timeout(limit, smoke::start(&self.registry, Arc::clone(generation), place)).await
        });
        match started {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Check::Start.refuses(format!("{error:#}"))),
            Err(_) => {
                let reason = format!("`{}` was not ready within {limit:?}, `limits.start_ms`", loaded.name);
                return Err(Check::Start.refuses(reason));
            }
        }
        if let Some(call) = generation.config.smoke.get(&loaded.name) {
            let called = self.runtime.block_on(smoke::call(&self.registry, Arc::clone(generation), call));
            called.map_err(|error| Check::Smoke.refuses(format!("{error:#}")))?;
        }
        Ok(())
    }

    /// No more versions drain at once than the configuration says; a newer change of the same component wins.
    fn wait_for_drain(&self, name: &str) -> Result<(), Refused> {
        loop {
            let config = self.registry.config();
            if self.registry.draining().len() < config.limits.draining_versions {
                return Ok(());
            }
            if self.queue.has_newer(name) {
                return Err(Check::State.refuses("a newer version came while earlier ones were still draining"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn publish(&mut self, generation: Arc<Generation>, changed: &[Arc<Loaded>], notes: &mut Vec<String>) {
        let old = self.registry.current();
        self.registry.publish(generation);
        for new in changed {
            self.held.remove(&new.name);
            if let Some(before) = old.member(&new.name).filter(|before| before.sha256 != new.sha256) {
                if let Some(forgotten) = self.history.replaced(&new.name, &before.sha256, &new.sha256) {
                    self.forget(&forgotten);
                }
            } else {
                self.history.serves(&new.name, &new.sha256);
            }
        }
        self.history.write();
        self.follow(changed, notes);
    }

    /// A trial goes on beside what is in service now, unless it was a trial of what was just replaced.
    fn follow(&self, changed: &[Arc<Loaded>], notes: &mut Vec<String>) {
        let Some(trial) = self.registry.canary.load_full() else { return };
        let replaced = changed.iter().any(|new| new.name == trial.loaded.name);
        let beside = if replaced { None } else { self.linked(&[Arc::clone(&trial.loaded)]).ok() };
        let next = beside.map(|generation| Arc::new(trial.beside(generation)));
        if next.is_none() {
            notes.push(format!("the trial of {} is over", trial.loaded.label));
        }
        self.registry.canary.store(next);
        self.registry.retire(&trial.generation);
    }

    fn remove(&mut self, name: &str, door: Door) -> Answer {
        let current = self.registry.current();
        self.held.remove(name);
        let Some(gone) = current.member(name).cloned() else {
            return Err(Check::State.refuses(format!("there is no component `{name}`")));
        };
        if door == Door::Folder && self.folder.as_ref().is_some_and(|folder| file(folder, name).exists()) {
            // It is back already: another event tells of it.
            return Ok(outcome(name, "unchanged", Some(&gone), Some(gone.label.clone())));
        }
        let mut rest = current.snapshot.loaded();
        rest.retain(|loaded| loaded.name != name);
        let snapshot = current
            .snapshot
            .next(&self.registry.base, rest, &current.config)
            .map_err(|error| Check::Importers.refuses(format!("others need it: {error:#}")))?;
        let mut result = outcome(name, "removed", None, Some(gone.label.clone()));
        if self.registry.canary.load().as_ref().is_some_and(|trial| trial.loaded.name == name) {
            self.end_trial();
        }
        self.registry.publish(self.registry.generation(snapshot, Arc::clone(&current.config)));
        self.history.removed(name);
        self.follow(&[], &mut result.notes);
        if door == Door::Admin
            && let Some(folder) = &self.folder
            && let Err(error) = std::fs::remove_file(file(folder, name))
            && !(self.registry.payload.is_some() && error.kind() == std::io::ErrorKind::NotFound)
        {
            result.notes.push(format!("its file stays: {error}"));
        }
        if door == Door::Admin
            && let Some(payload) = &self.registry.payload
            && payload.components().iter().any(|inside| inside.name == name)
        {
            result.notes.push("it is part of the program, and back with the next start".to_owned());
        }
        Ok(result)
    }

    fn rollback(&mut self, name: &str) -> Answer {
        if self.registry.canary.load().as_ref().is_some_and(|trial| trial.loaded.name == name) {
            return self.abandon(name, Door::Admin);
        }
        let current = self.registry.current();
        let Some(now) = current.member(name).cloned() else {
            return Err(Check::State.refuses(format!("there is no component `{name}`")));
        };
        let Some(sha256) = self.history.last(name) else {
            return Err(Check::State.refuses(format!("no earlier version of `{name}` has served, or is still kept")));
        };
        let kept = self.version(&sha256);
        let bytes = self.earlier(name, &sha256).map_err(|error| Check::Host.refuses(format!("{error:#}")))?;
        if component::sha256(&bytes) != sha256 {
            return Err(Check::Host.refuses(format!("{} is not what was kept", kept.display())));
        }
        let signature = trust::beside(&kept);
        let mut result =
            self.take(&(name.to_owned(), sha256.clone()), &bytes, signature.as_deref(), Door::Admin, None)?;
        // What was rolled back from is no version to go back to.
        self.history.returned(name, &now.sha256, &sha256);
        result.before = Some(now.label.clone());
        Ok(result)
    }

    fn promote(&mut self, name: &str) -> Answer {
        let trial = self.trial(name)?;
        let before = self.registry.current().member(name).map(|loaded| loaded.label.clone());
        let changed = [Arc::clone(&trial.loaded)];
        let generation = self.linked(&changed).map_err(|error| misfit(&error))?;
        self.wait_for_drain(name)?;
        let mut result = outcome(name, "serving", Some(&trial.loaded), before);
        let (good, bad) = trial.counts();
        result.notes.push(format!("promoted after {good} good and {bad} bad requests"));
        self.end_trial();
        self.publish(generation, &changed, &mut result.notes);
        let kept = self.version(&trial.loaded.sha256);
        match std::fs::read(&kept) {
            Ok(bytes) => {
                let signature = trust::beside(&kept);
                self.keep_in_folder(name, &bytes, signature.as_deref(), &mut result.notes);
            }
            Err(error) => result.notes.push(format!("its file was not kept: {error}")),
        }
        Ok(result)
    }

    fn abandon(&mut self, name: &str, door: Door) -> Answer {
        let trial = self.trial(name)?;
        let current = self.registry.current();
        let mut result = outcome(name, "abandoned", current.member(name), Some(trial.loaded.label.clone()));
        let (good, bad) = trial.counts();
        let why = match trial.verdict() {
            Verdict::Broken => "too many traps or answers of 5xx",
            Verdict::Slow => "its p99 is more than three times the current version's",
            Verdict::Open | Verdict::Good if door == Door::Fleet => "so it was decided for the fleet",
            Verdict::Open | Verdict::Good => "told to",
        };
        let note = format!("taken back after {good} good and {bad} bad requests: {why}");
        if matches!(trial.verdict(), Verdict::Broken | Verdict::Slow) {
            let key = (name.to_owned(), trial.loaded.sha256.clone());
            self.refused.insert(key, Check::Smoke.refuses(format!("as a canary it was {note}")));
        }
        result.notes.push(note);
        self.end_trial();
        Ok(result)
    }

    fn trial(&self, name: &str) -> Result<Arc<Trial>, Refused> {
        let trial = self.registry.canary.load_full().filter(|trial| trial.loaded.name == name);
        trial.ok_or_else(|| Check::State.refuses(format!("no version of `{name}` is on trial")))
    }

    fn end_trial(&self) {
        if let Some(trial) = self.registry.canary.swap(None) {
            self.registry.retire(&trial.generation);
        }
    }

    fn configure(&mut self, config: Config) -> Answer {
        let current = self.registry.current();
        let (config, restart) = config.after(&current.config);
        let config = Arc::new(config);
        let all = current.snapshot.loaded();
        let snapshot = Snapshot::new(&self.registry.base, all, &config)
            .map_err(|error| Check::Link.refuses(format!("with this configuration {error:#}")))?;
        self.registry.resize(config.limits.concurrent_requests);
        telemetry::set_level(config.log_level);
        self.registry.publish(self.registry.generation(snapshot, config));
        // What was refused may be allowed now.
        self.refused.clear();
        let mut result = outcome("configuration", "configured", None, None);
        if !restart.is_empty() {
            result.notes.push(format!("these take effect with the next start: {}", restart.join(", ")));
        }
        self.follow(&[], &mut result.notes);
        Ok(result)
    }

    /// The bytes of what served before: kept, or inside this program.
    fn earlier(&self, name: &str, sha256: &str) -> Result<Vec<u8>> {
        let gone = || format!("{} cannot be read", self.version(sha256).display());
        self.registry.kept(name, sha256).with_context(gone)
    }

    /// Keeps bytes for a way back.
    fn remember(&self, name: &str, sha256: &str, bytes: &[u8], signature: Option<&str>) {
        let kept = self.version(sha256);
        let signed = match signature {
            Some(signature) => put_file(&kept.with_extension("wasm.minisig"), signature.as_bytes()),
            None => Ok(()),
        };
        let written = signed.and_then(|()| if kept.exists() { Ok(()) } else { put_file(&kept, bytes) });
        if let Err(error) = written {
            let error = error.to_string();
            let message = "a version was not kept, so nothing can be rolled back to it";
            telemetry::line(Level::Warn, message, &[("component", name.into()), ("error", (&error).into())]);
        }
    }

    fn keep_file_of(&self, loaded: &Loaded) {
        let Some(folder) = &self.folder else { return };
        if self.version(&loaded.sha256).exists() {
            return;
        }
        let file = file(folder, &loaded.name);
        if let Ok(bytes) = std::fs::read(&file)
            && component::sha256(&bytes) == loaded.sha256
        {
            self.remember(&loaded.name, &loaded.sha256, &bytes, trust::beside(&file).as_deref());
        }
    }

    fn version(&self, sha256: &str) -> PathBuf {
        self.versions.join(format!("{sha256}.wasm"))
    }

    /// No rollback leads there any more, unless another component has the same bytes.
    fn forget(&self, sha256: &str) {
        let serving = self.registry.current().snapshot.members.iter().any(|member| member.loaded.sha256 == sha256);
        if !serving && !self.history.has(sha256) {
            let kept = self.version(sha256);
            let _ = std::fs::remove_file(kept.with_extension("wasm.minisig"));
            let _ = std::fs::remove_file(kept);
        }
    }

    /// Whether the folder has other bytes by now.
    fn is_out_of_date(&self, name: &str, sha256: &str) -> bool {
        self.in_folder(name).is_some_and(|there| there != sha256)
    }

    fn in_folder(&self, name: &str) -> Option<String> {
        let bytes = std::fs::read(file(self.folder.as_ref()?, name)).ok()?;
        Some(component::sha256(&bytes))
    }

    /// So that the next start finds what serves now.
    fn keep_in_folder(&self, name: &str, bytes: &[u8], signature: Option<&str>, notes: &mut Vec<String>) {
        let Some(folder) = &self.folder else { return };
        let target = file(folder, name);
        if !self.queue.may_write(name, &component::sha256(bytes), self.in_folder(name).as_deref()) {
            notes.push(format!("another file came to {} meanwhile, and is the next to serve", target.display()));
            return;
        }
        let signed = target.with_extension("wasm.minisig");
        let written = match signature {
            Some(signature) => put_file(&signed, signature.as_bytes()),
            None => Ok(()),
        };
        let written = written.and_then(|()| put_file(&target, bytes));
        self.queue.wrote(name, written.is_ok());
        if let Err(error) = written {
            notes.push(format!("it serves until the next start only, {} was not written: {error}", target.display()));
        }
    }
}

fn misfit(error: &anyhow::Error) -> Refused {
    Check::Link.refuses(format!("{error:#}"))
}

fn outcome(name: &str, state: &'static str, loaded: Option<&Arc<Loaded>>, before: Option<String>) -> Outcome {
    Outcome::new(name, state, loaded.map(|loaded| loaded.label.clone()), before)
}

/// A name becomes part of a path, of a header and of a label.
pub fn check_name(name: &str) -> Result<(), Refused> {
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=64).contains(&name.len()) && name.bytes().all(sane) {
        Ok(())
    } else {
        Err(Check::Name.refuses("a component's name is 1 to 64 letters, digits, `-` and `_`"))
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.wasm"))
}

/// Whole or not at all.
pub fn put_file(target: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = target.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir)?;
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let part = dir.join(format!(".{name}.part{}", std::process::id()));
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, target)
}
