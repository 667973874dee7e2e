//! What the platform offers: the models of each capability, and how each of them is doing.

use crate::chain::{Chain, Choice};
use crate::table::{Table, Upstream};
use crate::{shared, time};

/// A model that may be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// As the model table names it: `image_edit`.
    pub capability: String,
    pub model: String,
    /// It answers when no model is asked for, and something is set up to reach it.
    pub default: bool,
    /// `local`, `huggingface`, or an endpoint's name.
    pub upstream: String,
    /// No model's work.
    pub placeholder: bool,
    pub state: State,
}

/// How a model is doing, as far as this node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Served,
    /// Its upstream said that it does not serve it.
    NotServed,
    /// It failed repeatedly, and is left alone for this many seconds.
    CircuitOpen(u32),
    /// Nobody asked for it lately.
    Unknown,
}

/// Where the instances of a node tell how a model is doing.
pub fn state_key(capability: &str, model: &str) -> String {
    ["state ", capability, " ", model].concat()
}

/// As one instance tells another: until then (milliseconds since 1970) nobody is let through.
pub fn open_until(until: i64) -> String {
    format!("circuit_open {until}")
}

impl State {
    fn told(text: Option<&str>, now: i64) -> State {
        match text.map(|text| text.split_once(' ').unwrap_or((text, ""))) {
            Some(("served", _)) => State::Served,
            Some(("not_served", _)) => State::NotServed,
            Some(("circuit_open", until)) => match until.parse().unwrap_or(0) - now {
                left @ 1.. => State::CircuitOpen((left as u64).div_ceil(1000) as u32),
                _ => State::Unknown,
            },
            _ => State::Unknown,
        }
    }

    /// `served`, `not_served`, `circuit_open`, `unknown`
    pub fn name(&self) -> &'static str {
        match self {
            State::Served => "served",
            State::NotServed => "not_served",
            State::CircuitOpen(_) => "circuit_open",
            State::Unknown => "unknown",
        }
    }
}

/// All of them, capability by capability, in the order in which they are asked.
pub fn offers() -> Vec<Offer> {
    let table = Table::read();
    let capabilities: Vec<String> = table.capabilities().map(str::to_owned).collect();
    capabilities.iter().flat_map(|name| of_capability(&table, name, &Chain::of(name))).collect()
}

fn of_capability(table: &Table, capability: &str, chain: &Chain) -> Vec<Offer> {
    let now = time::millis();
    let mut offers: Vec<Offer> = Vec::new();
    let mut add = |model: &str, default: bool| {
        let upstream = match table.upstream(model) {
            Upstream::Local => "local",
            Upstream::HuggingFace => "huggingface",
            Upstream::Endpoint(name) => name,
        };
        if offers.iter().any(|offer| offer.model == model) {
            return;
        }
        offers.push(Offer {
            capability: capability.to_owned(),
            model: model.to_owned(),
            default,
            upstream: upstream.to_owned(),
            placeholder: chain.stand_in.as_deref() == Some(model),
            state: match upstream {
                "local" => State::Served,
                _ => State::told(shared::get(&state_key(capability, model)).ok().flatten().as_deref(), now),
            },
        });
    };
    if chain.choice != Choice::Local {
        chain.models.iter().enumerate().for_each(|(index, model)| add(model, index == 0));
        for (model, named) in table.at_endpoints() {
            if named.is_empty() || named.contains(&capability) {
                add(model, false);
            }
        }
    }
    if chain.choice != Choice::Remote {
        let inside = chain.local.iter().chain(&chain.stand_in);
        inside.enumerate().for_each(|(index, model)| add(model, index == 0 && chain.choice == Choice::Local));
    }
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_offers_its_models_and_its_stand_in() {
        let offers = offers();
        let of = |capability: &str| -> Vec<&Offer> {
            offers.iter().filter(|offer| offer.capability == capability).collect()
        };
        let llm = of("llm");
        assert_eq!((llm[0].model.as_str(), llm[0].default), ("meta-llama/Llama-2-7b-chat-hf", true));
        assert_eq!(llm[0].state.name(), "unknown");
        let last = llm.last().expect("the stand-in");
        assert!(last.placeholder && last.upstream == "local" && last.state == State::Served);
        for capability in ["tts", "stt", "image", "image_edit", "embedding"] {
            assert_eq!(of(capability).iter().filter(|offer| offer.default).count(), 1, "{capability}");
        }
    }

    #[test]
    fn states_are_told_in_words() {
        assert_eq!(State::told(Some("served"), 0), State::Served);
        assert_eq!(State::told(Some("not_served"), 0), State::NotServed);
        assert_eq!(State::told(Some(&open_until(2_500)), 1_000), State::CircuitOpen(2));
        assert_eq!(State::told(Some(&open_until(2_500)), 2_500), State::Unknown);
        assert_eq!((State::told(None, 0), State::told(Some("?"), 0)), (State::Unknown, State::Unknown));
    }

    #[test]
    fn endpoints_are_offered_for_what_they_are_for() {
        let table = Table::laid_over(
            r#"{"endpoints": {"box": {"url": "http://box"}}, "models": {"box/qwen": {"endpoint": "box", "capabilities": ["llm"]}}}"#,
        );
        let offered = |capability: &str| of_capability(&table, capability, &Chain::of(capability));
        let qwen = offered("llm").into_iter().find(|offer| offer.model == "box/qwen").expect("it is offered");
        assert_eq!((qwen.upstream.as_str(), qwen.default), ("box", false));
        assert!(offered("tts").iter().all(|offer| offer.model != "box/qwen"));
    }
}
