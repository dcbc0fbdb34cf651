//! How often something may be done in a span of time.

use std::time::Duration;

use jeton_core::Timestamp;

/// A number of times within a window, which begins with the first.
#[derive(Debug)]
pub(crate) struct Allowance {
    limit: u32,
    window: Duration,
    since: Timestamp,
    used: u32,
}

impl Allowance {
    pub(crate) fn new(limit: u32, window: Duration) -> Self {
        Self {
            limit,
            window,
            since: Timestamp::from_millis(i64::MIN),
            used: 0,
        }
    }

    /// Whether one is left in this window. A clock that went back begins a new window, because it
    /// says nothing about how long ago the last one began.
    pub(crate) fn is_left(&mut self, now: Timestamp) -> bool {
        if now < self.since || now.since(self.since) >= self.window {
            self.since = now;
            self.used = 0;
        }
        self.used < self.limit
    }

    /// Takes one; false where none is left in this window.
    pub(crate) fn take(&mut self, now: Timestamp) -> bool {
        let is_left = self.is_left(now);
        if is_left {
            self.used += 1;
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_up_comes_back_with_the_next_window() {
        let mut allowance = Allowance::new(2, Duration::from_secs(60));
        let start = Timestamp::from_seconds(1_000);
        let taken: Vec<bool> = [0, 1, 59, 60, 61, 62]
            .map(|at| allowance.take(start.plus(Duration::from_secs(at))))
            .into();
        assert_eq!(taken, [true, true, false, true, true, false]);
        assert!(allowance.take(start));
    }
}
