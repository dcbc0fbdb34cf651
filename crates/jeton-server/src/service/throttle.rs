//! Failed sign-ins are slowed down: by address of the account and by source.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jeton_core::Timestamp;

/// So many failures of one account are free.
const FREE_BY_ACCOUNT: u32 = 5;
/// So many of one source: behind a proxy, everybody comes from the same.
const FREE_BY_SOURCE: u32 = 50;
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
    fn wait(self, free: u32) -> Duration {
        match self.count.checked_sub(free) {
            None => Duration::ZERO,
            Some(over) => (FIRST_WAIT * 2_u32.saturating_pow(over.min(10))).min(MAX_WAIT),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct SignInThrottle {
    accounts: Throttle,
    sources: Throttle,
}

impl Default for SignInThrottle {
    fn default() -> Self {
        Self {
            accounts: Throttle::new(FREE_BY_ACCOUNT),
            sources: Throttle::new(FREE_BY_SOURCE),
        }
    }
}

impl SignInThrottle {
    /// Begins an attempt, or says how long it has to wait still. The attempt counts as a failure until
    /// it succeeds, so that many at once do not slip through before the first of them has failed.
    pub(crate) fn begin(
        &self,
        account: &str,
        source: &str,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let waits = [
            self.accounts.wait(account, now),
            self.sources.wait(source, now),
        ];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        self.accounts.failed(account, now);
        self.sources.failed(source, now);
        Ok(())
    }

    /// The attempt succeeded.
    pub(crate) fn succeeded(&self, account: &str, source: &str) {
        self.accounts.succeeded(account);
        self.sources.succeeded(source);
    }
}

#[derive(Debug)]
struct Throttle {
    free: u32,
    failures: Mutex<HashMap<String, Failures>>,
}

impl Throttle {
    fn new(free: u32) -> Self {
        Self {
            free,
            failures: Mutex::default(),
        }
    }

    /// How long this key has to wait still, if it has to.
    fn wait(&self, key: &str, now: Timestamp) -> Option<Duration> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = failures.get(key)?;
        let wait = failures
            .wait(self.free)
            .saturating_sub(now.since(failures.last));
        (!wait.is_zero()).then_some(wait)
    }

    /// Counts a failure.
    fn failed(&self, key: &str, now: Timestamp) {
        let mut all = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
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
    fn succeeded(&self, key: &str) {
        let mut all = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_failures_and_end_with_success() {
        let throttle = Throttle::new(FREE_BY_ACCOUNT);
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

    #[test]
    fn attempts_at_the_same_moment_count_before_they_have_failed() {
        let throttle = SignInThrottle::default();
        let now = Timestamp::from_seconds(1_000);
        let begun = (0..100)
            .filter(|_| throttle.begin("ada", "192.0.2.1", now).is_ok())
            .count();
        assert_eq!(begun, 5);
        // Others behind the same proxy are not hindered yet.
        assert!(throttle.begin("grace", "192.0.2.1", now).is_ok());
        throttle.succeeded("ada", "192.0.2.1");
        assert!(throttle.begin("ada", "192.0.2.1", now).is_ok());
    }
}
