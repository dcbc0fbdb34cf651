//! The audit log: appended in batches, read newest first.

use std::fmt::Write as _;
use std::sync::LazyLock;

use jeton_core::{Actor, AuditEvent, AuditKind, ClientId, McpServerId, Outcome, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe};

use crate::audit_chain::{GENESIS, batch_hash};
use crate::row::{Columns, to_json};
use crate::{Page, PageRequest, Store, StoreError, Transaction};

const COLUMNS: &str = "seq, id, at, kind, outcome, reason, actor, client_id, mcp_server_id, \
                       secret_id, scope, resource, jti, source, request_id, detail";
const COLUMN_COUNT: usize = 16;

/// So many rows are inserted by one statement. Few sizes, so that prepared statements are reused.
const CHUNKS: [usize; 3] = [16, 4, 1];

static INSERTS: LazyLock<[String; 3]> = LazyLock::new(|| CHUNKS.map(insert_statement));

fn insert_statement(rows: usize) -> String {
    let mut sql = format!("INSERT INTO audit_event ({COLUMNS}) VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=COLUMN_COUNT {
            let comma = if column == 1 { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(sql, "{comma}${}", row * COLUMN_COUNT + column);
        }
        sql.push(')');
    }
    sql
}

/// An event's columns but for its sequence number, as they are stored and hashed.
#[derive(Debug)]
pub(crate) struct Columns16 {
    pub(crate) at: i64,
    pub(crate) texts: [Option<String>; COLUMN_COUNT - 2],
}

impl Columns16 {
    fn of_event(event: &AuditEvent) -> Result<Self, StoreError> {
        Ok(Self {
            at: event.at.as_millis(),
            texts: [
                Some(event.id.to_string()),
                Some(event.kind.as_str().to_owned()),
                Some(event.outcome.as_str().to_owned()),
                event.reason.clone(),
                Some(event.actor.as_str().to_owned()),
                event.client_id.map(|id| id.to_string()),
                event.mcp_server_id.map(|id| id.to_string()),
                event.secret_id.map(|id| id.to_string()),
                event.scope.as_ref().map(ToString::to_string),
                event.resource.clone(),
                event.jti.clone(),
                event.source.clone(),
                event.request_id.clone(),
                Some(to_json(&event.detail, "detail")?),
            ],
        })
    }

    fn of_row(row: &AnyRow) -> Result<Self, StoreError> {
        let mut texts = [const { None }; COLUMN_COUNT - 2];
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
            *text = row.optional_text(name)?;
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
}

fn from_row(row: &AnyRow) -> Result<RecordedEvent, StoreError> {
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

/// One condition's value.
enum Bind {
    Text(String),
    Integer(i64),
}

impl AuditFilter {
    fn conditions(&self, after: Option<i64>) -> Vec<(&'static str, Bind)> {
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
            after.map(|seq| ("seq <", Bind::Integer(seq))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Store {
    /// A page of the audit log, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn audit_events(
        &self,
        filter: &AuditFilter,
        page: PageRequest<i64>,
    ) -> Result<Page<RecordedEvent>, StoreError> {
        let conditions = filter.conditions(page.after);
        let mut sql = format!("SELECT {COLUMNS} FROM audit_event");
        for (index, (condition, _)) in conditions.iter().enumerate() {
            let word = if index == 0 { "WHERE" } else { "AND" };
            let _ = write!(sql, " {word} {condition} ${}", index + 1);
        }
        let _ = write!(sql, " ORDER BY seq DESC LIMIT ${}", conditions.len() + 1);
        // Nothing of the caller's is in the text: conditions are fixed, values are bound.
        let mut query = sqlx::query::<Any>(AssertSqlSafe(sql));
        for (_, value) in conditions {
            query = match value {
                Bind::Text(text) => query.bind(text),
                Bind::Integer(integer) => query.bind(integer),
            };
        }
        let rows = query.bind(page.probe()).fetch_all(&self.readers).await?;
        let items = rows.iter().map(from_row).collect::<Result<_, _>>()?;
        Ok(Page::from_probe(
            items,
            page.limit,
            |recorded: &RecordedEvent| recorded.seq,
        ))
    }

    /// Checks the chain from its first batch to its last, and gives the number of the first batch
    /// that does not fit, if any.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn first_broken_audit_batch(&self) -> Result<Option<i64>, StoreError> {
        let batches = sqlx::query("SELECT * FROM audit_batch ORDER BY number")
            .fetch_all(&self.readers)
            .await?;
        let (mut previous, mut last_seq) = (GENESIS.to_owned(), 0);
        for batch in &batches {
            let number = batch.integer("number")?;
            let rows =
                sqlx::query("SELECT * FROM audit_event WHERE seq > $1 AND seq <= $2 ORDER BY seq")
                    .bind(last_seq)
                    .bind(batch.integer("last_seq")?)
                    .fetch_all(&self.readers)
                    .await?;
            let events = rows
                .iter()
                .map(|row| Ok((row.integer("seq")?, Columns16::of_row(row)?)))
                .collect::<Result<Vec<_>, StoreError>>()?;
            let hash = batch_hash(
                &previous,
                events.iter().map(|(seq, columns)| (*seq, columns)),
            )
            .map_err(|_| StoreError::Corrupt { column: "detail" })?;
            if batch.text("previous")? != previous || batch.text("hash")? != hash {
                return Ok(Some(number));
            }
            previous = hash;
            last_seq = batch.integer("last_seq")?;
        }
        Ok(None)
    }
}

impl Transaction {
    /// Appends events as one batch of the chain.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn append_audit(&mut self, events: &[AuditEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let head = sqlx::query(
            "SELECT number, last_seq, hash FROM audit_batch ORDER BY number DESC LIMIT 1",
        )
        .fetch_optional(&mut *self.connection)
        .await?;
        let (number, last_seq, previous) = match head {
            Some(row) => (
                row.integer("number")?,
                row.integer("last_seq")?,
                row.text("hash")?,
            ),
            None => (0, 0, GENESIS.to_owned()),
        };
        let rows = events
            .iter()
            .map(Columns16::of_event)
            .collect::<Result<Vec<_>, _>>()?;
        let first_seq = last_seq + 1;
        let hash = batch_hash(&previous, (first_seq..).zip(&rows))
            .map_err(|_| StoreError::Corrupt { column: "detail" })?;
        let next_seq = self.insert_audit_rows(rows, first_seq).await?;
        sqlx::query(
            "INSERT INTO audit_batch (number, first_seq, last_seq, previous, hash) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(number + 1)
        .bind(first_seq)
        .bind(next_seq - 1)
        .bind(previous)
        .bind(hash)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Inserts rows numbered from `seq` on; gives the number after the last.
    async fn insert_audit_rows(
        &mut self,
        rows: Vec<Columns16>,
        mut seq: i64,
    ) -> Result<i64, StoreError> {
        let mut rows = rows.into_iter();
        for (size, statement) in CHUNKS.into_iter().zip(INSERTS.iter()) {
            while rows.len() >= size {
                let mut query = sqlx::query::<Any>(AssertSqlSafe(statement.as_str()));
                for columns in rows.by_ref().take(size) {
                    let mut texts = columns.texts.into_iter();
                    query = query
                        .bind(seq)
                        .bind(texts.next().flatten())
                        .bind(columns.at);
                    for text in texts {
                        query = query.bind(text);
                    }
                    seq += 1;
                }
                query.execute(&mut *self.connection).await?;
            }
        }
        Ok(seq)
    }
}
