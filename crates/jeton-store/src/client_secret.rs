//! Secrets of clients and MCP servers: their digests.

use jeton_core::{ClientSecret, SecretDigest, SecretId, SecretOwner, Timestamp};
use sqlx::any::AnyRow;

use crate::row::Columns;
use crate::store::Query;
use crate::{Change, Store, StoreError, Transaction};

fn from_row(row: &AnyRow) -> Result<ClientSecret, StoreError> {
    from_columns(row, "id", "created_at")
}

/// From a row in which other columns have these names.
pub(crate) fn from_columns(
    row: &AnyRow,
    id: &'static str,
    created_at: &'static str,
) -> Result<ClientSecret, StoreError> {
    Ok(ClientSecret {
        id: row.parsed(id)?,
        owner: row.parsed("owner")?,
        digest: SecretDigest::from_hex(&row.text("digest")?)
            .ok_or(StoreError::Corrupt { column: "digest" })?,
        suffix: row.text("suffix")?,
        created_at: row.time(created_at)?,
        expires_at: row.optional_time("expires_at")?,
        last_used_at: row.optional_time("last_used_at")?,
        revoked_at: row.optional_time("revoked_at")?,
    })
}

/// Secrets with when they were last used.
macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT s.*, u.last_used_at FROM client_secret s \
             LEFT JOIN secret_use u ON u.secret_id = s.id ",
            $which
        )
    };
}

macro_rules! insert {
    () => {
        "INSERT INTO client_secret (id, owner, digest, suffix, created_at, expires_at) VALUES"
    };
}

pub(crate) const INSERT: &str = insert!();

/// The columns of [`INSERT`].
pub(crate) fn bind<'q>(query: Query<'q>, secret: &'q ClientSecret) -> Query<'q> {
    query
        .bind(secret.id.to_string())
        .bind(secret.owner.to_string())
        .bind(secret.digest.to_hex())
        .bind(secret.suffix.as_str())
        .bind(secret.created_at.as_millis())
        .bind(secret.expires_at.map(Timestamp::as_millis))
}

impl Store {
    /// All secrets of a client or an MCP server, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn secrets_of(&self, owner: SecretOwner) -> Result<Vec<ClientSecret>, StoreError> {
        let rows = self
            .rows(sqlx::query(select!("WHERE owner = $1 ORDER BY id")).bind(owner.to_string()))
            .await?;
        rows.iter().map(from_row).collect()
    }

    /// Secrets that expire after `now` and before `before` and are not revoked, the soonest first. With a `now` of the
    /// past, those that expired since.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn secrets_expiring(
        &self,
        now: Timestamp,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ClientSecret>, StoreError> {
        let rows = self
            .rows(
                sqlx::query(select!(
                    "WHERE expires_at > $1 AND expires_at < $2 AND revoked_at IS NULL \
                     ORDER BY expires_at LIMIT $3"
                ))
                .bind(now.as_millis())
                .bind(before.as_millis())
                .bind(i64::from(limit)),
            )
            .await?;
        rows.iter().map(from_row).collect()
    }

    /// One secret.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn find_secret(&self, id: SecretId) -> Result<Option<ClientSecret>, StoreError> {
        self.row(sqlx::query(select!("WHERE id = $1")).bind(id.to_string()))
            .await?
            .map(|row| from_row(&row))
            .transpose()
    }
}

impl Transaction {
    /// Keeps a new secret's digest.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn insert_secret(&mut self, secret: &ClientSecret) -> Result<(), StoreError> {
        self.secrets_changed(secret.owner);
        let statement = concat!(insert!(), " ($1, $2, $3, $4, $5, $6)");
        self.execute(bind(sqlx::query(statement), secret)).await?;
        Ok(())
    }

    /// The secrets of an owner that work at `now`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn active_secrets(
        &mut self,
        owner: SecretOwner,
        now: Timestamp,
    ) -> Result<Vec<SecretId>, StoreError> {
        let statement = "SELECT id FROM client_secret WHERE owner = $1 AND revoked_at IS NULL \
                         AND (expires_at IS NULL OR expires_at > $2)";
        let query = sqlx::query(statement)
            .bind(owner.to_string())
            .bind(now.as_millis());
        let rows = self.rows(query).await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }

    /// Revokes a secret once; says whether this call did it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn revoke_secret(&mut self, id: SecretId, at: Timestamp) -> Result<bool, StoreError> {
        let revoked = self
            .row(
                sqlx::query(
                    "UPDATE client_secret SET revoked_at = $1 \
                     WHERE id = $2 AND revoked_at IS NULL RETURNING owner",
                )
                .bind(at.as_millis())
                .bind(id.to_string()),
            )
            .await?;
        if let Some(row) = &revoked {
            self.secrets_changed(row.parsed("owner")?);
        }
        Ok(revoked.is_some())
    }

    /// Lets all working secrets of an owner expire at `at`, unless they expire earlier anyway.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn expire_secrets(
        &mut self,
        owner: SecretOwner,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.secrets_changed(owner);
        self.execute(
            sqlx::query(
                "UPDATE client_secret SET expires_at = $1 WHERE owner = $2 AND revoked_at IS NULL \
             AND (expires_at IS NULL OR expires_at > $1)",
            )
            .bind(at.as_millis())
            .bind(owner.to_string()),
        )
        .await?;
        Ok(())
    }

    /// An MCP server's own secrets are read anew each time, so that nobody has to hear of them.
    fn secrets_changed(&mut self, owner: SecretOwner) {
        if let SecretOwner::Client(id) = owner {
            self.changed(Change::Client(id));
        }
    }
}
