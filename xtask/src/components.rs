//! `components`: from source to `target/components/NAME.wasm` and `target/plugs/NAME.wasm`.

use std::fs;

use anyhow::{Context, bail};

use crate::process::{cargo, run};
use crate::tree::{self, Guest};

/// Builds all components, or those named.
pub fn build(names: &[String]) -> anyhow::Result<()> {
    let mut guests = tree::guests()?;
    if let Some(unknown) = names.iter().find(|name| !guests.iter().any(|guest| guest.name == **name)) {
        let known: Vec<&str> = guests.iter().map(|guest| guest.name.as_str()).collect();
        bail!("there is no component `{unknown}`; there are {}", known.join(", "));
    }
    if !names.is_empty() {
        guests.retain(|guest| names.contains(&guest.name));
    }
    let mut command = cargo();
    command.args(["build", "--profile", "component", "--target", "wasm32-wasip2", "--target-dir"]).arg(tree::target());
    for guest in &guests {
        command.args(["-p", &guest.package]);
    }
    run(&mut command)?;
    for guest in &guests {
        place(guest)?;
    }
    Ok(())
}

fn place(guest: &Guest) -> anyhow::Result<()> {
    let built = format!("{}.wasm", guest.package.replace('-', "_"));
    let built = tree::target().join("wasm32-wasip2/component").join(built);
    let bytes = fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    if tree::put(&guest.file(), &bytes)? {
        eprintln!("{} ({} KB)", guest.file().strip_prefix(tree::root())?.display(), bytes.len() / 1000);
    }
    Ok(())
}
