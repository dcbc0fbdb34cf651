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

/// Refusals of one client for one reason, of the last days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedClient {
    /// The client, which may have been deleted, or never have been.
    pub client_id: ClientId,
    /// The reason, as the audit log has it.
    pub reason: String,
    /// How many since each of the times that were asked about.
    pub refused: [i64; 3],
    /// The first one after the client's last token; nothing where there was none after it.
    pub since: Option<Timestamp>,
    /// The last one.
    pub last_at: Timestamp,
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
        let first = since.as_millis() / MINUTE;
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT (minute - $2) / $1 AS span, CAST(SUM(issued) AS BIGINT) AS issued, \
             CAST(SUM(refused) AS BIGINT) AS refused \
             FROM token_minute WHERE minute >= $2 GROUP BY (minute - $2) / $1 ORDER BY (minute - $2) / $1",
                )
                .bind(minutes)
                .bind(first),
            )
            .await?;
        rows.iter()
            .map(|row| {
                let begin = (first + row.integer("span")? * minutes) * MINUTE;
                Ok((Timestamp::from_millis(begin), token_count(row)?))
            })
            .collect()
    }

    /// Tokens from `since` to `until`, by the minute.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn tokens_between(
        &self,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<TokenCount, StoreError> {
        let row = self
            .one(
                sqlx::query(
                    "SELECT CAST(COALESCE(SUM(issued), 0) AS BIGINT) AS issued, \
             CAST(COALESCE(SUM(refused), 0) AS BIGINT) AS refused \
             FROM token_minute WHERE minute >= $1 AND minute < $2",
                )
                .bind(since.as_millis() / MINUTE)
                .bind(until.as_millis() / MINUTE),
            )
            .await?;
        token_count(&row)
    }

    /// The first minute that is counted, if there is any.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn first_token_minute(&self) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query("SELECT MIN(minute) AS minute FROM token_minute");
        let minute = self.one(query).await?.optional_integer("minute")?;
        Ok(minute.map(|minute| Timestamp::from_millis(minute * MINUTE)))
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

    /// Who was refused, and why, since the hours of three times, of which the first is the earliest: clients without a
    /// token since their last refusal, which come first, and those that were refused since `lately`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn refused_clients(
        &self,
        times: [Timestamp; 3],
        lately: Timestamp,
        limit: u32,
    ) -> Result<Vec<RefusedClient>, StoreError> {
        let mut query = sqlx::query(REFUSED_CLIENTS);
        for time in times {
            query = query.bind(time.as_millis() / HOUR);
        }
        let query = query.bind(lately.as_millis()).bind(i64::from(limit));
        let rows = self.rows(query).await?;
        rows.iter()
            .map(|row| {
                Ok(RefusedClient {
                    client_id: row.parsed("client_id")?,
                    reason: row.text("reason")?,
                    refused: refused_since(row)?,
                    since: row.optional_time("since")?,
                    last_at: row.time("last_at")?,
                })
            })
            .collect()
    }

    /// How many requests of known clients were refused for each reason, since the hours of three times, of which the
    /// first is the earliest.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn refusals_by_reason(
        &self,
        times: [Timestamp; 3],
        limit: u32,
    ) -> Result<Vec<(String, [i64; 3])>, StoreError> {
        let mut query = sqlx::query(REFUSALS_BY_REASON);
        for time in times {
            query = query.bind(time.as_millis() / HOUR);
        }
        let rows = self.rows(query.bind(i64::from(limit))).await?;
        rows.iter()
            .map(|row| Ok((row.text("reason")?, refused_since(row)?)))
            .collect()
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

fn refused_since(row: &AnyRow) -> Result<[i64; 3], StoreError> {
    Ok([
        row.integer("refused_first")?,
        row.integer("refused_second")?,
        row.integer("refused_third")?,
    ])
}

const REFUSED_CLIENTS: &str = "\
    SELECT h.client_id AS client_id, h.reason AS reason, \
           CAST(SUM(h.refused) AS BIGINT) AS refused_first, \
           CAST(SUM(CASE WHEN h.hour >= $2 THEN h.refused ELSE 0 END) AS BIGINT) AS refused_second, \
           CAST(SUM(CASE WHEN h.hour >= $3 THEN h.refused ELSE 0 END) AS BIGINT) AS refused_third, \
           MIN(CASE WHEN h.first_at > COALESCE(u.last_issued_at, 0) THEN h.first_at \
                    WHEN h.last_at > COALESCE(u.last_issued_at, 0) THEN u.last_issued_at \
                    ELSE NULL END) AS since, \
           MAX(h.last_at) AS last_at \
    FROM client_refusal_hour h LEFT JOIN client_use u ON u.client_id = h.client_id \
    WHERE h.hour >= $1 GROUP BY h.client_id, h.reason, u.last_issued_at \
    HAVING MAX(h.last_at) > COALESCE(u.last_issued_at, 0) OR MAX(h.last_at) >= $4 \
    ORDER BY CASE WHEN MAX(h.last_at) > COALESCE(u.last_issued_at, 0) THEN 0 ELSE 1 END, \
             SUM(h.refused) DESC, h.client_id, h.reason LIMIT $5";

const REFUSALS_BY_REASON: &str = "\
    SELECT reason, CAST(SUM(refused) AS BIGINT) AS refused_first, \
           CAST(SUM(CASE WHEN hour >= $2 THEN refused ELSE 0 END) AS BIGINT) AS refused_second, \
           CAST(SUM(CASE WHEN hour >= $3 THEN refused ELSE 0 END) AS BIGINT) AS refused_third \
    FROM client_refusal_hour WHERE hour >= $1 GROUP BY reason \
    ORDER BY SUM(refused) DESC, reason LIMIT $4";
