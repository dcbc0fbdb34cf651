//! How many events of refusals may be recorded: so many at once, and so many a second.

use std::time::Duration;

use tokio::time::Instant;

use super::refusals::Refused;

/// A bucket of permits, refilled at a steady rate.
#[derive(Debug)]
pub(crate) struct Allowance {
    permits: u32,
    most: u32,
    every: Duration,
    refilled: Instant,
}

impl Allowance {
    /// `docs/operations.md` states what follows for the growth of the log.
    pub(crate) fn of(who: Refused, now: Instant) -> Self {
        let (most, every) = match who {
            Refused::Stranger => (120, Duration::from_secs(1)),
            Refused::Known => (600, Duration::from_millis(200)),
        };
        Self {
            permits: most,
            most,
            every,
            refilled: now,
        }
    }

    /// Takes a permit, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.refilled);
        let refill = passed.as_nanos() / self.every.as_nanos().max(1);
        let refill = u32::try_from(refill).unwrap_or(u32::MAX);
        if refill >= self.most - self.permits {
            (self.permits, self.refilled) = (self.most, now);
        } else {
            self.permits += refill;
            self.refilled += self.every * refill;
        }
        let taken = self.permits > 0;
        self.permits -= u32::from(taken);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_come_back_one_by_one_and_never_more_than_at_first() {
        let begin = Instant::now();
        let mut allowance = Allowance::of(Refused::Stranger, begin);
        let taken = |allowance: &mut Allowance, at: u64| {
            let now = begin + Duration::from_millis(at);
            (0..1_000).filter(|_| allowance.take(now)).count()
        };
        assert_eq!(taken(&mut allowance, 0), 120);
        assert_eq!(taken(&mut allowance, 900), 0);
        assert_eq!(taken(&mut allowance, 2_500), 2);
        assert_eq!(taken(&mut allowance, 3_000), 1);
        assert_eq!(taken(&mut allowance, 86_400_000), 120);
    }
}
