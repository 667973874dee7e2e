//! `hybrid-ai pack`, which `cargo xtask dist` starts: this program once more, with components and the app inside.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::payload::{self, Part};
use crate::{component, registry, store};

/// What is packed, as the command line says it.
#[derive(Debug)]
pub struct Pack {
    /// The program without anything inside.
    program: PathBuf,
    output: PathBuf,
    components: PathBuf,
    /// Where code is kept between two packings.
    kept: PathBuf,
    app: Option<PathBuf>,
}

impl Pack {
    pub fn parse(mut words: impl Iterator<Item = OsString>) -> Result<Self> {
        let mut next = || {
            let usage = "usage: hybrid-ai pack PROGRAM OUTPUT COMPONENTS KEPT [APP]; `cargo xtask dist` starts it";
            words.next().map(PathBuf::from).context(usage)
        };
        Ok(Self { program: next()?, output: next()?, components: next()?, kept: next()?, app: next().ok() })
    }

    pub fn run(&self) -> Result<()> {
        let mut parts = Vec::new();
        for (name, file) in registry::files(&self.components)? {
            let wasm = std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            let sha256 = component::sha256(&wasm);
            let code = self.code(&sha256, &wasm).with_context(|| format!("compiling `{name}`"))?;
            parts.push(Part { name, sha256, wasm, code });
        }
        anyhow::ensure!(!parts.is_empty(), "no .wasm file in {}", self.components.display());
        let mut app = Vec::new();
        if let Some(folder) = &self.app {
            below(folder, "", &mut app).with_context(|| format!("reading {}", folder.display()))?;
        }
        payload::write(&self.program, &parts, &app, &self.output)
    }

    fn code(&self, sha256: &str, wasm: &[u8]) -> Result<Vec<u8>> {
        let engine = store::common_engine()?;
        let file = self.kept.join(format!("{sha256}-{}.cwasm", crate::compile::compatibility(&engine)));
        if let Ok(code) = std::fs::read(&file) {
            return Ok(code);
        }
        let code = engine.precompile_component(wasm)?;
        std::fs::create_dir_all(&self.kept)?;
        let part = file.with_extension("part");
        std::fs::write(&part, &code)?;
        std::fs::rename(&part, &file)?;
        Ok(code)
    }
}

/// Every file below a folder, by its path in it.
fn below(folder: &Path, inside: &str, files: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().context("a file whose name is no text")?;
        let path = if inside.is_empty() { name } else { format!("{inside}/{name}") };
        if entry.file_type()?.is_dir() {
            below(&entry.path(), &path, files)?;
        } else {
            files.push((path, std::fs::read(entry.path())?));
        }
    }
    Ok(())
}
