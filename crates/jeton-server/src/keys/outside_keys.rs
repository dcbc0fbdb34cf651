//! Signing keys that are managed elsewhere: private keys in PEM form, from a file or from the
//! environment.

use std::fmt;
use std::io;
use std::path::PathBuf;

use jeton_core::{KeyId, SigningAlgorithm};
use jeton_jose::{Jwk, SigningError, SigningKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::config::{Config, SecretText, read_named_file};

/// Why such keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutsideKeysError {
    /// The file cannot be read.
    #[error("the signing keys file {path} cannot be read")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No PEM, or no PKCS#8 in it.
    #[error(
        "{0} holds no private key as PKCS#8 in PEM form (-----BEGIN PRIVATE KEY-----); openssl pkcs8 -topk8 -nocrypt makes one of other forms"
    )]
    Pem(String),
    /// A key of another kind.
    #[error(
        "a key in {0} is of no kind that signs tokens: RSA with at least 2048 bits, EC P-256 or Ed25519"
    )]
    Kind(String),
    /// A key that cannot be read again.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// A private key with what it signs.
pub(crate) struct OutsideKey {
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) pkcs8: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for OutsideKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutsideKey({})", self.algorithm)
    }
}

impl OutsideKey {
    /// All of them, in the order in which they are written.
    pub(crate) fn read(config: &Config) -> Result<Vec<Self>, OutsideKeysError> {
        let mut keys = Vec::new();
        if let Some(path) = &config.signing_keys_file {
            let pem = read_named_file(path).map_err(|source| OutsideKeysError::File {
                path: path.clone(),
                source,
            })?;
            keys.extend(parse(&Zeroizing::new(pem), &path.display().to_string())?);
        }
        if let Some(SecretText(pem)) = &config.signing_keys {
            keys.extend(parse(pem.as_bytes(), "JETON_SIGNING_KEYS")?);
        }
        Ok(keys)
    }

    /// Its public half, under this name.
    pub(crate) fn public_jwk(&self, id: KeyId) -> Result<Jwk, SigningError> {
        SigningKey::from_pkcs8(id, self.algorithm, &self.pkcs8).map(|key| key.public_jwk())
    }
}

fn parse(pem: &[u8], place: &str) -> Result<Vec<OutsideKey>, OutsideKeysError> {
    let keys = PrivatePkcs8KeyDer::pem_slice_iter(pem)
        .map(|key| {
            let key = key.map_err(|_| OutsideKeysError::Pem(place.to_owned()))?;
            let pkcs8 = Zeroizing::new(key.secret_pkcs8_der().to_vec());
            let algorithm = SigningKey::algorithm_of(&pkcs8)
                .ok_or_else(|| OutsideKeysError::Kind(place.to_owned()))?;
            Ok(OutsideKey { algorithm, pkcs8 })
        })
        .collect::<Result<Vec<_>, OutsideKeysError>>()?;
    if keys.is_empty() {
        return Err(OutsideKeysError::Pem(place.to_owned()));
    }
    Ok(keys)
}
