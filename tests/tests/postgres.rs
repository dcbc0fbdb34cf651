//! What only PostgreSQL has: others who write.

use std::process::Stdio;

use jeton_tests::{Cluster, Jeton, JetonOptions, TestDatabase, eventually};
use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

#[tokio::test]
async fn who_ends_a_deadlock_by_failing_tries_again() {
    let cluster = Cluster::create().await;
    let database = TestDatabase::new_in(&cluster.url).await;
    let url = database.url();
    let (_, name) = url.rsplit_once('/').unwrap();
    // Jeton finds the deadlock, and finds it only once there is one.
    let later = format!("ALTER DATABASE {name} SET deadlock_timeout = '3s'");
    database.sql(&later).await;
    let jeton = Jeton::start_with(JetonOptions {
        database: Some(database.clone()),
        ..JetonOptions::default()
    })
    .await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let client = operator.client(&todo, &["a"]).await;

    let mut other = Command::new("psql")
        .args(["-q", "-v", "ON_ERROR_STOP=1", &url])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut says = other.stdin.take().unwrap();
    says.write_all(
        b"SET deadlock_timeout = '60s'; BEGIN; SELECT last_seq FROM audit_head FOR UPDATE;\n",
    )
    .await
    .unwrap();
    let waiting = async |granted: bool| {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND {}",
            if granted {
                "application_name = 'psql' AND state = 'idle in transaction'"
            } else {
                "wait_event_type = 'Lock'"
            }
        );
        database.sql(&sql).await.trim() == "1"
    };
    eventually("the other holds the end of the log", async || {
        waiting(true).await
    })
    .await;
    let path = format!("/clients/{}", client.client_id);
    let renaming = operator.send(Method::PATCH, &path, Some(json!({"name": "renamed"})));
    let deadlock = async {
        eventually("Jeton waits for it", async || waiting(false).await).await;
        let update = format!(
            "UPDATE client SET description = 'theirs' WHERE id = '{}'; COMMIT;\n",
            client.client_id
        );
        says.write_all(update.as_bytes()).await.unwrap();
        drop(says);
        assert!(other.wait().await.unwrap().success());
    };
    let ((status, body), ()) = tokio::join!(renaming, deadlock);
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["name"], "renamed");
    let deadlocks = format!("SELECT deadlocks FROM pg_stat_database WHERE datname = '{name}'");
    eventually("there was one", async || {
        database.sql(&deadlocks).await.trim() == "1"
    })
    .await;
    let verified = jeton.json(&["audit", "verify"]).await;
    assert_eq!(verified["verified"], true);
}
