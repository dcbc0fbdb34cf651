//! A failure that is remembered, so that not everybody who asks runs into it anew.

use std::time::Duration;

use jeton_core::{Entropy as _, Timestamp};
use jeton_jose::OsEntropy;

use crate::AgentError;

/// The wait after a first failure; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait of Jeton's own making.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// The longest wait that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// The last failure in a row.
#[derive(Debug)]
pub(crate) struct Failure {
    error: AgentError,
    at: Timestamp,
    wait: Duration,
    in_a_row: u32,
}

impl Failure {
    /// `error`, after `before`. The wait is between half of what it could be and all of it, so
    /// that agents that failed together do not come back together.
    pub(crate) fn after(before: Option<&Self>, error: AgentError, now: Timestamp) -> Self {
        let in_a_row = before.map_or(0, |before| before.in_a_row.saturating_add(1));
        let longest = FIRST_WAIT
            .saturating_mul(2_u32.saturating_pow(in_a_row.min(10)))
            .min(LONGEST_WAIT);
        let asked = match &error {
            AgentError::Token(error) => error.retry_after().unwrap_or_default(),
            _ => Duration::ZERO,
        };
        Self {
            wait: (longest / 2 + longest / 2 * random_share() / 256).max(asked.min(LONGEST_ASKED)),
            error,
            at: now,
            in_a_row,
        }
    }

    /// The error, while it is too early to try again.
    pub(crate) fn in_force(&self, now: Timestamp) -> Option<&AgentError> {
        let waiting = now >= self.at && now.since(self.at) < self.wait;
        waiting.then_some(&self.error)
    }
}

/// An error with its causes, on one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let words = error.to_string();
        // Some tell their cause themselves.
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = error.source();
    }
    text
}

/// 0 to 255. Where the machine gives no randomness, the waits are the shortest.
fn random_share() -> u32 {
    let mut byte = [0];
    match OsEntropy.fill(&mut byte) {
        Ok(()) => byte.map(u32::from).into_iter().sum(),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_end() {
        let start = Timestamp::from_seconds(1_000);
        let mut last: Option<Failure> = None;
        for longest in [1, 2, 4, 8, 15, 15] {
            let failure = Failure::after(last.as_ref(), AgentError::Interrupted, start);
            let at = |millis| start.plus(Duration::from_millis(millis));
            assert!(failure.in_force(at(longest * 499)).is_some(), "{failure:?}");
            assert!(
                failure.in_force(at(longest * 1000)).is_none(),
                "{failure:?}"
            );
            assert!(failure.in_force(start.minus(FIRST_WAIT)).is_none());
            last = Some(failure);
        }
    }
}
