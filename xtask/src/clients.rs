//! `clients`: other people's clients, as they come, against our host. `fuzz-api`: requests made up from /openapi.json.
//!
//! Both install what `contract/clients` names, in its versions, under `target/clients`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use standin::{Options, Standin};

use crate::bench::server::Server;
use crate::process::{cargo, program, run};
use crate::{components, tree};

/// The token that the stand-in wants.
const KEY: &str = "hf_clients";

/// Runs the scripts whose name has the argument in it, or all.
pub fn run_all(arguments: &[String]) -> anyhow::Result<()> {
    let part = arguments.first().map_or("", String::as_str);
    let python = python()?;
    let node = node()?;
    build()?;
    let mut failed = Vec::new();
    for kind in [Kind::Upstream, Kind::Keyless] {
        let platform = Platform::start(kind)?;
        for script in scripts()?.into_iter().filter(|script| script.contains(part)) {
            let mut command = if script.ends_with(".py") {
                let mut command = program(&python.to_string_lossy());
                command.arg(sources().join(&script)).env("PYTHONDONTWRITEBYTECODE", "1");
                command
            } else {
                // Modules are found beside the script.
                let mut command = program("node");
                command.arg(node.join(&script));
                command
            };
            command.env("BASE", &platform.url).env("KIND", kind.name());
            println!("\n=== {script}, {} ===", kind.name());
            if run(&mut command).is_err() {
                failed.push(format!("{script} ({})", kind.name()));
            }
        }
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// Operations that take enough for many requests to be made up; the others, which take nothing, get a few.
const OPERATIONS: usize = 12;

/// Sends made-up requests to every operation; about so many in all.
pub fn fuzz(arguments: &[String]) -> anyhow::Result<()> {
    let cases: usize = match arguments {
        [] => 10_000,
        [cases] => cases.parse().context("the argument is a number of requests")?,
        _ => bail!("usage: cargo xtask fuzz-api [REQUESTS]"),
    };
    let python = python()?;
    build()?;
    let platform = Platform::start(Kind::Upstream)?;
    let mut command = program(&python.with_file_name("schemathesis").to_string_lossy());
    // What a status means for a made-up request is the contract's business; here it is that every answer is one that is
    // described. A made-up model may well be nobody's, and a made-up deadline may pass.
    command
        .args(["run", &format!("{}/openapi.json", platform.url), "--mode", "all", "--workers", "2", "--no-color"])
        .args(["--phases", "examples,fuzzing", "--request-timeout", "20", "--suppress-health-check", "all"])
        .args(["--max-examples", &cases.div_ceil(OPERATIONS).to_string()])
        .args(["--checks", CHECKS])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", sources())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder());
    run(&mut command)
}

const CHECKS: &str = "nothing_breaks,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Upstream,
    Keyless,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Upstream => "upstream",
            Kind::Keyless => "keyless",
        }
    }
}

/// Our host with its components, and its upstream.
struct Platform {
    url: String,
    _host: Server,
    _standin: Standin,
}

impl Platform {
    fn start(kind: Kind) -> anyhow::Result<Platform> {
        let standin = Standin::start(Options { key: Some(KEY.to_owned()), ..Options::default() })?;
        let upstream = standin.url();
        let config = folder().join("hybrid.toml");
        let settings = match kind {
            Kind::Upstream => format!(
                "[settings]\nhf_base_url = \"{upstream}\"\nhf_hub_url = \"{upstream}\"\nretry_initial_ms = 10\n"
            ),
            Kind::Keyless => String::new(),
        };
        fs::write(&config, settings)?;
        let host = tree::target().join("release/hybrid-ai");
        let built = tree::target().join("components");
        let (config, built) = (config.to_string_lossy(), built.to_string_lossy());
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--config", &config, "--components", &built];
        let mut environment = vec![("LOG_LEVEL", "warn")];
        if kind == Kind::Upstream {
            environment.push(("HF_API_KEY", KEY));
        }
        let host = Server::start("our host", &host, &arguments, &environment)?;
        Ok(Platform { url: format!("http://{}", host.address), _host: host, _standin: standin })
    }
}

fn build() -> anyhow::Result<()> {
    components::build(&[])?;
    run(cargo().args(["build", "--release", "-p", "hybrid-ai"]))
}

fn sources() -> PathBuf {
    tree::root().join("contract/clients")
}

/// Where everything is installed.
fn folder() -> PathBuf {
    tree::target().join("clients")
}

fn scripts() -> anyhow::Result<Vec<String>> {
    let mut scripts = Vec::new();
    for entry in fs::read_dir(sources())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("client_") {
            scripts.push(name);
        }
    }
    scripts.sort();
    Ok(scripts)
}

/// A Python that has the packages.
fn python() -> anyhow::Result<PathBuf> {
    let place = folder().join("python");
    let python = place.join("bin/python");
    let wanted = sources().join("requirements.txt");
    if installed(&place, &wanted)? {
        return Ok(python);
    }
    run(program("python3").args(["-m", "venv"]).arg(&place))?;
    run(program(&python.to_string_lossy()).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&wanted))?;
    note(&place, &wanted)?;
    Ok(python)
}

/// A folder with the packages and the scripts, for modules are found beside a script.
fn node() -> anyhow::Result<PathBuf> {
    let place = folder().join("node");
    fs::create_dir_all(&place)?;
    for entry in fs::read_dir(sources())? {
        let path = entry?.path();
        let wanted = path.extension().is_some_and(|kind| kind == "mjs" || kind == "json");
        if let (true, Some(name)) = (wanted, path.file_name()) {
            fs::copy(&path, place.join(name))?;
        }
    }
    let wanted = sources().join("package-lock.json");
    if !installed(&place, &wanted)? {
        run(program("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&place))?;
        note(&place, &wanted)?;
    }
    Ok(place)
}

/// Whether what is in place came of the same list.
fn installed(place: &Path, wanted: &Path) -> anyhow::Result<bool> {
    let wanted = fs::read(wanted).with_context(|| format!("reading {}", wanted.display()))?;
    Ok(fs::read(place.join("installed")).is_ok_and(|known| known == wanted))
}

fn note(place: &Path, wanted: &Path) -> anyhow::Result<()> {
    fs::copy(wanted, place.join("installed"))?;
    Ok(())
}
