//! The audit log from outside: proven, exported, and what happens when somebody meddles with it.

use jeton_tests::{Credentials, Jeton, JetonOptions, TestDatabase};
use reqwest::Method;
use serde_json::Value;

/// A server with some tokens in its log.
async fn busy() -> (Jeton, Credentials) {
    let jeton = Jeton::start().await;
    let client = jeton.operator().await.todo_client().await;
    for _ in 0..5 {
        client.token(&jeton.url, &[]).await;
    }
    (jeton, client)
}

#[tokio::test]
async fn the_log_is_proven_and_meddling_is_found() {
    let (jeton, _) = busy().await;
    let (content, words) = jeton.verify_audit().await;
    assert!(content && words.contains("as it was written"), "{words}");
    let last = jeton
        .json(&["audit", "list", "--kind", "token.issued", "--limit", "1"])
        .await;
    let seq = last[0]["seq"].as_i64().unwrap();
    for tampering in [
        format!("UPDATE audit_event SET scope = 'b' WHERE seq = {}", seq - 1),
        format!("DELETE FROM audit_event WHERE seq = {}", seq - 2),
        "UPDATE audit_event SET seq = 100000 WHERE seq = 2".to_owned(),
    ] {
        // The last first: each is found for itself, before the ones that were found already.
        jeton.database().sql(&tampering).await;
        let (content, words) = jeton.verify_audit().await;
        assert!(!content && words.contains("from event"), "{words}");
    }
    let json = jeton.command(&["audit", "verify", "--json"]).await;
    assert_eq!(json.status.code(), Some(1));
    let document: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(document["verified"], false);
    assert_eq!(document["broken"]["seq"], 1, "{document}");
}

#[tokio::test]
async fn what_a_search_by_client_would_miss_is_found() {
    let (jeton, _) = busy().await;
    let pretend_to_have_listed_all = "UPDATE statistics_progress SET seq = 100000 WHERE id = 3";
    jeton.database().sql(pretend_to_have_listed_all).await;
    let (content, words) = jeton.verify_audit().await;
    assert!(!content && words.contains("search by client"), "{words}");
}

#[tokio::test]
async fn tokens_and_changes_at_the_same_moment_are_all_recorded() {
    let (jeton, client) = busy().await;
    let operator = jeton.operator().await;
    let path = format!("/clients/{}", client.client_id);
    let asking = async || {
        for _ in 0..30 {
            let answer = client.ask(&jeton.url, &[]).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    };
    let changing = async {
        for number in 0..30 {
            let change = serde_json::json!({ "description": format!("number {number}") });
            let (status, body) = operator.send(Method::PATCH, &path, Some(change)).await;
            assert_eq!(status, 200, "{body}");
        }
    };
    tokio::join!(asking(), asking(), asking(), asking(), changing);
    let (content, words) = jeton.verify_audit().await;
    assert!(content, "{words}");
}

#[tokio::test]
async fn old_events_go_and_the_rest_stays_proven() {
    let (mut jeton, client) = busy().await;
    // A month passes.
    let month = 31_i64 * 24 * 60 * 60 * 1000;
    assert_eq!(jeton.terminate().await, Some(0));
    let old = jeton
        .database()
        .sql("SELECT COUNT(*) FROM audit_event")
        .await;
    let old: i64 = old.trim().parse().unwrap();
    jeton.age_audit_log(month).await;
    let keep_a_week = || JetonOptions {
        flags: vec!["--audit-retention-days", "7"],
        ..JetonOptions::default()
    };
    let jeton = jeton.restart(keep_a_week()).await;
    jeton_tests::eventually("the old events are gone", async || {
        let left = "SELECT COUNT(*) FROM audit_event WHERE seq <= ";
        let left = jeton.database().sql(&format!("{left}{}", old - 1)).await;
        left.trim() == "0"
    })
    .await;
    client.token(&jeton.url, &[]).await;
    let (content, words) = jeton.verify_audit().await;
    assert!(content, "{words}");
    let pruned = jeton
        .json(&["audit", "list", "--kind", "audit.pruned"])
        .await;
    assert_eq!(pruned.as_array().unwrap().len(), 1, "{pruned}");
}

#[tokio::test]
async fn an_export_goes_on_where_it_stopped() {
    let (jeton, client) = busy().await;
    let file = jeton.folder().join("audit.jsonl");
    let path = file.to_str().unwrap();
    let export = async || {
        let output = jeton.command(&["audit", "export", "--output", path]).await;
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{words}");
        std::fs::read_to_string(&file).unwrap()
    };
    let first = export().await;
    let events: Vec<Value> = first
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let numbers: Vec<_> = events.iter().map(|event| event["seq"].as_i64()).collect();
    let expected: Vec<_> = (1..).map(Some).take(events.len()).collect();
    assert_eq!(numbers, expected);
    assert!(events.iter().any(|event| event["batch_hash"].is_string()));
    // Interrupted in the middle of a line, and continued.
    let whole = first.len();
    std::fs::write(&file, &first[..whole - 40]).unwrap();
    client.token(&jeton.url, &[]).await;
    let second = export().await;
    assert!(second.starts_with(&first));
    assert!(second.lines().count() > events.len());
    // The same to standard output, and a part of it.
    let output = jeton.command(&["audit", "export"]).await;
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .starts_with(&second)
    );
    let later = ["audit", "export", "--since", "2099-01-01T00:00:00Z"];
    assert!(jeton.command(&later).await.stdout.is_empty());
    // Not over somebody's file.
    std::fs::write(&file, "my diary\n").unwrap();
    let refused = jeton.command(&["audit", "export", "--output", path]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "my diary\n");
}

#[tokio::test]
async fn several_servers_write_one_chain() {
    let (jeton, client) = busy().await;
    let TestDatabase::Postgres(_) = jeton.database() else {
        // One file has one server.
        return;
    };
    let other = jeton.replica().await;
    let listen = other.listening();
    let ask = async |url: &str| {
        for _ in 0..40 {
            client.token(url, &[]).await;
        }
    };
    tokio::join!(ask(&jeton.url), ask(&listen), ask(&jeton.url), ask(&listen));
    let (content, words) = jeton.verify_audit().await;
    assert!(content, "{words}");
    let issued = jeton
        .json(&[
            "audit",
            "list",
            "--kind",
            "token.issued",
            "--client",
            &client.client_id,
            "--limit",
            "0",
        ])
        .await;
    assert_eq!(issued.as_array().unwrap().len(), 165);
}
