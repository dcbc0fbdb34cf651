//! Tokens revoked before their time (RFC 7009), remembered until they expire.

use jeton_core::Timestamp;

use crate::{Store, StoreError, Transaction};

impl Store {
    /// Whether the token with this `jti` was revoked.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn is_token_revoked(&self, jti: &str) -> Result<bool, StoreError> {
        let row = self
            .row(sqlx::query("SELECT 1 FROM revoked_token WHERE jti = $1").bind(jti))
            .await?;
        Ok(row.is_some())
    }
}

impl Transaction {
    /// Revokes a token once; says whether this call did it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn revoke_token(
        &mut self,
        jti: &str,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let inserted = self
            .execute(
                sqlx::query(
                    "INSERT INTO revoked_token (jti, expires_at, revoked_at) VALUES ($1, $2, $3) \
             ON CONFLICT (jti) DO NOTHING",
                )
                .bind(jti)
                .bind(expires_at.as_millis())
                .bind(now.as_millis()),
            )
            .await?;
        Ok(inserted == 1)
    }
}
