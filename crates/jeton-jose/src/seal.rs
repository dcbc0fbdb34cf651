//! Private keys at rest: AES-256-GCM under the master key.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
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

/// The key under which private signing keys are encrypted.
pub struct MasterKey(LessSafeKey);

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
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts `plain` for the purpose `context`, which has to be named again to open it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsEntropy;

    #[test]
    fn what_was_sealed_opens_with_the_same_key_and_context_only() {
        let key = MasterKey::from_base64(&MasterKey::generate(&OsEntropy).unwrap()).unwrap();
        let other = MasterKey::from_base64(&MasterKey::generate(&OsEntropy).unwrap()).unwrap();
        let sealed = key.seal(b"private", "key_1", &OsEntropy).unwrap();
        assert_eq!(key.open(&sealed, "key_1").unwrap().as_slice(), b"private");
        assert_eq!(key.open(&sealed, "key_2").unwrap_err(), SealError::Open);
        assert_eq!(other.open(&sealed, "key_1").unwrap_err(), SealError::Open);
        assert!(MasterKey::from_base64("c2hvcnQ=").is_err());
    }
}
