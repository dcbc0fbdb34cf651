//! Hearing of changes that other servers make (PostgreSQL's LISTEN).

use std::future::Future;
use std::str::FromStr as _;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::time::timeout;

use crate::{Change, Database, StoreError};

/// A connection of its own on which changes arrive. Whoever loses it has to read everything anew:
/// what happened meanwhile is not told again.
pub struct ChangeFeed {
    listener: PgListener,
}

/// Longer than this means that the connection is not there.
const MAX_WAIT: Duration = Duration::from_millis(500);

impl std::fmt::Debug for ChangeFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChangeFeed")
    }
}

impl ChangeFeed {
    /// Whether several servers may use this database, so that there is something to hear.
    pub fn is_needed(database: &Database) -> bool {
        matches!(database, Database::Postgres(_))
    }

    /// Begins to listen. What is committed from here on will be heard.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Timeout`] where there is no connection to be had.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        let Database::Postgres(postgres) = database else {
            return Err(StoreError::Database(sqlx::Error::Configuration(
                "SQLite has no notifications".into(),
            )));
        };
        let url = postgres.notification_url.as_ref().unwrap_or(&postgres.url);
        let listener = in_time(2 * MAX_WAIT, async {
            let options = PgConnectOptions::from_str(url.expose_secret())?
                .application_name("jeton notifications");
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_with(options)
                .await?;
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.ignore_pool_close_event(true);
            listener.eager_reconnect(false);
            listener.listen("jeton_changes").await?;
            Ok(listener)
        })
        .await?;
        Ok(Self { listener })
    }

    /// The next change, if there is one within `wait`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] where the connection was lost.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<Change>, StoreError> {
        let Ok(heard) = timeout(wait, self.listener.try_recv()).await else {
            return Ok(None);
        };
        let Some(notification) = heard? else {
            return Err(StoreError::Database(sqlx::Error::PoolClosed));
        };
        // What a newer version says in words of its own may concern anything.
        Ok(Some(
            Change::parse(notification.payload()).unwrap_or(Change::Everything),
        ))
    }

    /// Asks over the same connection: once this returns, everything committed before it was called
    /// has arrived, and [`Self::next`] gives it without waiting.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Timeout`] where the connection was lost.
    pub async fn prove(&mut self) -> Result<(), StoreError> {
        in_time(MAX_WAIT, async {
            sqlx::raw_sql("SELECT 1")
                .execute(&mut self.listener)
                .await?;
            Ok(())
        })
        .await
    }
}

async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match timeout(limit, work).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(StoreError::Timeout),
    }
}
