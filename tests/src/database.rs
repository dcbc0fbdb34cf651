//! The databases that servers of the tests use: SQLite in a folder, or, where `TEST_POSTGRES_URL`
//! names a cluster (as `./test` does in its second round), one of their own on PostgreSQL.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::eventually;

/// Where a server keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestDatabase {
    /// A file.
    Sqlite(std::path::PathBuf),
    /// The URL of a database of this server's own, or of several servers'.
    Postgres(String),
}

/// The cluster, whose URL ends in a database that always exists.
pub fn postgres_cluster() -> Option<String> {
    std::env::var("TEST_POSTGRES_URL").ok()
}

impl TestDatabase {
    /// A new one, in `folder` if it is a file.
    pub async fn new(folder: &Path) -> Self {
        match postgres_cluster() {
            Some(cluster) => Self::new_in(&cluster).await,
            None => Self::Sqlite(folder.join("jeton.db")),
        }
    }

    /// A new database in a cluster.
    pub async fn new_in(cluster: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let name = format!(
            "test_{}_{}_{}",
            since.as_nanos(),
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        psql(cluster, &format!("CREATE DATABASE {name}")).await;
        let (base, _) = cluster.rsplit_once('/').unwrap();
        Self::Postgres(format!("{base}/{name}"))
    }

    /// As `--database-url` names it.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite:{}", file.display()),
            Self::Postgres(url) => url.clone(),
        }
    }

    /// Runs SQL behind Jeton's back; gives what it selects, a line a row.
    pub async fn sql(&self, statement: &str) -> String {
        match self {
            Self::Postgres(url) => psql(url, statement).await,
            Self::Sqlite(file) => {
                let script = "import sqlite3,sys
c = sqlite3.connect(sys.argv[1], timeout=10)
for row in c.execute(sys.argv[2]).fetchall(): print('|'.join(map(str, row)))
c.commit()";
                let mut command = Command::new("python3");
                command.args(["-c", script]).arg(file).arg(statement);
                succeed(command.output().await.unwrap(), statement)
            }
        }
    }

    /// How many connections to it wait for a lock (PostgreSQL).
    pub async fn waiting(&self) -> usize {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        self.sql(waiting).await.trim().parse().unwrap()
    }

    /// Everything in it, as bytes in which to look for what must not be there.
    pub async fn everything(&self) -> Vec<u8> {
        match self {
            Self::Postgres(url) => {
                let mut command = Command::new("pg_dump");
                command.args(["--inserts", url]);
                succeed(command.output().await.unwrap(), "pg_dump").into_bytes()
            }
            Self::Sqlite(file) => {
                let mut bytes = std::fs::read(file).unwrap();
                let log = file.with_extension("db-wal");
                bytes.extend(std::fs::read(log).unwrap_or_default());
                bytes
            }
        }
    }
}

/// Somebody else who holds the end of the audit log, so that nobody appends to it. With SQLite it is the whole
/// database that is held, and whoever waits gives up after five seconds.
pub struct HeldLog {
    holder: Child,
    stdin: ChildStdin,
}

impl HeldLog {
    /// Takes hold of it; in a deadlock, the other is found guilty.
    pub async fn hold(database: &TestDatabase) -> Self {
        if let TestDatabase::Sqlite(file) = database {
            return Self::hold_file(file).await;
        }
        let held = Self::queue(database).await;
        let holding = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                       AND state = 'idle in transaction' AND query LIKE '%FOR UPDATE%' \
                       AND application_name = 'psql'";
        eventually("the log is held", async || {
            database.sql(holding).await.trim() == "1"
        })
        .await;
        held
    }

    async fn hold_file(file: &Path) -> Self {
        let script = "import sqlite3,sys
c = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
c.execute('BEGIN IMMEDIATE')
print('held', flush=True)
sys.stdin.read()
c.execute('COMMIT')";
        let mut command = Command::new("python3");
        command.args(["-c", script]).arg(file);
        let mut held = Self::start(command.stdout(Stdio::piped()));
        let mut said = BufReader::new(held.holder.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).await.unwrap();
        assert_eq!(line, "held\n");
        held
    }

    fn start(command: &mut Command) -> Self {
        let mut holder = command
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = holder.stdin.take().unwrap();
        Self { holder, stdin }
    }

    /// Does so as soon as those are done who asked before (PostgreSQL).
    pub async fn queue(database: &TestDatabase) -> Self {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", &database.url()]);
        let mut held = Self::start(psql.stdout(Stdio::null()));
        held.run("SET deadlock_timeout = '60s'; BEGIN;").await;
        held.run("SELECT last_seq FROM audit_head FOR UPDATE;")
            .await;
        held
    }

    /// Does more in the same transaction, without waiting for it (PostgreSQL).
    pub async fn run(&mut self, sql: &str) {
        let line = format!("{sql}\n");
        self.stdin.write_all(line.as_bytes()).await.unwrap();
    }

    /// Commits.
    pub async fn release(mut self) {
        // What reads no SQL ends with its input.
        self.run("COMMIT;").await;
        drop(self.stdin);
        assert!(self.holder.wait().await.unwrap().success());
    }
}

async fn psql(url: &str, statement: &str) -> String {
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", url, "-c"]);
    command.arg(statement);
    succeed(command.output().await.unwrap(), statement)
}

fn succeed(output: Output, what: &str) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
