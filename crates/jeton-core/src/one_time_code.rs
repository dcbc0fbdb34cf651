//! One-time codes by time (RFC 6238): SHA-1, 30 seconds, 6 digits, which is what every authenticator app knows.

use aws_lc_rs::{constant_time, hmac};
use zeroize::Zeroizing;

use crate::{Entropy, EntropyError, Timestamp};

/// Seconds of a step.
const STEP: i64 = 30;
const DIGITS: usize = 6;
/// RFC 4226 §4: 160 bits.
const SECRET_LEN: usize = 20;
/// RFC 4648 §6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What an authenticator app and Jeton share.
pub struct OneTimeSecret(Zeroizing<Vec<u8>>);

impl OneTimeSecret {
    /// Makes a new one.
    ///
    /// # Errors
    ///
    /// When the operating system gives no randomness.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = Zeroizing::new(vec![0; SECRET_LEN]);
        entropy.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// From its bytes.
    pub fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// Its bytes, to be sealed.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// In base 32, as it is typed into an app.
    pub fn to_base32(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(SECRET_LEN * 8 / 5));
        for chunk in self.0.chunks(5) {
            let bits = chunk
                .iter()
                .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            let bits = bits << (8 * (5 - chunk.len()));
            for place in 0..(chunk.len() * 8).div_ceil(5) {
                let digit = usize::try_from(bits >> (35 - 5 * place) & 31).unwrap_or(0);
                text.push(char::from(BASE32.get(digit).copied().unwrap_or(b'A')));
            }
        }
        text
    }

    /// The address that a QR code holds, in the form that authenticator apps read. `issuer` and `account` name
    /// the entry there.
    pub fn uri(&self, issuer: &str, account: &str) -> Zeroizing<String> {
        // In the path, a plus sign is itself: a blank has to be %20.
        let encoded = |text: &str| {
            let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
            encoded.replace('+', "%20")
        };
        let (issuer, account) = (encoded(issuer), encoded(account));
        let secret = self.to_base32();
        Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP}",
            *secret
        ))
    }

    /// The step that a code is for, if it is for this one or one beside it: clocks differ (RFC 6238 §5.2).
    pub fn find_step(&self, code: &str, now: Timestamp) -> Option<i64> {
        let current = now.as_seconds().div_euclid(STEP);
        (current - 1..=current + 1).find(|step| {
            let expected = self.code(*step);
            constant_time::verify_slices_are_equal(expected.as_bytes(), code.as_bytes()).is_ok()
        })
    }

    /// The code of a moment.
    pub fn code_at(&self, at: Timestamp) -> String {
        self.code(at.as_seconds().div_euclid(STEP))
    }

    /// RFC 4226 §5.3.
    fn code(&self, step: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let offset = tag.last().map_or(0, |last| usize::from(last & 15));
        let number = tag.iter().skip(offset).take(4);
        let number = number.fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
    }
}

impl std::fmt::Debug for OneTimeSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OneTimeSecret([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(bytes: &[u8]) -> OneTimeSecret {
        OneTimeSecret::from_bytes(Zeroizing::new(bytes.to_vec()))
    }

    /// RFC 6238, appendix B, of whose eight digits these are the last six.
    #[test]
    fn codes_are_those_of_the_specification() {
        let secret = secret(b"12345678901234567890");
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret.code_at(Timestamp::from_seconds(seconds)), code);
        }
    }

    #[test]
    fn a_code_is_good_for_its_step_and_the_two_beside_it() {
        let secret = secret(b"12345678901234567890");
        let at = Timestamp::from_seconds;
        for (seconds, step) in [
            (0, Some(1)),
            (29, Some(1)),
            (30, Some(1)),
            (89, Some(1)),
            (90, None),
            (86_430, None),
        ] {
            assert_eq!(
                secret.find_step("287082", at(seconds)),
                step,
                "at {seconds}"
            );
        }
        for wrong in ["", "28708", "2870820", "287083", "２８７０８２"] {
            assert_eq!(secret.find_step(wrong, at(30)), None, "{wrong}");
        }
    }

    #[test]
    fn an_app_is_told_secret_and_names() {
        let secret = secret(b"12345678901234567890");
        assert_eq!(*secret.to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            *secret.uri("Jeton auth.example.com", "ada+x@example.com"),
            "otpauth://totp/Jeton%20auth.example.com:ada%2Bx%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Jeton%20auth.example.com&algorithm=SHA1&digits=6&period=30"
        );
        assert!(!format!("{secret:?}").contains("1234"));
    }
}
