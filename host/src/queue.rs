//! One way in for every change of what is in service, whichever door it comes by. Changes wait here in the order in which
//! they came, and the newest of a component takes the place of those that still wait.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::canary::Terms;
use crate::component;
use crate::config::Config;
use crate::intake::{Check, Refused};

/// By which door a change came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The file is in the folder already.
    Folder,
    Admin,
    /// Another host was told.
    Fleet,
    /// What a trial has come to decides it.
    Trial,
    Configuration,
}

impl Door {
    /// For the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Door::Folder => "components' folder",
            Door::Admin => "admin address",
            Door::Fleet => "fleet",
            Door::Trial => "canary",
            Door::Configuration => "configuration file",
        }
    }
}

/// What somebody wants changed.
#[derive(Debug)]
pub enum Change {
    Put {
        name: String,
        bytes: Bytes,
        signature: Option<String>,
        door: Door,
        canary: Option<Terms>,
    },
    Remove {
        name: String,
        door: Door,
    },
    /// Back to the version before.
    Rollback {
        name: String,
        door: Door,
    },
    /// The version on trial serves everybody.
    Promote {
        name: String,
        door: Door,
    },
    /// The version on trial serves nobody.
    Abandon {
        name: String,
        door: Door,
    },
    Configure(Box<Config>),
}

impl Change {
    pub fn name(&self) -> &str {
        match self {
            Change::Put { name, .. }
            | Change::Remove { name, .. }
            | Change::Rollback { name, .. }
            | Change::Promote { name, .. }
            | Change::Abandon { name, .. } => name,
            Change::Configure(_) => "configuration",
        }
    }

    /// The component whose bytes it is about: of such changes the newest counts.
    fn of(&self) -> Option<&str> {
        match self {
            Change::Put { name, .. } | Change::Remove { name, .. } => Some(name),
            _ => None,
        }
    }

    /// What it is and who wants it, by the names that the audit log uses.
    pub fn described(&self) -> (&'static str, Door) {
        match self {
            Change::Put { door, .. } => ("component.put", *door),
            Change::Remove { door, .. } => ("component.remove", *door),
            Change::Rollback { door, .. } => ("component.rollback", *door),
            Change::Promote { door, .. } => ("component.promote", *door),
            Change::Abandon { door, .. } => ("component.abandon", *door),
            Change::Configure(_) => ("configuration.change", Door::Configuration),
        }
    }
}

/// How a change that was not refused ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub name: String,
    /// `serving`, `canary`, `unchanged`, `removed`, `abandoned` or `configured`.
    pub state: &'static str,
    /// `name@digest` now, where there is one.
    pub label: Option<String>,
    /// The version before.
    pub before: Option<String>,
    pub took: Duration,
    /// What else should be known.
    pub notes: Vec<String>,
}

impl Outcome {
    pub fn new(name: &str, state: &'static str, label: Option<String>, before: Option<String>) -> Self {
        Self { name: name.to_owned(), state, label, before, took: Duration::ZERO, notes: Vec::new() }
    }
}

pub type Answer = Result<Outcome, Refused>;

pub struct Job {
    pub change: Change,
    pub reply: oneshot::Sender<Answer>,
}

/// Where changes are handed in. The threads behind it end with the last of them.
#[derive(Clone)]
pub struct Swaps(Arc<Entrance>);

struct Entrance(Arc<Queue>);

/// The same for those who should not keep the threads alive.
#[derive(Clone)]
pub struct WeakSwaps(Weak<Entrance>);

impl WeakSwaps {
    pub fn upgrade(&self) -> Option<Swaps> {
        self.0.upgrade().map(Swaps)
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.waiting().is_over = true;
        self.0.changed.notify_all();
    }
}

/// The changes that wait, and what is known of the folder that some of them come from.
#[derive(Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    is_over: bool,
    /// Somebody tells of every file that comes.
    is_watched: bool,
    files: HashMap<String, File>,
}

/// A component's file in the folder. This host writes there too, and is told of that like of any other's writing: what it
/// wrote is no change.
#[derive(Debug, Default)]
struct File {
    /// What this host wrote or began with, unless somebody else has written since.
    ours: Option<String>,
    /// What this host is about to write.
    coming: Option<String>,
    /// What was seen there last, whoever wrote it.
    seen: Option<String>,
}

impl Swaps {
    /// The entrance, and the queue behind it.
    pub fn new() -> (Self, Arc<Queue>) {
        let queue: Arc<Queue> = Arc::default();
        (Self(Arc::new(Entrance(Arc::clone(&queue)))), queue)
    }

    pub fn downgrade(&self) -> WeakSwaps {
        WeakSwaps(Arc::downgrade(&self.0))
    }

    /// From now on files that come into the folder are handed in.
    pub fn watched(&self) {
        self.0.0.waiting().is_watched = true;
    }

    /// Hands a change in, and waits for how it ends. A put that still waits gives way to a newer one of its name.
    pub async fn submit(&self, change: Change) -> Answer {
        self.enqueue(change).await.unwrap_or_else(|_| Err(Check::Host.refuses("the host is ending")))
    }

    /// The same, for threads that may block.
    pub fn submit_blocking(&self, change: Change) -> Answer {
        self.enqueue(change).blocking_recv().unwrap_or_else(|_| Err(Check::Host.refuses("the host is ending")))
    }

    fn enqueue(&self, change: Change) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        let mut waiting = self.0.0.waiting();
        if waiting.is_echo(&change) {
            let _ = reply.send(Ok(Outcome::new(change.name(), "unchanged", None, None)));
            return answer;
        }
        if let Some(name) = change.of() {
            let older = waiting.jobs.iter().position(|job| job.change.of() == Some(name));
            if let Some(older) = older.and_then(|place| waiting.jobs.remove(place)) {
                let reason = "a newer change of the same component came meanwhile";
                let _ = older.reply.send(Err(Check::State.refuses(reason)));
            }
        }
        waiting.jobs.push_back(Job { change, reply });
        drop(waiting);
        self.0.0.changed.notify_all();
        answer
    }
}

impl Waiting {
    /// Whether the folder tells of what this host did there itself.
    fn is_echo(&mut self, change: &Change) -> bool {
        match change {
            Change::Put { name, bytes, door: Door::Folder, .. } => {
                let sha256 = component::sha256(bytes);
                let file = self.files.entry(name.clone()).or_default();
                if file.ours.as_ref() == Some(&sha256) || file.coming.as_ref() == Some(&sha256) {
                    return true;
                }
                file.ours = None;
                file.seen = Some(sha256);
                false
            }
            Change::Remove { name, door: Door::Folder } => {
                self.files.get(name).is_some_and(|file| file.coming.is_some())
            }
            _ => false,
        }
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nobody panics holding it")
    }

    /// The next change; none when nobody can hand in any more.
    pub fn next(&self) -> Option<Job> {
        let nothing = |waiting: &mut Waiting| waiting.jobs.is_empty() && !waiting.is_over;
        self.changed.wait_while(self.waiting(), nothing).expect("nobody panics holding it").jobs.pop_front()
    }

    /// Whether something newer waits that makes a change of this component pointless.
    pub fn has_newer(&self, name: &str) -> bool {
        self.waiting().jobs.iter().any(|job| job.change.of() == Some(name))
    }

    /// What lies in the folder as this host begins.
    pub fn lies_there(&self, name: &str, sha256: &str) {
        let sha256 = Some(sha256.to_owned());
        let file = File { ours: sha256.clone(), coming: None, seen: sha256 };
        self.waiting().files.insert(name.to_owned(), file);
    }

    /// This host is about to write a component's file, as it lies there `now`. False where somebody else has put another
    /// one there, which is the newer change.
    pub fn may_write(&self, name: &str, sha256: &str, now: Option<&str>) -> bool {
        let mut waiting = self.waiting();
        let is_newer_waiting = waiting.jobs.iter().any(|job| job.change.of() == Some(name));
        let is_watched = waiting.is_watched;
        let file = waiting.files.entry(name.to_owned()).or_default();
        let is_anothers = now.is_some() && file.seen.is_some() && file.seen.as_deref() != now;
        if is_watched && (is_newer_waiting || is_anothers) {
            return false;
        }
        file.coming = Some(sha256.to_owned());
        true
    }

    /// It has been written, or could not be.
    pub fn wrote(&self, name: &str, is_there: bool) {
        if let Some(file) = self.waiting().files.get_mut(name)
            && let Some(sha256) = file.coming.take()
            && is_there
        {
            file.ours = Some(sha256.clone());
            file.seen = Some(sha256);
        }
    }
}
