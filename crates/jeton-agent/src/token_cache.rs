//! A token with the time it is good for.

use std::fmt;
use std::time::Duration;

use jeton_core::{ScopeSet, Timestamp, TokenResponse};
use secrecy::{ExposeSecret, SecretString};

/// The lifetime assumed where the server names none.
const ASSUMED_LIFETIME: Duration = Duration::from_secs(60);
/// A token is renewed so long before it expires, or when a fifth of its lifetime is left.
const RENEW_AHEAD: Duration = Duration::from_secs(60);

/// An access token.
#[derive(Clone)]
pub struct AccessToken {
    token: SecretString,
    scope: Option<ScopeSet>,
    renew_at: Timestamp,
    expires_at: Timestamp,
}

impl AccessToken {
    /// RFC 6749 §5.1: an answer without `scope` grants what was asked for.
    pub(crate) fn new(response: TokenResponse, asked: Option<&ScopeSet>, now: Timestamp) -> Self {
        let lifetime = response
            .expires_in
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(ASSUMED_LIFETIME, Duration::from_secs);
        let ahead = RENEW_AHEAD.min(lifetime / 5);
        Self {
            token: SecretString::from(response.access_token),
            scope: response.scope.or_else(|| asked.cloned()),
            renew_at: now.plus(lifetime.saturating_sub(ahead)),
            expires_at: now.plus(lifetime),
        }
    }

    /// The token itself, to be sent as `Authorization: Bearer`.
    pub fn expose(&self) -> &str {
        self.token.expose_secret()
    }

    /// What it permits: what the server said, else what was asked for. Nothing where neither named
    /// any scope.
    pub fn scope(&self) -> Option<&ScopeSet> {
        self.scope.as_ref()
    }

    /// When it expires.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.renew_at
    }

    pub(crate) fn is_usable(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("token", &"[redacted]")
            .field("scope", &self.scope)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
