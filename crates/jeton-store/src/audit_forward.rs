//! How far the audit log was forwarded, by destination.

use crate::row::Columns as _;
use crate::{Store, StoreError, Transaction};

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

    /// The destinations that have not got everything through `seq`, each with the last event that it has got.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_forwards_behind(&self, seq: i64) -> Result<Vec<(String, i64)>, StoreError> {
        let statement =
            "SELECT destination, seq FROM audit_forward WHERE seq < $1 ORDER BY destination";
        let rows = self.rows(sqlx::query(statement).bind(seq)).await?;
        rows.iter()
            .map(|row| Ok((row.text("destination")?, row.integer("seq")?)))
            .collect()
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

impl Transaction {
    /// Lets every destination go on after event `seq`, which is removed with all before it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn skip_audit_forwards(&mut self, seq: i64) -> Result<(), StoreError> {
        let statement = "UPDATE audit_forward SET seq = $1 WHERE seq < $1";
        self.execute(sqlx::query(statement).bind(seq)).await?;
        Ok(())
    }
}
