//! The newest time that a server with a trusted clock has seen.

use jeton_core::Timestamp;

use crate::row::Columns as _;
use crate::{Store, StoreError};

impl Store {
    /// The newest time that a server confirmed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn confirmed_time(&self) -> Result<Option<Timestamp>, StoreError> {
        let statement = "SELECT confirmed_at FROM server_clock WHERE id = 1";
        let row = self.row(sqlx::query(statement)).await?;
        row.map(|row| row.time("confirmed_at")).transpose()
    }

    /// The newest time that is known: what a server confirmed, or else that of the newest audit event; nothing
    /// in an empty database.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn known_time(&self) -> Result<Option<Timestamp>, StoreError> {
        let row = self
            .one(sqlx::query(
                "SELECT COALESCE((SELECT confirmed_at FROM server_clock WHERE id = 1), \
                 (SELECT at FROM audit_event ORDER BY seq DESC LIMIT 1)) AS known",
            ))
            .await?;
        row.optional_time("known")
    }

    /// Confirms a time as the newest.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn confirm_time(&self, now: Timestamp) -> Result<(), StoreError> {
        let statement = "INSERT INTO server_clock (id, confirmed_at) VALUES (1, $1) \
                         ON CONFLICT (id) DO UPDATE SET confirmed_at = excluded.confirmed_at";
        self.write(sqlx::query(statement).bind(now.as_millis()))
            .await?;
        Ok(())
    }
}
