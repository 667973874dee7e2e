//! Whether work with a component computes, as far as its last requests tell.

use std::sync::atomic::{AtomicU8, Ordering};

/// Of one member, in one generation. A request that finds it at rest, as nearly all do, loads a byte.
///
/// It takes two requests in a row that compute, and each that does not undoes two: what requests of both kinds pass through
/// (whoever is first in the chain, above all) does not lean unless hardly any of them is a short one. A short request among
/// those that compute waits behind them; one that computes among short ones costs those a tick or two, once.
#[derive(Debug, Default)]
pub struct Leaning(AtomicU8);

const ENOUGH: u8 = 2;
const MOST: u8 = 4;

impl Leaning {
    pub fn is_to_compute(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= ENOUGH
    }

    /// A request was found to compute in its code.
    pub fn computed(&self) {
        // Two at once may count as one.
        self.0.store((self.0.load(Ordering::Relaxed) + 1).min(MOST), Ordering::Relaxed);
    }

    /// A request that it worked on did not compute there.
    pub fn passed(&self) {
        let seen = self.0.load(Ordering::Relaxed);
        if seen > 0 {
            self.0.store(seen.saturating_sub(2), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(requests: &str) -> bool {
        let leaning = Leaning::default();
        for request in requests.chars() {
            if request == 'c' { leaning.computed() } else { leaning.passed() }
        }
        leaning.is_to_compute()
    }

    #[test]
    fn what_computes_again_and_again_is_known() {
        assert!(!after("c") && after("cc") && after("cccccccc"));
        assert!(after("ccccs"), "one short request is forgiven");
        assert!(!after("ccccss"), "two are not");
    }

    #[test]
    fn what_computes_now_and_then_is_not() {
        assert!(!after("cs") && !after("csc") && !after("ccsc") && !after("cscscscscsc"));
        assert!(!after("ssssss"));
    }
}
