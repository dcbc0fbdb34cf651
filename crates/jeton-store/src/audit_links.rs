//! Whether the end of the log continues an earlier end, without reading the events between them: batches
//! are linked by authenticators that only servers can make.

use tokio::sync::watch;

use crate::audit_chain::AuditEnd;
use crate::row::Columns as _;
use crate::{Store, StoreError};

/// Batches read at once.
const STEP: i64 = 4_000;

/// What a walk over the links between batches found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLinks {
    /// The last end that continues the first.
    pub end: AuditEnd,
    /// What does not continue, where something does not.
    pub broken: Option<BrokenLink>,
}

/// What was expected at a place in the log, and is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenLink {
    /// The event.
    pub seq: i64,
    /// The end that has to be there, where one is known.
    pub expected: Option<AuditEnd>,
    /// The end that is there, if any.
    pub found: Option<AuditEnd>,
}

impl Store {
    /// From here on, every batch that this store appends is authenticated with `key`, and the links
    /// that it reads have to be.
    pub fn authenticate_batches(&self, key: &[u8]) {
        self.batch_key.set(key);
    }

    /// The last end that this process wrote, or proved to continue what it wrote.
    pub fn audit_written(&self) -> Option<AuditEnd> {
        self.audit_head.written()
    }

    /// Forgets what this process knows of the log's end: it stepped back, and that is right.
    pub fn forget_audit_end(&self) {
        self.audit_head.forget();
    }

    /// The log was proven to continue what this process wrote, up to this end: whatever is read from the
    /// database later has to continue it.
    pub fn audit_continues(&self, end: &AuditEnd) {
        self.audit_head.proven(end.clone());
    }

    /// From here on appends continue whatever log the database holds, since somebody was told that it is
    /// another one. What this process wrote before stays as it is.
    pub fn follow_audit_fork(&self) {
        self.audit_head.fork();
    }

    /// Events up to this one were removed, as is signed: nothing that the database holds of them is read.
    pub fn begin_audit_after(&self, seq: i64) {
        self.audit_head.set_begin(seq);
    }

    /// The last event that was removed.
    pub(crate) fn audit_begin(&self) -> i64 {
        self.audit_head.begin()
    }

    /// Tells of each append that found another log than this process wrote, by a number that rises.
    pub fn audit_doubts(&self) -> watch::Receiver<u64> {
        self.audit_head.doubts()
    }

    /// Somebody has looked at the doubts up to this one.
    pub fn settle_audit_doubts(&self, doubt: u64) {
        self.audit_head.settle(doubt);
    }

    /// Waits until somebody has looked at the doubts that there are.
    pub async fn audit_settled(&self) {
        self.audit_head.settled().await;
    }

    /// The batch that ends at event `seq`, if one does.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_end_at(&self, seq: i64) -> Result<Option<AuditEnd>, StoreError> {
        let statement =
            "SELECT batch_hash FROM audit_event WHERE seq = $1 AND batch_hash IS NOT NULL";
        let row = self.row(sqlx::query(statement).bind(seq)).await?;
        row.map(|row| Ok(AuditEnd::of_column(seq, &row.text("batch_hash")?).0))
            .transpose()
    }

    /// Walks the links from `from` to the end of the log. Each of `known`, which come after it and are
    /// in their order, has to be on the way.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn prove_audit_links(
        &self,
        from: &AuditEnd,
        known: &[AuditEnd],
    ) -> Result<AuditLinks, StoreError> {
        let mut known = known.iter().peekable();
        let mut end = from.clone();
        loop {
            let query = sqlx::query(
                "SELECT seq, batch_hash FROM audit_event WHERE seq > $1 \
                 AND batch_hash IS NOT NULL ORDER BY seq LIMIT $2",
            );
            let rows = self.rows(query.bind(end.seq).bind(STEP)).await?;
            for row in &rows {
                let text = row.text("batch_hash")?;
                let (next, authenticator) = AuditEnd::of_column(row.integer("seq")?, &text);
                let expected = known.next_if(|known| known.seq <= next.seq);
                let is_expected = expected.is_none_or(|expected| *expected == next);
                if !is_expected || !self.batch_key.is_authentic(&end, &next, authenticator) {
                    let broken = BrokenLink {
                        seq: end.seq + 1,
                        expected: expected.filter(|_| !is_expected).cloned(),
                        found: Some(next),
                    };
                    return Ok(AuditLinks {
                        end,
                        broken: Some(broken),
                    });
                }
                end = next;
            }
            if i64::try_from(rows.len()).is_ok_and(|rows| rows < STEP) {
                break;
            }
        }
        let missing = known.next().map(|expected| BrokenLink {
            seq: end.seq + 1,
            expected: Some(expected.clone()),
            found: None,
        });
        Ok(AuditLinks {
            end,
            broken: missing,
        })
    }
}
