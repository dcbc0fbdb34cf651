//! `/readyz`: that tokens can be issued, and which part cannot.

use jeton_tests::{Jeton, JetonOptions, TestDatabase, eventually};
use serde_json::Value;

async fn readiness(jeton: &Jeton) -> (u16, Value) {
    let answer = jeton.get("/readyz").await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The parts that fail.
fn failing(document: &Value) -> Vec<&str> {
    let parts = document["parts"].as_object().unwrap().iter();
    let failing = parts.filter(|(_, part)| part["status"] == "failing");
    failing.map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn a_healthy_server_says_that_every_part_is_ready() {
    let jeton = Jeton::start().await;
    eventually("every part is ready", async || {
        let (status, document) = readiness(&jeton).await;
        let parts = document["parts"].as_object().unwrap();
        status == 200
            && document["status"] == "ready"
            && parts.len() >= 6
            && parts.values().all(|part| part["status"] == "ok")
    })
    .await;
    let (_, document) = readiness(&jeton).await;
    assert_eq!(document["parts"]["jobs"]["restarts"], 0);
    assert_eq!(document["parts"]["signing"]["restarts"], 0);
}

#[tokio::test]
async fn asking_an_idle_server_again_and_again_writes_little() {
    let jeton = Jeton::start().await;
    let filler = "SELECT filler FROM write_probe";
    let mut written = 0;
    let mut before = jeton.database().sql(filler).await;
    let begin = std::time::Instant::now();
    // It is a second that an answer is kept.
    for _ in 0..13 {
        assert_eq!(readiness(&jeton).await.0, 200);
        let now = jeton.database().sql(filler).await;
        written += u32::from(now != before);
        before = now;
        tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    }
    // As docs/operations.md says: one in ten seconds.
    let allowed = begin.elapsed().as_secs() / 10 + 1;
    assert!(
        written >= 1 && u64::from(written) <= allowed,
        "{written} of {allowed}"
    );
    if jeton.database().url().starts_with("postgres") {
        let size = "SELECT pg_column_size(filler) FROM write_probe";
        let size: u32 = jeton.database().sql(size).await.trim().parse().unwrap();
        assert!(size >= 8_000, "it is stored in {size} bytes");
    }
}

#[tokio::test]
async fn without_a_signing_key_it_is_not_ready_and_says_which() {
    let mut jeton = Jeton::start().await;
    let client = jeton.operator().await.todo_client().await;
    jeton.terminate().await;
    let keys = "UPDATE signing_key SET state = 'retired' WHERE algorithm = 'RS256'";
    jeton.database().sql(keys).await;
    let jeton = jeton.restart(JetonOptions::default()).await;
    assert!(client.ask(&jeton.url, &[]).await.status >= 500);
    let (status, document) = readiness(&jeton).await;
    assert_eq!((status, failing(&document)), (503, vec!["signing_keys"]));
    assert_eq!(document["status"], "not ready");
    let reason = document["reason"].as_str().unwrap();
    assert!(reason.contains("RS256"), "{reason}");
}

#[tokio::test]
async fn a_database_that_cannot_be_written_is_found_though_nobody_asks_for_tokens() {
    // What a full disk is like, a limit of the system's is too.
    let jeton = Jeton::start().await;
    if !matches!(jeton.database(), TestDatabase::Sqlite(_)) {
        // PostgreSQL's disk is another machine's.
        return;
    }
    jeton.limit_files("5000:unlimited").await;
    eventually("it is not ready", async || {
        let (status, document) = readiness(&jeton).await;
        status == 503 && failing(&document) == ["audit_log"]
    })
    .await;
    jeton.limit_files("unlimited").await;
    eventually("it is ready again", async || {
        readiness(&jeton).await.0 == 200
    })
    .await;
}
