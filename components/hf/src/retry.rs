//! When to try again, and how long to wait before.

use std::time::Duration;

/// What an upstream's answer says about trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// The same request meets the same answer.
    No,
    /// One more try is worth it, a third is not.
    Once,
    /// Transient: wait as the policy says.
    Backoff,
    /// The upstream says how long.
    After(Duration),
    /// The model is being loaded, and takes about this long.
    Loading(Duration),
}

/// How patient one call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The first try included.
    pub(crate) attempts: u32,
    /// Before the second try; doubled for each one after it.
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
    /// The caller wants repetitions, also of what took too long.
    pub(crate) patient: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    GiveUp,
    Wait {
        delay: Duration,
        /// Ask the upstream to hold the request until the model is there (`x-wait-for-model`).
        hold: bool,
    },
}

/// More tries than these only burn money, whatever the request says; the deadline usually ends them before.
const MOST_RETRIES: u32 = 10;

impl Policy {
    /// The same patience with the caller's number of repetitions.
    pub(crate) fn with_retries(self, retries: Option<u32>) -> Policy {
        let attempts = retries.map_or(self.attempts, |retries| retries.min(MOST_RETRIES) + 1);
        Policy { attempts, patient: retries.is_some(), ..self }
    }

    /// What to do after `made` tries with `left` of the deadline. `noise` is any number; it spreads callers that failed
    /// together over a tenth of the wait.
    pub(crate) fn step(&self, made: u32, again: Again, left: Duration, noise: u32) -> Step {
        if made >= self.attempts {
            return Step::GiveUp;
        }
        let (delay, hold) = match again {
            Again::No => return Step::GiveUp,
            Again::Once if made > 1 => return Step::GiveUp,
            Again::Once | Again::Backoff => (self.backoff(made, noise), false),
            Again::After(delay) => (delay, false),
            // The upstream's guess is often far off, and the next try is held until the model is there: keep half of
            // the time for it.
            Again::Loading(estimate) => (estimate.min(self.longest).min(left / 2), true),
        };
        // A wait that ends with the deadline leaves nothing to try with.
        if delay >= left { Step::GiveUp } else { Step::Wait { delay, hold } }
    }

    fn backoff(&self, made: u32, noise: u32) -> Duration {
        let delay = self.first.saturating_mul(1 << made.saturating_sub(1).min(20));
        (delay + delay / 1000 * (noise % 100)).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy =
        Policy { attempts: 3, first: Duration::from_secs(1), longest: Duration::from_secs(30), patient: false };
    const LEFT: Duration = Duration::from_secs(100);

    fn wait(seconds: u64) -> Step {
        Step::Wait { delay: Duration::from_secs(seconds), hold: false }
    }

    #[test]
    fn waits_double_up_to_the_longest_and_end_with_the_attempts() {
        assert_eq!(POLICY.step(1, Again::Backoff, LEFT, 0), wait(1));
        assert_eq!(POLICY.step(2, Again::Backoff, LEFT, 0), wait(2));
        assert_eq!(POLICY.step(3, Again::Backoff, LEFT, 0), Step::GiveUp);
        let patient = POLICY.with_retries(Some(9));
        assert_eq!(patient.step(7, Again::Backoff, LEFT, 0), wait(30));
        assert_eq!(POLICY.with_retries(Some(0)).step(1, Again::Backoff, LEFT, 0), Step::GiveUp);
        assert_eq!(POLICY.with_retries(Some(u32::MAX)).attempts, 11);
    }

    #[test]
    fn noise_adds_at_most_a_tenth() {
        for noise in [0, 7, 99, 1234, u32::MAX] {
            let Step::Wait { delay, .. } = POLICY.step(1, Again::Backoff, LEFT, noise) else { panic!("waits") };
            assert!((Duration::from_secs(1)..=Duration::from_millis(1100)).contains(&delay));
        }
    }

    #[test]
    fn the_upstream_is_obeyed_within_the_deadline() {
        assert_eq!(POLICY.step(1, Again::After(Duration::from_secs(7)), LEFT, 0), wait(7));
        assert_eq!(POLICY.step(1, Again::After(Duration::from_secs(100)), LEFT, 0), Step::GiveUp);
        assert_eq!(POLICY.step(1, Again::No, LEFT, 0), Step::GiveUp);
        assert_eq!(POLICY.step(1, Again::Backoff, Duration::from_millis(900), 0), Step::GiveUp);
        assert_eq!(POLICY.step(1, Again::Backoff, Duration::ZERO, 0), Step::GiveUp);
    }

    #[test]
    fn a_failed_generation_is_tried_once_more() {
        assert_eq!(POLICY.step(1, Again::Once, LEFT, 0), wait(1));
        assert_eq!(POLICY.step(2, Again::Once, LEFT, 0), Step::GiveUp);
    }

    #[test]
    fn a_loading_model_is_waited_for_and_then_held() {
        let step = |estimate, left| POLICY.step(1, Again::Loading(Duration::from_secs(estimate)), left, 0);
        assert_eq!(step(20, LEFT), Step::Wait { delay: Duration::from_secs(20), hold: true });
        assert_eq!(step(4000, LEFT), Step::Wait { delay: Duration::from_secs(30), hold: true });
        assert_eq!(step(4000, Duration::from_secs(10)), Step::Wait { delay: Duration::from_secs(5), hold: true });
    }
}
