//! Which database, and how its connections are set up.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, Connection as _};
use tokio::sync::Mutex;

use crate::StoreError;
use crate::appender::Appender;
use crate::dialect::{self, Dialect};

/// Where the data is kept.
#[derive(Clone)]
pub enum Database {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Postgres),
}

/// A PostgreSQL database.
#[derive(Clone)]
pub struct Postgres {
    /// `postgres://…`, which may hold a password.
    pub url: SecretString,
    /// Where `url` leads to a pooler that gives each transaction another connection (`PgBouncer` in
    /// transaction mode): the database itself, for the connection that hears of changes.
    pub notification_url: Option<SecretString>,
    /// The most connections of one server, at least 4.
    pub connections: u32,
}

impl Database {
    pub(crate) fn is_pooled(&self) -> bool {
        matches!(self, Self::Postgres(postgres) if postgres.notification_url.is_some())
    }

    /// The most connections of a pool.
    pub(crate) fn connections(&self) -> u32 {
        match self {
            Self::Sqlite(_) => 0,
            Self::Postgres(postgres) => postgres.connections.max(LOCKS),
        }
    }

    /// How it is named to people: without password.
    pub fn redacted(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite:{}", file.display()),
            Self::Postgres(postgres) => redacted(postgres.url.expose_secret()),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

/// Scheme, host and database; nothing of the user and the parameters.
pub(crate) fn redacted(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let place = rest.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{place}")
}

pub(crate) struct Pools {
    pub(crate) readers: AnyPool,
    pub(crate) writers: AnyPool,
    /// For locks, which are held while others work.
    pub(crate) locks: AnyPool,
    /// Where one writes at a time.
    pub(crate) appender: Option<Arc<Mutex<Appender>>>,
    pub(crate) dialect: &'static Dialect,
}

pub(crate) fn open(database: &Database) -> Result<Pools, StoreError> {
    sqlx::any::install_default_drivers();
    match database {
        Database::Sqlite(file) => {
            let url = sqlite_url(file);
            let readers = sqlite_pool(4, &[]).connect_lazy(&url)?;
            Ok(Pools {
                // There is nobody to lock out.
                locks: readers.clone(),
                readers,
                // SQLite has one writer at a time.
                writers: sqlite_pool(1, SQLITE_WRITER_SET_UP).connect_lazy(&url)?,
                appender: Some(Appender::new(file)?),
                dialect: &dialect::SQLITE,
            })
        }
        Database::Postgres(postgres) => {
            let url = postgres.url.expose_secret();
            // Apart, so that pages that read do not keep tokens from being recorded.
            let writers = (postgres.connections / 2).max(2);
            let readers = postgres.connections.saturating_sub(writers).max(2);
            Ok(Pools {
                readers: postgres_pool(readers, POSTGRES_SET_UP).connect_lazy(url)?,
                writers: postgres_pool(writers, POSTGRES_SET_UP).connect_lazy(url)?,
                locks: postgres_pool(LOCKS, POSTGRES_LOCK_SET_UP).connect_lazy(url)?,
                appender: None,
                dialect: &dialect::POSTGRES,
            })
        }
    }
}

/// One connection without anything between, whose failure says why.
pub(crate) async fn direct(database: &Database) -> Result<AnyConnection, StoreError> {
    sqlx::any::install_default_drivers();
    let (url, statements) = match database {
        Database::Sqlite(file) => {
            create_private(file).map_err(sqlx::Error::Io)?;
            (sqlite_url(file), SQLITE_SET_UP)
        }
        Database::Postgres(postgres) => {
            let url = postgres.notification_url.as_ref().unwrap_or(&postgres.url);
            (url.expose_secret().to_owned(), &[][..])
        }
    };
    let connecting = async {
        let mut connection = AnyConnection::connect(&url).await?;
        set_up(&mut connection, statements).await?;
        Ok::<_, sqlx::Error>(connection)
    };
    match tokio::time::timeout(Duration::from_secs(10), connecting).await {
        Ok(connection) => Ok(connection?),
        Err(_) => Err(StoreError::Timeout),
    }
}

/// Makes an empty file where there is none, which its owner alone may read; SQLite gives the files beside it
/// the same mode.
fn create_private(file: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    // One that is there is not even opened: to close it would give up SQLite's locks on it.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

const SQLITE_SET_UP: &[&str] = &[
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 5000",
];

/// Connections that cannot change anything.
pub(crate) fn open_unchanged(file: &Path) -> Result<AnyPool, StoreError> {
    sqlx::any::install_default_drivers();
    let url = sqlite_url(file).replace("mode=rw", "mode=ro");
    let pool = AnyPoolOptions::new().max_connections(1);
    Ok(pool.connect_lazy(&url)?)
}

/// What is counted by client touches a page for each client: these writers keep more of them in memory (in KiB).
const SQLITE_WRITER_SET_UP: &[&str] = &["PRAGMA cache_size = -65536", AUTOCHECKPOINT];

/// Pages are moved from the log into the file beside the writers (`Store::tidy`); only where that is not enough
/// does one of them do so itself (in pages).
const AUTOCHECKPOINT: &str = "PRAGMA wal_autocheckpoint = 4000";

/// Each connection set up like every one, and as `more` says.
fn sqlite_pool(connections: u32, more: &'static [&'static str]) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(10))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                set_up(&mut *connection, SQLITE_SET_UP).await?;
                set_up(connection, more).await
            })
        })
}

/// Enough for every kind of lock: who holds one hardly ever waits for another's connection.
const LOCKS: u32 = 12;

const POSTGRES_SET_UP: &[&str] = &[
    "SET statement_timeout = '10s'",
    // A server that hangs does not hold its locks indefinitely.
    "SET idle_in_transaction_session_timeout = '10s'",
    "SET synchronous_commit = on",
    // What the statements presume, whatever the database's own default is.
    "SET default_transaction_isolation = 'read committed'",
];

const POSTGRES_LOCK_SET_UP: &[&str] = &[
    "SET statement_timeout = '30s'",
    // Of a server that stands still; one that works says so (`lock.rs`).
    "SET idle_in_transaction_session_timeout = '60s'",
];

fn postgres_pool(connections: u32, statements: &'static [&'static str]) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false)
        // A request waits so long for a database that is away; then it is told to come again.
        .acquire_timeout(Duration::from_secs(2))
        .before_acquire(|connection, metadata| {
            Box::pin(async move {
                // One that was idle may have been cut; one that just worked costs no question.
                if metadata.idle_for > Duration::from_secs(1) {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| Box::pin(set_up(connection, statements)))
}

/// What sets up a connection like that of the pool that writes.
pub(crate) fn sqlite_appender_set_up() -> impl Iterator<Item = &'static str> {
    SQLITE_SET_UP.iter().chain(&[AUTOCHECKPOINT]).copied()
}

async fn set_up(
    connection: &mut AnyConnection,
    statements: &'static [&'static str],
) -> Result<(), sqlx::Error> {
    for statement in statements {
        sqlx::raw_sql(*statement).execute(&mut *connection).await?;
    }
    Ok(())
}

/// No connection makes the file: one that is gone is an error, and not an empty database.
pub(crate) fn sqlite_url(file: &Path) -> String {
    format!(
        "sqlite://{}?mode=rw",
        percent_encode(&file.to_string_lossy())
    )
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
