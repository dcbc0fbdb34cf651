//! A public key as JSON (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jeton_core::SigningAlgorithm;
use serde::{Deserialize, Serialize};

/// Why a JWK is not usable here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// Another kind of key, curve or algorithm.
    #[error("the key type, curve or algorithm is not supported")]
    Unsupported,
    /// A member is missing or not base64url.
    #[error("the key's member {0} is missing or not base64url")]
    Member(&'static str),
    /// The numbers make no valid key.
    #[error("the key is not valid")]
    Invalid,
}

/// A public JWK. Members that Jeton does not know are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `RSA`, `EC` or `OKP`.
    pub kty: String,
    /// What it is for: `sig`.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub use_: Option<String>,
    /// The algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// The key ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// RSA: the modulus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// RSA: the exponent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// EC and OKP: the curve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// EC and OKP: the x coordinate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// EC: the y coordinate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
}

impl Jwk {
    fn new(kty: &str, alg: SigningAlgorithm, kid: String) -> Self {
        Self {
            kty: kty.to_owned(),
            use_: Some("sig".to_owned()),
            alg: Some(alg.as_str().to_owned()),
            kid: Some(kid),
            n: None,
            e: None,
            crv: None,
            x: None,
            y: None,
        }
    }

    /// RFC 7518 §6.3.1: modulus and exponent, big-endian.
    pub(crate) fn rsa(kid: String, n: &[u8], e: &[u8]) -> Self {
        Self {
            n: Some(URL_SAFE_NO_PAD.encode(n)),
            e: Some(URL_SAFE_NO_PAD.encode(e)),
            ..Self::new("RSA", SigningAlgorithm::Rs256, kid)
        }
    }

    /// RFC 7518 §6.2.1: the two coordinates.
    pub(crate) fn p256(kid: String, x: &[u8], y: &[u8]) -> Self {
        Self {
            crv: Some("P-256".to_owned()),
            x: Some(URL_SAFE_NO_PAD.encode(x)),
            y: Some(URL_SAFE_NO_PAD.encode(y)),
            ..Self::new("EC", SigningAlgorithm::Es256, kid)
        }
    }

    /// RFC 8037 §2.
    pub(crate) fn ed25519(kid: String, x: &[u8]) -> Self {
        Self {
            crv: Some("Ed25519".to_owned()),
            x: Some(URL_SAFE_NO_PAD.encode(x)),
            ..Self::new("OKP", SigningAlgorithm::EdDsa, kid)
        }
    }

    /// The algorithm that this key verifies: what it says, or what its type implies.
    ///
    /// # Errors
    ///
    /// [`JwkError::Unsupported`] for anything but RS256, ES256 and Ed25519, and for keys that are
    /// for something else than signatures.
    pub fn algorithm(&self) -> Result<SigningAlgorithm, JwkError> {
        let implied = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => SigningAlgorithm::Rs256,
            ("EC", Some("P-256")) => SigningAlgorithm::Es256,
            ("OKP", Some("Ed25519")) => SigningAlgorithm::EdDsa,
            _ => return Err(JwkError::Unsupported),
        };
        let agrees = match self.alg.as_deref() {
            None => true,
            // RFC 9864 renames EdDSA with this curve.
            Some("Ed25519") => implied == SigningAlgorithm::EdDsa,
            Some(named) => named == implied.as_str(),
        };
        let for_signatures = self.use_.as_deref().is_none_or(|purpose| purpose == "sig");
        if agrees && for_signatures {
            Ok(implied)
        } else {
            Err(JwkError::Unsupported)
        }
    }

    pub(crate) fn member(value: Option<&String>, name: &'static str) -> Result<Vec<u8>, JwkError> {
        value
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .filter(|bytes| !bytes.is_empty())
            .ok_or(JwkError::Member(name))
    }
}
