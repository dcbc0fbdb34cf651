//! Where in the audit log a client's events are, and a token's, without an index that every token
//! would have to write.
//!
//! The log is divided into spans of 256 events. For each whole span it is noted, behind the tokens and
//! many at once, which clients are in it and between which events. What is not noted yet is short, and
//! is read. A token's ID says when it was issued, and the log is in the order of time.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use jeton_core::{ClientId, TokenId};
use sqlx::AssertSqlSafe;

use crate::audit_search::OUT_OF_ORDER;
use crate::row::{Columns as _, placeholders};
use crate::{BrokenAudit, BrokenReason, Locked, RecordedEvent, Store, StoreError};

/// So many events are one span (migration 5).
pub(crate) const SPAN: i64 = 256;
/// So many events are gone through at once.
const STEP: i64 = 8 * SPAN;
/// So many rows are written at once: tokens wait for it.
const ROWS: usize = 200;
/// So many events of tokens are looked at at once.
const TOKENS: usize = 500;
/// So far from the time in a token's ID its event is looked for first.
const USUALLY: Duration = Duration::from_secs(1);

/// The last event of the last span that is whole with the events through `last`.
const fn whole(last: i64) -> i64 {
    (last + 1) / SPAN * SPAN - 1
}

/// A client in a span.
struct Entry {
    span: i64,
    client_id: String,
    first_seq: i64,
    last_seq: i64,
}

impl Store {
    /// Makes some of the newest events easy to find by client, under [`Lock::AuditIndex`](crate::Lock::AuditIndex);
    /// says whether there may be more.
    ///
    /// # Errors
    ///
    /// [`StoreError::LockLost`], [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn index_audit(&self, alone: &Locked) -> Result<bool, StoreError> {
        alone.check().await?;
        let row = self
            .one(
                sqlx::query(
                    "SELECT p.seq, COALESCE((SELECT MIN(seq) FROM audit_event WHERE seq > $1), 1) \
                     AS oldest, COALESCE((SELECT MAX(seq) FROM audit_event), 0) AS newest \
                     FROM statistics_progress p WHERE p.id = 3",
                )
                .bind(self.audit_begin()),
            )
            .await?;
        let (after, newest) = (row.integer("seq")?, row.integer("newest")?);
        // What is pruned is not looked for.
        let from = after.max(whole(row.integer("oldest")? - 1));
        let through = whole(newest.min(from + STEP));
        if through <= from {
            return Ok(false);
        }
        // Should this end before all are written, they are written again, which changes nothing.
        for part in self.clients_by_span(from, through).await?.chunks(ROWS) {
            self.put_clients_by_span(part).await?;
        }
        let progress = "UPDATE statistics_progress SET seq = $1 WHERE id = 3 AND seq = $2";
        self.write(sqlx::query(progress).bind(through).bind(after))
            .await?;
        Ok(through < whole(newest))
    }

    async fn clients_by_span(&self, from: i64, through: i64) -> Result<Vec<Entry>, StoreError> {
        let statement = format!(
            "SELECT seq / 256 AS span, client_id, MIN(seq) AS first_seq, MAX(seq) AS last_seq \
             FROM {} WHERE seq > $1 AND seq <= $2 AND client_id IS NOT NULL \
             GROUP BY seq / 256, client_id ORDER BY seq / 256, client_id",
            self.dialect.audit_event
        );
        let query = sqlx::query(AssertSqlSafe(statement)).bind(from);
        let rows = self.rows(query.bind(through)).await?;
        rows.iter()
            .map(|row| {
                Ok(Entry {
                    span: row.integer("span")?,
                    client_id: row.text("client_id")?,
                    first_seq: row.integer("first_seq")?,
                    last_seq: row.integer("last_seq")?,
                })
            })
            .collect()
    }

    async fn put_clients_by_span(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let statement = format!(
            "INSERT INTO audit_client_span (span, client_id, first_seq, last_seq) VALUES {} \
             ON CONFLICT (span, client_id) DO UPDATE SET \
             first_seq = excluded.first_seq, last_seq = excluded.last_seq",
            placeholders(entries.len(), 4)
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for entry in entries {
            query = query
                .bind(entry.span)
                .bind(entry.client_id.as_str())
                .bind(entry.first_seq)
                .bind(entry.last_seq);
        }
        self.write(query).await?;
        Ok(())
    }

    /// The last event that is easy to find by client.
    pub(crate) async fn audit_indexed_through(&self) -> Result<i64, StoreError> {
        self.one(sqlx::query(
            "SELECT seq FROM statistics_progress WHERE id = 3",
        ))
        .await?
        .integer("seq")
    }

    /// Where among these events, which are easy to find, those of a client are, newest first.
    pub(crate) async fn spans_of_client(
        &self,
        id: ClientId,
        events: &Range<i64>,
    ) -> Result<Vec<Range<i64>>, StoreError> {
        // Each span by name: between two lie the rows of all clients.
        let mut spans = String::from("NULL");
        for span in events.start / SPAN..=(events.end - 1) / SPAN {
            // Writing to a String cannot fail.
            let _ = write!(spans, ", {span}");
        }
        let statement = format!(
            "SELECT first_seq, last_seq FROM audit_client_span \
             WHERE client_id = $1 AND span IN ({spans}) ORDER BY span DESC"
        );
        let query = sqlx::query(AssertSqlSafe(statement)).bind(id.to_string());
        let rows = self.rows_once(query).await?;
        rows.iter()
            .map(|row| {
                let first = row.integer("first_seq")?.max(events.start);
                Ok(first..(row.integer("last_seq")? + 1).min(events.end))
            })
            .filter(|range| !range.as_ref().is_ok_and(Range::is_empty))
            .collect()
    }

    /// The first of the events after `after` through `through` that a search by client should find and
    /// does not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn hidden_audit_event(
        &self,
        after: i64,
        through: i64,
    ) -> Result<Option<BrokenAudit>, StoreError> {
        let through = through.min(self.audit_indexed_through().await?);
        let audit_event = self.dialect.audit_event;
        let hidden = self
            .one(
                sqlx::query(AssertSqlSafe(format!(
                    "SELECT MIN(seq) AS seq FROM {audit_event} \
                     WHERE seq > $1 AND seq <= $2 AND client_id IS NOT NULL AND NOT EXISTS ( \
                         SELECT 1 FROM audit_client_span AS spans \
                         WHERE spans.span >= $1 / 256 AND spans.span <= $2 / 256 \
                           AND spans.span = audit_event.seq / 256 \
                           AND spans.client_id = audit_event.client_id \
                           AND first_seq <= seq AND last_seq >= seq)",
                )))
                .bind(after)
                .bind(through),
            )
            .await?
            .optional_integer("seq")?;
        Ok(hidden.map(|seq| BrokenAudit {
            seq,
            reason: BrokenReason::Hidden,
        }))
    }

    /// Forgets where events were that are gone.
    pub(crate) async fn forget_audit_index(&self) -> Result<(), StoreError> {
        self.write(sqlx::query(
            "DELETE FROM audit_client_span \
             WHERE span < (SELECT MIN(seq) FROM audit_event) / 256",
        ))
        .await?;
        self.write(sqlx::query(
            "DELETE FROM audit_clock_step WHERE seq <= (SELECT MIN(seq) FROM audit_event)",
        ))
        .await?;
        Ok(())
    }

    /// Discards what leads to events by client and by time: nothing of it counts from here on, and
    /// [`Self::index_audit`] and [`Self::note_clock_steps`] make it anew, once
    /// [`Self::delete_audit_index`] has removed it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn discard_audit_index(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for statement in [
            "UPDATE statistics_progress SET seq = 0 WHERE id = 3",
            "UPDATE audit_clock SET seq = 0, latest = 0 WHERE id = 1",
            "DELETE FROM audit_clock_step",
        ] {
            tx.execute(sqlx::query(statement)).await?;
        }
        tx.commit().await
    }

    /// Removes part of what was discarded, under [`Lock::AuditIndex`](crate::Lock::AuditIndex); says whether
    /// there may be more.
    ///
    /// # Errors
    ///
    /// [`StoreError::LockLost`], [`StoreError::Database`].
    pub async fn delete_audit_index(&self, alone: &Locked) -> Result<bool, StoreError> {
        alone.check().await?;
        let statement = "DELETE FROM audit_client_span WHERE span < 20 + \
                         (SELECT MIN(span) FROM audit_client_span)";
        Ok(self.write(sqlx::query(statement)).await? > 0)
    }

    /// Every event about a token, if the one is among them that it was issued with: else they have to
    /// be searched for.
    pub(crate) async fn events_of_token(&self, jti: &str) -> Result<Option<Vec<i64>>, StoreError> {
        let Ok(id) = jti.parse::<TokenId>() else {
            return Ok(None);
        };
        let Some(issued) = self.issue_of_token(id).await? else {
            return Ok(None);
        };
        let mut events = vec![issued];
        events.extend(self.later_events_of_token(jti).await?);
        Ok(Some(events))
    }

    /// What happened to a token after it was issued, by the one index of the log.
    async fn later_events_of_token(&self, jti: &str) -> Result<Vec<i64>, StoreError> {
        let later = "SELECT seq FROM audit_event WHERE jti = $1 AND kind <> 'token.issued'";
        let rows = self.rows(sqlx::query(later).bind(jti.to_owned())).await?;
        let begin = self.audit_begin();
        let events = rows.iter().map(|row| row.integer("seq"));
        events
            .filter(|seq| !seq.as_ref().is_ok_and(|seq| *seq <= begin))
            .collect()
    }

    /// The first of the events after `after` through `through` that a search by token should find and
    /// does not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn hidden_token_event(
        &self,
        after: i64,
        through: i64,
    ) -> Result<Option<BrokenAudit>, StoreError> {
        let statement = format!(
            "SELECT seq, jti FROM {} WHERE seq > $1 AND seq <= $2 AND jti IS NOT NULL \
             AND kind <> 'token.issued' ORDER BY seq LIMIT {TOKENS}",
            self.dialect.audit_event
        );
        let mut after = after;
        loop {
            let query = sqlx::query(AssertSqlSafe(statement.clone())).bind(after);
            let rows = self.rows(query.bind(through)).await?;
            for row in &rows {
                after = row.integer("seq")?;
                // Exactly as a search does.
                let found = self.later_events_of_token(&row.text("jti")?).await?;
                if !found.contains(&after) {
                    return Ok(Some(BrokenAudit {
                        seq: after,
                        reason: BrokenReason::HiddenToken,
                    }));
                }
            }
            if rows.len() < TOKENS {
                return Ok(None);
            }
        }
    }

    /// The record of a token's issue, found by the time in its ID.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn find_issue(&self, jti: &str) -> Result<Option<RecordedEvent>, StoreError> {
        let Ok(id) = jti.parse::<TokenId>() else {
            return Ok(None);
        };
        let Some(seq) = self.issue_of_token(id).await? else {
            return Ok(None);
        };
        self.find_audit_event(seq).await
    }

    async fn issue_of_token(&self, id: TokenId) -> Result<Option<i64>, StoreError> {
        for slack in [USUALLY, OUT_OF_ORDER] {
            let (since, until) = (id.made_at().minus(slack), id.made_at().plus(slack));
            for range in self.audit_ranges(Some(since), Some(until)).await? {
                let query = sqlx::query(AssertSqlSafe(format!(
                    "SELECT seq FROM {} WHERE seq >= $1 AND seq < $2 AND jti = $3 \
                     AND kind = 'token.issued' LIMIT 1",
                    self.dialect.audit_event
                )));
                let query = query.bind(range.start).bind(range.end);
                if let Some(row) = self.row(query.bind(id.to_string())).await? {
                    return row.integer("seq").map(Some);
                }
            }
        }
        Ok(None)
    }
}
