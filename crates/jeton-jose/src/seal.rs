//! Secrets at rest: AES-256-GCM, under a key that is derived from the master key for one purpose.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jeton_core::{Entropy, EntropyError};
use zeroize::{Zeroize as _, Zeroizing};

/// A text that is no master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a master key is the base64 of 32 bytes")]
pub struct MasterKeyError;

/// Why something cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No randomness for a nonce.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The cipher refused.
    #[error("sealing failed")]
    Seal,
    /// Another key, or altered data.
    #[error("it was sealed under another master key, or it was altered")]
    Open,
}

/// The key from which every other key of a server is derived.
pub struct MasterKey {
    root: hkdf::Prk,
    direct: SealingKey,
}

impl MasterKey {
    /// Makes a new key and its base64 form, which is what `master.key` holds.
    ///
    /// # Errors
    ///
    /// When the operating system gives no randomness.
    pub fn generate(entropy: &dyn Entropy) -> Result<Zeroizing<String>, EntropyError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        entropy.fill(bytes.as_mut())?;
        Ok(Zeroizing::new(STANDARD.encode(bytes.as_ref())))
    }

    /// Reads the base64 of 32 bytes; white space around it does not matter.
    ///
    /// # Errors
    ///
    /// [`MasterKeyError`]; it never shows the text.
    pub fn from_base64(text: &str) -> Result<Self, MasterKeyError> {
        let bytes = Zeroizing::new(
            STANDARD
                .decode(text.trim().as_bytes())
                .map_err(|_| MasterKeyError)?,
        );
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| MasterKeyError)?;
        Ok(Self {
            root: hkdf::Salt::new(hkdf::HKDF_SHA256, b"jeton").extract(&bytes),
            direct: SealingKey(LessSafeKey::new(key)),
        })
    }

    /// The key that encrypts for one purpose (HKDF-SHA-256, RFC 5869). Keys of different purposes
    /// tell nothing about each other or about the master key.
    ///
    /// # Errors
    ///
    /// [`SealError::Seal`] where the derivation fails.
    pub fn sealing_key(&self, purpose: &str) -> Result<SealingKey, SealError> {
        let info = [b"seal ".as_slice(), purpose.as_bytes()];
        let okm = self.root.expand(&info, &AES_256_GCM);
        let key = UnboundKey::from(okm.map_err(|_| SealError::Seal)?);
        Ok(SealingKey(LessSafeKey::new(key)))
    }

    /// The key that authenticates for one purpose (HMAC-SHA-256), derived as
    /// [`Self::sealing_key`] is.
    ///
    /// # Errors
    ///
    /// [`SealError::Seal`] where the derivation fails.
    pub fn mac_key(&self, purpose: &str) -> Result<hmac::Key, SealError> {
        let info = [b"mac ".as_slice(), purpose.as_bytes()];
        let okm = self.root.expand(&info, hmac::HMAC_SHA256);
        Ok(hmac::Key::from(okm.map_err(|_| SealError::Seal)?))
    }

    /// The master key itself, under which earlier versions sealed signing keys. Only for opening
    /// those.
    pub fn undivided(&self) -> &SealingKey {
        &self.direct
    }
}

/// A key that encrypts for one purpose.
pub struct SealingKey(LessSafeKey);

impl SealingKey {
    /// Encrypts `plain` bound to `context`, which has to be named again to open it.
    ///
    /// # Errors
    ///
    /// [`SealError`].
    pub fn seal(
        &self,
        plain: &[u8],
        context: &str,
        entropy: &dyn Entropy,
    ) -> Result<String, SealError> {
        let mut nonce = [0_u8; NONCE_LEN];
        entropy.fill(&mut nonce)?;
        let mut in_out = plain.to_vec();
        let sealed = self.0.seal_in_place_append_tag(
            Nonce::from(&nonce),
            Aad::from(context.as_bytes()),
            &mut in_out,
        );
        if sealed.is_err() {
            in_out.zeroize();
            return Err(SealError::Seal);
        }
        let mut message = nonce.to_vec();
        message.extend_from_slice(&in_out);
        Ok(STANDARD.encode(message))
    }

    /// Decrypts what [`Self::seal`] made.
    ///
    /// # Errors
    ///
    /// [`SealError::Open`] where the key or the context is another, or a bit was altered.
    pub fn open(&self, sealed: &str, context: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let message = STANDARD.decode(sealed).map_err(|_| SealError::Open)?;
        let (nonce, cipher) = message
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(SealError::Open)?;
        let mut in_out = Zeroizing::new(cipher.to_vec());
        let length = self
            .0
            .open_in_place(
                Nonce::from(nonce),
                Aad::from(context.as_bytes()),
                &mut in_out,
            )
            .map_err(|_| SealError::Open)?
            .len();
        in_out.truncate(length);
        Ok(in_out)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([redacted])")
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsEntropy;

    fn key() -> MasterKey {
        MasterKey::from_base64(&MasterKey::generate(&OsEntropy).unwrap()).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_with_the_same_key_purpose_and_context_only() {
        let (master, other) = (key(), key());
        let sealing = |master: &MasterKey, purpose| master.sealing_key(purpose).unwrap();
        let sealed = sealing(&master, "a")
            .seal(b"private", "key_1", &OsEntropy)
            .unwrap();
        let again = sealing(&master, "a").open(&sealed, "key_1").unwrap();
        assert_eq!(again.as_slice(), b"private");
        for (key, context) in [
            (&sealing(&master, "a"), "key_2"),
            (&sealing(&master, "b"), "key_1"),
            (&sealing(&other, "a"), "key_1"),
            (master.undivided(), "key_1"),
        ] {
            assert_eq!(key.open(&sealed, context).unwrap_err(), SealError::Open);
        }
        assert!(MasterKey::from_base64("c2hvcnQ=").is_err());
    }

    #[test]
    fn a_mac_key_is_another_for_each_purpose() {
        let master = key();
        let sign = |purpose| {
            let key = master.mac_key(purpose).unwrap();
            aws_lc_rs::hmac::sign(&key, b"text").as_ref().to_vec()
        };
        assert_eq!(sign("a"), sign("a"));
        assert_ne!(sign("a"), sign("b"));
    }
}
