//! Opening the memory of the audit log at start.

use jeton_core::{Clock, Entropy};
use jeton_store::Store;

use super::memory::{AuditMemory, Known, MemoryError, MemoryFiles, WHAT_TO_DO, tell};
use super::recall::{Outcome, RecallError, Recalled, Signed, recall, signed};
use crate::config::{Config, OnDiscontinuity};
use crate::keys::{AuditKeys, AuditKeysError, MasterKeys};

/// Why the audit log cannot be begun.
#[derive(Debug, thiserror::Error)]
pub enum OpenAuditError {
    /// Its keys.
    #[error(transparent)]
    Keys(#[from] AuditKeysError),
    /// The files in which it is remembered.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Comparing them with the database.
    #[error("the audit log cannot be compared with what this server remembers of it")]
    Recall(#[from] RecallError),
    /// They do not fit, and the server is to stop then.
    #[error(
        "the audit log in the database does not continue what this server remembers of it ({0}), and audit.on_discontinuity is stop: {WHAT_TO_DO}"
    )]
    Discontinuity(String),
}

/// Opens the keys of the audit log, compares the database with what this server remembers, and makes what
/// keys are missing. Nothing is written before the comparison.
pub(crate) async fn open_memory(
    config: &Config,
    store: &Store,
    master_keys: &MasterKeys,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<(AuditMemory, Outcome), OpenAuditError> {
    let files = MemoryFiles::new(&config.data_dir, master_keys)?;
    let keys = AuditKeys::open(store, master_keys).await?;
    keys.hand_to(store);
    let Recalled { known, outcome } = recall(store, keys, &files, clock).await?;
    let found = match &outcome {
        Outcome::Broken(found) => Some(found.clone()),
        _ => None,
    };
    if let Some(found) = &found {
        tell(found);
        if config.on_discontinuity == OnDiscontinuity::Stop {
            return Err(OpenAuditError::Discontinuity(found.to_string()));
        }
    }
    let Known { keys, .. } = known;
    let keys = keys.complete(store, master_keys, entropy, clock.now());
    let known = Known {
        keys: keys.await?,
        ..known
    };
    known.keys.hand_to(store);
    match (&found, known.chain.newest()) {
        (Some(_), _) => {
            store.follow_audit_fork();
            // What was signed as removed is no part of the log, whatever the database says.
            let remembered = files.note()?.and_then(|note| signed(&note, &known.keys));
            if let Some(Signed { checkpoint, .. }) = remembered {
                store.begin_audit_after(checkpoint.pruned.seq);
            }
        }
        (None, Some(newest)) => {
            store.begin_audit_after(newest.pruned.seq);
            store.audit_continues(&known.proven);
        }
        (None, None) => {}
    }
    let memory = AuditMemory::new(files, known, found, config.on_discontinuity);
    memory.write_discontinuity()?;
    Ok((memory, outcome))
}
