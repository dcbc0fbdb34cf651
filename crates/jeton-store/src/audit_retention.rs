//! Removing what is old from the audit log, without breaking the proof of the rest.

use jeton_core::Timestamp;

use crate::audit_chain::AuditEnd;
use crate::audit_search::OUT_OF_ORDER;
use crate::row::Columns as _;
use crate::{Locked, Store, StoreError};

impl Store {
    /// The last event of the last batch that lies wholly before event `before`, with its hash.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_batch_end(&self, before: i64) -> Result<Option<AuditEnd>, StoreError> {
        self.row(
            sqlx::query(
                "SELECT seq, batch_hash FROM audit_event WHERE seq < $1 \
                 AND batch_hash IS NOT NULL ORDER BY seq DESC LIMIT 1",
            )
            .bind(before),
        )
        .await?
        .map(|row| Ok(AuditEnd::of_column(row.integer("seq")?, &row.text("batch_hash")?).0))
        .transpose()
    }

    /// The last event of the last batch whose events are all older than `before`, with its hash.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_batch_end_at(
        &self,
        before: Timestamp,
    ) -> Result<Option<AuditEnd>, StoreError> {
        let first_kept = self.first_seq_at(before.minus(OUT_OF_ORDER)).await?;
        self.audit_batch_end(first_kept).await
    }

    /// The last event that nobody who follows the log still has to read: the dashboard's counts, and
    /// every destination that it is forwarded to, none of which is waited for before event `waited`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_used_through(&self, waited: i64) -> Result<i64, StoreError> {
        let row = self
            .one(sqlx::query(
                "SELECT MIN(seq) AS seq FROM (SELECT seq FROM statistics_progress WHERE id IN (1, 2) \
                 UNION ALL SELECT CASE WHEN seq < $1 THEN $1 ELSE seq END FROM audit_forward) AS used",
            ).bind(waited))
            .await?;
        row.integer("seq")
    }

    /// Removes some of the events that a checkpoint says are removed, under
    /// [`Lock::AuditRetention`](crate::Lock::AuditRetention); says whether any were left.
    ///
    /// # Errors
    ///
    /// [`StoreError::LockLost`], [`StoreError::Database`].
    pub async fn delete_pruned_audit(
        &self,
        through: i64,
        alone: &Locked,
    ) -> Result<bool, StoreError> {
        alone.check().await?;
        let deleted = self
            .write(
                sqlx::query(
                    "DELETE FROM audit_event WHERE seq <= $1 AND seq < 5000 + \
                     (SELECT MIN(seq) FROM audit_event)",
                )
                .bind(through),
            )
            .await?;
        if deleted == 0 {
            return Ok(false);
        }
        self.forget_audit_index().await?;
        Ok(true)
    }
}
