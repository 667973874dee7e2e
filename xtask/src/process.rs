//! Running other programs, and saying so.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::tree;

/// `cargo` as it runs us, in the project's root.
///
/// Without what cargo tells us of our own package: build scripts look at those variables, and would build again what
/// `cargo run` has built without them.
pub fn cargo() -> Command {
    let mut command = program(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST")) {
            command.env_remove(name);
        }
    }
    command
}

pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(tree::root());
    command
}

/// Prints the command, runs it, and fails when it fails.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    // A path to a program says less than its name.
    let line = words.join(" ");
    let line = line.rsplit_once("/bin/").map_or(line.as_str(), |(_, rest)| rest);
    eprintln!("\n> {line}");
    let status = command.status().with_context(|| format!("starting `{line}`"))?;
    ensure!(status.success(), "`{line}` ended with {status}");
    Ok(())
}
