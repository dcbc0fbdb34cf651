//! Somebody who can read and write the whole database, knows how Jeton works, and has no key.

use std::path::PathBuf;

use aws_lc_rs::digest::{Context, SHA256};
use jeton_core::hex;
use jeton_tests::{Jeton, TestDatabase};
use serde_json::Value;
use tokio::process::Command;

/// The texts of an event, in the order in which they are hashed.
const TEXTS: &str = "id, kind, outcome, reason, actor, client_id, mcp_server_id, secret_id, scope, \
                     resource, jti, source, request_id, detail";
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

pub(crate) struct Forger {
    database: TestDatabase,
}

/// A copy of the whole database at one moment.
pub(crate) struct Copy(PathBuf);

impl Forger {
    pub(crate) fn of(jeton: &Jeton) -> Self {
        let database = match jeton.database() {
            TestDatabase::Sqlite(_) => TestDatabase::Sqlite(jeton.data_dir().join("jeton.db")),
            postgres @ TestDatabase::Postgres(_) => postgres.clone(),
        };
        Self { database }
    }

    pub(crate) async fn sql(&self, statement: &str) -> String {
        self.database.sql(statement).await
    }

    pub(crate) async fn number(&self, query: &str) -> i64 {
        self.sql(query).await.trim().parse().unwrap()
    }

    pub(crate) async fn last_event(&self) -> i64 {
        self.number("SELECT COALESCE(MAX(seq), 0) FROM audit_event")
            .await
    }

    /// The last event that the newest checkpoint covers.
    pub(crate) async fn signed_through(&self) -> i64 {
        self.number("SELECT seq FROM audit_note ORDER BY number DESC LIMIT 1")
            .await
    }

    /// The end of a batch in the middle of the log.
    pub(crate) async fn some_batch_end(&self) -> i64 {
        self.number(
            "SELECT seq FROM audit_event WHERE batch_hash IS NOT NULL ORDER BY seq LIMIT 1 OFFSET 4",
        )
        .await
    }

    /// Removes all events after `seq`, and every trace of them that is not signed.
    pub(crate) async fn cut_after(&self, seq: i64) {
        self.sql(&format!("DELETE FROM audit_event WHERE seq > {seq}"))
            .await;
        self.cover_up().await;
    }

    /// The end of the chain, the counts and the lists say what the events say.
    pub(crate) async fn cover_up(&self) {
        let last = self.last_event().await;
        let hash = if last == 0 {
            GENESIS.to_owned()
        } else {
            let hash = "SELECT batch_hash FROM audit_event WHERE batch_hash IS NOT NULL \
                        ORDER BY seq DESC LIMIT 1";
            self.sql(hash).await
        };
        let hash = hash.trim().split('.').next().unwrap().to_owned();
        for statement in [
            format!("UPDATE audit_head SET last_seq = {last}, head_hash = '{hash}' WHERE id = 1"),
            "DELETE FROM audit_client_span".to_owned(),
            "DELETE FROM audit_clock_step".to_owned(),
            "UPDATE audit_clock SET seq = 0, latest = 0".to_owned(),
            format!("UPDATE statistics_progress SET seq = 0 WHERE id = 3 OR seq > {last}"),
        ] {
            self.sql(&statement).await;
        }
    }

    /// Removes the checkpoints that cover more than the events up to `seq`.
    pub(crate) async fn drop_checkpoints_after(&self, seq: i64) {
        self.sql(&format!("DELETE FROM audit_note WHERE seq > {seq}"))
            .await;
    }

    /// Computes every batch's hash from event `seq` on anew, so that the chain fits. The authenticators
    /// stay, for nobody without the key can make one.
    pub(crate) async fn rehash_from(&self, seq: i64) {
        let array = match self.database {
            TestDatabase::Sqlite(_) => "json_array",
            TestDatabase::Postgres(_) => "json_build_array",
        };
        let rows = self
            .sql(&format!(
                "SELECT {array}(seq, at, batch_hash, {TEXTS}) FROM audit_event ORDER BY seq"
            ))
            .await;
        let mut previous = GENESIS.to_owned();
        let mut batch = Vec::new();
        for line in rows.lines() {
            let row: Vec<Value> = serde_json::from_str(line).unwrap();
            let Some(column) = row[2].as_str().map(str::to_owned) else {
                batch.push(row);
                continue;
            };
            let number = row[0].as_i64().unwrap();
            batch.push(row);
            let (old, authenticator) = column.split_once('.').unwrap_or((&column, ""));
            let mut hash = old.to_owned();
            if number >= seq {
                hash = batch_hash(&previous, &batch);
                let column = format!("{hash}.{authenticator}");
                self.sql(&format!(
                    "UPDATE audit_event SET batch_hash = '{column}' WHERE seq = {number}"
                ))
                .await;
            }
            previous = hash;
            batch.clear();
        }
        self.cover_up().await;
    }

    /// A copy of the whole database. SQLite's server has to be stopped.
    pub(crate) async fn copy(&self, folder: &std::path::Path) -> Copy {
        std::fs::create_dir_all(folder).unwrap();
        let copy = folder.join("stolen-copy");
        match &self.database {
            TestDatabase::Sqlite(file) => {
                std::fs::copy(file, &copy).unwrap();
            }
            TestDatabase::Postgres(url) => {
                let mut command = Command::new("pg_dump");
                command.args(["--clean", "--if-exists", "--file"]);
                let done = command.arg(&copy).arg(url).status().await.unwrap();
                assert!(done.success());
            }
        }
        Copy(copy)
    }

    /// Puts the copy in the database's place.
    pub(crate) async fn put_back(&self, copy: &Copy) {
        match &self.database {
            TestDatabase::Sqlite(file) => {
                for log in ["db-wal", "db-shm"] {
                    let _ = std::fs::remove_file(file.with_extension(log));
                }
                std::fs::copy(&copy.0, file).unwrap();
            }
            TestDatabase::Postgres(url) => {
                let mut command = Command::new("psql");
                command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", url, "-f"]);
                let done = command.arg(&copy.0).output().await.unwrap();
                assert!(done.status.success(), "{:?}", done.stderr);
            }
        }
    }
}

fn batch_hash(previous: &str, events: &[Vec<Value>]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(b"jeton-audit-v1\n");
    context.update(previous.as_bytes());
    for event in events {
        let number = |index: usize| event[index].as_i64().unwrap().to_be_bytes();
        context.update(&number(0));
        context.update(&number(1));
        for text in &event[3..] {
            match text.as_str() {
                None => context.update(&[0]),
                Some(text) => {
                    context.update(&[1]);
                    context.update(&(text.len() as u64).to_be_bytes());
                    context.update(text.as_bytes());
                }
            }
        }
    }
    hex::encode(context.finish().as_ref())
}

impl Forger {
    /// Several statements on one connection of SQLite, as whoever can write the file sends them.
    pub(crate) async fn script(&self, statements: &str) {
        let TestDatabase::Sqlite(file) = &self.database else {
            panic!("not SQLite");
        };
        let script = "import sqlite3,sys
c = sqlite3.connect(sys.argv[1], timeout=10)
c.executescript(sys.argv[2])
c.commit()";
        let mut command = Command::new("python3");
        command.args(["-c", script]).arg(file).arg(statements);
        let done = command.output().await.unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
}
