//! What `docs/` and the README say of the project is so.

use std::fs;
use std::path::PathBuf;

use xtask::{docs, tree};

fn pages() -> Vec<(String, String)> {
    let folder = tree::root().join("docs");
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    files.push(tree::root().join("README.md"));
    files.sort();
    let name = |path: &PathBuf| path.strip_prefix(tree::root()).expect("ours").display().to_string();
    files.iter().map(|path| (name(path), tree::read(path).expect("a page"))).collect()
}

#[test]
fn the_reference_of_the_configuration_is_up_to_date() {
    let written = docs::configuration().expect("the reference");
    let there = tree::read(&docs::file()).expect("docs/configuration.md");
    assert!(there == written, "`cargo xtask docs` writes it anew");
}

/// Commands of ours are ones that there are; commands of others are said to be untested where they stand.
#[test]
fn commands_are_ones_that_there_are() {
    let usage = tree::read(&tree::root().join("xtask/src/main.rs")).expect("xtask");
    let help = tree::read(&tree::root().join("host/src/cli.rs")).expect("the host");
    let mut seen = 0;
    for (name, text) in pages() {
        let mut in_block = false;
        let (mut said, mut is_over) = (String::new(), false);
        let mut untested = false;
        for line in text.lines() {
            if let Some(kind) = line.trim().strip_prefix("```") {
                in_block = !in_block && kind == "sh";
                untested = said.contains("not tested");
                continue;
            }
            if !in_block {
                // The paragraph before a block says whether that is tested.
                if line.trim().is_empty() {
                    is_over = true;
                } else {
                    if std::mem::take(&mut is_over) {
                        said.clear();
                    }
                    said.push_str(line);
                    said.push(' ');
                }
                // Indented commands, and those in the middle of a sentence.
                for piece in line.split('`').skip(1).step_by(2) {
                    seen += usize::from(is_ours(&name, piece, &usage, &help));
                }
                continue;
            }
            let command = line.trim().trim_start_matches("$ ");
            if command.is_empty() || command.starts_with('#') || line.starts_with(' ') {
                continue;
            }
            let ours = is_ours(&name, command, &usage, &help);
            seen += usize::from(ours);
            // The README's calls are the contract's, which asks for the same paths with the same fields.
            assert!(
                ours || untested || name == "README.md",
                "{name}: `{command}` is neither ours nor said to be untested"
            );
        }
    }
    assert!(seen > 20, "{seen}");
}

/// Whether it is a command of ours; one that there is not is an error.
fn is_ours(page: &str, command: &str, usage: &str, help: &str) -> bool {
    let words: Vec<&str> = command.split_whitespace().skip_while(|word| word.contains('=')).collect();
    match words.as_slice() {
        ["cargo", "xtask", name, ..] => {
            assert!(usage.contains(&format!("\ncargo xtask {name}")), "{page}: `{command}`");
            true
        }
        ["cargo", "run" | "test" | "build", ..] => true,
        ["hybrid-ai", "component" | "key", verb, ..] => {
            let verb = verb.trim_end_matches(',');
            let known = help.contains(&format!("component {verb}")) || help.contains(verb);
            assert!(known, "{page}: `{command}`");
            true
        }
        ["hybrid-ai", word, ..] => {
            assert!(
                word.starts_with("--")
                    || help.contains(&format!("hybrid-ai {word}"))
                    || help.contains(&format!("[{word}]")),
                "{page}: `{command}`"
            );
            true
        }
        _ => false,
    }
}

/// Links lead to files that are there.
#[test]
fn links_lead_somewhere() {
    for (name, text) in pages() {
        let folder = tree::root().join(&name);
        let folder = folder.parent().expect("a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let file = link.split('#').next().unwrap_or(link);
            if link.contains("://") || file.is_empty() {
                continue;
            }
            assert!(folder.join(file).exists(), "{name}: {link}");
        }
    }
}

/// Metrics are called what the host calls them.
#[test]
fn metrics_are_those_that_the_host_tells() {
    let mut folders = vec![tree::root().join("host/src")];
    let mut sources = String::new();
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            sources.push_str(&tree::read(&path).expect("a source"));
        }
    }
    let page = tree::read(&tree::root().join("docs/operating.md")).expect("docs/operating.md");
    let legal = |letter: char| !(letter.is_ascii_lowercase() || letter == '_');
    let mut names: Vec<&str> = page.split(legal).filter(|word| word.starts_with("hybrid_")).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        let plain = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(sources.contains(&format!("\"{plain}\"")), "{name}");
    }
}

/// What a page says was measured, or is left to be, has its command beside it.
#[test]
fn figures_say_how_they_are_measured() {
    let page = tree::read(&tree::root().join("docs/operating.md")).expect("docs/operating.md");
    let rows: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| ") && line.contains("cargo xtask bench")).collect();
    assert!(rows.len() >= 5, "{rows:?}");
}
