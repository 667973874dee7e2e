//! Puts changed components into service while the host runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::registry::{self, Registry};
use crate::telemetry::{self, Level};

/// Often enough that a rebuild feels immediate, seldom enough to cost nothing.
const INTERVAL: Duration = Duration::from_millis(250);

/// Name → size and time of change.
type Sight = BTreeMap<String, (u64, SystemTime)>;

/// Looks at the directory until the process ends. A change counts once two looks in a row agree, so that a file that is
/// still being written is left alone.
pub fn start(registry: Arc<Registry>, dir: PathBuf) -> std::io::Result<()> {
    std::thread::Builder::new().name("watch".into()).spawn(move || {
        let mut served = look(&dir);
        let mut before = served.clone();
        loop {
            std::thread::sleep(INTERVAL);
            let now = look(&dir);
            if now == before && now != served {
                served = now.clone();
                reload(&registry, &dir);
            }
            before = now;
        }
    })?;
    Ok(())
}

fn reload(registry: &Registry, dir: &Path) {
    match registry.reload(dir) {
        Ok(changed) if changed.is_empty() => {}
        Ok(changed) => {
            let changed = changed.join(", ");
            telemetry::line(Level::Info, "components were replaced", &[("components", (&changed).into())]);
        }
        Err(error) => {
            let error = format!("{error:#}");
            let message = "components were not replaced, the ones before go on serving";
            telemetry::line(Level::Warn, message, &[("error", (&error).into())]);
        }
    }
}

fn look(dir: &Path) -> Sight {
    let files = registry::files(dir).unwrap_or_default();
    files
        .into_iter()
        .filter_map(|(name, file)| {
            let metadata = file.metadata().ok()?;
            Some((name, (metadata.len(), metadata.modified().ok()?)))
        })
        .collect()
}
