//! Secrets of one-time codes, sealed, and which steps' codes were taken.

use jeton_core::{AdminId, Timestamp};
use sqlx::any::AnyRow;

use crate::row::Columns;
use crate::{Store, StoreError, Transaction};

/// An admin's one-time codes as they are kept.
#[derive(Debug, Clone)]
pub struct StoredOneTimeCode {
    /// Whose.
    pub admin_id: AdminId,
    /// The secret, sealed.
    pub sealed: String,
    /// The newest step whose code was taken.
    pub last_step: i64,
    /// When they were set up.
    pub created_at: Timestamp,
    /// When one was last taken.
    pub last_used_at: Option<Timestamp>,
}

fn from_row(row: &AnyRow) -> Result<StoredOneTimeCode, StoreError> {
    Ok(StoredOneTimeCode {
        admin_id: row.parsed("admin_id")?,
        sealed: row.text("sealed")?,
        last_step: row.integer("last_step")?,
        created_at: row.time("created_at")?,
        last_used_at: row.optional_time("last_used_at")?,
    })
}

impl Store {
    /// An admin's one-time codes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn find_one_time_code(
        &self,
        id: AdminId,
    ) -> Result<Option<StoredOneTimeCode>, StoreError> {
        let query = sqlx::query("SELECT * FROM admin_one_time_code WHERE admin_id = $1");
        let row = self.row(query.bind(id.to_string())).await?;
        row.map(|row| from_row(&row)).transpose()
    }

    /// Those of all admins.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn one_time_codes(&self) -> Result<Vec<StoredOneTimeCode>, StoreError> {
        let query = sqlx::query("SELECT * FROM admin_one_time_code ORDER BY admin_id");
        self.rows(query).await?.iter().map(from_row).collect()
    }
}

impl Transaction {
    /// Keeps an admin's one-time codes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] where they have some already.
    pub async fn insert_one_time_code(
        &mut self,
        code: &StoredOneTimeCode,
    ) -> Result<(), StoreError> {
        let statement = "INSERT INTO admin_one_time_code \
                         (admin_id, sealed, last_step, created_at, last_used_at) \
                         VALUES ($1, $2, $3, $4, $5)";
        let query = sqlx::query(statement)
            .bind(code.admin_id.to_string())
            .bind(code.sealed.as_str())
            .bind(code.last_step)
            .bind(code.created_at.as_millis())
            .bind(code.last_used_at.map(Timestamp::as_millis));
        self.execute(query).await?;
        Ok(())
    }

    /// Takes the code of a step; says whether neither it nor a later one was taken before (RFC 6238 §5.2).
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn use_one_time_code(
        &mut self,
        id: AdminId,
        step: i64,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let statement = "UPDATE admin_one_time_code SET last_step = $1, last_used_at = $2 \
                         WHERE admin_id = $3 AND last_step < $1";
        let query = sqlx::query(statement)
            .bind(step)
            .bind(at.as_millis())
            .bind(id.to_string());
        Ok(self.execute(query).await? == 1)
    }

    /// Replaces a secret's seal, unless somebody did so already.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] where somebody did.
    pub async fn reseal_one_time_code(
        &mut self,
        id: AdminId,
        from: &str,
        to: &str,
    ) -> Result<(), StoreError> {
        let statement =
            "UPDATE admin_one_time_code SET sealed = $1 WHERE admin_id = $2 AND sealed = $3";
        let query = sqlx::query(statement).bind(to).bind(id.to_string());
        match self.execute(query.bind(from)).await? {
            1 => Ok(()),
            _ => Err(StoreError::Stale),
        }
    }

    /// Whether an admin has one-time codes, as this write sees it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn has_one_time_code(&mut self, id: AdminId) -> Result<bool, StoreError> {
        let query = sqlx::query("SELECT admin_id FROM admin_one_time_code WHERE admin_id = $1");
        Ok(self.row(query.bind(id.to_string())).await?.is_some())
    }

    /// Removes an admin's one-time codes; says whether there were any.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_one_time_code(&mut self, id: AdminId) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM admin_one_time_code WHERE admin_id = $1");
        Ok(self.execute(query.bind(id.to_string())).await? == 1)
    }
}
