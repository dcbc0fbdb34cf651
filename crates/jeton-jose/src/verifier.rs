//! From an unverified token to claims: RFC 9068 §4.

use std::time::Duration;

use jeton_core::{AccessTokenClaims, SigningAlgorithm, Timestamp};

use crate::{UnverifiedToken, VerifyingKey};

/// Why a token is not accepted. Each check has its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Not a JWT.
    #[error("the token is not a JWT")]
    Malformed,
    /// Another kind of JWT, for example an ID token.
    #[error("the token is not an access token: its typ is not at+jwt")]
    Type,
    /// An algorithm that is not allowed, or not the key's.
    #[error("the token is signed with an algorithm that is not accepted")]
    Algorithm,
    /// A header that must be understood and is not (RFC 7515 §4.1.11).
    #[error("the token has critical headers that are not understood")]
    Critical,
    /// No key with its `kid`.
    #[error("the token is signed with a key that the authorization server does not publish")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// A required claim is missing or of another type.
    #[error("the token lacks a required claim, or one has the wrong type")]
    Claims,
    /// Another issuer.
    #[error("the token was issued by another authorization server")]
    Issuer,
    /// For another resource.
    #[error("the token is meant for another resource")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// An ID token's nonce is not that of the request.
    #[error("the ID token belongs to another sign-in")]
    Nonce,
}

/// What a token has to be to be accepted.
#[derive(Debug, Clone)]
pub struct TokenVerifier {
    issuers: Vec<String>,
    audiences: Vec<String>,
    algorithms: Vec<SigningAlgorithm>,
    leeway: Duration,
}

impl TokenVerifier {
    /// The most leeway that can be set: one minute.
    pub const MAX_LEEWAY: Duration = Duration::from_secs(60);

    /// Accepts tokens of these issuers for these audiences, each compared to the character, signed
    /// with any algorithm that Jeton signs with, with 5 seconds of leeway for clocks that disagree.
    pub fn new(issuers: Vec<String>, audiences: Vec<String>) -> Self {
        Self {
            issuers,
            audiences,
            algorithms: SigningAlgorithm::ALL.to_vec(),
            leeway: Duration::from_secs(5),
        }
    }

    /// Accepts these algorithms only.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl Into<Vec<SigningAlgorithm>>) -> Self {
        self.algorithms = algorithms.into();
        self
    }

    /// How far clocks may disagree, at most [`Self::MAX_LEEWAY`].
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway.min(Self::MAX_LEEWAY);
        self
    }

    /// Checks what can be checked before a key is looked up, so that tokens of another kind cost no
    /// fetch.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Type`], [`VerifyError::Critical`], [`VerifyError::Algorithm`].
    pub fn precheck(&self, token: &UnverifiedToken<'_>) -> Result<(), VerifyError> {
        // RFC 9068 §4: "at+jwt" or "application/at+jwt"; media types compare without case.
        let is_access_token = token.typ().is_some_and(|typ| {
            typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
        });
        if !is_access_token {
            return Err(VerifyError::Type);
        }
        if token.has_critical_headers() {
            return Err(VerifyError::Critical);
        }
        if self
            .algorithms
            .iter()
            .any(|algorithm| algorithm.as_str() == token.alg())
        {
            Ok(())
        } else {
            Err(VerifyError::Algorithm)
        }
    }

    /// Verifies a token with its key, at `now`: RFC 9068 §4.
    ///
    /// # Errors
    ///
    /// [`VerifyError`].
    pub fn verify(
        &self,
        token: &UnverifiedToken<'_>,
        key: &VerifyingKey,
        now: Timestamp,
    ) -> Result<AccessTokenClaims, VerifyError> {
        let claims = self.verify_signed(token, key, now)?;
        if !self.issuers.contains(&claims.iss) {
            return Err(VerifyError::Issuer);
        }
        if !self
            .audiences
            .iter()
            .any(|audience| claims.aud.contains(audience))
        {
            return Err(VerifyError::Audience);
        }
        Ok(claims)
    }

    /// Verifies everything but issuer and audience: for the authorization server, which knows its
    /// own tokens by their keys and judges those two itself.
    ///
    /// # Errors
    ///
    /// [`VerifyError`].
    pub fn verify_signed(
        &self,
        token: &UnverifiedToken<'_>,
        key: &VerifyingKey,
        now: Timestamp,
    ) -> Result<AccessTokenClaims, VerifyError> {
        self.precheck(token)?;
        // The key decides the algorithm, never the token alone.
        if key.algorithm().as_str() != token.alg() {
            return Err(VerifyError::Algorithm);
        }
        if !key.verifies(token.signed(), token.signature()) {
            return Err(VerifyError::Signature);
        }
        let claims: AccessTokenClaims =
            serde_json::from_slice(token.payload()).map_err(|_| VerifyError::Claims)?;
        let leeway = i64::try_from(self.leeway.as_secs()).unwrap_or(0);
        let now = now.as_seconds();
        if claims.exp.saturating_add(leeway) <= now {
            return Err(VerifyError::Expired);
        }
        if claims
            .nbf
            .is_some_and(|nbf| nbf.saturating_sub(leeway) > now)
        {
            return Err(VerifyError::NotYetValid);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OsEntropy, SigningKey};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
    use jeton_core::{Audience, KeyId};
    use serde_json::{Map, Value, json};

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn signing_key(algorithm: SigningAlgorithm) -> SigningKey {
        let pkcs8 = SigningKey::generate_pkcs8(algorithm).unwrap();
        let id = KeyId::generate(NOW, &OsEntropy).unwrap();
        SigningKey::from_pkcs8(id, algorithm, &pkcs8).unwrap()
    }

    fn claims() -> AccessTokenClaims {
        AccessTokenClaims {
            iss: "https://issuer.example".into(),
            sub: "m2m_1".into(),
            aud: Audience::Many(vec!["https://a.example/mcp".into(), "res_1".into()]),
            exp: NOW.as_seconds() + 60,
            iat: NOW.as_seconds(),
            nbf: Some(NOW.as_seconds()),
            jti: "1".into(),
            client_id: "m2m_1".into(),
            scope: "a b".parse().unwrap(),
            scopes: None,
            custom: Map::new(),
        }
    }

    fn verifier() -> TokenVerifier {
        TokenVerifier::new(
            vec!["https://issuer.example".into()],
            vec!["https://a.example/mcp".into()],
        )
    }

    /// Signs any header and payload, as an attacker with a key of its own could.
    fn forge(key: &SigningKey, header: &Value, payload: &Value) -> String {
        let signed = format!(
            "{}.{}",
            B64.encode(header.to_string()),
            B64.encode(payload.to_string())
        );
        let signature = key.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", B64.encode(signature))
    }

    fn outcome(key: &SigningKey, token: &str) -> Result<AccessTokenClaims, VerifyError> {
        let public = VerifyingKey::from_jwk(&key.public_jwk()).unwrap();
        let token = UnverifiedToken::parse(token).map_err(|_| VerifyError::Malformed)?;
        verifier().verify(&token, &public, NOW)
    }

    #[test]
    fn a_token_of_each_algorithm_verifies_with_its_published_key() {
        for algorithm in SigningAlgorithm::ALL {
            let key = signing_key(algorithm);
            let token = key.sign_access_token(&claims()).unwrap();
            assert_eq!(outcome(&key, &token), Ok(claims()), "{algorithm}");
        }
    }

    /// Jeton writes `nbf`, two minutes before `iat`; RFC 9068 §2.2 does not ask for it.
    #[test]
    fn a_token_verifies_with_nbf_and_without() {
        let key = signing_key(SigningAlgorithm::Es256);
        for nbf in [
            None,
            Some(NOW.as_seconds() - 120),
            Some(NOW.as_seconds() + 5),
        ] {
            let claims = AccessTokenClaims { nbf, ..claims() };
            let token = key.sign_access_token(&claims).unwrap();
            assert_eq!(outcome(&key, &token), Ok(claims));
        }
    }

    #[test]
    fn each_check_refuses_what_it_is_for() {
        let key = signing_key(SigningAlgorithm::Es256);
        let header = json!({"typ": "at+jwt", "alg": "ES256"});
        let changed = |name: &str, value: Value| {
            let mut payload = serde_json::to_value(claims()).unwrap();
            payload[name] = value;
            forge(&key, &header, &payload)
        };
        let with_header =
            |header: Value| forge(&key, &header, &serde_json::to_value(claims()).unwrap());
        for (token, expected) in [
            (
                with_header(json!({"typ": "JWT", "alg": "ES256"})),
                VerifyError::Type,
            ),
            (with_header(json!({"alg": "ES256"})), VerifyError::Type),
            (
                with_header(json!({"typ": "at+jwt", "alg": "none"})),
                VerifyError::Algorithm,
            ),
            (
                with_header(json!({"typ": "at+jwt", "alg": "HS256"})),
                VerifyError::Algorithm,
            ),
            (
                with_header(json!({"typ": "at+jwt", "alg": "RS256"})),
                VerifyError::Algorithm,
            ),
            (
                with_header(json!({"typ": "at+jwt", "alg": "ES256", "crit": ["b64"]})),
                VerifyError::Critical,
            ),
            (
                changed("iss", json!("https://issuer.example/")),
                VerifyError::Issuer,
            ),
            (
                changed("aud", json!("https://a.example")),
                VerifyError::Audience,
            ),
            (changed("aud", json!([])), VerifyError::Audience),
            (
                changed("exp", json!(NOW.as_seconds() - 5)),
                VerifyError::Expired,
            ),
            (
                changed("nbf", json!(NOW.as_seconds() + 6)),
                VerifyError::NotYetValid,
            ),
            (changed("exp", json!("soon")), VerifyError::Claims),
            (changed("sub", Value::Null), VerifyError::Claims),
            (changed("jti", Value::Null), VerifyError::Claims),
        ] {
            assert_eq!(outcome(&key, &token), Err(expected.clone()), "{expected}");
        }
    }

    #[test]
    fn another_key_or_an_altered_byte_is_a_wrong_signature() {
        for algorithm in SigningAlgorithm::ALL {
            let key = signing_key(algorithm);
            let token = signing_key(algorithm).sign_access_token(&claims()).unwrap();
            assert_eq!(outcome(&key, &token), Err(VerifyError::Signature));
        }
    }

    #[test]
    fn texts_that_are_no_jwt_are_refused() {
        let long = "a.".repeat(10_000);
        for text in ["", "a", "a.b", "a.b.c", "....", "é.é.é", long.as_str()] {
            assert!(UnverifiedToken::parse(text).is_err());
        }
    }
}
