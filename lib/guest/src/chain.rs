//! The models that may answer for a capability, and the order in which they are asked.

use std::time::{Duration, Instant};

use crate::settings;
use crate::types::{Budget, Control, Error, Fallback, Reason, Served};

/// Two minutes: pictures of large models take one, and a person waits no longer.
const TOTAL_TIMEOUT_MS: u64 = 120_000;
/// Nobody may hold an instance longer than this, whatever the request says.
const MAX_TIMEOUT_MS: u64 = 600_000;

/// Models in order, from `components/models.json` or the setting `<capability>_models`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub models: Vec<String>,
    /// The `local/` model that answers where no provider is set up; labelled as a placeholder.
    pub stand_in: Option<String>,
    /// For a whole request, where it does not say itself.
    pub total_timeout_ms: u64,
}

impl Chain {
    /// `capability` is a key of `models.json`: `image_edit`.
    pub fn of(capability: &str) -> Chain {
        let mut chain = Chain::built_in(capability);
        chain.total_timeout_ms = settings::parsed("total_timeout_ms", TOTAL_TIMEOUT_MS);
        if let Some(models) = settings::list(&format!("{capability}_models")) {
            chain.models = models;
        }
        match settings::text(&format!("{capability}_stand_in")).as_deref() {
            Some("off") => chain.stand_in = None,
            Some(model) => chain.stand_in = Some(model.to_owned()),
            None => {}
        }
        chain
    }

    fn built_in(capability: &str) -> Chain {
        let all: serde_json::Value =
            serde_json::from_str(include_str!("../../../components/models.json")).expect("models.json is JSON");
        let own = &all[capability];
        Chain {
            models: own["models"]
                .as_array()
                .expect("every capability has models")
                .iter()
                .filter_map(|model| model.as_str().map(str::to_owned))
                .collect(),
            stand_in: own["stand_in"].as_str().map(str::to_owned),
            total_timeout_ms: TOTAL_TIMEOUT_MS,
        }
    }

    /// The models to ask, in order: the one asked for (or the default), then what may answer in its place.
    fn candidates(&self, asked: Option<&str>, fallback: &Fallback) -> Vec<String> {
        let mut models: Vec<String> = asked.map(str::to_owned).into_iter().collect();
        let rest = match fallback {
            Fallback::Chain => self.models.as_slice(),
            Fallback::Off if models.is_empty() => &self.models[..self.models.len().min(1)],
            Fallback::Off => &[],
            Fallback::Models(named) => {
                if models.is_empty() {
                    models.extend(self.models.first().cloned());
                }
                named.as_slice()
            }
        };
        for model in rest {
            if !models.contains(model) {
                models.push(model.clone());
            }
        }
        models
    }
}

/// What comes after a model that did not answer.
enum Next {
    /// Another model may do better.
    Model,
    /// Only models that run inside the platform may.
    Local,
    /// Nothing: the request itself is wrong, or we are.
    Stop,
}

fn next(reason: &Reason) -> Next {
    match reason {
        Reason::UnknownModel(_)
        | Reason::Unavailable(_)
        | Reason::Failed(_)
        | Reason::RateLimited(_)
        | Reason::Timeout => Next::Model,
        Reason::NotConfigured(_) | Reason::Denied(_) => Next::Local,
        Reason::Invalid(_)
        | Reason::UnsupportedMedia(_)
        | Reason::TooLarge(_)
        | Reason::Rejected(_)
        | Reason::Processing(_)
        | Reason::Internal(_) => Next::Stop,
    }
}

/// Asks one model after the other until one answers.
///
/// `call` gets the model and what is left of the request's time. The answer's `served` comes back with the attempts of
/// all models and the index of the one that answered. When none does, the first error that is more than "nobody serves
/// this model" is the caller's: it says what waiting could help.
pub async fn walk<T>(
    chain: &Chain,
    asked: Option<&str>,
    control: &Control,
    mut call: impl AsyncFnMut(&str, Budget) -> Result<(T, Served), Error>,
) -> Result<(T, Served), Error> {
    let started = Instant::now();
    let total_ms = control.timeout_ms.map_or(chain.total_timeout_ms, u64::from).min(MAX_TIMEOUT_MS);
    let total = Duration::from_millis(total_ms);

    let mut candidates: std::collections::VecDeque<String> =
        chain.candidates(asked, &control.fallback).into_iter().collect();
    let mut attempts = 0;
    let mut index = 0;
    let mut kept: Option<Reason> = None;
    while let Some(model) = candidates.pop_front() {
        let left = total.saturating_sub(started.elapsed()).as_millis() as u32;
        if left == 0 {
            kept = Some(Reason::Timeout);
            break;
        }
        let budget = Budget {
            timeout_ms: left,
            first_token_timeout_ms: control.first_token_timeout_ms,
            retries: control.retries,
        };
        let error = match call(&model, budget).await {
            Ok((answer, mut served)) => {
                served.attempts += attempts;
                served.fallback_index = index;
                return Ok((answer, served));
            }
            Err(error) => error,
        };
        attempts += error.attempts;
        index += 1;
        match next(&error.reason) {
            Next::Model => {}
            Next::Local => {
                candidates.retain(|model| model.starts_with("local/"));
                let unset = matches!(error.reason, Reason::NotConfigured(_));
                if let (true, Fallback::Chain, Some(stand_in)) = (unset, &control.fallback, &chain.stand_in)
                    && !candidates.contains(stand_in)
                {
                    candidates.push_back(stand_in.clone());
                }
            }
            Next::Stop => return Err(Error { reason: error.reason, attempts }),
        }
        if kept.as_ref().is_none_or(|kept| matches!(kept, Reason::UnknownModel(_)))
            && !(kept.is_some() && matches!(error.reason, Reason::UnknownModel(_)))
        {
            kept = Some(error.reason);
        }
    }
    let reason = kept.unwrap_or_else(|| Reason::Internal("the chain of models is empty".to_owned()));
    Err(Error { reason, attempts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Failure;

    fn chain() -> Chain {
        Chain {
            models: vec!["a/one".into(), "b/two".into()],
            stand_in: Some("local/toy".into()),
            total_timeout_ms: 1000,
        }
    }

    fn control(fallback: Fallback) -> Control {
        Control { timeout_ms: None, first_token_timeout_ms: None, retries: None, fallback }
    }

    fn served(model: &str) -> Served {
        Served { model: model.into(), provider: "test".into(), attempts: 1, fallback_index: 0, placeholder: false }
    }

    /// Walks with every model failing as `fail` says, and gives the models asked, in order, with the outcome.
    fn walked(
        asked: Option<&str>,
        fallback: Fallback,
        fail: impl Fn(&str) -> Option<Reason>,
    ) -> (Vec<String>, Result<Served, Error>) {
        let mut seen = Vec::new();
        let control = control(fallback);
        let (chain, mut context) = (chain(), std::task::Context::from_waker(std::task::Waker::noop()));
        let outcome = {
            let mut walk = std::pin::pin!(walk(&chain, asked, &control, async |model, _| {
                seen.push(model.to_owned());
                match fail(model) {
                    Some(reason) => Err(Error { reason, attempts: 2 }),
                    None => Ok(((), served(model))),
                }
            }));
            match Future::poll(walk.as_mut(), &mut context) {
                std::task::Poll::Ready(outcome) => outcome,
                std::task::Poll::Pending => panic!("nothing here waits"),
            }
        };
        (seen, outcome.map(|((), served)| served))
    }

    #[test]
    fn every_capability_has_a_chain() {
        for capability in ["tts", "stt", "image", "image_edit", "llm", "embedding"] {
            let chain = Chain::built_in(capability);
            assert!(!chain.models.is_empty(), "{capability}");
            assert!(chain.stand_in.expect("a stand-in").starts_with("local/"), "{capability}");
        }
    }

    #[test]
    fn the_next_model_answers_and_attempts_add_up() {
        let (seen, outcome) = walked(Some("x/mine"), Fallback::Chain, |model| {
            (model == "x/mine").then(|| Reason::UnknownModel(model.to_owned()))
        });
        let served = outcome.expect("the second answers");
        assert_eq!(seen, ["x/mine", "a/one"]);
        assert_eq!((served.model.as_str(), served.attempts, served.fallback_index), ("a/one", 3, 1));
    }

    #[test]
    fn fallback_off_asks_one_model_only() {
        let (seen, outcome) = walked(None, Fallback::Off, |_| Some(Reason::Timeout));
        assert_eq!(seen, ["a/one"]);
        assert_eq!(outcome.expect_err("it failed").attempts, 2);
    }

    #[test]
    fn named_fallbacks_replace_the_chain() {
        let named = Fallback::Models(vec!["c/three".into()]);
        let (seen, _) = walked(None, named, |_| Some(Reason::Timeout));
        assert_eq!(seen, ["a/one", "c/three"]);
    }

    #[test]
    fn the_stand_in_answers_only_where_nothing_is_set_up() {
        let (seen, outcome) = walked(None, Fallback::Chain, |model| {
            (!model.starts_with("local/")).then(|| Reason::NotConfigured("no key".into()))
        });
        assert_eq!(seen, ["a/one", "local/toy"]);
        assert_eq!(outcome.expect("the stand-in answers").fallback_index, 1);

        let broken = || Failure { message: "down".into(), status: Some(503) };
        let (seen, outcome) = walked(None, Fallback::Chain, |_| Some(Reason::Unavailable(broken())));
        assert_eq!(seen, ["a/one", "b/two"]);
        assert!(matches!(outcome, Err(Error { reason: Reason::Unavailable(_), attempts: 4 })));
    }

    #[test]
    fn the_error_that_waiting_helps_is_told() {
        let (_, outcome) = walked(None, Fallback::Chain, |model| {
            Some(if model == "b/two" { Reason::RateLimited(Some(7)) } else { Reason::UnknownModel(model.to_owned()) })
        });
        assert!(matches!(outcome, Err(Error { reason: Reason::RateLimited(Some(7)), .. })));
        let (_, outcome) = walked(None, Fallback::Chain, |model| Some(Reason::UnknownModel(model.to_owned())));
        assert!(matches!(outcome, Err(Error { reason: Reason::UnknownModel(model), .. }) if model == "a/one"));
    }

    #[test]
    fn a_request_that_is_wrong_is_not_sent_to_the_next_model() {
        let (seen, _) = walked(None, Fallback::Chain, |_| Some(Reason::invalid("text", "must not be empty")));
        assert_eq!(seen, ["a/one"]);
    }
}
