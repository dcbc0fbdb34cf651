//! Opening the database, and the two ways into it.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Any, AnyConnection, AnyPool, Connection as _};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::appender::{Appender, Turn};
use crate::audit_chain::{AuditEnd, BatchKey, HeadCache};
use crate::change::{Change, Changes};
use crate::dialect::{Dialect, SQLITE};
use crate::files::Files;
use crate::open_fault;
use crate::open_transaction::OpenTransaction;
use crate::schema::Upgrade;
use crate::statement::Statement;
use crate::{Database, Lock, StoreError, connect, schema};

/// The database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    readers: AnyPool,
    writers: AnyPool,
    pub(crate) locks: AnyPool,
    appender: Option<Arc<Mutex<Appender>>>,
    pub(crate) dialect: &'static Dialect,
    pub(crate) audit_head: HeadCache,
    pub(crate) batch_key: BatchKey,
    /// Whether the database has the tables of migration 6.
    pub(crate) has_notes: bool,
    /// Between this and the database there is something that may hand each transaction to another
    /// connection (`PgBouncer` in transaction mode): then no statement outlives its transaction.
    pooled: bool,
    /// The most connections of a pool. As many may be dead at once: each is thrown away as it is found, and what
    /// changes nothing, or may be done twice, is done again on another.
    connections: u32,
    pub(crate) files: Option<Arc<Files>>,
    /// Held open, so that SQLite does not remove the files beside the database between two others.
    anchor: Option<Arc<Mutex<Option<AnyConnection>>>>,
}

/// A write: everything in it is committed together, durably, or not at all.
#[derive(Debug)]
pub struct Transaction {
    connection: OpenTransaction,
    pub(crate) dialect: &'static Dialect,
    pub(crate) audit_head: HeadCache,
    pub(crate) batch_key: BatchKey,
    /// The end of the audit chain, once this is committed.
    pub(crate) new_audit_head: Option<AuditEnd>,
    pub(crate) changes: Changes,
    pooled: bool,
    _turn: Option<Turn>,
}

pub(crate) type Query<'q> = sqlx::query::Query<'q, Any, AnyArguments>;

/// A statement that takes longer has failed: the network, or a database that stands still.
const MAX_STATEMENT: Duration = Duration::from_secs(15);

/// Bytes of [`Store::probe_write`].
const PROBE: usize = 8 * 1024;

/// Text of 64 letters in an order without repetitions.
fn filler(seed: u64) -> String {
    let mut state = seed;
    let letter = |_| {
        // Knuth's MMIX generator, whose upper bits are the better ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + u8::try_from(state >> 58).unwrap_or(0))
    };
    (0..PROBE).map(letter).collect()
}

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
    /// [`StoreError::Newer`] where a newer version wrote it; [`StoreError::Unopened`] where it
    /// cannot be used.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        let opened = Self::open_up_to_date(database, |_| ()).await;
        opened.map_err(|error| open_fault::explain(database, error))
    }

    /// Does the same for whoever is going to write, and tells if a database of an older version has to be
    /// changed first, which takes minutes where the audit log has many millions of events.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub async fn open_telling(
        database: &Database,
        tell: impl FnOnce(Upgrade),
    ) -> Result<Self, StoreError> {
        let opened = Self::open_to_write(database, tell).await;
        opened.map_err(|error| open_fault::explain(database, error))
    }

    /// A file that may only be read is found out now, and not with the first write.
    async fn open_to_write(
        database: &Database,
        tell: impl FnOnce(Upgrade),
    ) -> Result<Self, StoreError> {
        let store = Self::open_up_to_date(database, tell).await?;
        if let Database::Sqlite(_) = database {
            // Where a file may only be read, SQLite begins a transaction, and refuses the first change in it.
            let mut transaction = store.begin().await?;
            let unchanged = "UPDATE write_probe SET filler = filler WHERE id = 1";
            transaction.execute(sqlx::query(unchanged)).await?;
        }
        Ok(store)
    }

    async fn open_up_to_date(
        database: &Database,
        tell: impl FnOnce(Upgrade),
    ) -> Result<Self, StoreError> {
        let mut direct = connect::direct(database).await?;
        if let Database::Sqlite(file) = database {
            // There is nobody to lock out. A connection that is opened meanwhile would remember the
            // columns of before.
            schema::bring_up_to_date(&mut direct, &SQLITE, tell).await?;
            let mut store = Self::connect(database)?;
            store.files = Some(Arc::new(Files::of(file)));
            store.anchor = Some(Arc::new(Mutex::new(Some(direct))));
            store.fold_clients().await?;
            return Ok(store);
        }
        let store = Self::connect(database)?;
        let _one_at_a_time = store.lock(Lock::Start).await?;
        schema::bring_up_to_date(&mut direct, store.dialect, tell).await?;
        direct.close().await?;
        store.fold_clients().await?;
        Ok(store)
    }

    fn connect(database: &Database) -> Result<Self, StoreError> {
        let connect::Pools {
            readers,
            writers,
            locks,
            appender,
            dialect,
        } = connect::open(database)?;
        Ok(Self {
            readers,
            writers,
            locks,
            appender,
            dialect,
            audit_head: HeadCache::default(),
            batch_key: BatchKey::default(),
            has_notes: true,
            pooled: database.is_pooled(),
            connections: database.connections(),
            files: None,
            anchor: None,
        })
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
            batch_key: BatchKey::default(),
            has_notes: true,
            pooled: false,
            connections: 0,
            files: None,
            anchor: None,
        })
    }

    /// The same store, which looks for checkpoints where that version of the schema has them.
    pub(crate) fn with_notes(&self, has_notes: bool) -> Self {
        Self {
            has_notes,
            ..self.clone()
        }
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
        if let Some(files) = &self.files {
            files.check()?;
        }
        let turn = Arc::clone(appender).lock_owned();
        timeout(MAX_STATEMENT, turn)
            .await
            .map(Some)
            .map_err(|_| StoreError::Timeout)
    }

    pub(crate) async fn begin_on(
        &self,
        pool: &AnyPool,
        turn: Option<Turn>,
    ) -> Result<Transaction, StoreError> {
        let connection = match &turn {
            Some(_) => limited(OpenTransaction::begin_sqlite(pool)).await?,
            None => self.begin_anew(pool).await?,
        };
        Ok(Transaction {
            connection,
            dialect: self.dialect,
            audit_head: self.audit_head.clone(),
            batch_key: self.batch_key.clone(),
            new_audit_head: None,
            changes: Changes::default(),
            pooled: self.pooled,
            _turn: turn,
        })
    }

    /// Nothing was begun on a dead connection.
    async fn begin_anew(&self, pool: &AnyPool) -> Result<OpenTransaction, StoreError> {
        let mut tries = self.connections;
        loop {
            match limited(OpenTransaction::begin(pool)).await {
                Err(StoreError::Disconnected(_)) if tries > 0 => tries -= 1,
                done => return done,
            }
        }
    }

    pub(crate) async fn rows(&self, query: Query<'_>) -> Result<Vec<AnyRow>, StoreError> {
        self.all_rows(query, !self.pooled).await
    }

    /// For a statement whose text is hardly ever the same again.
    pub(crate) async fn rows_once(&self, query: Query<'_>) -> Result<Vec<AnyRow>, StoreError> {
        self.all_rows(query, false).await
    }

    async fn all_rows(
        &self,
        query: Query<'_>,
        persistent: bool,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let statement = Statement::of(query, persistent)?;
        let mut tries = self.connections;
        loop {
            match limited(self.fetch_all(&statement)).await {
                Err(StoreError::Disconnected(_)) if tries > 0 => tries -= 1,
                done => return done,
            }
        }
    }

    async fn fetch_all(&self, statement: &Statement) -> Result<Vec<AnyRow>, sqlx::Error> {
        if self.pooled {
            let mut transaction = self.readers.begin().await?;
            let rows = statement.query().fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            return Ok(rows);
        }
        statement.query().fetch_all(&self.readers).await
    }

    pub(crate) async fn row(&self, query: Query<'_>) -> Result<Option<AnyRow>, StoreError> {
        let statement = Statement::of(query, !self.pooled)?;
        let mut tries = self.connections;
        loop {
            match limited(self.fetch_optional(&statement)).await {
                Err(StoreError::Disconnected(_)) if tries > 0 => tries -= 1,
                done => return done,
            }
        }
    }

    async fn fetch_optional(&self, statement: &Statement) -> Result<Option<AnyRow>, sqlx::Error> {
        if self.pooled {
            let mut transaction = self.readers.begin().await?;
            let row = statement.query().fetch_optional(&mut *transaction).await?;
            transaction.commit().await?;
            return Ok(row);
        }
        statement.query().fetch_optional(&self.readers).await
    }

    pub(crate) async fn one(&self, query: Query<'_>) -> Result<AnyRow, StoreError> {
        self.row(query)
            .await?
            .ok_or(StoreError::Database(sqlx::Error::RowNotFound))
    }

    /// One statement that is a write by itself, and changes nothing more where it is done twice; gives how
    /// many rows it touched.
    pub(crate) async fn write(&self, query: Query<'_>) -> Result<u64, StoreError> {
        let statement = Statement::of(query, !self.pooled)?;
        let mut tries = self.connections;
        loop {
            match self.write_once(statement.query()).await {
                Err(StoreError::Disconnected(_)) if tries > 0 => tries -= 1,
                done => return done,
            }
        }
    }

    /// One statement that is a write by itself. Where the connection is lost, it may have been done.
    pub(crate) async fn write_once(&self, query: Query<'_>) -> Result<u64, StoreError> {
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

    /// What people call the database: `SQLite` or `PostgreSQL`.
    pub fn database_name(&self) -> &'static str {
        self.dialect.name
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

    /// Writes something that says nothing, durably, to know that the database can be written. It takes
    /// more room than the record of a token, and no database stores it in less.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] where it cannot.
    pub async fn probe_write(&self) -> Result<(), StoreError> {
        let statement = "UPDATE write_probe SET filler = CASE WHEN filler = $1 THEN $2 ELSE $1 END \
                         WHERE id = 1";
        let query = sqlx::query(statement).bind(filler(0)).bind(filler(1));
        let mut transaction = self.begin().await?;
        transaction.execute(query).await?;
        transaction.commit().await
    }

    /// Closes all connections; what was committed is on disk already.
    pub async fn close(&self) {
        if let Some(appender) = &self.appender {
            appender.lock().await.close().await;
        }
        self.readers.close().await;
        self.writers.close().await;
        self.locks.close().await;
        if let Some(anchor) = &self.anchor
            && let Some(connection) = anchor.lock().await.take()
        {
            // What was committed is on disk already.
            let _ = connection.close().await;
        }
    }
}

impl Transaction {
    /// Makes everything in this write durable, and tells other servers what changed.
    ///
    /// # Errors
    ///
    /// [`StoreError::InDoubt`] where the connection was lost in the middle of it; with any other error
    /// nothing was changed.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        if let Some(notify) = self.dialect.notify {
            for change in self.changes.take() {
                self.row(sqlx::query(notify).bind(change.to_string()))
                    .await?;
            }
        }
        match limited(self.connection.commit()).await {
            Err(error @ (StoreError::Disconnected(_) | StoreError::Timeout)) => {
                return Err(StoreError::InDoubt(Box::new(error)));
            }
            done => done?,
        }
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

    pub(crate) async fn rows(&mut self, query: Query<'_>) -> Result<Vec<AnyRow>, StoreError> {
        let query = query.persistent(!self.pooled);
        limited(query.fetch_all(&mut *self.connection)).await
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
