//! An audit log that is older than it is: as if its servers had run then.

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::Value;

use crate::{Jeton, TestDatabase};

/// The texts of an event, in the order in which they are hashed.
const TEXTS: &str = "id, kind, outcome, reason, actor, client_id, mcp_server_id, secret_id, scope, \
                     resource, jti, source, request_id, detail";

impl Jeton {
    /// Makes the whole log of a server that was stopped older by so many milliseconds. Its hashes are right, and it is
    /// as the first versions left it: without a checkpoint or authenticators, and remembered by nobody.
    pub async fn age_audit_log(&self, by: i64) {
        let database = match self.database() {
            TestDatabase::Sqlite(_) => TestDatabase::Sqlite(self.data_dir().join("jeton.db")),
            postgres @ TestDatabase::Postgres(_) => postgres.clone(),
        };
        let array = match database {
            TestDatabase::Sqlite(_) => "json_array",
            TestDatabase::Postgres(_) => "json_build_array",
        };
        database
            .sql(&format!("UPDATE audit_event SET at = at - {by}"))
            .await;
        let rows = database
            .sql(&format!(
                "SELECT {array}(seq, at, batch_hash, {TEXTS}) FROM audit_event ORDER BY seq"
            ))
            .await;
        let mut previous = "0".repeat(64);
        let (mut batch, mut hashes, mut last) = (Vec::new(), String::new(), 0);
        for line in rows.lines() {
            let row: Vec<Value> = serde_json::from_str(line).unwrap();
            last = row[0].as_i64().unwrap();
            let is_end = row[2].is_string();
            batch.push(row);
            if is_end {
                previous = batch_hash(&previous, &batch);
                hashes.push_str(&format!(" WHEN {last} THEN '{previous}'"));
                batch.clear();
            }
        }
        for statement in [
            format!("UPDATE audit_event SET batch_hash = CASE seq{hashes} END"),
            format!(
                "UPDATE audit_head SET last_seq = {last}, head_hash = '{previous}' WHERE id = 1"
            ),
            "DELETE FROM audit_note".to_owned(),
            "DELETE FROM audit_clock_step".to_owned(),
            "UPDATE audit_clock SET seq = 0, latest = 0".to_owned(),
        ] {
            database.sql(&statement).await;
        }
        for file in ["audit-checkpoint.txt", "audit-end.json"] {
            let _ = std::fs::remove_file(self.data_dir().join(file));
        }
    }
}

fn batch_hash(previous: &str, events: &[Vec<Value>]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(b"jeton-audit-v1\n");
    context.update(previous.as_bytes());
    for event in events {
        for number in &event[..2] {
            context.update(&number.as_i64().unwrap().to_be_bytes());
        }
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
    let hash = context.finish();
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
