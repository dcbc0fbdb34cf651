//! Opening the database, and the two ways into it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool};

use crate::audit_chain::{ChainHead, HeadCache};
use crate::{StoreError, schema};

/// The database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) readers: AnyPool,
    writers: AnyPool,
    pub(crate) audit_head: HeadCache,
}

/// A write: everything in it is committed together, durably, or not at all.
#[derive(Debug)]
pub struct Transaction {
    pub(crate) connection: sqlx::Transaction<'static, Any>,
    pub(crate) audit_head: HeadCache,
    /// The end of the audit chain, once this is committed.
    pub(crate) new_audit_head: Option<ChainHead>,
}

impl Store {
    /// Opens, and if necessary makes, the SQLite database in `file`, and brings it up to date.
    ///
    /// # Errors
    ///
    /// [`StoreError::Newer`] where a newer version wrote it; [`StoreError::Database`] where the file
    /// cannot be used.
    pub async fn open_sqlite(file: &Path) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let url = format!(
            "sqlite://{}?mode=rwc",
            percent_encode(&file.to_string_lossy())
        );
        // One writer: SQLite has one at a time, and waiting in the pool is fairer than busy locks.
        let writers = sqlite_pool(1).connect(&url).await?;
        schema::migrator().run(&writers).await?;
        let readers = sqlite_pool(4).connect(&url).await?;
        Ok(Self {
            readers,
            writers,
            audit_head: HeadCache::default(),
        })
    }

    /// Begins a write.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(Transaction {
            connection: self.writers.begin().await?,
            audit_head: self.audit_head.clone(),
            new_audit_head: None,
        })
    }

    /// The connection that writes.
    pub(crate) async fn writer(&self) -> Result<PoolConnection<Any>, StoreError> {
        Ok(self.writers.acquire().await?)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] where it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.readers).await?;
        Ok(())
    }

    /// Closes all connections; what was committed is on disk already.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}

impl Transaction {
    /// Makes everything in this write durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; nothing was changed then.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.connection.commit().await?;
        if let Some(head) = self.new_audit_head {
            self.audit_head.put(head);
        }
        Ok(())
    }
}

fn sqlite_pool(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(10))
        .after_connect(|connection, _| {
            Box::pin(async move {
                for pragma in [
                    "PRAGMA journal_mode = WAL",
                    "PRAGMA synchronous = FULL",
                    "PRAGMA foreign_keys = ON",
                    "PRAGMA busy_timeout = 5000",
                ] {
                    sqlx::query(pragma).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
}

/// A path as it may stand in a URL.
fn percent_encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                encoded.push(char::from(byte));
            }
            other => {
                // Writing to a String cannot fail.
                let _ = write!(encoded, "%{other:02X}");
            }
        }
    }
    encoded
}
