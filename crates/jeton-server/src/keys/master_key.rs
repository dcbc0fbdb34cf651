//! The master key: from the environment, from a file, or made at first start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jeton_core::{Entropy, EntropyError};
use jeton_jose::{MasterKey, MasterKeyError, SealError};
use zeroize::Zeroizing;

use crate::config::Config;
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

/// The master key, and the one before it until everything is sealed under the new one.
#[derive(Debug)]
pub(crate) struct MasterKeys {
    /// Seals, and opens.
    pub(crate) current: MasterKey,
    /// Opens only.
    pub(crate) previous: Option<MasterKey>,
}

impl MasterKeys {
    /// Opens what either of them sealed.
    pub(crate) fn open(
        &self,
        sealed: &str,
        context: &str,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let error = match self.current.open(sealed, context) {
            Ok(plain) => return Ok(plain),
            Err(error) => error,
        };
        match &self.previous {
            Some(previous) => previous.open(sealed, context),
            None => Err(error),
        }
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
            let text = fs::read_to_string(path).map_err(|source| MasterKeyFileError::File {
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
    let text = match fs::read_to_string(path) {
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
