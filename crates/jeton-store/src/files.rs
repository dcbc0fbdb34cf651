//! Whether the files of a SQLite database are still those that were opened: a clean-up script that removes
//! them, or a snapshot that is put in their place, leaves a server writing where nobody will read.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::{Store, StoreError};

/// The database and the two files beside it.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// A file, whatever it is called.
type Identity = (u64, u64);

/// The files as they were opened.
#[derive(Debug)]
pub(crate) struct Files {
    paths: [PathBuf; 3],
    /// The files beside the database come with the first transaction.
    known: Mutex<[Option<Identity>; 3]>,
    are_replaced: AtomicBool,
}

impl Files {
    /// Of a database that is open.
    pub(crate) fn of(file: &Path) -> Self {
        let paths = SUFFIXES.map(|suffix| {
            let mut name = file.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        });
        let known = paths.each_ref().map(|path| identity(path));
        Self {
            paths,
            known: Mutex::new(known),
            are_replaced: AtomicBool::new(false),
        }
    }

    /// Looks again. Files that were moved away and back are the same.
    fn look(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut replaced = false;
        for (path, known) in self.paths.iter().zip(known.iter_mut()) {
            let found = identity(path);
            match known {
                Some(known) => replaced |= found != Some(*known),
                None => *known = found,
            }
        }
        self.are_replaced.store(replaced, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.are_replaced.load(Ordering::Relaxed) {
            return Err(StoreError::FilesReplaced);
        }
        Ok(())
    }
}

/// Without opening it: to close any descriptor of a database gives up SQLite's locks on it.
#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<Identity> {
    path.exists().then_some((0, 0))
}

impl Store {
    /// Looks whether the files of the database are those that were opened. While they are not, nothing is
    /// written.
    ///
    /// # Errors
    ///
    /// [`StoreError::FilesReplaced`] where they are not.
    pub fn look_at_files(&self) -> Result<(), StoreError> {
        let Some(files) = &self.files else {
            return Ok(());
        };
        files.look();
        files.check()
    }
}
