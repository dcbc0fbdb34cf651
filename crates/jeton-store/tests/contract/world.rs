//! A database of its own for each test.

use jeton_core::EventId;
use jeton_jose::OsEntropy;
use jeton_store::{Database, Lock, Locked, Postgres, Store};
use secrecy::ExposeSecret as _;
use sqlx::Connection as _;

use crate::samples::now;

/// As the one server that makes the audit log easy to search.
pub(crate) async fn indexing(store: &Store) -> Locked {
    store.lock(Lock::AuditIndex).await.unwrap()
}

/// A database of its own: SQLite, or PostgreSQL where `TEST_POSTGRES_URL` names a cluster.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) database: Database,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::through(variable("TEST_PGBOUNCER_URL")).await
    }

    pub(crate) async fn without_pooler() -> Self {
        Self::through(None).await
    }

    async fn through(pooler: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = match variable("TEST_POSTGRES_URL") {
            Some(cluster) => {
                let url = new_postgres_database(&cluster).await;
                // Through PgBouncer in transaction mode, where it is there.
                let pooler = pooler.map(|pooler| {
                    let (base, _) = pooler.rsplit_once('/').unwrap();
                    let (_, name) = url.rsplit_once('/').unwrap();
                    format!("{base}/{name}")
                });
                Database::Postgres(Postgres {
                    notification_url: pooler.as_ref().map(|_| url.clone().into()),
                    url: pooler.unwrap_or(url).into(),
                    connections: 8,
                })
            }
            None => Database::Sqlite(folder.path().join("jeton test%20.db")),
        };
        let store = Store::open(&database).await.unwrap();
        Self {
            store,
            database,
            _folder: folder,
        }
    }

    /// As if by another server, or after a restart.
    pub(crate) async fn open_again(&self) -> Store {
        Store::open(&self.database).await.unwrap()
    }

    /// The hash that a copy of the last event would have as the next batch, computed by another
    /// store that continues the same chain.
    pub(crate) async fn next_hash(&self) -> String {
        let twin = World::new().await;
        let (mut after, mut last) = (0, None);
        loop {
            let events = self.store.audit_after(after, 2).await.unwrap();
            let Some((newest, _)) = events.last() else {
                break;
            };
            after = newest.seq;
            last = Some(newest.event.clone());
            let events: Vec<_> = events.into_iter().map(|(one, _)| one.event).collect();
            twin.store.append_audit(&events).await.unwrap();
        }
        twin.store.append_audit(&[last.unwrap()]).await.unwrap();
        let written = twin.store.audit_after(after, 1).await.unwrap();
        let (_, hash) = written.first().unwrap();
        hash.clone().unwrap()
    }

    /// Behind the store's back.
    pub(crate) async fn sql(&self, statement: &str) {
        self.try_sql(statement).await.unwrap();
    }

    /// The same, which may fail.
    pub(crate) async fn try_sql(&self, statement: &str) -> Result<(), sqlx::Error> {
        let mut connection = self.connect().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
        connection.close().await
    }

    /// A connection behind the store's back.
    pub(crate) async fn connect(&self) -> sqlx::AnyConnection {
        let url = match &self.database {
            Database::Sqlite(file) => format!(
                "sqlite://{}",
                file.to_string_lossy()
                    .replace('%', "%25")
                    .replace(' ', "%20")
            ),
            Database::Postgres(postgres) => {
                let direct = postgres.notification_url.as_ref();
                direct.unwrap_or(&postgres.url).expose_secret().to_owned()
            }
        };
        sqlx::AnyConnection::connect(&url).await.unwrap()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "which database to test is said in the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// In the cluster, whose URL ends in a database of its own.
async fn new_postgres_database(cluster: &str) -> String {
    sqlx::any::install_default_drivers();
    let name = format!(
        "contract_{}_{}",
        std::process::id(),
        EventId::generate(now(), &OsEntropy)
            .unwrap()
            .to_string()
            .to_lowercase()
    );
    let mut connection = sqlx::AnyConnection::connect(cluster).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let (base, _) = cluster.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}
