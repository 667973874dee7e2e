//! Notices files that are put into place: renamed there, or closed after writing. What is still being written is never
//! read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};

use crate::config::Config;
use crate::queue::{Change, Door, Swaps};
use crate::registry::{self, Registry};
use crate::telemetry::{self, Level};
use crate::trust;

/// A folder that is gone may come back; it is looked for this often.
const AGAIN: Duration = Duration::from_millis(250);

/// Reads the configuration again.
pub type Reread = Box<dyn Fn() -> Result<Config> + Send>;

/// Watches until nobody can hand in changes any more: the components' folder, and the configuration's file, where there are
/// such.
pub fn start(
    registry: &Arc<Registry>,
    swaps: &Swaps,
    folder: Option<PathBuf>,
    file: Option<(PathBuf, Reread)>,
) -> Result<()> {
    if let Some((file, reread)) = file {
        let swaps = swaps.downgrade();
        let folder = match file.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut names = vec![file.file_name().context("the configuration is a file")?.to_owned()];
        // The model table is part of it, and lies beside it unless told otherwise.
        names.extend(registry.config().models_file.file_name().map(ToOwned::to_owned));
        let watched = Eyes::open(&folder).with_context(|| format!("watching {}", folder.display()))?;
        std::thread::Builder::new().name("watch-configuration".into()).spawn(move || {
            watched.each(&folder, |seen| {
                let Some(swaps) = swaps.upgrade() else { return false };
                if seen.as_ref().is_none_or(|seen| names.iter().any(|name| seen.contains(Path::new(name)))) {
                    reconfigure(&swaps, &reread);
                }
                true
            });
        })?;
    }
    let Some(folder) = folder else { return Ok(()) };
    swaps.watched();
    let watched = Eyes::open(&folder).with_context(|| format!("watching {}", folder.display()))?;
    let (registry, swaps) = (Arc::downgrade(registry), swaps.downgrade());
    // On this thread: what is written after the return is other than this, however late the other one begins.
    let before = sight(&folder);
    std::thread::Builder::new().name("watch".into()).spawn(move || {
        let look_at = |is_seen: &dyn Fn(&Path) -> bool| {
            let (Some(registry), Some(swaps)) = (registry.upgrade(), swaps.upgrade()) else { return false };
            look(&registry, &swaps, &folder, is_seen);
            true
        };
        // What changed between the start's reading and now.
        let unsettled = unsettled(&folder, &before);
        // Its signature is no reason to look at a file that is not whole.
        let of = |file: &Path| {
            if file.extension().is_some_and(|end| end == "minisig") { file.with_extension("") } else { file.to_owned() }
        };
        look_at(&|file| !unsettled.contains(&of(file)));
        watched.each(&folder, |seen| look_at(&|file| seen.as_ref().is_none_or(|seen| seen.contains(file))));
    })?;
    Ok(())
}

/// The files that somebody is writing at this moment; they are told of again when they are closed.
fn unsettled(folder: &Path, before: &BTreeMap<PathBuf, (u64, SystemTime)>) -> BTreeSet<PathBuf> {
    let is_young = |(_, modified): &(u64, SystemTime)| modified.elapsed().is_ok_and(|age| age < AGAIN);
    if before.values().any(is_young) {
        std::thread::sleep(AGAIN);
    }
    let after = sight(folder);
    after.into_iter().filter(|(name, now)| before.get(name) != Some(now)).map(|(name, _)| name).collect()
}

/// The names in a folder, each with its length and the time of its last change.
fn sight(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((PathBuf::from(entry.file_name()), (metadata.len(), metadata.modified().ok()?)))
        })
        .collect()
}

fn reconfigure(swaps: &Swaps, reread: &Reread) {
    match reread() {
        Ok(config) => {
            // How it ended is in the log.
            let _ = swaps.submit_blocking(Change::Configure(Box::new(config)));
        }
        Err(error) => {
            let error = format!("{error:#}");
            let message = "the configuration was refused, the one before goes on";
            telemetry::line(Level::Warn, message, &[("error", (&error).into())]);
        }
    }
}

/// Hands in what is other than in service, of the files that are seen.
fn look(registry: &Registry, swaps: &Swaps, folder: &Path, is_seen: &dyn Fn(&Path) -> bool) {
    let Ok(files) = registry::files(folder) else { return };
    // A signature that comes is a reason to look at its component again.
    let is_seen =
        |name: &str| is_seen(Path::new(&format!("{name}.wasm"))) || is_seen(Path::new(&format!("{name}.wasm.minisig")));
    let config = registry.config();
    for (name, file) in files.iter().filter(|(name, _)| is_seen(name)) {
        let bytes = match crate::intake::read(file, &config) {
            Ok(bytes) => bytes,
            Err(error) => {
                let error = format!("{error:#}");
                telemetry::line(Level::Warn, "a file was not read", &[("error", (&error).into())]);
                continue;
            }
        };
        let change = Change::Put {
            name: name.clone(),
            bytes: bytes.into(),
            signature: trust::beside(file),
            door: Door::Folder,
            canary: None,
        };
        let _ = swaps.submit_blocking(change);
    }
    let current = registry.current();
    for member in &current.snapshot.members {
        let name = &member.loaded.name;
        if is_seen(name) && !files.iter().any(|(there, _)| there == name) {
            let _ = swaps.submit_blocking(Change::Remove { name: name.clone(), door: Door::Folder });
        }
    }
}

#[cfg(target_os = "linux")]
use linux::Eyes;

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeSet;
    use std::ffi::OsStr;
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::{Path, PathBuf};

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

    /// The kernel tells of every change in a folder.
    pub struct Eyes(OwnedFd);

    impl Eyes {
        pub fn open(folder: &Path) -> std::io::Result<Self> {
            let eyes = inotify::init(CreateFlags::CLOEXEC)?;
            let what = WatchFlags::CLOSE_WRITE
                | WatchFlags::MOVED_TO
                | WatchFlags::MOVED_FROM
                | WatchFlags::DELETE
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF
                | WatchFlags::ONLYDIR;
            inotify::add_watch(&eyes, folder, what)?;
            Ok(Self(eyes))
        }

        /// Calls with the names that changed, or with none where anything may have, for as long as it is answered true.
        pub fn each(self, folder: &Path, mut tell: impl FnMut(Option<BTreeSet<PathBuf>>) -> bool) {
            let mut eyes = self;
            loop {
                if !eyes.until_gone(&mut tell) {
                    return;
                }
                // Another folder may be put in its place, as deployments do.
                eyes = loop {
                    std::thread::sleep(super::AGAIN);
                    if let Ok(eyes) = Self::open(folder) {
                        break eyes;
                    }
                };
                if !tell(None) {
                    return;
                }
            }
        }

        /// Whether the folder went, rather than whoever wants to know.
        fn until_gone(&self, tell: &mut impl FnMut(Option<BTreeSet<PathBuf>>) -> bool) -> bool {
            let mut buffer = [const { MaybeUninit::uninit() }; 16 * 1024];
            let mut events = inotify::Reader::new(&self.0, &mut buffer);
            loop {
                let mut seen = BTreeSet::new();
                let mut all = false;
                // What came together is looked at together.
                loop {
                    let Ok(event) = events.next() else { return true };
                    let flags = event.events();
                    if flags.intersects(ReadFlags::IGNORED | ReadFlags::MOVE_SELF | ReadFlags::DELETE_SELF) {
                        return true;
                    }
                    all |= flags.contains(ReadFlags::QUEUE_OVERFLOW);
                    if let Some(name) = event.file_name() {
                        seen.insert(PathBuf::from(OsStr::from_bytes(name.to_bytes())));
                    }
                    if events.is_buffer_empty() {
                        break;
                    }
                }
                if !tell((!all).then_some(seen)) {
                    return false;
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
use elsewhere::Eyes;

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::sight;

    /// Looks again and again; a change counts once two looks agree, so that what is being written is left alone.
    pub struct Eyes;

    impl Eyes {
        pub fn open(_: &Path) -> std::io::Result<Self> {
            Ok(Self)
        }

        pub fn each(self, folder: &Path, mut tell: impl FnMut(Option<BTreeSet<PathBuf>>) -> bool) {
            let mut told = sight(folder);
            let mut before = told.clone();
            loop {
                std::thread::sleep(super::AGAIN);
                let now = sight(folder);
                if now == before && now != told {
                    told = now.clone();
                    if !tell(None) {
                        return;
                    }
                }
                before = now;
            }
        }
    }
}
