//! Moving everything from one database to another, of either kind.
//!
//! Rows go a part at a time in the order of their keys, each part in a transaction of its own, so
//! that an interrupted copy is simply run again. Afterwards both are counted, and the audit chain of
//! the copy is walked.

use std::fmt::Write as _;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::audit_chain::AuditEnd;
use crate::backup::{BackupError, walk_audit};
use crate::row::{Columns as _, placeholders};
use crate::store::Query;
use crate::{Store, StoreError};

/// A table, with the columns of its key first.
struct Table {
    name: &'static str,
    key: &'static [Column],
    others: &'static [Column],
    /// Rows that are there are never changed, and need not be read again.
    append_only: bool,
}

#[derive(Clone, Copy)]
enum Column {
    Text(&'static str),
    Number(&'static str),
}

use Column::{Number, Text};

impl Column {
    fn name(self) -> &'static str {
        match self {
            Text(name) | Number(name) => name,
        }
    }
}

/// Everything, in an order in which what is referred to comes first.
const TABLES: &[Table] = &[
    Table {
        name: "mcp_server",
        key: &[Text("id")],
        others: &[
            Text("name"),
            Text("description"),
            Text("url"),
            Text("url_key"),
            Text("scopes"),
            Number("token_ttl"),
            Text("signing_alg"),
            Text("token_profile"),
            Number("own_issuer"),
            Number("system"),
            Number("created_at"),
            Number("updated_at"),
            Number("version"),
        ],
        append_only: false,
    },
    Table {
        name: "client",
        key: &[Text("id")],
        others: &[
            Text("name"),
            Text("description"),
            Text("status"),
            Number("token_ttl"),
            Text("custom_claims"),
            Number("created_at"),
            Number("updated_at"),
            Number("version"),
        ],
        append_only: false,
    },
    Table {
        name: "client_grant",
        key: &[Text("client_id"), Text("mcp_server_id")],
        others: &[Text("scopes"), Number("created_at"), Number("version")],
        append_only: false,
    },
    Table {
        name: "client_secret",
        key: &[Text("id")],
        others: &[
            Text("owner"),
            Text("digest"),
            Text("suffix"),
            Number("created_at"),
            Number("expires_at"),
            Number("revoked_at"),
        ],
        append_only: false,
    },
    Table {
        name: "signing_key",
        key: &[Text("id")],
        others: &[
            Text("algorithm"),
            Text("state"),
            Text("sealed"),
            Number("created_at"),
            Number("activated_at"),
            Number("retired_at"),
            Number("published_until"),
        ],
        append_only: false,
    },
    Table {
        name: "revoked_token",
        key: &[Text("jti")],
        others: &[Number("expires_at"), Number("revoked_at")],
        append_only: false,
    },
    Table {
        name: "void_token",
        key: &[Text("subject")],
        others: &[Text("owner"), Number("issued_until"), Number("forget_at")],
        append_only: false,
    },
    Table {
        name: "retired_url",
        key: &[Text("url_key")],
        others: &[
            Text("url"),
            Text("mcp_server_id"),
            Text("name"),
            Number("retired_at"),
        ],
        append_only: false,
    },
    Table {
        name: "admin",
        key: &[Text("id")],
        others: &[
            Text("name"),
            Text("email"),
            Text("email_key"),
            Text("role"),
            Text("password_hash"),
            Text("oidc_issuer"),
            Text("oidc_subject"),
            Text("role_source"),
            Number("created_at"),
            Number("last_sign_in_at"),
        ],
        append_only: false,
    },
    Table {
        name: "admin_session",
        key: &[Text("digest")],
        others: &[Text("admin_id"), Number("created_at"), Number("seen_at")],
        append_only: false,
    },
    Table {
        name: "admin_invitation",
        key: &[Text("id")],
        others: &[
            Text("digest"),
            Text("role"),
            Text("note"),
            Number("first"),
            Number("created_at"),
            Number("expires_at"),
            Number("used_at"),
        ],
        append_only: false,
    },
    Table {
        name: "token_minute",
        key: &[Number("minute")],
        others: &[Number("issued"), Number("refused")],
        append_only: false,
    },
    Table {
        name: "client_hour",
        key: &[Number("hour"), Text("client_id")],
        others: &[Number("issued"), Number("refused"), Number("counted_seq")],
        append_only: false,
    },
    Table {
        name: "client_use",
        key: &[Text("client_id")],
        others: &[Number("last_issued_at")],
        append_only: false,
    },
    Table {
        name: "secret_use",
        key: &[Text("secret_id")],
        others: &[Number("last_used_at")],
        append_only: false,
    },
    Table {
        name: "client_refusal",
        key: &[Text("client_id")],
        others: &[Number("at"), Text("reason")],
        append_only: false,
    },
    Table {
        name: "statistics_progress",
        key: &[Number("id")],
        others: &[Number("seq"), Number("until")],
        append_only: false,
    },
    Table {
        name: "audit_event",
        key: &[Number("seq")],
        others: &[
            Text("id"),
            Number("at"),
            Text("kind"),
            Text("outcome"),
            Text("reason"),
            Text("actor"),
            Text("client_id"),
            Text("mcp_server_id"),
            Text("secret_id"),
            Text("scope"),
            Text("resource"),
            Text("jti"),
            Text("source"),
            Text("request_id"),
            Text("detail"),
            Text("batch_hash"),
        ],
        append_only: true,
    },
    Table {
        name: "audit_client_span",
        key: &[Number("span"), Text("client_id")],
        others: &[Number("first_seq"), Number("last_seq")],
        append_only: false,
    },
    Table {
        name: "audit_checkpoint",
        key: &[Number("seq")],
        others: &[
            Text("batch_hash"),
            Number("at"),
            Text("signature"),
            Number("pruned_at"),
        ],
        append_only: false,
    },
    Table {
        name: "audit_key",
        key: &[Text("id")],
        others: &[Text("purpose"), Text("sealed"), Number("created_at")],
        append_only: false,
    },
    Table {
        name: "audit_note",
        key: &[Number("number")],
        others: &[
            Number("seq"),
            Text("batch_hash"),
            Number("pruned_seq"),
            Text("pruned_hash"),
            Text("leaf"),
            Text("note"),
            Number("keep"),
        ],
        append_only: false,
    },
    Table {
        name: "audit_note_forward",
        key: &[Text("destination")],
        others: &[Number("number")],
        append_only: false,
    },
    Table {
        name: "audit_clock",
        key: &[Number("id")],
        others: &[Number("seq"), Number("latest")],
        append_only: false,
    },
    Table {
        name: "audit_clock_step",
        key: &[Number("seq")],
        others: &[],
        append_only: true,
    },
    Table {
        name: "audit_forward",
        key: &[Text("destination")],
        others: &[Number("seq")],
        append_only: false,
    },
];

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
    /// It was changed meanwhile.
    #[error(
        "after copying, {table} has {found} rows and not {expected}: the source was changed meanwhile, or the target before. Stop every server, empty the target and run this again"
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
    for table in TABLES {
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
    let mut tables = Vec::new();
    for table in TABLES {
        let (expected, found) = (count(from, table).await?, count(to, table).await?);
        if expected != found {
            return Err(CopyError::Count {
                table: table.name,
                expected,
                found,
            });
        }
        tables.push((table.name, found));
    }
    let (audit_events, audit_end) = walk_audit(to)
        .await
        .map_err(|error| CopyError::Audit(Box::new(error)))?;
    Ok(Copied {
        tables,
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

fn columns(table: &Table) -> impl Iterator<Item = Column> {
    table.key.iter().chain(table.others).copied()
}

fn names(columns: impl Iterator<Item = Column>) -> String {
    let mut list = String::new();
    for column in columns {
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(column.name());
    }
    list
}

fn read_row(row: &AnyRow, table: &Table) -> Result<Vec<Value>, StoreError> {
    columns(table)
        .map(|column| match column {
            Text(name) => row.optional_text(name).map(Value::Text),
            Number(name) => row.optional_integer(name).map(Value::Number),
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
    let key = names(table.key.iter().copied());
    let mut sql = format!("SELECT {} FROM {}", names(columns(table)), table.name);
    if after.is_some() {
        let places: Vec<_> = (1..=table.key.len()).map(|n| format!("${n}")).collect();
        let _ = write!(sql, " WHERE ({key}) > ({})", places.join(", "));
    }
    let _ = write!(sql, " ORDER BY {key} LIMIT {STEP}");
    // Nothing but names of this file is in the text.
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
    let _ = write!(
        sql,
        " ON CONFLICT ({}) DO ",
        names(table.key.iter().copied())
    );
    if table.append_only {
        sql.push_str("NOTHING");
    } else {
        sql.push_str("UPDATE SET ");
        for (index, column) in table.others.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(sql, "{comma}{0} = excluded.{0}", column.name());
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
        .map(|column| format!("{} DESC", column.name()))
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
