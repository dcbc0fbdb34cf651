//! Signed notes (C2SP `signed-note`): text, and lines of signatures below it, as transparency logs and
//! their witnesses write them. Ed25519 only.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jeton_core::hex;
use zeroize::Zeroizing;

/// The signature type of Ed25519.
const TYPE: u8 = 1;
/// Longer texts are no notes of ours.
const MAX_LEN: usize = 64 * 1024;
const MAX_SIGNATURES: usize = 64;

/// Why something is no note, no key, or not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The note.
    #[error("it is not a signed note: text, an empty line, and lines that begin with \u{2014}")]
    Malformed,
    /// The name of a key.
    #[error("the name of a note key has no spaces and no +, and is not empty")]
    Name,
    /// The private key.
    #[error("the private key of a note key is not Ed25519")]
    Key,
    /// The public key.
    #[error("a verifier key is NAME+HASH+KEY, for Ed25519")]
    VerifierKey,
    /// No signature of the key's.
    #[error("it is not signed with this key")]
    Unsigned,
}

/// Signs notes.
pub struct NoteSigner {
    verifier: NoteVerifier,
    pair: Ed25519KeyPair,
}

impl NoteSigner {
    /// Makes a new private key, as PKCS#8.
    ///
    /// # Errors
    ///
    /// [`NoteError::Key`] where the cryptographic library fails.
    pub fn generate_pkcs8() -> Result<Zeroizing<Vec<u8>>, NoteError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| NoteError::Key)?;
        let pkcs8 = pair.to_pkcs8().map_err(|_| NoteError::Key)?;
        Ok(Zeroizing::new(pkcs8.as_ref().to_vec()))
    }

    /// Parses a private key that signs as `name`.
    ///
    /// # Errors
    ///
    /// [`NoteError::Name`], [`NoteError::Key`].
    pub fn from_pkcs8(name: &str, pkcs8: &[u8]) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| NoteError::Key)?;
        let public = pair.public_key().as_ref().try_into();
        let verifier = NoteVerifier::new(name, public.map_err(|_| NoteError::Key)?)?;
        Ok(Self { verifier, pair })
    }

    /// Its public half.
    pub fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    /// Its signature line below `text`.
    fn line(&self, text: &str) -> String {
        let mut signature = self.verifier.id.to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!(
            "\u{2014} {} {}\n",
            self.verifier.name,
            STANDARD.encode(signature)
        )
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NoteSigner").field(&self.verifier).finish()
    }
}

/// Signs `text`, which ends in a newline, with every key.
///
/// # Errors
///
/// [`NoteError::Malformed`] where the text is none that can be signed.
pub fn sign_note(text: &str, signers: &[&NoteSigner]) -> Result<String, NoteError> {
    let allowed = |c: char| c == '\n' || c >= ' ';
    if !text.ends_with('\n') || !text.chars().all(allowed) {
        return Err(NoteError::Malformed);
    }
    let mut note = format!("{text}\n");
    for signer in signers {
        note.push_str(&signer.line(text));
    }
    Ok(note)
}

/// A public key, as `NAME+HASH+KEY` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

impl NoteVerifier {
    fn new(name: &str, public: [u8; 32]) -> Result<Self, NoteError> {
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+' || c < ' ') {
            return Err(NoteError::Name);
        }
        // key ID = SHA-256(key name || 0x0A || signature type || public key)[:4]
        let mut named = name.as_bytes().to_vec();
        named.extend_from_slice(&[b'\n', TYPE]);
        named.extend_from_slice(&public);
        let hash = digest(&SHA256, &named);
        let id = hash.as_ref().first_chunk::<4>().copied();
        Ok(Self {
            name: name.to_owned(),
            id: id.unwrap_or_default(),
            public,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same public key by another name: a log that was renamed.
    ///
    /// # Errors
    ///
    /// [`NoteError::Name`].
    pub fn named(&self, name: &str) -> Result<Self, NoteError> {
        Self::new(name, self.public)
    }

    /// Whether both are the same public key, by whatever name.
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.public == other.public
    }

    /// Its hash, as its text form shows it.
    pub fn id(&self) -> String {
        hex::encode(&self.id)
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![TYPE];
        key.extend_from_slice(&self.public);
        write!(f, "{}+{}+{}", self.name, self.id(), STANDARD.encode(key))
    }
}

impl FromStr for NoteVerifier {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        // The last part is base64, which may hold a plus sign.
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::VerifierKey);
        };
        let key = STANDARD.decode(key).map_err(|_| NoteError::VerifierKey)?;
        let Some((&TYPE, public)) = key.split_first() else {
            return Err(NoteError::VerifierKey);
        };
        let public = public.try_into().map_err(|_| NoteError::VerifierKey)?;
        let verifier = Self::new(name, public)?;
        if hex::decode::<4>(id) == Some(verifier.id) {
            Ok(verifier)
        } else {
            Err(NoteError::VerifierKey)
        }
    }
}

/// A note whose signatures nobody has verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedNote {
    text: String,
    signatures: Vec<(String, Vec<u8>)>,
}

impl UnverifiedNote {
    /// Parses a note.
    ///
    /// # Errors
    ///
    /// [`NoteError::Malformed`].
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let allowed = |c: char| c == '\n' || c >= ' ';
        if note.len() > MAX_LEN || !note.chars().all(allowed) {
            return Err(NoteError::Malformed);
        }
        // The last empty line separates.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            let (name, signature) = line
                .strip_prefix("\u{2014} ")
                .and_then(|rest| rest.split_once(' '))
                .ok_or(NoteError::Malformed)?;
            let signature = STANDARD
                .decode(signature)
                .map_err(|_| NoteError::Malformed)?;
            signatures.push((name.to_owned(), signature));
        }
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::Malformed);
        }
        Ok(Self {
            text: format!("{text}\n"),
            signatures,
        })
    }

    /// Its text, not to be trusted.
    pub fn unverified_text(&self) -> &str {
        &self.text
    }

    /// Its text, if `key` signed it. A signature in the key's name that does not fit spoils the note.
    ///
    /// # Errors
    ///
    /// [`NoteError::Unsigned`].
    pub fn verify(&self, key: &NoteVerifier) -> Result<&str, NoteError> {
        let mut is_signed = false;
        let public = UnparsedPublicKey::new(&ED25519, &key.public);
        for (name, signature) in &self.signatures {
            let Some((id, signature)) = signature.split_first_chunk::<4>() else {
                continue;
            };
            if *name != key.name || *id != key.id {
                continue;
            }
            public
                .verify(self.text.as_bytes(), signature)
                .map_err(|_| NoteError::Unsigned)?;
            is_signed = true;
        }
        if is_signed {
            Ok(&self.text)
        } else {
            Err(NoteError::Unsigned)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(name: &str) -> NoteSigner {
        NoteSigner::from_pkcs8(name, &NoteSigner::generate_pkcs8().unwrap()).unwrap()
    }

    /// From Go's `golang.org/x/mod/sumdb/note`, whose notes these are.
    #[test]
    fn a_note_that_go_signed_is_verified() {
        let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key: NoteVerifier = key.parse().unwrap();
        let text = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
        let note = format!(
            "{text}\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        );
        let parsed = UnverifiedNote::parse(&note).unwrap();
        assert_eq!(parsed.verify(&key).unwrap(), text);
        let altered = note.replacen("think", "thank", 1);
        let altered = UnverifiedNote::parse(&altered).unwrap();
        assert_eq!(altered.verify(&key), Err(NoteError::Unsigned));
        assert_eq!(
            key.to_string(),
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        );
    }

    #[test]
    fn what_one_key_signed_is_not_another_s() {
        let (own, other) = (signer("example.com/log"), signer("example.com/log"));
        let note = sign_note("example.com/log\n1\n", &[&own]).unwrap();
        let note = UnverifiedNote::parse(&note).unwrap();
        assert!(note.verify(own.verifier()).is_ok());
        assert!(note.verify(other.verifier()).is_err());
        let renamed = own.verifier().named("example.com/other").unwrap();
        assert!(note.verify(&renamed).is_err());
        let text = own.verifier().to_string();
        assert_eq!(text.parse::<NoteVerifier>().as_ref(), Ok(own.verifier()));
        let both = sign_note("text\n", &[&own, &other]).unwrap();
        let both = UnverifiedNote::parse(&both).unwrap();
        assert!(both.verify(own.verifier()).is_ok() && both.verify(other.verifier()).is_ok());
    }

    #[test]
    fn what_is_no_note_is_refused() {
        for text in [
            "",
            "a\n",
            "a\n\n",
            "a\n\nb\n",
            "a\n\n\u{2014} b\n",
            "a\u{7}\n\n\u{2014} b YQ==\n",
        ] {
            assert_eq!(
                UnverifiedNote::parse(text),
                Err(NoteError::Malformed),
                "{text:?}"
            );
        }
        assert!(NoteSigner::from_pkcs8("a b", &NoteSigner::generate_pkcs8().unwrap()).is_err());
        assert!("a+00000000+AQ==".parse::<NoteVerifier>().is_err());
        assert!(sign_note("no newline", &[]).is_err());
    }
}
