//! Licences as SPDX writes them, and `deny.toml`, which says what is allowed. cargo-deny reads the same file and looks at
//! more (advisories, the licences' texts); this needs nothing but cargo.

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::packages::Package;
use crate::tree;

/// What of `deny.toml` is looked at here.
#[derive(Debug, Deserialize)]
pub struct Rules {
    licenses: Licences,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Debug, Deserialize)]
struct Banned {
    name: String,
}

/// The one registry, as Cargo.lock writes it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

impl Rules {
    pub fn read() -> anyhow::Result<Self> {
        toml::from_str(&tree::read(&tree::root().join("deny.toml"))?).context("in deny.toml")
    }

    /// Why a package may not be built in.
    pub fn objection(&self, package: &Package) -> Option<String> {
        let of = |what: &str| Some(format!("{} {} ({}): {what}", package.name, package.version, package.kind));
        if self.bans.deny.iter().any(|banned| banned.name == package.name) {
            return of("it is banned");
        }
        if package.kind == "cargo" && package.source.as_ref().is_some_and(|source| source != REGISTRY) {
            return of("it is from elsewhere");
        }
        match package.licence.as_deref().map(|licence| self.allows(licence)) {
            Some(Ok(true)) => None,
            Some(Ok(false)) => of(package.licence.as_deref().unwrap_or_default()),
            Some(Err(error)) => of(&format!("{error:#}")),
            None => of("it names no licence"),
        }
    }

    /// Whether one may choose so that all that is asked for is allowed.
    fn allows(&self, expression: &str) -> anyhow::Result<bool> {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut rest = words.as_slice();
        let allowed = self.either(&mut rest)?;
        if !rest.is_empty() {
            bail!("`{expression}` is no licence");
        }
        Ok(allowed)
    }

    fn either(&self, rest: &mut &[&str]) -> anyhow::Result<bool> {
        let mut allowed = self.both(rest)?;
        while let ["OR", after @ ..] = *rest {
            *rest = after;
            allowed |= self.both(rest)?;
        }
        Ok(allowed)
    }

    fn both(&self, rest: &mut &[&str]) -> anyhow::Result<bool> {
        let mut allowed = self.one(rest)?;
        while let ["AND", after @ ..] = *rest {
            *rest = after;
            allowed &= self.one(rest)?;
        }
        Ok(allowed)
    }

    fn one(&self, rest: &mut &[&str]) -> anyhow::Result<bool> {
        match *rest {
            ["(", after @ ..] => {
                *rest = after;
                let allowed = self.either(rest)?;
                let [")", after @ ..] = *rest else { bail!("a parenthesis is left open") };
                *rest = after;
                Ok(allowed)
            }
            [licence, "WITH", exception, after @ ..] => {
                *rest = after;
                Ok(self.names(&format!("{licence} WITH {exception}")))
            }
            [licence, after @ ..] => {
                *rest = after;
                Ok(self.names(licence))
            }
            [] => bail!("a licence is missing"),
        }
    }

    fn names(&self, licence: &str) -> bool {
        self.licenses.allow.iter().any(|allowed| allowed == licence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_may_choose_among_licences_and_must_keep_all_that_are_asked_for() {
        let allow = ["MIT", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).to_vec();
        let rules = Rules { licenses: Licences { allow }, bans: Bans { deny: Vec::new() } };
        for (expression, allowed) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT OR GPL-3.0-only", true),
            ("MIT AND GPL-3.0-only", false),
            ("(GPL-3.0-only OR MIT) AND MIT", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("GPL-3.0-only OR MIT AND MIT", true),
        ] {
            assert_eq!(rules.allows(expression).expect("an expression"), allowed, "{expression}");
        }
        assert!(rules.allows("MIT OR").is_err() && rules.allows("(MIT").is_err() && rules.allows("MIT MIT").is_err());
    }
}
