//! What served before, by component, so that there is a way back also after the next start. The bytes are beside the
//! compiled code (`Registry::versions`); this is their order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::component::Loaded;
use crate::swap::put_file;
use crate::telemetry::{self, Level};

/// Versions of one component that a rollback can go back to, one after the other.
const MAX_EARLIER: usize = 5;

/// Lives as long as the process, and its file longer.
pub struct History {
    file: PathBuf,
    of: BTreeMap<String, Line>,
}

/// The versions of one component, by hash.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Line {
    serving: String,
    /// The newest last.
    earlier: Vec<String>,
}

impl Line {
    /// Another version serves. The version that can no longer be gone back to.
    fn replaced(&mut self, before: &str, now: &str) -> Option<String> {
        self.earlier.retain(|sha256| sha256 != before && sha256 != now);
        self.earlier.push(before.to_owned());
        now.clone_into(&mut self.serving);
        (self.earlier.len() > MAX_EARLIER).then(|| self.earlier.remove(0))
    }
}

impl History {
    /// What the process before this one has left. A file that is not there or not whole is none.
    pub fn read(state_dir: &Path) -> Self {
        let file = state_dir.join("history.json");
        let text = std::fs::read(&file).unwrap_or_default();
        Self { file, of: serde_json::from_slice(&text).unwrap_or_default() }
    }

    /// Goes on with what serves now: what served when the last process ended is the version before, where that is another.
    /// The versions that can no longer be gone back to.
    pub fn begin(&mut self, serving: &[Arc<Loaded>], is_kept: impl Fn(&str, &str) -> bool) -> Vec<String> {
        let mut forgotten = Vec::new();
        self.of.retain(|name, line| {
            let stays = serving.iter().any(|loaded| loaded.name == *name);
            if !stays {
                forgotten.append(&mut line.earlier);
            }
            stays
        });
        for loaded in serving {
            let line = self.of.entry(loaded.name.clone()).or_default();
            let before = std::mem::replace(&mut line.serving, loaded.sha256.clone());
            if !before.is_empty() && before != loaded.sha256 {
                forgotten.extend(line.replaced(&before, &loaded.sha256));
            }
            line.earlier.retain(|sha256| is_kept(&loaded.name, sha256));
        }
        // A host that only serves may have nowhere to write.
        let _ = self.try_write();
        forgotten
    }

    /// A component that is new.
    pub fn serves(&mut self, name: &str, sha256: &str) {
        sha256.clone_into(&mut self.of.entry(name.to_owned()).or_default().serving);
    }

    pub fn replaced(&mut self, name: &str, before: &str, now: &str) -> Option<String> {
        self.of.entry(name.to_owned()).or_default().replaced(before, now)
    }

    /// Back from one version to an earlier one: what was left is none to go back to.
    pub fn returned(&mut self, name: &str, from: &str, to: &str) {
        if let Some(line) = self.of.get_mut(name) {
            line.earlier.retain(|sha256| sha256 != from && sha256 != to);
        }
        self.write();
    }

    pub fn removed(&mut self, name: &str) {
        self.of.remove(name);
        self.write();
    }

    /// The version to go back to.
    pub fn last(&self, name: &str) -> Option<String> {
        self.of.get(name)?.earlier.last().cloned()
    }

    pub fn has(&self, sha256: &str) -> bool {
        self.of.values().flat_map(|line| &line.earlier).any(|earlier| earlier == sha256)
    }

    pub fn write(&self) {
        if let Err(error) = self.try_write() {
            let error = error.to_string();
            let message = "which versions served was not written down: after the next start there is no way back";
            telemetry::line(Level::Warn, message, &[("error", (&error).into())]);
        }
    }

    fn try_write(&self) -> std::io::Result<()> {
        put_file(&self.file, &serde_json::to_vec_pretty(&self.of)?)
    }
}
