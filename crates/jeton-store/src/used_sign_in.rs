//! Answers of an `OpenID` Connect provider that were taken: each is taken once, by one server.

use jeton_core::Timestamp;

use crate::{StoreError, Transaction};

impl Transaction {
    /// Takes the answer with this `state`; says whether nobody did before.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn use_sign_in(
        &mut self,
        state: &str,
        forget_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let statement = "INSERT INTO used_sign_in (state, forget_at) VALUES ($1, $2) \
                         ON CONFLICT (state) DO NOTHING";
        let query = sqlx::query(statement)
            .bind(state)
            .bind(forget_at.as_millis());
        Ok(self.execute(query).await? == 1)
    }
}
