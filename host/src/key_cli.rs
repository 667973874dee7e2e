//! `hybrid-ai key`: API keys from the command line, by way of the host that runs or straight in the store.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use http::Method;
use lexopt::prelude::*;
use serde_json::{Value as Json, json};

use crate::audit;
use crate::cli::Door;
use crate::config::{Config, Overrides};
use crate::keys::{self, Record, Wanted};
use crate::keyvalue::{Place, Stores};

const HELP: &str = "\
usage: hybrid-ai key create NAME [--scope CAPABILITY]... [--requests-per-minute N] [--tokens-per-minute N]
                                 [--pictures-per-minute N] [--valid 30d]
       hybrid-ai key list
       hybrid-ai key revoke ID|NAME

  --scope CAPABILITY  what the key may ask (llm, tts, ...); everything without it
  --valid TIME        until when: 12h, 30d; for ever without it
  --config FILE       settings; hybrid.toml in the current directory when it is there
  --json              for programs

A key is shown once, when it is made. From the first one on, requests need one.
";

/// What was asked on the command line.
enum Command {
    Create(Wanted),
    List,
    Revoke(String),
}

/// Where the command goes.
enum Way {
    Store {
        stores: Arc<Stores>,
        config: Box<Config>,
    },
    /// The host that runs has the store to itself.
    Host(Door),
}

/// Runs what follows `hybrid-ai key`.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<()> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut words, mut overrides, mut wanted, mut json) = (Vec::new(), Overrides::default(), Wanted::default(), false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("scope") => {
                let scopes = parser.value()?.string()?;
                wanted.scopes.get_or_insert_default().extend(scopes.split(',').map(|scope| scope.trim().to_owned()));
            }
            Long(limit @ ("requests-per-minute" | "tokens-per-minute" | "pictures-per-minute")) => {
                let limit = limit.replace('-', "_");
                wanted.limits.insert(limit, parser.value()?.parse()?);
            }
            Long("valid") => wanted.valid_seconds = Some(keys::span(&parser.value()?.string()?)?.as_secs()),
            Long("config") => overrides.file = Some(parser.value()?.into()),
            Long("json") => json = true,
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(());
            }
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let command = match words.as_slice() {
        ["create", name] => Command::Create(Wanted { name: (*name).to_owned(), ..wanted }),
        ["list"] => Command::List,
        ["revoke", which] => Command::Revoke((*which).to_owned()),
        _ => bail!("unknown command `key {}`: see `hybrid-ai key --help`", words.join(" ")),
    };
    if overrides.file.is_none() && Path::new("hybrid.toml").is_file() {
        overrides.file = Some("hybrid.toml".into());
    }
    let config = Config::load(&overrides, |name| std::env::var(name).ok())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let answer = runtime.block_on(async { Way::find(config)?.ask(command).await })?;
    if json {
        println!("{answer:#}");
    } else {
        print!("{}", told(&answer));
    }
    Ok(())
}

impl Way {
    fn find(mut config: Config) -> Result<Self> {
        let door = config.admin.listen.map(|address| {
            let token = config.admin.token.clone();
            Door { address: address.to_string(), token }
        });
        // Without a word in the configuration the first key makes the file, which hosts use from then on.
        if config.place == Place::Memory && config.place_unsaid {
            config.place = Place::File;
        }
        if config.place == Place::Memory {
            let door = door.context("the configuration keeps keys in memory, where only the running host can make one");
            return door.map(Way::Host);
        }
        let stores = match (Stores::open(&config.place, &config.stores, &config.state_dir), door) {
            (Ok(stores), _) => stores,
            (Err(_), Some(door)) if config.place == Place::File && is_in_use(&config.state_dir) => {
                return Ok(Way::Host(door));
            }
            (Err(error), _) => return Err(error),
        };
        if stores.shared().is_some_and(|(is_up, _)| !is_up) {
            bail!("the Redis that keeps the keys cannot be reached");
        }
        Ok(Way::Store { stores, config: Box::new(config) })
    }

    async fn ask(self, command: Command) -> Result<Json> {
        match self {
            Way::Store { stores, config } => answer(&stores, &config.state_dir, "command line", command).await,
            Way::Host(door) => {
                let (method, path, body) = match command {
                    Command::Create(wanted) => (Method::POST, "/keys".to_owned(), serde_json::to_vec(&wanted)?),
                    Command::List => (Method::GET, "/keys".to_owned(), Vec::new()),
                    Command::Revoke(which) => (Method::DELETE, format!("/keys/{which}"), Vec::new()),
                };
                door.ask(method, &path, body.into(), None).await
            }
        }
    }
}

/// A file of keys belongs to one process at a time.
fn is_in_use(state_dir: &Path) -> bool {
    matches!(
        redb::Database::open(crate::keyvalue::file::path(state_dir, "state")),
        Err(redb::DatabaseError::DatabaseAlreadyOpen)
    )
}

/// Does what is asked, and tells it as the admin address does too.
async fn answer(stores: &Stores, state_dir: &Path, by: &str, command: Command) -> Result<Json> {
    match command {
        Command::Create(wanted) => create(stores, state_dir, by, wanted).await,
        Command::List => list(stores).await,
        Command::Revoke(which) => revoke(stores, state_dir, by, &which).await,
    }
}

pub async fn create(stores: &Stores, state_dir: &Path, by: &str, wanted: Wanted) -> Result<Json> {
    let (key, record) = keys::create(stores, wanted).await?;
    let details =
        json!({ "id": record.id, "scopes": record.scopes, "limits": record.limits, "expires": record.expires });
    audit::note(state_dir, "key.create", &record.name, by, &details.to_string());
    Ok(json!({ "key": key, "record": shown(&record), "kept": stores.place() }))
}

pub async fn list(stores: &Stores) -> Result<Json> {
    Ok(json!({ "keys": keys::list(stores).await?.iter().map(shown).collect::<Vec<_>>() }))
}

pub async fn revoke(stores: &Stores, state_dir: &Path, by: &str, which: &str) -> Result<Json> {
    let records = keys::revoke(stores, which).await?;
    for record in &records {
        audit::note(state_dir, "key.revoke", &record.name, by, &json!({ "id": record.id }).to_string());
    }
    Ok(json!({ "revoked": records.iter().map(shown).collect::<Vec<_>>() }))
}

fn shown(record: &Record) -> Json {
    let mut shown = serde_json::to_value(record).unwrap_or_default();
    shown["state"] = record.state().into();
    shown
}

/// The answer in words.
fn told(answer: &Json) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    if let Some(key) = answer["key"].as_str() {
        let _ = writeln!(out, "{key}");
        if answer["kept"] == "memory" {
            out.push_str("It is kept in memory and goes with the host: `store = \"file\"` keeps keys.\n");
        }
        return out;
    }
    for record in answer["revoked"].as_array().into_iter().flatten() {
        let _ = writeln!(
            out,
            "revoked {} ({})",
            record["name"].as_str().unwrap_or("-"),
            record["id"].as_str().unwrap_or("-")
        );
    }
    let Some(keys) = answer["keys"].as_array() else { return out };
    if keys.is_empty() {
        return "no key was made: requests need none\n".to_owned();
    }
    let _ = writeln!(out, "{:<14}{:<24}{:<10}{:<22}MAY ASK, AND HOW MUCH", "ID", "NAME", "STATE", "MADE");
    for key in keys {
        let text = |name: &str| key[name].as_str().unwrap_or("-").to_owned();
        let scopes = match key["scopes"].as_array() {
            None => "everything".to_owned(),
            Some(scopes) => scopes.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(" "),
        };
        let limits = key["limits"].as_object().into_iter().flatten();
        let limits: String = limits.map(|(name, most)| format!(", {most} {}", name.replace('_', " "))).collect();
        let _ = writeln!(
            out,
            "{:<14}{:<24}{:<10}{:<22}{scopes}{limits}",
            text("id"),
            text("name"),
            text("state"),
            text("created")
        );
    }
    out
}

/// A wish as the admin address gets it.
pub fn wanted(body: &[u8]) -> Result<Wanted> {
    serde_json::from_slice(body).context("the body must be a JSON object: `name`, `scopes`, `limits`, `valid_seconds`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_in_words() {
        assert_eq!(told(&json!({ "keys": [] })), "no key was made: requests need none\n");
        let key = json!({"id": "0123456789ab", "name": "phone", "state": "valid", "created": "2026-11-24T00:00:00Z",
                         "scopes": ["llm"], "limits": {"requests_per_minute": 60}});
        let list = told(&json!({ "keys": [key] }));
        assert!(list.ends_with("llm, 60 requests per minute\n") && list.contains("phone"), "{list}");
        assert!(told(&json!({ "key": "hai_x", "kept": "memory" })).starts_with("hai_x\n"));
    }
}
