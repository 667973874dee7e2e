//! `GET /usage` on the admin address.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use futures::future::join_all;
use serde_json::{Value, json};

use super::{Counts, FIELDS, STORE, Usage, day_of};

/// Questions to the store at once.
const AT_ONCE: usize = 512;
/// How far back is told where nobody says.
const DAYS: u64 = 30;

/// What of it somebody wants to know.
#[derive(Debug, PartialEq, Eq)]
pub struct Filter {
    from: String,
    to: String,
    key: Option<String>,
    model: Option<String>,
    capability: Option<String>,
}

impl Filter {
    /// `from=2026-11-01&to=2026-11-30&key=NAME&model=ORG/NAME&capability=NAME`, each of which may be left out.
    pub fn parse(query: &str) -> Result<Self> {
        let now = SystemTime::now();
        let mut filter = Self {
            from: day_of(now - Duration::from_secs(DAYS * 86_400)),
            to: day_of(now),
            key: None,
            model: None,
            capability: None,
        };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = unescaped(value).with_context(|| format!("`{name}` is not escaped as in a URL"))?;
            match name {
                "from" => filter.from = day(name, value)?,
                "to" => filter.to = day(name, value)?,
                "key" => filter.key = Some(value),
                "model" => filter.model = Some(value),
                "capability" => filter.capability = Some(value),
                _ => bail!("`{name}` is not known here: from, to, key, model, capability"),
            }
        }
        Ok(filter)
    }

    fn takes(&self, [day, key, capability, model]: [&str; 4]) -> bool {
        let named = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
        (self.from.as_str()..=self.to.as_str()).contains(&day)
            && named(&self.key, key)
            && named(&self.model, model)
            && named(&self.capability, capability)
    }
}

fn day(name: &str, value: String) -> Result<String> {
    let shape: String = value.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    if shape != "0000-00-00" {
        bail!("`{name}` is `{value}`, not a day like 2026-11-27");
    }
    Ok(value)
}

fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

impl Usage {
    /// What was used, a row for each day, key, capability and model.
    pub async fn tell(&self, filter: &Filter) -> Result<Value> {
        self.settle().await;
        let store = self.stores.get(STORE).context("there is no store `usage`")?;
        let keys = store.keys().await.context("the store `usage` cannot be read")?;
        let mut rows: BTreeMap<[&str; 4], Counts> = BTreeMap::new();
        let wanted: Vec<(&String, [&str; 4], usize)> = keys
            .iter()
            .filter_map(|key| {
                let mut parts = key.split('\t');
                let row = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
                let field = parts.next()?;
                let place = FIELDS.iter().position(|known| *known == field)?;
                filter.takes(row).then_some((key, row, place))
            })
            .collect();
        for some in wanted.chunks(AT_ONCE) {
            let values = join_all(some.iter().map(|(key, _, _)| store.get(key))).await;
            for ((_, row, place), value) in some.iter().zip(values) {
                let value = value.context("the store `usage` cannot be read")?.unwrap_or_default();
                let count = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
                rows.entry(*row).or_default()[*place] = count;
            }
        }
        let mut total = Counts::default();
        let told: Vec<Value> = rows
            .into_iter()
            .map(|([day, key, capability, model], counts)| {
                total.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
                let named = |name: &str| if name.is_empty() { Value::Null } else { name.into() };
                let mut row = json!({ "day": day, "key": named(key), "capability": capability, "model": named(model) });
                put(&mut row, counts);
                row
            })
            .collect();
        let mut all = json!({});
        put(&mut all, total);
        Ok(json!({ "from": filter.from, "to": filter.to, "kept": self.stores.place(), "rows": told, "total": all }))
    }
}

/// Writes counts into an object; audio in seconds.
fn put(object: &mut Value, counts: Counts) {
    for (field, count) in FIELDS.iter().zip(counts) {
        match field.strip_suffix("_ms") {
            Some(name) => object[format!("{name}_seconds")] = (count as f64 / 1000.0).into(),
            None => object[*field] = count.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{usage, work};
    use super::*;

    #[test]
    fn filters_are_read_and_wrong_ones_told() {
        let filter = Filter::parse("from=2026-01-01&to=2026-01-31&model=a%2Fb&key=phone").expect("a filter");
        assert!(filter.takes(["2026-01-31", "phone", "any", "a/b"]));
        for other in [
            ["2026-02-01", "phone", "any", "a/b"],
            ["2025-12-31", "phone", "any", "a/b"],
            ["2026-01-01", "tablet", "any", "a/b"],
            ["2026-01-01", "phone", "any", "a/c"],
        ] {
            assert!(!filter.takes(other), "{other:?}");
        }
        for wrong in ["from=yesterday", "until=2026-01-01", "model=%zz", "to=2026-1-1"] {
            assert!(Filter::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn rows_and_their_total_are_told_at_once() {
        let usage = usage();
        usage.count(0, &work("phone", "a/b"), false);
        usage.count(1, &work("", "c/d"), true);
        let audio = crate::told::Work { capability: "stt", audio_ms: 1500, ..Default::default() };
        usage.count(0, &audio, false);
        let told = usage.tell(&Filter::parse("").expect("a filter")).await.expect("memory");
        let rows = told["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), 3, "{told}");
        assert_eq!(told["total"]["requests"], 3);
        assert_eq!((&told["total"]["errors"], &told["total"]["prompt_tokens"]), (&1.into(), &20.into()));
        assert_eq!(told["total"]["audio_seconds"], 1.5);
        let phone = usage.tell(&Filter::parse("key=phone").expect("a filter")).await.expect("memory");
        assert_eq!(phone["rows"].as_array().map(Vec::len), Some(1));
        assert_eq!(phone["rows"][0]["model"], "a/b");
    }
}
