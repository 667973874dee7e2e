//! A server under measurement: a process, its address and its CPU time.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

use crate::tree;

/// Lives as long as the measurement; the process ends with it.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// `127.0.0.1:PORT`
    pub(crate) address: String,
    process: Child,
}

/// What the kernel counts CPU time in, on every Linux.
const TICK_US: f64 = 10_000.0;

impl Server {
    /// Starts a program whose first line on stderr is `listening on http://ADDRESS/`, or https.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Server> {
        let mut process = Command::new(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(tree::root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let mut lines = BufReader::new(process.stderr.take().context("stderr is piped")?);
        let mut line = String::new();
        let mut before = String::new();
        let address = loop {
            line.clear();
            ensure!(lines.read_line(&mut line)? > 0, "{name} ended: {before}");
            if let Some((_, rest)) = line.trim().strip_prefix("listening on ").and_then(|place| place.split_once("://"))
            {
                break rest.trim_end_matches('/').to_owned();
            }
            before.push_str(&line);
        };
        // A full pipe would stop it.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(Server { name, address, process })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Has it end by itself, and waits for that.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        let told = Command::new("kill").arg(self.process.id().to_string()).status().context("starting `kill`")?;
        ensure!(told.success(), "{} had ended already", self.name);
        let status = self.process.wait()?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }

    /// User and system time so far.
    pub(crate) fn cpu_us(&self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        // The program's name may hold anything, but the last parenthesis ends it.
        let (_, rest) = stat.rsplit_once(')').context("a process's line in /proc")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |index: usize| -> anyhow::Result<f64> {
            Ok(fields.get(index).context("a process's line in /proc")?.parse()?)
        };
        Ok((ticks(11)? + ticks(12)?) * TICK_US)
    }

    /// Memory that is there for the process, files that it maps included.
    pub(super) fn resident_mb(&self) -> anyhow::Result<f64> {
        self.status_mb("VmRSS:")
    }

    /// The most of it since the start, or since the peak was forgotten.
    pub(super) fn peak_mb(&self) -> anyhow::Result<f64> {
        self.status_mb("VmHWM:")
    }

    /// As `resident_mb`, with pages that are mapped several times divided among those who map them.
    pub(super) fn proportional_mb(&self) -> anyhow::Result<f64> {
        self.mb("smaps_rollup", "Pss:")
    }

    pub(super) fn forget_peak(&self) -> anyhow::Result<()> {
        let path = format!("/proc/{}/clear_refs", self.process.id());
        fs::write(&path, "5").with_context(|| format!("writing {path}"))
    }

    fn status_mb(&self, field: &str) -> anyhow::Result<f64> {
        self.mb("status", field)
    }

    fn mb(&self, file: &str, field: &str) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/{file}", self.process.id());
        let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)).context("a process's memory in /proc")?;
        let kb: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kb / 1000.0)
    }
}

/// What the kernel says of a process, in kilobytes.
pub(super) fn status_kb(process: u32, key: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).context("a process's memory in /proc")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
