//! The connection of a transaction that is under way.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool};

/// A transaction: rolled back where it is dropped before it is committed.
#[derive(Debug)]
pub(crate) enum OpenTransaction {
    Sqlite(SqliteTransaction),
    Other(sqlx::Transaction<'static, Any>),
}

/// SQLite ends a transaction by itself where a disk is full or fails. sqlx would go on as if it were open,
/// and report as committed what is not. So nothing is counted here: a connection with which anything
/// went wrong is closed.
#[derive(Debug)]
pub(crate) struct SqliteTransaction {
    connection: PoolConnection<Any>,
    committed: bool,
}

impl OpenTransaction {
    pub(crate) async fn begin(pool: &AnyPool) -> Result<Self, sqlx::Error> {
        pool.begin().await.map(Self::Other)
    }

    pub(crate) async fn begin_sqlite(pool: &AnyPool) -> Result<Self, sqlx::Error> {
        let mut transaction = SqliteTransaction {
            connection: pool.acquire().await?,
            committed: false,
        };
        transaction.run("BEGIN IMMEDIATE").await?;
        Ok(Self::Sqlite(transaction))
    }

    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(mut transaction) => {
                transaction.run("COMMIT").await?;
                transaction.committed = true;
                Ok(())
            }
            Self::Other(transaction) => transaction.commit().await,
        }
    }
}

impl SqliteTransaction {
    async fn run(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(statement)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }
}

impl Drop for SqliteTransaction {
    fn drop(&mut self) {
        if !self.committed {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for OpenTransaction {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        match self {
            Self::Sqlite(transaction) => &transaction.connection,
            Self::Other(transaction) => transaction,
        }
    }
}

impl DerefMut for OpenTransaction {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        match self {
            Self::Sqlite(transaction) => &mut transaction.connection,
            Self::Other(transaction) => transaction,
        }
    }
}
