//! Proving the audit log: walking its chain a span at a time, past signed checkpoints.

use std::collections::BTreeMap;
use std::time::Duration;

use jeton_core::AuditKind;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::audit::Columns;
use crate::audit_chain::{AuditEnd, BatchKey, batch_hash};
use crate::row::Columns as _;
use crate::{AuditCheckpoint, AuditNote, Store, StoreError};

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
    /// A row is where events were removed.
    #[error(
        "this event lies before the beginning of the log, where a signed checkpoint says that everything was removed; no search and no export shows it"
    )]
    BeforeBegin,
    /// A server remembers otherwise.
    #[error("this server remembers, outside the database, that this batch was another")]
    Remembered,
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
    /// The same, by token.
    #[error(
        "a search by token does not find this event: the index that leads to it (audit_event_jti) was altered"
    )]
    HiddenToken,
    /// The same, by time.
    #[error(
        "a search by time may not find this event: that the clock was set back there (table audit_clock_step) was removed"
    )]
    HiddenTime,
}

/// A span of the log that was walked.
#[derive(Debug, Clone)]
pub struct AuditSpan {
    /// Where the walk began.
    pub begin: AuditEnd,
    /// The last batch that is proven; the next span begins after it.
    pub end: AuditEnd,
    /// How many events were walked.
    pub events: u64,
    /// Events in it that say that a server found the log not to continue.
    pub discontinuities: Vec<i64>,
    /// The checkpoints in it, whose signatures nobody has verified yet.
    pub notes: Vec<AuditNote>,
    /// The checkpoints of earlier versions in it, where there are no others; the same.
    pub checkpoints: Vec<AuditCheckpoint>,
    /// Whether it reaches the end of the log.
    pub is_end: bool,
    /// What does not fit.
    pub broken: Option<BrokenAudit>,
}

/// What to walk, and what is known of it already.
#[derive(Debug, Clone, Default)]
pub struct AuditWalk<'a> {
    /// Where the log begins, as is signed: the last batch that was removed. Nothing where only the database can
    /// say so: nobody has verified a checkpoint.
    pub begin: Option<&'a AuditEnd>,
    /// The end of a proven span, or 0: the walk begins after it.
    pub after: i64,
    /// Events to walk, or a few more, up to the end of a batch.
    pub limit: i64,
    /// Ends of batches that have to be on the way.
    pub known: &'a [AuditEnd],
    /// Batches after this event have to be a server's.
    pub authentic_after: Option<i64>,
}

/// Rows read at once.
const STEP: i64 = 1_000;
/// No batch that a server writes has more events, by far: a forged log is not kept in memory whole.
const LARGEST_BATCH: usize = 10_000;
/// How often the end of the log is asked for before it is called foreign.
const ASK_END: u32 = 5;
/// How long after one another.
const ASK_END_AGAIN: Duration = Duration::from_millis(20);

/// The walk: what is proven so far, and the batch that is being read.
pub(crate) struct Walk {
    pub(crate) proven: AuditEnd,
    batch: Vec<(i64, Columns)>,
    events: u64,
    /// Hashes by the last events of batches, where a checkpoint may point.
    ends: BTreeMap<i64, String>,
    discontinuities: Vec<i64>,
    /// What of it is old, where that is asked.
    pub(crate) age: Option<Age>,
    /// What authenticates batches, and after which event they have to be authenticated.
    key: BatchKey,
    authentic_after: i64,
}

impl Walk {
    /// From the end `begin` on. Batches after `authentic_after` have to be a server's.
    pub(crate) fn from(store: &Store, begin: AuditEnd, authentic_after: i64) -> Self {
        Self {
            ends: BTreeMap::from([(begin.seq, begin.hash.clone())]),
            proven: begin,
            batch: Vec::new(),
            events: 0,
            discontinuities: Vec::new(),
            age: None,
            key: store.batch_key.clone(),
            authentic_after,
        }
    }

    fn broken(&self, reason: BrokenReason) -> BrokenAudit {
        BrokenAudit {
            seq: self.proven.seq + 1,
            reason,
        }
    }

    fn step(&mut self, row: &AnyRow) -> Result<Option<BrokenAudit>, StoreError> {
        let seq = row.integer("seq")?;
        let expected = self.batch.last().map_or(self.proven.seq, |(last, _)| *last) + 1;
        if seq != expected {
            let reason = BrokenReason::Missing;
            // In the middle of a batch, nothing of the batch is proven.
            let seq = self.batch.first().map_or(seq, |(first, _)| *first);
            return Ok(Some(BrokenAudit { seq, reason }));
        }
        let columns = Columns::of_row(row)?;
        if columns.kind() == Some(AuditKind::AuditDiscontinuity.as_str()) {
            self.discontinuities.push(seq);
        }
        if self.batch.len() >= LARGEST_BATCH {
            return Ok(Some(self.broken(BrokenReason::Altered)));
        }
        if let Some(age) = &mut self.age {
            age.newest = age.newest.max(columns.at);
        }
        self.batch.push((seq, columns));
        self.events += 1;
        let Some(text) = row.optional_text("batch_hash")? else {
            return Ok(None);
        };
        let (end, authenticator) = AuditEnd::of_column(seq, &text);
        let events = self.batch.iter().map(|(seq, columns)| (*seq, columns));
        if batch_hash(&self.proven.hash, events) != end.hash {
            return Ok(Some(self.broken(BrokenReason::Altered)));
        }
        if seq > self.authentic_after && !self.key.is_authentic(&self.proven, &end, authenticator) {
            return Ok(Some(self.broken(BrokenReason::Foreign)));
        }
        self.ends.insert(seq, end.hash.clone());
        if let Some(age) = &mut self.age
            && age.newest < age.before
            && seq <= age.through
        {
            age.old = Some(end.clone());
        }
        self.proven = end;
        self.batch.clear();
        Ok(None)
    }

    /// Whether the checkpoints and other known ends among the batches walked since this was last asked are
    /// those of the log; what is known of later ones has to be there, too, where the log ends.
    pub(crate) fn contradicts(
        &mut self,
        known: &[(AuditEnd, BrokenReason)],
        is_end: bool,
    ) -> Option<BrokenAudit> {
        let first = self.ends.keys().next().copied().unwrap_or(self.proven.seq);
        let through = if is_end { i64::MAX } else { self.proven.seq };
        let found = known.iter().find_map(|(end, reason)| {
            let places = known_places(std::slice::from_ref(end), first, through);
            contradicted(self, &places, *reason)
        });
        self.ends = BTreeMap::from([(self.proven.seq, self.proven.hash.clone())]);
        found
    }

    /// The last event whose batch is proven before the batches that [`Self::contradicts`] looks at.
    pub(crate) fn first_end(&self) -> i64 {
        self.ends.keys().next().copied().unwrap_or(self.proven.seq)
    }
}

/// Which of the walked events are old.
pub(crate) struct Age {
    /// Old is what is from before this time.
    pub(crate) before: i64,
    /// Nothing after this event is asked about.
    pub(crate) through: i64,
    /// The latest time walked.
    pub(crate) newest: i64,
    /// The last batch that is old with everything before it.
    pub(crate) old: Option<AuditEnd>,
}

impl Store {
    /// Walks the chain from after the event `after`, the end of a proven span or 0, over `limit`
    /// events or a few more, up to the end of a batch. It does not ask who wrote it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn verify_audit(&self, after: i64, limit: i64) -> Result<AuditSpan, StoreError> {
        self.walk_audit(&AuditWalk {
            after,
            limit,
            ..AuditWalk::default()
        })
        .await
    }

    /// Walks part of the chain.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`]; [`StoreError::Stale`] where no batch ends
    /// where it is to begin.
    pub async fn walk_audit(&self, what: &AuditWalk<'_>) -> Result<AuditSpan, StoreError> {
        let must_reach = self.known_audit_end().await?;
        let (begin, has_notes, mut checkpoints) = self.begin_walk(what).await?;
        let first = begin.seq;
        let authentic_after = what.authentic_after.unwrap_or(i64::MAX);
        let mut walk = Walk::from(self, begin.clone(), authentic_after);
        let (mut broken, is_end) = self.walk_events(&mut walk, what.limit).await?;
        let through = if is_end { i64::MAX } else { walk.proven.seq };
        let mut notes = Vec::new();
        if has_notes {
            let from = if what.after > 0 { first + 1 } else { first };
            notes = self.audit_notes_at(from, through).await?;
        } else {
            checkpoints.extend(self.audit_checkpoints(first, through).await?);
        }
        let places = notes.iter().map(|note| (note.end.seq, &note.end.hash));
        let before = checkpoints.iter().map(|one| (one.seq, &one.batch_hash));
        for (places, reason) in [
            (places.chain(before).collect(), BrokenReason::Checkpoint),
            (
                known_places(what.known, first, through),
                BrokenReason::Remembered,
            ),
        ] {
            let places: Vec<(i64, &String)> = places;
            broken = broken.or_else(|| contradicted(&walk, &places, reason));
        }
        if broken.is_none() && is_end {
            broken = self.wrong_end(&walk, must_reach.as_ref()).await?;
        }
        Ok(AuditSpan {
            begin,
            end: walk.proven,
            events: walk.events,
            discontinuities: walk.discontinuities,
            notes,
            checkpoints,
            is_end,
            broken,
        })
    }

    /// Walks until `limit` events are proven, something does not fit, or the log ends.
    pub(crate) async fn walk_events(
        &self,
        walk: &mut Walk,
        limit: i64,
    ) -> Result<(Option<BrokenAudit>, bool), StoreError> {
        let first = walk.proven.seq;
        let mut broken = None;
        let mut is_end = false;
        while broken.is_none() && !is_end && walk.proven.seq - first < limit {
            let last = walk.batch.last().map_or(walk.proven.seq, |(seq, _)| *seq);
            let statement = format!(
                "SELECT * FROM {} WHERE seq > $1 ORDER BY seq LIMIT $2",
                self.dialect.audit_event
            );
            let query = sqlx::query(AssertSqlSafe(statement)).bind(last);
            let rows = self.rows(query.bind(STEP)).await?;
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
        Ok((broken, is_end))
    }

    /// Where a walk begins, whether there are checkpoints of today's form, and the checkpoint of an earlier
    /// version that vouches for the beginning where events were removed.
    async fn begin_walk(
        &self,
        what: &AuditWalk<'_>,
    ) -> Result<(AuditEnd, bool, Vec<AuditCheckpoint>), StoreError> {
        let (mut vouches, mut has_notes) = (Vec::new(), true);
        let pruned = if let Some(begin) = what.begin {
            begin.clone()
        } else if let Some(newest) = self.last_audit_note().await? {
            newest.pruned
        } else {
            has_notes = false;
            vouches.extend(self.pruned_audit_checkpoint().await?);
            let pruned = vouches.first().map(|checkpoint| AuditEnd {
                seq: checkpoint.seq,
                hash: checkpoint.batch_hash.clone(),
            });
            pruned.unwrap_or_else(AuditEnd::genesis)
        };
        if what.after <= pruned.seq {
            return Ok((pruned, has_notes, vouches));
        }
        let begin = self.audit_end_at(what.after).await?;
        Ok((begin.ok_or(StoreError::Stale)?, has_notes, Vec::new()))
    }

    /// The first row at or before event `begin`, the last one that was removed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_event_before(&self, begin: i64) -> Result<Option<BrokenAudit>, StoreError> {
        let statement = format!(
            "SELECT MIN(seq) AS seq FROM {} WHERE seq <= $1",
            self.dialect.audit_event
        );
        let row = self.one(sqlx::query(AssertSqlSafe(statement)).bind(begin));
        let seq = row.await?.optional_integer("seq")?;
        Ok(seq.map(|seq| BrokenAudit {
            seq,
            reason: BrokenReason::BeforeBegin,
        }))
    }

    /// The end of the log as whoever writes it knows it: kept in the database where several write,
    /// else in the memory of the one that does.
    async fn known_audit_end(&self) -> Result<Option<AuditEnd>, StoreError> {
        if !self.dialect.audit_head_is_kept {
            return Ok(self.audit_head.peek());
        }
        let row = self
            .one(sqlx::query(
                "SELECT last_seq, head_hash FROM audit_head WHERE id = 1",
            ))
            .await?;
        Ok(Some(AuditEnd {
            seq: row.integer("last_seq")?,
            hash: row.text("head_hash")?,
        }))
    }

    /// The last event of the log and the hash of its batch, as whoever writes the log knows them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_end(&self) -> Result<Option<AuditEnd>, StoreError> {
        match self.known_audit_end().await? {
            Some(end) if end.seq > 0 => Ok(Some(end)),
            Some(_) => Ok(None),
            None => self.audit_batch_end(i64::MAX).await,
        }
    }

    /// Whether the log ends elsewhere than its writers know. `before` was read before the walk, and
    /// what was written since may have been walked or not.
    async fn wrong_end(
        &self,
        walk: &Walk,
        before: Option<&AuditEnd>,
    ) -> Result<Option<BrokenAudit>, StoreError> {
        if let Some(before) = before {
            if walk.proven.seq < before.seq {
                return Ok(Some(walk.broken(BrokenReason::CutOff)));
            }
            let contradicts = |end: &String| *end != before.hash;
            if walk.ends.get(&before.seq).is_some_and(contradicts) {
                return Ok(Some(walk.broken(BrokenReason::Altered)));
            }
        }
        // More than was ever written: somebody else continued the chain. A writer remembers what it
        // committed a moment after others can read it, so it is asked again before that is said.
        for asked in 1.. {
            let after = self.known_audit_end().await?;
            let Some(after) = after.filter(|after| after.seq < walk.proven.seq) else {
                return Ok(None);
            };
            if asked == ASK_END {
                return Ok(Some(BrokenAudit {
                    seq: after.seq + 1,
                    reason: BrokenReason::Foreign,
                }));
            }
            tokio::time::sleep(ASK_END_AGAIN).await;
        }
        Ok(None)
    }
}

/// What is known of the events from `first` through `through`.
fn known_places(known: &[AuditEnd], first: i64, through: i64) -> Vec<(i64, &String)> {
    let places = known.iter().map(|end| (end.seq, &end.hash));
    places
        .filter(|(seq, _)| (first..=through).contains(seq))
        .collect()
}

/// The first place that the walked chain contradicts.
fn contradicted(
    walk: &Walk,
    places: &[(i64, &String)],
    reason: BrokenReason,
) -> Option<BrokenAudit> {
    places.iter().find_map(|(seq, hash)| {
        if *seq > walk.proven.seq {
            return Some(walk.broken(BrokenReason::CutOff));
        }
        let fits = walk.ends.get(seq) == Some(*hash);
        (!fits).then_some(BrokenAudit { seq: *seq, reason })
    })
}
