//! What others have written that is in what we deliver: the crates in the host and in the components, and the packages in
//! the app.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::process::cargo;
use crate::tree;

/// A crate or a package of somebody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// As SPDX writes it, where the package says so.
    pub licence: Option<String>,
    /// `cargo` or `npm`.
    pub kind: &'static str,
    /// Where it comes from: none for our own.
    pub source: Option<String>,
    /// SHA-256 of a crate's archive, in hex.
    pub checksum: Option<String>,
    /// Its address among all of the world's packages.
    pub purl: String,
    /// The addresses of what it is built on.
    pub needs: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Crate>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Crate {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    license_file: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// The crates that are in the host or in a component, on Linux or in Wasm: what only tests and build scripts need is not
/// among them.
pub fn crates() -> anyhow::Result<Vec<Package>> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"]);
    command.args(["--filter-platform", source_tree::WASM]);
    let output = command.output().context("asking cargo for the packages")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("what cargo says of the packages")?;
    let by_id: BTreeMap<&str, &Crate> = metadata.packages.iter().map(|one| (one.id.as_str(), one)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut roots = vec!["hybrid-ai".to_owned()];
    roots.extend(tree::guests()?.into_iter().map(|guest| guest.package));
    let ours = |one: &&Crate| one.source.is_none() && roots.contains(&one.name);
    let mut waiting: VecDeque<&str> = metadata.packages.iter().filter(ours).map(|one| one.id.as_str()).collect();
    ensure!(waiting.len() == roots.len(), "not all of our packages are known to cargo");
    let mut seen: BTreeSet<&str> = waiting.iter().copied().collect();
    let checksums = checksums()?;
    let mut found = Vec::new();
    while let Some(id) = waiting.pop_front() {
        let (one, node) = (by_id[id], nodes[id]);
        let mut needs = Vec::new();
        let built_in = |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
        for dependency in node.deps.iter().filter(built_in) {
            let other = by_id[dependency.pkg.as_str()];
            needs.push(purl("cargo", &other.name, &other.version));
            if seen.insert(&dependency.pkg) {
                waiting.push_back(&dependency.pkg);
            }
        }
        needs.sort();
        needs.dedup();
        let said = one.license_file.as_ref().map(|_| "LicenseRef-file".to_owned());
        found.push(Package {
            name: one.name.clone(),
            version: one.version.clone(),
            // Before SPDX had words for it, a slash was written.
            licence: one.license.as_ref().map(|text| text.replace('/', " OR ")).or(said),
            kind: "cargo",
            source: one.source.clone(),
            checksum: checksums.get(&(one.name.clone(), one.version.clone())).cloned(),
            purl: purl("cargo", &one.name, &one.version),
            needs,
        });
    }
    found.sort_by(|one, other| one.purl.cmp(&other.purl));
    Ok(found)
}

/// The packages that are in the app: what is there for its development only is left out.
pub fn app() -> anyhow::Result<Vec<Package>> {
    let lock: Value = serde_json::from_str(&tree::read(&crate::app::folder().join("package-lock.json"))?)?;
    let packages = lock["packages"].as_object().context("a lock file of npm")?;
    let mut found: BTreeMap<String, Package> = BTreeMap::new();
    for (path, about) in packages {
        let Some((_, name)) = path.rsplit_once("node_modules/") else { continue };
        if about["dev"].as_bool() == Some(true) || about["optional"].as_bool() == Some(true) {
            continue;
        }
        let version = about["version"].as_str().context("a package without a version")?;
        let purl = purl("npm", &name.replacen('@', "%40", 1), version);
        let package = Package {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: about["license"].as_str().map(ToOwned::to_owned),
            kind: "npm",
            source: about["resolved"].as_str().map(ToOwned::to_owned),
            checksum: None,
            purl: purl.clone(),
            needs: Vec::new(),
        };
        found.insert(purl, package);
    }
    Ok(found.into_values().collect())
}

fn purl(kind: &str, name: &str, version: &str) -> String {
    format!("pkg:{kind}/{name}@{}", version.replace('+', "%2B"))
}

/// What Cargo.lock says of each crate's archive.
fn checksums() -> anyhow::Result<BTreeMap<(String, String), String>> {
    let lock: toml::Table = tree::read(&tree::root().join("Cargo.lock"))?.parse()?;
    let packages = lock["package"].as_array().context("a lock file of cargo")?;
    let text = |package: &toml::Value, key: &str| package.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    let of = |package| Some(((text(package, "name")?, text(package, "version")?), text(package, "checksum")?));
    Ok(packages.iter().filter_map(of).collect())
}
