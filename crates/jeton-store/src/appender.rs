//! SQLite has one writer at a time: whose turn it is, and the connection that appends to the audit
//! log.
//!
//! Every token waits for that connection. It is one of SQLite's own, without a pool and without what
//! makes two databases look alike, which cost each token dozens of allocations.

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;

use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::StoreError;
use crate::connect::{sqlite_appender_set_up, sqlite_url};

/// The right to write, and what to append with; held by one at a time, in the order of asking.
pub(crate) type Turn = OwnedMutexGuard<Appender>;

/// The connection, made when it is first used, and anew after an error.
#[derive(Debug)]
pub(crate) struct Appender {
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
}

impl Appender {
    pub(crate) fn new(file: &Path) -> Result<Arc<Mutex<Self>>, StoreError> {
        let options = SqliteConnectOptions::from_str(&sqlite_url(file))?;
        Ok(Arc::new(Mutex::new(Self {
            options: options.disable_statement_logging(),
            connection: None,
        })))
    }

    /// Gives how many rows were touched.
    pub(crate) async fn execute(
        &mut self,
        query: sqlx::query::Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<u64, sqlx::Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let done = query.execute(&mut connection).await?;
        self.connection = Some(connection);
        Ok(done.rows_affected())
    }

    async fn connect(&self) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        for statement in sqlite_appender_set_up() {
            sqlx::raw_sql(statement).execute(&mut connection).await?;
        }
        Ok(connection)
    }

    pub(crate) async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            // What was committed is on disk already.
            let _ = connection.close().await;
        }
    }
}
