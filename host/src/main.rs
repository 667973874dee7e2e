//! `hybrid-ai`: serves components.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use hybrid_ai::admin::Admin;
use hybrid_ai::cli::{self, Command, Serve};
use hybrid_ai::config::Config;
use hybrid_ai::fleet::Fleet;
use hybrid_ai::pages::Pages;
use hybrid_ai::payload::Payload;
use hybrid_ai::registry::{Registry, component_name};
use hybrid_ai::server::{Server, Stop};
use hybrid_ai::telemetry::{self, Level};
use hybrid_ai::{dev, folders, health, key_cli, keys, memory, swap, watch};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: memory::Allocator = memory::Allocator;

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
        Command::Pack(pack) => return pack.run(),
        Command::Health(overrides) => {
            let config = Config::load(&overrides, |name| std::env::var(name).ok())?;
            return health::check(health::own_address(config.listen), config.tls.as_ref());
        }
        Command::Serve(serve) => serve,
    };
    let config = Config::load(&arguments.overrides, |name| std::env::var(name).ok())?;
    open_many_files();
    memory::give_back_soon();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let done = runtime.block_on(serve(config, arguments));
    // What did not end in time ends with the process.
    runtime.shutdown_background();
    telemetry::flush();
    done
}

/// As many connections as the system allows at all: what a shell starts gets a small part of that, for the sake of programs
/// older than its kernel.
fn open_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

async fn serve(config: Config, arguments: Serve) -> Result<()> {
    let opened = open(config, &arguments)?;
    let Opened { registry, folder, watched, ours } = opened;
    let overrides = arguments.overrides;
    let app_dir = registry.config().app_dir.clone();
    let pages = match (&registry.payload, &watched) {
        (Some(payload), _) => Pages::inside(app_dir.as_deref(), payload),
        (None, Some(dir)) => Pages::find(app_dir.as_deref(), dir, dev::source_tree().as_deref()),
        (None, None) => None,
    };
    let server = Server::bind(Arc::clone(&registry), ours).await?.with_pages(pages);
    // Whoever reads the line may tell us to end at once.
    let told = told_to_stop()?;
    eprintln!("listening on {}://{}/", server.scheme(), server.address()?);
    telemetry::open(registry.config().log_level);
    let stores = Arc::clone(registry.stores());
    let stop = Stop::default();
    let (mut admin, mut _changes) = (None, None);
    if ours {
        say_who_may_come_in(&registry).await;
        let swaps = swap::start(&registry, folder)?;
        admin = Admin::bind(Arc::clone(&registry), swaps.clone(), stop.clone()).await?;
        // Without a configuration there may still be a model table.
        let file = overrides.file.clone().unwrap_or_else(|| registry.config().models_file.clone());
        let reread: watch::Reread = Box::new(move || Config::load(&overrides, |name| std::env::var(name).ok()));
        watch::start(&registry, &swaps, watched, Some((file, reread))).context("watching the components")?;
        let fleet = Fleet::new(&registry.config(), &stores, admin.as_ref().map(Admin::address).transpose()?)?;
        if let Some(fleet) = fleet {
            fleet.follow(&registry, &swaps)?;
            let _ = registry.fleet.set(fleet);
        }
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
        () = told => stop.stop(),
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

/// What there is to serve.
struct Opened {
    registry: Arc<Registry>,
    /// Where what is swapped in is kept for the next start.
    folder: Option<PathBuf>,
    /// The folder whose files serve as they come and go.
    watched: Option<PathBuf>,
    /// Whether it is a platform, rather than a component served alone.
    ours: bool,
}

/// One file alone, the folder that was named, what is inside this program, or what the source tree has built.
fn open(config: Config, arguments: &Serve) -> Result<Opened> {
    if let Some(file) = &arguments.alone {
        let name = component_name(file).context("the file needs a name")?;
        let registry = Registry::open_file(Arc::new(config.alone(&name)), file)?;
        return Ok(Opened { registry, folder: None, watched: None, ours: false });
    }
    if arguments.components.is_none()
        && let Some(payload) = Payload::of_this_program()?
    {
        let folder = folders::own(&config.state_dir.join("components"));
        let registry = Registry::open_inside(Arc::new(config), payload, folder.as_deref())?;
        return Ok(Opened { registry, folder, watched: None, ours: true });
    }
    let dir = components(arguments.components.clone())?;
    let registry = Registry::open(Arc::new(config), &dir)?;
    Ok(Opened { registry, folder: Some(dir.clone()), watched: Some(dir), ours: true })
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
