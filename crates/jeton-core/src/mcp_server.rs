//! A registered MCP server: a protected resource with its scopes and token rules.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    Audience, DefinedScopes, Description, DisplayName, DurationError, McpServerId, ResourceUri,
    Scope, ScopeSet, SigningAlgorithm, Timestamp, excerpt, parse_duration,
};

/// How long an access token lives, in seconds: 60 to 86,400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TokenTtl(u32);

/// The lifetime asked for is outside 60 seconds to 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token lifetime is 60 to 86400 seconds (one minute to 24 hours), not {0}")]
pub struct TokenTtlError(i64);

impl TokenTtl {
    /// One hour.
    pub const DEFAULT: Self = Self(3600);

    /// The lifetime in seconds.
    pub const fn as_seconds(self) -> u32 {
        self.0
    }
}

impl Default for TokenTtl {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<i64> for TokenTtl {
    type Error = TokenTtlError;

    fn try_from(seconds: i64) -> Result<Self, TokenTtlError> {
        match u32::try_from(seconds) {
            Ok(in_range @ 60..=86_400) => Ok(Self(in_range)),
            _ => Err(TokenTtlError(seconds)),
        }
    }
}

/// As the command line writes it: a number of seconds, or a duration like `10m`.
impl FromStr for TokenTtl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = match parse_duration(text) {
            Ok(duration) => i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            Err(DurationError::NoUnit(seconds)) => i64::try_from(seconds).unwrap_or(i64::MAX),
            Err(DurationError::Malformed(text)) => {
                return Err(format!(
                    "expected a number of seconds, or a duration like 10m or 1h; found {}",
                    excerpt(&text)
                ));
            }
        };
        Self::try_from(seconds).map_err(|error| error.to_string())
    }
}

impl<'de> Deserialize<'de> for TokenTtl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The shape of the tokens for an MCP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenProfile {
    /// `aud` lists every name of the server and `scopes` repeats `scope` as an array, so that
    /// stock verifiers of every kind accept the token.
    #[default]
    Compatible,
    /// `aud` is the one resource, and there is no `scopes`.
    Strict,
}

impl TokenProfile {
    /// The name used in the store and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compatible => "compatible",
            Self::Strict => "strict",
        }
    }
}

impl FromStr for TokenProfile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "compatible" => Ok(Self::Compatible),
            "strict" => Ok(Self::Strict),
            _ => Err("expected compatible or strict".to_owned()),
        }
    }
}

/// A registered MCP server.
#[derive(Debug, Clone, PartialEq)]
pub struct McpServer {
    /// Its ID.
    pub id: McpServerId,
    /// What people call it.
    pub name: DisplayName,
    /// What it is for.
    pub description: Description,
    /// Its resource identifier.
    pub url: ResourceUri,
    /// Further URLs at which it is reached, in order.
    pub aliases: Vec<ResourceUri>,
    /// The scopes it defines, in order.
    pub scopes: DefinedScopes,
    /// How long tokens for it live.
    pub token_ttl: TokenTtl,
    /// What its tokens are signed with.
    pub signing_alg: SigningAlgorithm,
    /// The shape of its tokens.
    pub token_profile: TokenProfile,
    /// Whether its tokens name `{issuer}/resources/{id}` as `iss` instead of the issuer.
    pub own_issuer: bool,
    /// Whether it is Jeton's own admin API, which cannot be changed or deleted.
    pub system: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Counts its changes: the `ETag` of the admin API.
    pub version: i64,
}

impl McpServer {
    /// The most aliases of one server.
    pub const MAX_ALIASES: usize = 20;

    /// Its resource identifier, then its aliases.
    pub fn urls(&self) -> impl Iterator<Item = &ResourceUri> {
        std::iter::once(&self.url).chain(&self.aliases)
    }

    /// The longest of its URLs that covers `resource`.
    pub fn covering_url(&self, resource: &ResourceUri) -> Option<&ResourceUri> {
        let covering = self.urls().filter(|url| url.covers(resource));
        covering.max_by_key(|url| url.comparison_key().len())
    }

    /// The names of its scopes.
    pub fn scope_set(&self) -> ScopeSet {
        self.scopes.names().clone()
    }

    /// Whether `scope` is one of its scopes.
    pub fn defines(&self, scope: &Scope) -> bool {
        self.scopes.names().contains(scope)
    }

    /// The `iss` of its tokens under the server-wide `issuer`.
    pub fn token_issuer(&self, issuer: &str) -> String {
        if self.own_issuer {
            self.own_issuer_url(issuer)
        } else {
            issuer.to_owned()
        }
    }

    /// Its own issuer URL: `{issuer}/resources/{id}`.
    pub fn own_issuer_url(&self, issuer: &str) -> String {
        format!("{issuer}/resources/{}", self.id)
    }

    /// The `aud` of a token for it, RFC 9068 §2.2: in the strict profile the one resource (as asked
    /// for, else as registered); in the compatible profile the resource identifier, the alias that
    /// covers what was asked for, what was asked for, and the ID. So a verifier accepts the token that
    /// knows the server by any of these.
    pub fn audience(&self, asked: Option<&ResourceUri>) -> Audience {
        let as_asked = asked.map(ResourceUri::canonical);
        if self.token_profile == TokenProfile::Strict {
            return Audience::One(as_asked.unwrap_or(self.url.as_given()).to_owned());
        }
        let mut names = vec![self.url.as_given().to_owned()];
        let alias = asked
            .filter(|_| !self.aliases.is_empty())
            .and_then(|asked| self.covering_url(asked))
            .map(ResourceUri::as_given);
        for name in alias.into_iter().chain(as_asked) {
            if names.iter().all(|named| named != name) {
                names.push(name.to_owned());
            }
        }
        names.push(self.id.to_string());
        Audience::Many(names)
    }
}

impl fmt::Display for TokenTtl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_seconds_or_a_duration() {
        for (text, seconds) in [("600", 600), ("10m", 600), ("24h", 86_400), ("60s", 60)] {
            assert_eq!(text.parse::<TokenTtl>().unwrap().as_seconds(), seconds);
        }
        for bad in ["5", "1m30s", "2d", "soon", "-60", ""] {
            assert!(bad.parse::<TokenTtl>().is_err(), "{bad}");
        }
    }
}
