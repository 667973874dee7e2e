//! `compose`: components plugged together, for runtimes that link nothing themselves.
//!
//! `target/composed/NAME.wasm` is a capability with its providers, for `spin.toml`; settings stay an import.
//! `target/composed/spin.wasm` is everything in one, settings and state imported, for `spin.akamai.toml`. And
//! `target/composed/hybrid-ai.wasm` is the same with settings from the environment and state in memory. Components that carry a model's weights are in them with `--models` only: an edge node may have no room for them.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail, ensure};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId};

use crate::chains::{Chains, HANDLER, unversioned};
use crate::components;
use crate::sizes::MODELS;
use crate::tree::{self, Guest};
use crate::wasm::{self, Outline};

/// What stock runtimes lack, and the plug that serves it in their place.
const PLUGS: &[(&str, &str)] = &[
    ("wasi:config/store", "config-env"),
    ("wasi:keyvalue/store", "keyvalue-memory"),
    ("wasi:keyvalue/atomics", "keyvalue-memory"),
];
/// Types alone: there is nothing behind it that anybody could plug in.
const TYPES: &str = "hybrid:types/types";

const WITH_MODELS: &str = "--models";

/// Composes the capabilities named, building what they need, or all of them and everything in one from what is built.
pub fn write(arguments: &[String]) -> anyhow::Result<()> {
    let (flags, names): (Vec<_>, Vec<_>) = arguments.iter().cloned().partition(|argument| argument.starts_with("--"));
    if let Some(unknown) = flags.iter().find(|flag| *flag != WITH_MODELS) {
        bail!("`{unknown}` is not known; there is {WITH_MODELS}");
    }
    let models = !flags.is_empty();
    if names.is_empty() {
        return all(models);
    }
    let mut needed = names.clone();
    needed.extend(chains(models)?.behind().cloned());
    components::build(&needed)?;
    let parts = Parts::of(models, |guest| needed.contains(&guest.name))?;
    for name in &names {
        let offered = parts.outlines[name]
            .exports
            .iter()
            .map(|export| unversioned(export))
            .find(|export| is_plugged(export, false));
        let interface = offered.with_context(|| format!("`{name}` offers no interface of ours"))?;
        parts.write(name, name, interface, false)?;
    }
    Ok(())
}

pub fn all(models: bool) -> anyhow::Result<()> {
    let parts = Parts::of(models, |guest| models || !MODELS.contains(&guest.name.as_str()))?;
    let front = parts.chains.links(HANDLER);
    let last = front.last().context("somebody must answer wasi:http/handler")?;
    for import in &parts.outlines[last].imports {
        let interface = unversioned(import);
        if is_plugged(interface, false) {
            let name = parts.provider(interface, last)?;
            parts.write(name, name, interface, false)?;
        }
    }
    // For Spins that know no middleware: settings and state are the runtime's.
    parts.write("spin", &front[0], HANDLER, false)?;
    parts.write("hybrid-ai", &front[0], HANDLER, true)
}

/// Everything in one, in memory: what `all` writes as `hybrid-ai`.
pub fn everything(models: bool) -> anyhow::Result<Vec<u8>> {
    let parts = Parts::of(models, |guest| models || !MODELS.contains(&guest.name.as_str()))?;
    let front = parts.chains.links(HANDLER).first().context("somebody must answer wasi:http/handler")?;
    parts.composed(front, HANDLER, true)
}

fn chains(models: bool) -> anyhow::Result<Chains> {
    Ok(if models { Chains::read()? } else { Chains::read()?.without(MODELS) })
}

/// Where the composed files are.
pub fn file(name: &str) -> PathBuf {
    tree::target().join("composed").join(format!("{name}.wasm"))
}

fn plug(interface: &str) -> Option<&'static str> {
    PLUGS.iter().find(|(known, _)| *known == interface).map(|(_, plug)| *plug)
}

/// Whether an import is answered by another component, rather than by the runtime.
fn is_plugged(interface: &str, plugs_too: bool) -> bool {
    interface == HANDLER
        || (plug(interface).is_some() && plugs_too)
        || (!interface.starts_with("wasi:") && interface != TYPES)
}

/// The built components, before anything is plugged.
struct Parts {
    chains: Chains,
    files: HashMap<String, PathBuf>,
    outlines: BTreeMap<String, Outline>,
}

impl Parts {
    fn of(models: bool, wanted: impl Fn(&Guest) -> bool) -> anyhow::Result<Parts> {
        let mut parts = Parts { chains: chains(models)?, files: HashMap::new(), outlines: BTreeMap::new() };
        for guest in tree::guests()?.into_iter().filter(wanted) {
            parts.outlines.insert(guest.name.clone(), Outline::of(&guest.file(&tree::root()))?);
            parts.files.insert(guest.name.clone(), guest.file(&tree::root()));
        }
        Ok(parts)
    }

    /// Who answers when `importer` asks for `interface`.
    fn provider(&self, interface: &str, importer: &str) -> anyhow::Result<&str> {
        if !self.chains.links(interface).is_empty() {
            return self.chains.next(interface, importer).with_context(|| {
                format!("`{importer}` is the end of the chain of {interface}, and asks for a next link")
            });
        }
        let mut offering = self
            .outlines
            .iter()
            .filter(|(_, outline)| outline.exports.iter().any(|export| unversioned(export) == interface))
            .map(|(name, _)| name.as_str());
        match (offering.next(), offering.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => bail!("nobody offers {interface}, which `{importer}` asks for"),
            (Some(one), Some(other)) => {
                bail!("`{one}` and `{other}` both offer {interface}; give it a chain in host/default.toml")
            }
        }
    }

    fn composed(&self, name: &str, interface: &str, plugs_too: bool) -> anyhow::Result<Vec<u8>> {
        let mut making =
            Making { parts: self, graph: CompositionGraph::new(), made: HashMap::new(), open: Vec::new(), plugs_too };
        let instance = making.instance(name)?;
        let export = making.export_of(name, interface)?;
        let alias = making.graph.alias_instance_export(instance, &export)?;
        making.graph.export(alias, &export)?;
        Ok(making.graph.encode(EncodeOptions::default())?)
    }

    /// Plugs everything that `name` needs into it, and writes what exports `interface` as `target/composed/OUTPUT.wasm`.
    fn write(&self, output: &str, name: &str, interface: &str, plugs_too: bool) -> anyhow::Result<()> {
        let bytes = self.composed(name, interface, plugs_too).with_context(|| format!("composing `{output}`"))?;
        let path = file(output);
        let changed = tree::put(&path, &bytes)?;
        let left = Outline::of(&path)?.imports;
        if let Some(import) = left.iter().find(|import| is_plugged(unversioned(import), plugs_too)) {
            std::fs::remove_file(&path)?;
            bail!("`{output}` is left with the import {import}, which nothing answers");
        }
        if changed {
            eprintln!("{} ({} KB)", path.strip_prefix(tree::root())?.display(), bytes.len() / 1000);
        }
        Ok(())
    }
}

/// One composed file in the making. Each component is in it once, however many ask it.
struct Making<'a> {
    parts: &'a Parts,
    graph: CompositionGraph,
    made: HashMap<String, NodeId>,
    /// Those whose imports are being answered, outermost first.
    open: Vec<String>,
    plugs_too: bool,
}

impl Making<'_> {
    fn instance(&mut self, name: &str) -> anyhow::Result<NodeId> {
        if let Some(made) = self.made.get(name) {
            return Ok(*made);
        }
        ensure!(!self.open.iter().any(|open| open == name), "`{name}` asks itself, by way of {}", self.open.join(", "));
        self.open.push(name.to_owned());
        let path = self.parts.files.get(name).with_context(|| format!("there is no component `{name}`"))?;
        let package = wasm::package(path, &format!("hybrid:{name}"), self.graph.types_mut())?;
        let package = self.graph.register_package(package)?;
        let mut answers = Vec::new();
        for import in &self.parts.outlines[name].imports {
            let interface = unversioned(import);
            if is_plugged(interface, self.plugs_too) {
                let provider = match plug(interface) {
                    Some(plug) => plug,
                    None => self.parts.provider(interface, name)?,
                };
                let instance = self.instance(provider)?;
                let export = self.export_of(provider, interface)?;
                answers.push((import.clone(), self.graph.alias_instance_export(instance, &export)?));
            }
        }
        let instance = self.graph.instantiate(package);
        for (import, answer) in answers {
            self.graph
                .set_instantiation_argument(instance, &import, answer)
                .map_err(|error| anyhow!("{import} of `{name}`: {:#}", anyhow::Error::from(error)))?;
        }
        self.open.pop();
        self.made.insert(name.to_owned(), instance);
        Ok(instance)
    }

    /// The interface by the name, version and all, that the component exports it under.
    fn export_of(&self, name: &str, interface: &str) -> anyhow::Result<String> {
        let exports = &self.parts.outlines[name].exports;
        let export = exports.iter().find(|export| unversioned(export) == interface);
        export.cloned().with_context(|| format!("`{name}` does not export {interface}"))
    }
}
