//! The command line: what to serve, or what to ask of a host that serves.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use lexopt::prelude::*;
use serde_json::Value as Json;
use tokio::net::TcpStream;

use crate::admin;
use crate::compile::Task;
use crate::config::{Config, Overrides};
use crate::oci::{Pulled, Source};
use crate::pack::Pack;
use crate::trust;

pub const HELP: &str = "\
hybrid-ai: many AI models behind one HTTP API, every capability a replaceable WebAssembly component

usage: hybrid-ai [serve] [--listen ADDR] [--components DIR] [--config FILE]
       hybrid-ai serve FILE.wasm [--listen ADDR]
       hybrid-ai component list
       hybrid-ai component swap NAME FILE|oci://HOST/REPOSITORY:TAG|layout:DIR[:TAG]
                                [--canary PERCENT [--promote-after N]] [--fleet]
       hybrid-ai component rollback NAME [--fleet]
       hybrid-ai component promote|abandon|remove NAME
       hybrid-ai key create|list|revoke ...   (hybrid-ai key --help)
       hybrid-ai health

  --listen ADDR      address and port, 127.0.0.1:3000 by default; port 0 picks one
  --components DIR   the components to serve; a changed file is put into service at once. Without it those inside the
                     program, where it has any, with what was swapped in before in their place
  --config FILE      settings; hybrid.toml in the current directory when it is there
  FILE.wasm          one stock wasi:http component (WASI 0.2 or 0.3), served alone
  health             asks the platform that listens where this configuration says, and fails unless it is healthy
  component list     what the host that runs here serves, and how that does
  component swap     puts a file into service as NAME (its signature FILE.minisig goes with it), or says why not;
                     with --canary for a share of the clients, until it is promoted, abandoned or has done N good requests;
                     in place of a file, what a registry of OCI images has, or a folder with the layout of one
  component rollback the version before serves again
    --fleet          on every host of the fleet, each through its own checks; a canary is counted on all of them
  component promote  the version on trial serves everybody; abandon: nobody
  component remove   takes a component out of service, where no other needs it
    --admin ADDR     its admin address; as in the configuration, 127.0.0.1:3001 by default
    --json           the admin address's own words
  --help, --version

Environment: HF_API_KEY (else HF_TOKEN), HF_BASE_URL, HF_HUB_URL, ALLOWED_ORIGINS, LOG_LEVEL, PORT, HYBRID_DATA_DIR,
HYBRID_ADMIN_TOKEN, HYBRID_REGISTRY_AUTH, HYBRID_STORE, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_TRACES_HEADERS, OTEL_SERVICE_NAME, OTEL_TRACES_EXPORTER, OTEL_SDK_DISABLED.
A secret may also be in a file that NAME_FILE names.
";

/// The command line, parsed.
pub enum Command {
    Serve(Serve),
    Component(Ask),
    Compile(Task),
    Pack(Pack),
    /// Whether the platform of this configuration answers.
    Health(Overrides),
    /// Help or version, already printed.
    Nothing,
}

#[derive(Default)]
pub struct Serve {
    pub overrides: Overrides,
    pub components: Option<PathBuf>,
    pub alone: Option<PathBuf>,
}

/// Something asked of a running host.
pub struct Ask {
    overrides: Overrides,
    admin: Option<String>,
    json: bool,
    canary: Option<String>,
    promote_after: Option<u64>,
    fleet: bool,
    words: Vec<String>,
}

impl Command {
    pub fn parse() -> Result<Self> {
        let mut serve = Serve::default();
        let mut words: Vec<std::ffi::OsString> = Vec::new();
        let (mut admin, mut json, mut canary, mut promote_after, mut fleet) = (None, false, None, None, false);
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("listen") => serve.overrides.listen = Some(parser.value()?.parse()?),
                Long("components") => serve.components = Some(parser.value()?.into()),
                Long("config") => serve.overrides.file = Some(parser.value()?.into()),
                Long("admin") => admin = Some(parser.value()?.parse()?),
                Long("json") => json = true,
                Long("fleet") => fleet = true,
                Long("canary") => canary = Some(parser.value()?.parse::<String>()?),
                Long("promote-after") => promote_after = Some(parser.value()?.parse()?),
                Long("help") | Short('h') => {
                    print!("{HELP}");
                    return Ok(Self::Nothing);
                }
                Long("version") | Short('V') => {
                    println!("hybrid-ai {}", env!("CARGO_PKG_VERSION"));
                    return Ok(Self::Nothing);
                }
                Value(word) => words.push(word),
                other => return Err(other.unexpected().into()),
            }
        }
        if serve.overrides.file.is_none() && Path::new("hybrid.toml").is_file() {
            serve.overrides.file = Some("hybrid.toml".into());
        }
        let mut words = words.into_iter();
        let first = words.next();
        match first.as_ref().and_then(|word| word.to_str()) {
            None if first.is_none() => Ok(Self::Serve(serve)),
            Some("serve") => {
                serve.alone = words.next().map(PathBuf::from);
                match words.next() {
                    None => Ok(Self::Serve(serve)),
                    Some(word) => bail!("`serve` takes one file: `{}` is one more", word.to_string_lossy()),
                }
            }
            Some("health") => Ok(Self::Health(serve.overrides)),
            // What the host starts for itself (`compile.rs`).
            Some("compile") => Ok(Self::Compile(Task::parse(words)?)),
            // What `cargo xtask dist` starts (`pack.rs`).
            Some("pack") => Ok(Self::Pack(Pack::parse(words)?)),
            Some("component") => {
                let words = words.map(|word| word.to_string_lossy().into_owned()).collect();
                Ok(Self::Component(Ask {
                    overrides: serve.overrides,
                    admin,
                    json,
                    canary,
                    promote_after,
                    fleet,
                    words,
                }))
            }
            _ => bail!("unknown command `{}`: see `hybrid-ai --help`", first.unwrap_or_default().to_string_lossy()),
        }
    }
}

/// Asks a running host, and prints what it answers.
pub fn component(ask: &Ask) -> Result<()> {
    let config = Config::load(&ask.overrides, |name| std::env::var(name).ok())?;
    let words: Vec<&str> = ask.words.iter().map(String::as_str).collect();
    let door = Door {
        address: match (&ask.admin, config.admin.listen) {
            (Some(address), _) => address.clone(),
            (None, Some(address)) => address.to_string(),
            (None, None) => bail!("`admin.listen` is off: name an address with `--admin ADDR`"),
        },
        token: config.admin.token.clone(),
    };
    match words.as_slice() {
        ["swap", name, file] => {
            let Pulled { bytes, signature } = bytes_of(file, &config)?;
            let mut terms = Vec::new();
            if let Some(share) = &ask.canary {
                terms.push(format!("canary={}", share.trim_end_matches('%')));
            }
            if let Some(count) = ask.promote_after {
                terms.push(format!("promote_after={count}"));
            }
            if ask.fleet {
                terms.push("fleet".to_owned());
            }
            let path = format!("/components/{name}?{}", terms.join("&"));
            let answer = door.call(Method::PUT, &path, bytes, signature.as_deref())?;
            print(ask, &answer);
            Ok(())
        }
        [verb @ ("rollback" | "promote" | "abandon"), name] => {
            let for_all = if ask.fleet && *verb == "rollback" { "?fleet" } else { "" };
            let answer = door.call(Method::POST, &format!("/components/{name}/{verb}{for_all}"), Bytes::new(), None)?;
            print(ask, &answer);
            Ok(())
        }
        ["remove", name] => {
            let answer = door.call(Method::DELETE, &format!("/components/{name}"), Bytes::new(), None)?;
            print(ask, &answer);
            Ok(())
        }
        ["list"] => {
            let answer = door.call(Method::GET, "/components", Bytes::new(), None)?;
            if ask.json {
                println!("{answer:#}");
            } else {
                print!("{}", table(&answer));
            }
            Ok(())
        }
        _ => bail!("unknown command `component {}`: see `hybrid-ai --help`", words.join(" ")),
    }
}

/// A component from where the command line says: a file, with the signature beside it, a folder of images, a registry.
fn bytes_of(place: &str, config: &Config) -> Result<Pulled> {
    let Some(source) = Source::parse(place, config)? else {
        let file = Path::new(place);
        let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        return Ok(Pulled { bytes: bytes.into(), signature: trust::beside(file) });
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let pulled = runtime.block_on(source.pull(config.limits.component_bytes));
    pulled.with_context(|| format!("getting {place}"))
}

/// How a change ended, as a sentence.
fn print(ask: &Ask, answer: &Json) {
    if ask.json {
        println!("{answer:#}");
        return;
    }
    let text = |key: &str| answer[key].as_str().unwrap_or("-");
    let before = answer["before"].as_str().map(|before| format!(" (before: {before})")).unwrap_or_default();
    let took = answer["duration_ms"].as_f64().unwrap_or_default();
    println!("{}: {} {}{before} in {took:.1} ms", text("component"), text("state"), text("version"));
    for note in answer["notes"].as_array().into_iter().flatten().filter_map(|note| note.as_str()) {
        println!("  {note}");
    }
}

/// The way to a host's admin address.
pub struct Door {
    pub address: String,
    pub token: Option<String>,
}

impl Door {
    fn call(&self, method: Method, path: &str, body: Bytes, signature: Option<&str>) -> Result<Json> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.ask(method, path, body, signature))
    }

    /// The answer, or the host's reason for none.
    pub async fn ask(&self, method: Method, path: &str, body: Bytes, signature: Option<&str>) -> Result<Json> {
        let (status, answer) = self.send(method, path, body, signature).await?;
        if status.is_success() {
            return Ok(answer);
        }
        bail!("{}", answer["message"].as_str().unwrap_or(status.as_str()))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        signature: Option<&str>,
    ) -> Result<(StatusCode, Json)> {
        let address = &self.address;
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("no host answers on its admin address {address}: name it with `--admin ADDR`"))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, address);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(signature) = signature {
            request = request.header(admin::SIGNATURE, admin::base64(signature.as_bytes()));
        }
        let talk = async {
            let response = sender.send_request(request.body(Full::new(body))?).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            anyhow::Ok((status, body))
        };
        let answered = tokio::select! {
            answered = talk => answered,
            ended = connection => {
                ended?;
                bail!("the host closed the connection");
            }
        };
        let (status, body) = answered.with_context(|| format!("asking {address}"))?;
        let answer = serde_json::from_slice(&body).with_context(|| format!("{address} is no admin address"))?;
        Ok((status, answer))
    }
}

/// The components as columns.
fn table(answer: &Json) -> String {
    let mut rows = vec![
        ["NAME", "VERSION", "STATE", "SIZE", "REQUESTS", "TRAPS", "P50", "P99", "MEMORY", "UP"].map(str::to_owned),
    ];
    for component in answer["components"].as_array().into_iter().flatten() {
        let text = |key: &str| component[key].as_str().unwrap_or("-").to_owned();
        let millis = |key: &str| component[key].as_f64().map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
        let digest = text("sha256");
        rows.push([
            text("name"),
            digest.get(..12).unwrap_or(&digest).to_owned(),
            text("state"),
            bytes(component["size_bytes"].as_u64()),
            component["requests"].to_string(),
            component["traps"].to_string(),
            millis("p50_ms"),
            millis("p99_ms"),
            bytes(component["memory_bytes"].as_u64()),
            span(component["since_seconds"].as_u64().unwrap_or_default()),
        ]);
    }
    let widths: Vec<usize> =
        (0..rows[0].len()).map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            // Words to the left, numbers to the right.
            .map(
                |(column, (cell, width))| {
                    if column < 3 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn bytes(count: Option<u64>) -> String {
    match count {
        None | Some(0) => "-".to_owned(),
        Some(count) if count < 1 << 20 => format!("{} KB", count.div_ceil(1024)),
        Some(count) => format!("{:.1} MB", count as f64 / f64::from(1 << 20)),
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_lines_up() {
        let answer = json!({"components": [
            {"name": "a", "sha256": "0123456789abcdef", "state": "serving", "size_bytes": 2048, "requests": 12,
             "traps": 0, "p50_ms": 1.25, "p99_ms": null, "memory_bytes": 1_572_864, "since_seconds": 61},
            {"name": "longer", "sha256": "fedcba9876543210", "state": "draining", "size_bytes": 1, "requests": 0,
             "traps": 0, "p50_ms": null, "p99_ms": null, "memory_bytes": 0, "since_seconds": 5},
        ]});
        let table = table(&answer);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[1].starts_with("a       0123456789ab  serving "), "{table}");
        assert!(lines[1].ends_with("1.2 ms    -  1.5 MB  1 min"), "{table}");
        assert_eq!(lines.len(), 3);
    }
}
