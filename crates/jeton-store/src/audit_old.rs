//! Proving what retention is to remove: it is read and hashed anew before anything goes, since the column of
//! its time is as easy to alter as any other.

use jeton_core::Timestamp;

use crate::audit_chain::AuditEnd;
use crate::audit_proof::{Age, Walk};
use crate::{BrokenAudit, BrokenReason, Store, StoreError};

/// Events walked in one step.
const STEP: i64 = 20_000;

/// What is believed to be old, and what is known of the log.
#[derive(Debug, Clone)]
pub struct OldPart {
    /// Where the log begins.
    pub begin: AuditEnd,
    /// The last event that is believed to be old.
    pub through: i64,
    /// Old is what is from before this time.
    pub before: Timestamp,
    /// Batches after this event have to be a server's.
    pub authentic_after: i64,
    /// Ends of batches that have to be on the way.
    pub known: Vec<AuditEnd>,
}

/// A walk over the old part of the log, a step at a time.
pub struct OldAudit {
    walk: Walk,
    known: Vec<(AuditEnd, BrokenReason)>,
    /// The walk is over with a batch that ends here or later.
    until: i64,
}

/// How far the walk came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldStep {
    /// There is more to walk.
    More,
    /// The last batch that is old with everything before it, if one is.
    Proven(Option<AuditEnd>),
    /// The log is not as it was written.
    Broken(BrokenAudit),
}

impl std::fmt::Debug for OldAudit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OldAudit").finish_non_exhaustive()
    }
}

impl Store {
    /// Begins to prove that a part of the log is as it was written, and old.
    pub fn begin_old_audit(&self, part: OldPart) -> OldAudit {
        // What earlier versions wrote is vouched for by the first batch that only a server can link to it.
        let until = if part.through <= part.authentic_after {
            part.authentic_after + 1
        } else {
            part.through
        };
        let mut walk = Walk::from(self, part.begin, part.authentic_after);
        walk.age = Some(Age {
            before: part.before.as_millis(),
            through: part.through,
            newest: i64::MIN,
            old: None,
        });
        let known = part.known.into_iter();
        OldAudit {
            walk,
            known: known.map(|end| (end, BrokenReason::Remembered)).collect(),
            until,
        }
    }

    /// Walks on.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn prove_old_audit(&self, old: &mut OldAudit) -> Result<OldStep, StoreError> {
        let walk = &mut old.walk;
        let first = walk.first_end();
        let limit = STEP.min(old.until - walk.proven.seq);
        let (broken, is_end) = self.walk_events(walk, limit).await?;
        let through = walk.proven.seq;
        let notes = self.audit_notes_at(first, through).await?;
        let notes = notes
            .into_iter()
            .map(|note| (note.end, BrokenReason::Checkpoint));
        let known: Vec<_> = notes.chain(old.known.iter().cloned()).collect();
        let contradicted = walk.contradicts(&known, is_end);
        if let Some(broken) = broken.or(contradicted) {
            return Ok(OldStep::Broken(broken));
        }
        if is_end || through >= old.until {
            let age = walk.age.as_ref();
            return Ok(OldStep::Proven(age.and_then(|age| age.old.clone())));
        }
        Ok(OldStep::More)
    }
}
