//! Failures are counted by key, and each one beyond those that are free costs a wait that doubles.
//!
//! Time is the machine's own, which nobody who sets a clock moves. The table is bounded, and forgets whoever failed longest ago. (`governor`'s keyed limiter, which
//! would otherwise do, has no bound that evicts.)

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The most keys that are remembered.
const MAX_KEYS: usize = 10_000;

/// How failures are limited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// Failures that cost nothing.
    pub(super) free: u32,
    /// The wait after the first that does; it doubles with each further one.
    pub(super) first_wait: Duration,
    /// The longest wait.
    pub(super) max_wait: Duration,
    /// Failures are forgotten after so long without another.
    pub(super) forget_after: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
    /// Its place in the order of failing.
    place: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Throttle<K> {
    limit: Limit,
    table: Mutex<Table<K>>,
}

#[derive(Debug)]
struct Table<K> {
    failures: HashMap<K, Failures>,
    /// The keys, longest ago first.
    order: BTreeMap<u64, K>,
    next_place: u64,
}

impl<K: Clone + Eq + Hash> Throttle<K> {
    pub(super) fn new(limit: Limit) -> Self {
        Self {
            limit,
            table: Mutex::new(Table {
                failures: HashMap::new(),
                order: BTreeMap::new(),
                next_place: 0,
            }),
        }
    }

    /// How long this key still has to wait, if it has to.
    pub(super) fn wait(&self, key: &K, now: Instant) -> Option<Duration> {
        let table = self.table();
        let failures = table.failures.get(key)?;
        let over = failures.count.checked_sub(self.limit.free)?;
        let wait = self.limit.first_wait * 2_u32.saturating_pow(over.min(10));
        let wait = wait.min(self.limit.max_wait);
        let wait = wait.saturating_sub(now.saturating_duration_since(failures.last));
        (!wait.is_zero()).then_some(wait)
    }

    /// Counts a failure.
    pub(super) fn failed(&self, key: &K, now: Instant) {
        let mut table = self.table();
        let before = table.remove(key);
        let count = before
            .filter(|before| now.saturating_duration_since(before.last) < self.limit.forget_after)
            .map_or(0, |before| before.count);
        if table.failures.len() >= MAX_KEYS
            && let Some((_, oldest)) = table.order.pop_first()
        {
            table.failures.remove(&oldest);
        }
        table.insert(key, count.saturating_add(1), now);
    }

    /// Takes a failure back that was none.
    pub(super) fn take_back(&self, key: &K) {
        let mut table = self.table();
        if let Some(failures) = table.failures.get_mut(key) {
            failures.count = failures.count.saturating_sub(1);
            if failures.count == 0 {
                table.remove(key);
            }
        }
    }

    /// Forgets the failures of a key that succeeded.
    pub(super) fn forget(&self, key: &K) {
        self.table().remove(key);
    }

    fn table(&self) -> MutexGuard<'_, Table<K>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> Table<K> {
    fn insert(&mut self, key: &K, count: u32, last: Instant) {
        let place = self.next_place;
        self.next_place += 1;
        self.order.insert(place, key.clone());
        self.failures
            .insert(key.clone(), Failures { count, last, place });
    }

    fn remove(&mut self, key: &K) -> Option<Failures> {
        let removed = self.failures.remove(key)?;
        self.order.remove(&removed.place);
        Some(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit {
        free: 5,
        first_wait: Duration::from_secs(5),
        max_wait: Duration::from_secs(900),
        forget_after: Duration::from_secs(3_600),
    };

    #[test]
    fn waits_grow_with_failures_and_end_with_success() {
        let throttle = Throttle::new(LIMIT);
        let now = Instant::now();
        for _ in 0..4 {
            throttle.failed(&"ada", now);
        }
        assert_eq!(throttle.wait(&"ada", now), None);
        throttle.failed(&"ada", now);
        assert_eq!(throttle.wait(&"ada", now), Some(LIMIT.first_wait));
        throttle.failed(&"ada", now);
        assert_eq!(throttle.wait(&"ada", now), Some(LIMIT.first_wait * 2));
        throttle.take_back(&"ada");
        assert_eq!(throttle.wait(&"ada", now), Some(LIMIT.first_wait));
        assert_eq!(throttle.wait(&"ada", now + LIMIT.first_wait), None);
        for _ in 0..100 {
            throttle.failed(&"ada", now);
        }
        assert_eq!(throttle.wait(&"ada", now), Some(LIMIT.max_wait));
        assert_eq!(throttle.wait(&"grace", now), None);
        throttle.forget(&"ada");
        assert_eq!(throttle.wait(&"ada", now), None);
    }

    #[test]
    fn a_full_table_forgets_the_oldest_and_still_counts_the_newest() {
        let throttle = Throttle::new(LIMIT);
        let now = Instant::now();
        for key in 0..MAX_KEYS + 10 {
            for _ in 0..LIMIT.free {
                throttle.failed(&key, now);
            }
        }
        assert_eq!(throttle.wait(&9, now), None, "the oldest are forgotten");
        assert!(throttle.wait(&10, now).is_some());
        assert!(throttle.wait(&(MAX_KEYS + 9), now).is_some());
        let table = throttle.table();
        assert_eq!(table.failures.len(), MAX_KEYS);
        assert_eq!(table.order.len(), MAX_KEYS);
    }
}
