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

/// How a command of the pages is known to work.
enum Seen {
    /// A test runs it: its file, and its name.
    By(&'static str, &'static str),
    /// No test of `cargo xtask test` does, and why.
    Not(&'static str),
}
use Seen::{By, Not};

const COMMANDS: &str = "host/tests/it/commands.rs";
const QUIET: &str = "it measures for minutes, on a machine that does nothing else";
const NETWORK: &str = "it downloads other people's tools";
const PLATFORM: &str = "it needs the platform that it is for";

/// Every command of the README and of `docs/`, by how it begins; the first that fits counts.
const ALL: &[(&str, Seen)] = &[
    ("curl http", By(COMMANDS, "the_readmes_calls_are_answered")),
    ("printf '{\"prompt\"", By(COMMANDS, "the_readmes_calls_are_answered")),
    ("hybrid-ai component", By(COMMANDS, "components_are_replaced_as_the_pages_say")),
    ("hybrid-ai key", By(COMMANDS, "a_key_is_made_as_the_readme_says")),
    ("hybrid-ai health", By(COMMANDS, "health_is_asked_as_the_containers_do")),
    ("hybrid-ai serve app.wasm", Not("`cargo xtask languages` does it, with what it has downloaded")),
    ("hybrid-ai serve", By("host/tests/it/shutdown.rs", "a_running_stream_ends_before_the_process_does")),
    ("from openai import", Not("`cargo xtask clients openai` runs the client, which it downloads")),
    ("HF_API_KEY=hf_... cargo run", Not("it needs a key of HuggingFace's")),
    (
        "HF_API_KEY=any HF_BASE_URL",
        Not("it serves until it is stopped; the tests have the same stand-in before the same host"),
    ),
    ("cargo run", Not("it serves until it is stopped; the tests start the same program")),
    (
        "cargo build --profile component",
        By("host/tests/it/examples.rs", "a_middleware_and_a_provider_stand_where_the_configuration_puts_them"),
    ),
    ("cargo xtask test", Not("it is what runs the tests")),
    ("cargo xtask standin", Not("it serves until it is stopped; the tests have the same stand-in")),
    ("cargo xtask compose --models", By("xtask/tests/built.rs", "everything_in_one_fits_an_edge_with_the_models_too")),
    ("cargo xtask compose", By("xtask/tests/built.rs", "everything_in_one_is_a_stock_wasi_http_component")),
    ("cargo xtask dist", By("xtask/tests/dist.rs", "alone_it_answers_every_endpoint")),
    ("cargo xtask docs", By("xtask/tests/docs.rs", "the_reference_of_the_configuration_is_up_to_date")),
    ("cargo xtask app", By("xtask/src/test.rs", "app")),
    ("cargo xtask bench", Not(QUIET)),
    ("cargo xtask load", Not("it needs programs that Debian has: h2load and slowhttptest")),
    ("cargo xtask clients", Not(NETWORK)),
    ("cargo xtask fuzz-api", Not(NETWORK)),
    ("cargo xtask languages", Not(NETWORK)),
    ("cargo deny check", Not("it fetches the list of advisories")),
    ("componentize-py", Not("`cargo xtask languages` does it, with what it has downloaded")),
    ("sha256sum --check", By("xtask/tests/dist.rs", "what_lies_beside_it_is_about_it")),
    ("install -m 755", Not("it needs systemd")),
    ("systemd-run", Not("it needs systemd")),
    ("docker", Not(PLATFORM)),
    ("kubectl", Not(PLATFORM)),
    ("spin ", Not(PLATFORM)),
    ("SPIN_VARIABLE_", Not(PLATFORM)),
    ("wash ", Not(PLATFORM)),
    ("wkg ", Not("it needs a registry")),
];

/// With what a command begins, where it stands in the middle of a sentence or is indented.
const PROGRAMS: &[&str] = &[
    "cargo ",
    "hybrid-ai ",
    "curl ",
    "spin ",
    "docker ",
    "kubectl ",
    "wash ",
    "wkg ",
    "sha256sum ",
    "HF_",
    "SPIN_",
    "componentize-py ",
];

/// The commands of a page: in blocks, indented, and between backticks.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block = None::<String>;
    let mut begun = String::new();
    let is_command = |text: &str| PROGRAMS.iter().any(|program| text.starts_with(program)) && text.contains(' ');
    for line in text.lines() {
        let within = block.clone();
        match (line.strip_prefix("```"), within.as_deref()) {
            (Some(kind), None) => block = Some(kind.to_owned()),
            (Some(_), Some(_)) => block = None,
            (None, Some(kind)) if kind == "sh" || kind == "python" => {
                begun.push_str(line.trim_end_matches('\\').trim_end());
                // A command may go on in the next line; what a program of Python's begins with stands for it.
                if !line.ends_with(['\\', '|']) && !begun.is_empty() && (kind == "sh" || begun.starts_with("from ")) {
                    found.push(std::mem::take(&mut begun));
                } else if kind == "python" {
                    begun.clear();
                }
            }
            (None, Some(_)) => {}
            (None, None) => {
                let indented = line.strip_prefix("    ").filter(|command| is_command(command));
                found.extend(indented.map(str::to_owned));
                if indented.is_none() {
                    found.extend(
                        line.split('`').skip(1).step_by(2).filter(|piece| is_command(piece)).map(str::to_owned),
                    );
                }
            }
        }
    }
    found
}

/// Every command is one that a test runs, or that is said not to be tested and why; every command of ours is one that
/// there is.
#[test]
fn every_command_is_run_by_a_test_or_said_not_to_be() {
    let usage = tree::read(&tree::root().join("xtask/src/main.rs")).expect("xtask");
    let mut used = vec![0; ALL.len()];
    for (name, text) in pages() {
        for command in commands(&text) {
            let place = ALL.iter().position(|(start, _)| command.starts_with(start));
            let place = place.unwrap_or_else(|| panic!("{name}: nothing is said of how `{command}` is tested"));
            used[place] += 1;
            if let Some(rest) = command.strip_prefix("cargo xtask ") {
                let word = rest.split_whitespace().next().expect("a command");
                assert!(usage.contains(&format!("\ncargo xtask {word}")), "{name}: `{command}`");
            }
        }
    }
    for ((start, seen), used) in ALL.iter().zip(&used) {
        assert!(*used > 0, "no page has `{start}` any more");
        match seen {
            By(file, test) => {
                let text = tree::read(&tree::root().join(file)).expect("a test's file");
                assert!(text.contains(&format!("fn {test}(")), "{file} has no `{test}` for `{start}`");
            }
            Not(why) => assert!(!why.is_empty(), "{start}"),
        }
    }
    assert!(used.iter().sum::<i32>() > 40, "{used:?}");
}

#[test]
fn commands_are_found_wherever_they_stand() {
    let page = "Say `cargo xtask test` or\n\n    hybrid-ai key list   # all\n    not a command\n\n```sh\ncurl a -d \\\n  b\n\n\
                printf x |\n  curl c\n```\n\n```toml\ncurl = 1\n```\n";
    let found = commands(page);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[2].starts_with("curl a") && found[3].starts_with("printf x"), "{found:?}");
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
