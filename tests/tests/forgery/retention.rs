//! Retention removes and signs nothing that is not as it was written.

use jeton_tests::{Jeton, JetonOptions, eventually};

use crate::forger::Forger;
use crate::{assert_content, assert_found, busy, restart, restart_with, tokens};

const DAY: i64 = 86_400_000;

fn keep_ninety_days() -> JetonOptions<'static> {
    JetonOptions {
        flags: vec!["--audit-retention-days", "90"],
        ..JetonOptions::default()
    }
}

async fn count(forger: &Forger, which: &str) -> i64 {
    let count = format!("SELECT COUNT(*) FROM audit_event WHERE {which}");
    forger.number(&count).await
}

/// Retention had its round, and found what was done.
async fn is_told(jeton: &Jeton, what: &str) {
    eventually(what, async || {
        jeton.log().contains("does not continue what this server")
    })
    .await;
    let ready: serde_json::Value = jeton.get("/readyz").await.json().await.unwrap();
    assert_eq!(
        ready["parts"]["audit_memory"]["status"], "warning",
        "{ready}"
    );
    let told = jeton
        .json(&["audit", "list", "--kind", "audit.discontinuity"])
        .await;
    assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
    assert_found(jeton, what).await;
}

/// Alters what a stopped server left; retention has to remove nothing then.
async fn removes_nothing(what: &str, alter: impl AsyncFn(&Forger)) {
    let (mut jeton, client) = busy().await;
    jeton.terminate().await;
    let forger = Forger::of(&jeton);
    alter(&forger).await;
    let events = count(&forger, "1 = 1").await;
    let jeton = restart_with(jeton, keep_ninety_days()).await;
    is_told(&jeton, what).await;
    tokens(&jeton, &client, 1).await;
    assert!(count(&forger, "1 = 1").await > events, "{what}");
    assert_eq!(count(&forger, "kind = 'audit.pruned'").await, 0, "{what}");
    // Nor at the next start.
    let mut jeton = jeton;
    jeton.terminate().await;
    let jeton = restart_with(jeton, keep_ninety_days()).await;
    assert_found(&jeton, what).await;
    assert!(count(&forger, "1 = 1").await > events, "{what}");
    assert_eq!(count(&forger, "kind = 'audit.pruned'").await, 0, "{what}");
}

#[tokio::test]
async fn a_log_that_was_made_to_look_old_is_not_removed() {
    removes_nothing("older times", async |forger| {
        let older = format!("UPDATE audit_event SET at = at - {}", 200 * DAY);
        forger.sql(&older).await;
    })
    .await;
    removes_nothing("older times of the first events", async |forger| {
        let end = forger.some_batch_end().await;
        let older = format!(
            "UPDATE audit_event SET at = at - {} WHERE seq <= {end}",
            200 * DAY
        );
        forger.sql(&older).await;
    })
    .await;
}

#[tokio::test]
async fn what_was_altered_in_an_old_log_is_not_removed_with_it() {
    let (mut jeton, client) = busy().await;
    jeton.terminate().await;
    jeton.age_audit_log(200 * DAY).await;
    let forger = Forger::of(&jeton);
    // Signs over all of it.
    let mut jeton = restart(jeton).await;
    assert_content(&jeton).await;
    tokens(&jeton, &client, 3).await;
    jeton.terminate().await;
    // The hashes fit up to the first checkpoint.
    forger
        .sql("UPDATE audit_event SET actor = 'nobody' WHERE seq = 3")
        .await;
    let events = count(&forger, "1 = 1").await;
    let jeton = restart_with(jeton, keep_ninety_days()).await;
    is_told(&jeton, "an old event that was altered").await;
    assert!(count(&forger, "1 = 1").await > events);
}

#[tokio::test]
async fn an_old_log_as_it_was_written_goes() {
    let (mut jeton, client) = busy().await;
    jeton.terminate().await;
    jeton.age_audit_log(200 * DAY).await;
    let forger = Forger::of(&jeton);
    let old = forger.last_event().await;
    let mut jeton = restart(jeton).await;
    tokens(&jeton, &client, 3).await;
    jeton.terminate().await;
    let jeton = restart_with(jeton, keep_ninety_days()).await;
    eventually("the old events are gone", async || {
        count(&forger, &format!("seq <= {old}")).await == 0
    })
    .await;
    assert!(count(&forger, "kind = 'token.issued'").await >= 3);
    assert_eq!(count(&forger, "kind = 'audit.pruned'").await, 1);
    assert_content(&jeton).await;
}
