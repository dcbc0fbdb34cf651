//! Copies of a SQLite database: made while it is in use, and opened before they count as made.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _};

use crate::audit_chain::AuditEnd;
use crate::row::Columns as _;
use crate::{Database, Store, StoreError, connect, open_fault, schema};

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSummary {
    /// MCP servers, Jeton's own admin API among them.
    pub mcp_servers: i64,
    /// Clients.
    pub clients: i64,
    /// Signing keys.
    pub signing_keys: i64,
    /// Audit events, whose chain was walked from the first to the last.
    pub audit_events: u64,
    /// Where the audit log ends.
    pub audit_end: AuditEnd,
}

/// Why a copy is none.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// SQLite finds the file damaged.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// No Jeton database.
    #[error("the file is not a Jeton database; name one that jeton backup made")]
    Foreign,
    /// Of a newer version.
    #[error(
        "it was made by a newer version of Jeton (migration {found}, and this one knows up to {known}); restore it with that version"
    )]
    Newer {
        /// Its newest migration.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The audit log.
    #[error("its audit log does not fit, from event {seq} on: {reason}")]
    Audit {
        /// The first event that is not proven.
        seq: i64,
        /// What is wrong.
        reason: crate::BrokenReason,
    },
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Copies the SQLite database in `from` into the empty file `into`, as it is at one moment, while
/// servers go on writing.
///
/// # Errors
///
/// [`StoreError::Database`].
pub async fn back_up_sqlite(from: &Path, into: &Path) -> Result<(), StoreError> {
    let mut connection = connect::direct(&Database::Sqlite(from.to_owned())).await?;
    // A literal, for VACUUM takes no parameter in every version; a quote in a path is doubled.
    let literal = into.to_string_lossy().replace('\'', "''");
    sqlx::raw_sql(AssertSqlSafe(format!("VACUUM INTO '{literal}'")))
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}

/// Opens a copy without changing it, and checks that everything in it fits.
///
/// # Errors
///
/// [`BackupError`], which says what does not.
pub async fn verify_sqlite_copy(file: &Path) -> Result<BackupSummary, BackupError> {
    let store = Store::open_unchanged(file)?;
    let summary = verify(&store).await;
    store.close().await;
    summary.map_err(|error| match error {
        BackupError::Store(error) => {
            open_fault::explain(&Database::Sqlite(file.to_owned()), error).into()
        }
        other => other,
    })
}

/// What SQLite says of a file that is no database, or a damaged one.
fn of_integrity(error: StoreError) -> BackupError {
    let StoreError::Database(sqlx::Error::Database(said)) = &error else {
        return error.into();
    };
    match said.code().as_deref() {
        Some("26") => BackupError::Foreign,
        Some("11") => BackupError::Damaged(said.message().to_owned()),
        _ => error.into(),
    }
}

async fn verify(store: &Store) -> Result<BackupSummary, BackupError> {
    let checked = match store.one(sqlx::query("PRAGMA integrity_check(1)")).await {
        Ok(row) => row.text("integrity_check")?,
        Err(error) => return Err(of_integrity(error)),
    };
    if checked != "ok" {
        return Err(BackupError::Damaged(checked));
    }
    let migration = "SELECT COALESCE(MAX(version), 0) AS n FROM _sqlx_migrations";
    let found = match store.one(sqlx::query(migration)).await {
        Ok(row) => row.integer("n")?,
        Err(_) => return Err(BackupError::Foreign),
    };
    let known = schema::newest();
    if found > known {
        return Err(BackupError::Newer { found, known });
    }
    let count = async |statement: &'static str| {
        let row = store.one(sqlx::query(statement)).await?;
        row.integer("n")
    };
    let mut summary = BackupSummary {
        mcp_servers: count("SELECT COUNT(*) AS n FROM mcp_server").await?,
        clients: count("SELECT COUNT(*) AS n FROM client").await?,
        signing_keys: count("SELECT COUNT(*) AS n FROM signing_key").await?,
        audit_events: 0,
        audit_end: AuditEnd::genesis(),
    };
    // Before the third migration there were no checkpoints, and a copy is not changed to have them.
    if found >= 3 {
        let store = store.with_notes(found >= NOTES);
        (summary.audit_events, summary.audit_end) = walk_audit(&store).await?;
    }
    Ok(summary)
}

/// The migration since which checkpoints are notes.
const NOTES: i64 = 6;

/// Walks the whole chain; gives how many events there are, and where it ends.
pub(crate) async fn walk_audit(store: &Store) -> Result<(u64, AuditEnd), BackupError> {
    let (mut after, mut events) = (0, 0);
    loop {
        let span = store.verify_audit(after, 20_000).await?;
        events += span.events;
        if let Some(broken) = span.broken {
            return Err(BackupError::Audit {
                seq: broken.seq,
                reason: broken.reason,
            });
        }
        if span.is_end {
            return Ok((events, span.end));
        }
        after = span.end.seq;
    }
}
