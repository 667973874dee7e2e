//! `hybrid-ai`: serves components.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use hybrid_ai::config::{Config, Overrides};
use hybrid_ai::pages::Pages;
use hybrid_ai::registry::{Registry, component_name};
use hybrid_ai::server::{Server, Stop};
use hybrid_ai::{dev, telemetry, watch};
use lexopt::prelude::*;
use tokio::signal::unix::{SignalKind, signal};

/// glibc's allocator was 8 % of the profile.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "\
hybrid-ai: many AI models behind one HTTP API, every capability a replaceable WebAssembly component

usage: hybrid-ai [serve] [--listen ADDR] [--components DIR] [--config FILE]
       hybrid-ai serve FILE.wasm [--listen ADDR]

  --listen ADDR      address and port, 127.0.0.1:3000 by default; port 0 picks one
  --components DIR   the components to serve; a changed file is put into service at once
  --config FILE      settings; hybrid.toml in the current directory when it is there
  FILE.wasm          one stock wasi:http component (WASI 0.2 or 0.3), served alone
  --help, --version

Environment: HF_API_KEY (else HF_TOKEN), HF_BASE_URL, HF_HUB_URL, ALLOWED_ORIGINS, LOG_LEVEL, PORT, HYBRID_DATA_DIR.
";

/// The command line, parsed.
#[derive(Default)]
struct Arguments {
    overrides: Overrides,
    components: Option<PathBuf>,
    alone: Option<PathBuf>,
}

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            telemetry::flush();
            eprintln!("hybrid-ai: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<()> {
    let Some(mut arguments) = arguments()? else { return Ok(()) };
    if arguments.overrides.file.is_none() && Path::new("hybrid.toml").is_file() {
        arguments.overrides.file = Some("hybrid.toml".into());
    }
    let config = Config::load(&arguments.overrides, |name| std::env::var(name).ok())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let done = runtime.block_on(serve(config, arguments));
    // What did not end in time ends with the process.
    runtime.shutdown_background();
    telemetry::flush();
    done
}

async fn serve(config: Config, arguments: Arguments) -> Result<()> {
    let (registry, watched) = match &arguments.alone {
        Some(file) => {
            let name = component_name(file).context("the file needs a name")?;
            (Registry::open_file(Arc::new(config.alone(&name)), file)?, None)
        }
        None => {
            let dir = components(arguments.components)?;
            (Registry::open(Arc::new(config), &dir)?, Some(dir))
        }
    };
    let pages = watched
        .as_ref()
        .and_then(|dir| Pages::find(registry.config.app_dir.as_deref(), dir, dev::source_tree().as_deref()));
    let server = Server::bind(Arc::clone(&registry), watched.is_some()).await?.with_pages(pages);
    eprintln!("listening on http://{}/", server.address()?);
    telemetry::open(registry.config.log_level);
    if let Some(dir) = watched {
        watch::start(registry, dir).context("watching the components")?;
    }
    let stop = Stop::default();
    let mut running = tokio::spawn(server.run(stop.clone()));
    tokio::select! {
        ended = &mut running => return ended?,
        () = told_to_stop()? => stop.stop(),
    }
    tokio::select! {
        ended = running => ended?,
        // The second signal ends at once.
        () = told_to_stop()? => Ok(()),
    }
}

/// Resolves when the operator wants an end: SIGTERM or SIGINT.
fn told_to_stop() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The components to serve: those named, or those of the source tree, built first where cargo started us.
fn components(named: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(dir) = named {
        return Ok(dir);
    }
    if let Some(root) = dev::source_tree() {
        if dev::by_cargo() {
            dev::build(&root)?;
        }
        return Ok(dev::built(&root));
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("components")));
    match beside {
        Some(dir) if dir.is_dir() => Ok(dir),
        _ => bail!("no components found: start with `--components DIR`"),
    }
}

fn arguments() -> Result<Option<Arguments>> {
    let mut arguments = Arguments::default();
    let mut parser = lexopt::Parser::from_env();
    let mut command = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => arguments.overrides.listen = Some(parser.value()?.parse()?),
            Long("components") => arguments.components = Some(parser.value()?.into()),
            Long("config") => arguments.overrides.file = Some(parser.value()?.into()),
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(None);
            }
            Long("version") | Short('V') => {
                println!("hybrid-ai {}", env!("CARGO_PKG_VERSION"));
                return Ok(None);
            }
            Value(word) if word == "serve" && !command => command = true,
            Value(file) if command && arguments.alone.is_none() => arguments.alone = Some(file.into()),
            Value(word) => bail!("unknown command `{}`: see `hybrid-ai --help`", word.to_string_lossy()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(arguments))
}
