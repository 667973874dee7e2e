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

/// Builds all components into `target/components`. Where nothing changed this costs a fraction of a second.
///
/// Cargo's lock is free again while what `cargo run` built is running, so a second cargo does not wait.
pub fn build(root: &Path, cargo: &OsString) -> Result<()> {
    let names = names(root)?;
    let target = root.join("target");
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args(["build", "--profile", "component", "--target", "wasm32-wasip2", "--target-dir"])
        .arg(&target);
    for name in &names {
        command.args(["--package", &format!("hybrid-{name}")]);
    }
    let status = command.status().context("starting cargo to build the components")?;
    if !status.success() {
        bail!("the components were not built: see the messages above");
    }
    std::fs::create_dir_all(built(root))?;
    for name in &names {
        let file = format!("hybrid_{}.wasm", name.replace('-', "_"));
        let file = target.join("wasm32-wasip2/component").join(file);
        put(&file, &built(root).join(format!("{name}.wasm")))
            .with_context(|| format!("putting {} in place", file.display()))?;
    }
    Ok(())
}

/// The folders under `components/`: each is one component, and the package `hybrid-NAME`.
fn names(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in root.join("components").read_dir().context("reading the components' sources")? {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file()
            && let Some(name) = path.file_name().and_then(|name| name.to_str())
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Copies what changed, whole or not at all: another host may be watching the folder.
fn put(from: &Path, to: &Path) -> Result<()> {
    let bytes = std::fs::read(from)?;
    if std::fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let part = to.with_extension(format!("part{}", std::process::id()));
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, to)?;
    Ok(())
}
