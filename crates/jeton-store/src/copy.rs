//! Moving everything from one database to another, of either kind.
//!
//! Rows go a part at a time in the order of their keys, each part in a transaction of its own, so
//! that an interrupted copy is simply run again. Afterwards both are counted, and the audit chain of
//! the copy is walked.

use std::fmt::Write as _;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use crate::audit_chain::AuditEnd;
use crate::backup::{BackupError, walk_audit};
use crate::row::{Columns as _, placeholders};
use crate::store::Query;
use crate::{Store, StoreError};

/// Every table that is moved, in an order in which what is referred to comes first, and whether its rows are
/// never changed, and need not be read again. Its columns are the schema's own.
const TABLES: &[(&str, bool)] = &[
    ("mcp_server", false),
    ("mcp_server_url", false),
    ("client", false),
    ("client_grant", false),
    ("client_secret", false),
    ("signing_key", false),
    ("revoked_token", false),
    ("void_token", false),
    ("retired_url", false),
    ("admin", false),
    ("admin_session", false),
    ("admin_invitation", false),
    ("admin_one_time_code", false),
    ("admin_recovery_code", false),
    ("admin_passkey", false),
    ("used_sign_in", false),
    ("token_minute", false),
    ("client_hour", false),
    ("client_use", false),
    ("secret_use", false),
    ("client_refusal", false),
    ("client_refusal_hour", false),
    ("statistics_progress", false),
    ("audit_event", true),
    ("audit_client_span", false),
    ("audit_checkpoint", false),
    ("audit_key", false),
    ("audit_note", false),
    ("audit_note_forward", false),
    ("audit_clock", false),
    ("audit_clock_step", true),
    ("audit_forward", false),
    ("server_clock", false),
];

/// What each database has for itself.
const NOT_MOVED: &[&str] = &["_sqlx_migrations", "audit_head", "write_probe"];

/// A table as the schema has it.
struct Table {
    name: &'static str,
    /// In the order of its primary key.
    key: Vec<Column>,
    others: Vec<Column>,
    append_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    is_text: bool,
}

/// Rows of one step.
const STEP: usize = 200;

/// Why a copy is none.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else's.
    #[error(
        "the database to move to holds another installation: it has signing keys that the other has not. Name an empty one"
    )]
    Occupied,
    /// A table that a newer or older version made.
    #[error("the database has a table that this version does not move: {table}")]
    UnknownTable {
        /// Which.
        table: String,
    },
    /// It was changed meanwhile.
    #[error(
        "after copying, {table} has {} and not {expected}: the source was changed meanwhile, or the target before. Stop every server, empty the target and run this again",
        jeton_core::counted(*found, "row")
    )]
    Count {
        /// Which table.
        table: &'static str,
        /// In the source.
        expected: i64,
        /// In the target.
        found: i64,
    },
    /// The audit log does not fit.
    #[error("the audit log of the copy does not fit")]
    Audit(#[source] Box<BackupError>),
}

/// What was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Each table with its rows.
    pub tables: Vec<(&'static str, i64)>,
    /// Audit events, whose chain was walked.
    pub audit_events: u64,
    /// Where the audit log of the copy ends.
    pub audit_end: AuditEnd,
}

/// Copies everything from one store to another, telling `progress` of each table's rows as they
/// come. A copy that was interrupted goes on.
///
/// # Errors
///
/// [`CopyError`].
pub async fn copy_everything(
    from: &Store,
    to: &Store,
    mut progress: impl FnMut(&'static str, u64),
) -> Result<Copied, CopyError> {
    refuse_another(from, to).await?;
    let tables = tables(from).await?;
    for table in &tables {
        let mut rows = 0;
        let mut after = if table.append_only {
            last_key(to, table).await?
        } else {
            None
        };
        loop {
            let part = next_rows(from, table, after.as_ref()).await?;
            let Some(last) = part.last() else {
                break;
            };
            put_rows(to, table, &part).await?;
            rows += u64::try_from(part.len()).unwrap_or(0);
            progress(table.name, rows);
            let last = last.get(..table.key.len()).unwrap_or_default().to_vec();
            after = Some(last);
        }
    }
    set_audit_head(to).await?;
    let mut counted = Vec::new();
    for table in &tables {
        let (expected, found) = (count(from, table).await?, count(to, table).await?);
        if expected != found {
            return Err(CopyError::Count {
                table: table.name,
                expected,
                found,
            });
        }
        counted.push((table.name, found));
    }
    let (audit_events, audit_end) = walk_audit(to)
        .await
        .map_err(|error| CopyError::Audit(Box::new(error)))?;
    Ok(Copied {
        tables: counted,
        audit_events,
        audit_end,
    })
}

/// One value of a row.
#[derive(Clone)]
enum Value {
    Text(Option<String>),
    Number(Option<i64>),
}

async fn refuse_another(from: &Store, to: &Store) -> Result<(), CopyError> {
    let known: Vec<_> = from.signing_keys().await?;
    let theirs = to.signing_keys().await?;
    let foreign = theirs
        .iter()
        .any(|key| known.iter().all(|known| known.id != key.id));
    if foreign {
        return Err(CopyError::Occupied);
    }
    Ok(())
}

/// The tables of `from`, each of which has to be known, with the columns that the schema gives them.
async fn tables(from: &Store) -> Result<Vec<Table>, CopyError> {
    for row in from.rows(sqlx::query(from.dialect.tables)).await? {
        let name = row.text("name")?;
        let is_known = TABLES.iter().any(|(known, _)| *known == name);
        if !is_known && !NOT_MOVED.contains(&name.as_str()) {
            return Err(CopyError::UnknownTable { table: name });
        }
    }
    let mut tables = Vec::new();
    for &(name, append_only) in TABLES {
        let query = sqlx::query(from.dialect.columns).bind(name);
        let (mut key, mut others) = (Vec::new(), Vec::new());
        for row in from.rows(query).await? {
            let column = Column {
                name: row.text("name")?,
                is_text: row.truth("is_text")?,
            };
            match row.integer("key_place")? {
                0 => others.push(column),
                place => key.push((place, column)),
            }
        }
        key.sort_by_key(|(place, _)| *place);
        tables.push(Table {
            name,
            key: key.into_iter().map(|(_, column)| column).collect(),
            others,
            append_only,
        });
    }
    Ok(tables)
}

fn columns(table: &Table) -> impl Iterator<Item = &Column> {
    table.key.iter().chain(&table.others)
}

fn names<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    let names: Vec<_> = columns.map(|column| column.name.as_str()).collect();
    names.join(", ")
}

fn read_row(row: &AnyRow, table: &Table) -> Result<Vec<Value>, StoreError> {
    columns(table)
        .enumerate()
        .map(|(place, column)| {
            let value = if column.is_text {
                row.try_get(place).map(Value::Text)
            } else {
                row.try_get(place).map(Value::Number)
            };
            value.map_err(|_| StoreError::Corrupt { column: table.name })
        })
        .collect()
}

fn bind<'q>(query: Query<'q>, values: &[Value]) -> Query<'q> {
    values.iter().fold(query, |query, value| match value {
        Value::Text(text) => query.bind(text.clone()),
        Value::Number(number) => query.bind(*number),
    })
}

async fn next_rows(
    from: &Store,
    table: &Table,
    after: Option<&Vec<Value>>,
) -> Result<Vec<Vec<Value>>, StoreError> {
    let key = names(table.key.iter());
    let mut sql = format!("SELECT {} FROM {}", names(columns(table)), table.name);
    if after.is_some() {
        let places: Vec<_> = (1..=table.key.len()).map(|n| format!("${n}")).collect();
        let _ = write!(sql, " WHERE ({key}) > ({})", places.join(", "));
    }
    let _ = write!(sql, " ORDER BY {key} LIMIT {STEP}");
    // Nothing but names of the schema is in the text.
    let query = sqlx::query(AssertSqlSafe(sql));
    let query = bind(query, after.map_or(&[][..], Vec::as_slice));
    let rows = from.rows(query).await?;
    rows.iter().map(|row| read_row(row, table)).collect()
}

async fn put_rows(to: &Store, table: &Table, rows: &[Vec<Value>]) -> Result<(), StoreError> {
    let width = table.key.len() + table.others.len();
    let mut sql = format!(
        "INSERT INTO {} ({}) VALUES {}",
        table.name,
        names(columns(table)),
        placeholders(rows.len(), width)
    );
    let _ = write!(sql, " ON CONFLICT ({}) DO ", names(table.key.iter()));
    if table.append_only {
        sql.push_str("NOTHING");
    } else {
        sql.push_str("UPDATE SET ");
        for (index, column) in table.others.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(sql, "{comma}{0} = excluded.{0}", column.name);
        }
    }
    let query = sqlx::query(AssertSqlSafe(sql));
    let query = rows.iter().fold(query, |query, row| bind(query, row));
    to.write(query).await?;
    Ok(())
}

/// The key of the last row that is there.
async fn last_key(to: &Store, table: &Table) -> Result<Option<Vec<Value>>, StoreError> {
    let descending: Vec<_> = table
        .key
        .iter()
        .map(|column| format!("{} DESC", column.name))
        .collect();
    let sql = format!(
        "SELECT {} FROM {} ORDER BY {} LIMIT 1",
        names(columns(table)),
        table.name,
        descending.join(", ")
    );
    let row = to.row(sqlx::query(AssertSqlSafe(sql))).await?;
    row.map(|row| {
        let values = read_row(&row, table)?;
        Ok(values.get(..table.key.len()).unwrap_or_default().to_vec())
    })
    .transpose()
}

async fn count(store: &Store, table: &Table) -> Result<i64, StoreError> {
    let sql = format!("SELECT COUNT(*) AS n FROM {}", table.name);
    let row = store.one(sqlx::query(AssertSqlSafe(sql))).await?;
    row.integer("n")
}

/// The end of the chain is where the copied events end.
async fn set_audit_head(to: &Store) -> Result<(), StoreError> {
    if let Some(end) = to.audit_batch_end(i64::MAX).await? {
        to.write(
            sqlx::query("UPDATE audit_head SET last_seq = $1, head_hash = $2 WHERE id = 1")
                .bind(end.seq)
                .bind(end.hash),
        )
        .await?;
    }
    Ok(())
}
