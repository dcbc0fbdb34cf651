//! What the dashboard counts: tokens issued and refused, by minute, and by client and hour.
//!
//! The counts follow the audit log a batch at a time, so that nothing is added to the path of a
//! token and no page has to read the log itself.

use jeton_core::{ClientId, Timestamp};

use crate::row::Columns;
use crate::{Store, StoreError, Transaction};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;

/// Tokens issued and requests refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenCount {
    /// Tokens issued.
    pub issued: i64,
    /// Requests refused.
    pub refused: i64,
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
                Ok((
                    begin,
                    TokenCount {
                        issued: row.integer("issued")?,
                        refused: row.integer("refused")?,
                    },
                ))
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
            .map(|row| {
                Ok((
                    row.parsed("client_id")?,
                    TokenCount {
                        issued: row.integer("issued")?,
                        refused: row.integer("refused")?,
                    },
                ))
            })
            .collect()
    }

    /// A client's tokens since the hour of `since`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn tokens_of_client(
        &self,
        id: ClientId,
        since: Timestamp,
    ) -> Result<TokenCount, StoreError> {
        let row = self
            .one(
                sqlx::query(
                    "SELECT CAST(COALESCE(SUM(issued), 0) AS BIGINT) AS issued, \
             CAST(COALESCE(SUM(refused), 0) AS BIGINT) AS refused \
             FROM client_hour WHERE client_id = $1 AND hour >= $2",
                )
                .bind(id.to_string())
                .bind(since.as_millis() / HOUR),
            )
            .await?;
        Ok(TokenCount {
            issued: row.integer("issued")?,
            refused: row.integer("refused")?,
        })
    }

    /// When a client was last active.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn client_activity(&self, id: ClientId) -> Result<ClientActivity, StoreError> {
        let issued = self
            .row(
                sqlx::query(
                    "SELECT last_issued_at FROM client_hour WHERE client_id = $1 AND issued > 0 \
             ORDER BY hour DESC LIMIT 1",
                )
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

impl Transaction {
    /// Counts the next events of the audit log, at most `limit`; gives how many there were.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn count_tokens(&mut self, limit: i64) -> Result<i64, StoreError> {
        let row = self
            .one(sqlx::query(
                "SELECT p.seq AS done, COALESCE((SELECT MAX(seq) FROM audit_event), 0) AS last \
             FROM statistics_progress p WHERE p.id = 1",
            ))
            .await?;
        let done = row.integer("done")?;
        let until = row.integer("last")?.min(done + limit);
        if until <= done {
            return Ok(0);
        }
        // Two servers that count at once: the second finds it done.
        let mine = self
            .execute(
                sqlx::query("UPDATE statistics_progress SET seq = $1 WHERE id = 1 AND seq = $2")
                    .bind(until)
                    .bind(done),
            )
            .await?;
        if mine == 0 {
            return Ok(0);
        }
        for statement in [COUNT_MINUTES, COUNT_HOURS, NOTE_REFUSALS] {
            self.execute(sqlx::query(statement).bind(done).bind(until))
                .await?;
        }
        Ok(until - done)
    }
}

const COUNT_MINUTES: &str = "\
    INSERT INTO token_minute (minute, issued, refused) \
    SELECT at / 60000, SUM(CASE WHEN kind = 'token.issued' THEN 1 ELSE 0 END), \
           SUM(CASE WHEN kind = 'token.refused' THEN 1 ELSE 0 END) \
    FROM audit_event WHERE seq > $1 AND seq <= $2 AND kind IN ('token.issued', 'token.refused') \
    GROUP BY at / 60000 \
    ON CONFLICT (minute) DO UPDATE SET issued = token_minute.issued + excluded.issued, \
                                       refused = token_minute.refused + excluded.refused";

const COUNT_HOURS: &str = "\
    INSERT INTO client_hour (client_id, hour, issued, refused, last_issued_at) \
    SELECT client_id, at / 3600000, SUM(CASE WHEN kind = 'token.issued' THEN 1 ELSE 0 END), \
           SUM(CASE WHEN kind = 'token.refused' THEN 1 ELSE 0 END), \
           MAX(CASE WHEN kind = 'token.issued' THEN at ELSE NULL END) \
    FROM audit_event WHERE seq > $1 AND seq <= $2 AND kind IN ('token.issued', 'token.refused') \
    AND client_id IS NOT NULL GROUP BY client_id, at / 3600000 \
    ON CONFLICT (client_id, hour) DO UPDATE SET \
        issued = client_hour.issued + excluded.issued, \
        refused = client_hour.refused + excluded.refused, \
        last_issued_at = COALESCE(excluded.last_issued_at, client_hour.last_issued_at)";

const NOTE_REFUSALS: &str = "\
    INSERT INTO client_refusal (client_id, at, reason) \
    SELECT e.client_id, e.at, e.reason FROM audit_event e WHERE e.seq IN ( \
        SELECT MAX(seq) FROM audit_event \
        WHERE seq > $1 AND seq <= $2 AND kind = 'token.refused' AND client_id IS NOT NULL \
        GROUP BY client_id) \
    ON CONFLICT (client_id) DO UPDATE SET at = excluded.at, reason = excluded.reason";
