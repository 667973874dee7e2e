//! How the upstreams are doing: who fails again and again is left alone for a while, and who does not serve a model is not
//! asked for it again. Instances of a node tell each other where the runtime keeps a store for it; the rest of what is here
//! lasts as long as the instance.

use std::cell::RefCell;
use std::time::Duration;

use hybrid_guest::types::Reason;
use hybrid_guest::{catalogue, shared};

use crate::error::failure;

/// When a circuit opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Breaker {
    /// Calls that fail one after the other before it opens; 0 for never.
    pub(crate) failures: u32,
    pub(crate) open: Duration,
    pub(crate) not_served: Duration,
    /// A call that was given less time says nothing when it ran out of it.
    pub(crate) fair: Duration,
}

/// Each time a probe fails, the wait doubles, up to this many times the first.
const LONGEST: u32 = 8;
/// Callers choose names; nobody needs more of them at once.
const MOST: usize = 128;

/// What others have learned is looked up this often, for each model that is asked for.
const LOOK_MILLIS: i64 = 1_000;
/// What is told of a model that goes on being served is told again this often.
const TELL_MILLIS: i64 = 60_000;

/// What is known of one model at one upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Health {
    key: String,
    /// Calls in a row that failed.
    failures: u32,
    /// Times in a row that the circuit has opened.
    opened: u32,
    rate_limited: bool,
    not_served: bool,
    /// Seconds since 1970, in thousandths: until then nobody is let through.
    until: i64,
}

impl Health {
    fn told(&self) -> String {
        let Health { until, opened, not_served, rate_limited, .. } = self;
        format!("{until} {opened} {} {}", u8::from(*not_served), u8::from(*rate_limited))
    }

    fn read(key: &str, told: &str) -> Option<Health> {
        let mut words = told.split(' ');
        let mut word = || words.next()?.parse::<i64>().ok();
        let (until, opened) = (word()?, u32::try_from(word()?).ok()?);
        let (not_served, rate_limited) = (word()? == 1, word()? == 1);
        Some(Health { key: key.to_owned(), failures: 0, opened, rate_limited, not_served, until })
    }

    fn is_shut(&self) -> bool {
        self.opened > 0 || self.not_served
    }
}

/// What an upstream's model is found under.
pub(crate) fn key(provider: &str, capability: &str, id: &str) -> String {
    ["circuit ", provider, " ", capability, " ", id].concat()
}

#[derive(Debug, Default)]
pub(crate) struct Ward(Vec<Health>);

/// When something was last done about a key.
#[derive(Debug, Default)]
struct Times(Vec<(String, i64)>);

impl Times {
    /// Whether it was longer ago than `pause`; it counts as done then.
    fn due(&mut self, key: &str, pause: i64, now: i64) -> bool {
        let at = self.0.iter().position(|(known, _)| known == key);
        if at.is_some_and(|at| now - self.0[at].1 < pause) {
            return false;
        }
        match at {
            Some(at) => self.0[at].1 = now,
            None => {
                if self.0.len() >= MOST {
                    self.0.remove(0);
                }
                self.0.push((key.to_owned(), now));
            }
        }
        true
    }
}

thread_local! {
    static WARD: RefCell<Ward> = RefCell::default();
    static LOOKED: RefCell<Times> = RefCell::default();
    static TOLD: RefCell<Times> = RefCell::default();
}

/// Whether a call may go out now, as `Ward::admit`.
pub(crate) fn admit(breaker: &Breaker, key: &str, model: &str, now: i64) -> Result<(), Reason> {
    WARD.with_borrow_mut(|ward| {
        if LOOKED.with_borrow_mut(|looked| looked.due(key, LOOK_MILLIS, now))
            && let Ok(told) = shared::get(key)
        {
            ward.adopt(key, told.as_deref());
        }
        let probes = ward.find(key).is_some_and(|health| health.opened > 0 && health.until <= now);
        let admitted = ward.admit(breaker, key, model, now);
        // Others need not try at the same time.
        if let (true, Some(health)) = (probes, ward.find(key)) {
            shared::set(key, &health.told());
        }
        admitted
    })
}

/// How a call ended: with an answer, or with this reason after it was given `time`.
pub(crate) fn note(breaker: &Breaker, key: &str, outcome: Option<&Reason>, time: Duration, now: i64) {
    WARD.with_borrow_mut(|ward| {
        let was_shut = ward.find(key).is_some_and(Health::is_shut);
        ward.note(breaker, key, outcome, time, now);
        match ward.find(key) {
            Some(health) if health.is_shut() => shared::set(key, &health.told()),
            None if was_shut => shared::delete(key),
            _ => {}
        }
    });
}

/// Tells the node how a model is doing: with an answer, or with the reason why there is none, and until when an upstream
/// of its is left alone.
pub(crate) fn tell(capability: &str, model: &str, outcome: Option<&Reason>, shut_until: Option<i64>, now: i64) {
    let key = catalogue::state_key(capability, model);
    let state = match (outcome, shut_until) {
        (None, _) => "served".to_owned(),
        (Some(Reason::UnknownModel(_)), _) => "not_served".to_owned(),
        (Some(_), Some(until)) => catalogue::open_until(until),
        _ => return,
    };
    // Each state has a clock of its own: what changes is told at once.
    let clock = [key.as_str(), state.split(' ').next().unwrap_or_default()].concat();
    TOLD.with_borrow_mut(|told| {
        if told.due(&clock, TELL_MILLIS, now) || outcome.is_some() {
            if outcome.is_some() {
                told.0.retain(|(known, _)| !known.starts_with(&key));
            }
            shared::set(&key, &state);
        }
    });
}

/// Until when an upstream's model is left alone.
pub(crate) fn shut_until(key: &str, now: i64) -> Option<i64> {
    WARD.with_borrow(|ward| {
        let shut = ward.find(key).filter(|health| health.opened > 0 && !health.not_served && health.until > now);
        shut.map(|health| health.until)
    })
}

impl Ward {
    fn find(&self, key: &str) -> Option<&Health> {
        self.0.iter().find(|health| health.key == key)
    }

    /// Takes over what another instance has learned; none where nobody is kept out.
    fn adopt(&mut self, key: &str, told: Option<&str>) {
        let own = self.0.iter().position(|health| health.key == key);
        match told.and_then(|told| Health::read(key, told)) {
            None => {
                // What is counted here, and has led to nothing yet, stays.
                if let Some(own) = own.filter(|own| self.0[*own].is_shut()) {
                    self.0.swap_remove(own);
                }
            }
            Some(other) => match own {
                Some(own) => self.0[own] = Health { failures: self.0[own].failures, ..other },
                None if self.0.len() < MOST => self.0.push(other),
                None => {}
            },
        }
    }

    /// Refuses where the circuit is open. When its time is over, one call is let through to see; the others wait until that
    /// one has ended, or as long again.
    fn admit(&mut self, breaker: &Breaker, key: &str, model: &str, now: i64) -> Result<(), Reason> {
        let Some(health) = self.0.iter_mut().find(|health| health.key == key) else { return Ok(()) };
        let left = health.until - now;
        if left <= 0 {
            if health.opened > 0 {
                health.until = now + millis(breaker.open);
            }
            return Ok(());
        }
        let seconds = (left as u64).div_ceil(1000) as u32;
        Err(match health {
            Health { not_served: true, .. } => Reason::UnknownModel(model.to_owned()),
            Health { rate_limited: true, .. } => Reason::RateLimited(Some(seconds)),
            _ => {
                let told = format!("`{model}` failed repeatedly and is left alone; it is tried again in {seconds} s");
                Reason::Unavailable(failure(told, None))
            }
        })
    }

    fn note(&mut self, breaker: &Breaker, key: &str, outcome: Option<&Reason>, time: Duration, now: i64) {
        let at = self.0.iter().position(|health| health.key == key);
        let (failed, asked_to_wait) = match outcome {
            Some(Reason::Unavailable(_) | Reason::Failed(_)) => (true, None),
            Some(Reason::Timeout) => (time >= breaker.fair, None),
            Some(Reason::RateLimited(seconds)) => (true, *seconds),
            Some(Reason::UnknownModel(_)) => (true, None),
            // An answer, or the caller's own mistake: the model is there.
            _ => (false, None),
        };
        if !failed {
            let ends = !matches!(outcome, Some(Reason::Timeout | Reason::Denied(_)));
            if let (true, Some(at)) = (ends, at) {
                self.0.swap_remove(at);
            }
            return;
        }
        let at = at.unwrap_or_else(|| {
            if self.0.len() >= MOST {
                self.0.remove(0);
            }
            self.0.push(Health {
                key: key.to_owned(),
                failures: 0,
                opened: 0,
                rate_limited: false,
                not_served: false,
                until: 0,
            });
            self.0.len() - 1
        });
        let health = &mut self.0[at];
        health.failures += 1;
        health.not_served = matches!(outcome, Some(Reason::UnknownModel(_)));
        health.rate_limited = matches!(outcome, Some(Reason::RateLimited(_)));
        if health.not_served {
            health.until = now + millis(breaker.not_served);
        } else if health.opened > 0 || (breaker.failures > 0 && health.failures >= breaker.failures) {
            health.opened += 1;
            let wait = breaker.open * (1 << (health.opened - 1).min(LONGEST.ilog2()));
            let wait =
                asked_to_wait.map_or(wait, |seconds| Duration::from_secs(seconds.into()).min(breaker.open * LONGEST));
            health.until = now + millis(wait);
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKER: Breaker = Breaker {
        failures: 3,
        open: Duration::from_secs(10),
        not_served: Duration::from_secs(3600),
        fair: Duration::from_secs(5),
    };
    const LONG: Duration = Duration::from_secs(60);

    fn down() -> Reason {
        Reason::Unavailable(failure("down", Some(503)))
    }

    struct Case(Ward);

    impl Case {
        fn failed(&mut self, reason: &Reason, now: i64) {
            self.0.note(&BREAKER, "k", Some(reason), LONG, now);
        }

        fn admits(&mut self, now: i64) -> bool {
            self.0.admit(&BREAKER, "k", "a/b", now).is_ok()
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_through_to_see() {
        let mut case = Case(Ward::default());
        for _ in 0..2 {
            case.failed(&down(), 0);
            assert!(case.admits(0));
        }
        case.failed(&down(), 0);
        assert!(!case.admits(9_999));
        let refusal = case.0.admit(&BREAKER, "k", "a/b", 1);
        assert!(matches!(refusal, Err(Reason::Unavailable(failure)) if failure.message.contains("in 10 s")));
        // Others are not concerned.
        assert!(case.0.admit(&BREAKER, "other", "a/b", 1).is_ok());
        assert!(case.admits(10_000), "one is let through");
        assert!(!case.admits(10_001), "and no second");
        case.failed(&down(), 10_002);
        assert!(!case.admits(30_001), "the wait has doubled");
        assert!(case.admits(30_002));
        case.0.note(&BREAKER, "k", None, LONG, 30_003);
        assert!(case.admits(30_004) && case.admits(30_005));
        case.failed(&down(), 30_006);
        assert!(case.admits(30_007), "it counts from the beginning again");
    }

    #[test]
    fn an_answer_between_failures_keeps_it_closed() {
        let mut case = Case(Ward::default());
        for now in 0..10 {
            case.failed(&down(), now);
            case.failed(&down(), now);
            case.0.note(&BREAKER, "k", None, LONG, now);
            assert!(case.admits(now));
        }
    }

    #[test]
    fn limits_stay_limits_and_last_as_long_as_was_said() {
        let mut case = Case(Ward::default());
        for _ in 0..3 {
            case.failed(&Reason::RateLimited(Some(7)), 0);
        }
        assert!(matches!(case.0.admit(&BREAKER, "k", "a/b", 1_500), Err(Reason::RateLimited(Some(6)))));
        assert!(case.admits(7_000));
    }

    #[test]
    fn a_model_that_is_not_served_is_asked_for_once() {
        let mut case = Case(Ward::default());
        case.failed(&Reason::UnknownModel("a/b".into()), 0);
        assert!(
            matches!(case.0.admit(&BREAKER, "k", "a/b", 3_599_999), Err(Reason::UnknownModel(model)) if model == "a/b")
        );
        assert!(case.admits(3_600_000) && case.admits(3_600_000));
    }

    #[test]
    fn impatient_callers_and_wrong_requests_open_nothing() {
        let mut case = Case(Ward::default());
        for _ in 0..10 {
            case.0.note(&BREAKER, "k", Some(&Reason::Timeout), Duration::from_millis(400), 0);
            case.0.note(&BREAKER, "k", Some(&Reason::Rejected(failure("no", Some(400)))), LONG, 0);
        }
        assert!(case.admits(0));
        for _ in 0..3 {
            case.failed(&Reason::Timeout, 0);
        }
        assert!(!case.admits(0));
    }

    #[test]
    fn instances_learn_from_each_other() {
        let mut one = Ward::default();
        for _ in 0..3 {
            one.note(&BREAKER, "k", Some(&down()), LONG, 0);
        }
        let told = one.find("k").expect("it is open").told();
        let mut other = Ward::default();
        other.adopt("k", Some(&told));
        assert!(other.admit(&BREAKER, "k", "a/b", 1).is_err());
        assert_eq!(Health::read("k", &told).map(|health| health.told()), Some(told));
        // Somebody found it well again.
        other.adopt("k", None);
        assert!(other.admit(&BREAKER, "k", "a/b", 1).is_ok());
        // What is counted and has led to nothing stays; what cannot be read changes nothing for the worse.
        other.note(&BREAKER, "k", Some(&down()), LONG, 2);
        other.adopt("k", Some("what"));
        assert_eq!(other.find("k").map(|health| health.failures), Some(1));
    }

    #[test]
    fn things_are_due_again_after_a_while() {
        let mut times = Times::default();
        assert!(times.due("a", 10, 100) && !times.due("a", 10, 109) && times.due("a", 10, 110));
        assert!(times.due("b", 10, 100));
        for number in 0..1000 {
            times.due(&number.to_string(), 10, 0);
        }
        assert_eq!(times.0.len(), MOST);
    }

    #[test]
    fn nothing_grows_without_end() {
        let mut ward = Ward::default();
        for number in 0..1000 {
            ward.note(&BREAKER, &number.to_string(), Some(&down()), LONG, 0);
        }
        assert_eq!(ward.0.len(), MOST);
    }
}
