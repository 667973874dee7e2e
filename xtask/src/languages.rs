//! `languages`: the components of `docs/examples`, in languages that are not Rust, built by their own tools and served by
//! our host. It downloads those tools (some hundred megabytes), so it is no part of `test`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::bench::server::Server;
use crate::process::{cargo, program, run};
use crate::tree;

/// What is installed, in the versions that `docs/components.md` names.
pub const PYTHON: &str = "componentize-py==0.25.1";
pub const JAVASCRIPT: &str = "@bytecodealliance/componentize-js@0.23.0";
/// The engine of componentize-js is made for this version of WASI's interfaces, and for no other.
const JAVASCRIPT_WASI: &str = "0.2.10";

pub fn run_all() -> anyhow::Result<()> {
    run(cargo().args(["build", "--release", "-p", "hybrid-ai"]))?;
    let folder = tree::target().join("languages");
    fs::create_dir_all(&folder)?;
    let python = python(&folder)?;
    serve(&python, &[("GET", "/a", "", "path", "/a"), ("GET", "/b?c", "", "path", "/b?c")])?;
    let javascript = javascript(&folder)?;
    let calls = [("GET", "/a", "", "path", "/a"), ("POST", "/b", r#""back""#, "echo", "back")];
    serve(&javascript, &calls)
}

fn python(folder: &Path) -> anyhow::Result<PathBuf> {
    let place = folder.join("python");
    let tool = place.join("bin/componentize-py");
    if !tool.is_file() {
        run(program("python3").args(["-m", "venv"]).arg(&place))?;
        run(program(&place.join("bin/python").to_string_lossy()).args(["-m", "pip", "install", "--quiet", PYTHON]))?;
    }
    let wit = wit(folder, "python-wit", None)?;
    let output = folder.join("python.wasm");
    let mut building = program(&tool.to_string_lossy());
    building.arg("--wit-path").arg(wit).args(["--world", "hello", "componentize", "app", "--output"]).arg(&output);
    run(building.current_dir(examples()))?;
    let _ = fs::remove_dir_all(examples().join("__pycache__"));
    Ok(output)
}

fn javascript(folder: &Path) -> anyhow::Result<PathBuf> {
    let place = folder.join("javascript");
    fs::create_dir_all(&place)?;
    if !place.join("node_modules/@bytecodealliance/componentize-js").is_dir() {
        fs::write(place.join("package.json"), r#"{ "private": true, "type": "module" }"#)?;
        run(program("npm").args(["install", "--no-audit", "--no-fund", JAVASCRIPT]).current_dir(&place))?;
    }
    let wit = wit(folder, "javascript-wit", Some(JAVASCRIPT_WASI))?;
    let output = folder.join("javascript.wasm");
    let script = place.join("build.js");
    fs::write(&script, BUILD)?;
    let source = examples().join("hello.js");
    run(program("node").arg(script).args([&source, &wit, &output]).current_dir(&place))?;
    Ok(output)
}

const BUILD: &str = r#"import { readFile, writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";
const [source, witPath, output] = process.argv.slice(2);
const { component } = await componentize(await readFile(source, "utf8"), { witPath, worldName: "hello" });
await writeFile(output, component);
"#;

fn examples() -> PathBuf {
    tree::root().join("docs/examples")
}

/// The interfaces of WASI 0.2 as wasmtime has them, and a world that answers HTTP; under another version where a tool
/// wants that.
fn wit(folder: &Path, name: &str, version: Option<&str>) -> anyhow::Result<PathBuf> {
    let output = cargo().args(["metadata", "--format-version", "1", "--locked"]).output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("what cargo says of the packages")?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let ours = packages.iter().find(|package| package["name"] == "wasmtime-wasi-http").context("wasmtime-wasi-http")?;
    let manifest = Path::new(ours["manifest_path"].as_str().context("a path")?);
    let source = manifest.with_file_name("wit").join("deps");
    let place = folder.join(name);
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(place.join("deps"))?;
    let http = tree::read(&source.join("http.wit"))?;
    let theirs = http.split_once("package wasi:http@").and_then(|(_, rest)| rest.split_once(';'));
    let theirs = theirs.context("the version of wasi:http")?.0.to_owned();
    let version = version.unwrap_or(&theirs);
    for entry in source.read_dir().with_context(|| format!("reading {}", source.display()))? {
        let path = entry?.path();
        let text = tree::read(&path)?.replace(&theirs, version);
        fs::write(place.join("deps").join(path.file_name().context("a name")?), text)?;
    }
    let world = format!("package example:hello;\nworld hello {{\n  export wasi:http/incoming-handler@{version};\n}}\n");
    fs::write(place.join("world.wit"), world)?;
    Ok(place)
}

/// Serves a component, and asks for these paths what must be answered in a field.
fn serve(component: &Path, calls: &[(&str, &str, &str, &str, &str)]) -> anyhow::Result<()> {
    let host = tree::target().join("release/hybrid-ai");
    let component_path = component.to_string_lossy();
    let arguments = ["serve", &component_path, "--listen", "127.0.0.1:0"];
    let server = Server::start("our host", &host, &arguments, &[("LOG_LEVEL", "warn")])?;
    // Twice each: the second time by what the first left behind.
    for (method, path, body, field, wanted) in calls.iter().chain(calls) {
        let mut stream = TcpStream::connect(&server.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        write!(stream, "{method} {path} HTTP/1.0\r\nhost: {}\r\ncontent-type: application/json\r\n", server.address)?;
        write!(stream, "content-length: {}\r\n\r\n{body}", body.len())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, text) = answer.split_once("\r\n\r\n").context("a head")?;
        ensure!(head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"), "{answer}");
        let answer: Value = serde_json::from_str(text)?;
        ensure!(answer[field].as_str() == Some(*wanted), "{answer}");
    }
    let size = fs::metadata(component)?.len() / 1_000_000;
    println!("{} ({size} MB) answers", component.file_name().unwrap_or_default().to_string_lossy());
    Ok(())
}
