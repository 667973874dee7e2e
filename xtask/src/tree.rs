//! Where things are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The project's root.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("xtask is a folder of the project").to_owned()
}

pub fn target() -> PathBuf {
    root().join("target")
}

/// A package that becomes a component.
#[derive(Debug, Clone)]
pub struct Guest {
    /// `hybrid-image-edit`
    pub package: String,
    /// `image-edit`: the name of its file and of its component.
    pub name: String,
    /// `components`, `models` or `plugs`, in the project and in `target`.
    pub folder: &'static str,
}

impl Guest {
    /// Where its built file is put.
    pub fn file(&self) -> PathBuf {
        target().join(self.folder).join(format!("{}.wasm", self.name))
    }
}

/// Every package under `components`, `models` and `plugs`, by name.
pub fn guests() -> anyhow::Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for folder in ["components", "models", "plugs"] {
        let path = root().join(folder);
        for entry in fs::read_dir(&path).with_context(|| format!("reading {}", path.display()))? {
            let manifest = entry?.path().join("Cargo.toml");
            if manifest.is_file() {
                let package = package_name(&manifest)?;
                let name = package.strip_prefix("hybrid-").unwrap_or(&package).to_owned();
                guests.push(Guest { package, name, folder });
            }
        }
    }
    guests.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(guests)
}

fn package_name(manifest: &Path) -> anyhow::Result<String> {
    let manifest_name = || format!("the package's name in {}", manifest.display());
    let all: toml::Table = read(manifest)?.parse().with_context(manifest_name)?;
    let name = all.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    name.map(str::to_owned).with_context(manifest_name)
}

pub fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Puts a file into place in one step, and only when it is new: whoever watches sees whole files, and only changed ones.
pub fn put(path: &Path, bytes: &[u8]) -> anyhow::Result<bool> {
    if fs::read(path).is_ok_and(|known| known == bytes) {
        return Ok(false);
    }
    let folder = path.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    // Not `.wasm`: who watches the folder takes no notice of it.
    let unfinished = path.with_extension(format!("{}.part", std::process::id()));
    fs::write(&unfinished, bytes).with_context(|| format!("writing {}", unfinished.display()))?;
    fs::rename(&unfinished, path).with_context(|| format!("putting {} into place", path.display()))?;
    Ok(true)
}
