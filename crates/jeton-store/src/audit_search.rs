//! Searching the audit log, newest first, in steps of bounded work.

use std::fmt::Write as _;
use std::ops::Range;

use jeton_core::{AuditKind, ClientId, McpServerId, Outcome, Timestamp, search_text};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::audit::{COLUMNS, RecordedEvent, from_row};
use crate::audit_index::SPAN;
use crate::row::{Columns as _, like};
use crate::{Store, StoreError, audit_text};

/// Which events are wanted; every condition that is set has to hold.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of this kind.
    pub kind: Option<AuditKind>,
    /// Done or refused.
    pub outcome: Option<Outcome>,
    /// About this client.
    pub client_id: Option<ClientId>,
    /// About this MCP server.
    pub mcp_server_id: Option<McpServerId>,
    /// About the token with this `jti`.
    pub jti: Option<String>,
    /// By this actor.
    pub actor: Option<String>,
    /// Of this request.
    pub request_id: Option<String>,
    /// From this address.
    pub source: Option<String>,
    /// At or after this time.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// Whose texts hold this, folded (see [`search_text`]).
    pub text: Option<String>,
    /// Beside those whose texts hold `text`: about or by one of these clients, MCP servers and admins, given by
    /// their IDs, because their names hold it.
    pub named: Vec<String>,
}

/// What a search through part of the log found.
#[derive(Debug, Clone, Default)]
pub struct AuditSearch {
    /// What was found, newest first.
    pub events: Vec<RecordedEvent>,
    /// The event before which the search goes on, if there is more to search.
    pub next: Option<i64>,
}

/// One condition's value.
enum Bind {
    Text(String),
    Integer(i64),
}

/// How many events a search without an index reads at most before it gives what it found.
const SEARCH_WINDOW: i64 = 20_000;
/// Events are numbered in the order of their commits, which may differ from that of their times by
/// less than this.
pub(crate) const OUT_OF_ORDER: std::time::Duration = std::time::Duration::from_secs(60);

impl AuditFilter {
    fn conditions(&self) -> Vec<(&'static str, Bind)> {
        let text = |column, value: Option<String>| value.map(|value| (column, Bind::Text(value)));
        let time = |column, value: Option<Timestamp>| {
            value.map(|value| (column, Bind::Integer(value.as_millis())))
        };
        [
            text("kind =", self.kind.map(|kind| kind.as_str().to_owned())),
            text(
                "outcome =",
                self.outcome.map(|outcome| outcome.as_str().to_owned()),
            ),
            text("client_id =", self.client_id.map(|id| id.to_string())),
            text(
                "mcp_server_id =",
                self.mcp_server_id.map(|id| id.to_string()),
            ),
            text("jti =", self.jti.clone()),
            text("actor =", self.actor.clone()),
            text("request_id =", self.request_id.clone()),
            text("source =", self.source.clone()),
            time("at >=", self.since),
            time("at <", self.until),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether an event is about or by one of those whose names hold the text.
    fn is_of_named(&self, row: &AnyRow) -> Result<bool, StoreError> {
        if self.named.is_empty() {
            return Ok(false);
        }
        let actor = row.text("actor")?;
        let ids = [
            row.optional_text("client_id")?,
            row.optional_text("mcp_server_id")?,
            Some(actor),
        ];
        let is_named = |id: String| self.named.contains(&id);
        Ok(ids.into_iter().flatten().any(is_named))
    }
}

/// A search by client looks at so many events first, and at four times as many each time that these
/// are not enough: who is active is found in the newest, and who is not, quickly all the same.
const FIRST_WINDOW: i64 = 4 * SPAN;
const LARGEST_WINDOW: i64 = 256 * SPAN;
/// Events that may hold a text are read in steps of so many at most.
const MOST_COMPARED: usize = 4_096;
/// At most so many windows.
const WINDOWS: u32 = 100;
/// So many events of which some are a client's are read at once, or a few more.
const CANDIDATES: usize = 512;

impl Store {
    /// Part of the log, newest first, before the event `before`: at most `limit` events, found among
    /// a bounded number, so that a search for something rare answers in little time and says where to
    /// go on.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn search_audit(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<AuditSearch, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if let Some(jti) = &filter.jti
            && let Some(events) = self.events_of_token(jti).await?
        {
            return self.among(filter, &events, before, limit).await;
        }
        let (first, mut end) = self.bounds(filter, before).await?;
        // Nothing is easy to find but by client.
        let indexed = match filter.client_id {
            Some(_) => self.audit_indexed_through().await?,
            None => 0,
        };
        let mut events = Vec::new();
        let (mut window, mut windows) = (FIRST_WINDOW, WINDOWS);
        while windows > 0 && end > first && events.len() < limit {
            let is_indexed = end <= indexed + 1;
            let begin = if is_indexed {
                end.saturating_sub(window).max(first)
            } else {
                end.saturating_sub(SEARCH_WINDOW)
                    .max(indexed + 1)
                    .max(first)
            };
            let missing = limit - events.len();
            let part = begin..end;
            let mut found = match filter.client_id {
                Some(id) if is_indexed => {
                    let spans = self.spans_of_client(id, &part).await?;
                    self.audit_within_spans(filter, spans, missing + 1).await?
                }
                _ => {
                    let part = Part::All(part);
                    self.audit_within(filter, part, missing + 1).await?
                }
            };
            let is_more = found.len() > missing;
            found.truncate(missing);
            events.append(&mut found);
            end = match events.last() {
                Some(last) if is_more => last.seq,
                _ => begin,
            };
            if is_indexed {
                window = LARGEST_WINDOW.min(window.saturating_mul(4));
                windows -= 1;
            } else if end > indexed + 1 {
                break;
            }
        }
        Ok(AuditSearch {
            events,
            next: (end > first).then_some(end),
        })
    }

    /// The first event that may be wanted, and one more than the last.
    async fn bounds(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
    ) -> Result<(i64, i64), StoreError> {
        let since = filter.since.map(|since| since.minus(OUT_OF_ORDER));
        let until = filter.until.map(|until| until.plus(OUT_OF_ORDER));
        if since.is_none() && until.is_none() {
            let end = match before {
                Some(before) => before,
                None => self.end_of_audit().await?,
            };
            return Ok((self.audit_begin() + 1, end));
        }
        let ranges = self.audit_ranges(since, until).await?;
        let first = ranges.iter().map(|range| range.start).min().unwrap_or(1);
        let first = first.max(self.audit_begin() + 1);
        let end = ranges.iter().map(|range| range.end).max().unwrap_or(1);
        let end = before.map_or(end, |before| before.min(end));
        Ok((first, end))
    }

    /// What is wanted of some spans, newest first.
    async fn audit_within_spans(
        &self,
        filter: &AuditFilter,
        spans: Vec<Range<i64>>,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut found = Vec::new();
        let mut spans = spans.into_iter().peekable();
        while spans.peek().is_some() && found.len() < limit {
            let mut candidates = Vec::new();
            while candidates.len() < CANDIDATES
                && let Some(span) = spans.next()
            {
                candidates.extend(span);
            }
            let part = Part::Named(candidates);
            let mut more = self.audit_within(filter, part, limit - found.len()).await?;
            found.append(&mut more);
        }
        Ok(found)
    }

    /// What is wanted of these events.
    async fn among(
        &self,
        filter: &AuditFilter,
        events: &[i64],
        before: Option<i64>,
        limit: usize,
    ) -> Result<AuditSearch, StoreError> {
        let before = before.unwrap_or(i64::MAX);
        let earlier = events.iter().copied().filter(|seq| *seq < before).collect();
        let mut events = self
            .audit_within(filter, Part::Named(earlier), limit.saturating_add(1))
            .await?;
        let is_more = events.len() > limit;
        events.truncate(limit);
        let last = events.last().map(|event| event.seq);
        Ok(AuditSearch {
            next: last.filter(|_| is_more),
            events,
        })
    }

    /// What is wanted of a part of the log, newest first.
    async fn audit_within(
        &self,
        filter: &AuditFilter,
        part: Part,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let Some(text) = filter.text.as_deref().map(search_text) else {
            let rows = self.audit_rows(filter, &part, None, limit).await?;
            return rows.iter().map(from_row).collect();
        };
        let (mut found, mut before, mut step) = (Vec::new(), i64::MAX, limit);
        loop {
            let wanted = Some((text.as_str(), before));
            let rows = self.audit_rows(filter, &part, wanted, step).await?;
            for row in &rows {
                before = row.integer("seq")?;
                let is_wanted = search_text(&row.text("searched")?).contains(&text)
                    || filter.is_of_named(row)?;
                if found.len() < limit && is_wanted {
                    found.push(from_row(row)?);
                }
            }
            if found.len() >= limit || rows.len() < step {
                return Ok(found);
            }
            step = step.saturating_mul(4).clamp(1, MOST_COMPARED);
        }
    }

    /// Events of a part of the log that fulfil the conditions, newest first; with a folded text, those before an
    /// event that may hold it, with `searched`.
    async fn audit_rows(
        &self,
        filter: &AuditFilter,
        part: &Part,
        text: Option<(&str, i64)>,
        limit: usize,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let mut conditions = filter.conditions();
        let mut sql = format!("SELECT {COLUMNS}");
        if text.is_some() {
            let _ = write!(sql, ", {} AS searched", audit_text::SEARCHED);
        }
        let _ = write!(sql, " FROM {} WHERE ", self.dialect.audit_event);
        part.push(&mut sql);
        for (number, (condition, _)) in (1..).zip(&conditions) {
            let _ = write!(sql, " AND {condition} ${number}");
        }
        if let Some((text, before)) = text {
            let _ = write!(sql, " AND seq < {before} AND (");
            if text.is_ascii() {
                conditions.push(("", Bind::Text(like(text))));
            }
            sql.push_str(&audit_text::may_hold(text, conditions.len()));
            for id in &filter.named {
                conditions.push(("", Bind::Text(id.clone())));
                let number = conditions.len();
                let _ = write!(
                    sql,
                    " OR client_id = ${number} OR mcp_server_id = ${number} OR actor = ${number}"
                );
            }
            sql.push(')');
        }
        let _ = write!(sql, " ORDER BY seq DESC LIMIT ${}", conditions.len() + 1);
        // Nothing of the caller's is in the text: conditions are fixed, values are bound.
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (_, value) in conditions {
            query = match value {
                Bind::Text(text) => query.bind(text),
                Bind::Integer(integer) => query.bind(integer),
            };
        }
        let query = query.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        self.rows_once(query).await
    }

    /// How many events the log holds.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_size(&self) -> Result<i64, StoreError> {
        // They are numbered without gaps, so the first and the last say it.
        let begin = self.audit_begin();
        let row = self
            .one(
                sqlx::query(
                    "SELECT COALESCE((SELECT MAX(seq) FROM audit_event), 0) AS newest, \
                     COALESCE((SELECT MIN(seq) FROM audit_event WHERE seq > $1), 1) AS oldest",
                )
                .bind(begin),
            )
            .await?;
        Ok((row.integer("newest")? - row.integer("oldest")? + 1).max(0))
    }

    /// One more than the number of the newest event.
    pub(crate) async fn end_of_audit(&self) -> Result<i64, StoreError> {
        let statement = format!(
            "SELECT COALESCE(MAX(seq), 0) AS seq FROM {}",
            self.dialect.audit_event
        );
        let row = self.one(sqlx::query(AssertSqlSafe(statement))).await?;
        Ok(row.integer("seq")? + 1)
    }

    /// The event before the first one at or after `at`, roughly: where an export from `at` begins.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_seq_before(&self, at: Timestamp) -> Result<i64, StoreError> {
        Ok(self.first_seq_at(at.minus(OUT_OF_ORDER)).await? - 1)
    }
}

/// A part of the log.
enum Part {
    /// Events that follow one another.
    All(Range<i64>),
    /// Just these.
    Named(Vec<i64>),
}

impl Part {
    /// Adds it as a condition that no planner takes for a reason to read the whole log.
    fn push(&self, sql: &mut String) {
        // Writing to a String cannot fail.
        match self {
            Self::All(events) => {
                let _ = write!(sql, "seq >= {} AND seq < {}", events.start, events.end);
            }
            Self::Named(events) => {
                sql.push_str("seq IN (NULL");
                for seq in events {
                    let _ = write!(sql, ", {seq}");
                }
                sql.push(')');
            }
        }
    }
}
