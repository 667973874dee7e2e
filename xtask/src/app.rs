//! `app`: the app's web build, from source to `target/app`, where the host looks for it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result};

use crate::process::{program, run};
use crate::tree;

pub fn folder() -> PathBuf {
    tree::root().join("mobile_client")
}

pub fn build() -> Result<()> {
    install()?;
    script("build:web")?;
    let to = tree::target().join("app");
    place(&folder().join("dist"), &to)?;
    eprintln!("{}: served at /app/ by `cargo run --release`", to.strip_prefix(tree::root())?.display());
    Ok(())
}

/// The packages that the lock file names, unless they are there.
pub fn install() -> Result<()> {
    let changed = |name: &str| folder().join(name).metadata().and_then(|about| about.modified());
    // npm writes the second one when it has put everything in place.
    let is_there = match (changed("package-lock.json"), changed("node_modules/.package-lock.json")) {
        (Ok(wanted), Ok(there)) => wanted <= there,
        _ => false,
    };
    if is_there {
        return Ok(());
    }
    run(program("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder()))
        .context("the app needs Node 20 or newer, with npm")
}

/// Runs one of the scripts of the app's package.
pub fn script(name: &str) -> Result<()> {
    run(program("npm").args(["run", "--silent", name]).current_dir(folder()))
}

/// Makes one folder like another while somebody serves it: a file is there before a page names it, and the files of the
/// build before go last.
fn place(from: &Path, to: &Path) -> Result<()> {
    let mut files = BTreeSet::new();
    below(from, Path::new(""), &mut files).with_context(|| format!("reading {}", from.display()))?;
    let names_others = |file: &&PathBuf| file.components().count() == 1;
    let order = files.iter().filter(|file| !names_others(file)).chain(files.iter().filter(names_others));
    for file in order {
        tree::put(&to.join(file), &fs::read(from.join(file))?)?;
    }
    let mut there = BTreeSet::new();
    below(to, Path::new(""), &mut there)?;
    for old in there.difference(&files) {
        fs::remove_file(to.join(old))?;
    }
    Ok(())
}

fn below(root: &Path, inside: &Path, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in root.join(inside).read_dir()? {
        let entry = entry?;
        let path = inside.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            below(root, &path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}
