//! Sessions of the dashboard: digests of their tokens.

use jeton_core::{AdminId, SecretDigest, Timestamp};
use sqlx::any::AnyRow;

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
    /// When its admin last proved who they are: by signing in, or when asked again.
    pub confirmed_at: Timestamp,
    /// The address it was begun from, where that is known.
    pub source: Option<String>,
    /// The browser it was begun in, in the browser's own words.
    pub user_agent: Option<String>,
}

/// A session with the handle by which it is ended; the handle does not give it away.
#[derive(Debug, Clone)]
pub struct ListedSession {
    /// The beginning of its token's digest.
    pub handle: String,
    /// The session.
    pub session: AdminSession,
}

/// Digits of a digest that are a session's handle.
const HANDLE: usize = 20;

/// The handle of the session with this token.
pub fn session_handle(digest: SecretDigest) -> String {
    digest.to_hex().chars().take(HANDLE).collect()
}

fn from_row(row: &AnyRow) -> Result<AdminSession, StoreError> {
    let created_at = row.time("created_at")?;
    Ok(AdminSession {
        admin_id: row.parsed("admin_id")?,
        created_at,
        seen_at: row.time("seen_at")?,
        confirmed_at: row.optional_time("confirmed_at")?.unwrap_or(created_at),
        source: row.optional_text("source")?,
        user_agent: row.optional_text("user_agent")?,
    })
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
        let query = sqlx::query("SELECT * FROM admin_session WHERE digest = $1");
        self.row(query.bind(digest.to_hex()))
            .await?
            .map(|row| from_row(&row))
            .transpose()
    }

    /// The sessions of an admin, the last used first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn admin_sessions_of(&self, id: AdminId) -> Result<Vec<ListedSession>, StoreError> {
        let statement = "SELECT * FROM admin_session WHERE admin_id = $1 ORDER BY seen_at DESC";
        let rows = self
            .rows(sqlx::query(statement).bind(id.to_string()))
            .await?;
        rows.iter()
            .map(|row| {
                Ok(ListedSession {
                    handle: row.text("digest")?.chars().take(HANDLE).collect(),
                    session: from_row(row)?,
                })
            })
            .collect()
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
                "INSERT INTO admin_session (digest, admin_id, created_at, seen_at, confirmed_at, \
                 source, user_agent) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(digest.to_hex())
            .bind(session.admin_id.to_string())
            .bind(session.created_at.as_millis())
            .bind(session.seen_at.as_millis())
            .bind(session.confirmed_at.as_millis())
            .bind(session.source.as_deref())
            .bind(session.user_agent.as_deref()),
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

    /// Notes that a session's admin proved again who they are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn confirm_admin_session(
        &mut self,
        digest: SecretDigest,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let statement =
            "UPDATE admin_session SET confirmed_at = $1, failures = 0 WHERE digest = $2";
        let query = sqlx::query(statement)
            .bind(at.as_millis())
            .bind(digest.to_hex());
        self.execute(query).await?;
        Ok(())
    }

    /// Counts a wrong password in a session; gives how many there were since the last right one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn count_session_failure(&mut self, digest: SecretDigest) -> Result<i64, StoreError> {
        let count = "UPDATE admin_session SET failures = failures + 1 WHERE digest = $1";
        self.execute(sqlx::query(count).bind(digest.to_hex()))
            .await?;
        let counted = "SELECT failures FROM admin_session WHERE digest = $1";
        let row = self.row(sqlx::query(counted).bind(digest.to_hex())).await?;
        row.map_or(Ok(0), |row| row.integer("failures"))
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

    /// Ends an admin's session by its handle; says whether it was there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_listed_session(
        &mut self,
        id: AdminId,
        handle: &str,
    ) -> Result<bool, StoreError> {
        let statement =
            "DELETE FROM admin_session WHERE admin_id = $1 AND substr(digest, 1, 20) = $2";
        let query = sqlx::query(statement).bind(id.to_string()).bind(handle);
        Ok(self.execute(query).await? > 0)
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

    /// Ends all sessions of an admin but this one; says how many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_other_sessions(
        &mut self,
        id: AdminId,
        digest: SecretDigest,
    ) -> Result<u64, StoreError> {
        let statement = "DELETE FROM admin_session WHERE admin_id = $1 AND digest <> $2";
        let query = sqlx::query(statement)
            .bind(id.to_string())
            .bind(digest.to_hex());
        self.execute(query).await
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
