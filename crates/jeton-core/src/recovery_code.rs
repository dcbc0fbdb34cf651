//! Recovery codes: what gets somebody in who lost the device with their second factor.
//!
//! A code is 16 letters and digits (80 random bits), so that one SHA-256 of it is a safe digest.

use crate::{Entropy, EntropyError, PlainSecret, SecretDigest};

const LEN: usize = 16;
/// Without letters that look like digits. 32, so that a byte's low bits choose one evenly.
const ALPHABET: &[u8; 32] = b"23456789abcdefghjkmnpqrstuvwxyz0";

/// A recovery code in the clear: shown once, never stored.
#[derive(Debug, Clone)]
pub struct RecoveryCode(PlainSecret);

impl RecoveryCode {
    /// Makes a new one.
    ///
    /// # Errors
    ///
    /// When the operating system gives no randomness.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut random = [0_u8; LEN];
        entropy.fill(&mut random)?;
        let digit = |byte: &u8| ALPHABET.get(usize::from(byte & 31)).copied();
        let text: String = random.iter().filter_map(digit).map(char::from).collect();
        Ok(Self(PlainSecret::presented(text)))
    }

    /// Reads what somebody typed: case, blanks and hyphens do not matter.
    pub fn read(text: &str) -> Option<Self> {
        let plain: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| c.to_ascii_lowercase())
            .take(LEN + 1)
            .collect();
        let is_one = plain.len() == LEN && plain.bytes().all(|byte| ALPHABET.contains(&byte));
        is_one.then(|| Self(PlainSecret::presented(plain)))
    }

    /// In groups of four, as it is shown.
    pub fn in_groups(&self) -> String {
        let text = self.0.expose();
        let groups = (0..LEN).step_by(4);
        let groups = groups.filter_map(|start| text.get(start..start + 4));
        groups.collect::<Vec<_>>().join("-")
    }

    /// The digest that the store keeps.
    pub fn digest(&self) -> SecretDigest {
        self.0.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::tests::Seeded;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = RecoveryCode::generate(&Seeded::new(7)).unwrap();
        let shown = code.in_groups();
        assert_eq!(shown.len(), 19);
        let digest = code.digest().to_hex();
        for typed in [
            shown.clone(),
            shown.replace('-', ""),
            format!(" {} ", shown.to_uppercase().replace('-', " ")),
        ] {
            let read = RecoveryCode::read(&typed).unwrap();
            assert_eq!(read.digest().to_hex(), digest, "{typed}");
        }
        for other in ["", "123456", &shown[1..], &format!("{shown}a"), "é"] {
            assert!(RecoveryCode::read(other).is_none(), "{other}");
        }
        assert!(!format!("{code:?}").contains(&shown[..4]));
    }
}
