//! The keys of an authorization server, fetched and kept.
//!
//! A cached key answers at once. The set is fetched again in the background when it is older than
//! five minutes, and once when a token names a key that is not in it; however many unknown keys
//! arrive, a fetch is made at most every ten seconds. While the authorization server cannot be
//! reached, the cached keys go on working, for a day at most.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jeton_core::{Clock, SystemClock, Timestamp};
use reqwest::Client;
use tokio::sync::Mutex;

use crate::discovery::{DiscoveryError, discover_issuer};
use crate::fetch::{FetchError, fetch_json, is_trustworthy_url};
use crate::{KeySet, VerifyingKey};

/// Where the keys are.
#[derive(Debug, Clone)]
pub enum KeysLocation {
    /// At the `jwks_uri` of this issuer's metadata.
    Issuer(String),
    /// At this address.
    JwksUri(String),
}

/// Why no keys could be had.
#[derive(Debug, thiserror::Error)]
pub enum RemoteKeysError {
    /// The metadata.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The metadata names no keys.
    #[error("the metadata of {0} has no jwks_uri")]
    NoJwksUri(String),
    /// The keys themselves.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A fetch failed moments ago, and the next is not due yet.
    #[error("the authorization server's keys could not be fetched; the next try is due in seconds")]
    Waiting,
}

struct Fetched {
    keys: KeySet,
    at: Timestamp,
}

struct Inner {
    location: KeysLocation,
    client: Client,
    clock: Arc<dyn Clock>,
    refresh_after: Duration,
    keep_for: Duration,
    fetch_interval: Duration,
    retry_interval: Duration,
    cached: ArcSwapOption<Fetched>,
    /// When the last fetch began; holding it is the right to fetch.
    flight: Mutex<Option<Attempt>>,
}

#[derive(Clone, Copy)]
struct Attempt {
    at: Timestamp,
    failed: bool,
}

/// Keys of an authorization server. Clones share one cache.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Inner>);

/// How [`RemoteKeys`] are set up.
#[derive(Debug)]
pub struct RemoteKeysBuilder {
    location: KeysLocation,
    client: Client,
    clock: Arc<dyn Clock>,
    refresh_after: Duration,
    keep_for: Duration,
    fetch_interval: Duration,
}

impl RemoteKeysBuilder {
    /// Reads the time from `clock`.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The age from which on the set is fetched again in the background (5 minutes).
    #[must_use]
    pub fn refresh_after(mut self, age: Duration) -> Self {
        self.refresh_after = age;
        self
    }

    /// How long keys are used while the authorization server cannot be reached (24 hours).
    #[must_use]
    pub fn keep_for(mut self, age: Duration) -> Self {
        self.keep_for = age;
        self
    }

    /// The least time between two fetches for unknown keys (10 seconds).
    #[must_use]
    pub fn fetch_interval(mut self, interval: Duration) -> Self {
        self.fetch_interval = interval;
        self
    }

    /// Finishes; nothing is fetched before the first key is asked for.
    pub fn build(self) -> RemoteKeys {
        RemoteKeys(Arc::new(Inner {
            location: self.location,
            client: self.client,
            clock: self.clock,
            refresh_after: self.refresh_after,
            keep_for: self.keep_for,
            fetch_interval: self.fetch_interval,
            retry_interval: self.fetch_interval.min(Duration::from_secs(1)),
            cached: ArcSwapOption::empty(),
            flight: Mutex::new(None),
        }))
    }
}

impl RemoteKeys {
    /// Keys at `location`, fetched with `client`.
    pub fn builder(location: KeysLocation, client: Client) -> RemoteKeysBuilder {
        RemoteKeysBuilder {
            location,
            client,
            clock: Arc::new(SystemClock),
            refresh_after: Duration::from_secs(300),
            keep_for: Duration::from_secs(24 * 3600),
            fetch_interval: Duration::from_secs(10),
        }
    }

    /// The key for a token's `kid`; nothing if the authorization server does not publish it.
    ///
    /// # Errors
    ///
    /// [`RemoteKeysError`] when no keys are known and none can be fetched.
    pub async fn find(
        &self,
        kid: Option<&str>,
    ) -> Result<Option<Arc<VerifyingKey>>, RemoteKeysError> {
        if let Some(cached) = self.usable() {
            if let Some(key) = cached.keys.find(kid) {
                if self.age(&cached) >= self.0.refresh_after {
                    self.refresh_in_background();
                }
                return Ok(Some(Arc::clone(key)));
            }
            // Unknown: look again, if that was not done moments ago. A failure then is no reason to
            // doubt what is cached.
            if let Err(error) = self.fetch(self.0.fetch_interval).await {
                tracing::warn!(error = %Chain(&error), "fetching the signing keys again failed");
            }
            return Ok(self
                .usable()
                .and_then(|cached| cached.keys.find(kid).cloned()));
        }
        self.fetch(self.0.retry_interval).await?;
        let cached = self.usable().ok_or(RemoteKeysError::Waiting)?;
        Ok(cached.keys.find(kid).cloned())
    }

    fn usable(&self) -> Option<Arc<Fetched>> {
        self.0
            .cached
            .load_full()
            .filter(|cached| self.age(cached) <= self.0.keep_for)
    }

    fn age(&self, cached: &Fetched) -> Duration {
        self.0.clock.now().since(cached.at)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the guard runs in other people's servers"
    )]
    fn refresh_in_background(&self) {
        let keys = self.clone();
        tokio::spawn(async move {
            if let Err(error) = keys.fetch(keys.0.fetch_interval).await {
                tracing::warn!(error = %Chain(&error), "refreshing the signing keys failed; the cached ones stay in use");
            }
        });
    }

    /// Fetches the set, unless the last fetch began less than `interval` ago. One flight serves all
    /// who ask meanwhile.
    async fn fetch(&self, interval: Duration) -> Result<(), RemoteKeysError> {
        let mut attempt = self.0.flight.lock().await;
        let now = self.0.clock.now();
        match *attempt {
            Some(last) if now.since(last.at) < interval => {
                return if last.failed {
                    Err(RemoteKeysError::Waiting)
                } else {
                    Ok(())
                };
            }
            _ => {}
        }
        let fetched = self.fetch_now().await;
        *attempt = Some(Attempt {
            at: now,
            failed: fetched.is_err(),
        });
        self.0.cached.store(Some(Arc::new(Fetched {
            keys: fetched?,
            at: now,
        })));
        Ok(())
    }

    async fn fetch_now(&self) -> Result<KeySet, RemoteKeysError> {
        let client = &self.0.client;
        let uri = match &self.0.location {
            KeysLocation::JwksUri(uri) => uri.clone(),
            KeysLocation::Issuer(issuer) => discover_issuer(client, issuer)
                .await?
                .jwks_uri
                .ok_or_else(|| RemoteKeysError::NoJwksUri(issuer.clone()))?,
        };
        if !is_trustworthy_url(&uri) {
            return Err(FetchError::Insecure(uri).into());
        }
        Ok(fetch_json(client, &uri).await?)
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteKeys").field(&self.0.location).finish()
    }
}

/// An error with its causes on one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
