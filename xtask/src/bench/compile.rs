//! `bench compile`: what those who ask notice of components that are compiled meanwhile.
//!
//! Windows in which one component after the other is compiled, all of it anew, take turns with windows in which none is. What
//! is compiled never serves (it is refused when it is linked, since it sends HTTP and nobody granted that), so that nothing
//! but the compiling is seen.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};

use super::paced::{self, WINDOW};
use super::server::Server;
use super::swap::{House, versioned};
use crate::tree;

const PAIRS: usize = 6;
/// The largest of those that are no models.
const COMPILED: &str = "hf";
const NEWCOMER: &str = "newcomer";

pub(super) async fn measure(folder: &Path) -> anyhow::Result<()> {
    let ourselves = std::env::current_exe()?;
    let standin = Server::start("stand-in", &ourselves, &["standin", "--zero-latency"], &[])?;
    let house = House::start(folder, &standin.address, "", &[])?;
    house.admin_answers().await?;
    let file = tree::target().join(format!("components/{COMPILED}.wasm"));
    let bytes = std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
    let mut compiled = Vec::new();
    paced::drive(&house.server.address, WINDOW).await?;
    let pairs = paced::in_turn(&house.server.address, PAIRS, async || {
        let took = compiling(&house, &bytes, compiled.len()).await?;
        compiled.extend(took);
        Ok(())
    })
    .await?;
    println!(
        "{} requests/s while `{COMPILED}` ({} KB) is compiled, again and again",
        paced::PER_SECOND,
        bytes.len() / 1000
    );
    pairs.print("compiling");
    let (count, took) = (compiled.len(), paced::median(compiled.into_iter()));
    println!("{count} compiled, one in {took:.2} s");
    Ok(())
}

/// Compiles for as long as a window lasts. Gives how long each took, in seconds.
async fn compiling(house: &House, bytes: &[u8], before: usize) -> anyhow::Result<Vec<f64>> {
    let began = Instant::now();
    let mut took = Vec::new();
    while began.elapsed() < WINDOW {
        let number = before + took.len();
        house.forget_functions(NEWCOMER)?;
        let started = Instant::now();
        let (status, told) = house.put(NEWCOMER, versioned(bytes, number)).await?;
        ensure!(status == 422 && told.contains("\"link\""), "it was not refused when it was linked: {told}");
        took.push(started.elapsed().as_secs_f64());
    }
    Ok(took)
}
