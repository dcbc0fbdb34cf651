//! Failed sign-ins are slowed down: by address of the account and by source.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jeton_core::Timestamp;

/// So many failures are free.
const FREE: u32 = 5;
/// The wait after the first failure that is not; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const MAX_WAIT: Duration = Duration::from_secs(15 * 60);
/// Failures are forgotten after so long without another.
const FORGET_AFTER: Duration = Duration::from_secs(60 * 60);
const MAX_KEYS: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Failures {
    fn wait(self) -> Duration {
        match self.count.checked_sub(FREE) {
            None => Duration::ZERO,
            Some(over) => (FIRST_WAIT * 2_u32.saturating_pow(over.min(10))).min(MAX_WAIT),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<String, Failures>>);

impl Throttle {
    /// How long this key has to wait still, if it has to.
    pub(crate) fn wait(&self, key: &str, now: Timestamp) -> Option<Duration> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = failures.get(key)?;
        let wait = failures.wait().saturating_sub(now.since(failures.last));
        (!wait.is_zero()).then_some(wait)
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, key: &str, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_KEYS {
            all.retain(|_, failures| now.since(failures.last) < FORGET_AFTER);
        }
        if all.len() >= MAX_KEYS && !all.contains_key(key) {
            return;
        }
        let failures = all.entry(key.to_owned()).or_insert(Failures {
            count: 0,
            last: now,
        });
        if now.since(failures.last) >= FORGET_AFTER {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    /// Forgets the failures of a key that succeeded.
    pub(crate) fn succeeded(&self, key: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_failures_and_end_with_success() {
        let throttle = Throttle::default();
        let now = Timestamp::from_seconds(1_000);
        for _ in 0..4 {
            throttle.failed("ada", now);
        }
        assert_eq!(throttle.wait("ada", now), None);
        throttle.failed("ada", now);
        assert_eq!(throttle.wait("ada", now), Some(FIRST_WAIT));
        throttle.failed("ada", now);
        assert_eq!(throttle.wait("ada", now), Some(FIRST_WAIT * 2));
        assert_eq!(throttle.wait("ada", now.plus(FIRST_WAIT * 2)), None);
        for _ in 0..100 {
            throttle.failed("ada", now);
        }
        assert_eq!(throttle.wait("ada", now), Some(MAX_WAIT));
        assert_eq!(throttle.wait("grace", now), None);
        throttle.succeeded("ada");
        assert_eq!(throttle.wait("ada", now), None);
    }
}
