//! Signing keys, sealed.

use jeton_core::{KeyId, KeyState, SigningAlgorithm, Timestamp};
use sqlx::any::AnyRow;

use crate::row::Columns;
use crate::{Change, Store, StoreError, Transaction};

/// A signing key as it is kept: the private half encrypted under the master key.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// Its ID, the `kid`.
    pub id: KeyId,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// Where it is in its life.
    pub state: KeyState,
    /// The private key, PKCS#8, sealed.
    pub sealed: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it began to sign; of a pending key, when it will.
    pub activated_at: Option<Timestamp>,
    /// When it stopped signing.
    pub retired_at: Option<Timestamp>,
    /// Until when it is published once retired.
    pub published_until: Option<Timestamp>,
}

impl StoredKey {
    /// Whether its public half is published at `now`.
    pub fn is_published(&self, now: Timestamp) -> bool {
        self.state != KeyState::Retired || self.published_until.is_none_or(|until| until > now)
    }
}

fn from_row(row: &AnyRow) -> Result<StoredKey, StoreError> {
    Ok(StoredKey {
        id: row.parsed("id")?,
        algorithm: row.parsed("algorithm")?,
        state: row.parsed::<KeyState>("state")?,
        sealed: row.text("sealed")?,
        created_at: row.time("created_at")?,
        activated_at: row.optional_time("activated_at")?,
        retired_at: row.optional_time("retired_at")?,
        published_until: row.optional_time("published_until")?,
    })
}

impl Store {
    /// All signing keys, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn signing_keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let rows = self
            .rows(sqlx::query("SELECT * FROM signing_key ORDER BY id"))
            .await?;
        rows.iter().map(from_row).collect()
    }
}

impl Transaction {
    /// Keeps a new signing key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn insert_signing_key(&mut self, key: &StoredKey) -> Result<(), StoreError> {
        self.changed(Change::SigningKeys);
        self.execute(
            sqlx::query(
                "INSERT INTO signing_key (id, algorithm, state, sealed, created_at, activated_at, \
             retired_at, published_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(key.id.to_string())
            .bind(key.algorithm.as_str())
            .bind(key.state.as_str())
            .bind(key.sealed.as_str())
            .bind(key.created_at.as_millis())
            .bind(key.activated_at.map(Timestamp::as_millis))
            .bind(key.retired_at.map(Timestamp::as_millis))
            .bind(key.published_until.map(Timestamp::as_millis)),
        )
        .await?;
        Ok(())
    }

    /// Replaces a private key's seal, unless somebody did so already.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] where somebody did.
    pub async fn reseal_signing_key(
        &mut self,
        id: KeyId,
        from: &str,
        to: &str,
    ) -> Result<(), StoreError> {
        self.changed(Change::SigningKeys);
        let updated = self
            .execute(
                sqlx::query("UPDATE signing_key SET sealed = $1 WHERE id = $2 AND sealed = $3")
                    .bind(to)
                    .bind(id.to_string())
                    .bind(from),
            )
            .await?;
        if updated == 1 {
            Ok(())
        } else {
            Err(StoreError::Stale)
        }
    }

    /// Moves a key on in its life: from `from`, unless somebody did so already. Says whether this
    /// call did it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn update_signing_key(
        &mut self,
        key: &StoredKey,
        from: KeyState,
    ) -> Result<bool, StoreError> {
        self.changed(Change::SigningKeys);
        let updated = self
            .execute(
                sqlx::query(
                    "UPDATE signing_key SET state = $1, activated_at = $2, retired_at = $3, \
             published_until = $4 WHERE id = $5 AND state = $6",
                )
                .bind(key.state.as_str())
                .bind(key.activated_at.map(Timestamp::as_millis))
                .bind(key.retired_at.map(Timestamp::as_millis))
                .bind(key.published_until.map(Timestamp::as_millis))
                .bind(key.id.to_string())
                .bind(from.as_str()),
            )
            .await?;
        Ok(updated == 1)
    }
}
