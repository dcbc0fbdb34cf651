//! Client secrets: how they look, how they are kept, how they are compared.
//!
//! A secret is `jeton_`, 43 characters of base 62 (256 bits of randomness) and 6 characters of
//! CRC-32 in base 62. The fixed prefix lets secret scanners find a leaked one, the checksum
//! catches a typing error before anything is looked up. Since a secret is random and not a
//! person's password, one SHA-256 is the right digest.

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use secrecy::{ExposeSecret, SecretString};

use crate::{Entropy, EntropyError, SecretId, SecretOwner, Timestamp};

const PREFIX: &str = "jeton_";
const RANDOM_LEN: usize = 43;
const CHECKSUM_LEN: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A client secret in the clear: shown once, never stored.
#[derive(Clone)]
pub struct PlainSecret(SecretString);

impl PlainSecret {
    /// Makes a new secret of 256 random bits.
    ///
    /// # Errors
    ///
    /// When the operating system gives no randomness.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut text = String::with_capacity(PREFIX.len() + RANDOM_LEN + CHECKSUM_LEN);
        text.push_str(PREFIX);
        let mut buffer = [0_u8; 64];
        while text.len() < PREFIX.len() + RANDOM_LEN {
            entropy.fill(&mut buffer)?;
            // 248 is the largest multiple of 62 below 256: what is above would favour some digits.
            let digits = buffer
                .iter()
                .filter(|byte| **byte < 248)
                .map(|byte| base62(u32::from(*byte)));
            text.extend(digits.take(PREFIX.len() + RANDOM_LEN - text.len()));
        }
        text.extend(checksum(&text));
        Ok(Self(SecretString::from(text)))
    }

    /// Takes what somebody presented, whatever it looks like.
    pub fn presented(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// A secret without what a file or a variable adds to it: the white space around a Jeton secret, and line
    /// breaks at the end of any other, whose own white space is kept.
    pub fn trimmed(text: &str) -> &str {
        let trimmed = text.trim();
        if trimmed.is_empty() || Self::presented(trimmed.to_owned()).is_well_formed() {
            trimmed
        } else {
            text.trim_end_matches(['\r', '\n'])
        }
    }

    /// Whether prefix, length and checksum are those of a Jeton secret. A secret for which this is
    /// false was never made by Jeton: a typing error, or another product's.
    pub fn is_well_formed(&self) -> bool {
        let text = self.expose();
        text.len() == PREFIX.len() + RANDOM_LEN + CHECKSUM_LEN
            && text.is_ascii()
            && text.starts_with(PREFIX)
            && text
                .split_at_checked(PREFIX.len() + RANDOM_LEN)
                .is_some_and(|(body, found)| found.chars().eq(checksum(body)))
    }

    /// Whether it would be a Jeton secret without the white space or line break around it.
    pub fn is_surrounded(&self) -> bool {
        let text = self.expose();
        let trimmed = text.trim();
        trimmed.len() < text.len() && Self::presented(trimmed.to_owned()).is_well_formed()
    }

    /// The digest that the store keeps.
    pub fn digest(&self) -> SecretDigest {
        let hash = digest::digest(&digest::SHA256, self.expose().as_bytes());
        let mut bytes = [0_u8; 32];
        bytes.copy_from_slice(hash.as_ref());
        SecretDigest(bytes)
    }

    /// The last four characters, by which people tell secrets apart.
    pub fn suffix(&self) -> String {
        let text = self.expose();
        text.get(text.len().saturating_sub(4)..)
            .unwrap_or("")
            .to_owned()
    }

    /// The secret itself: for the one answer that shows it, and for the request that uses it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for PlainSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

fn base62(value: u32) -> char {
    let digit = usize::try_from(value % 62).unwrap_or(0);
    char::from(BASE62.get(digit).copied().unwrap_or(b'0'))
}

fn checksum(body: &str) -> [char; CHECKSUM_LEN] {
    let mut value = crc32fast::hash(body.as_bytes());
    let mut digits = ['0'; CHECKSUM_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = base62(value);
        value /= 62;
    }
    digits
}

/// The SHA-256 of a secret.
#[derive(Clone, Copy)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// A digest that no secret has: compared against when there is nothing to compare with, so
    /// that an unknown client costs what a wrong secret costs.
    pub const NONE: Self = Self([0; 32]);

    /// Whether the two are equal, in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    /// As 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        crate::hex::encode(&self.0)
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        crate::hex::decode(text).map(Self)
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Whether a secret works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretState {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody took it back.
    Revoked,
}

impl SecretState {
    /// The name used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// One secret of a client or of an MCP server, as it is kept.
#[derive(Debug, Clone)]
pub struct ClientSecret {
    /// Its ID.
    pub id: SecretId,
    /// Whom it authenticates.
    pub owner: SecretOwner,
    /// Its SHA-256.
    pub digest: SecretDigest,
    /// Its last four characters.
    pub suffix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it no longer works, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it last authenticated somebody; a little behind.
    pub last_used_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

impl ClientSecret {
    /// Whether it works at `now`.
    pub fn state(&self, now: Timestamp) -> SecretState {
        if self.revoked_at.is_some() {
            SecretState::Revoked
        } else if self.expires_at.is_some_and(|expires_at| expires_at <= now) {
            SecretState::Expired
        } else {
            SecretState::Active
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::tests::Seeded;

    #[test]
    fn a_secret_is_well_formed_and_a_typing_error_is_not() {
        let secret = PlainSecret::generate(&Seeded::new(3)).unwrap();
        assert!(secret.is_well_formed());
        assert_eq!(secret.expose().len(), 55);
        let mut wrong = secret.expose().to_owned();
        let last = wrong.pop().unwrap();
        wrong.push(if last == 'a' { 'b' } else { 'a' });
        assert!(!PlainSecret::presented(wrong).is_well_formed());
        assert!(!PlainSecret::presented("é".repeat(27) + "x").is_well_formed());
    }

    #[test]
    fn white_space_around_a_secret_is_no_part_of_it() {
        let secret = PlainSecret::generate(&Seeded::new(3)).unwrap();
        let secret = secret.expose();
        let surrounded = format!("\t {secret} \r\n");
        assert_eq!(PlainSecret::trimmed(&surrounded), secret);
        assert_eq!(PlainSecret::trimmed(" \n"), "");
        assert_eq!(PlainSecret::trimmed(" another's \r\n"), " another's ");
    }

    #[test]
    fn a_digest_matches_its_secret_alone() {
        let entropy = Seeded::new(3);
        let one = PlainSecret::generate(&entropy).unwrap();
        let two = PlainSecret::generate(&entropy).unwrap();
        assert!(one.digest().matches(&one.digest()));
        assert!(!one.digest().matches(&two.digest()));
        let hex = one.digest().to_hex();
        assert!(SecretDigest::from_hex(&hex).unwrap().matches(&one.digest()));
    }

    #[test]
    fn debug_output_hides_the_secret_and_its_digest() {
        let secret = PlainSecret::generate(&Seeded::new(3)).unwrap();
        assert_eq!(
            format!("{secret:?} {:?}", secret.digest()),
            "[redacted] [redacted]"
        );
    }
}
