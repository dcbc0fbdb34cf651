//! What the dashboard counts: tokens issued and refused, by minute, and by client and hour.
//!
//! The counts follow the audit log ([`crate::counting`]), so that nothing is added to the path of a
//! token and no page has to read the log itself.

use std::fmt::Write as _;

use jeton_core::{ClientId, Timestamp};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::row::Columns as _;
use crate::{Store, StoreError};

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 3_600_000;

/// Tokens issued and requests refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenCount {
    /// Tokens issued.
    pub issued: i64,
    /// Requests refused.
    pub refused: i64,
}

pub(crate) fn token_count(row: &AnyRow) -> Result<TokenCount, StoreError> {
    Ok(TokenCount {
        issued: row.integer("issued")?,
        refused: row.integer("refused")?,
    })
}

/// When a client last got a token, and when and why it was last refused one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientActivity {
    /// The last token.
    pub last_issued_at: Option<Timestamp>,
    /// The last refusal.
    pub last_refused_at: Option<Timestamp>,
    /// Its reason.
    pub last_refusal: Option<String>,
}

impl Store {
    /// Tokens from `since` on, in spans of `minutes` minutes each; spans without any are left out.
    /// A span is given by its beginning.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn tokens_by_span(
        &self,
        since: Timestamp,
        minutes: i64,
    ) -> Result<Vec<(Timestamp, TokenCount)>, StoreError> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT minute / $1 AS span, CAST(SUM(issued) AS BIGINT) AS issued, \
             CAST(SUM(refused) AS BIGINT) AS refused \
             FROM token_minute WHERE minute >= $2 GROUP BY minute / $1 ORDER BY minute / $1",
                )
                .bind(minutes)
                .bind(since.as_millis() / MINUTE),
            )
            .await?;
        rows.iter()
            .map(|row| {
                let begin = Timestamp::from_millis(row.integer("span")? * minutes * MINUTE);
                Ok((begin, token_count(row)?))
            })
            .collect()
    }

    /// The clients with the most tokens since the hour of `since`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn busiest_clients(
        &self,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<(ClientId, TokenCount)>, StoreError> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT client_id, CAST(SUM(issued) AS BIGINT) AS issued, \
             CAST(SUM(refused) AS BIGINT) AS refused \
             FROM client_hour WHERE hour >= $1 GROUP BY client_id \
             ORDER BY SUM(issued) DESC, client_id LIMIT $2",
                )
                .bind(since.as_millis() / HOUR)
                .bind(i64::from(limit)),
            )
            .await?;
        rows.iter()
            .map(|row| Ok((row.parsed("client_id")?, token_count(row)?)))
            .collect()
    }

    /// A client's tokens from the hour of `since` through that of `now`, which may be some days apart.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn tokens_of_client(
        &self,
        id: ClientId,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<TokenCount, StoreError> {
        // Each hour by name: between two hours lie the rows of all clients.
        let hours = since.as_millis() / HOUR..=now.as_millis() / HOUR;
        let mut statement = String::from(
            "SELECT CAST(COALESCE(SUM(issued), 0) AS BIGINT) AS issued, \
             CAST(COALESCE(SUM(refused), 0) AS BIGINT) AS refused \
             FROM client_hour WHERE client_id = $1 AND hour IN (NULL",
        );
        for (number, _) in (2..).zip(hours.clone()) {
            // Writing to a String cannot fail.
            let _ = write!(statement, ", ${number}");
        }
        statement.push(')');
        let mut query = sqlx::query(AssertSqlSafe(statement)).bind(id.to_string());
        for hour in hours {
            query = query.bind(hour);
        }
        let row = self.one(query).await?;
        token_count(&row)
    }

    /// When a client was last active.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn client_activity(&self, id: ClientId) -> Result<ClientActivity, StoreError> {
        let issued = self
            .row(
                sqlx::query("SELECT last_issued_at FROM client_use WHERE client_id = $1")
                    .bind(id.to_string()),
            )
            .await?;
        let refusal = self
            .row(
                sqlx::query("SELECT at, reason FROM client_refusal WHERE client_id = $1")
                    .bind(id.to_string()),
            )
            .await?;
        let mut activity = ClientActivity::default();
        if let Some(row) = issued {
            activity.last_issued_at = row.optional_time("last_issued_at")?;
        }
        if let Some(row) = refusal {
            activity.last_refused_at = Some(row.time("at")?);
            activity.last_refusal = row.optional_text("reason")?;
        }
        Ok(activity)
    }
}
