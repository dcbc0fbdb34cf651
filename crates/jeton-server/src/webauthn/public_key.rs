//! COSE keys (RFC 9053 §2 and §7, RFC 8812 §2): ES256, EdDSA with Ed25519, RS256.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use ciborium::Value;

use super::WebAuthnError;

/// COSE's numbers of the algorithms, as they are offered, best first.
pub(crate) const ALGORITHMS: [i64; 3] = [EDDSA, ES256, RS256];
const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;

/// See the module.
#[derive(Debug)]
pub(super) enum PublicKey {
    /// An uncompressed point of P-256.
    Es256(Vec<u8>),
    /// A point of Ed25519.
    Ed25519(Vec<u8>),
    /// Modulus and exponent.
    Rs256(Vec<u8>, Vec<u8>),
}

impl PublicKey {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, WebAuthnError> {
        let mut rest = bytes;
        let value: Value =
            ciborium::from_reader(&mut rest).map_err(|_| WebAuthnError::Malformed)?;
        let key = CoseKey(value.into_map().map_err(|_| WebAuthnError::Malformed)?);
        if !rest.is_empty() {
            return Err(WebAuthnError::Malformed);
        }
        // 1 is kty, 3 is alg; -1 and below belong to the type.
        match (key.number(1)?, key.number(3)?) {
            (2, ES256) if key.number(-1)? == 1 => {
                let (x, y) = (key.bytes(-2, 32)?, key.bytes(-3, 32)?);
                Ok(Self::Es256([&[4], x, y].concat()))
            }
            (1, EDDSA) if key.number(-1)? == 6 => Ok(Self::Ed25519(key.bytes(-2, 32)?.to_vec())),
            (3, RS256) => Ok(Self::Rs256(
                key.byte_string(-1)?.to_vec(),
                key.byte_string(-2)?.to_vec(),
            )),
            _ => Err(WebAuthnError::Algorithm),
        }
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), WebAuthnError> {
        let verified = match self {
            Self::Es256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            Self::Ed25519(point) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature)
            }
            Self::Rs256(n, e) => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
        };
        verified.map_err(|_| WebAuthnError::Signature)
    }
}

/// A map whose labels are numbers, each at most once.
struct CoseKey(Vec<(Value, Value)>);

impl CoseKey {
    fn find(&self, label: i64) -> Result<&Value, WebAuthnError> {
        let mut found = self.0.iter().filter(|(name, _)| {
            let name = name.as_integer().map(i128::from);
            name == Some(i128::from(label))
        });
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value),
            _ => Err(WebAuthnError::Malformed),
        }
    }

    fn number(&self, label: i64) -> Result<i64, WebAuthnError> {
        let number = self.find(label)?.as_integer();
        number
            .and_then(|number| i64::try_from(number).ok())
            .ok_or(WebAuthnError::Malformed)
    }

    fn byte_string(&self, label: i64) -> Result<&[u8], WebAuthnError> {
        let bytes = self.find(label)?.as_bytes();
        bytes.map(Vec::as_slice).ok_or(WebAuthnError::Malformed)
    }

    fn bytes(&self, label: i64, length: usize) -> Result<&[u8], WebAuthnError> {
        let bytes = self.byte_string(label)?;
        if bytes.len() == length {
            Ok(bytes)
        } else {
            Err(WebAuthnError::Malformed)
        }
    }
}
