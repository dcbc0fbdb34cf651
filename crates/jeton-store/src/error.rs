//! What can go wrong with the store.

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or could not be reached.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
    /// The database did not answer in time.
    #[error("the database did not answer in time")]
    Timeout,
    /// Somebody else was changing the same; the whole write may be tried again.
    #[error("others were changing the same at that moment")]
    Busy,
    /// The connection was lost before anything was committed: nothing was changed, and the whole write may be
    /// begun again.
    #[error("the connection to the database was lost")]
    Disconnected(#[source] sqlx::Error),
    /// The connection was lost while a write was being committed.
    #[error("the database did not say whether the write was committed")]
    InDoubt(#[source] Box<StoreError>),
    /// A lock was lost in the middle of the work that it was for.
    #[error("the lock was lost; another server may be doing this now")]
    LockLost,
    /// The files of a SQLite database are not those that were opened.
    #[error(
        "the files of the database were removed or replaced while the server was running: nothing more is written. Put them back, or restart the server with those that are there"
    )]
    FilesReplaced,
    /// Something with the same unique value exists.
    #[error("it exists already")]
    Exists,
    /// The end of the audit log is not one that continues what this process last wrote or proved; nothing was
    /// changed. [`Store::audit_settled`](crate::Store::audit_settled) waits until somebody has looked at it.
    #[error(
        "the audit log in the database does not continue what this server wrote; nothing was changed. Run jeton audit verify"
    )]
    Discontinued,
    /// Somebody else changed it first, or it is gone.
    #[error("it was changed or deleted meanwhile")]
    Stale,
    /// A row that no Jeton wrote.
    #[error("the database holds a row that cannot be read: column {column}")]
    Corrupt {
        /// Which column.
        column: &'static str,
    },
    /// The database belongs to a newer Jeton.
    #[error(
        "the database has migration {found}, which this version of Jeton does not know: it was used by a newer version. Run that version, or restore a backup made before the upgrade"
    )]
    Newer {
        /// The migration.
        found: i64,
    },
    /// It cannot be opened.
    #[error(transparent)]
    Unopened(Box<crate::OpenFault>),
    /// A migration failed.
    #[error("preparing the database failed")]
    Migration(#[source] sqlx::migrate::MigrateError),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => Self::Exists,
            // PostgreSQL: a serialization failure, a deadlock.
            sqlx::Error::Database(database)
                if matches!(database.code().as_deref(), Some("40001" | "40P01")) =>
            {
                Self::Busy
            }
            // PostgreSQL: it is stopping, crashed or starting, or the connection idled in a transaction.
            sqlx::Error::Database(database)
                if matches!(
                    database.code().as_deref(),
                    Some("57P01" | "57P02" | "57P03" | "25P03" | "08006" | "08003")
                ) =>
            {
                Self::Disconnected(error)
            }
            sqlx::Error::Io(_) => Self::Disconnected(error),
            _ => Self::Database(error),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::VersionMissing(found) => Self::Newer { found },
            other => Self::Migration(other),
        }
    }
}
