//! A private key, parsed once and kept, and the signing of access tokens.

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jeton_core::{AccessTokenClaims, KeyId, SigningAlgorithm};
use zeroize::Zeroizing;

use crate::Jwk;

/// Why a key cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The cryptographic library could not make a key.
    #[error("generating an {0} key failed")]
    Generate(SigningAlgorithm),
    /// The stored key cannot be read.
    #[error("the {0} key is no valid PKCS#8")]
    Invalid(SigningAlgorithm),
    /// The cryptographic library could not sign.
    #[error("signing failed")]
    Sign,
    /// The claims have no JSON form.
    #[error("the claims cannot be written as JSON")]
    Claims(#[from] serde_json::Error),
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A private key with its ID.
pub struct SigningKey {
    id: KeyId,
    algorithm: SigningAlgorithm,
    pair: Pair,
    /// The JOSE header of its tokens, encoded, with the dot after it.
    header: String,
}

impl SigningKey {
    /// Makes a new private key, as PKCS#8.
    ///
    /// # Errors
    ///
    /// [`SigningError::Generate`].
    pub fn generate_pkcs8(algorithm: SigningAlgorithm) -> Result<Zeroizing<Vec<u8>>, SigningError> {
        let failed = |_| SigningError::Generate(algorithm);
        let pkcs8 = match algorithm {
            SigningAlgorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
                pair.as_der().map_err(failed)?.as_ref().to_vec()
            }
            SigningAlgorithm::Es256 => {
                let pair =
                    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
                pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
            }
            SigningAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(failed)?;
                pair.to_pkcs8().map_err(failed)?.as_ref().to_vec()
            }
        };
        Ok(Zeroizing::new(pkcs8))
    }

    /// Parses a private key.
    ///
    /// # Errors
    ///
    /// [`SigningError::Invalid`].
    pub fn from_pkcs8(
        id: KeyId,
        algorithm: SigningAlgorithm,
        pkcs8: &[u8],
    ) -> Result<Self, SigningError> {
        let pair = match algorithm {
            SigningAlgorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8).map(Pair::Rsa),
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Pair::P256)
            }
            SigningAlgorithm::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8).map(Pair::Ed25519),
        }
        .map_err(|_| SigningError::Invalid(algorithm))?;
        let header = format!(r#"{{"typ":"at+jwt","alg":"{algorithm}","kid":"{id}"}}"#);
        let header = format!("{}.", URL_SAFE_NO_PAD.encode(header));
        Ok(Self {
            id,
            algorithm,
            pair,
            header,
        })
    }

    /// What a private key, as PKCS#8, can sign with; nothing where it is of another kind, or RSA
    /// with under 2,048 bits.
    pub fn algorithm_of(pkcs8: &[u8]) -> Option<SigningAlgorithm> {
        if EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).is_ok() {
            return Some(SigningAlgorithm::Es256);
        }
        if Ed25519KeyPair::from_pkcs8(pkcs8).is_ok() {
            return Some(SigningAlgorithm::EdDsa);
        }
        let rsa = RsaKeyPair::from_pkcs8(pkcs8).ok()?;
        (rsa.public_modulus_len() >= 256).then_some(SigningAlgorithm::Rs256)
    }

    /// Its ID, the `kid`.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What it signs with.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Its public half.
    pub fn public_jwk(&self) -> Jwk {
        let kid = self.id.to_string();
        match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                Jwk::rsa(
                    kid,
                    public.modulus().big_endian_without_leading_zero(),
                    public.exponent().big_endian_without_leading_zero(),
                )
            }
            Pair::P256(pair) => {
                // An uncompressed point: 4, then the two coordinates of 32 bytes each.
                let point = pair.public_key().as_ref();
                let (x, y) = point
                    .get(1..)
                    .unwrap_or(&[])
                    .split_at_checked(32)
                    .unwrap_or_default();
                Jwk::p256(kid, x, y)
            }
            Pair::Ed25519(pair) => Jwk::ed25519(kid, pair.public_key().as_ref()),
        }
    }

    /// Signs `message`.
    ///
    /// # Errors
    ///
    /// [`SigningError::Sign`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let failed = |_| SigningError::Sign;
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Pair::P256(pair) => pair
                .sign(&random, message)
                .map(|sig| sig.as_ref().to_vec())
                .map_err(failed),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }

    /// Writes and signs an access token (RFC 9068 §2, RFC 7515 §3.1).
    ///
    /// # Errors
    ///
    /// [`SigningError`].
    pub fn sign_access_token(&self, claims: &AccessTokenClaims) -> Result<String, SigningError> {
        self.sign_token(self.unsigned_access_token(claims)?)
    }

    /// Writes an access token up to its signature: header, dot, claims.
    ///
    /// # Errors
    ///
    /// [`SigningError::Claims`].
    pub fn unsigned_access_token(
        &self,
        claims: &AccessTokenClaims,
    ) -> Result<String, SigningError> {
        let mut payload = Vec::with_capacity(768);
        serde_json::to_writer(&mut payload, claims)?;
        let mut token = String::with_capacity(self.header.len() + payload.len() * 4 / 3 + 360);
        token.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        Ok(token)
    }

    /// How long the token will be, in bytes, that begins with `unsigned`.
    pub fn token_length(&self, unsigned: &str) -> usize {
        let signature = match &self.pair {
            Pair::Rsa(pair) => pair.public_modulus_len(),
            Pair::P256(_) | Pair::Ed25519(_) => 64,
        };
        unsigned.len() + ".".len() + (signature * 4).div_ceil(3)
    }

    /// Adds its signature to what [`Self::unsigned_access_token`] wrote.
    ///
    /// # Errors
    ///
    /// [`SigningError::Sign`].
    pub fn sign_token(&self, mut unsigned: String) -> Result<String, SigningError> {
        let signature = self.sign(unsigned.as_bytes())?;
        unsigned.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut unsigned);
        Ok(unsigned)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
