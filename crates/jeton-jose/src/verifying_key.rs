//! A public key, parsed once and kept.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use jeton_core::SigningAlgorithm;

use crate::{Jwk, JwkError};

/// A key that verifies signatures of one algorithm.
pub struct VerifyingKey {
    kid: Option<String>,
    algorithm: SigningAlgorithm,
    key: ParsedPublicKey,
}

impl VerifyingKey {
    /// Parses a JWK.
    ///
    /// # Errors
    ///
    /// [`JwkError`]; RSA keys under 2,048 bits are not valid.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, JwkError> {
        let algorithm = jwk.algorithm()?;
        let x = || Jwk::member(jwk.x.as_ref(), "x");
        let key = match algorithm {
            SigningAlgorithm::Rs256 => {
                let n = Jwk::member(jwk.n.as_ref(), "n")?;
                let e = Jwk::member(jwk.e.as_ref(), "e")?;
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            }
            SigningAlgorithm::Es256 => {
                let mut point = vec![4];
                point.extend(x()?);
                point.extend(Jwk::member(jwk.y.as_ref(), "y")?);
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            }
            SigningAlgorithm::EdDsa => ParsedPublicKey::new(&ED25519, x()?),
        };
        Ok(Self {
            kid: jwk.kid.clone(),
            algorithm,
            key: key.map_err(|_| JwkError::Invalid)?,
        })
    }

    /// The key ID.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The only algorithm it verifies.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Whether `signature` over `message` is this key's.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
