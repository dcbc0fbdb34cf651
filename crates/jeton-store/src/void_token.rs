//! Tokens that were declared void together, remembered until the last of them has expired.

use std::time::Duration;

use jeton_core::{ClientId, Timestamp, TokensOf};
use sqlx::AssertSqlSafe;

use crate::row::{Columns as _, placeholders};
use crate::{Store, StoreError, Transaction};

/// The longest lifetime of a token, and an hour for clocks that disagree.
const REMEMBER: Duration = Duration::from_secs(25 * 60 * 60);
/// So much later than now, at most, is a moment that was meant: a later one comes from a clock that
/// was wrong.
const MAX_AHEAD: i64 = 120_000;

/// Tokens of `of` that were issued up to `issued_until` are void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidTokens {
    /// Whose tokens.
    pub of: TokensOf,
    /// The time in the ID of the last token that is void.
    pub issued_until: Timestamp,
}

impl Store {
    /// What was declared void of a client's tokens, of those of its secrets and of its grants; and of
    /// what `others` name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn void_tokens(
        &self,
        client: ClientId,
        others: &[TokensOf],
    ) -> Result<Vec<VoidTokens>, StoreError> {
        // Nothing of the caller's is in the text: values are bound.
        let sql = format!(
            "SELECT subject, issued_until FROM void_token WHERE owner = $1 OR subject IN {}",
            placeholders(1, others.len() + 1)
        );
        let client = client.to_string();
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(client);
        for of in others {
            query = query.bind(of.to_string());
        }
        let rows = self.rows_once(query).await?;
        rows.iter()
            .map(|row| {
                Ok(VoidTokens {
                    of: row.parsed("subject")?,
                    issued_until: row.time("issued_until")?,
                })
            })
            .collect()
    }

    /// The latest time among the newest 10,000 events, that of the server whose clock is furthest ahead. What is
    /// later than `until` comes from a clock that was wrong, and does not count.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn latest_event_time(
        &self,
        until: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let statement = "SELECT MAX(at) AS at FROM \
             (SELECT at FROM audit_event ORDER BY seq DESC LIMIT 10000) AS newest WHERE at <= $1";
        let row = self
            .one(sqlx::query(statement).bind(until.as_millis()))
            .await?;
        row.optional_time("at")
    }
}

impl Transaction {
    /// Declares tokens void. `owner` is the client whose they are, if they are one client's.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn declare_void(
        &mut self,
        void: &VoidTokens,
        owner: Option<ClientId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // What was declared void before stays so, unless a clock was wrong then.
        let statement = "INSERT INTO void_token (subject, owner, issued_until, forget_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (subject) DO UPDATE SET \
             issued_until = CASE WHEN void_token.issued_until > excluded.issued_until \
             AND void_token.issued_until <= $5 \
             THEN void_token.issued_until ELSE excluded.issued_until END, \
             forget_at = excluded.forget_at";
        let forget_at = void.issued_until.max(now).plus(REMEMBER);
        self.execute(
            sqlx::query(statement)
                .bind(void.of.to_string())
                .bind(owner.map(|owner| owner.to_string()))
                .bind(void.issued_until.as_millis())
                .bind(forget_at.as_millis())
                .bind(now.as_millis().saturating_add(MAX_AHEAD)),
        )
        .await?;
        Ok(())
    }

    /// Declares what was issued up to `void.issued_until` void too, where something was declared void
    /// before.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn extend_void(&mut self, void: &VoidTokens) -> Result<(), StoreError> {
        let statement = "UPDATE void_token SET issued_until = $1, forget_at = $2 \
             WHERE subject = $3 AND issued_until < $1";
        self.execute(
            sqlx::query(statement)
                .bind(void.issued_until.as_millis())
                .bind(void.issued_until.plus(REMEMBER).as_millis())
                .bind(void.of.to_string()),
        )
        .await?;
        Ok(())
    }

    /// Forgets what was declared void of tokens that have all expired.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn forget_void_tokens(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        self.execute(
            sqlx::query("DELETE FROM void_token WHERE forget_at < $1").bind(now.as_millis()),
        )
        .await
    }
}
