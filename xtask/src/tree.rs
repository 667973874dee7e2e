//! Where things are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
pub use source_tree::{Guest, put};

/// The project's root.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("xtask is a folder of the project").to_owned()
}

pub fn target() -> PathBuf {
    root().join("target")
}

/// Every package under `components` and `plugs`, by name.
pub fn guests() -> anyhow::Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for folder in ["components", "plugs"] {
        guests.extend(source_tree::guests(&root(), folder)?);
    }
    guests.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(guests)
}

pub fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}
