//! Events that are hidden from searches while each of them is as it was written; and an operator's own objects, which
//! hide nothing.

use jeton_tests::{Credentials, Jeton, TestDatabase, eventually};
use serde_json::Value;

use crate::forger::Forger;
use crate::{assert_content, assert_found, busy, restart, tokens};

fn is_sqlite(jeton: &Jeton) -> bool {
    matches!(jeton.database(), TestDatabase::Sqlite(_))
}

async fn listed(jeton: &Jeton, arguments: &[&str]) -> Vec<i64> {
    let found = jeton
        .json(&[&["audit", "list"][..], arguments].concat())
        .await;
    let found = found.as_array().unwrap();
    found
        .iter()
        .map(|event| event["seq"].as_i64().unwrap())
        .collect()
}

/// What is not Jeton's, as `jeton audit verify` says.
async fn foreign(jeton: &Jeton) -> Vec<String> {
    let document = jeton.json(&["audit", "verify"]).await;
    assert_eq!(document["verified"], true, "{document}");
    let foreign = document["foreign_objects"].as_array().unwrap().iter();
    foreign
        .map(|one| one.as_str().unwrap().to_owned())
        .collect()
}

/// More than one span of events, so that some are found by the list of clients.
async fn with_many_events(jeton: &Jeton, client: &Credentials) -> Forger {
    tokens(jeton, client, 260).await;
    let forger = Forger::of(jeton);
    eventually("events are easy to find", async || {
        forger
            .number("SELECT seq FROM statistics_progress WHERE id = 3")
            .await
            > 0
    })
    .await;
    forger
}

/// An index is made over part of the log, and seems to be one over all of it.
fn lying_index(name: &str, place: &str, without: &str, seems: &str) -> String {
    format!(
        "DROP INDEX IF EXISTS {name};
         CREATE INDEX {name} ON {place} WHERE {without};
         PRAGMA writable_schema = ON;
         UPDATE sqlite_master SET sql = '{seems}' WHERE name = '{name}';
         PRAGMA writable_schema = RESET;"
    )
}

#[tokio::test]
async fn an_index_that_lies_hides_no_client() {
    let (jeton, client) = busy().await;
    if !is_sqlite(&jeton) {
        return;
    }
    let forger = with_many_events(&jeton, &client).await;
    let of_client = ["--client", &client.client_id, "--limit", "300"];
    let before = listed(&jeton, &of_client).await;
    assert!(before.len() > 260, "{}", before.len());
    let mut jeton = jeton;
    jeton.terminate().await;
    let without = format!("client_id <> '{}'", client.client_id);
    let seems = "CREATE INDEX mine ON audit_event (client_id, seq)";
    forger
        .script(&lying_index(
            "mine",
            "audit_event (client_id, seq)",
            &without,
            seems,
        ))
        .await;
    forger
        .script(
            "ANALYZE; DELETE FROM sqlite_stat1;
             INSERT INTO sqlite_stat1 VALUES ('audit_event', 'mine', '1000000 1 1');",
        )
        .await;
    let jeton = restart(jeton).await;
    let found = listed(&jeton, &of_client).await;
    assert_eq!(found, before);
    // It is named, here and when the server starts.
    let foreign = foreign(&jeton).await.join("\n");
    assert!(foreign.contains("index mine of audit_event"), "{foreign}");
    assert!(foreign.contains("sqlite_stat1"), "{foreign}");
    eventually("the server names it", async || {
        jeton.log().contains("index mine")
    })
    .await;
}

#[tokio::test]
async fn an_index_of_jeton_that_was_made_to_lie_is_found() {
    let (jeton, client) = busy().await;
    if !is_sqlite(&jeton) {
        return;
    }
    let token = client.token(&jeton.url, &[]).await;
    let jti = jeton_tests::claims(&token)["jti"]
        .as_str()
        .unwrap()
        .to_owned();
    let revoke = format!("{}/oauth/revoke", jeton.url);
    let answer = client.send(&revoke, &[("token", &token)]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(listed(&jeton, &["--jti", &jti]).await.len(), 2);
    assert_content(&jeton).await;
    let forger = Forger::of(&jeton);
    let made = forger
        .sql("SELECT sql FROM sqlite_master WHERE name = 'audit_event_jti'")
        .await;
    let made = made.trim();
    let (_, condition) = made.split_once(" WHERE ").unwrap();
    let without = format!("{condition} AND jti <> '{jti}'");
    let seems = made.replace('\'', "''");
    let mut jeton = jeton;
    jeton.terminate().await;
    forger
        .script(&lying_index(
            "audit_event_jti",
            "audit_event (jti)",
            &without,
            &seems,
        ))
        .await;
    let jeton = restart(jeton).await;
    assert_eq!(listed(&jeton, &["--jti", &jti]).await.len(), 1);
    let words = assert_found(&jeton, "an index that lies").await;
    assert!(words.contains("REINDEX audit_event_jti"), "{words}");
    // As the words say.
    let mut jeton = jeton;
    jeton.terminate().await;
    forger.sql("REINDEX audit_event_jti").await;
    let jeton = restart(jeton).await;
    assert_content(&jeton).await;
    assert_eq!(listed(&jeton, &["--jti", &jti]).await.len(), 2);
}

/// What is done to the schema of PostgreSQL by whoever owns the tables.
const HIDING: [(&str, &[&str], &str); 4] = [
    (
        "a view in the place of the table",
        &[
            "ALTER TABLE audit_event RENAME TO kept",
            "CREATE VIEW audit_event AS SELECT * FROM kept WHERE NOT (client_id = 'CLIENT' \
             AND current_query() LIKE 'SELECT seq, id, at, kind%')",
        ],
        "audit_event has to be a table, and is a view",
    ),
    (
        "a policy",
        &[
            "ALTER TABLE audit_event ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE audit_event FORCE ROW LEVEL SECURITY",
            "CREATE POLICY writes ON audit_event FOR INSERT WITH CHECK (true)",
            "CREATE POLICY reads ON audit_event FOR SELECT USING (NOT (client_id = 'CLIENT' \
             AND current_query() LIKE 'SELECT seq, id, at, kind%'))",
        ],
        "policy reads",
    ),
    (
        "a table that inherits",
        &["CREATE TABLE more () INHERITS (audit_event)"],
        "inheritance more",
    ),
    (
        "a column of another kind",
        &["ALTER TABLE audit_client_span ALTER COLUMN client_id TYPE VARCHAR(200)"],
        "the table audit_client_span is not as Jeton made it",
    ),
];

#[tokio::test]
async fn a_schema_that_hides_events_is_found() {
    let (jeton, client) = busy().await;
    if is_sqlite(&jeton) {
        let forger = Forger::of(&jeton);
        let mut jeton = jeton;
        jeton.terminate().await;
        // It leads to the list of who is where.
        let without = format!("client_id <> '{}'", client.client_id);
        let place = "audit_client_span (client_id, span, first_seq, last_seq)";
        let seems = format!("CREATE INDEX mine ON {place}");
        forger
            .script(&lying_index("mine", place, &without, &seems))
            .await;
        let jeton = restart(jeton).await;
        let words = assert_found(&jeton, "an index of another table").await;
        assert!(words.contains("index mine of audit_client_span"), "{words}");
        return;
    }
    drop(jeton);
    for (what, statements, named) in HIDING {
        let (jeton, client) = busy().await;
        assert_content(&jeton).await;
        let forger = Forger::of(&jeton);
        for statement in statements {
            forger
                .sql(&statement.replace("CLIENT", &client.client_id))
                .await;
        }
        tokens(&jeton, &client, 1).await;
        let words = assert_found(&jeton, what).await;
        assert!(words.contains(named), "{what}: {words}");
        let mut jeton = jeton;
        jeton.terminate().await;
        let jeton = restart(jeton).await;
        eventually("the server says so at start", async || {
            jeton
                .log()
                .contains("searches of the audit log may hide events")
        })
        .await;
    }
}

#[tokio::test]
async fn what_an_operator_added_is_named_and_is_no_forgery() {
    let (jeton, client) = busy().await;
    let forger = Forger::of(&jeton);
    assert_eq!(foreign(&jeton).await, Vec::<String>::new());
    for statement in [
        "CREATE INDEX my_sources ON audit_event (source)",
        "CREATE VIEW my_view AS SELECT * FROM audit_event",
        "CREATE TABLE my_table (id BIGINT)",
        "ANALYZE",
    ] {
        forger.sql(statement).await;
    }
    tokens(&jeton, &client, 3).await;
    let named = foreign(&jeton).await.join("\n");
    for mine in [
        "index my_sources of audit_event",
        "view my_view",
        "table my_table",
    ] {
        assert!(named.contains(mine), "{named}");
    }
    let output = jeton.command(&["audit", "verify"]).await;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}");
    assert!(
        words.contains("index my_sources") && words.contains("does not depend on it"),
        "{words}"
    );
    let document: Value = jeton.json(&["audit", "verify"]).await;
    assert_eq!(document["broken"], Value::Null);
}
