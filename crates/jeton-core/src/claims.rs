//! What an access token says: the JWT profile of RFC 9068.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ClientId, ScopeSet};

/// Claim names that a client's own claims may not use: RFC 7519 §4.1, RFC 9068 §2.2 and those
/// that change how a token is read.
pub const RESERVED_CLAIMS: [&str; 21] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "scope",
    "scopes",
    "cnf",
    "act",
    "may_act",
    "auth_time",
    "acr",
    "amr",
    "azp",
    "sid",
    "nonce",
    "events",
    "typ",
];

/// Why claims of a client's own are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustomClaimsError {
    /// A name that Jeton sets itself.
    #[error("the claim {0:?} is set by the authorization server and cannot be a custom claim")]
    Reserved(String),
    /// Over 4,096 bytes of JSON, or over 32 claims.
    #[error("custom claims are at most 32, and at most 4096 bytes of JSON together")]
    TooLarge,
    /// An empty name, or one over 100 characters.
    #[error("a claim's name has 1 to 100 characters")]
    Name,
}

/// Claims of a client's own, copied into each of its tokens.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CustomClaims(Map<String, Value>);

impl CustomClaims {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The claims.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl TryFrom<Map<String, Value>> for CustomClaims {
    type Error = CustomClaimsError;

    fn try_from(claims: Map<String, Value>) -> Result<Self, CustomClaimsError> {
        if let Some(name) = claims
            .keys()
            .find(|name| RESERVED_CLAIMS.contains(&name.as_str()))
        {
            return Err(CustomClaimsError::Reserved(name.clone()));
        }
        if claims
            .keys()
            .any(|name| name.is_empty() || name.chars().count() > 100)
        {
            return Err(CustomClaimsError::Name);
        }
        let size = serde_json::to_string(&claims).map_or(usize::MAX, |json| json.len());
        if claims.len() > 32 || size > 4096 {
            return Err(CustomClaimsError::TooLarge);
        }
        Ok(Self(claims))
    }
}

impl<'de> Deserialize<'de> for CustomClaims {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer)?
            .try_into()
            .map_err(serde::de::Error::custom)
    }
}

/// A JWT's `aud`: one text or a list (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Audience {
    /// Whether `name` is in it, to the character.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Many(many) => many.iter().any(|one| one == name),
        }
    }
}

/// The claims of an access token (RFC 9068 §2.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessTokenClaims {
    /// Who issued it.
    pub iss: String,
    /// Whom it is about: with client credentials, the client.
    pub sub: String,
    /// Whom it is for.
    pub aud: Audience,
    /// When it expires, in seconds since the Unix epoch.
    pub exp: i64,
    /// When it was issued, in seconds since the Unix epoch.
    pub iat: i64,
    /// From when on it is valid, in seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Its own unique name.
    pub jti: String,
    /// The client it was issued to (RFC 8693 §4.3).
    pub client_id: String,
    /// What it permits (RFC 8693 §4.2).
    #[serde(default)]
    pub scope: ScopeSet,
    /// The same as an array, in the compatible profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// The client's own claims.
    #[serde(flatten)]
    pub custom: Map<String, Value>,
}

impl AccessTokenClaims {
    /// The client as one of Jeton's IDs, if it is one.
    pub fn parsed_client_id(&self) -> Option<ClientId> {
        self.client_id.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reserved_names_are_refused_by_name() {
        for name in RESERVED_CLAIMS {
            let claims = Map::from_iter([(name.to_owned(), json!(1))]);
            assert_eq!(
                CustomClaims::try_from(claims),
                Err(CustomClaimsError::Reserved(name.into()))
            );
        }
    }

    #[test]
    fn too_much_is_refused() {
        let large = Map::from_iter([("team".to_owned(), json!("x".repeat(5000)))]);
        assert_eq!(
            CustomClaims::try_from(large),
            Err(CustomClaimsError::TooLarge)
        );
        let unnamed = Map::from_iter([(String::new(), json!(1))]);
        assert_eq!(
            CustomClaims::try_from(unnamed),
            Err(CustomClaimsError::Name)
        );
    }
}
