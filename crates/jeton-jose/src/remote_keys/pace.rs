//! When keys are fetched: one attempt at a time, with a pause after each that grows while they
//! fail, and none for a key that was looked for in vain a moment ago.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// The most missing keys that are remembered.
const MAX_MISSING: usize = 1000;

/// How attempts follow one another.
#[derive(Debug)]
pub(super) struct Pace {
    /// The pause after a success, and the longest after a failure.
    interval: Duration,
    /// The pause after the first failure; it doubles with each further one.
    first_pause: Duration,
    in_flight: bool,
    failures: u32,
    next: Option<Instant>,
    /// Hashes of key IDs that a fresh set lacked, and until when that is believed.
    missing: HashMap<u64, Instant>,
    hasher: RandomState,
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            first_pause: interval.min(Duration::from_secs(1)),
            in_flight: false,
            failures: 0,
            next: None,
            missing: HashMap::new(),
            hasher: RandomState::new(),
        }
    }

    /// Whether an attempt is under way.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight
    }

    /// Begins an attempt, if none is under way and the next one is due.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        let is_due = self.next.is_none_or(|next| next <= now);
        let begins = is_due && !self.in_flight;
        self.in_flight |= begins;
        begins
    }

    /// Ends it; gives the pause before the next one.
    pub(super) fn end(&mut self, now: Instant, succeeded: bool) -> Duration {
        self.in_flight = false;
        let pause = if succeeded {
            self.failures = 0;
            self.interval
        } else {
            let doubled = 2_u32.saturating_pow(self.failures);
            self.failures = self.failures.saturating_add(1);
            self.first_pause.saturating_mul(doubled).min(self.interval)
        };
        self.next = Some(now + pause);
        pause
    }

    /// Whether the key was looked for in vain a moment ago.
    pub(super) fn is_missing(&self, kid: Option<&str>, now: Instant) -> bool {
        let until = self.missing.get(&self.hasher.hash_one(kid));
        until.is_some_and(|until| *until > now)
    }

    /// Remembers that a fresh set lacks the key.
    pub(super) fn note_missing(&mut self, kid: Option<&str>, now: Instant) {
        if self.missing.len() >= MAX_MISSING {
            self.missing.retain(|_, until| *until > now);
        }
        if self.missing.len() < MAX_MISSING {
            let until = now + self.interval.saturating_mul(6);
            self.missing.insert(self.hasher.hash_one(kid), until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_attempt_at_a_time_and_pauses_that_grow() {
        let mut pace = Pace::new(10 * SECOND);
        let mut now = Instant::now();
        for seconds in [1, 2, 4, 8, 10, 10] {
            assert!(pace.begin(now));
            assert!(!pace.begin(now), "one is under way");
            assert_eq!(pace.end(now, false), seconds * SECOND);
            assert!(!pace.begin(now + (seconds * SECOND).mul_f32(0.9)));
            now += seconds * SECOND;
        }
        assert!(pace.begin(now));
        assert_eq!(pace.end(now, true), 10 * SECOND);
        now += 10 * SECOND;
        assert!(pace.begin(now));
        assert_eq!(pace.end(now, false), SECOND, "begins anew");
    }

    #[test]
    fn missing_keys_are_remembered_for_a_minute_and_a_thousand_at_most() {
        let mut pace = Pace::new(10 * SECOND);
        let now = Instant::now();
        for number in 0..5_000 {
            pace.note_missing(Some(&number.to_string()), now);
        }
        assert_eq!(pace.missing.len(), MAX_MISSING);
        assert!(pace.is_missing(Some("1"), now + 59 * SECOND));
        assert!(!pace.is_missing(Some("1"), now + 60 * SECOND));
        assert!(!pace.is_missing(Some("4999"), now));
        pace.note_missing(Some("4999"), now + 60 * SECOND);
        assert_eq!(pace.missing.len(), 1);
    }
}
