//! What a component asks for and what it offers.

use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow};
use wac_graph::types::{Package, Types};

/// The names of a component's imports and exports, versions and all.
#[derive(Debug, Clone)]
pub struct Outline {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

impl Outline {
    pub fn of(path: &Path) -> anyhow::Result<Outline> {
        let mut types = Types::default();
        let package = package(path, "outline", &mut types)?;
        let world = &types[package.ty()];
        Ok(Outline {
            imports: world.imports.keys().cloned().collect(),
            exports: world.exports.keys().cloned().collect(),
        })
    }

    /// Whether an interface of this name, version aside, is imported.
    pub fn asks_for(&self, interface: &str) -> bool {
        self.imports.iter().any(|import| crate::chains::unversioned(import) == interface)
    }
}

/// A built file as wac sees it.
pub fn package(path: &Path, name: &str, types: &mut Types) -> anyhow::Result<Package> {
    let built_by =
        || format!("reading {}; `cargo xtask components` or `cargo xtask compose` builds it", path.display());
    let bytes = fs::read(path).with_context(built_by)?;
    Package::from_bytes(name, None, bytes, types)
        .map_err(|error| anyhow!("{} is not a component: {error:#}", path.display()))
}
