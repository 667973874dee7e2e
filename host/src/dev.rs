//! Starting in the source tree: the components are built first.

use std::path::{Path, PathBuf};

use anyhow::Result;

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
pub fn by_cargo() -> bool {
    std::env::var_os("CARGO").is_some()
}

/// Builds all components into `target/components`.
pub fn build(root: &Path) -> Result<()> {
    source_tree::build(root, &source_tree::guests(root, "components")?)?;
    Ok(())
}
