//! `hybrid-ai`: serves components.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use hybrid_ai::admin::Admin;
use hybrid_ai::cli::{self, Command, Serve};
use hybrid_ai::config::Config;
use hybrid_ai::pages::Pages;
use hybrid_ai::registry::{Registry, component_name};
use hybrid_ai::server::{Server, Stop};
use hybrid_ai::swap::Swaps;
use hybrid_ai::telemetry::{self, Level};
use hybrid_ai::{dev, health, key_cli, keys, watch};
use tokio::signal::unix::{SignalKind, signal};

/// glibc's allocator was 8 % of the profile.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    if std::env::args_os().nth(1).is_some_and(|word| word == "key") {
        return key_cli::run(std::env::args_os().skip(2));
    }
    let arguments = match Command::parse()? {
        Command::Nothing => return Ok(()),
        Command::Component(ask) => return cli::component(&ask),
        Command::Compile(task) => return task.run(),
        Command::Health(overrides) => {
            let config = Config::load(&overrides, |name| std::env::var(name).ok())?;
            return health::check(health::own_address(config.listen));
        }
        Command::Serve(serve) => serve,
    };
    let config = Config::load(&arguments.overrides, |name| std::env::var(name).ok())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let done = runtime.block_on(serve(config, arguments));
    // What did not end in time ends with the process.
    runtime.shutdown_background();
    telemetry::flush();
    done
}

async fn serve(config: Config, arguments: Serve) -> Result<()> {
    let (registry, watched) = match &arguments.alone {
        Some(file) => {
            let name = component_name(file).context("the file needs a name")?;
            (Registry::open_file(Arc::new(config.alone(&name)), file)?, None)
        }
        None => {
            let dir = components(arguments.components.clone())?;
            (Registry::open(Arc::new(config), &dir)?, Some(dir))
        }
    };
    let overrides = arguments.overrides;
    let pages = watched
        .as_ref()
        .and_then(|dir| Pages::find(registry.config().app_dir.as_deref(), dir, dev::source_tree().as_deref()));
    let server = Server::bind(Arc::clone(&registry), watched.is_some()).await?.with_pages(pages);
    eprintln!("listening on http://{}/", server.address()?);
    telemetry::open(registry.config().log_level);
    let stores = Arc::clone(registry.stores());
    let stop = Stop::default();
    let (mut admin, mut _changes) = (None, None);
    if let Some(dir) = watched {
        say_who_may_come_in(&registry).await;
        let swaps = Swaps::start(&registry, Some(dir.clone()))?;
        admin = Admin::bind(Arc::clone(&registry), swaps.clone(), stop.clone()).await?;
        // Without a configuration there may still be a model table.
        let file = overrides.file.clone().unwrap_or_else(|| registry.config().models_file.clone());
        let reread: watch::Reread = Box::new(move || Config::load(&overrides, |name| std::env::var(name).ok()));
        watch::start(&registry, &swaps, dir, Some((file, reread))).context("watching the components")?;
        // With the last of these the threads end that work changes off.
        _changes = Some(swaps);
    }
    if let Some(admin) = admin {
        let address = admin.address()?.to_string();
        telemetry::line(Level::Info, "the admin address", &[("listen", (&address).into())]);
        // It ends with the process: an operator looks on until the last request is done.
        tokio::spawn(admin.run());
    }
    let mut running = tokio::spawn(server.run(stop.clone()));
    tokio::select! {
        ended = &mut running => return ended?,
        () = told_to_stop()? => stop.stop(),
    }
    let ended = tokio::select! {
        ended = running => ended?,
        // The second signal ends at once.
        () = told_to_stop()? => Ok(()),
    };
    if let Some(traces) = &registry.traces {
        traces.flush().await;
    }
    registry.usage.settle().await;
    stores.flush();
    ended
}

/// An open door is the operator's to know of.
async fn say_who_may_come_in(registry: &Registry) {
    let kept = registry.stores().place();
    match keys::are_made(registry.stores()).await {
        Some(true) => telemetry::line(Level::Info, "requests need an API key", &[("keys", kept.into())]),
        Some(false) => {
            let message = "no API key was made: everybody who reaches this address is served (`hybrid-ai key create`)";
            telemetry::line(Level::Warn, message, &[("keys", kept.into())]);
        }
        None => telemetry::line(Level::Warn, "it is not known yet whether requests need an API key", &[]),
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
