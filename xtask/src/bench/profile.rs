//! `profile`: writes `host/profile/requests.profdata`, by which the compiler lays the host out.
//!
//! The host is built with counters in it, serves what people mostly ask for, with keys and without, whole and streamed, and
//! tells how often each of its branches was taken. What it does besides (compiling components, for one) is left out:
//! it would take the place next to each other of what every request runs through.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::BodyExt as _;

use super::load::{self, Load, Way};
use super::{made_key, server::Server};
use crate::process::{cargo, run as run_program};
use crate::{components, tree};

/// Connections, seconds and how the answers are asked for.
const CHATS: [(usize, f64, Way); 4] =
    [(1, 5.0, Way::Whole), (16, 8.0, Way::Whole), (64, 5.0, Way::Whole), (16, 3.0, Way::Stream)];
/// What else is asked, each so many times, one after the other.
const OTHERS: [(&str, &str); 5] = [
    (
        "/v1/chat/completions",
        r#"{"model":"meta-llama/Llama-3.1-8B-Instruct","messages":[{"role":"user","content":"Hello"}]}"#,
    ),
    ("/embedding", r#"{"text":"A sentence to be found again"}"#),
    ("/v1/embeddings", r#"{"model":"local/all-MiniLM-L6-v2","input":["one","another"]}"#),
    ("/tts", r#"{"text":"Hello"}"#),
    ("/image", r#"{"prompt":"a house","width":64,"height":64}"#),
];
const TIMES: usize = 1000;
/// Functions of which nothing ran so often are left out: there are three times as many, and the compiler knows them for rare.
const FEW: u64 = 1000;

pub fn run() -> anyhow::Result<()> {
    let tool = profdata()?;
    let folder = tree::target().join("profile");
    // What is counted where nobody asks goes here, and is not looked at.
    let rest = folder.join("rest");
    let counted = folder.join("requests");
    let _ = fs::remove_dir_all(&counted);
    let mut build = cargo();
    build.args(["build", "--release", "-p", "hybrid-ai", "--target-dir"]).arg(&folder);
    run_program(build.env("HYBRID_PROFILE_INTO", &rest))?;
    components::build(&[])?;
    let files = serve(&folder.join("release/hybrid-ai"), &folder, &counted)?;

    let text = folder.join("requests.proftext");
    run_program(Command::new(&tool).args(["merge", "--text", "--sparse", "-o"]).arg(&text).args(&files))?;
    let (kept, count) = frequent(&tree::read(&text)?)?;
    fs::write(&text, kept)?;
    let profile = file();
    run_program(Command::new(&tool).args(["merge", "-o"]).arg(&profile).arg(&text))?;
    let kilobytes = fs::metadata(&profile)?.len() / 1000;
    println!("{}: {count} functions, {kilobytes} KB", profile.display());
    println!("Cargo does not see that it changed: `cargo clean` before the next build");
    Ok(())
}

fn file() -> PathBuf {
    tree::root().join("host/profile/requests.profdata")
}

/// Says so where the profile knows no function of this program's own any more: what names are made of has changed.
pub(super) fn note(program: &Path) -> anyhow::Result<()> {
    let profile = fs::read(file())?;
    let known = String::from_utf8_lossy(&profile);
    let output = Command::new("nm").arg("--defined-only").arg(program).output().context("starting `nm`")?;
    let names = String::from_utf8_lossy(&output.stdout);
    let ours = names.lines().filter_map(|line| line.split(' ').nth(2)).filter(|name| name.starts_with("_ZN9hybrid_ai"));
    let mut ours = ours.map(|name| name.split_once(".llvm.").map_or(name, |(name, _)| name));
    if !ours.any(|name| known.contains(name)) {
        println!("note: {} does not know this build: `cargo xtask profile` writes it anew", file().display());
    }
    Ok(())
}

/// The toolchain's own, which alone is sure to know its profiles.
fn profdata() -> anyhow::Result<PathBuf> {
    let said = |arguments: &[&str]| -> anyhow::Result<String> {
        let output =
            Command::new("rustc").args(arguments).current_dir(tree::root()).output().context("starting rustc")?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let version = said(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names its host")?;
    let tool = PathBuf::from(said(&["--print", "sysroot"])?).join("lib/rustlib").join(host).join("bin/llvm-profdata");
    ensure!(tool.is_file(), "{} is missing: `rustup component add llvm-tools`", tool.display());
    Ok(tool)
}

/// Has the host serve, and gives the files in which it counted.
fn serve(host: &Path, folder: &Path, counted: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let ourselves = std::env::current_exe()?;
    let data = folder.join("data");
    let key = made_key(host, &data)?;
    let standin = Server::start("stand-in", &ourselves, &["standin", "--zero-latency"], &[])?;
    let upstream = format!("http://{}", standin.address);
    let data = data.to_string_lossy();
    let open = [("HF_BASE_URL", upstream.as_str()), ("HF_API_KEY", "hf_profile")];
    let closed = [open[0], open[1], ("HYBRID_DATA_DIR", data.as_ref()), ("HYBRID_STORE", "file")];
    let components = tree::target().join("components");
    let components = components.to_string_lossy();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--components", &components];
    let start = |environment: &[(&str, &str)]| Server::start("our host", host, &arguments, environment);
    let mut files = Vec::new();
    for (number, environment) in [&open[..], &closed[..]].into_iter().enumerate() {
        // The first start compiles.
        start(environment)?.end()?;
        let file = counted.join(format!("{number}.profraw"));
        let path = file.to_string_lossy();
        let environment: Vec<_> = environment.iter().copied().chain([("LLVM_PROFILE_FILE", path.as_ref())]).collect();
        let server = start(&environment)?;
        for (connections, seconds, way) in CHATS {
            let load = Load::run(&server.address, &key, connections, seconds, way)?;
            eprintln!("{} chats on {connections} connections, {way:?}", load.requests);
        }
        others(&server.address, &key)?;
        server.end()?;
        files.push(file);
    }
    Ok(files)
}

fn others(address: &str, key: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for (path, body) in OTHERS {
            let mut sender = load::connect(address).await?;
            for _ in 0..TIMES {
                let request = load::request(path, address, key, Bytes::from_static(body.as_bytes()))?;
                sender.ready().await?;
                let answer = sender.send_request(request).await?;
                let status = answer.status();
                let body = answer.into_body().collect().await?.to_bytes();
                ensure!(status.is_success(), "{path}: {status}, {}", String::from_utf8_lossy(&body));
            }
        }
        Ok(())
    })
}

/// Of a profile as text, the functions that ran often, and how many those are.
fn frequent(profile: &str) -> anyhow::Result<(String, usize)> {
    const HEAD: &str = ":ir\n";
    let (head, functions) = profile.split_once(HEAD).context("a profile's head")?;
    let often = |function: &&str| {
        let counts = function.split_once("# Counter Values:\n").map_or("", |(_, counts)| counts);
        counts.lines().any(|count| count.parse::<u64>().is_ok_and(|count| count >= FEW))
    };
    let kept: Vec<&str> = functions.split("\n\n").filter(often).collect();
    ensure!(kept.len() > 100, "only {} functions were counted", kept.len());
    Ok((format!("{head}{HEAD}{}\n\n", kept.join("\n\n")), kept.len()))
}
