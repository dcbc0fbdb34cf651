//! How much room there is for the database, so that some of it is kept for tokens.

use std::io;
use std::path::PathBuf;

/// Room that is kept for tokens and changes: when less is left, refusals are only counted.
#[derive(Debug, Clone)]
pub(crate) struct Reserve {
    /// The folder of the database.
    pub(crate) folder: PathBuf,
    /// In bytes.
    pub(crate) bytes: u64,
}

impl Reserve {
    /// Whether less is left.
    pub(crate) fn is_reached(&self) -> io::Result<bool> {
        let file_system = rustix::fs::statvfs(&self.folder)?;
        let left = file_system.f_bavail.saturating_mul(file_system.f_frsize);
        Ok(left < self.bytes)
    }
}
