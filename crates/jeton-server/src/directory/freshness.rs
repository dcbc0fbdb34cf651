//! Until when what is in memory may be believed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jeton_store::{ChangeFeed, Database};

/// How old, at most, what the memory says may be where changes are not heard of. With the time that
/// an answer takes it stays under the second that is promised.
pub(crate) const TRUST: Duration = Duration::from_millis(700);

/// Where every change is made by this process, memory is always right. Where other servers make
/// changes too, it is as long as they are heard.
#[derive(Debug)]
pub(crate) struct Freshness {
    begun: Instant,
    /// In milliseconds from `begun`.
    heard_until: AtomicU64,
}

impl Freshness {
    pub(crate) fn of(database: &Database) -> Self {
        let alone = !ChangeFeed::is_needed(database);
        Self {
            begun: Instant::now(),
            heard_until: AtomicU64::new(if alone { u64::MAX } else { 0 }),
        }
    }

    /// All changes before `moment` have been heard and followed.
    pub(crate) fn heard_everything_before(&self, moment: Instant) {
        let until = moment.duration_since(self.begun) + TRUST;
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.heard_until.store(until, Ordering::SeqCst);
    }

    /// The connection is lost: nothing is heard from here on.
    pub(crate) fn lost(&self) {
        self.heard_until.store(0, Ordering::SeqCst);
    }

    /// Whether changes are heard of, so that what is in memory is right.
    pub(crate) fn is_hearing(&self) -> bool {
        let until = self.heard_until.load(Ordering::SeqCst);
        until == u64::MAX || self.begun.elapsed().as_millis() < u128::from(until)
    }

    /// Whether something that was read at `moment` may still be believed.
    pub(crate) fn covers(&self, moment: Instant) -> bool {
        self.is_hearing() || moment.elapsed() < TRUST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_alone_is_always_right() {
        let freshness = Freshness::of(&Database::Sqlite("x".into()));
        assert!(freshness.is_hearing());
    }

    #[test]
    fn among_several_memory_is_right_only_while_changes_are_heard() {
        let postgres = jeton_store::Postgres {
            url: "postgres://h/d".to_owned().into(),
            notification_url: None,
            connections: 4,
        };
        let freshness = Freshness::of(&Database::Postgres(postgres));
        let now = Instant::now();
        assert!(!freshness.is_hearing(), "nothing was heard yet");
        assert!(freshness.covers(now), "what was just read is right");
        freshness.heard_everything_before(now);
        assert!(freshness.is_hearing());
        freshness.lost();
        assert!(!freshness.is_hearing());
        freshness.heard_everything_before(now);
        std::thread::sleep(TRUST);
        assert!(!freshness.is_hearing(), "and for a moment only");
        assert!(!freshness.covers(now));
    }
}
