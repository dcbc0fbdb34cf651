//! The master key: from the environment, from a file, or made at first start.

use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use jeton_core::{Entropy, EntropyError};
use jeton_jose::{MasterKey, MasterKeyError, SealError, SealingKey};
use zeroize::Zeroizing;

use crate::config::{Config, read_named_text};
use crate::private_file::write_private_file;

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyFileError {
    /// `JETON_MASTER_KEY`.
    #[error("JETON_MASTER_KEY cannot be used")]
    Environment(#[source] MasterKeyError),
    /// `JETON_PREVIOUS_MASTER_KEY`.
    #[error("JETON_PREVIOUS_MASTER_KEY cannot be used")]
    PreviousEnvironment(#[source] MasterKeyError),
    /// The file.
    #[error("the master key in {path} cannot be used")]
    Content {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: MasterKeyError,
    },
    /// The file cannot be read or written.
    #[error("the master key file {path} cannot be used")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Keys are there, and what opens them is not.
    #[error(
        "the database holds signing keys, but the master key file {0} that they were sealed under is not there. Restore it, or name it with --master-key-file or JETON_MASTER_KEY; making a new one would not open them"
    )]
    Missing(PathBuf),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// What a key derived from the master key is for. Each purpose has a key of its own, so that what
/// strangers can cause to be computed under one says nothing about another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Private signing keys at rest.
    SigningKeys,
    /// Keys of the audit log at rest.
    AuditKeys,
    /// What a server remembers of the audit log outside the database.
    AuditMemory,
    /// A new secret on its way to the page that shows it once.
    Reveal,
    /// Words about a change on their way to the page that shows them.
    Toast,
    /// Cookies of browsers in which an admin signed in.
    DeviceCookie,
    /// A sign-in that is under way at an `OpenID` Connect provider.
    OidcSignIn,
    /// Secrets of one-time codes at rest.
    OneTimeCodes,
    /// A sign-in whose password was right, and a second factor that is being set up.
    SecondFactor,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::SigningKeys => "signing keys",
            Self::AuditKeys => "audit keys",
            Self::AuditMemory => "audit memory",
            Self::Reveal => "reveal",
            Self::Toast => "toast",
            Self::DeviceCookie => "device cookie",
            Self::OidcSignIn => "oidc sign-in",
            Self::OneTimeCodes => "one-time codes",
            Self::SecondFactor => "second factor",
        }
    }

    /// Its encryption key.
    pub(crate) fn sealing_key(self, master: &MasterKey) -> Result<SealingKey, SealError> {
        master.sealing_key(self.label())
    }

    /// Its authentication key.
    pub(crate) fn mac_key(self, master: &MasterKey) -> Result<hmac::Key, SealError> {
        master.mac_key(self.label())
    }
}

/// The master key, and the one before it until everything is sealed under the new one.
#[derive(Debug)]
pub(crate) struct MasterKeys {
    /// Seals, and opens.
    pub(crate) current: MasterKey,
    /// Opens only.
    pub(crate) previous: Option<MasterKey>,
}

impl MasterKeys {
    /// Opens what either of them sealed for the purpose. Signing keys may also have been sealed by a
    /// version that used the master key itself.
    pub(crate) fn open(
        &self,
        purpose: Purpose,
        sealed: &str,
        context: &str,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        for master in std::iter::once(&self.current).chain(&self.previous) {
            let derived = purpose.sealing_key(master)?;
            let undivided = (purpose == Purpose::SigningKeys).then(|| master.undivided());
            for key in std::iter::once(&derived).chain(undivided) {
                if let Ok(plain) = key.open(sealed, context) {
                    return Ok(plain);
                }
            }
        }
        Err(SealError::Open)
    }
}

/// Finds the master key and, where it is being replaced, the one before.
pub(crate) fn load_all(
    config: &Config,
    keys_exist: bool,
    entropy: &dyn Entropy,
) -> Result<MasterKeys, MasterKeyFileError> {
    let previous = match (
        &config.previous_master_key,
        &config.previous_master_key_file,
    ) {
        (Some(text), _) => {
            Some(MasterKey::from_base64(&text.0).map_err(MasterKeyFileError::PreviousEnvironment)?)
        }
        (None, Some(path)) => {
            let text = read_named_text(path).map_err(|source| MasterKeyFileError::File {
                path: path.clone(),
                source,
            })?;
            let text = Zeroizing::new(text);
            Some(
                MasterKey::from_base64(&text).map_err(|source| MasterKeyFileError::Content {
                    path: path.clone(),
                    source,
                })?,
            )
        }
        (None, None) => None,
    };
    Ok(MasterKeys {
        current: load_or_create(config, keys_exist, entropy)?,
        previous,
    })
}

/// Finds the master key. It is made, mode 0600, where no file was named and nothing is sealed yet.
fn load_or_create(
    config: &Config,
    keys_exist: bool,
    entropy: &dyn Entropy,
) -> Result<MasterKey, MasterKeyFileError> {
    if let Some(text) = &config.master_key {
        return MasterKey::from_base64(&text.0).map_err(MasterKeyFileError::Environment);
    }
    let path = &config.master_key_file;
    let file_error = |source| MasterKeyFileError::File {
        path: path.clone(),
        source,
    };
    let text = match read_named_text(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && keys_exist => {
            return Err(MasterKeyFileError::Missing(path.clone()));
        }
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && !config.master_key_file_is_given =>
        {
            create(path, entropy)?
        }
        Err(error) => return Err(file_error(error)),
    };
    MasterKey::from_base64(&text).map_err(|source| MasterKeyFileError::Content {
        path: path.clone(),
        source,
    })
}

fn create(path: &Path, entropy: &dyn Entropy) -> Result<Zeroizing<String>, MasterKeyFileError> {
    let text = MasterKey::generate(entropy)?;
    write_private_file(path, text.as_bytes()).map_err(|source| MasterKeyFileError::File {
        path: path.to_owned(),
        source,
    })?;
    tracing::info!(file = %path.display(), "made a new master key; keep a copy of it apart from the database's");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use jeton_jose::OsEntropy;

    use super::*;

    fn key() -> MasterKey {
        MasterKey::from_base64(&MasterKey::generate(&OsEntropy).unwrap()).unwrap()
    }

    #[test]
    fn signing_keys_sealed_under_the_master_key_itself_still_open_and_nothing_else_does() {
        let keys = MasterKeys {
            current: key(),
            previous: Some(key()),
        };
        let masters = [&keys.current, keys.previous.as_ref().unwrap()];
        for master in masters {
            let old = master.undivided().seal(b"k", "c", &OsEntropy).unwrap();
            assert!(keys.open(Purpose::SigningKeys, &old, "c").is_ok());
            assert!(keys.open(Purpose::Reveal, &old, "c").is_err());
            let sealing = Purpose::SigningKeys.sealing_key(master).unwrap();
            let new = sealing.seal(b"k", "c", &OsEntropy).unwrap();
            assert!(keys.open(Purpose::SigningKeys, &new, "c").is_ok());
            assert!(keys.open(Purpose::OidcSignIn, &new, "c").is_err());
        }
    }
}
