//! `check`: formatting and lints.

use std::process::Command;

use crate::process::{cargo, run};
use crate::tree;

pub fn all() -> anyhow::Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    // Native: everything, tests and guests' plain functions too. In release, where wasmtime is built anyway.
    run(clippy().args(["--release", "--workspace", "--all-targets"]).args(["--", "-D", "warnings"]))?;
    let mut wasm = clippy();
    wasm.args(["--profile", "component", "--target", source_tree::WASM]);
    for guest in tree::guests()? {
        wasm.args(["-p", &guest.package]);
    }
    run(wasm.args(["--", "-D", "warnings"]))
}

fn clippy() -> Command {
    let mut command = cargo();
    command.arg("clippy");
    command
}
