//! Wrong client secrets are answered less eagerly where one source presents many.
//!
//! The right secret is always served: it is compared first, and only the answer to a wrong one
//! changes. Secrets of 256 random bits cannot be guessed; what this saves is work for whoever reads
//! logs and graphs, and it tells a client that retries blindly to slow down.

use std::time::Duration;

use jeton_core::SecretOwner;
use tokio::time::Instant;

use super::throttle::{Limit, Throttle};
use crate::source_network::SourceNetwork;

const fn limit(free: u32) -> Limit {
    Limit {
        free,
        first_wait: Duration::from_secs(1),
        max_wait: Duration::from_secs(60),
        forget_after: Duration::from_secs(10 * 60),
    }
}

/// For one client from one source.
const BY_CLIENT: Limit = limit(20);
/// For one source, whatever the clients.
const BY_SOURCE: Limit = limit(200);

/// See the module.
#[derive(Debug)]
pub(crate) struct SecretThrottle {
    clients: Throttle<(SourceNetwork, Option<SecretOwner>)>,
    sources: Throttle<SourceNetwork>,
}

impl Default for SecretThrottle {
    fn default() -> Self {
        Self {
            clients: Throttle::new(BY_CLIENT),
            sources: Throttle::new(BY_SOURCE),
        }
    }
}

impl SecretThrottle {
    /// Counts a wrong secret; says how long to wait before the next one, where there were many.
    pub(crate) fn failed(
        &self,
        source: SourceNetwork,
        claimed: Option<SecretOwner>,
        now: Instant,
    ) -> Option<Duration> {
        let client = (source, claimed);
        let waits = [
            self.clients.wait(&client, now),
            self.sources.wait(&source, now),
        ];
        let wait = waits.into_iter().flatten().max();
        if wait.is_none() {
            self.clients.failed(&client, now);
            self.sources.failed(&source, now);
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_told_to_wait_after_twenty_for_one_client_or_two_hundred_in_all() {
        let (now, at) = (Instant::now(), jeton_core::Timestamp::from_seconds(1_000));
        let source = |text: &str| SourceNetwork::from(text.parse::<std::net::IpAddr>().unwrap());
        let throttle = SecretThrottle::default();
        let free = |source, claimed| {
            let answers = (0..1_000).map(|_| throttle.failed(source, claimed, now));
            answers.take_while(Option::is_none).count()
        };
        assert_eq!(free(source("192.0.2.1"), None), 20);
        assert_eq!(free(source("192.0.2.2"), None), 20, "others are free");
        for _ in 0..9 {
            let client = jeton_core::ClientId::generate(at, &jeton_jose::OsEntropy).unwrap();
            free(source("192.0.2.1"), Some(SecretOwner::Client(client)));
        }
        let client = jeton_core::ClientId::generate(at, &jeton_jose::OsEntropy).unwrap();
        assert_eq!(
            free(source("192.0.2.1"), Some(SecretOwner::Client(client))),
            0
        );
    }
}
