//! The project's own source tree: which components there are, and how they are built.
//!
//! `cargo run` builds the components with it before the host serves them, `cargo xtask` whenever it needs some. Without a
//! tree (a binary that was copied elsewhere) none of it is used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// What components are built for; `rust-toolchain.toml` names it too.
pub const WASM: &str = "wasm32-wasip2";

/// A package that becomes a component.
#[derive(Debug, Clone)]
pub struct Guest {
    /// `hybrid-image-edit`
    pub package: String,
    /// `image-edit`: the name of its folder, of its file and of its component.
    pub name: String,
    /// `components`, `models` or `plugs`, in the project and in `target`.
    pub folder: &'static str,
}

impl Guest {
    /// Where its built file is put, below the project's root.
    pub fn file(&self, root: &Path) -> PathBuf {
        root.join("target").join(self.folder).join(format!("{}.wasm", self.name))
    }
}

/// The packages of a folder of guests, by name: each of its folders is one component, and the package `hybrid-NAME`.
pub fn guests(root: &Path, folder: &'static str) -> Result<Vec<Guest>> {
    let path = root.join(folder);
    let mut guests = Vec::new();
    for entry in fs::read_dir(&path).with_context(|| format!("reading {}", path.display()))? {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file()
            && let Some(name) = path.file_name().and_then(|name| name.to_str())
        {
            guests.push(Guest { package: format!("hybrid-{name}"), name: name.to_owned(), folder });
        }
    }
    guests.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(guests)
}

/// Builds guests and puts their files into place; tells which files changed. Where nothing did, this costs a fraction of
/// a second.
///
/// Cargo's lock is free again while what `cargo run` built is running, so a second cargo does not wait.
pub fn build(root: &Path, guests: &[Guest]) -> Result<Vec<PathBuf>> {
    ensure_target(root)?;
    let target = root.join("target");
    let mut command = cargo(root);
    command.args(["build", "--profile", "component", "--target", WASM, "--target-dir"]).arg(&target);
    for guest in guests {
        command.args(["--package", &guest.package]);
    }
    let status = command.status().context("starting cargo to build the components")?;
    if !status.success() {
        bail!("the components were not built: see the messages above");
    }
    let mut changed = Vec::new();
    for guest in guests {
        let built = target.join(WASM).join("component").join(format!("{}.wasm", guest.package.replace('-', "_")));
        let bytes = fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
        if put(&guest.file(root), &without_names(&bytes).unwrap_or(bytes))? {
            changed.push(guest.file(root));
        }
    }
    Ok(changed)
}

/// A component without the names of its parts, a few percent of it that only people who take it apart read; the linker
/// has no word to leave them out. None where it is not what a linker writes.
fn without_names(component: &[u8]) -> Option<Vec<u8>> {
    const HEAD: usize = 8;
    const NAMES: &[u8] = b"component-name";
    let mut kept = component.get(..HEAD)?.to_vec();
    let mut rest = &component[HEAD..];
    while let [id, after @ ..] = rest {
        let (length, after) = number(after)?;
        let content = after.get(..length)?;
        let next = &after[length..];
        let is_names = *id == 0 && number(content).is_some_and(|(_, name)| name.starts_with(NAMES));
        if !is_names {
            kept.extend_from_slice(&rest[..rest.len() - next.len()]);
        }
        rest = next;
    }
    Some(kept)
}

/// A number as Wasm writes lengths: seven bits a byte, the lowest first.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}

/// `cargo` as it runs us, in the project's root.
///
/// Without what cargo tells us of our own package: build scripts look at those variables, and would build again what
/// `cargo run` has built without them.
pub fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST")) {
            command.env_remove(name);
        }
    }
    command
}

/// Installs the Wasm target where it is missing. rustup does it by itself, as `rust-toolchain.toml` asks, unless
/// somebody has switched that off or the toolchain was there before.
pub fn ensure_target(root: &Path) -> Result<()> {
    let rustc = Command::new("rustc")
        .current_dir(root)
        .args(["--print", "target-libdir", "--target", WASM])
        .stderr(Stdio::null())
        .output();
    let folder = rustc.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    if folder.is_ok_and(|folder| folder.is_dir()) {
        return Ok(());
    }
    eprintln!("installing the compiler's target {WASM}");
    let added = Command::new("rustup").current_dir(root).args(["target", "add", WASM]).status();
    match added {
        Ok(status) if status.success() => Ok(()),
        _ => bail!("the compiler lacks the target {WASM}: install it with `rustup target add {WASM}`"),
    }
}

/// Puts a file into place in one step, and only when it is new: whoever watches sees whole files, and only changed ones.
pub fn put(path: &Path, bytes: &[u8]) -> Result<bool> {
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

#[cfg(test)]
mod tests {
    use super::without_names;

    #[test]
    fn names_are_left_out_and_nothing_else() {
        let head = *b"\0asm\x0d\0\x01\0";
        let section = |id: u8, content: &[u8]| [&[id, content.len() as u8], content].concat();
        let (code, other) = (section(1, b"code"), section(0, b"\x05otherstuff"));
        let names = section(0, b"\x0ecomponent-namestuff");
        let whole = [head.as_slice(), &code, &names, &other].concat();
        assert_eq!(without_names(&whole), Some([head.as_slice(), &code, &other].concat()));
        assert_eq!(without_names(&whole[..whole.len() - 1]), None);
        assert_eq!(without_names(b"text"), None);
    }
}
