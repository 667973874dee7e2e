//! Starting in the source tree: the components are built first.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The source tree this binary was built from, while it is still there.
pub fn source_tree() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    root.join("components").is_dir().then(|| root.to_owned())
}

/// Where the built components lie.
pub fn built(root: &Path) -> PathBuf {
    root.join("target/components")
}

/// Whether `cargo run` started us: then a person works on the source, and what is served should be what stands there.
pub fn cargo() -> Option<OsString> {
    std::env::var_os("CARGO")
}

/// Builds all components into `target/components`. What is up to date costs a fraction of a second.
pub fn build(root: &Path, cargo: &OsString) -> Result<()> {
    let status = Command::new(cargo)
        .current_dir(root)
        .args(["run", "--quiet", "--release", "--package", "xtask", "--", "components"])
        .status()
        .context("starting cargo to build the components")?;
    if !status.success() {
        bail!("the components were not built: see the messages above");
    }
    Ok(())
}
