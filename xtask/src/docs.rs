//! `docs`: `docs/configuration.md`, every key that the host reads. Which keys there are, and the limits with their defaults
//! and reasons, stand in the host's types; what the others mean, in `hybrid.example.toml`. A key that one of them lacks is
//! an error here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};

use crate::tree;

/// A field of a type of the host.
#[derive(Debug)]
struct Field {
    name: String,
    meaning: String,
}

/// A key of the example, with the comment above it.
#[derive(Debug, Clone)]
struct Key {
    section: String,
    name: String,
    /// None where the example only shows it.
    default: Option<String>,
    meaning: String,
}

/// Sections of the file, the type that reads each, and a title.
const SECTIONS: &[(&str, &str, &str, &str)] = &[
    ("", "host/src/config/written.rs", "File", "At the top of the file"),
    ("tls", "host/src/tls.rs", "Files", "TLS"),
    ("admin", "host/src/config/written.rs", "AdminText", "The operator's address"),
    ("fleet", "host/src/fleet/mod.rs", "Terms", "A fleet of hosts"),
    ("telemetry", "host/src/otlp.rs", "TargetText", "Traces"),
    ("trust", "host/src/config/written.rs", "TrustText", "Which components may be let in"),
    ("stores.NAME", "host/src/keyvalue/mod.rs", "Kind", "What components keep"),
    ("components.NAME", "host/src/config/written.rs", "ComponentText", "One component"),
];

pub fn file() -> PathBuf {
    tree::root().join("docs/configuration.md")
}

pub fn write() -> anyhow::Result<()> {
    tree::put(&file(), configuration()?.as_bytes())?;
    Ok(())
}

pub fn configuration() -> anyhow::Result<String> {
    let text = tree::read(&tree::root().join("hybrid.example.toml"))?;
    let example = keys(&text);
    let mut page = String::from(HEAD);
    page.push_str(&environment()?);
    for (section, file, name, title) in SECTIONS {
        let fields = fields(&source(file)?, name)?;
        let _ = write!(page, "\n## {title}\n\n");
        if !section.is_empty() {
            let _ = write!(page, "`[{section}]`\n\n");
        }
        page.push_str("| key | default | what it is |\n|---|---|---|\n");
        for field in fields {
            // Sections have a table of their own.
            if section.is_empty() && is_section(&field.name, &text) {
                continue;
            }
            let key = find(&example, section, &field.name)
                .with_context(|| format!("`{}` of `[{section}]` is not in hybrid.example.toml", field.name))?;
            row(&mut page, key);
        }
    }
    limits(&mut page)?;
    others(&mut page, &example)?;
    Ok(page)
}

const HEAD: &str = "\
# Configuration

`cargo xtask docs` writes this page; a test holds it to the host's types and to `hybrid.example.toml`, which may be copied
and changed. The host reads `hybrid.toml` in the folder where it is started, or the file that `--config` names. What stands
there wins over what is built in, the environment wins over the file, and the command line over both. A key that is not
known is refused by name. A file that changes while the host runs is taken into service at once, unless something in it is
wrong; what can change with the next start only (`listen`, `tls`, `admin`, `data_dir`, `store`, and larger `limits` of
memory and places) is said in the log.
";

fn is_section(name: &str, example: &str) -> bool {
    let of = |line: &str| {
        let rest = line.trim_start_matches("# ").strip_prefix('[')?.strip_prefix(name)?;
        Some(rest.starts_with([']', '.']))
    };
    example.lines().any(|line| of(line) == Some(true))
}

fn source(file: &str) -> anyhow::Result<String> {
    tree::read(&tree::root().join(file))
}

/// `components.NAME` stands for whichever the example has.
fn find<'a>(example: &'a [Key], section: &str, name: &str) -> Option<&'a Key> {
    let family = section.strip_suffix(".NAME");
    example.iter().find(|key| {
        let same = match family {
            Some(family) => key.section.strip_prefix(family).is_some_and(|rest| rest.starts_with('.')),
            None => key.section == section,
        };
        same && key.name == name
    })
}

fn row(page: &mut String, key: &Key) {
    let default = key.default.as_ref().map(|value| format!("`{value}`")).unwrap_or_default();
    let _ = writeln!(page, "| `{}` | {} | {} |", key.name, cell(&default), cell(&key.meaning));
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Which variables become what.
fn environment() -> anyhow::Result<String> {
    let built_in: toml::Table = source("host/default.toml")?.parse()?;
    let mut page = String::from("\n## Environment\n\n| variable | what it is |\n|---|---|\n");
    for (variable, meaning) in [
        ("PORT", "where to listen, on all addresses"),
        ("LOG_LEVEL", "`log_level`"),
        ("HYBRID_DATA_DIR", "`data_dir`"),
        ("HYBRID_STORE", "`store`"),
    ] {
        let _ = writeln!(page, "| `{variable}` | {meaning} |");
    }
    for (section, what) in [("environment", "the setting"), ("secrets", "the secret")] {
        let names = built_in[section].as_table().context("a table of default.toml")?;
        for (name, variables) in names {
            let variables: Vec<String> = variables
                .as_array()
                .context("a list of variables")?
                .iter()
                .map(|variable| format!("`{}`", variable.as_str().unwrap_or_default()))
                .collect();
            let _ = writeln!(page, "| {} | {what} `{name}` |", variables.join(", else "));
        }
    }
    page.push_str(
        "\nA secret may also be in a file: where `NAME` is not set, the file that `NAME_FILE` names is read.\n",
    );
    Ok(page)
}

fn limits(page: &mut String) -> anyhow::Result<()> {
    let source_of_all = source("host/src/config.rs")?;
    let defaults = defaults(&source_of_all, "Limits")?;
    page.push_str("\n## Limits\n\n`[limits]`, for all components together.\n\n");
    page.push_str("| key | default | what it is, and why so much |\n|---|---|---|\n");
    for field in fields(&source_of_all, "Limits")? {
        let default = defaults.get(&field.name).with_context(|| format!("`{}` has no default", field.name))?;
        ensure!(!field.meaning.is_empty() || field.name == "idle_upstream_ms", "`limits.{}` says nothing", field.name);
        let meaning = if field.meaning.is_empty() { "And for how long." } else { &field.meaning };
        let _ = writeln!(page, "| `{}` | `{default}` | {} |", field.name, cell(meaning));
    }
    page.push_str(
        "\n`limits` of one component (`[components.NAME]`): what is left out is as large as for all together.\n\n",
    );
    page.push_str("| key | what it is |\n|---|---|\n");
    let source_of_one = source("host/src/limits.rs")?;
    let meanings: BTreeMap<String, String> = fields(&source_of_one, "ComponentLimits")?
        .into_iter()
        .map(|field| (if field.name == "call" { "call_ms".to_owned() } else { field.name }, field.meaning))
        .collect();
    for field in fields(&source_of_one, "LimitsText")? {
        let meaning = meanings.get(&field.name).map(String::as_str).unwrap_or_default();
        let meaning = if meaning.is_empty() { "As in `[limits]`." } else { meaning };
        let _ = writeln!(page, "| `{}` | {} |", field.name, cell(meaning));
    }
    Ok(())
}

/// Sections whose keys are anybody's to name.
fn others(page: &mut String, example: &[Key]) -> anyhow::Result<()> {
    // What has no title of its own above.
    let mut sections: Vec<&str> = example.iter().map(|key| key.section.as_str()).collect();
    sections.dedup();
    for section in sections {
        let family = section.split('.').next().unwrap_or_default();
        let known = SECTIONS.iter().any(|(name, ..)| name.split('.').next() == Some(family));
        if known || ["limits", "settings", "choice", "environment", "secrets", "present"].contains(&family) {
            continue;
        }
        let _ = write!(page, "\n## `[{section}]`\n\n| key | default | what it is |\n|---|---|---|\n");
        for key in example.iter().filter(|key| key.section == section) {
            row(page, key);
        }
    }
    page.push_str(
        "\n## Settings of the components\n\n`[settings]`: text, numbers or lists, which components read.\n\n",
    );
    page.push_str("| key | default | what it is |\n|---|---|---|\n");
    let settings: Vec<&Key> = example.iter().filter(|key| key.section == "settings").collect();
    ensure!(settings.len() > 20, "the settings of hybrid.example.toml were not found");
    for key in settings {
        row(page, key);
    }
    page.push_str(
        "\n`[choice]`, `[chains]`, `[environment]`, `[secrets]`, `[present]` and `[errors]` name things of yours: ",
    );
    page.push_str(
        "`hybrid.example.toml` shows each. The model table, `models.toml`, is explained in `models.example.toml`.\n",
    );
    Ok(())
}

/// The fields of a type, in a file that rustfmt has formatted.
fn fields(source: &str, name: &str) -> anyhow::Result<Vec<Field>> {
    let begin = [format!("struct {name} {{\n"), format!("enum {name} {{\n")];
    let body = begin.iter().find_map(|begin| source.split_once(begin.as_str())).map(|(_, rest)| rest);
    let body = body.with_context(|| format!("there is no type `{name}`"))?;
    let body = body.split_once("\n}\n").with_context(|| format!("`{name}` has no end"))?.0;
    let mut found = Vec::new();
    let mut meaning = String::new();
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            if !meaning.is_empty() {
                meaning.push(' ');
            }
            meaning.push_str(text.trim());
        } else if line.starts_with('#') || line.is_empty() {
        } else if let Some((field, _)) = line.trim_start_matches("pub ").split_once(':') {
            found.push(Field { name: field.to_owned(), meaning: std::mem::take(&mut meaning) });
        }
    }
    if found.is_empty() {
        bail!("`{name}` has no fields");
    }
    Ok(found)
}

/// What `impl Default` says of each field, computed.
fn defaults(source: &str, name: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let body = source.split_once(&format!("impl Default for {name} {{")).context("defaults")?.1;
    let body = body.split_once("\n        Self {\n").and_then(|(_, rest)| rest.split_once('}')).context("defaults")?.0;
    let mut found = BTreeMap::new();
    for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (field, value) = line.trim_end_matches(',').split_once(": ").context("a field and its default")?;
        let product = value
            .split(" * ")
            .try_fold(1u64, |product, factor| Some(product * factor.replace('_', "").parse::<u64>().ok()?));
        let text = match product {
            Some(number) => number.to_string(),
            None => value.rsplit("::").next().unwrap_or(value).to_lowercase(),
        };
        found.insert(field.to_owned(), text);
    }
    Ok(found)
}

/// The keys of the example. A comment goes for the keys right below it; a key that is commented out is one without a
/// default.
fn keys(text: &str) -> Vec<Key> {
    let mut found: Vec<Key> = Vec::new();
    let (mut section, mut comment) = (String::new(), Vec::<String>::new());
    let mut is_fresh = false;
    for line in text.lines() {
        let shown = line.strip_prefix("# ").unwrap_or(line);
        let is_comment = line.starts_with('#');
        if let Some(name) = shown.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
            && name.chars().all(|letter| letter.is_ascii_lowercase() || "._-".contains(letter))
        {
            section = name.to_owned();
            is_fresh = true;
            continue;
        }
        match pair(shown) {
            Some((name, value)) => {
                let meaning = comment.join(" ");
                let default = (!is_comment).then(|| value.to_owned());
                found.push(Key { section: section.clone(), name: name.to_owned(), default, meaning });
                is_fresh = true;
            }
            None if is_comment => {
                if is_fresh {
                    comment.clear();
                    is_fresh = false;
                }
                comment.push(shown.trim_start_matches('#').trim().to_owned());
            }
            // What stands apart is said of something else.
            None if line.is_empty() => is_fresh = true,
            None => {}
        }
    }
    found
}

fn pair(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(" = ")?;
    let legal = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    // A remark after a value is no part of it.
    let value = value.split("   #").next().unwrap_or(value);
    (!name.is_empty() && name.chars().all(legal)).then_some((name, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_for_the_keys_below_them() {
        let all = keys(
            "# One.\n# And more.\na = 1\nb = \"x\"   # X wins\n\n# Of the next.\n# c = [1]\n\n[s]\n# Two.\nd = 2\n",
        );
        let told: Vec<(&str, &str, Option<&str>, &str)> = all
            .iter()
            .map(|key| (key.section.as_str(), key.name.as_str(), key.default.as_deref(), key.meaning.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("", "a", Some("1"), "One. And more."),
                ("", "b", Some("\"x\""), "One. And more."),
                ("", "c", None, "Of the next."),
                ("s", "d", Some("2"), "Two."),
            ]
        );
    }
}
