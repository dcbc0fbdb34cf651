//! Where in the audit log a time is, though clocks are set back: the log is divided where that happened,
//! and each part is in the order of time, so that a time is found in it by bisection.
//!
//! An index on the time would cost every token. The places are noted behind the tokens.

use std::ops::Range;

use jeton_core::Timestamp;
use sqlx::AssertSqlSafe;

use crate::audit_search::OUT_OF_ORDER;
use crate::row::Columns as _;
use crate::{BrokenAudit, BrokenReason, Locked, Store, StoreError};

/// Events looked at in one step.
const STEP: i64 = 4_096;

/// How far the log was looked at.
struct Noted {
    seq: i64,
    /// The latest time since the clock was last set back.
    latest: Timestamp,
}

/// Events that are older than one before them by more than neighbours may be.
fn steps(events: &[(i64, Timestamp)], latest: &mut Timestamp) -> Vec<i64> {
    let mut steps = Vec::new();
    for (seq, at) in events {
        if *at < latest.minus(OUT_OF_ORDER) {
            steps.push(*seq);
            *latest = *at;
        } else {
            *latest = (*latest).max(*at);
        }
    }
    steps
}

impl Store {
    async fn clock_noted(&self) -> Result<Noted, StoreError> {
        let row = self
            .one(sqlx::query(
                "SELECT seq, latest FROM audit_clock WHERE id = 1",
            ))
            .await?;
        Ok(Noted {
            seq: row.integer("seq")?,
            latest: row.time("latest")?,
        })
    }

    /// The times of the events after `after` through `through`.
    async fn audit_times(
        &self,
        after: i64,
        through: i64,
    ) -> Result<Vec<(i64, Timestamp)>, StoreError> {
        let statement = format!(
            "SELECT seq, at FROM {} WHERE seq > $1 AND seq <= $2 ORDER BY seq",
            self.dialect.audit_event
        );
        let query = sqlx::query(AssertSqlSafe(statement))
            .bind(after)
            .bind(through);
        let rows = self.rows(query).await?;
        rows.iter()
            .map(|row| Ok((row.integer("seq")?, row.time("at")?)))
            .collect()
    }

    /// Whether the events after what was noted may hold a place where the clock was set back; and the
    /// latest time among them.
    async fn may_step_back(
        &self,
        noted: &Noted,
        through: i64,
    ) -> Result<(bool, Timestamp), StoreError> {
        let statement = format!(
            "SELECT MIN(at) AS low, MAX(at) AS high FROM {} WHERE seq > $1 AND seq <= $2",
            self.dialect.audit_event
        );
        let query = sqlx::query(AssertSqlSafe(statement))
            .bind(noted.seq)
            .bind(through);
        let row = self.one(query).await?;
        let (low, high) = (row.optional_time("low")?, row.optional_time("high")?);
        let latest = high.map_or(noted.latest, |high| noted.latest.max(high));
        let may = low.is_some_and(|low| low < latest.minus(OUT_OF_ORDER));
        Ok((may, latest))
    }

    /// Notes where in the newest events the clock was set back, under [`Lock::AuditIndex`](crate::Lock::AuditIndex);
    /// says whether there may be more.
    ///
    /// # Errors
    ///
    /// [`StoreError::LockLost`], [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn note_clock_steps(&self, alone: &Locked) -> Result<bool, StoreError> {
        alone.check().await?;
        let noted = self.clock_noted().await?;
        let newest = self.end_of_audit().await? - 1;
        let first = self.oldest_audit_event().await?;
        let from = noted.seq.max(first - 1);
        let through = newest.min(from + STEP);
        if through <= from {
            return Ok(false);
        }
        let before = noted.seq;
        let noted = Noted { seq: from, ..noted };
        let (may, mut latest) = self.may_step_back(&noted, through).await?;
        let mut found = Vec::new();
        if may {
            latest = noted.latest;
            found = steps(&self.audit_times(from, through).await?, &mut latest);
        }
        let mut tx = self.begin().await?;
        for seq in found {
            let statement =
                "INSERT INTO audit_clock_step (seq) VALUES ($1) ON CONFLICT (seq) DO NOTHING";
            tx.execute(sqlx::query(statement).bind(seq)).await?;
        }
        let progress = "UPDATE audit_clock SET seq = $1, latest = $2 WHERE id = 1 AND seq = $3";
        let progress = sqlx::query(progress).bind(through);
        tx.execute(progress.bind(latest.as_millis()).bind(before))
            .await?;
        tx.commit().await?;
        Ok(through < newest)
    }

    async fn oldest_audit_event(&self) -> Result<i64, StoreError> {
        let statement = format!(
            "SELECT COALESCE(MIN(seq), 1) AS seq FROM {} WHERE seq > $1",
            self.dialect.audit_event
        );
        let query = sqlx::query(AssertSqlSafe(statement)).bind(self.audit_begin());
        self.one(query).await?.integer("seq")
    }

    /// The parts of the log that are in the order of time, oldest first, and what has to be looked at
    /// whole.
    async fn in_order(&self) -> Result<(Vec<Range<i64>>, Option<Range<i64>>), StoreError> {
        let end = self.end_of_audit().await?;
        let noted = self.clock_noted().await?;
        let rows = self
            .rows(sqlx::query("SELECT seq FROM audit_clock_step ORDER BY seq"))
            .await?;
        let (mut parts, mut begin) = (Vec::new(), self.audit_begin() + 1);
        for row in &rows {
            let step = row.integer("seq")?.min(end);
            if step > begin {
                parts.push(begin..step);
                begin = step;
            }
        }
        parts.push(begin..end);
        let is_short = end - noted.seq <= 2 * STEP;
        if is_short && self.may_step_back(&noted, end).await?.0 {
            let first = noted.seq.max(self.audit_begin()) + 1;
            return Ok((parts, Some(first..end)));
        }
        Ok((parts, None))
    }

    /// Where the events at or after `since` and before `until` are, oldest first: in the order of their
    /// times they are off by at most [`OUT_OF_ORDER`] at either end.
    pub(crate) async fn audit_ranges(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<Range<i64>>, StoreError> {
        let (parts, unsorted) = self.in_order().await?;
        let mut ranges = Vec::new();
        for part in parts {
            let begin = match since {
                Some(since) => self.bisect(part.clone(), since).await?,
                None => part.start,
            };
            let end = match until {
                Some(until) => self.bisect(part.clone(), until).await?,
                None => part.end,
            };
            if begin < end {
                ranges.push(begin..end);
            }
        }
        ranges.extend(unsorted);
        Ok(ranges)
    }

    /// The number of the first event at or after `at`, or one more than the newest.
    pub(crate) async fn first_seq_at(&self, at: Timestamp) -> Result<i64, StoreError> {
        let ranges = self.audit_ranges(Some(at), None).await?;
        match ranges.iter().map(|range| range.start).min() {
            Some(first) => Ok(first),
            None => self.end_of_audit().await,
        }
    }

    /// The first event of a part at or after `at`, or the part's end.
    async fn bisect(&self, part: Range<i64>, at: Timestamp) -> Result<i64, StoreError> {
        let (mut low, mut high) = (part.start, part.end);
        let statement = format!(
            "SELECT at FROM {} WHERE seq >= $1 AND seq < $2 ORDER BY seq LIMIT 1",
            self.dialect.audit_event
        );
        while low < high {
            let middle = low + (high - low) / 2;
            let query = sqlx::query(AssertSqlSafe(statement.clone()));
            let row = self.row(query.bind(middle).bind(part.end)).await?;
            match row {
                Some(row) if row.time("at")? < at => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The first of the events after `after` through `through` that a search by time may miss, because it
    /// is not noted that the clock was set back there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn hidden_clock_step(
        &self,
        after: i64,
        through: i64,
    ) -> Result<Option<BrokenAudit>, StoreError> {
        let through = through.min(self.clock_noted().await?.seq);
        let events = self.audit_times(after - 1, through).await?;
        let Some((_, first)) = events.first() else {
            return Ok(None);
        };
        let mut latest = *first;
        for seq in steps(&events, &mut latest) {
            let noted = "SELECT seq FROM audit_clock_step WHERE seq = $1";
            if self.row(sqlx::query(noted).bind(seq)).await?.is_none() {
                return Ok(Some(BrokenAudit {
                    seq,
                    reason: BrokenReason::HiddenTime,
                }));
            }
        }
        Ok(None)
    }
}
