//! Checkpoints that are sent on. Whoever gets one believes that Jeton signed it: so only those leave which this server
//! has signed or verified itself, whatever the database says by now.

use jeton_core::{Actor, AuditEvent, AuditKind, Entropy, EntropyError, EventId};
use jeton_jose::{TreeHash, UnverifiedNote};
use jeton_store::{AuditNote, RecordedEvent, Store, StoreError};

use crate::audit::checkpoint::Chain;
use crate::audit::{Checkpoint, Known, Trust};

/// Checkpoints read at once, and sent on in one round.
const STEP: u32 = 2_000;

/// The checkpoints after number `done` that are among those that this server knows; nothing where the database has
/// others in their place.
pub(super) async fn known_after(
    store: &Store,
    known: &Known,
    done: i64,
) -> Result<Option<Vec<AuditNote>>, StoreError> {
    let mut chain = known.chain.clone();
    let newest = chain.number();
    if newest == 0 || newest <= done {
        // Others may have signed some, which this server has not verified yet.
        return Ok(Some(Vec::new()));
    }
    if newest == done + 1 {
        let rows = store.audit_notes(newest, 1).await?;
        let is_known = rows.first().is_some_and(|row| chain.is_newest(row));
        return Ok(is_known.then_some(rows));
    }
    walk_to(store, known, done).await
}

/// The root of what this server knows commits to every checkpoint before it; of those that are sent on, the signature is
/// verified too, which it does not commit to.
async fn walk_to(
    store: &Store,
    known: &Known,
    done: i64,
) -> Result<Option<Vec<AuditNote>>, StoreError> {
    let newest = known.chain.number();
    let last = newest.min(done + i64::from(STEP));
    let mut chain = Chain::default();
    let mut found = Vec::new();
    while chain.number() < newest {
        let rows = store.audit_notes(chain.number() + 1, STEP).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        for row in rows {
            if row.number > newest {
                break;
            }
            let is_sent = row.number > done && row.number <= last;
            let trust = if is_sent {
                Trust::Signature
            } else {
                Trust::LaterRoot
            };
            if chain.push(&row, &known.keys, trust).is_err() {
                return Ok(None);
            }
            if is_sent {
                found.push(row);
            }
        }
    }
    Ok((chain.root() == known.chain.root()).then_some(found))
}

/// A checkpoint as an event: the same at every attempt, its ID too. Nothing where its note was dropped.
pub(super) fn event_of(row: &AuditNote) -> Option<RecordedEvent> {
    let note = row.note.as_ref()?;
    let unverified = UnverifiedNote::parse(note).ok()?;
    let checkpoint = Checkpoint::parse(unverified.unverified_text())?;
    let id = EventId::generate(checkpoint.at, &FromLeaf(checkpoint.leaf())).ok()?;
    let kind = AuditKind::AuditCheckpoint;
    let mut event = AuditEvent::new(id, checkpoint.at, kind, Actor::System);
    event.detail.insert("number".into(), row.number.into());
    event.detail.insert("note".into(), note.as_str().into());
    let seq = checkpoint.end.seq;
    Some(RecordedEvent { seq, event })
}

/// What stands in for randomness in the ID.
#[derive(Debug)]
struct FromLeaf(TreeHash);

impl Entropy for FromLeaf {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for (place, byte) in bytes.iter_mut().zip(self.0) {
            *place = byte;
        }
        Ok(())
    }
}
