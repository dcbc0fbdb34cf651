//! Identifiers: a prefix that says what it is, and a time-ordered random part.
//!
//! The random part is a `UUIDv7` (RFC 9562 §5.7) written as 26 characters of lower-case
//! Crockford base 32, so that identifiers sort by age as plain text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Entropy, EntropyError, Timestamp, excerpt};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const ENCODED_LEN: usize = 26;
/// So much of a text is kept that is no identifier, in characters.
const LONGEST_FOUND: usize = 100;
/// Prefix, underscore, digits.
const TEXT_LEN: usize = 3 + 1 + ENCODED_LEN;

/// Why a text is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected {}, {prefix}_ and {ENCODED_LEN} lower-case letters and digits; found {}",
    kind_of(prefix).unwrap_or("an ID"),
    found_words(found)
)]
pub struct IdError {
    prefix: &'static str,
    found: String,
}

/// The kinds of identifiers, as people call them.
const KINDS: [(&str, &str); 9] = [
    (McpServerId::PREFIX, "the ID of an MCP server"),
    (ClientId::PREFIX, "the ID of a client"),
    (SecretId::PREFIX, "the ID of a secret"),
    (KeyId::PREFIX, "the ID of a signing key"),
    (EventId::PREFIX, "the ID of an audit event"),
    (TokenId::PREFIX, "the ID of a token"),
    (RequestId::PREFIX, "the ID of a request"),
    (AdminId::PREFIX, "the ID of an admin"),
    (InvitationId::PREFIX, "the ID of an invitation"),
];

fn kind_of(prefix: &str) -> Option<&'static str> {
    let known = KINDS.iter().find(|(known, _)| *known == prefix);
    known.map(|(_, kind)| *kind)
}

/// What a text identifies, like `the ID of a client`, if it is an identifier.
pub fn id_kind(text: &str) -> Option<&'static str> {
    let (prefix, digits) = text.split_once('_')?;
    decode(digits).and_then(|_| kind_of(prefix))
}

/// An identifier of another kind is named as that; whatever else was found is quoted, as far as it
/// helps to recognise it.
fn found_words(found: &str) -> String {
    match id_kind(found) {
        Some(kind) => format!("{found}, which is {kind}"),
        None => excerpt(found),
    }
}

/// The 128 bits of a `UUIDv7`: 48 bits of milliseconds, then randomness.
fn uuid_v7(now: Timestamp, entropy: &dyn Entropy) -> Result<u128, EntropyError> {
    let mut random = [0_u8; 16];
    entropy.fill(&mut random)?;
    let random = u128::from_be_bytes(random);
    let millis = u128::from(now.as_millis().unsigned_abs()) & 0xffff_ffff_ffff;
    let version_and_rand_a = (0x7_u128 << 12) | ((random >> 64) & 0xfff);
    let variant_and_rand_b = (0b10_u128 << 62) | (random & 0x3fff_ffff_ffff_ffff);
    Ok((millis << 80) | (version_and_rand_a << 64) | variant_and_rand_b)
}

/// The text, made in one piece: an identifier is written a dozen times for each token.
fn encode(prefix: &str, bits: u128) -> [u8; TEXT_LEN] {
    let mut text = [b'_'; TEXT_LEN];
    for (place, letter) in text.iter_mut().zip(prefix.bytes()) {
        *place = letter;
    }
    let mut bits = bits;
    for place in text.iter_mut().rev().take(ENCODED_LEN) {
        let digit = usize::try_from(bits & 31).unwrap_or(0);
        *place = ALPHABET.get(digit).copied().unwrap_or(b'0');
        bits >>= 5;
    }
    text
}

fn decode(text: &str) -> Option<u128> {
    if text.len() != ENCODED_LEN {
        return None;
    }
    let mut bits = 0_u128;
    for (index, byte) in text.bytes().enumerate() {
        let digit = value(byte)?;
        // 26 digits hold 130 bits: the first may use three bits only.
        if index == 0 && digit > 7 {
            return None;
        }
        bits = (bits << 5) | u128::from(digit);
    }
    Some(bits)
}

/// Where a digit stands in [`ALPHABET`], which lacks i, l, o and u.
fn value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'h' => digit - b'a' + 10,
        b'j'..=b'k' => digit - b'j' + 18,
        b'm'..=b'n' => digit - b'm' + 20,
        b'p'..=b't' => digit - b'p' + 22,
        b'v'..=b'z' => digit - b'v' + 27,
        _ => return None,
    })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The text before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Makes a new identifier: time-ordered, then random.
            ///
            /// # Errors
            ///
            /// When the operating system gives no randomness.
            pub fn generate(now: Timestamp, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
                uuid_v7(now, entropy).map(Self)
            }

            /// When it was made (RFC 9562 §5.7), to the millisecond.
            pub fn made_at(self) -> Timestamp {
                Timestamp::from_millis(i64::try_from(self.0 >> 80).unwrap_or(i64::MAX))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = encode($prefix, self.0);
                f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or_else(|| IdError {
                        prefix: $prefix,
                        found: text.chars().take(LONGEST_FOUND).collect(),
                    })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Identifies a registered MCP server: `res_…`.
    McpServerId,
    "res"
);
id!(
    /// Identifies a client, and is its OAuth `client_id`: `m2m_…`.
    ClientId,
    "m2m"
);
id!(
    /// Identifies one client secret: `sec_…`.
    SecretId,
    "sec"
);
id!(
    /// Identifies a signing key, and is the JWT `kid`: `key_…`.
    KeyId,
    "key"
);
id!(
    /// Identifies one audit event: `evt_…`.
    EventId,
    "evt"
);
id!(
    /// Identifies one access token, and is its `jti`: `tok_…`.
    TokenId,
    "tok"
);
id!(
    /// Identifies one HTTP request: `req_…`.
    RequestId,
    "req"
);

id!(
    /// Identifies somebody who uses the dashboard: `adm_…`.
    AdminId,
    "adm"
);
id!(
    /// Identifies an invitation to the dashboard: `inv_…`.
    InvitationId,
    "inv"
);

/// Who a secret authenticates: a client at the token endpoint, or an MCP server at the
/// introspection and revocation endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretOwner {
    /// A client.
    Client(ClientId),
    /// An MCP server.
    McpServer(McpServerId),
}

impl fmt::Display for SecretOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(id) => id.fmt(f),
            Self::McpServer(id) => id.fmt(f),
        }
    }
}

impl FromStr for SecretOwner {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.parse() {
            Ok(client) => Ok(Self::Client(client)),
            Err(error) => text
                .parse()
                .map(Self::McpServer)
                .map_err(|_: IdError| error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::tests::Seeded;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_reads_back_as_itself(bits: u128) {
            let id = ClientId(bits);
            prop_assert_eq!(id.to_string().parse::<ClientId>(), Ok(id));
        }

        #[test]
        fn ids_sort_by_age_as_text(earlier in 0_i64..1 << 46, later in 0_i64..1 << 46) {
            prop_assume!(earlier < later);
            let entropy = Seeded::new(7);
            let old = ClientId::generate(Timestamp::from_millis(earlier), &entropy).unwrap();
            let new = ClientId::generate(Timestamp::from_millis(later), &entropy).unwrap();
            prop_assert!(old.to_string() < new.to_string());
        }
    }

    #[test]
    fn every_byte_is_a_digit_or_is_refused() {
        for byte in 0..=u8::MAX {
            let place = ALPHABET.iter().position(|known| *known == byte);
            assert_eq!(value(byte).map(usize::from), place, "{byte}");
        }
    }

    #[test]
    fn another_prefix_or_a_typo_is_refused_with_the_wanted_form() {
        let id = ClientId(1).to_string();
        assert!(id.parse::<McpServerId>().is_err());
        assert!(format!("{id}0").parse::<ClientId>().is_err());
        assert!(id.to_uppercase().parse::<ClientId>().is_err());
        let error = "m2m_oops".parse::<ClientId>().unwrap_err().to_string();
        assert_eq!(
            error,
            "expected the ID of a client, m2m_ and 26 lower-case letters and digits; found \"m2m_oops\""
        );
        let other = id.parse::<McpServerId>().unwrap_err().to_string();
        assert!(
            other.ends_with(&format!("found {id}, which is the ID of a client")),
            "{other}"
        );
        let secret = "jeton_BSXEsesI6fTClCe4sEjs71HUMjgqbLNPgxuSIxcGf1h2CS8gW";
        let error = secret.parse::<ClientId>().unwrap_err().to_string();
        assert!(!error.contains("BSXE"), "{error}");
    }
}
