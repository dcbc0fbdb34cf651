//! The audit log: events as rows, appended in batches.

use std::sync::{Mutex, PoisonError};

use jeton_core::{Actor, AuditEvent};
use sqlx::any::AnyRow;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Database, Encode, Type};

use crate::audit_chain::{AuditEnd, BatchKey, batch_hash};
use crate::dialect::Dialect;
use crate::row::{Columns as _, to_json};
use crate::shared_text::SharedText;
use crate::store::limited;
use crate::{Store, StoreError, Transaction, retry_on_conflict};

pub(crate) const COLUMNS: &str = "seq, id, at, kind, outcome, reason, actor, client_id, mcp_server_id, \
                       secret_id, scope, resource, jti, source, request_id, detail, batch_hash";
pub(crate) const COLUMN_COUNT: usize = 17;

/// At most so many rows are appended by one statement. Each number of rows has a statement of its
/// own, prepared once.
pub(crate) const MAX_ROWS: usize = 32;

/// An event's columns but for its sequence number, as they are stored and hashed.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) at: i64,
    pub(crate) texts: [Option<SharedText>; COLUMN_COUNT - 3],
}

impl Columns {
    /// Where `before`, the columns of the event before, say the same, they are shared.
    fn of_event(event: &AuditEvent, before: Option<&Self>) -> Result<Self, StoreError> {
        let mut texts = [const { None }; COLUMN_COUNT - 3];
        let mut number = 0;
        let mut put = |text: Option<&str>| {
            if let Some(place) = texts.get_mut(number) {
                let before = before.and_then(|before| before.texts.get(number)?.as_ref());
                *place = text.map(|text| SharedText::new(text, before));
            }
            number += 1;
        };
        put(Some(&event.id.to_string()));
        put(Some(event.kind.as_str()));
        put(Some(event.outcome.as_str()));
        put(event.reason.as_deref());
        put(Some(event.actor.as_str()));
        put(event.client_id.map(|id| id.to_string()).as_deref());
        put(event.mcp_server_id.map(|id| id.to_string()).as_deref());
        put(event.secret_id.map(|id| id.to_string()).as_deref());
        put(event.scope.as_ref().map(ToString::to_string).as_deref());
        put(event.resource.as_deref());
        put(event.jti.as_deref());
        put(event.source.as_deref());
        put(event.request_id.as_deref());
        put(Some(&to_json(&event.detail, "detail")?));
        Ok(Self {
            at: event.at.as_millis(),
            texts,
        })
    }

    /// What happened, by name.
    pub(crate) fn kind(&self) -> Option<&str> {
        self.texts.get(1)?.as_deref()
    }

    pub(crate) fn of_row(row: &AnyRow) -> Result<Self, StoreError> {
        let mut texts = [const { None }; COLUMN_COUNT - 3];
        let names = [
            "id",
            "kind",
            "outcome",
            "reason",
            "actor",
            "client_id",
            "mcp_server_id",
            "secret_id",
            "scope",
            "resource",
            "jti",
            "source",
            "request_id",
            "detail",
        ];
        for (text, name) in texts.iter_mut().zip(names) {
            let value = row.optional_text(name)?;
            *text = value.map(|value| SharedText::new(&value, None));
        }
        Ok(Self {
            at: row.integer("at")?,
            texts,
        })
    }
}

/// An event with its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// Its place: rises by one with each event.
    pub seq: i64,
    /// What happened.
    pub event: AuditEvent,
}

pub(crate) fn from_row(row: &AnyRow) -> Result<RecordedEvent, StoreError> {
    Ok(RecordedEvent {
        seq: row.integer("seq")?,
        event: AuditEvent {
            id: row.parsed("id")?,
            at: row.time("at")?,
            kind: row.parsed("kind")?,
            outcome: row.parsed("outcome")?,
            reason: row.optional_text("reason")?,
            actor: Actor::from(row.text("actor")?.as_str()),
            client_id: row.optional_parsed("client_id")?,
            mcp_server_id: row.optional_parsed("mcp_server_id")?,
            secret_id: row.optional_parsed("secret_id")?,
            scope: row.optional_parsed("scope")?,
            resource: row.optional_text("resource")?,
            jti: row.optional_text("jti")?,
            source: row.optional_text("source")?,
            request_id: row.optional_text("request_id")?,
            detail: row.json("detail")?,
        },
    })
}

impl Store {
    /// One event.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn find_audit_event(&self, seq: i64) -> Result<Option<RecordedEvent>, StoreError> {
        if seq <= self.audit_begin() {
            return Ok(None);
        }
        let statement = format!("SELECT * FROM {} WHERE seq = $1", self.dialect.audit_event);
        self.row(sqlx::query(AssertSqlSafe(statement)).bind(seq))
            .await?
            .map(|row| from_row(&row))
            .transpose()
    }

    /// Events after `after`, oldest first, with the hash of the batch that each one ends.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_after(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(RecordedEvent, Option<String>)>, StoreError> {
        let statement = format!(
            "SELECT * FROM {} WHERE seq > $1 ORDER BY seq LIMIT $2",
            self.dialect.audit_event
        );
        let query = sqlx::query(AssertSqlSafe(statement)).bind(after.max(self.audit_begin()));
        let rows = self.rows(query.bind(i64::from(limit))).await?;
        rows.iter()
            .map(|row| {
                let event = from_row(row)?;
                let hash = row.optional_text("batch_hash")?;
                let hash = hash.map(|hash| AuditEnd::of_column(event.seq, &hash).0.hash);
                Ok((event, hash))
            })
            .collect()
    }

    /// Appends events as one batch of the chain, durably, in one step where it can.
    ///
    /// # Errors
    ///
    /// [`StoreError::InDoubt`] where the database did not say whether they were appended; with any other
    /// error they were not, unless it is [`StoreError::Timeout`]. Whoever tries again does so with
    /// [`Self::append_audit_once`].
    pub async fn append_audit(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        self.append_audit_once(events, &mut AppendDoubts::default())
            .await
    }

    /// Does the same, once in however many calls: `doubts` keeps what may have become of these events in the
    /// calls before.
    ///
    /// # Errors
    ///
    /// As [`Self::append_audit`].
    pub async fn append_audit_once(
        &self,
        events: &[AuditEvent],
        doubts: &mut AppendDoubts,
    ) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        if events.len() <= MAX_ROWS && doubts.0.is_empty() {
            match self.append_at_once(events).await? {
                Appended::Yes => return Ok(()),
                Appended::No => {}
                Appended::InDoubt(head, error) => {
                    doubts.0.push(head);
                    // The caller has waited for long already.
                    if matches!(error, StoreError::Timeout) {
                        return Err(error);
                    }
                }
            }
        }
        let (before, new) = (&*doubts, Mutex::new(None));
        let appended = retry_on_conflict(|| async {
            let mut tx = self.begin().await?;
            for head in &before.0 {
                if tx.is_appended(head).await? {
                    return Ok(());
                }
            }
            tx.append_audit(events).await?;
            let head = tx.new_audit_head.clone();
            let committed = tx.commit().await;
            if matches!(committed, Err(StoreError::InDoubt(_))) {
                *new.lock().unwrap_or_else(PoisonError::into_inner) = head;
            }
            committed
        })
        .await;
        doubts
            .0
            .extend(new.into_inner().unwrap_or_else(PoisonError::into_inner));
        appended
    }

    /// Appends in one statement, which is a transaction of its own, if the end of the chain is where
    /// this server left it.
    async fn append_at_once(&self, events: &[AuditEvent]) -> Result<Appended, StoreError> {
        // Before the end is looked at: whoever has the turn may be moving it.
        let mut turn = self.turn().await?;
        let Some(head) = self.audit_head.take() else {
            return Ok(Appended::No);
        };
        let batch = Batch::after(&head, events, &self.batch_key)?;
        let new_head = batch.head.clone();
        let touched = match &mut turn {
            Some(appender) => match batch.into_queries(self.dialect).next() {
                Some(query) => limited(appender.execute(query)).await,
                None => return Ok(Appended::No),
            },
            None => match batch.into_queries(self.dialect).next() {
                Some(query) => self.write_once(query).await,
                None => return Ok(Appended::No),
            },
        };
        match touched {
            Ok(touched) if touched > 0 => {
                self.audit_head.put(new_head);
                Ok(Appended::Yes)
            }
            // Another server appended meanwhile.
            Ok(_) | Err(StoreError::Exists) => Ok(Appended::No),
            Err(
                error
                @ (StoreError::Disconnected(_) | StoreError::InDoubt(_) | StoreError::Timeout),
            ) => Ok(Appended::InDoubt(new_head, error)),
            Err(error) => Err(error),
        }
    }
}

impl Transaction {
    /// Appends an event, as [`Self::append_audit`] does.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn record(&mut self, event: &AuditEvent) -> Result<(), StoreError> {
        self.append_audit(std::slice::from_ref(event)).await
    }

    /// Appends events as one batch of the chain. From here on to the end of the transaction no
    /// other server appends: it should be the last that a transaction does.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn append_audit(&mut self, events: &[AuditEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let head = match self.new_audit_head.take() {
            Some(head) => head,
            None => self.lock_audit_head().await?,
        };
        let batch = Batch::after(&head, events, &self.batch_key)?;
        let new_head = batch.head.clone();
        for query in batch.into_queries(self.dialect) {
            if self.execute(query).await? == 0 {
                return Err(StoreError::Stale);
            }
        }
        self.new_audit_head = Some(new_head);
        Ok(())
    }

    /// Whether the chain goes through `head`. A statement that would have brought it there and is still under
    /// way will find it elsewhere, for it is held until this transaction has moved it.
    async fn is_appended(&mut self, head: &AuditEnd) -> Result<bool, StoreError> {
        self.new_audit_head = Some(self.lock_audit_head().await?);
        let statement = "SELECT batch_hash FROM audit_event WHERE seq = $1";
        let row = self.row(sqlx::query(statement).bind(head.seq)).await?;
        let found = row.map(|row| row.optional_text("batch_hash")).transpose()?;
        let found = found.flatten();
        let is_there = found.is_some_and(|found| AuditEnd::of_column(head.seq, &found).0 == *head);
        if is_there {
            // It is told to be written, so it is missed should it go.
            self.audit_head.proven(head.clone());
        }
        Ok(is_there)
    }

    async fn lock_audit_head(&mut self) -> Result<AuditEnd, StoreError> {
        // With one writer, what it wrote last is the end of the chain.
        if !self.dialect.audit_head_is_kept
            && let Some(head) = self.audit_head.take()
        {
            return Ok(head);
        }
        // What the database says has to continue what this process knows, or it is another log.
        let written = self.audit_head.must_continue();
        let seq = written.as_ref().map_or(0, |written| written.seq);
        let row = self.row(sqlx::query(self.dialect.lock_audit_head).bind(seq));
        let (head, found) = match row.await? {
            None => (AuditEnd::genesis(), None),
            Some(row) => {
                // A last event without a hash ends no batch.
                let hash = row.optional_text("head_hash")?.unwrap_or_default();
                let head = AuditEnd::of_column(row.integer("last_seq")?, &hash).0;
                let found = row.optional_text("written_hash")?;
                (head, found.map(|hash| AuditEnd::of_column(seq, &hash).0))
            }
        };
        if written.is_some() && found != written {
            self.audit_head.doubt();
            return Err(StoreError::Discontinued);
        }
        Ok(head)
    }
}

/// What became of an attempt to append in one statement.
enum Appended {
    Yes,
    No,
    /// The connection was lost, or nothing was heard in time: if they were appended, the chain went through
    /// this head.
    InDoubt(AuditEnd, StoreError),
}

/// Where the chain went through, if a batch was appended although nobody was told.
#[derive(Debug, Default)]
pub struct AppendDoubts(Vec<AuditEnd>);

/// Events on their way into the log.
struct Batch {
    before: AuditEnd,
    rows: Vec<Columns>,
    /// The end of the chain afterwards.
    head: AuditEnd,
    /// Its hash as its row holds it.
    column: String,
}

impl Batch {
    fn after(before: &AuditEnd, events: &[AuditEvent], key: &BatchKey) -> Result<Self, StoreError> {
        let mut rows: Vec<Columns> = Vec::with_capacity(events.len());
        for event in events {
            rows.push(Columns::of_event(event, rows.last())?);
        }
        let head = AuditEnd {
            seq: before.seq + i64::try_from(rows.len()).unwrap_or(0),
            hash: batch_hash(&before.hash, (before.seq + 1..).zip(&rows)),
        };
        Ok(Self {
            column: key.column(before, &head),
            before: before.clone(),
            rows,
            head,
        })
    }

    /// The statements that append it, one after the other.
    fn into_queries<DB>(
        self,
        dialect: &'static Dialect,
    ) -> impl Iterator<Item = Query<'static, DB, DB::Arguments>>
    where
        DB: Database,
        i64: Encode<'static, DB> + Type<DB>,
        String: Encode<'static, DB> + Type<DB>,
        Option<String>: Encode<'static, DB> + Type<DB>,
        Option<SharedText>: Encode<'static, DB> + Type<DB>,
    {
        let Self {
            before,
            rows,
            head,
            column,
        } = self;
        let mut remaining = rows.len();
        let mut numbered = (before.seq + 1..).zip(rows);
        let mut last = before.seq;
        std::iter::from_fn(move || {
            let size = remaining.min(MAX_ROWS);
            let statement = (dialect.append_audit)().get(size.checked_sub(1)?)?;
            remaining -= size;
            let guard = last;
            let mut query = sqlx::query(AssertSqlSafe(statement.as_str()));
            for (seq, columns) in numbered.by_ref().take(size) {
                let [id, texts @ ..] = columns.texts;
                query = query.bind(seq).bind(id).bind(columns.at);
                for text in texts {
                    query = query.bind(text);
                }
                let ends = seq == head.seq;
                query = query.bind(ends.then(|| column.clone()));
                last = seq;
            }
            if dialect.audit_head_is_kept {
                let ends = last == head.seq;
                let hash = if ends { &head.hash } else { &before.hash };
                query = query
                    .bind(last)
                    .bind(hash.clone())
                    .bind(guard)
                    .bind(before.hash.clone());
            }
            Some(query)
        })
    }
}
