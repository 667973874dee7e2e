//! `dist`: `target/dist/hybrid-ai`, one file that is a platform: the host with the components inside, compiled, and with
//! the app where it was built. Beside it lie its SHA-256 and the list of what it is made of (`sbom.rs`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use sha2::{Digest as _, Sha256};

use crate::process::{cargo, run};
use crate::{components, sbom, tree};

pub fn build() -> anyhow::Result<()> {
    run(cargo().args(["build", "--release", "-p", "hybrid-ai"]))?;
    components::build(&[])?;
    let file = make(&folder())?;
    let size = fs::metadata(&file)?.len() / 1_000_000;
    eprintln!("{}: {size} MB, SHA-256 {}", file.strip_prefix(tree::root())?.display(), sha256(&file)?);
    Ok(())
}

pub fn file() -> PathBuf {
    folder().join(NAME)
}

const NAME: &str = "hybrid-ai";

fn folder() -> PathBuf {
    tree::target().join("dist")
}

/// Makes the file of what is built, and what lies beside it, in a folder.
pub fn make(folder: &Path) -> anyhow::Result<PathBuf> {
    let file = pack(folder)?;
    let digest = sha256(&file)?;
    // As `sha256sum --check` reads it.
    fs::write(folder.join("hybrid-ai.sha256"), format!("{digest}  {NAME}\n"))?;
    fs::write(folder.join("hybrid-ai.cdx.json"), sbom::written(&digest)?)?;
    Ok(file)
}

fn pack(place: &Path) -> anyhow::Result<PathBuf> {
    let host = tree::target().join("release/hybrid-ai");
    ensure!(host.is_file(), "there is no {}: `cargo build --release`", host.display());
    fs::create_dir_all(place)?;
    let (bare, part, file) = (place.join(".bare"), place.join(".part"), place.join(NAME));
    without_symbols(&host, &bare)?;
    let mut packing = Command::new(&host);
    // Code that was compiled before is used again, whatever it is packed for.
    packing.arg("pack").args([&bare, &part]).arg(tree::target().join("components")).arg(folder().join("compiled"));
    let app = tree::target().join("app");
    if app.join("index.html").is_file() {
        packing.arg(app);
    }
    run(&mut packing)?;
    fs::remove_file(&bare)?;
    fs::set_permissions(&part, fs::metadata(&host)?.permissions())?;
    fs::rename(&part, &file)?;
    Ok(file)
}

/// Names of functions are a third of the program, and nobody who gets it as one file has use for them.
fn without_symbols(from: &Path, to: &Path) -> anyhow::Result<()> {
    let stripped = Command::new("strip").arg("--strip-all").arg("-o").args([to, from]).stderr(Stdio::null()).status();
    if !stripped.is_ok_and(|status| status.success()) {
        fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    }
    Ok(())
}

pub fn sha256(file: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    Ok(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
