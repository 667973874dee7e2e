//! Rate limits: what a key or an address may use in a minute, counted in the runtime's store.
//!
//! Every count is an increment, which is exact however many instances and hosts share the store. Where one costs a write
//! to a disk (Spin's default store), requests are taken some at a time (`lease`), and counted here in between.

use std::collections::HashMap;

use serde::Deserialize;

use crate::state::{Away, Store};
use crate::window::{SLOTS, Window, slot};

/// What may be used in any minute. Absent means without limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Limits {
    #[serde(rename = "requests_per_minute")]
    pub requests: Option<u32>,
    #[serde(rename = "tokens_per_minute")]
    pub tokens: Option<u32>,
    #[serde(rename = "pictures_per_minute")]
    pub pictures: Option<u32>,
}

impl Limits {
    pub(crate) fn any(&self) -> bool {
        *self != Limits::default()
    }

    /// Whether something is limited that is known only after the answer.
    pub(crate) fn after(&self) -> bool {
        self.tokens.is_some() || self.pictures.is_some()
    }

    fn each(&self) -> [(Unit, Option<u32>); Unit::COUNT] {
        [(Unit::Requests, self.requests), (Unit::Tokens, self.tokens), (Unit::Pictures, self.pictures)]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Requests,
    Tokens,
    Pictures,
}

impl Unit {
    const COUNT: usize = 3;

    pub(crate) fn name(self) -> &'static str {
        match self {
            Unit::Requests => "requests",
            Unit::Tokens => "tokens",
            Unit::Pictures => "pictures",
        }
    }
}

/// How a limit stands, for the answer's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub unit: Unit,
    pub limit: u32,
    pub remaining: u32,
    /// Until nothing of it is used.
    pub reset_ms: u64,
}

/// A limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached {
    pub standing: Standing,
    pub wait_ms: u64,
}

/// A refusal is remembered this long without asking the store again, so that a flood costs little. A raised limit is
/// noticed after it.
const REMEMBER_MS: u64 = 1000;
/// Subjects remembered by one instance.
const SUBJECTS: usize = 4096;

/// What one instance knows of the counts.
#[derive(Default)]
pub(crate) struct Counts {
    known: HashMap<String, [Known; Unit::COUNT]>,
}

#[derive(Default)]
struct Known {
    window: Window,
    /// Requests counted in the store that none has used yet.
    lease: i64,
    refused_until_ms: u64,
}

impl Counts {
    /// Lets `count` requests in, and counts them; or tells which limit is reached, and lets none in. `lease` requests are
    /// taken at once.
    pub(crate) fn admit(
        &mut self,
        store: &Store,
        subject: &str,
        limits: &Limits,
        count: u32,
        lease: i64,
        now_ms: u64,
    ) -> Result<Result<Vec<Standing>, Reached>, Away> {
        let mut standings = Vec::with_capacity(2);
        let all = self.known(subject);
        for (unit, limit) in limits.each() {
            let Some(limit) = limit else { continue };
            let known = &mut all[unit as usize];
            known.bring_to(store, subject, unit, now_ms)?;
            let most = i64::from(limit);
            let lease = lease.min(most / 100).max(1);
            let count = if unit == Unit::Requests { i64::from(count) } else { 1 };
            let full = if now_ms < known.refused_until_ms {
                true
            } else if count > 1 {
                !known.take_all(store, subject, most, count, now_ms)?
            } else if unit == Unit::Requests {
                !known.take(store, subject, most, lease, now_ms)?
            } else {
                known.window.current = store.increment(&name(subject, unit, known.window.slot), 0)?;
                known.window.used(now_ms) >= most
            };
            let used = known.window.used(now_ms) - known.lease;
            let standing = Standing {
                unit,
                limit,
                remaining: u32::try_from(most - used).unwrap_or(0),
                reset_ms: known.window.wait_ms(0, now_ms),
            };
            if full {
                let wait_ms = known.window.wait_ms((most - count).max(0), now_ms).max(1);
                // Where many do not fit, fewer may.
                if count > 1 {
                    return Ok(Err(Reached { standing, wait_ms }));
                }
                known.refused_until_ms = now_ms + wait_ms.min(REMEMBER_MS);
                return Ok(Err(Reached { standing: Standing { remaining: 0, ..standing }, wait_ms }));
            }
            standings.push(standing);
        }
        Ok(Ok(standings))
    }

    /// Counts what an answer has used.
    pub(crate) fn used(
        &mut self,
        store: &Store,
        subject: &str,
        unit: Unit,
        count: u32,
        now_ms: u64,
    ) -> Result<(), Away> {
        let known = &mut self.known(subject)[unit as usize];
        known.bring_to(store, subject, unit, now_ms)?;
        known.window.current = store.increment(&name(subject, unit, known.window.slot), i64::from(count))?;
        Ok(())
    }

    /// What is known of a subject, by the unit.
    fn known(&mut self, subject: &str) -> &mut [Known; Unit::COUNT] {
        if self.known.len() >= SUBJECTS {
            self.known.clear();
        }
        self.known.entry(subject.to_owned()).or_default()
    }
}

impl Known {
    /// Begins the slot of `now_ms` where that is another one.
    fn bring_to(&mut self, store: &Store, subject: &str, unit: Unit, now_ms: u64) -> Result<(), Away> {
        let now = slot(now_ms);
        if self.window.slot != now {
            if self.lease > 0 {
                store.increment(&name(subject, unit, self.window.slot), -self.lease)?;
            }
            let mut window = Window { slot: now, ..Window::default() };
            for (age, past) in window.past.iter_mut().enumerate() {
                *past = store.increment(&name(subject, unit, now.saturating_sub(age as u64 + 1)), 0)?;
            }
            *self = Known { window, ..Known::default() };
        }
        Ok(())
    }

    /// Takes one request from the lease, or a new lease from the store. False when the limit is reached.
    fn take(&mut self, store: &Store, subject: &str, most: i64, lease: i64, now_ms: u64) -> Result<bool, Away> {
        if self.lease > 0 {
            self.lease -= 1;
            return Ok(true);
        }
        let key = name(subject, Unit::Requests, self.window.slot);
        self.window.current = store.increment(&key, lease)?;
        // Who begins a slot takes out the one that no longer counts.
        if self.window.current == lease {
            store.delete(&name(subject, Unit::Requests, self.window.slot.saturating_sub(SLOTS as u64 + 1)));
        }
        let over = (self.window.used(now_ms) - most).clamp(0, lease);
        if over > 0 {
            self.window.current = store.increment(&key, -over)?;
        }
        self.lease = lease - over;
        let taken = self.lease > 0;
        if taken {
            self.lease -= 1;
        }
        Ok(taken)
    }

    /// Takes so many requests, or none.
    fn take_all(&mut self, store: &Store, subject: &str, most: i64, count: i64, now_ms: u64) -> Result<bool, Away> {
        let key = name(subject, Unit::Requests, self.window.slot);
        let missing = count - self.lease;
        self.window.current = store.increment(&key, missing)?;
        if self.window.used(now_ms) > most {
            self.window.current = store.increment(&key, -missing)?;
            return Ok(false);
        }
        self.lease = 0;
        Ok(true)
    }
}

fn name(subject: &str, unit: Unit, slot: u64) -> String {
    [subject, "/", unit.name(), "/", &slot.to_string()].concat()
}

/// The address of a limit's subject: without its port, and of IPv6 the network that one customer gets.
pub(crate) fn address(client: &str) -> Option<String> {
    let client = client.trim();
    let address = client.parse::<std::net::SocketAddr>().map(|socket| socket.ip()).or_else(|_| client.parse()).ok()?;
    Some(match address.to_canonical() {
        std::net::IpAddr::V4(address) => format!("address/{address}"),
        std::net::IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("address/{a:x}:{b:x}:{c:x}:{d:x}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn requests(most: u32) -> Limits {
        Limits { requests: Some(most), ..Limits::default() }
    }

    fn let_in(counts: &mut Counts, store: &Store, limits: &Limits, lease: i64, now: u64) -> bool {
        counts.admit(store, "k", limits, 1, lease, now).expect("the store answers").is_ok()
    }

    #[test]
    fn as_many_as_the_limit_are_let_in_and_no_more() {
        for lease in [1, 7, 1000] {
            let store = Store::open("").expect("a store").expect("a store");
            // Three instances, or hosts, share one store.
            let mut instances = [Counts::default(), Counts::default(), Counts::default()];
            let limits = requests(1000);
            let mut all = 0;
            for turn in 0..3000 {
                all += usize::from(let_in(&mut instances[turn % 3], &store, &limits, lease, NOW + turn as u64 / 10));
            }
            assert!((1000 - 3 * lease.min(10) as usize..=1000).contains(&all), "{all} with a lease of {lease}");
            // A minute later some may come again.
            assert!(let_in(&mut instances[0], &store, &limits, lease, NOW + 70_000));
        }
    }

    #[test]
    fn a_refusal_tells_how_long_to_wait() {
        let store = Store::open("").expect("a store").expect("a store");
        let mut counts = Counts::default();
        let first = counts.admit(&store, "k", &requests(1), 1, 1, NOW).expect("a store").expect("let in");
        assert_eq!((first[0].limit, first[0].remaining), (1, 0));
        let reached = counts.admit(&store, "k", &requests(1), 1, 1, NOW).expect("a store").expect_err("refused");
        assert!((60_000..=70_000).contains(&reached.wait_ms), "{reached:?}");
        assert!(!let_in(&mut counts, &store, &requests(1), 1, NOW + reached.wait_ms - 1));
        assert!(let_in(&mut counts, &store, &requests(1), 1, NOW + reached.wait_ms));
    }

    #[test]
    fn many_are_let_in_together_or_not_at_all() {
        let store = Store::open("").expect("a store").expect("a store");
        let mut counts = Counts::default();
        let limits = requests(10);
        let mut ask = |count| counts.admit(&store, "k", &limits, count, 4, NOW).expect("the store answers");
        assert_eq!(ask(6).expect("let in")[0].remaining, 4);
        let reached = ask(5).expect_err("refused");
        assert_eq!((reached.standing.remaining, reached.wait_ms > 50_000), (4, true), "{reached:?}");
        // Fewer still fit.
        assert_eq!(ask(1).expect("let in")[0].remaining, 3);
        assert_eq!(ask(3).expect("let in")[0].remaining, 0);
        assert!(ask(1).is_err());
    }

    #[test]
    fn tokens_count_when_they_are_known() {
        let store = Store::open("").expect("a store").expect("a store");
        let limits = Limits { tokens: Some(100), ..Limits::default() };
        let (mut one, mut other) = (Counts::default(), Counts::default());
        assert!(let_in(&mut one, &store, &limits, 1, NOW));
        one.used(&store, "k", Unit::Tokens, 60, NOW).expect("a store");
        let standing = other.admit(&store, "k", &limits, 1, 1, NOW).expect("a store").expect("let in");
        assert_eq!((standing[0].unit, standing[0].remaining), (Unit::Tokens, 40));
        other.used(&store, "k", Unit::Tokens, 60, NOW).expect("a store");
        assert!(!let_in(&mut one, &store, &limits, 1, NOW + 5));
    }

    #[test]
    fn addresses_are_counted_without_their_ports() {
        assert_eq!(address("192.0.2.7:51000").as_deref(), Some("address/192.0.2.7"));
        assert_eq!(address("192.0.2.7").as_deref(), Some("address/192.0.2.7"));
        assert_eq!(address("[2001:db8:1:2:3::4]:443").as_deref(), Some("address/2001:db8:1:2"));
        assert_eq!(address("[::ffff:192.0.2.7]:1").as_deref(), Some("address/192.0.2.7"));
        assert_eq!(address("elsewhere"), None);
    }
}
