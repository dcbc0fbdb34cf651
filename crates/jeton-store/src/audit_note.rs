//! Checkpoints of the audit log: signed notes, numbered without a gap. What they say is the service's
//! business; the columns repeat what the store needs of it.

use std::fmt::Write as _;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::audit_chain::AuditEnd;
use crate::row::Columns as _;
use crate::{Store, StoreError, Transaction};

/// A checkpoint as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditNote {
    /// Its number, from 1.
    pub number: i64,
    /// The end of the log that it covers.
    pub end: AuditEnd,
    /// The last event that was removed, and its batch's hash: the chain begins after it. Number 0 where
    /// none was.
    pub pruned: AuditEnd,
    /// The hash of its leaf, hexadecimal.
    pub leaf: String,
    /// The signed note; nothing where it is old and was dropped.
    pub note: Option<String>,
    /// Whether it is never dropped.
    pub keep: bool,
}

fn from_row(row: &AnyRow) -> Result<AuditNote, StoreError> {
    Ok(AuditNote {
        number: row.integer("number")?,
        end: AuditEnd {
            seq: row.integer("seq")?,
            hash: row.text("batch_hash")?,
        },
        pruned: AuditEnd {
            seq: row.integer("pruned_seq")?,
            hash: row.text("pruned_hash")?,
        },
        leaf: row.text("leaf")?,
        note: row.optional_text("note")?,
        keep: row.truth("keep")?,
    })
}

impl Store {
    /// Checkpoints from number `from` on, in their order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_notes(&self, from: i64, limit: u32) -> Result<Vec<AuditNote>, StoreError> {
        let statement = "SELECT * FROM audit_note WHERE number >= $1 ORDER BY number LIMIT $2";
        let query = sqlx::query(statement).bind(from).bind(i64::from(limit));
        self.rows(query).await?.iter().map(from_row).collect()
    }

    /// The newest checkpoint.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn last_audit_note(&self) -> Result<Option<AuditNote>, StoreError> {
        if !self.has_notes {
            return Ok(None);
        }
        let statement = "SELECT * FROM audit_note ORDER BY number DESC LIMIT 1";
        let row = self.row(sqlx::query(statement)).await?;
        row.map(|row| from_row(&row)).transpose()
    }

    /// Checkpoints that cover the log up to one of the events from `first` through `through`.
    pub(crate) async fn audit_notes_at(
        &self,
        first: i64,
        through: i64,
    ) -> Result<Vec<AuditNote>, StoreError> {
        let statement = "SELECT * FROM audit_note WHERE seq >= $1 AND seq <= $2 ORDER BY number";
        let query = sqlx::query(statement).bind(first).bind(through);
        self.rows(query).await?.iter().map(from_row).collect()
    }

    /// The last checkpoint that a destination has got; nothing where it is new.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_note_forwarded(&self, destination: &str) -> Result<Option<i64>, StoreError> {
        let statement = "SELECT number FROM audit_note_forward WHERE destination = $1";
        let row = self.row(sqlx::query(statement).bind(destination)).await?;
        row.map(|row| row.integer("number")).transpose()
    }

    /// Notes the last checkpoint that a destination has got.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn set_audit_note_forwarded(
        &self,
        destination: &str,
        number: i64,
    ) -> Result<(), StoreError> {
        let statement = "INSERT INTO audit_note_forward (destination, number) VALUES ($1, $2) \
                         ON CONFLICT (destination) DO UPDATE SET number = excluded.number";
        let query = sqlx::query(statement).bind(destination).bind(number);
        self.write(query).await?;
        Ok(())
    }
}

impl Transaction {
    /// Keeps a checkpoint.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] where another server made one with this number.
    pub async fn insert_audit_note(&mut self, note: &AuditNote) -> Result<(), StoreError> {
        self.execute(
            sqlx::query(
                "INSERT INTO audit_note (number, seq, batch_hash, pruned_seq, pruned_hash, leaf, \
                 note, keep) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(note.number)
            .bind(note.end.seq)
            .bind(note.end.hash.as_str())
            .bind(note.pruned.seq)
            .bind(note.pruned.hash.as_str())
            .bind(note.leaf.as_str())
            .bind(note.note.as_deref())
            .bind(i64::from(note.keep)),
        )
        .await?;
        Ok(())
    }

    /// Drops the notes before number `before`, but for those to keep, whatever their columns say; their leaves
    /// stay.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn drop_audit_notes(&mut self, before: i64, keep: &[i64]) -> Result<(), StoreError> {
        let first = before - 999;
        let mut statement = "UPDATE audit_note SET note = NULL \
                             WHERE number >= $1 AND number < $2 AND number NOT IN (0"
            .to_owned();
        for number in keep
            .iter()
            .filter(|number| (first..before).contains(number))
        {
            // Writing to a String cannot fail.
            let _ = write!(statement, ", {number}");
        }
        statement.push(')');
        let query = sqlx::query(AssertSqlSafe(statement))
            .bind(first)
            .bind(before);
        self.execute(query).await?;
        Ok(())
    }

    /// Removes the checkpoints after number `number`: the log stepped back before them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_audit_notes_after(&mut self, number: i64) -> Result<(), StoreError> {
        let statement = "DELETE FROM audit_note WHERE number > $1";
        self.execute(sqlx::query(statement).bind(number)).await?;
        Ok(())
    }
}
