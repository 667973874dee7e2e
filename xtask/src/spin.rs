//! Holding `spin.toml` to Spin's own rules, for machines without Spin.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use crate::chains::{HANDLER, unversioned};
use crate::wasm::Outline;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    spin_manifest_version: u32,
    application: Application,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    trigger: Trigger,
    component: BTreeMap<String, Component>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Application {
    name: String,
    #[serde(rename = "version")]
    _version: Option<String>,
    #[serde(rename = "description")]
    _description: Option<String>,
    #[serde(rename = "authors")]
    _authors: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    default: Option<String>,
    #[serde(default)]
    required: bool,
    #[serde(rename = "secret", default)]
    _secret: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trigger {
    http: Vec<Http>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    route: String,
    component: String,
    #[serde(default)]
    dependencies: Chained,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chained {
    #[serde(default)]
    middleware: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependency {
    component: String,
    #[serde(default)]
    inherit_configuration: Option<toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Component {
    source: String,
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    key_value_stores: Vec<String>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    dependencies: BTreeMap<String, Dependency>,
    build: Option<Build>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    command: String,
    #[serde(default)]
    watch: Vec<String>,
}

/// What may be inherited, by Spin's own names.
const INHERITED: &[&str] = &[
    "ai_models",
    "allowed_outbound_hosts",
    "environment",
    "files",
    "key_value_stores",
    "sqlite_databases",
    "variables",
];

/// Everything that Spin would refuse about a manifest, its files looked for below `root`.
pub fn problems(text: &str, root: &Path) -> anyhow::Result<Vec<String>> {
    let manifest: Manifest = toml::from_str(text).context("spin.toml")?;
    let mut check = Check { manifest: &manifest, root, problems: Vec::new() };
    check.names();
    check.triggers();
    for (id, component) in &manifest.component {
        check.component(id, component);
    }
    Ok(check.problems)
}

struct Check<'a> {
    manifest: &'a Manifest,
    root: &'a Path,
    problems: Vec<String>,
}

impl Check<'_> {
    fn say(&mut self, good: bool, problem: impl FnOnce() -> String) {
        if !good {
            self.problems.push(problem());
        }
    }

    fn names(&mut self) {
        let manifest = self.manifest;
        self.say(manifest.spin_manifest_version == 2, || "the manifest's version is not 2".to_owned());
        self.say(!manifest.application.name.is_empty(), || "the application has no name".to_owned());
        for (name, variable) in &manifest.variables {
            self.say(is_variable(name), || format!("`{name}` is no name for a variable"));
            self.say(variable.required != variable.default.is_some(), || {
                format!("`{name}` must have a default or be required, and not both")
            });
        }
        for id in manifest.component.keys() {
            self.say(is_kebab(id), || format!("`{id}` is no kebab-case name"));
        }
    }

    fn triggers(&mut self) {
        let manifest = self.manifest;
        for http in &manifest.trigger.http {
            self.say(http.route.starts_with('/'), || format!("the route `{}` does not start with `/`", http.route));
            if let Some(outline) = self.outline(&http.component) {
                self.say(exports_handler(&outline), || format!("`{}` does not export {HANDLER}@0.3.0", http.component));
            }
            for link in &http.dependencies.middleware {
                self.inherited(&http.component, link);
                self.is_plain(&link.component);
                if let Some(outline) = self.outline(&link.component) {
                    let both = exports_handler(&outline) && outline.imports.iter().any(|name| name == HANDLER_0_3);
                    self.say(both, || format!("`{}` does not import and export {HANDLER_0_3}", link.component));
                }
            }
        }
    }

    fn component(&mut self, id: &str, component: &Component) {
        for host in &component.allowed_outbound_hosts {
            self.say(self.is_host(host), || format!("`{id}` may call `{host}`, which is not scheme://host[:port]"));
        }
        for store in &component.key_value_stores {
            self.say(store == "default", || {
                format!("`{id}` names the store `{store}`, which no runtime has by itself")
            });
        }
        for (name, template) in &component.variables {
            self.say(is_variable(name), || format!("`{id}`: `{name}` is no name for a variable"));
            for used in templates(template) {
                self.say(self.manifest.variables.contains_key(used), || {
                    format!("`{id}` uses the unknown variable `{used}`")
                });
            }
        }
        if let Some(build) = &component.build {
            self.say(!build.command.trim().is_empty(), || format!("`{id}` is built by nothing"));
            for pattern in &build.watch {
                self.say(!pattern.starts_with('/'), || format!("`{id}` watches outside of the project: {pattern}"));
            }
        }
        let importer = self.outline(id);
        let mut packages = Vec::new();
        for (key, dependency) in &component.dependencies {
            self.inherited(id, dependency);
            self.is_plain(&dependency.component);
            let package = key.split('/').next().unwrap_or_default();
            self.say(!packages.contains(&package), || format!("`{id}` has two dependencies of the package {package}"));
            packages.push(package);
            if let (Some(importer), Some(exporter)) = (&importer, self.outline(&dependency.component)) {
                self.say(matches(key, &importer.imports), || format!("`{id}` does not import {key}"));
                self.say(matches(key, &exporter.exports), || {
                    format!("`{}` does not export {key}", dependency.component)
                });
            }
        }
        if let Some(importer) = importer {
            for import in importer.imports.iter().filter(|import| import.starts_with("hybrid:")) {
                let answered = component.dependencies.keys().any(|key| matches(key, std::slice::from_ref(import)));
                let types = unversioned(import) == "hybrid:types/types";
                self.say(answered || types, || format!("nobody answers {import}, which `{id}` imports"));
            }
        }
    }

    /// What a dependency inherits is spelled right, and something that the heir's host has.
    fn inherited(&mut self, heir_of: &str, dependency: &Dependency) {
        let id = &dependency.component;
        match &dependency.inherit_configuration {
            None | Some(toml::Value::Boolean(_)) => {}
            Some(toml::Value::Array(kinds)) => {
                for kind in kinds {
                    let known = kind.as_str().is_some_and(|kind| INHERITED.contains(&kind));
                    self.say(known, || format!("`{id}` cannot inherit {kind:?} from `{heir_of}`"));
                }
            }
            Some(other) => {
                self.say(false, || format!("`{id}` inherits {other:?}, which is neither a list nor true or false"));
            }
        }
    }

    /// Spin refuses a dependency with dependencies or configuration of its own.
    fn is_plain(&mut self, id: &str) {
        let Some(component) = self.manifest.component.get(id) else {
            return self.say(false, || format!("there is no component `{id}`"));
        };
        let plain = component.dependencies.is_empty()
            && component.allowed_outbound_hosts.is_empty()
            && component.key_value_stores.is_empty()
            && component.variables.is_empty();
        self.say(plain, || format!("`{id}` is a dependency, and has dependencies or configuration of its own"));
    }

    fn is_host(&self, host: &str) -> bool {
        let used = templates(host);
        let known: Option<Vec<&str>> = used
            .iter()
            .map(|name| {
                self.manifest.variables.get(*name).map(|variable| variable.default.as_deref().unwrap_or("http://x"))
            })
            .collect();
        match known.as_deref() {
            None => false,
            Some([]) => is_origin(host),
            // Only a template and nothing beside it.
            Some([value]) => host.starts_with("{{") && host.ends_with("}}") && is_origin(value),
            Some(_) => false,
        }
    }

    fn outline(&mut self, id: &str) -> Option<Outline> {
        let Some(component) = self.manifest.component.get(id) else {
            self.say(false, || format!("there is no component `{id}`"));
            return None;
        };
        match Outline::of(&self.root.join(&component.source)) {
            Ok(outline) => Some(outline),
            Err(error) => {
                self.say(false, || format!("`{id}`: {error:#}"));
                None
            }
        }
    }
}

/// Spin knows middleware by this very name.
const HANDLER_0_3: &str = "wasi:http/handler@0.3.0";

fn exports_handler(outline: &Outline) -> bool {
    outline.exports.iter().any(|name| name == HANDLER_0_3)
}

/// A dependency's key names an interface, with the version as it is or without one.
fn matches(key: &str, names: &[String]) -> bool {
    names.iter().any(|name| name == key || (!key.contains('@') && unversioned(name) == key))
}

fn is_kebab(name: &str) -> bool {
    name.split('-').all(|word| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
    })
}

fn is_variable(name: &str) -> bool {
    let legal = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(legal)
        && !name.ends_with('_')
        && !name.contains("__")
}

/// The variables named in `{{ … }}`.
fn templates(text: &str) -> Vec<&str> {
    text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(name, _)| name.trim()).collect()
}

fn is_origin(host: &str) -> bool {
    let Some((scheme, rest)) = host.split_once("://") else { return false };
    let (name, port) = rest.split_once(':').unwrap_or((rest, "443"));
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "-.*".contains(letter);
    is_kebab(scheme) && !name.is_empty() && name.chars().all(legal) && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a manifest of one trigger and this rest, files aside.
    fn wrong(rest: &str) -> Vec<String> {
        let text = format!(
            "spin_manifest_version = 2\n[application]\nname = \"x\"\n[[trigger.http]]\nroute = \"/...\"\ncomponent = \"a\"\n{rest}"
        );
        let mut problems = problems(&text, Path::new("/nowhere")).expect("a manifest");
        problems.retain(|problem| !problem.contains("reading"));
        problems
    }

    #[test]
    fn what_spin_refuses_is_found() {
        assert_eq!(wrong("[component.a]\nsource = \"a.wasm\"\n"), Vec::<String>::new());
        let told = |rest: &str, part: &str| {
            let problems = wrong(&format!("[component.a]\nsource = \"a.wasm\"\n{rest}"));
            assert!(problems.iter().any(|problem| problem.contains(part)), "{rest}: {problems:?}");
        };
        told("allowed_outbound_hosts = [\"https://x/path\"]", "scheme://host");
        told("allowed_outbound_hosts = [\"{{ unknown }}\"]", "scheme://host");
        told("variables = { key = \"{{ unknown }}\" }", "unknown variable");
        told("dependencies = { \"a:b/c\" = { component = \"b\" } }", "there is no component `b`");
        told("[component.Bad_Name]\nsource = \"b\"", "kebab");
        told("[variables]\nx = { required = true, default = \"\" }", "and not both");
        told(
            "dependencies = { \"a:b/c\" = { component = \"a\", inherit_configuration = [\"all\"] } }",
            "cannot inherit",
        );
        told("dependencies = { \"a:b/c\" = { component = \"a\" } }", "configuration of its own");
    }

    #[test]
    fn keys_name_interfaces_with_or_without_their_version() {
        let names = ["a:b/c@0.1.0".to_owned()];
        assert!(matches("a:b/c@0.1.0", &names) && matches("a:b/c", &names));
        assert!(!matches("a:b/c@0.1.1", &names) && !matches("a:b", &names));
    }
}
