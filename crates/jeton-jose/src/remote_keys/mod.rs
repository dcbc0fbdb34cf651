//! The keys of an authorization server, fetched and kept.
//!
//! A cached key answers at once. The set is fetched again in the background when it is older than
//! five minutes, and when a token names a key that is not in it; however many requests ask, there is
//! one attempt at a time, at most every ten seconds, and one warning for each that fails. While the
//! authorization server cannot be reached, the cached keys go on working, for a day at most.

mod pace;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jeton_core::{Clock, SystemClock, Timestamp, presentable_url};
use reqwest::Client;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::discovery::{DiscoveryError, discover_issuer};
use crate::fetch::{FetchError, fetch_json};
use crate::plain_http::PlainHttp;
use crate::resolved_link::check_resolved_link;
use crate::{KeySet, VerifyingKey};
use pace::Pace;

/// The longest that an attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

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
    /// No answer in 20 seconds.
    #[error("the authorization server's keys could not be fetched in time")]
    TooSlow,
    /// No attempt has ended yet, or the last one was broken off.
    #[error("the authorization server's keys have not been fetched yet")]
    NotFetched,
}

struct Fetched {
    keys: KeySet,
    at: Timestamp,
}

struct Inner {
    location: KeysLocation,
    plain_http: PlainHttp,
    client: Client,
    clock: Arc<dyn Clock>,
    refresh_after: Duration,
    keep_for: Duration,
    cached: ArcSwapOption<Fetched>,
    last_error: ArcSwapOption<RemoteKeysError>,
    pace: Mutex<Pace>,
    /// Told when an attempt has ended.
    ended: watch::Sender<()>,
}

/// Keys of an authorization server. Clones share one cache.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Inner>);

/// How [`RemoteKeys`] are set up.
#[derive(Debug)]
pub struct RemoteKeysBuilder {
    location: KeysLocation,
    plain_http: PlainHttp,
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

    /// The least time between two fetches (10 seconds). After a failure the next attempt is made
    /// after a second, then two, four and so on up to this time.
    #[must_use]
    pub fn fetch_interval(mut self, interval: Duration) -> Self {
        self.fetch_interval = interval;
        self
    }

    /// Where keys may be fetched over plain http (loopback only).
    #[must_use]
    pub fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.plain_http = plain_http;
        self
    }

    /// Finishes; nothing is fetched before the first key is asked for.
    pub fn build(self) -> RemoteKeys {
        RemoteKeys(Arc::new(Inner {
            location: self.location,
            plain_http: self.plain_http,
            client: self.client,
            clock: self.clock,
            refresh_after: self.refresh_after,
            keep_for: self.keep_for,
            cached: ArcSwapOption::empty(),
            last_error: ArcSwapOption::empty(),
            pace: Mutex::new(Pace::new(self.fetch_interval)),
            ended: watch::Sender::new(()),
        }))
    }
}

impl RemoteKeys {
    /// Keys at `location`, fetched with `client`.
    pub fn builder(location: KeysLocation, client: Client) -> RemoteKeysBuilder {
        RemoteKeysBuilder {
            location,
            plain_http: PlainHttp::default(),
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
    /// [`RemoteKeysError`] when no keys are known and none can be fetched: why the last attempt
    /// failed.
    pub async fn find(
        &self,
        kid: Option<&str>,
    ) -> Result<Option<Arc<VerifyingKey>>, Arc<RemoteKeysError>> {
        let cached = self.usable();
        if let Some(cached) = &cached {
            if let Some(key) = cached.keys.find(kid) {
                if self.is_stale(cached) {
                    self.attempt();
                }
                return Ok(Some(Arc::clone(key)));
            }
            if self.pace().is_missing(kid, Instant::now()) {
                return Ok(None);
            }
        }
        let Some(mut attempt) = self.attempt() else {
            return match cached {
                Some(_) => Ok(None),
                None => Err(self.last_error()),
            };
        };
        // The sender lives as long as `self`.
        let _ = attempt.ended.changed().await;
        let now_cached = self.usable().ok_or_else(|| self.last_error())?;
        let found = now_cached.keys.find(kid).cloned();
        let is_new = cached.is_none_or(|before| !Arc::ptr_eq(&before, &now_cached));
        if found.is_none() && attempt.is_own && is_new {
            self.pace().note_missing(kid, Instant::now());
        }
        Ok(found)
    }

    fn usable(&self) -> Option<Arc<Fetched>> {
        self.0
            .cached
            .load_full()
            .filter(|cached| self.0.clock.now().since(cached.at) <= self.0.keep_for)
    }

    /// Older than it should be, or from the future: the clock was set back.
    fn is_stale(&self, cached: &Fetched) -> bool {
        let now = self.0.clock.now();
        now < cached.at || now.since(cached.at) >= self.0.refresh_after
    }

    fn last_error(&self) -> Arc<RemoteKeysError> {
        let error = self.0.last_error.load_full();
        error.unwrap_or_else(|| Arc::new(RemoteKeysError::NotFetched))
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.0.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The attempt that is under way, or a new one if that is due. It is a task of its own, so that
    /// a caller who hangs up does not end it.
    #[expect(
        clippy::disallowed_methods,
        reason = "the guard runs in other people's servers"
    )]
    fn attempt(&self) -> Option<Attempt> {
        let mut pace = self.pace();
        let is_own = pace.begin(Instant::now());
        if !pace.is_in_flight() {
            return None;
        }
        let ended = self.0.ended.subscribe();
        if is_own {
            let ending = Ending(self.clone());
            tokio::spawn(async move { ending.0.fetch().await });
        }
        Some(Attempt { ended, is_own })
    }

    async fn fetch(&self) {
        let at = self.0.clock.now();
        let fetched = timeout(ATTEMPT_TIMEOUT, self.fetch_now()).await;
        let error = match fetched.unwrap_or(Err(RemoteKeysError::TooSlow)) {
            Ok(keys) => {
                let fetched = Arc::new(Fetched { keys, at });
                self.0.cached.store(Some(fetched));
                self.0.last_error.store(None);
                self.pace().end(Instant::now(), true);
                return;
            }
            Err(error) => error,
        };
        let error = Arc::new(error);
        self.0.last_error.store(Some(Arc::clone(&error)));
        let next_attempt = self.pace().end(Instant::now(), false);
        let words = if self.usable().is_some() {
            "fetching the signing keys failed; the cached ones stay in use"
        } else {
            "fetching the signing keys failed; no token can be verified"
        };
        tracing::warn!(error = %Chain(&*error), ?next_attempt, "{words}");
    }

    async fn fetch_now(&self) -> Result<KeySet, RemoteKeysError> {
        let (client, plain_http) = (&self.0.client, self.0.plain_http);
        let uri = match &self.0.location {
            KeysLocation::JwksUri(uri) => {
                plain_http.check(uri)?;
                uri.clone()
            }
            KeysLocation::Issuer(issuer) => {
                let uri = discover_issuer(client, issuer, plain_http)
                    .await?
                    .jwks_uri
                    .ok_or_else(|| RemoteKeysError::NoJwksUri(presentable_url(issuer)))?;
                check_resolved_link(issuer, &uri, plain_http).await?;
                uri
            }
        };
        Ok(fetch_json(client, &uri).await?)
    }
}

/// An attempt to fetch the keys.
struct Attempt {
    ended: watch::Receiver<()>,
    /// Whether the caller's question made it begin.
    is_own: bool,
}

/// Tells that an attempt has ended, however it did.
struct Ending(RemoteKeys);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut pace = self.0.pace();
        if pace.is_in_flight() {
            pace.end(Instant::now(), false);
        }
        drop(pace);
        self.0.0.ended.send_replace(());
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
