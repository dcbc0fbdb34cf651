//! Recovery codes: digests of those that an admin has, and which were used.

use jeton_core::{AdminId, SecretDigest, Timestamp};

use crate::row::Columns as _;
use crate::{Store, StoreError, Transaction};

impl Store {
    /// How many recovery codes an admin has that were not used.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn count_recovery_codes(&self, id: AdminId) -> Result<i64, StoreError> {
        let statement = "SELECT COUNT(*) AS number FROM admin_recovery_code \
                         WHERE admin_id = $1 AND used_at IS NULL";
        let query = sqlx::query(statement).bind(id.to_string());
        let row = self.row(query).await?;
        row.map_or(Ok(0), |row| row.integer("number"))
    }
}

impl Transaction {
    /// Gives an admin these recovery codes; earlier ones no longer work.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn replace_recovery_codes(
        &mut self,
        id: AdminId,
        digests: &[SecretDigest],
    ) -> Result<(), StoreError> {
        self.delete_recovery_codes(id).await?;
        for digest in digests {
            let statement = "INSERT INTO admin_recovery_code (admin_id, digest) VALUES ($1, $2)";
            let query = sqlx::query(statement)
                .bind(id.to_string())
                .bind(digest.to_hex());
            self.execute(query).await?;
        }
        Ok(())
    }

    /// Uses a recovery code; says whether the admin has it and did not use it before.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn use_recovery_code(
        &mut self,
        id: AdminId,
        digest: SecretDigest,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let statement = "UPDATE admin_recovery_code SET used_at = $1 \
                         WHERE admin_id = $2 AND digest = $3 AND used_at IS NULL";
        let query = sqlx::query(statement)
            .bind(at.as_millis())
            .bind(id.to_string())
            .bind(digest.to_hex());
        Ok(self.execute(query).await? == 1)
    }

    /// Removes an admin's recovery codes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_recovery_codes(&mut self, id: AdminId) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM admin_recovery_code WHERE admin_id = $1");
        self.execute(query.bind(id.to_string())).await?;
        Ok(())
    }
}
