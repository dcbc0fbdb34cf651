//! Counting tokens from the audit log, for [`crate::statistics`].
//!
//! What is counted by minute is a row or two and is written at once. What is counted by client is a
//! row for each client that was active: with many clients those rows are gathered first and written
//! in the order of their key, so that neighbours share pages. That takes a while and several
//! transactions; [`Progress`] and a mark in each row see to it that nothing is counted twice or left
//! out, wherever it is interrupted and whoever goes on.

use std::collections::HashMap;

use jeton_core::{ClientId, SecretId, Timestamp};
use sqlx::AssertSqlSafe;

use crate::row::{Columns as _, placeholders};
use crate::statistics::{HOUR, MINUTE, TokenCount, token_count};
use crate::{Store, StoreError, Transaction};

/// How far the audit log is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The last event counted by minute.
    pub by_minute: i64,
    /// The last event counted by client.
    pub by_client: i64,
    /// Where the part ends that is being counted by client, if one is: it has to be finished just so.
    pub by_client_until: Option<i64>,
    /// The newest event.
    pub end: i64,
}

/// Tokens of one minute, client and secret, or of nobody that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The client.
    pub client_id: Option<ClientId>,
    /// The secret.
    pub secret_id: Option<SecretId>,
    /// Minutes since the Unix epoch.
    pub minute: i64,
    /// Why they were refused, where they were.
    pub reason: Option<String>,
    /// How many.
    pub count: TokenCount,
    /// The last one issued.
    pub last_issued_at: Option<Timestamp>,
    /// When the secret last authenticated somebody.
    pub last_used_at: Option<Timestamp>,
    /// The first and the last refusal.
    pub refused_between: Option<(Timestamp, Timestamp)>,
}

/// Refusals of one client for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusalCount {
    /// How many.
    pub refused: i64,
    /// The first.
    pub first_at: Timestamp,
    /// The last.
    pub last_at: Timestamp,
}

/// Tokens by client, gathered to be written together.
#[derive(Debug, Default)]
pub struct ClientTallies {
    hours: HashMap<(i64, ClientId), TokenCount>,
    last_issued: HashMap<ClientId, Timestamp>,
    last_used: HashMap<SecretId, Timestamp>,
    refusals: HashMap<RefusalKey, RefusalCount>,
}

/// Hour, client, reason.
type RefusalKey = (i64, ClientId, String);

impl ClientTallies {
    /// Adds one.
    pub fn add(&mut self, tally: &Tally) {
        if let (Some(secret_id), Some(at)) = (tally.secret_id, tally.last_used_at) {
            let last = self.last_used.entry(secret_id).or_insert(at);
            *last = at.max(*last);
        }
        let Some(client_id) = tally.client_id else {
            return;
        };
        let hour = tally.minute.div_euclid(HOUR / MINUTE);
        if let Some((first_at, last_at)) = tally.refused_between {
            let reason = tally.reason.clone().unwrap_or_default();
            let key = (hour, client_id, reason);
            let count = self.refusals.entry(key).or_insert(RefusalCount {
                refused: 0,
                first_at,
                last_at,
            });
            count.refused += tally.count.refused;
            count.first_at = first_at.min(count.first_at);
            count.last_at = last_at.max(count.last_at);
        }
        let count = self.hours.entry((hour, client_id)).or_default();
        count.issued += tally.count.issued;
        count.refused += tally.count.refused;
        if let Some(at) = tally.last_issued_at {
            let last = self.last_issued.entry(client_id).or_insert(at);
            *last = at.max(*last);
        }
    }

    /// How many rows there are to write.
    pub fn len(&self) -> usize {
        let rows = self.hours.len().max(self.last_used.len());
        rows.max(self.refusals.len())
    }

    /// When a secret was last used, as far as that is gathered here.
    pub fn last_used(&self, secret_id: SecretId) -> Option<Timestamp> {
        self.last_used.get(&secret_id).copied()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// In parts to be written one after the other, each in few milliseconds.
    pub fn into_parts(self) -> impl Iterator<Item = ClientPart> {
        let mut hours: Vec<_> = self.hours.into_iter().collect();
        hours.sort_unstable_by_key(|(key, _)| *key);
        let mut last_issued: Vec<_> = self.last_issued.into_iter().collect();
        last_issued.sort_unstable_by_key(|(client, _)| *client);
        let mut last_used: Vec<_> = self.last_used.into_iter().collect();
        last_used.sort_unstable_by_key(|(secret, _)| *secret);
        let mut refusals: Vec<_> = self.refusals.into_iter().collect();
        refusals.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let hours = parts(hours).map(ClientPart::Hours);
        hours
            .chain(parts(last_issued).map(ClientPart::LastIssued))
            .chain(parts(last_used).map(ClientPart::LastUsed))
            .chain(parts(refusals).map(ClientPart::Refusals))
    }
}

/// Rows of [`ClientTallies`] that are written together.
#[derive(Debug)]
pub enum ClientPart {
    /// Tokens by hour and client.
    Hours(Vec<((i64, ClientId), TokenCount)>),
    /// The last tokens of clients.
    LastIssued(Vec<(ClientId, Timestamp)>),
    /// When secrets were last used.
    LastUsed(Vec<(SecretId, Timestamp)>),
    /// Refusals by hour, client and reason.
    Refusals(Vec<(RefusalKey, RefusalCount)>),
}

/// So many rows are written by one statement.
const ROWS: usize = 400;

fn parts<T>(rows: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut rows = rows.into_iter();
    std::iter::from_fn(move || {
        let part: Vec<_> = rows.by_ref().take(ROWS).collect();
        (!part.is_empty()).then_some(part)
    })
}

impl Store {
    /// How far the audit log is counted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn counting_progress(&self) -> Result<Progress, StoreError> {
        let row = self
            .one(sqlx::query(
                "SELECT m.seq AS by_minute, c.seq AS by_client, c.until AS by_client_until, \
                 COALESCE((SELECT MAX(seq) FROM audit_event), 0) AS last \
                 FROM statistics_progress m CROSS JOIN statistics_progress c \
                 WHERE m.id = 1 AND c.id = 2",
            ))
            .await?;
        let by_client = row.integer("by_client")?;
        let until = row.optional_integer("by_client_until")?;
        Ok(Progress {
            by_minute: row.integer("by_minute")?,
            by_client,
            by_client_until: until.filter(|until| *until > by_client),
            end: row.integer("last")?,
        })
    }

    /// Counts the tokens among the events after `after` through `through`. An event that stands for
    /// several refusals counts as many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn tally(&self, after: i64, through: i64) -> Result<Vec<Tally>, StoreError> {
        let [first_at, last_at] = self.dialect.detail_times;
        let statement = TALLY
            .replace("{count}", self.dialect.detail_count)
            .replace("{first_at}", first_at)
            .replace("{last_at}", last_at);
        let rows = self
            .rows(
                sqlx::query(AssertSqlSafe(statement))
                    .bind(after.max(self.audit_begin()))
                    .bind(through),
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Tally {
                    client_id: row.optional_parsed("client_id")?,
                    secret_id: row.optional_parsed("secret_id")?,
                    minute: row.integer("minute")?,
                    count: token_count(row)?,
                    last_issued_at: row.optional_time("last_issued_at")?,
                    last_used_at: row.optional_time("last_used_at")?,
                    reason: row.optional_text("reason")?,
                    refused_between: row
                        .optional_time("first_refused_at")?
                        .zip(row.optional_time("last_refused_at")?),
                })
            })
            .collect()
    }

    /// Says that the events after `after` through `through` are being counted by client from now on;
    /// says whether they may: else somebody else counted, or counts another part.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn begin_counting_clients(
        &self,
        after: i64,
        through: i64,
    ) -> Result<bool, StoreError> {
        let statement = "UPDATE statistics_progress SET until = $1 WHERE id = 2 AND seq = $2 \
                         AND (until IS NULL OR until <= seq OR until = $1)";
        let begun = self
            .write(sqlx::query(statement).bind(through).bind(after))
            .await?;
        Ok(begun > 0)
    }

    /// Writes some rows of the part through `through`, unless they are written.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn count_part(&self, through: i64, part: &ClientPart) -> Result<(), StoreError> {
        match part {
            ClientPart::Hours(rows) => {
                let statement = format!(
                    "INSERT INTO client_hour (hour, client_id, issued, refused, counted_seq) \
                     VALUES {} ON CONFLICT (hour, client_id) DO UPDATE SET \
                     issued = client_hour.issued + excluded.issued, \
                     refused = client_hour.refused + excluded.refused, \
                     counted_seq = excluded.counted_seq \
                     WHERE client_hour.counted_seq < excluded.counted_seq",
                    placeholders(rows.len(), 5)
                );
                let mut query = sqlx::query(AssertSqlSafe(statement));
                for ((hour, client_id), count) in rows {
                    query = query
                        .bind(*hour)
                        .bind(client_id.to_string())
                        .bind(count.issued)
                        .bind(count.refused)
                        .bind(through);
                }
                self.write(query).await?;
            }
            ClientPart::LastIssued(rows) => {
                let rows = rows.iter().map(|(id, at)| (id.to_string(), *at));
                self.put_latest("client_use", ["client_id", "last_issued_at"], rows)
                    .await?;
            }
            ClientPart::LastUsed(rows) => {
                let rows = rows.iter().map(|(id, at)| (id.to_string(), *at));
                self.put_latest("secret_use", ["secret_id", "last_used_at"], rows)
                    .await?;
            }
            ClientPart::Refusals(rows) => self.count_refusals(through, rows).await?,
        }
        Ok(())
    }

    async fn count_refusals(
        &self,
        through: i64,
        rows: &[(RefusalKey, RefusalCount)],
    ) -> Result<(), StoreError> {
        let statement = format!(
            "INSERT INTO client_refusal_hour \
             (hour, client_id, reason, refused, first_at, last_at, counted_seq) VALUES {} \
             ON CONFLICT (hour, client_id, reason) DO UPDATE SET \
             refused = client_refusal_hour.refused + excluded.refused, \
             last_at = excluded.last_at, counted_seq = excluded.counted_seq \
             WHERE client_refusal_hour.counted_seq < excluded.counted_seq",
            placeholders(rows.len(), 7)
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for ((hour, client_id, reason), count) in rows {
            query = query
                .bind(*hour)
                .bind(client_id.to_string())
                .bind(reason)
                .bind(count.refused)
                .bind(count.first_at.as_millis())
                .bind(count.last_at.as_millis())
                .bind(through);
        }
        self.write(query).await?;
        Ok(())
    }

    /// Puts the time of each row in a table with such columns, where it is later than what is there.
    async fn put_latest(
        &self,
        table: &'static str,
        [id, at]: [&'static str; 2],
        rows: impl ExactSizeIterator<Item = (String, Timestamp)>,
    ) -> Result<(), StoreError> {
        let statement = format!(
            "INSERT INTO {table} ({id}, {at}) VALUES {} ON CONFLICT ({id}) DO UPDATE SET \
             {at} = excluded.{at} WHERE {table}.{at} < excluded.{at}",
            placeholders(rows.len(), 2)
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for (id, at) in rows {
            query = query.bind(id).bind(at.as_millis());
        }
        self.write(query).await?;
        Ok(())
    }

    /// Says that every row of the part through `through` is written.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn end_counting_clients(&self, through: i64) -> Result<(), StoreError> {
        let statement = "UPDATE statistics_progress SET seq = $1 WHERE id = 2 AND until = $1";
        self.write(sqlx::query(statement).bind(through)).await?;
        Ok(())
    }
}

impl Transaction {
    /// Counts by minute what [`Store::tally`] found after `after` through `through`, and notes the
    /// refusals among it; says whether it did: else somebody else has.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn count_minutes(
        &mut self,
        after: i64,
        through: i64,
        tallies: &[Tally],
    ) -> Result<bool, StoreError> {
        let mine = self
            .execute(
                sqlx::query("UPDATE statistics_progress SET seq = $1 WHERE id = 1 AND seq = $2")
                    .bind(through)
                    .bind(after),
            )
            .await?;
        if mine == 0 {
            return Ok(false);
        }
        let mut minutes: HashMap<i64, TokenCount> = HashMap::new();
        for tally in tallies {
            let count = minutes.entry(tally.minute).or_default();
            count.issued += tally.count.issued;
            count.refused += tally.count.refused;
        }
        for (minute, count) in minutes {
            self.execute(
                sqlx::query(COUNT_MINUTE)
                    .bind(minute)
                    .bind(count.issued)
                    .bind(count.refused),
            )
            .await?;
        }
        let refused = |tally: &Tally| tally.client_id.is_some() && tally.count.refused > 0;
        if tallies.iter().any(refused) {
            let [_, last_at] = self.dialect.detail_times;
            let statement = NOTE_REFUSALS.replace("{last_at}", last_at);
            let note = sqlx::query(AssertSqlSafe(statement));
            self.execute(note.bind(after).bind(through)).await?;
        }
        Ok(true)
    }
}

const TALLY: &str = "\
    SELECT client_id, secret_id, at / 60000 AS minute, \
           CASE WHEN kind = 'token.refused' THEN COALESCE(reason, '') ELSE NULL END AS reason, \
           CAST(SUM(CASE WHEN kind = 'token.issued' THEN 1 ELSE 0 END) AS BIGINT) AS issued, \
           CAST(SUM(CASE WHEN kind = 'token.refused' THEN COALESCE({count}, 1) ELSE 0 END) AS BIGINT) \
           AS refused, \
           MAX(CASE WHEN kind = 'token.issued' THEN at ELSE NULL END) AS last_issued_at, \
           MAX(CASE WHEN actor <> 'anonymous' THEN at ELSE NULL END) AS last_used_at, \
           MIN(CASE WHEN kind = 'token.refused' THEN COALESCE({first_at}, at) ELSE NULL END) \
           AS first_refused_at, \
           MAX(CASE WHEN kind = 'token.refused' THEN COALESCE({last_at}, at) ELSE NULL END) \
           AS last_refused_at \
    FROM audit_event WHERE seq > $1 AND seq <= $2 AND kind IN ('token.issued', 'token.refused') \
    GROUP BY 1, 2, 3, 4";

const COUNT_MINUTE: &str = "\
    INSERT INTO token_minute (minute, issued, refused) VALUES ($1, $2, $3) \
    ON CONFLICT (minute) DO UPDATE SET issued = token_minute.issued + excluded.issued, \
                                       refused = token_minute.refused + excluded.refused";

const NOTE_REFUSALS: &str = "\
    INSERT INTO client_refusal (client_id, at, reason) \
    SELECT e.client_id, COALESCE({last_at}, e.at), e.reason FROM audit_event e WHERE e.seq IN ( \
        SELECT MAX(seq) FROM audit_event \
        WHERE seq > $1 AND seq <= $2 AND kind = 'token.refused' AND client_id IS NOT NULL \
        GROUP BY client_id) \
    ON CONFLICT (client_id) DO UPDATE SET at = excluded.at, reason = excluded.reason";
