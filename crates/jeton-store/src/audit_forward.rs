//! How far the audit log was forwarded, by destination.

use crate::row::Columns as _;
use crate::{Store, StoreError};

impl Store {
    /// The last event that a destination has got; nothing where it is new.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_forwarded_through(&self, name: &str) -> Result<Option<i64>, StoreError> {
        self.row(sqlx::query("SELECT seq FROM audit_forward WHERE destination = $1").bind(name))
            .await?
            .map(|row| row.integer("seq"))
            .transpose()
    }

    /// Notes the last event that a destination has got.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn set_audit_forwarded(&self, name: &str, seq: i64) -> Result<(), StoreError> {
        let statement = "INSERT INTO audit_forward (destination, seq) VALUES ($1, $2) \
                         ON CONFLICT (destination) DO UPDATE SET seq = excluded.seq";
        self.write(sqlx::query(statement).bind(name).bind(seq))
            .await?;
        Ok(())
    }

    /// Forgets every destination but these.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn keep_audit_forwards(&self, names: &[String]) -> Result<(), StoreError> {
        let rows = self
            .rows(sqlx::query("SELECT destination FROM audit_forward"))
            .await?;
        for row in &rows {
            let known = row.text("destination")?;
            if !names.contains(&known) {
                self.write(
                    sqlx::query("DELETE FROM audit_forward WHERE destination = $1")
                        .bind(known.clone()),
                )
                .await?;
                self.write(
                    sqlx::query("DELETE FROM audit_note_forward WHERE destination = $1")
                        .bind(known),
                )
                .await?;
            }
        }
        Ok(())
    }
}
