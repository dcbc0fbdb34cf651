//! Opening the database, and the two ways into it.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Any, AnyPool, Connection as _};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::appender::{Appender, Turn};
use crate::audit_chain::{ChainHead, HeadCache};
use crate::change::{Change, Changes};
use crate::dialect::{Dialect, SQLITE};
use crate::open_transaction::OpenTransaction;
use crate::row::Columns as _;
use crate::schema::Upgrade;
use crate::{Database, StoreError, connect, schema};

/// The database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    readers: AnyPool,
    writers: AnyPool,
    locks: AnyPool,
    appender: Option<Arc<Mutex<Appender>>>,
    pub(crate) dialect: &'static Dialect,
    pub(crate) audit_head: HeadCache,
    /// Between this and the database there is something that may hand each transaction to another
    /// connection (`PgBouncer` in transaction mode): then no statement outlives its transaction.
    pooled: bool,
}

/// A write: everything in it is committed together, durably, or not at all.
#[derive(Debug)]
pub struct Transaction {
    connection: OpenTransaction,
    pub(crate) dialect: &'static Dialect,
    pub(crate) audit_head: HeadCache,
    /// The end of the audit chain, once this is committed.
    pub(crate) new_audit_head: Option<ChainHead>,
    pub(crate) changes: Changes,
    pooled: bool,
    _turn: Option<Turn>,
}

/// What only one server does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Bringing the database up to date, and the first start.
    Start,
    /// Changing MCP servers and grants.
    McpServers,
    /// Changing signing keys.
    SigningKeys,
    /// Counting for the dashboard.
    Statistics,
    /// Making the audit log easy to search.
    AuditIndex,
    /// Checkpoints of the audit log.
    AuditCheckpoints,
    /// Removing old events.
    AuditRetention,
    /// Forwarding the audit log to the destination with this number.
    AuditForward(u8),
    /// Forgetting what is over.
    Expiry,
}

/// Held until dropped, or until its server dies.
#[derive(Debug)]
pub struct Locked {
    _transaction: Option<Transaction>,
}

impl Lock {
    /// An advisory lock's number, beginning with "jeton" in ASCII so that it is nobody else's.
    fn number(self) -> i64 {
        let own: i64 = match self {
            Self::Start => 1,
            Self::McpServers => 2,
            Self::SigningKeys => 3,
            Self::Statistics => 4,
            Self::AuditCheckpoints => 5,
            Self::AuditRetention => 6,
            Self::Expiry => 7,
            Self::AuditIndex => 8,
            Self::AuditForward(number) => 0x100 + i64::from(number),
        };
        0x6a65_746f_6e00_0000 + own
    }
}

pub(crate) type Query<'q> = sqlx::query::Query<'q, Any, AnyArguments>;

/// A statement that takes longer has failed: the network, or a database that stands still.
const MAX_STATEMENT: Duration = Duration::from_secs(15);

pub(crate) async fn limited<T>(
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match timeout(MAX_STATEMENT, work).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(StoreError::Timeout),
    }
}

impl Store {
    /// Opens the database, makes it if it is a SQLite file that is not there, and brings it up to
    /// date.
    ///
    /// # Errors
    ///
    /// [`StoreError::Newer`] where a newer version wrote it; [`StoreError::Database`] where it
    /// cannot be used.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        Self::open_telling(database, |_| ()).await
    }

    /// Does the same, and tells if a database of an older version has to be changed first, which takes
    /// minutes where the audit log has many millions of events.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub async fn open_telling(
        database: &Database,
        tell: impl FnOnce(Upgrade),
    ) -> Result<Self, StoreError> {
        let mut direct = connect::direct(database).await?;
        let connect::Pools {
            readers,
            writers,
            locks,
            appender,
            dialect,
        } = connect::open(database)?;
        let store = Self {
            readers,
            writers,
            locks,
            appender,
            dialect,
            audit_head: HeadCache::default(),
            pooled: database.is_pooled(),
        };
        let _one_at_a_time = store.lock(Lock::Start).await?;
        schema::bring_up_to_date(&mut direct, dialect, tell).await?;
        direct.close().await?;
        Ok(store)
    }

    /// Opens a SQLite database to look at it: nothing of it is changed, not even brought up to
    /// date.
    pub(crate) fn open_unchanged(file: &Path) -> Result<Self, StoreError> {
        let pool = connect::open_unchanged(file)?;
        Ok(Self {
            readers: pool.clone(),
            locks: pool.clone(),
            writers: pool,
            appender: None,
            dialect: &SQLITE,
            audit_head: HeadCache::default(),
            pooled: false,
        })
    }

    /// Begins a write.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        let turn = self.turn().await?;
        self.begin_on(&self.writers, turn).await
    }

    /// Waits for the turn to write, where it is taken in turns.
    pub(crate) async fn turn(&self) -> Result<Option<Turn>, StoreError> {
        let Some(appender) = &self.appender else {
            return Ok(None);
        };
        let turn = Arc::clone(appender).lock_owned();
        timeout(MAX_STATEMENT, turn)
            .await
            .map(Some)
            .map_err(|_| StoreError::Timeout)
    }

    async fn begin_on(
        &self,
        pool: &AnyPool,
        turn: Option<Turn>,
    ) -> Result<Transaction, StoreError> {
        let connection = match &turn {
            Some(_) => limited(OpenTransaction::begin_sqlite(pool)).await?,
            None => limited(OpenTransaction::begin(pool)).await?,
        };
        Ok(Transaction {
            connection,
            dialect: self.dialect,
            audit_head: self.audit_head.clone(),
            new_audit_head: None,
            changes: Changes::default(),
            pooled: self.pooled,
            _turn: turn,
        })
    }

    /// Waits until no other server holds `lock`. One server alone has nobody to wait for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn lock(&self, lock: Lock) -> Result<Locked, StoreError> {
        let Some(statement) = self.dialect.lock else {
            return Ok(Locked { _transaction: None });
        };
        let mut transaction = self.begin_on(&self.locks, None).await?;
        transaction
            .execute(sqlx::query(statement).bind(lock.number()))
            .await?;
        Ok(Locked {
            _transaction: Some(transaction),
        })
    }

    /// Takes `lock` unless another server holds it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn try_lock(&self, lock: Lock) -> Result<Option<Locked>, StoreError> {
        let Some(statement) = self.dialect.try_lock else {
            return Ok(Some(Locked { _transaction: None }));
        };
        let mut transaction = self.begin_on(&self.locks, None).await?;
        let row = transaction
            .one(sqlx::query(statement).bind(lock.number()))
            .await?;
        Ok(row.truth("taken")?.then_some(Locked {
            _transaction: Some(transaction),
        }))
    }

    pub(crate) async fn rows(&self, query: Query<'_>) -> Result<Vec<AnyRow>, StoreError> {
        self.all_rows(query.persistent(!self.pooled)).await
    }

    /// For a statement whose text is hardly ever the same again.
    pub(crate) async fn rows_once(&self, query: Query<'_>) -> Result<Vec<AnyRow>, StoreError> {
        self.all_rows(query.persistent(false)).await
    }

    async fn all_rows(&self, query: Query<'_>) -> Result<Vec<AnyRow>, StoreError> {
        limited(async {
            if self.pooled {
                let mut transaction = self.readers.begin().await?;
                let rows = query.fetch_all(&mut *transaction).await?;
                transaction.commit().await?;
                return Ok(rows);
            }
            query.fetch_all(&self.readers).await
        })
        .await
    }

    pub(crate) async fn row(&self, query: Query<'_>) -> Result<Option<AnyRow>, StoreError> {
        let query = query.persistent(!self.pooled);
        limited(async {
            if self.pooled {
                let mut transaction = self.readers.begin().await?;
                let row = query.fetch_optional(&mut *transaction).await?;
                transaction.commit().await?;
                return Ok(row);
            }
            query.fetch_optional(&self.readers).await
        })
        .await
    }

    pub(crate) async fn one(&self, query: Query<'_>) -> Result<AnyRow, StoreError> {
        self.row(query)
            .await?
            .ok_or(StoreError::Database(sqlx::Error::RowNotFound))
    }

    /// One statement that is a write by itself; gives how many rows it touched.
    pub(crate) async fn write(&self, query: Query<'_>) -> Result<u64, StoreError> {
        let _turn = self.turn().await?;
        if self.pooled {
            let mut transaction = self.begin_on(&self.writers, None).await?;
            let touched = transaction.execute(query).await?;
            transaction.commit().await?;
            return Ok(touched);
        }
        let done = limited(query.execute(&self.writers)).await?;
        Ok(done.rows_affected())
    }

    /// Moves what was committed into its place in the file, where that is not done by itself
    /// (SQLite): else a commit now and then would have to, and everybody behind it would wait.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn tidy(&self) -> Result<(), StoreError> {
        if let Some(statement) = self.dialect.checkpoint {
            self.row(sqlx::query(statement)).await?;
        }
        Ok(())
    }

    /// Whether the database answers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] where it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        limited(sqlx::query("SELECT 1").execute(&self.readers)).await?;
        Ok(())
    }

    /// Closes all connections; what was committed is on disk already.
    pub async fn close(&self) {
        if let Some(appender) = &self.appender {
            appender.lock().await.close().await;
        }
        self.readers.close().await;
        self.writers.close().await;
        self.locks.close().await;
    }
}

impl Transaction {
    /// Makes everything in this write durable, and tells other servers what changed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; nothing was changed then.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        if let Some(notify) = self.dialect.notify {
            for change in self.changes.take() {
                self.row(sqlx::query(notify).bind(change.to_string()))
                    .await?;
            }
        }
        limited(self.connection.commit()).await?;
        if let Some(head) = self.new_audit_head {
            self.audit_head.put(head);
        }
        Ok(())
    }

    /// Tells other servers of a change that is theirs to hear of, once this is committed.
    pub(crate) fn changed(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub(crate) async fn execute(&mut self, query: Query<'_>) -> Result<u64, StoreError> {
        let query = query.persistent(!self.pooled);
        let done = limited(query.execute(&mut *self.connection)).await?;
        Ok(done.rows_affected())
    }

    pub(crate) async fn row(&mut self, query: Query<'_>) -> Result<Option<AnyRow>, StoreError> {
        let query = query.persistent(!self.pooled);
        limited(query.fetch_optional(&mut *self.connection)).await
    }

    pub(crate) async fn one(&mut self, query: Query<'_>) -> Result<AnyRow, StoreError> {
        self.row(query)
            .await?
            .ok_or(StoreError::Database(sqlx::Error::RowNotFound))
    }
}
