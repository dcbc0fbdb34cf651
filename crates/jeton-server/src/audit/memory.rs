//! What a server remembers of the audit log outside the database: the newest checkpoint that it signed or
//! verified, and how far it wrote. In memory, and in two files of its data directory.
//!
//! `audit-checkpoint.txt` is the signed note itself, on disk before the next one is signed.
//! `audit-end.json` follows the log by about a second; after a crash of the machine it may be older.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use aws_lc_rs::hmac;
use jeton_core::{Timestamp, hex};
use jeton_jose::{NoteVerifier, SealError};
use jeton_store::AuditEnd;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::checkpoint::Chain;
use crate::config::OnDiscontinuity;
use crate::keys::{AuditKeys, MasterKeys, Purpose};
use crate::private_file::{write_private_file, write_private_file_soon};

/// The log in the database does not continue what this server remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Discontinuity {
    /// When that was found.
    pub(crate) found_at: Timestamp,
    /// The first event, or the checkpoint, that is not as expected.
    pub(crate) place: String,
    /// What this server remembers.
    pub(crate) expected: String,
    /// What the database holds.
    pub(crate) found: String,
}

/// What to do about it.
pub(crate) const WHAT_TO_DO: &str = "compare the log with an export, with what was forwarded, or with a \
     backup; restore what is missing with jeton restore, or, where the database is right, stop the server \
     and run jeton audit acknowledge";

impl std::fmt::Display for Discontinuity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "at {}, this server remembers {}, and the database holds {}",
            self.place, self.expected, self.found
        )
    }
}

/// Says in the server's log that the audit log does not continue.
pub(crate) fn tell(found: &Discontinuity) {
    tracing::error!(
        place = found.place,
        expected = found.expected,
        found = found.found,
        "the audit log in the database does not continue what this server remembers; nothing more is signed. {WHAT_TO_DO}"
    );
}

/// How far this server wrote, and whether the log was found not to continue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WrittenEnd {
    pub(crate) seq: i64,
    pub(crate) batch_hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) discontinuity: Option<Discontinuity>,
}

#[derive(Serialize, Deserialize)]
struct Authenticated {
    end: WrittenEnd,
    mac: String,
}

/// Somebody who holds the data directory says that the log may step back: `jeton restore`, `jeton
/// migrate` or `jeton audit acknowledge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// The command.
    pub command: String,
    /// When it ran.
    pub at: Timestamp,
    /// The last event of the log that is acknowledged.
    pub seq: i64,
    /// The hash of that event's batch.
    pub batch_hash: String,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

const NOTE: &str = "audit-checkpoint.txt";
const END: &str = "audit-end.json";
const ACKNOWLEDGEMENT: &str = "audit-acknowledgement.json";

impl Acknowledgement {
    /// Leaves it in a data directory for the server that starts there next.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn leave_in(&self, data_dir: &Path) -> io::Result<()> {
        write_private_file(&data_dir.join(ACKNOWLEDGEMENT), &serde_json::to_vec(self)?)
    }
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The file system.
    #[error("{path} cannot be used")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The acknowledgement is another document.
    #[error("{0} cannot be read; remove it, or run jeton audit acknowledge again")]
    Acknowledgement(PathBuf),
    /// No key to authenticate them with.
    #[error(transparent)]
    Key(#[from] SealError),
}

/// The files of a data directory.
#[derive(Debug)]
pub(crate) struct MemoryFiles {
    folder: PathBuf,
    /// Of the current master key, then of the one before.
    keys: Vec<hmac::Key>,
}

impl MemoryFiles {
    pub(crate) fn new(folder: &Path, master_keys: &MasterKeys) -> Result<Self, MemoryError> {
        let keys = std::iter::once(&master_keys.current).chain(&master_keys.previous);
        Ok(Self {
            folder: folder.to_owned(),
            keys: keys
                .map(|key| Purpose::AuditMemory.mac_key(key))
                .collect::<Result<_, _>>()?,
        })
    }

    fn error(&self, name: &str) -> impl FnOnce(io::Error) -> MemoryError {
        let path = self.folder.join(name);
        move |source| MemoryError::File { path, source }
    }

    fn read(&self, name: &str) -> Result<Option<String>, MemoryError> {
        match fs::read_to_string(self.folder.join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.error(name)(error)),
        }
    }

    /// The newest checkpoint that this server signed or verified.
    pub(crate) fn note(&self) -> Result<Option<String>, MemoryError> {
        self.read(NOTE)
    }

    pub(crate) fn keep_note(&self, note: &str) -> Result<(), MemoryError> {
        write_private_file(&self.folder.join(NOTE), note.as_bytes()).map_err(self.error(NOTE))
    }

    /// How far this server wrote; nothing where that was never noted, or a crash spoiled the file. Where a
    /// checkpoint says that it was noted, a file that is missing was removed.
    pub(crate) fn end(&self) -> Result<Option<WrittenEnd>, MemoryError> {
        let Some(text) = self.read(END)? else {
            if self.note()?.is_some() {
                tracing::warn!(
                    file = %self.folder.join(END).display(),
                    "this file is missing beside audit-checkpoint.txt: how far this server wrote is not known, beyond its newest checkpoint"
                );
            }
            return Ok(None);
        };
        let end = serde_json::from_str::<Authenticated>(&text)
            .ok()
            .filter(|document| self.is_authentic(document))
            .map(|document| document.end);
        if end.is_none() {
            tracing::warn!(
                file = %self.folder.join(END).display(),
                "this file cannot be read or was altered: how far this server wrote is not known, beyond its newest checkpoint"
            );
        }
        Ok(end)
    }

    fn is_authentic(&self, document: &Authenticated) -> bool {
        let Ok(text) = serde_json::to_vec(&document.end) else {
            return false;
        };
        let Some(mac) = hex::decode::<32>(&document.mac) else {
            return false;
        };
        let fits = |key: &hmac::Key| hmac::verify(key, &text, &mac).is_ok();
        self.keys.iter().any(fits)
    }

    /// Notes how far this server wrote. With a discontinuity it is on disk when this returns.
    pub(crate) fn keep_end(&self, end: WrittenEnd) -> Result<(), MemoryError> {
        let path = self.folder.join(END);
        let Some(key) = self.keys.first() else {
            return Ok(());
        };
        let write = || {
            let mac = hmac::sign(key, &serde_json::to_vec(&end)?);
            let is_lasting = end.discontinuity.is_some();
            let mac = hex::encode(mac.as_ref());
            let document = serde_json::to_vec(&Authenticated { end, mac })?;
            if is_lasting {
                write_private_file(&path, &document)
            } else {
                write_private_file_soon(&path, &document)
            }
        };
        write().map_err(self.error(END))
    }

    /// Notes that the log does not continue. How far this server wrote does not matter from then on.
    pub(crate) fn keep_discontinuity(&self, found: &Discontinuity) -> Result<(), MemoryError> {
        self.keep_end(WrittenEnd {
            discontinuity: Some(found.clone()),
            ..WrittenEnd::default()
        })
    }

    pub(crate) fn forget_end(&self) -> Result<(), MemoryError> {
        self.remove(END)
    }

    fn remove(&self, name: &str) -> Result<(), MemoryError> {
        match fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.error(name)(error)),
            _ => Ok(()),
        }
    }

    /// What somebody acknowledged.
    pub(crate) fn acknowledgement(&self) -> Result<Option<Acknowledgement>, MemoryError> {
        let Some(text) = self.read(ACKNOWLEDGEMENT)? else {
            return Ok(None);
        };
        let unreadable = |_| MemoryError::Acknowledgement(self.folder.join(ACKNOWLEDGEMENT));
        serde_json::from_str(&text).map(Some).map_err(unreadable)
    }

    pub(crate) fn forget_acknowledgement(&self) -> Result<(), MemoryError> {
        self.remove(ACKNOWLEDGEMENT)
    }
}

/// What is known of the log.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) keys: AuditKeys,
    /// The checkpoints.
    pub(crate) chain: Chain,
    /// The last end of the log that was proven to continue them.
    pub(crate) proven: AuditEnd,
    /// Where the database did not continue what this server remembered when it started: whom it follows
    /// instead of these.
    pub(crate) followed: Option<Followed>,
}

/// Whose word counts, should somebody acknowledge elsewhere that the log stepped back.
#[derive(Debug, Clone)]
pub(crate) enum Followed {
    /// Who begins an epoch after this one, and whose keys go on from this one.
    Signed {
        /// The epoch.
        epoch: i64,
        /// The key.
        key: NoteVerifier,
    },
    /// Whoever begins an epoch: nothing was signed here yet.
    Anybody,
    /// Nobody: what is remembered was signed with a key that is gone.
    Nobody,
}

impl Known {
    /// Whose word counts.
    pub(crate) fn followed(&self) -> Followed {
        if let Some(followed) = &self.followed {
            return followed.clone();
        }
        match (self.chain.newest(), self.chain.key()) {
            (Some(newest), Some(key)) => Followed::Signed {
                epoch: newest.epoch,
                key: key.clone(),
            },
            _ => Followed::Anybody,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct AuditMemory {
    pub(crate) files: MemoryFiles,
    pub(crate) known: Mutex<Known>,
    pub(crate) on_discontinuity: OnDiscontinuity,
    /// Held while the list of clients is made.
    pub(crate) indexing: Mutex<()>,
    /// Held while what is old is removed.
    pub(crate) pruning: Mutex<()>,
    discontinuity: ArcSwapOption<Discontinuity>,
    /// Whether that is on disk.
    is_on_disk: AtomicBool,
}

impl AuditMemory {
    pub(crate) fn new(
        files: MemoryFiles,
        known: Known,
        discontinuity: Option<Discontinuity>,
        on_discontinuity: OnDiscontinuity,
    ) -> Self {
        Self {
            files,
            known: Mutex::new(known),
            on_discontinuity,
            indexing: Mutex::new(()),
            pruning: Mutex::new(()),
            discontinuity: ArcSwapOption::new(discontinuity.map(Arc::new)),
            is_on_disk: AtomicBool::new(false),
        }
    }

    /// What does not continue, until somebody acknowledged it.
    pub(crate) fn discontinuity(&self) -> Option<Arc<Discontinuity>> {
        self.discontinuity.load_full()
    }

    /// From here on nothing is signed. [`Self::write_discontinuity`] makes it last.
    pub(crate) fn set_discontinuity(&self, found: Discontinuity) {
        self.is_on_disk.store(false, Ordering::Relaxed);
        self.discontinuity.store(Some(Arc::new(found)));
    }

    /// Puts it on disk, where that was not done yet.
    pub(crate) fn write_discontinuity(&self) -> Result<(), MemoryError> {
        let Some(found) = self.discontinuity() else {
            return Ok(());
        };
        if !self.is_on_disk.load(Ordering::Relaxed) {
            self.files.keep_discontinuity(&found)?;
            self.is_on_disk.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Somebody acknowledged it.
    pub(crate) fn forget_discontinuity(&self) -> Result<(), MemoryError> {
        self.discontinuity.store(None);
        self.files.forget_end()
    }
}
