//! Signed ends of the audit chain as versions before migration 6 made them: read until the first
//! checkpoint of today's form takes their place.

use jeton_core::Timestamp;
use sqlx::any::AnyRow;

use crate::row::Columns as _;
use crate::{Store, StoreError, Transaction};

/// An end of the chain that a server signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCheckpoint {
    /// The last event that it covers.
    pub seq: i64,
    /// The hash of that event's batch.
    pub batch_hash: String,
    /// When it was signed.
    pub at: Timestamp,
    /// The signature, over all of the above.
    pub signature: String,
    /// When the events up to it were removed, if they were.
    pub pruned_at: Option<Timestamp>,
}

fn checkpoint_from_row(row: &AnyRow) -> Result<AuditCheckpoint, StoreError> {
    Ok(AuditCheckpoint {
        seq: row.integer("seq")?,
        batch_hash: row.text("batch_hash")?,
        at: row.time("at")?,
        signature: row.text("signature")?,
        pruned_at: row.optional_time("pruned_at")?,
    })
}

impl Store {
    pub(crate) async fn audit_checkpoints(
        &self,
        after: i64,
        through: i64,
    ) -> Result<Vec<AuditCheckpoint>, StoreError> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT * FROM audit_checkpoint WHERE seq > $1 AND seq <= $2 ORDER BY seq",
                )
                .bind(after)
                .bind(through),
            )
            .await?;
        rows.iter().map(checkpoint_from_row).collect()
    }

    /// The checkpoint up to which events were removed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn pruned_audit_checkpoint(&self) -> Result<Option<AuditCheckpoint>, StoreError> {
        self.row(sqlx::query(
            "SELECT * FROM audit_checkpoint WHERE pruned_at IS NOT NULL ORDER BY seq DESC LIMIT 1",
        ))
        .await?
        .map(|row| checkpoint_from_row(&row))
        .transpose()
    }
}

impl Transaction {
    /// Forgets all of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_audit_checkpoints(&mut self) -> Result<(), StoreError> {
        self.execute(sqlx::query("DELETE FROM audit_checkpoint"))
            .await?;
        Ok(())
    }
}
