//! How much was used in the last minute: a window that slides, in slots of ten seconds.
//!
//! A burst counts in full until a minute has passed since its slot; then it fades over ten seconds. So a minute never
//! lets more through than its limit, wherever it begins.

pub(crate) const SLOT_MS: u64 = 10_000;
/// Slots of a minute.
pub(crate) const SLOTS: usize = 6;

/// What was counted, slot by slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// Which ten seconds since 1970 `current` is about.
    pub slot: u64,
    pub current: i64,
    /// Those before it, the latest first.
    pub past: [i64; SLOTS],
}

pub(crate) fn slot(now_ms: u64) -> u64 {
    now_ms / SLOT_MS
}

impl Window {
    /// What counts at `now_ms`, which is in the current slot or later.
    pub(crate) fn used(&self, now_ms: u64) -> i64 {
        let since = slot(now_ms).saturating_sub(self.slot);
        let share = i64::try_from(SLOT_MS - now_ms % SLOT_MS).unwrap_or(0);
        let slots = std::iter::once(self.current).chain(self.past);
        let mut used = 0;
        for (age, count) in slots.enumerate() {
            let age = age as u64 + since;
            if age < SLOTS as u64 {
                used += count;
            } else if age == SLOTS as u64 {
                // Rounded up: a limit is a promise.
                used += (count * share + SLOT_MS as i64 - 1) / SLOT_MS as i64;
            }
        }
        used
    }

    /// Milliseconds until nothing is used, when nothing more comes: each answer tells it, so it is not searched for.
    fn empty_after(&self, now_ms: u64) -> u64 {
        let slots = std::iter::once(self.current).chain(self.past);
        let latest = slots.enumerate().find(|(_, count)| *count > 0);
        // The last of what fades counts until its ten seconds are over.
        let end = latest.map_or(0, |(age, _)| (self.slot + SLOTS as u64 + 1).saturating_sub(age as u64) * SLOT_MS);
        end.saturating_sub(now_ms)
    }

    /// Milliseconds until at most `most` is used, when nothing more comes.
    pub(crate) fn wait_ms(&self, most: i64, now_ms: u64) -> u64 {
        if most == 0 {
            return self.empty_after(now_ms);
        }
        if self.used(now_ms) <= most {
            return 0;
        }
        let last = (self.slot + SLOTS as u64 + 1) * SLOT_MS;
        let (mut low, mut high) = (now_ms, last.max(now_ms + 1));
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if self.used(middle) <= most { high = middle } else { low = middle }
        }
        high - now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(count: i64) -> Window {
        Window { slot: 100, current: count, past: [0; SLOTS] }
    }

    #[test]
    fn a_burst_counts_in_full_for_a_minute_and_then_fades() {
        let window = burst(100);
        for after in [0, 9_999, 10_000, 59_999] {
            assert_eq!(window.used(100 * SLOT_MS + after), 100, "{after}");
        }
        assert_eq!(window.used(106 * SLOT_MS), 100);
        assert_eq!(window.used(106 * SLOT_MS + 5_000), 50);
        assert_eq!(window.used(107 * SLOT_MS), 0);
    }

    #[test]
    fn no_minute_lets_more_through_than_the_limit() {
        // Somebody who takes whatever is free, every 100 ms, for five minutes.
        let (limit, mut window, mut taken) = (60, Window { slot: 0, ..Window::default() }, Vec::new());
        for now in (0..300_000).step_by(100) {
            while window.slot < slot(now) {
                window.past.rotate_right(1);
                window.past[0] = std::mem::take(&mut window.current);
                window.slot += 1;
            }
            let free = limit - window.used(now);
            if free > 0 {
                window.current += free;
                taken.push((now, free));
            }
        }
        let most = taken
            .iter()
            .map(|(from, _)| taken.iter().filter(|(at, _)| (*from..from + 60_000).contains(at)).map(|(_, n)| n).sum())
            .max();
        assert!(most <= Some(limit + limit / 6), "{most:?} in one minute");
        let all: i64 = taken.iter().map(|(_, count)| count).sum();
        assert!((240..=300).contains(&all), "{all} in five minutes");
    }

    #[test]
    fn the_wait_is_as_long_as_it_must_be() {
        let window = burst(100);
        let now = 100 * SLOT_MS + 3_000;
        let wait = window.wait_ms(99, now);
        assert!(window.used(now + wait) <= 99 && window.used(now + wait - 1) > 99);
        assert_eq!(now + window.wait_ms(0, now), 107 * SLOT_MS);
        assert_eq!(window.wait_ms(100, now), 0);
        // Until nothing is used is told without a search, and the search would find the same.
        for (current, past) in [(0, [0; SLOTS]), (3, [0; SLOTS]), (0, [0, 0, 7, 0, 1, 0]), (0, [0, 0, 0, 0, 0, 9])] {
            let window = Window { slot: 100, current, past };
            for since in [0, 1, 4_999, 9_999, 10_000, 25_000, 69_999, 70_000, 90_000] {
                let now = 100 * SLOT_MS + since;
                let wait = window.wait_ms(0, now);
                assert_eq!(window.used(now + wait), 0, "{window:?} {since}");
                assert!(wait == 0 || window.used(now + wait - 1) > 0, "{window:?} {since}");
            }
        }
    }
}
