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
    /// The database can be read by others.
    #[error(
        "others can read the database {0}, and this user may not change that; run as the user who owns it, or let that user run chmod 600 on it"
    )]
    Exposed(PathBuf),
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
        source: in_words(path, source),
    };
    create_private_folder(path).map_err(unusable)?;
    let lock = create_private_file(&path.join("jeton.lock")).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// What is wrong with it, and what to do.
fn in_words(path: &Path, error: io::Error) -> io::Error {
    let words = match error.kind() {
        _ if path.is_file() => "it is a file; name a directory with --data-dir",
        io::ErrorKind::NotADirectory => {
            "a part of its path is a file; name a directory with --data-dir"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "this user may not write there; change its owner or mode, run as the user who owns it, or name another with --data-dir"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full; make room, and try again"
        }
        _ => return error,
    };
    io::Error::new(error.kind(), words)
}
