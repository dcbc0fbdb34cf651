//! Keys of the audit log, sealed.

use jeton_core::{KeyId, Timestamp};
use sqlx::any::AnyRow;

use crate::row::Columns as _;
use crate::{Store, StoreError, Transaction};

/// A key of the audit log as it is kept: encrypted under a key derived from the master key.
#[derive(Debug, Clone)]
pub struct StoredAuditKey {
    /// Its ID.
    pub id: KeyId,
    /// What it is for.
    pub purpose: String,
    /// The key, sealed.
    pub sealed: String,
    /// Creation time.
    pub created_at: Timestamp,
}

fn from_row(row: &AnyRow) -> Result<StoredAuditKey, StoreError> {
    Ok(StoredAuditKey {
        id: row.parsed("id")?,
        purpose: row.text("purpose")?,
        sealed: row.text("sealed")?,
        created_at: row.time("created_at")?,
    })
}

impl Store {
    /// All keys of the audit log, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_keys(&self) -> Result<Vec<StoredAuditKey>, StoreError> {
        let rows = self.rows(sqlx::query("SELECT * FROM audit_key ORDER BY id"));
        rows.await?.iter().map(from_row).collect()
    }
}

impl Transaction {
    /// Keeps a new key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn insert_audit_key(&mut self, key: &StoredAuditKey) -> Result<(), StoreError> {
        let statement =
            "INSERT INTO audit_key (id, purpose, sealed, created_at) VALUES ($1, $2, $3, $4)";
        let query = sqlx::query(statement)
            .bind(key.id.to_string())
            .bind(key.purpose.as_str())
            .bind(key.sealed.as_str())
            .bind(key.created_at.as_millis());
        self.execute(query).await?;
        Ok(())
    }

    /// Replaces a key's seal, unless somebody did so already.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] where somebody did.
    pub async fn reseal_audit_key(
        &mut self,
        id: KeyId,
        from: &str,
        to: &str,
    ) -> Result<(), StoreError> {
        let statement = "UPDATE audit_key SET sealed = $1 WHERE id = $2 AND sealed = $3";
        let query = sqlx::query(statement).bind(to).bind(id.to_string());
        match self.execute(query.bind(from)).await? {
            1 => Ok(()),
            _ => Err(StoreError::Stale),
        }
    }
}
