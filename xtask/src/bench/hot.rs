//! `hot`: writes `host/hot.ld`, by which the linker puts the functions that a request runs through next to each other.
//!
//! `perf` samples the host under load, with keys and without, whole and streamed. A function is named by its path; the hash
//! that ends its name in the program changes with every build, so that a pattern stands for it. Patterns under which lie
//! mostly functions that nobody runs (one for each type of something generic) are left out: they would part the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};

use super::load::{Load, Way};
use super::{made_key, server::Server};
use crate::process::{cargo, run as run_program};
use crate::tree;

/// Of the bytes under a pattern, those that were seen to run.
const HOT_SHARE: f64 = 0.25;
/// Rare functions need many samples to be seen.
const SECONDS: f64 = 30.0;
const PER_SECOND: &str = "5000";

pub fn run() -> anyhow::Result<()> {
    run_program(cargo().args(["build", "--release", "-p", "hybrid-ai"]))?;
    let host = tree::target().join("release/hybrid-ai");
    let seen = seen(&host)?;
    let functions = functions(&host)?;
    let mut bytes: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (name, size) in &functions {
        let (all, hot) = bytes.entry(pattern(name)).or_default();
        *all += size;
        if seen.contains(name) {
            *hot += size;
        }
    }
    bytes.retain(|_, (all, hot)| *hot as f64 >= *all as f64 * HOT_SHARE && *hot > 0);
    ensure!(bytes.len() > 100, "only {} functions were seen", bytes.len());
    let mut script = String::from(
        "/* Written by `cargo xtask hot`: the functions that a request runs through, next to each other. The processor has\n   \
         half as many pages to keep in mind for them. What is not found here lies where the linker puts it. */\n\
         SECTIONS\n{\n  .text.hot :\n  {\n    *(\n",
    );
    for pattern in bytes.keys() {
        writeln!(script, "      .text.{pattern}")?;
    }
    script.push_str("    )\n  }\n}\nINSERT BEFORE .text;\n");
    std::fs::write(tree::root().join("host/hot.ld"), script)?;
    let all: u64 = bytes.values().map(|(all, _)| all).sum();
    println!("host/hot.ld: {} patterns, {} KB", bytes.len(), all / 1000);
    Ok(())
}

/// The names of the functions that the host was seen in.
fn seen(host: &Path) -> anyhow::Result<BTreeSet<String>> {
    let ourselves = std::env::current_exe()?;
    let data = tree::target().join("bench-data");
    let key = made_key(host, &data)?;
    let standin = Server::start("stand-in", &ourselves, &["standin", "--zero-latency"], &[])?;
    let upstream = format!("http://{}", standin.address);
    let data = data.to_string_lossy();
    let open = [("HF_BASE_URL", upstream.as_str()), ("HF_API_KEY", "hf_bench")];
    let closed = [open[0], open[1], ("HYBRID_DATA_DIR", data.as_ref()), ("HYBRID_STORE", "file")];
    let mut seen = BTreeSet::new();
    for environment in [&open[..], &closed[..]] {
        let server = Server::start("our host", host, &["serve", "--listen", "127.0.0.1:0"], environment)?;
        Load::run(&server.address, &key, 16, 1.0, Way::Whole)?;
        let file = tree::target().join("hot.perf");
        let mut perf = sampling(server.id(), &file)?;
        Load::run(&server.address, &key, 16, SECONDS, Way::Whole)?;
        Load::run(&server.address, &key, 16, SECONDS / 10.0, Way::Stream)?;
        run_program(Command::new("kill").args(["-INT", &perf.id().to_string()]))?;
        perf.wait()?;
        seen.extend(sampled(&file)?);
    }
    Ok(seen)
}

fn sampling(process: u32, file: &Path) -> anyhow::Result<Child> {
    Command::new("perf")
        .args(["record", "-q", "-F", PER_SECOND, "-p", &process.to_string(), "-o"])
        .arg(file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting `perf` (Debian's linux-perf)")
}

fn sampled(file: &Path) -> anyhow::Result<BTreeSet<String>> {
    let output = Command::new("perf").args(["script", "--no-demangle", "-F", "ip,sym", "-i"]).arg(file).output()?;
    ensure!(output.status.success(), "perf script: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| Some(line.trim().split_once(' ')?.1.to_owned())).collect())
}

/// The program's functions and how many bytes each has.
fn functions(program: &Path) -> anyhow::Result<Vec<(String, u64)>> {
    let output = Command::new("nm").args(["-S", "--defined-only"]).arg(program).output().context("starting `nm`")?;
    ensure!(output.status.success(), "nm: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let function = |line: &str| {
        let mut words = line.split(' ');
        let (size, kind, name) = (words.nth(1)?, words.next()?, words.next()?);
        let size = u64::from_str_radix(size, 16).ok()?;
        matches!(kind, "t" | "T" | "w" | "W").then(|| (name.to_owned(), size))
    };
    Ok(text.lines().filter_map(function).collect())
}

/// A function's name without what another build has otherwise: hashes of crates (`Cs…_`) and of the function itself.
fn pattern(name: &str) -> String {
    let name = name.split_once(".llvm.").map_or(name, |(name, _)| name);
    if let Some((path, hash)) = name.rsplit_once("17h")
        && hash.len() == 17
    {
        return format!("{path}17h*E");
    }
    let mut out = String::new();
    let mut rest = name;
    while let Some(at) = rest.find("Cs") {
        let (before, after) = rest.split_at(at + 2);
        out.push_str(before);
        rest = match after.split_once('_') {
            Some((hash, rest)) if !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                out.push_str("*_");
                rest
            }
            _ => after,
        };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_changes_with_each_build() {
        for (name, wanted) in [
            ("_ZN9hybrid_ai6course5drive17h0123456789abcdefE", "_ZN9hybrid_ai6course5drive17h*E"),
            ("_ZN4core3ptr4drop17h0123456789abcdefE.llvm.123", "_ZN4core3ptr4drop17h*E"),
            ("_RNvNvNtCslNYArtu3iFV_5alloc3fmt6format", "_RNvNvNtCs*_5alloc3fmt6format"),
            ("_RNvCsa_4coreCsb_3std", "_RNvCs*_4coreCs*_3std"),
            ("mi_free", "mi_free"),
        ] {
            assert_eq!(pattern(name), wanted);
        }
    }
}
