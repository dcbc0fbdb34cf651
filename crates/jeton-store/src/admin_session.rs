//! Sessions of the dashboard: digests of their tokens.

use jeton_core::{AdminId, SecretDigest, Timestamp};

use crate::row::Columns;
use crate::{Store, StoreError, Transaction};

/// A session as it is kept.
#[derive(Debug, Clone)]
pub struct AdminSession {
    /// Whose.
    pub admin_id: AdminId,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was last used; up to a minute behind.
    pub seen_at: Timestamp,
}

impl Store {
    /// The session with this token.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn find_admin_session(
        &self,
        digest: SecretDigest,
    ) -> Result<Option<AdminSession>, StoreError> {
        self.row(
            sqlx::query(
                "SELECT admin_id, created_at, seen_at FROM admin_session WHERE digest = $1",
            )
            .bind(digest.to_hex()),
        )
        .await?
        .map(|row| {
            Ok(AdminSession {
                admin_id: row.parsed("admin_id")?,
                created_at: row.time("created_at")?,
                seen_at: row.time("seen_at")?,
            })
        })
        .transpose()
    }
}

impl Transaction {
    /// Begins a session.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn insert_admin_session(
        &mut self,
        digest: SecretDigest,
        session: &AdminSession,
    ) -> Result<(), StoreError> {
        self.execute(
            sqlx::query(
                "INSERT INTO admin_session (digest, admin_id, created_at, seen_at) \
             VALUES ($1, $2, $3, $4)",
            )
            .bind(digest.to_hex())
            .bind(session.admin_id.to_string())
            .bind(session.created_at.as_millis())
            .bind(session.seen_at.as_millis()),
        )
        .await?;
        Ok(())
    }

    /// Notes that a session was used.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn touch_admin_session(
        &mut self,
        digest: SecretDigest,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.execute(
            sqlx::query("UPDATE admin_session SET seen_at = $1 WHERE digest = $2")
                .bind(at.as_millis())
                .bind(digest.to_hex()),
        )
        .await?;
        Ok(())
    }

    /// Ends one session.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_admin_session(&mut self, digest: SecretDigest) -> Result<(), StoreError> {
        self.execute(
            sqlx::query("DELETE FROM admin_session WHERE digest = $1").bind(digest.to_hex()),
        )
        .await?;
        Ok(())
    }

    /// Ends all sessions of an admin; says whether there were any.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_admin_sessions_of(&mut self, id: AdminId) -> Result<bool, StoreError> {
        let statement = "DELETE FROM admin_session WHERE admin_id = $1";
        let ended = self
            .execute(sqlx::query(statement).bind(id.to_string()))
            .await?;
        Ok(ended > 0)
    }

    /// Forgets sessions that were begun before `begun` or last used before `seen`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_old_admin_sessions(
        &mut self,
        begun: Timestamp,
        seen: Timestamp,
    ) -> Result<(), StoreError> {
        self.execute(
            sqlx::query("DELETE FROM admin_session WHERE created_at < $1 OR seen_at < $2")
                .bind(begun.as_millis())
                .bind(seen.as_millis()),
        )
        .await?;
        Ok(())
    }
}
