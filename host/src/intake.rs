//! What a file must be before it is linked: within its limits, trusted, sanely shaped, compiled.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use wasmtime::Engine;

use crate::compile::{Compiler, Failed};
use crate::component::{self, Loaded};
use crate::config::Config;
use crate::payload::{Inside, Payload};
use crate::stats::Ledger;
use crate::{shape, trust};

/// Where files become components. Lives as long as the process.
pub struct Intake {
    pub compiler: Compiler,
    pub ledger: Arc<Ledger>,
}

/// Which check a change did not pass, and why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{check}: {reason}")]
pub struct Refused {
    pub check: Check,
    pub reason: String,
}

/// The checks, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    Name,
    Size,
    Trust,
    Shape,
    Compile,
    Link,
    Start,
    Smoke,
    /// Who else needs it.
    Importers,
    /// Something newer came, or there is nothing to do it to.
    State,
    /// Ours: no disk, no process.
    Host,
}

impl Check {
    pub fn name(self) -> &'static str {
        match self {
            Check::Name => "name",
            Check::Size => "size",
            Check::Trust => "trust",
            Check::Shape => "shape",
            Check::Compile => "compile",
            Check::Link => "link",
            Check::Start => "start",
            Check::Smoke => "smoke",
            Check::Importers => "importers",
            Check::State => "state",
            Check::Host => "host",
        }
    }

    /// Whether the same bytes would be refused again, whatever else is in service.
    pub fn is_about_the_bytes(self) -> bool {
        matches!(self, Check::Size | Check::Trust | Check::Shape | Check::Compile | Check::Start | Check::Smoke)
    }

    #[expect(clippy::needless_pass_by_value, reason = "an error ends here")]
    pub fn refuses(self, reason: impl ToString) -> Refused {
        Refused { check: self, reason: reason.to_string() }
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Intake {
    /// A file of the folder, with the signature that lies beside it.
    pub fn file(&self, engine: &Engine, config: &Config, name: &str, file: &Path) -> Result<Arc<Loaded>> {
        let bytes = read(file, config)?;
        let signature = trust::beside(file);
        let sha256 = component::sha256(&bytes);
        let loaded = self.admit(engine, config, name, &bytes, &sha256, signature.as_deref());
        loaded.with_context(|| format!("`{name}` was refused"))
    }

    /// What is inside this program, which is as trusted as the program.
    pub fn inside(&self, engine: &Engine, config: &Config, payload: &Payload, inside: &Inside) -> Result<Arc<Loaded>> {
        let name = &inside.name;
        let code = match payload.code(engine, inside) {
            Ok(code) => code,
            Err(error) => {
                // There is no log yet.
                eprintln!("compiling `{name}`, since what the program brings does not run here: {error:#}");
                let bytes = payload.wasm(inside).context("reading this program")?;
                let compiled = self.compiler.code(engine, &config.limits, name, &bytes, &inside.sha256);
                compiled.with_context(|| format!("compiling `{name}`"))?
            }
        };
        let stats = self.ledger.open(name);
        Ok(Loaded::new(engine, name, inside.size_bytes(), &inside.sha256, code, stats))
    }

    /// Bytes become a component, or do not.
    pub fn admit(
        &self,
        engine: &Engine,
        config: &Config,
        name: &str,
        bytes: &[u8],
        sha256: &str,
        signature: Option<&str>,
    ) -> Result<Arc<Loaded>, Refused> {
        let limits = &config.limits;
        if bytes.len() as u64 > limits.component_bytes {
            let reason =
                format!("{} bytes, more than `limits.component_bytes`, {}", bytes.len(), limits.component_bytes);
            return Err(Check::Size.refuses(reason));
        }
        config.trust.check(bytes, sha256, signature).map_err(|error| Check::Trust.refuses(error))?;
        let memory = config.limits_of(name).memory_bytes;
        shape::check(bytes, memory as u64).map_err(|error| Check::Shape.refuses(error))?;
        let code = self.compiler.code(engine, limits, name, bytes, sha256).map_err(|failed| match failed {
            Failed::Broken(error) => Check::Host.refuses(format!("{error:#}")),
            failed => Check::Compile.refuses(failed),
        })?;
        Ok(Loaded::new(engine, name, bytes.len() as u64, sha256, code, self.ledger.open(name)))
    }
}

/// The bytes of a file, unless it is too large to be looked at.
pub fn read(file: &Path, config: &Config) -> Result<Vec<u8>> {
    let limit = config.limits.component_bytes;
    let size = file.metadata().with_context(|| format!("reading {}", file.display()))?.len();
    if size > limit {
        anyhow::bail!("{} has {size} bytes, more than `limits.component_bytes`, {limit}", file.display());
    }
    std::fs::read(file).with_context(|| format!("reading {}", file.display()))
}
