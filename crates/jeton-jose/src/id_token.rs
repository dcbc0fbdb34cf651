//! ID tokens of an `OpenID` Connect provider: who signed in there.

use jeton_core::{Audience, SigningAlgorithm, Timestamp};
use serde::Deserialize;

use crate::{UnverifiedToken, VerifyError, VerifyingKey};

/// How far clocks may disagree, in seconds.
const LEEWAY: i64 = 60;

/// What a verified ID token says (`OpenID` Connect Core §2, §5.1).
#[derive(Debug, Clone, Deserialize)]
pub struct IdTokenClaims {
    iss: String,
    aud: Audience,
    #[serde(default)]
    azp: Option<String>,
    exp: i64,
    #[serde(default)]
    nonce: Option<String>,
    /// When they were last asked there who they are, in seconds.
    #[serde(default)]
    pub auth_time: Option<i64>,
    /// Who, to the provider.
    pub sub: String,
    /// Their e-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// Whether the provider knows that the address is theirs.
    #[serde(default)]
    pub email_verified: Option<bool>,
    /// What people call them.
    #[serde(default)]
    pub name: Option<String>,
}

/// What an ID token has to fit.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedIdToken<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// This client, as the provider knows it.
    pub client_id: &'a str,
    /// What the authentication request carried.
    pub nonce: &'a str,
    /// What this client's ID tokens are signed with, whatever other keys the provider has.
    pub algorithm: SigningAlgorithm,
}

/// Verifies an ID token with its key, at `now`: `OpenID` Connect Core §3.1.3.7.
///
/// # Errors
///
/// [`VerifyError`].
pub fn verify_id_token(
    token: &UnverifiedToken<'_>,
    key: &VerifyingKey,
    expected: ExpectedIdToken<'_>,
    now: Timestamp,
) -> Result<IdTokenClaims, VerifyError> {
    if token.has_critical_headers() {
        return Err(VerifyError::Critical);
    }
    // §3.1.3.7 number 7: the algorithm is what was agreed on; and it is the key's.
    let agreed = expected.algorithm;
    if key.algorithm() != agreed || token.alg() != agreed.as_str() {
        return Err(VerifyError::Algorithm);
    }
    if !key.verifies(token.signed(), token.signature()) {
        return Err(VerifyError::Signature);
    }
    let claims: IdTokenClaims =
        serde_json::from_slice(token.payload()).map_err(|_| VerifyError::Claims)?;
    if claims.iss != expected.issuer {
        return Err(VerifyError::Issuer);
    }
    let is_authorized_party = match (&claims.aud, &claims.azp) {
        (_, Some(azp)) => azp == expected.client_id,
        (Audience::Many(many), None) => many.len() == 1,
        (Audience::One(_), None) => true,
    };
    if !claims.aud.contains(expected.client_id) || !is_authorized_party {
        return Err(VerifyError::Audience);
    }
    if claims.exp.saturating_add(LEEWAY) <= now.as_seconds() {
        return Err(VerifyError::Expired);
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(VerifyError::Nonce);
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jeton_core::{Clock as _, KeyId, SigningAlgorithm, SystemClock};
    use serde_json::{Value, json};

    use super::*;
    use crate::{OsEntropy, SigningKey};

    fn signed(key: &SigningKey, claims: &Value) -> String {
        let header = json!({ "alg": key.algorithm().as_str(), "kid": key.id().to_string() });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&header), part(claims));
        let signature = key.sign(text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn only_a_token_for_this_client_and_this_sign_in_is_accepted() {
        let now = SystemClock.now();
        let make = || {
            let id = KeyId::generate(now, &OsEntropy).unwrap();
            let pkcs8 = SigningKey::generate_pkcs8(SigningAlgorithm::Es256).unwrap();
            SigningKey::from_pkcs8(id, SigningAlgorithm::Es256, &pkcs8).unwrap()
        };
        let (key, other) = (make(), make());
        let verifying = VerifyingKey::from_jwk(&key.public_jwk()).unwrap();
        let expected = ExpectedIdToken {
            issuer: "https://login.example.com",
            client_id: "jeton",
            nonce: "n1",
            algorithm: SigningAlgorithm::Es256,
        };
        let check = |key: &SigningKey, change: Value| {
            let mut claims = json!({
                "iss": "https://login.example.com", "sub": "7", "aud": "jeton", "nonce": "n1",
                "exp": now.as_seconds() + 300, "email": "ada@example.com", "email_verified": true,
            });
            claims
                .as_object_mut()
                .unwrap()
                .extend(change.as_object().unwrap().clone());
            let token = signed(key, &claims);
            let token = UnverifiedToken::parse(&token).unwrap();
            verify_id_token(&token, &verifying, expected, now).map(|claims| claims.sub)
        };
        assert_eq!(check(&key, json!({})), Ok("7".to_owned()));
        assert_eq!(check(&other, json!({})), Err(VerifyError::Signature));
        let rs256 = ExpectedIdToken {
            algorithm: SigningAlgorithm::Rs256,
            ..expected
        };
        let token = signed(&key, &json!({ "sub": "7" }));
        let token = UnverifiedToken::parse(&token).unwrap();
        let found = verify_id_token(&token, &verifying, rs256, now).map(|claims| claims.sub);
        assert_eq!(
            found,
            Err(VerifyError::Algorithm),
            "another key of the provider's"
        );
        for (change, error) in [
            (json!({ "azp": "another" }), VerifyError::Audience),
            (
                json!({ "iss": "https://evil.example" }),
                VerifyError::Issuer,
            ),
            (json!({ "aud": "another" }), VerifyError::Audience),
            (
                json!({ "aud": ["jeton", "another"] }),
                VerifyError::Audience,
            ),
            (
                json!({ "aud": ["jeton", "another"], "azp": "another" }),
                VerifyError::Audience,
            ),
            (
                json!({ "exp": now.as_seconds() - 61 }),
                VerifyError::Expired,
            ),
            (json!({ "nonce": "n2" }), VerifyError::Nonce),
            (json!({ "nonce": null }), VerifyError::Nonce),
        ] {
            assert_eq!(check(&key, change.clone()), Err(error), "{change}");
        }
    }
}
