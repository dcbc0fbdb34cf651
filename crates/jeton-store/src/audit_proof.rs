//! Proving the audit log: walking its chain a span at a time, past signed checkpoints.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::any::AnyRow;

use crate::audit::Columns;
use crate::audit_chain::{ChainHead, GENESIS, batch_hash};
use crate::row::Columns as _;
use crate::{AuditCheckpoint, Store, StoreError};

/// What is wrong with the log, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenAudit {
    /// The first event of the first batch that does not fit; what comes before it is proven.
    pub seq: i64,
    /// What is wrong.
    pub reason: BrokenReason,
}

/// What can be wrong with the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokenReason {
    /// The hash does not fit the events.
    #[error("an event of this batch was altered, added, removed or moved")]
    Altered,
    /// Numbers are missing.
    #[error("events are missing before this one")]
    Missing,
    /// Events without a batch.
    #[error("from this event on, no server wrote the log")]
    Foreign,
    /// The end is gone.
    #[error("the log ends before this event, which was written")]
    CutOff,
    /// A signed checkpoint says otherwise.
    #[error("a signed checkpoint says that this batch was another")]
    Checkpoint,
    /// A checkpoint is not signed by this installation.
    #[error("the checkpoint at this event is not signed with a key of this installation")]
    Signature,
    /// What leads to it was removed or altered.
    #[error(
        "a search by client does not find this event: what leads to it (table audit_client_span) was altered"
    )]
    Hidden,
}

/// A span of the log that was walked.
#[derive(Debug, Clone)]
pub struct AuditSpan {
    /// The last event that is proven, at the end of a batch; the next span begins after it.
    pub last: i64,
    /// How many events were walked.
    pub events: u64,
    /// The signed checkpoints in it, whose signatures nobody has verified yet.
    pub checkpoints: Vec<AuditCheckpoint>,
    /// Whether it reaches the end of the log.
    pub is_end: bool,
    /// What does not fit.
    pub broken: Option<BrokenAudit>,
}

/// Rows read at once.
const STEP: i64 = 1_000;
/// How often the end of the log is asked for before it is called foreign.
const ASK_END: u32 = 5;
/// How long after one another.
const ASK_END_AGAIN: Duration = Duration::from_millis(20);

/// The walk: what is proven so far, and the batch that is being read.
struct Walk {
    proven: ChainHead,
    batch: Vec<(i64, Columns)>,
    events: u64,
    /// Hashes by the last events of batches, where a checkpoint may point.
    ends: BTreeMap<i64, String>,
}

impl Walk {
    fn broken(&self, reason: BrokenReason) -> BrokenAudit {
        BrokenAudit {
            seq: self.proven.last_seq + 1,
            reason,
        }
    }

    fn step(&mut self, row: &AnyRow) -> Result<Option<BrokenAudit>, StoreError> {
        let seq = row.integer("seq")?;
        let expected = self
            .batch
            .last()
            .map_or(self.proven.last_seq, |(last, _)| *last)
            + 1;
        if seq != expected {
            let reason = BrokenReason::Missing;
            // In the middle of a batch, nothing of the batch is proven.
            let seq = self.batch.first().map_or(seq, |(first, _)| *first);
            return Ok(Some(BrokenAudit { seq, reason }));
        }
        self.batch.push((seq, Columns::of_row(row)?));
        self.events += 1;
        let Some(hash) = row.optional_text("batch_hash")? else {
            return Ok(None);
        };
        let events = self.batch.iter().map(|(seq, columns)| (*seq, columns));
        if batch_hash(&self.proven.hash, events) != hash {
            return Ok(Some(self.broken(BrokenReason::Altered)));
        }
        self.ends.insert(seq, hash.clone());
        self.proven = ChainHead {
            last_seq: seq,
            hash,
        };
        self.batch.clear();
        Ok(None)
    }
}

impl Store {
    /// Walks the chain from after the event `after`, the end of a proven span or 0, over `limit`
    /// events or a few more, up to the end of a batch.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn verify_audit(&self, after: i64, limit: i64) -> Result<AuditSpan, StoreError> {
        let must_reach = self.known_audit_end().await?;
        let (begin, mut checkpoints) = self.audit_begin(after).await?;
        let mut walk = Walk {
            ends: BTreeMap::from([(begin.last_seq, begin.hash.clone())]),
            proven: begin,
            batch: Vec::new(),
            events: 0,
        };
        let first = walk.proven.last_seq;
        let mut broken = None;
        let mut is_end = false;
        while broken.is_none() && !is_end && walk.proven.last_seq - first < limit {
            let last = walk
                .batch
                .last()
                .map_or(walk.proven.last_seq, |(seq, _)| *seq);
            let rows = self
                .rows(
                    sqlx::query("SELECT * FROM audit_event WHERE seq > $1 ORDER BY seq LIMIT $2")
                        .bind(last)
                        .bind(STEP),
                )
                .await?;
            is_end = i64::try_from(rows.len()).is_ok_and(|rows| rows < STEP);
            for row in &rows {
                broken = walk.step(row)?;
                if broken.is_some() {
                    break;
                }
            }
        }
        if is_end && broken.is_none() && !walk.batch.is_empty() {
            broken = Some(walk.broken(BrokenReason::Foreign));
        }
        let through = if is_end {
            i64::MAX
        } else {
            walk.proven.last_seq
        };
        checkpoints.extend(self.audit_checkpoints(first, through).await?);
        if broken.is_none() {
            broken = contradicted(&walk, &checkpoints);
        }
        if broken.is_none() && is_end {
            broken = self.wrong_end(&walk, must_reach.as_ref()).await?;
        }
        Ok(AuditSpan {
            last: walk.proven.last_seq,
            events: walk.events,
            checkpoints,
            is_end,
            broken,
        })
    }

    /// Where a walk begins, and the checkpoint that vouches for it where events were removed.
    async fn audit_begin(
        &self,
        after: i64,
    ) -> Result<(ChainHead, Vec<AuditCheckpoint>), StoreError> {
        let pruned = self.pruned_audit_checkpoint().await?;
        match pruned {
            Some(pruned) if after <= pruned.seq => Ok((
                ChainHead {
                    last_seq: pruned.seq,
                    hash: pruned.batch_hash.clone(),
                },
                vec![pruned],
            )),
            _ if after <= 0 => Ok((
                ChainHead {
                    last_seq: 0,
                    hash: GENESIS.to_owned(),
                },
                Vec::new(),
            )),
            _ => {
                let row = self
                    .row(
                        sqlx::query(
                            "SELECT batch_hash FROM audit_event WHERE seq = $1 \
                             AND batch_hash IS NOT NULL",
                        )
                        .bind(after),
                    )
                    .await?
                    .ok_or(StoreError::Stale)?;
                Ok((
                    ChainHead {
                        last_seq: after,
                        hash: row.text("batch_hash")?,
                    },
                    Vec::new(),
                ))
            }
        }
    }

    /// The end of the log as whoever writes it knows it: kept in the database where several write,
    /// else in the memory of the one that does.
    async fn known_audit_end(&self) -> Result<Option<ChainHead>, StoreError> {
        if !self.dialect.audit_head_is_kept {
            return Ok(self.audit_head.peek());
        }
        let row = self
            .one(sqlx::query(
                "SELECT last_seq, batch_hash FROM audit_head WHERE id = 1",
            ))
            .await?;
        Ok(Some(ChainHead {
            last_seq: row.integer("last_seq")?,
            hash: row.text("batch_hash")?,
        }))
    }

    /// The last event of the log and the hash of its batch, as whoever writes the log knows them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_end(&self) -> Result<Option<(i64, String)>, StoreError> {
        match self.known_audit_end().await? {
            Some(end) if end.last_seq > 0 => Ok(Some((end.last_seq, end.hash))),
            Some(_) => Ok(None),
            None => self.audit_batch_end(i64::MAX).await,
        }
    }

    /// Whether the log ends elsewhere than its writers know. `before` was read before the walk, and
    /// what was written since may have been walked or not.
    async fn wrong_end(
        &self,
        walk: &Walk,
        before: Option<&ChainHead>,
    ) -> Result<Option<BrokenAudit>, StoreError> {
        if let Some(before) = before {
            if walk.proven.last_seq < before.last_seq {
                return Ok(Some(walk.broken(BrokenReason::CutOff)));
            }
            let contradicts = |end: &String| *end != before.hash;
            if walk.ends.get(&before.last_seq).is_some_and(contradicts) {
                return Ok(Some(walk.broken(BrokenReason::Altered)));
            }
        }
        // More than was ever written: somebody continued the chain by hand. A writer remembers what it
        // committed a moment after others can read it, so it is asked again before that is said.
        for asked in 1.. {
            let after = self.known_audit_end().await?;
            let Some(after) = after.filter(|after| after.last_seq < walk.proven.last_seq) else {
                return Ok(None);
            };
            if asked == ASK_END {
                return Ok(Some(BrokenAudit {
                    seq: after.last_seq + 1,
                    reason: BrokenReason::Foreign,
                }));
            }
            tokio::time::sleep(ASK_END_AGAIN).await;
        }
        Ok(None)
    }
}

/// The first checkpoint that the walked chain contradicts.
fn contradicted(walk: &Walk, checkpoints: &[AuditCheckpoint]) -> Option<BrokenAudit> {
    checkpoints.iter().find_map(|checkpoint| {
        let seq = checkpoint.seq;
        if seq > walk.proven.last_seq {
            return Some(walk.broken(BrokenReason::CutOff));
        }
        let fits = walk.ends.get(&seq) == Some(&checkpoint.batch_hash);
        (!fits).then_some(BrokenAudit {
            seq,
            reason: BrokenReason::Checkpoint,
        })
    })
}
