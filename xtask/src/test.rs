//! `test`: everything that can tell whether the project keeps its promises, in one go.

use crate::process::{cargo, program, run};
use crate::{app, check, components, compose, sizes, tree};

pub fn all() -> anyhow::Result<()> {
    check::all()?;
    components::build(&[])?;
    compose::all(false)?;
    sizes::print()?;
    // In release: wasmtime compiles components many times faster there, and is built once. Apart from the others, whose
    // dependencies ask for other features of what wasmtime is built on.
    run(cargo().args(["test", "--release", "-p", "hybrid-ai", "-p", "contract"]))?;
    // What measures, by itself.
    run(cargo().args(["test", "--release", "-p", "hybrid-ai", "--test", "it", "--", "--ignored"]))?;
    run(cargo().args(["test", "--release", "-p", "standin", "-p", "xtask"]))?;
    // The components' plain functions, natively.
    let mut guests = cargo();
    guests.args(["test", "--lib", "-p", "hybrid-guest"]);
    for package in libraries()? {
        guests.args(["-p", &package]);
    }
    for guest in tree::guests()? {
        guests.args(["-p", &guest.package]);
    }
    run(&mut guests)?;
    app()
}

/// The packages under `lib`, beside the guests' own crate.
fn libraries() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(tree::root().join("lib"))? {
        let manifest = entry?.path().join("Cargo.toml");
        if manifest.is_file() {
            let all: toml::Table = tree::read(&manifest)?.parse()?;
            if let Some(name) = all["package"]["name"].as_str().filter(|name| *name != "hybrid-guest") {
                names.push(name.to_owned());
            }
        }
    }
    names.sort();
    Ok(names)
}

/// The scripts of the app's package that are checks, in the order in which they say the most soonest.
const APP_CHECKS: &[&str] = &["typecheck", "lint", "test", "native"];

fn app() -> anyhow::Result<()> {
    app::install()?;
    for script in APP_CHECKS {
        app::script(script)?;
    }
    app::build()?;
    app::script("build:native")?;
    // In a browser, against the host itself, in front of a stand-in upstream and without a key.
    run(cargo().args(["build", "--release", "-p", "hybrid-ai"]))?;
    let upstream = standin::Standin::start(standin::Options::default())?;
    run(program("npm").args(["run", "--silent", "e2e"]).current_dir(app::folder()).env("WALK_UPSTREAM", upstream.url()))
}
