//! The data directory, which one process uses at a time.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::private_file::{create_private_file, create_private_folder};

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The file system.
    #[error("the data directory {path} cannot be used")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process uses it.
    #[error(
        "the data directory {0} is in use by another jeton serve; stop it first, or give this one another --data-dir"
    )]
    InUse(PathBuf),
}

/// Takes a data directory for oneself, as long as what is returned lives; makes it where there is
/// none. Two servers over one would each trust its own memory.
///
/// # Errors
///
/// [`DataDirError`].
pub fn lock_data_dir(path: &Path) -> Result<File, DataDirError> {
    let unusable = |source| DataDirError::Unusable {
        path: path.to_owned(),
        source,
    };
    create_private_folder(path).map_err(unusable)?;
    let lock = create_private_file(&path.join("jeton.lock")).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(unusable(source)),
    }
}
