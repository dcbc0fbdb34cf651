//! The answer to a token request that succeeded (OAuth 2.1 §3.2.3).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ScopeSet;

/// How a token is used; Jeton's are bearer tokens (RFC 6750).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenType {
    /// Whoever holds it may use it.
    #[serde(alias = "bearer")]
    Bearer,
}

/// From how many bytes on a token is long. It travels in a header, and stock servers refuse headers over 8 kB
/// (nginx) or 16 kB (Node).
pub const LONG_TOKEN: usize = 6_000;

/// A successful token response.
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenResponse {
    /// The token.
    pub access_token: String,
    /// How to use it.
    pub token_type: TokenType,
    /// How long it lives, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<i64>,
    /// What it permits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeSet>,
}

impl TokenResponse {
    /// Its JSON text, as serde writes it. A JWT has nothing to escape, so that it need not be gone
    /// through letter by letter.
    ///
    /// # Errors
    ///
    /// None that is known: every value of these types has a JSON form.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let rest = Self {
            access_token: String::new(),
            scope: self.scope.clone(),
            ..*self
        };
        let rest = serde_json::to_string(&rest)?;
        let (begin, end) = (
            r#"{"access_token":""#,
            rest.strip_prefix(r#"{"access_token":""#),
        );
        match end.filter(|_| is_plain(&self.access_token)) {
            Some(end) => Ok([begin, &self.access_token, end].concat()),
            None => serde_json::to_string(self),
        }
    }
}

/// Whether JSON has a text as it is (RFC 8259 §7).
fn is_plain(text: &str) -> bool {
    let escaped = |byte| byte < b' ' || byte == b'"' || byte == b'\\';
    // All of them, which is faster than stopping at the first.
    !text.bytes().fold(false, |any, byte| any | escaped(byte))
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse")
            .field("access_token", &"[redacted]")
            .field("token_type", &self.token_type)
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_json_is_what_serde_writes() {
        for access_token in ["eyJ0eXAi.eyJpc3Mi.c2ln-_", "", "a\"b", "a\\b", "a\nb", "é"] {
            for scope in [None, Some("todo:read todo:write")] {
                let response = TokenResponse {
                    access_token: access_token.to_owned(),
                    token_type: TokenType::Bearer,
                    expires_in: Some(3600),
                    scope: scope.map(|scope| scope.parse().unwrap()),
                };
                let expected = serde_json::to_string(&response).unwrap();
                assert_eq!(response.to_json().unwrap(), expected);
            }
        }
    }
}
