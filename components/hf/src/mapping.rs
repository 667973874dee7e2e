//! HuggingFace's `inferenceProviderMapping`: who serves a model, and under which name.

use std::borrow::Cow;

use hybrid_guest::json::{self, Members, Raw};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) provider: String,
    /// What the provider calls the model.
    pub(crate) id: String,
    pub(crate) task: String,
    /// `org/name/path` of the weights that a shared runner loads.
    pub(crate) lora: Option<String>,
}

/// The entries of a model's card that can be called now; empty when nobody serves it. None when it is no card.
pub(crate) fn entries(card: &str) -> Option<Vec<Entry>> {
    let card = json::members(card)?;
    let own = json::get(&card, "id").and_then(json::text).unwrap_or_default();
    let Some(mapping) = json::get(&card, "inferenceProviderMapping") else { return Some(Vec::new()) };
    // An object by provider, or a list that names it.
    if let Some(by_provider) = json::members(mapping) {
        let entry = |(provider, entry): &(Cow<'_, str>, Raw<'_>)| live(provider, &json::members(entry.get())?, &own);
        return Some(by_provider.iter().filter_map(entry).collect());
    }
    let entry = |entry: &Raw<'_>| {
        let entry = json::members(entry.get())?;
        let provider = json::get(&entry, "provider").and_then(json::text)?;
        live(&provider, &entry, &own)
    };
    Some(json::elements(mapping)?.iter().filter_map(entry).collect())
}

/// As one instance tells another: until then (seconds since 1970) it counts.
pub(crate) fn told(entries: &[Entry], until: i64) -> String {
    let mut out = until.to_string();
    for Entry { provider, id, task, lora } in entries {
        let lora = lora.as_deref().unwrap_or_default();
        // None of them may be what parts them: it would be another entry to whoever reads.
        if [provider, id, task, lora].iter().any(|word| word.contains(['\t', '\n'])) {
            continue;
        }
        out.push_str(&["\n", provider, "\t", id, "\t", task, "\t", lora].concat());
    }
    out
}

pub(crate) fn heard(told: &str) -> Option<(Vec<Entry>, i64)> {
    let mut lines = told.split('\n');
    let until = lines.next()?.parse().ok()?;
    let entry = |line: &str| {
        let mut words = line.split('\t').map(str::to_owned);
        let (provider, id, task, lora) = (words.next()?, words.next()?, words.next()?, words.next()?);
        Some(Entry { provider, id, task, lora: Some(lora).filter(|lora| !lora.is_empty()) })
    };
    Some((lines.map(entry).collect::<Option<_>>()?, until))
}

fn live(provider: &str, entry: &Members<'_>, own: &str) -> Option<Entry> {
    let word = |name: &str| json::get(entry, name).and_then(json::text);
    if word("status")? != "live" {
        return None;
    }
    let lora = word("adapter").filter(|adapter| adapter == "lora").map(|_| match word("adapterWeightsPath") {
        Some(path) => format!("{own}/resolve/main/{path}"),
        None => own.to_owned(),
    });
    Some(Entry {
        provider: provider.to_owned(),
        id: word("providerId")?.into_owned(),
        task: word("task")?.into_owned(),
        lora,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::reply;

    fn recorded(name: &str) -> Vec<Entry> {
        entries(&String::from_utf8(reply(&format!("hub/{name}.json"))).expect("text")).expect("a card")
    }

    #[test]
    fn recorded_cards_tell_who_can_be_called() {
        let whisper = recorded("mapping.object");
        let names: Vec<_> = whisper.iter().map(|entry| (entry.provider.as_str(), entry.id.as_str())).collect();
        assert_eq!(names, [("hf-inference", "openai/whisper-large-v3"), ("fal-ai", "fal-ai/whisper")]);
        let lora = recorded("mapping.array");
        assert_eq!((lora[0].id.as_str(), lora[0].task.as_str()), ("fal-ai/flux-lora", "text-to-image"));
        assert_eq!(lora[0].lora.as_deref(), Some("u/some-flux-lora/resolve/main/lora.safetensors"));
        assert!(recorded("mapping.none").is_empty());
        for card in [whisper, lora, Vec::new()] {
            assert_eq!(heard(&told(&card, 7)), Some((card, 7)));
        }
        assert_eq!((heard(""), heard("7\nhalf\tan entry")), (None, None));
        assert_eq!(entries("[]"), None);
        assert_eq!(entries("<html>"), None);
        assert_eq!(entries(r#"{"inferenceProviderMapping": [{"provider": "x"}, 3]}"#), Some(Vec::new()));
    }
}
