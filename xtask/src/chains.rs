//! Which components hand on to which, as the host's own defaults have it: one truth for the host and for composed files.

use anyhow::Context;
use serde::Deserialize;

use crate::tree;

/// Interfaces without a version, and the links of each chain, the first asked first.
#[derive(Debug, Deserialize)]
pub struct Chains {
    chains: std::collections::BTreeMap<String, Vec<String>>,
}

/// The interface that the outside asks.
pub const HANDLER: &str = "wasi:http/handler";

impl Chains {
    /// `[chains]` of `host/default.toml`.
    pub fn read() -> anyhow::Result<Chains> {
        let path = tree::root().join("host/default.toml");
        toml::from_str(&tree::read(&path)?).with_context(|| format!("the chains in {}", path.display()))
    }

    /// The same chains with some components left out.
    pub fn without(mut self, left_out: &[&str]) -> Chains {
        for links in self.chains.values_mut() {
            links.retain(|link| !left_out.contains(&link.as_str()));
        }
        self
    }

    /// The links of an interface's chain; empty when it has none.
    pub fn links(&self, interface: &str) -> &[String] {
        self.chains.get(interface).map(Vec::as_slice).unwrap_or_default()
    }

    /// The links of all chains but the one that the outside asks.
    pub fn behind(&self) -> impl Iterator<Item = &String> {
        self.chains.iter().filter(|(interface, _)| *interface != HANDLER).flat_map(|(_, links)| links)
    }

    /// Who answers when `importer` asks for `interface`: the link after it, or the chain's first for one outside of it.
    pub fn next(&self, interface: &str, importer: &str) -> Option<&str> {
        let links = self.links(interface);
        let at = links.iter().position(|link| link == importer).map_or(0, |position| position + 1);
        links.get(at).map(String::as_str)
    }
}

/// `hybrid:llm/llm@0.1.0` without what follows the `@`.
pub fn unversioned(interface: &str) -> &str {
    interface.split('@').next().unwrap_or(interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_link_hands_on_to_the_next() {
        let chains: Chains = toml::from_str("[chains]\n\"a:b/c\" = [\"one\", \"two\"]").expect("chains");
        assert_eq!(chains.next("a:b/c", "anybody"), Some("one"));
        assert_eq!(chains.next("a:b/c", "one"), Some("two"));
        assert_eq!(chains.next("a:b/c", "two"), None);
        assert_eq!(chains.next("x:y/z", "one"), None);
        let chains = chains.without(&["one"]);
        assert_eq!(chains.next("a:b/c", "anybody"), Some("two"));
        assert_eq!(unversioned("a:b/c@0.1.0"), "a:b/c");
    }
}
