//! One `.wasm` file, hashed, compiled and looked at.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

/// A component may carry a model of some hundred megabytes; a larger file is a mistake.
const MAX_FILE_BYTES: u64 = 512 * 1024 * 1024;

/// One version of one component. Lives as long as the newest snapshot that holds it.
pub struct Loaded {
    pub name: String,
    /// Of the file's bytes, in hex.
    pub sha256: String,
    /// `name@first-12-of-sha256`, as answers name it.
    pub label: String,
    pub size_bytes: u64,
    pub code: Component,
    pub imports: Vec<Interface>,
    pub exports: Vec<Interface>,
}

/// An interface as a component imports or exports it.
pub struct Interface {
    /// With its version: `a:b/c@0.1.0`.
    pub name: String,
    pub functions: Vec<Function>,
}

pub struct Function {
    pub name: String,
    pub is_async: bool,
    ty: ComponentFunc,
    /// Where to find it in an instance; exports only.
    pub index: Option<ComponentExportIndex>,
}

impl Function {
    /// Whether a call written for `self` can be answered by `other`: the same parameters and results, structurally.
    pub fn fits(&self, other: &Function) -> bool {
        self.is_async == other.is_async
            && self.ty.params().map(|(_, ty)| ty).eq(other.ty.params().map(|(_, ty)| ty))
            && self.ty.results().eq(other.ty.results())
    }
}

impl Interface {
    /// Functions or nothing: an interface of types alone needs no provider.
    pub fn is_types_only(&self) -> bool {
        self.functions.is_empty()
    }
}

impl Loaded {
    /// Whether this was made from these bytes.
    pub fn is(&self, bytes: &[u8]) -> bool {
        bytes.len() as u64 == self.size_bytes && hex(&Sha256::digest(bytes)) == self.sha256
    }

    /// Reads and compiles a file, or takes the compiled code from `cache`, where an earlier start left it.
    pub fn read(engine: &Engine, name: &str, file: &Path, cache: &Path) -> Result<Arc<Self>> {
        let size = file.metadata().with_context(|| format!("reading {}", file.display()))?.len();
        if size > MAX_FILE_BYTES {
            bail!("{} is larger than {MAX_FILE_BYTES} bytes", file.display());
        }
        let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        Self::from_bytes(engine, name, &bytes, cache)
    }

    pub fn from_bytes(engine: &Engine, name: &str, bytes: &[u8], cache: &Path) -> Result<Arc<Self>> {
        let sha256 = hex(&Sha256::digest(bytes));
        let code = compiled(engine, bytes, &sha256, cache).with_context(|| format!("compiling `{name}`"))?;
        let ty = code.component_type();
        let interfaces = |items: &mut dyn Iterator<Item = (String, ComponentItem)>, exported: bool| {
            let mut found = Vec::new();
            for (interface, item) in items {
                let ComponentItem::ComponentInstance(instance) = item else { continue };
                let outer = if exported { code.get_export_index(None, interface.as_str()) } else { None };
                let functions = instance
                    .exports(engine)
                    .filter_map(|(function, item)| match item.ty {
                        ComponentItem::ComponentFunc(ty) => Some(Function {
                            name: function.to_owned(),
                            is_async: ty.async_(),
                            ty,
                            index: outer.and_then(|outer| code.get_export_index(Some(&outer), function)),
                        }),
                        _ => None,
                    })
                    .collect();
                found.push(Interface { name: interface, functions });
            }
            found
        };
        let imports = interfaces(&mut ty.imports(engine).map(|(name, item)| (name.to_owned(), item.ty)), false);
        let exports = interfaces(&mut ty.exports(engine).map(|(name, item)| (name.to_owned(), item.ty)), true);
        Ok(Arc::new(Self {
            name: name.to_owned(),
            label: format!("{name}@{}", &sha256[..12]),
            sha256,
            size_bytes: bytes.len() as u64,
            code,
            imports,
            exports,
        }))
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Compiled code by the hash of its source and of everything about the compiler that matters, so that a stale file is
/// never even looked at.
fn compiled(engine: &Engine, bytes: &[u8], sha256: &str, cache: &Path) -> Result<Component> {
    use std::hash::{Hash as _, Hasher as _};
    let mut compiler = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compiler);
    let file = cache.join(format!("{sha256}-{:016x}.cwasm", compiler.finish()));
    if let Ok(code) = trusted(engine, &file) {
        return Ok(code);
    }
    let serialized = engine.precompile_component(bytes)?;
    // Mapped from the file rather than from memory: pages are shared and loaded as they are touched.
    match keep(&file, &serialized).and_then(|()| trusted(engine, &file)) {
        Ok(code) => Ok(code),
        Err(_) => Ok(Component::new(engine, bytes)?),
    }
}

fn keep(file: &Path, serialized: &[u8]) -> Result<()> {
    let dir = file.parent().context("a cache file lies in a directory")?;
    std::fs::create_dir_all(dir)?;
    let part = dir.join(format!(".{}.{:?}", std::process::id(), std::thread::current().id()).replace(['(', ')'], ""));
    std::fs::write(&part, serialized)?;
    std::fs::rename(&part, file)?;
    Ok(())
}

#[expect(unsafe_code, reason = "compiled code is code: it is loaded from the operator's own directory only")]
fn trusted(engine: &Engine, file: &Path) -> Result<Component> {
    // SAFETY: the file was written by `keep`, in a directory only the operator writes to; wasmtime checks that version
    // and settings of the compiler match.
    Ok(unsafe { Component::deserialize_file(engine, file) }?)
}
