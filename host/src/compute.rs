//! The threads for what computes: requests that turned out to, and calls apart. As many as there are cores, and those that
//! serve come before them wherever both want one.

use std::sync::LazyLock;

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::turns::give_way;

/// A process has them once, whatever it serves.
static THREADS: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .worker_threads(cores)
        .thread_name("compute")
        .on_thread_start(give_way)
        .enable_all()
        .build()
});

pub fn threads() -> Result<&'static Handle> {
    let threads = THREADS.as_ref().map_err(|error| std::io::Error::new(error.kind(), error.to_string()));
    Ok(threads.context("starting the threads that compute")?.handle())
}
