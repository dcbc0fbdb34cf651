//! Statements of the server's own, signed like a token but with another `typ`, so that neither can
//! pass for the other (RFC 8725 §3.11).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{SigningError, SigningKey, UnverifiedToken, VerifyError, VerifyingKey};

/// Writes a statement as a compact JWS (RFC 7515 §3.1) of this `typ`.
///
/// # Errors
///
/// [`SigningError`].
pub fn sign_statement<T: Serialize>(
    key: &SigningKey,
    typ: &str,
    statement: &T,
) -> Result<String, SigningError> {
    let header =
        json!({ "typ": typ, "alg": key.algorithm().as_str(), "kid": key.id().to_string() });
    let mut text = URL_SAFE_NO_PAD.encode(header.to_string());
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(statement)?, &mut text);
    let signature = key.sign(text.as_bytes())?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    Ok(text)
}

/// What a statement of this `typ` says, if it is signed with `key`.
///
/// # Errors
///
/// [`VerifyError`].
pub fn verify_statement<T: DeserializeOwned>(
    token: &UnverifiedToken<'_>,
    key: &VerifyingKey,
    typ: &str,
) -> Result<T, VerifyError> {
    if token.has_critical_headers() {
        return Err(VerifyError::Critical);
    }
    if token.typ() != Some(typ) {
        return Err(VerifyError::Type);
    }
    // The key decides the algorithm, never the token alone.
    if key.algorithm().as_str() != token.alg() {
        return Err(VerifyError::Algorithm);
    }
    if !key.verifies(token.signed(), token.signature()) {
        return Err(VerifyError::Signature);
    }
    serde_json::from_slice(token.payload()).map_err(|_| VerifyError::Claims)
}

#[cfg(test)]
mod tests {
    use jeton_core::{Clock as _, KeyId, SigningAlgorithm, SystemClock};
    use serde_json::Value;

    use super::*;
    use crate::OsEntropy;

    #[test]
    fn a_statement_is_believed_with_its_own_key_and_type_only() {
        let key = || {
            let pkcs8 = SigningKey::generate_pkcs8(SigningAlgorithm::Es256).unwrap();
            let id = KeyId::generate(SystemClock.now(), &OsEntropy).unwrap();
            SigningKey::from_pkcs8(id, SigningAlgorithm::Es256, &pkcs8).unwrap()
        };
        let (own, other) = (key(), key());
        let public = |key: &SigningKey| VerifyingKey::from_jwk(&key.public_jwk()).unwrap();
        let text = sign_statement(&own, "a+jwt", &json!({ "seq": 7 })).unwrap();
        let verify = |text: &str, key: &SigningKey, typ: &str| {
            let token = UnverifiedToken::parse(text).unwrap();
            verify_statement::<Value>(&token, &public(key), typ)
        };
        assert_eq!(verify(&text, &own, "a+jwt").unwrap()["seq"], 7);
        assert!(matches!(
            verify(&text, &own, "at+jwt"),
            Err(VerifyError::Type)
        ));
        assert!(matches!(
            verify(&text, &other, "a+jwt"),
            Err(VerifyError::Signature)
        ));
    }
}
