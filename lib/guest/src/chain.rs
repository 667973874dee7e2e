//! The models that may answer for a capability, and the order in which they are asked.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::settings;
use crate::table::{Table, Upstream};
use crate::types::{Budget, Control, Error, Fallback, Reason, Served};

/// Two minutes: pictures of large models take one, and a person waits no longer.
const TOTAL_TIMEOUT_MS: u64 = 120_000;
/// Nobody may hold an instance longer than this, whatever the request says.
const MAX_TIMEOUT_MS: u64 = 600_000;
/// What a local model gets of a request's time when everything remote hung.
const LOCAL_SHARE_MS: u64 = 2_000;

/// Where a capability may be answered; the setting `<capability>_choice`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice {
    /// By components of the platform alone.
    Local,
    /// By services alone.
    Remote,
    /// By services where one is set up, else by components.
    #[default]
    Auto,
}

/// What may answer inside the platform after everything remote has failed; the setting `local_after_failure`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AfterFailure {
    Nothing,
    /// The same model as one that was asked.
    #[default]
    Same,
    /// Any real model of the capability's.
    Models,
    /// The stand-in too, labelled as one.
    StandIns,
}

impl Choice {
    fn of(capability: &str) -> Choice {
        match settings::text(&format!("{capability}_choice")).as_deref().map(str::trim) {
            Some("local") => Choice::Local,
            Some("remote") => Choice::Remote,
            _ => Choice::Auto,
        }
    }
}

impl AfterFailure {
    fn set() -> AfterFailure {
        match settings::text("local_after_failure").as_deref().map(str::trim) {
            Some("off") => AfterFailure::Nothing,
            Some("models") => AfterFailure::Models,
            Some("stand-ins") => AfterFailure::StandIns,
            _ => AfterFailure::Same,
        }
    }
}

/// Models in order, from the model table or the setting `<capability>_models`.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    pub models: Vec<String>,
    /// Real models inside the platform.
    pub local: Vec<String>,
    /// The `local/` model that answers where no provider is set up; labelled as a placeholder.
    pub stand_in: Option<String>,
    pub choice: Choice,
    pub after_failure: AfterFailure,
    /// For a whole request, where it does not say itself.
    pub total_timeout_ms: u64,
    table: Table,
}

impl Chain {
    /// `capability` is its name in the model table: `image_edit`.
    pub fn of(capability: &str) -> Chain {
        let mut chain = Chain::in_table(capability, Table::read());
        if let Some(models) = settings::list(&format!("{capability}_models")) {
            chain.models = models;
        }
        match settings::text(&format!("{capability}_stand_in")).as_deref() {
            Some("off") => chain.stand_in = None,
            Some(model) => chain.stand_in = Some(model.to_owned()),
            None => {}
        }
        chain.choice = Choice::of(capability);
        chain.after_failure = AfterFailure::set();
        chain
    }

    fn in_table(capability: &str, table: Table) -> Chain {
        let usual = || settings::parsed("total_timeout_ms", TOTAL_TIMEOUT_MS);
        Chain {
            models: table.list(capability, "models"),
            local: table.list(capability, "local"),
            stand_in: table.stand_in(capability).map(str::to_owned),
            choice: Choice::Auto,
            after_failure: AfterFailure::Same,
            total_timeout_ms: table.number(capability, "timeout_ms").unwrap_or_else(usual),
            table,
        }
    }

    /// The model to ask first: the one asked for, or the default.
    fn first(&self, asked: Option<&str>) -> VecDeque<String> {
        let first = match asked {
            Some(model) => Some(model),
            None if self.choice == Choice::Local => self.local.first().or(self.stand_in.as_ref()).map(String::as_str),
            None => self.models.first().map(String::as_str),
        };
        first.map(|model| self.table.resolve(model).to_owned()).into_iter().collect()
    }

    /// What may answer in the place of the first, in order.
    fn others(&self, fallback: &Fallback) -> Vec<String> {
        match fallback {
            Fallback::Chain if self.choice == Choice::Local => self.inside(AfterFailure::StandIns, &[]),
            Fallback::Chain => self.models.clone(),
            Fallback::Off => Vec::new(),
            Fallback::Models(named) => named.clone(),
        }
    }

    /// What may answer inside the platform, in order, where `tried` did not.
    fn inside(&self, most: AfterFailure, tried: &[String]) -> Vec<String> {
        let same = tried.iter().filter_map(|model| self.table.same(model)).map(str::to_owned);
        let mut models: Vec<String> = if most >= AfterFailure::Same { same.collect() } else { Vec::new() };
        if most >= AfterFailure::Models {
            models.extend(self.local.iter().cloned());
        }
        if most >= AfterFailure::StandIns {
            models.extend(self.stand_in.clone());
        }
        models
    }

    /// Why a model may not be asked here at all.
    fn barred(&self, model: &str) -> Option<Reason> {
        let local = self.table.upstream(model) == Upstream::Local;
        match self.choice {
            Choice::Local if !local => {
                let told = "the operator has this answered inside the platform alone: ask for a `local/` model";
                Some(Reason::NotConfigured(told.to_owned()))
            }
            Choice::Remote if local => Some(Reason::UnknownModel(model.to_owned())),
            _ => None,
        }
    }
}

fn push(models: &mut VecDeque<String>, model: &str) {
    if !models.iter().any(|known| known == model) {
        models.push_back(model.to_owned());
    }
}

/// What comes after a model that did not answer.
enum Next {
    /// Another model may do better.
    Model,
    /// Another model of another upstream may.
    Upstream,
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
        Reason::NotConfigured(_) | Reason::Denied(_) => Next::Upstream,
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
    // Names without an owner are aliases or other platforms' (`gpt-4o`): nobody here serves them, and who asks for one does not mean
    // whichever model happens to answer.
    if let Some(model) = asked.filter(|model| !model.contains('/') && !chain.table.is_alias(model)) {
        return Err(Reason::UnknownModel(model.to_owned()).into());
    }
    let started = Instant::now();
    let total_ms = control.timeout_ms.map_or(chain.total_timeout_ms, u64::from).min(MAX_TIMEOUT_MS);
    let total = Duration::from_millis(total_ms);

    let mut candidates = chain.first(asked);
    let may_fall = matches!(control.fallback, Fallback::Chain);
    let (mut attempts, mut index) = (0, 0);
    let mut kept: Option<Reason> = None;
    let mut tried: Vec<String> = Vec::new();
    // Most requests are answered by the first, and need no list of the others.
    let mut listed = false;
    let mut list = |candidates: &mut VecDeque<String>, but: &str| {
        if !std::mem::replace(&mut listed, true) {
            let others = chain.others(&control.fallback);
            let others = others.iter().map(|model| chain.table.resolve(model)).filter(|model| *model != but);
            others.for_each(|model| push(candidates, model));
        }
    };
    // Whether what is inside the platform has been put on the list.
    let mut inside = !may_fall || chain.choice != Choice::Auto;
    if candidates.is_empty() {
        list(&mut candidates, "");
    }
    loop {
        let Some(model) = candidates.pop_front() else {
            let rest = if inside { Vec::new() } else { chain.inside(chain.after_failure, &tried) };
            inside = true;
            rest.iter().filter(|model| !tried.contains(model)).for_each(|model| push(&mut candidates, model));
            if candidates.is_empty() {
                break;
            }
            continue;
        };
        // A look at the clock is a call into the runtime, and the first model is asked at once.
        let passed = if index == 0 { Duration::ZERO } else { started.elapsed() };
        let mut left = total.saturating_sub(passed).as_millis() as u64;
        // A model of the platform's own that may answer when a service hangs needs time to do it in.
        if !inside && chain.table.same(&model).is_some() && chain.after_failure >= AfterFailure::Same {
            left = left.saturating_sub(LOCAL_SHARE_MS.min(total_ms / 10));
        }
        if left == 0 {
            kept = Some(Reason::Timeout);
            break;
        }
        let budget = Budget {
            timeout_ms: left as u32,
            first_token_timeout_ms: control.first_token_timeout_ms,
            retries: control.retries,
        };
        let outcome = match chain.barred(&model) {
            Some(reason) => Err(reason.into()),
            None => call(&model, budget).await,
        };
        let error: Error = match outcome {
            Ok((answer, mut served)) => {
                served.attempts += attempts;
                served.fallback_index = index;
                return Ok((answer, served));
            }
            Err(error) => error,
        };
        attempts += error.attempts;
        index += 1;
        list(&mut candidates, &model);
        match next(&error.reason) {
            Next::Model => {}
            Next::Upstream => {
                let upstream = chain.table.upstream(&model);
                candidates.retain(|model| chain.table.upstream(model) != upstream);
                if may_fall && !inside && matches!(error.reason, Reason::NotConfigured(_)) {
                    inside = true;
                    let unset = std::slice::from_ref(&model);
                    chain.inside(AfterFailure::StandIns, unset).iter().for_each(|model| push(&mut candidates, model));
                }
            }
            Next::Stop => return Err(Error { reason: error.reason, attempts }),
        }
        if kept.as_ref().is_none_or(|kept| matches!(kept, Reason::UnknownModel(_)))
            && !(kept.is_some() && matches!(error.reason, Reason::UnknownModel(_)))
        {
            kept = Some(error.reason);
        }
        tried.push(model);
    }
    let reason = kept.unwrap_or_else(|| Reason::Internal("the chain of models is empty".to_owned()));
    Err(Error { reason, attempts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Failure;

    fn chain() -> Chain {
        let table = r#"{"endpoints": {"box": {"url": "http://box"}}, "aliases": {"best": "b/two"},
            "capabilities": {"toy": {"models": ["a/one", "b/two"], "stand_in": "local/toy", "timeout_ms": 1000}},
            "models": {"b/two": {"same": "local/two"}}}"#;
        Chain::in_table("toy", Table::laid_over(table))
    }

    fn control(fallback: Fallback) -> Control {
        Control { timeout_ms: None, first_token_timeout_ms: None, retries: None, fallback }
    }

    fn served(model: &str) -> Served {
        Served { model: model.into(), provider: "test".into(), attempts: 1, fallback_index: 0, placeholder: false }
    }

    fn walked(
        asked: Option<&str>,
        fallback: Fallback,
        fail: impl Fn(&str) -> Option<Reason>,
    ) -> (Vec<String>, Result<Served, Error>) {
        walked_along(&chain(), asked, fallback, fail)
    }

    /// Walks with every model failing as `fail` says, and gives the models asked, in order, with the outcome.
    fn walked_along(
        chain: &Chain,
        asked: Option<&str>,
        fallback: Fallback,
        fail: impl Fn(&str) -> Option<Reason>,
    ) -> (Vec<String>, Result<Served, Error>) {
        let mut seen = Vec::new();
        let control = control(fallback);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let outcome = {
            let mut walk = std::pin::pin!(walk(chain, asked, &control, async |model, _| {
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
            let chain = Chain::in_table(capability, Table::read());
            assert!(!chain.models.is_empty(), "{capability}");
            let inside = chain.local.first().or(chain.stand_in.as_ref());
            assert!(inside.expect("one inside").starts_with("local/"), "{capability}");
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
    fn names_of_other_platforms_are_nobodys() {
        let (seen, outcome) = walked(Some("gpt-0"), Fallback::Chain, |_| None);
        assert!(seen.is_empty());
        assert!(matches!(outcome, Err(Error { reason: Reason::UnknownModel(model), attempts: 0 }) if model == "gpt-0"));
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
        let chain = Chain { after_failure: AfterFailure::Nothing, ..chain() };
        let down = |_: &str| Some(Reason::Unavailable(broken()));
        let (seen, outcome) = walked_along(&chain, None, Fallback::Chain, down);
        assert_eq!(seen, ["a/one", "b/two"]);
        assert!(matches!(outcome, Err(Error { reason: Reason::Unavailable(_), attempts: 4 })));
    }

    /// The models asked when every remote one fails with this.
    fn asked_when(chain: &Chain, asked: Option<&str>, fallback: Fallback, reason: &Reason) -> Vec<String> {
        let fail = |model: &str| (!model.starts_with("local/")).then(|| reason.clone());
        walked_along(chain, asked, fallback, fail).0
    }

    #[test]
    fn what_is_inside_answers_where_the_operator_says() {
        let down = Reason::Unavailable(Failure { message: "down".into(), status: None });
        let unset = Reason::NotConfigured("no key".into());
        let chain = Chain { local: vec!["local/real".into()], ..chain() };
        assert_eq!(asked_when(&chain, None, Fallback::Chain, &unset), ["a/one", "local/real"]);
        assert_eq!(asked_when(&chain, Some("b/two"), Fallback::Chain, &unset), ["b/two", "local/two"]);
        // The same model as one that failed may answer for it; another one, or a stand-in, where that is allowed.
        assert_eq!(asked_when(&chain, None, Fallback::Chain, &down), ["a/one", "b/two", "local/two"]);
        let only = Chain { models: vec!["a/one".into()], ..chain };
        assert_eq!(asked_when(&only, None, Fallback::Chain, &down), ["a/one"]);
        let generous = Chain { after_failure: AfterFailure::Models, ..only.clone() };
        assert_eq!(asked_when(&generous, None, Fallback::Chain, &down), ["a/one", "local/real"]);
        assert_eq!(asked_when(&generous, None, Fallback::Off, &down), ["a/one"]);
        let anything = Chain { after_failure: AfterFailure::StandIns, local: Vec::new(), ..only };
        assert_eq!(asked_when(&anything, None, Fallback::Chain, &down), ["a/one", "local/toy"]);
    }

    #[test]
    fn local_and_remote_bar_the_other() {
        let local = Chain { choice: Choice::Local, local: vec!["local/real".into()], ..chain() };
        let down = Reason::Timeout;
        assert_eq!(asked_when(&local, None, Fallback::Chain, &down), ["local/real"]);
        assert_eq!(asked_when(&local, Some("a/one"), Fallback::Chain, &down), ["local/real"]);
        let (seen, outcome) = walked_along(&local, Some("a/one"), Fallback::Off, |_| None);
        assert!(seen.is_empty() && matches!(outcome, Err(Error { reason: Reason::NotConfigured(_), attempts: 0 })));

        let remote = Chain { choice: Choice::Remote, ..chain() };
        let (seen, _) = walked_along(&remote, None, Fallback::Chain, |_| Some(Reason::NotConfigured("no key".into())));
        assert_eq!(seen, ["a/one"]);
        let (seen, outcome) = walked_along(&remote, Some("local/toy"), Fallback::Off, |_| None);
        assert!(seen.is_empty() && matches!(outcome, Err(Error { reason: Reason::UnknownModel(_), .. })));
    }

    #[test]
    fn one_upstream_s_trouble_is_not_the_others() {
        let chain = Chain { models: vec!["a/one".into(), "b/two".into(), "box/own".into()], ..chain() };
        for reason in [
            Reason::NotConfigured("no key".into()),
            Reason::Denied(Failure { message: "no credit".into(), status: Some(402) }),
        ] {
            let fail = |model: &str| (!model.starts_with("box/")).then(|| reason.clone());
            let (seen, outcome) = walked_along(&chain, None, Fallback::Chain, fail);
            assert_eq!(seen, ["a/one", "box/own"]);
            assert_eq!(outcome.expect("the endpoint answers").model, "box/own");
        }
    }

    #[test]
    fn other_names_stand_for_models() {
        let (seen, outcome) = walked(Some("best"), Fallback::Off, |_| None);
        assert_eq!(seen, ["b/two"]);
        assert_eq!(outcome.expect("it answers").fallback_index, 0);
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
