//! Guessing passwords is slowed down, without locking out whoever knows theirs.
//!
//! Failures count by source and account, by source, and by account. Somebody who attacks an account
//! from many sources would lock it; so a browser in which its admin signed in before holds a device
//! cookie, and attempts with it count by device alone (OWASP's device cookies).

use std::time::Duration;

use jeton_core::AdminId;
use tokio::time::Instant;

use super::device::Device;
use super::throttle::{Limit, Throttle};
use crate::source_network::SourceNetwork;

/// `free` failures, then 5 seconds, doubling up to 15 minutes; forgotten after an hour.
const fn limit(free: u32) -> Limit {
    Limit {
        free,
        first_wait: Duration::from_secs(5),
        max_wait: Duration::from_secs(15 * 60),
        forget_after: Duration::from_secs(60 * 60),
    }
}

/// For one account from one source.
const BY_SOURCE_AND_ACCOUNT: Limit = limit(5);
/// For one source, whatever the accounts: many people may share it.
const BY_SOURCE: Limit = limit(50);
/// For one account, from all sources without a device cookie together.
const BY_ACCOUNT: Limit = limit(100);
/// For one device that is known.
const BY_DEVICE: Limit = limit(10);

/// Whose password is tried. Unknown addresses count apart, so that inventing them pushes no known
/// one out of the table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Account {
    /// An admin's.
    Known(AdminId),
    /// Nobody's.
    Unknown(String),
}

/// One attempt to sign in.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) account: Account,
    pub(crate) source: SourceNetwork,
    /// The device, where the account's admin signed in on it before.
    pub(crate) device: Option<Device>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct SignInThrottle {
    pairs: Throttle<(SourceNetwork, Account)>,
    sources: Throttle<SourceNetwork>,
    admins: Throttle<AdminId>,
    others: Throttle<String>,
    devices: Throttle<Device>,
}

impl Default for SignInThrottle {
    fn default() -> Self {
        Self {
            pairs: Throttle::new(BY_SOURCE_AND_ACCOUNT),
            sources: Throttle::new(BY_SOURCE),
            admins: Throttle::new(BY_ACCOUNT),
            others: Throttle::new(BY_ACCOUNT),
            devices: Throttle::new(BY_DEVICE),
        }
    }
}

impl SignInThrottle {
    /// Begins an attempt, or says how long it still has to wait. The attempt counts as a failure
    /// until it succeeds, so that many at once do not slip through before the first has failed.
    pub(crate) fn begin(&self, attempt: &Attempt, now: Instant) -> Result<(), Duration> {
        if let Some(device) = &attempt.device {
            if let Some(wait) = self.devices.wait(device, now) {
                return Err(wait);
            }
            self.devices.failed(device, now);
            return Ok(());
        }
        let pair = (attempt.source, attempt.account.clone());
        let by_account = match &attempt.account {
            Account::Known(admin) => self.admins.wait(admin, now),
            Account::Unknown(other) => self.others.wait(other, now),
        };
        let waits = [
            self.pairs.wait(&pair, now),
            self.sources.wait(&attempt.source, now),
            by_account,
        ];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        self.pairs.failed(&pair, now);
        self.sources.failed(&attempt.source, now);
        match &attempt.account {
            Account::Known(admin) => self.admins.failed(admin, now),
            Account::Unknown(other) => self.others.failed(other, now),
        }
        Ok(())
    }

    /// The attempt succeeded, or was not made after all. What others did from the same source or to
    /// the same account still counts.
    pub(crate) fn succeeded(&self, attempt: &Attempt) {
        if let Some(device) = &attempt.device {
            self.devices.forget(device);
            return;
        }
        self.pairs
            .forget(&(attempt.source, attempt.account.clone()));
        self.sources.take_back(&attempt.source);
        match &attempt.account {
            Account::Known(admin) => self.admins.take_back(admin),
            Account::Unknown(other) => self.others.take_back(other),
        }
    }

    /// The password was right, and a second factor is asked for: the attempt was no failure, and failures before it
    /// still count. Otherwise whoever knows the password could guess codes without end.
    pub(crate) fn half_succeeded(&self, attempt: &Attempt) {
        if let Some(device) = &attempt.device {
            self.devices.take_back(device);
            return;
        }
        self.pairs
            .take_back(&(attempt.source, attempt.account.clone()));
        self.sources.take_back(&attempt.source);
        if let Account::Known(admin) = &attempt.account {
            self.admins.take_back(admin);
        }
    }

    /// The same for a sign-in that is not by password: a failure of the source's, until
    /// [`Self::source_succeeded`].
    pub(crate) fn begin_from(&self, source: SourceNetwork, now: Instant) -> Result<(), Duration> {
        if let Some(wait) = self.sources.wait(&source, now) {
            return Err(wait);
        }
        self.sources.failed(&source, now);
        Ok(())
    }

    /// Takes back what [`Self::begin_from`] counted.
    pub(crate) fn source_succeeded(&self, source: SourceNetwork) {
        self.sources.take_back(&source);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use jeton_core::Timestamp;
    use jeton_jose::OsEntropy;

    use super::*;

    fn attempt(admin: AdminId, source: &str) -> Attempt {
        let source: IpAddr = source.parse().unwrap();
        Attempt {
            account: Account::Known(admin),
            source: source.into(),
            device: None,
        }
    }

    fn admin() -> AdminId {
        AdminId::generate(Timestamp::from_seconds(1_000), &OsEntropy).unwrap()
    }

    #[test]
    fn attempts_at_the_same_moment_count_before_they_have_failed() {
        let throttle = SignInThrottle::default();
        let now = Instant::now();
        let (ada, grace) = (admin(), admin());
        let begun = (0..100)
            .filter(|_| throttle.begin(&attempt(ada, "192.0.2.1"), now).is_ok())
            .count();
        assert_eq!(begun, 5);
        // Others behind the same proxy are not hindered yet, nor is she anywhere else.
        assert!(throttle.begin(&attempt(grace, "192.0.2.1"), now).is_ok());
        assert!(throttle.begin(&attempt(ada, "192.0.2.2"), now).is_ok());
    }

    #[test]
    fn a_right_password_does_not_forget_wrong_codes() {
        let throttle = SignInThrottle::default();
        let now = Instant::now();
        let ada = attempt(admin(), "192.0.2.1");
        let known = Attempt {
            device: Some(Device::for_tests("a")),
            ..ada.clone()
        };
        for (attempt, codes) in [(ada, 5), (known, 10)] {
            for _ in 0..codes {
                throttle.begin(&attempt, now).unwrap();
                throttle.half_succeeded(&attempt);
                throttle.begin(&attempt, now).unwrap();
            }
            assert!(throttle.begin(&attempt, now).is_err());
        }
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_of_64_bits_are_one_source() {
        let throttle = SignInThrottle::default();
        let now = Instant::now();
        let begun = (0..1_000_u128)
            .filter(|host| {
                let network = 0x2001_0db8_u128 << 96;
                let source = Ipv6Addr::from_bits(network | host << 32).to_string();
                throttle.begin(&attempt(admin(), &source), now).is_ok()
            })
            .count();
        assert_eq!(begun, 50);
    }

    #[test]
    fn an_account_under_attack_from_everywhere_is_open_to_a_device_that_is_known() {
        let throttle = SignInThrottle::default();
        let now = Instant::now();
        let ada = admin();
        for source in 0..1_000_u32 {
            let source = std::net::Ipv4Addr::from_bits(source).to_string();
            let _ = throttle.begin(&attempt(ada, &source), now);
        }
        let elsewhere = attempt(ada, "203.0.113.9");
        assert!(throttle.begin(&elsewhere, now).is_err());
        let known = Attempt {
            device: Some(Device::for_tests("a")),
            ..elsewhere.clone()
        };
        for _ in 0..100 {
            assert!(throttle.begin(&known, now).is_ok());
            throttle.succeeded(&known);
        }
        let begun = (0..100).filter(|_| throttle.begin(&known, now).is_ok());
        assert_eq!(begun.count(), 10, "a stolen cookie does not help to guess");
        // Nor does its success open the account to others.
        assert!(throttle.begin(&elsewhere, now).is_err());
    }
}
