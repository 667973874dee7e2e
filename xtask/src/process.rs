//! Running other programs, and saying so.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::tree;

/// `cargo` as it runs us, in the project's root.
pub fn cargo() -> Command {
    source_tree::cargo(&tree::root())
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
