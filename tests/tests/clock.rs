//! A clock that jumped: what cannot be undone waits.

use jeton_tests::{Admin, Jeton, JetonOptions, eventually};
use serde_json::Value;

const DAY: i64 = 24 * 60 * 60 * 1000;
const YEAR: i64 = 365 * DAY;

/// Everything that was becomes so much older: as if the clock were ahead by as much.
async fn age(jeton: &Jeton, by: i64) {
    jeton.age_audit_log(by).await;
    for statement in [
        "UPDATE signing_key SET created_at = created_at - {}, activated_at = activated_at - {}",
        "UPDATE admin_session SET created_at = created_at - {}, seen_at = seen_at - {}",
        "UPDATE audit_key SET created_at = created_at - {}",
        "UPDATE void_token SET forget_at = forget_at - {}",
        "UPDATE revoked_token SET expires_at = expires_at - {}",
        "UPDATE server_clock SET confirmed_at = confirmed_at - {}",
    ] {
        let statement = statement.replace("{}", &by.to_string());
        jeton.database().sql(&statement).await;
    }
}

async fn count(jeton: &Jeton, what: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {what}");
    jeton.database().sql(&sql).await.trim().parse().unwrap()
}

async fn checkpoint_keys(jeton: &Jeton) -> i64 {
    count(jeton, "audit_key WHERE purpose = 'checkpoint'").await
}

async fn clock(jeton: &Jeton) -> String {
    let ready = jeton.get("/readyz").await;
    assert_eq!(ready.status(), 200, "tokens are issued all the same");
    let document: Value = ready.json().await.unwrap();
    document["parts"]["clock"]["status"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn with<'a>(flags: &[&'a str]) -> JetonOptions<'a> {
    JetonOptions {
        flags: flags.to_vec(),
        ..JetonOptions::default()
    }
}

#[tokio::test]
async fn one_start_with_the_clock_a_year_ahead_removes_and_rotates_nothing() {
    let mut jeton = Jeton::start().await;
    let client = jeton.operator().await.todo_client().await;
    client.token(&jeton.url, &[]).await;
    let _signed_in = Admin::first(&jeton).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let tomorrow = i64::try_from(now.unwrap().as_millis()).unwrap() + DAY;
    for insert in [
        format!("void_token (subject, issued_until, forget_at) VALUES ('nobody', 1, {tomorrow})"),
        format!("revoked_token (jti, expires_at, revoked_at) VALUES ('none', {tomorrow}, 1)"),
    ] {
        jeton.database().sql(&format!("INSERT INTO {insert}")).await;
    }
    jeton.terminate().await;
    age(&jeton, YEAR).await;
    let events = count(&jeton, "audit_event").await;
    let retention = ["--audit-retention-days", "90"];
    let mut jeton = jeton.restart(with(&retention)).await;
    eventually("the clock is doubted", async || {
        clock(&jeton).await == "warning"
    })
    .await;
    assert!(
        jeton.log().contains("the clock is ahead of"),
        "{}",
        jeton.log()
    );
    client.token(&jeton.url, &[]).await;
    // Each job has had its round.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(count(&jeton, "audit_event").await > events);
    assert_eq!(
        count(&jeton, "signing_key WHERE state <> 'active'").await,
        0
    );
    assert_eq!(checkpoint_keys(&jeton).await, 1);
    assert_eq!(count(&jeton, "admin_session").await, 1);
    // What is void stays void.
    assert_eq!(count(&jeton, "void_token").await, 1);
    assert_eq!(count(&jeton, "revoked_token").await, 1);
    // Another start changes nothing of that.
    jeton.terminate().await;
    let mut jeton = jeton.restart(with(&retention)).await;
    eventually("it is still doubted", async || {
        clock(&jeton).await == "warning"
    })
    .await;
    // The operator says that the clock is right. Checkpoints were signed meanwhile, with the same key.
    jeton.terminate().await;
    assert!(count(&jeton, "audit_note").await > 1);
    assert_eq!(checkpoint_keys(&jeton).await, 1);
    let trusting = [retention[0], retention[1], "--trust-clock"];
    let jeton = jeton.restart(with(&trusting)).await;
    eventually("old events go, and keys are rotated", async || {
        clock(&jeton).await == "ok"
            && count(&jeton, "audit_event WHERE kind = 'audit.pruned'").await == 1
            && count(&jeton, "signing_key WHERE state = 'pending'").await > 0
            && checkpoint_keys(&jeton).await == 2
            && count(&jeton, "admin_session").await == 0
            && count(&jeton, "void_token").await == 0
            && count(&jeton, "revoked_token").await == 0
    })
    .await;
}

#[tokio::test]
async fn what_was_scheduled_while_the_clock_was_ahead_does_not_wait_for_that_time() {
    let mut jeton = Jeton::start().await;
    jeton.json(&["key", "rotate"]).await;
    let session = Admin::first(&jeton).await;
    jeton.terminate().await;
    // All of that happened a year ahead of now.
    age(&jeton, -YEAR).await;
    let mut jeton = jeton.restart(with(&[])).await;
    eventually("the clock is doubted", async || {
        clock(&jeton).await == "warning"
    })
    .await;
    assert!(
        jeton.log().contains("the clock is behind"),
        "{}",
        jeton.log()
    );
    let request = dashboard(&jeton, &session).await;
    assert_eq!(request, 303, "a session of the future is none");
    jeton.terminate().await;
    let jeton = jeton.restart(with(&["--trust-clock"])).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let soon = i64::try_from(now.unwrap().as_millis()).unwrap() + 2 * DAY;
    eventually("nothing is scheduled for next year", async || {
        count(&jeton, &format!("signing_key WHERE activated_at > {soon}")).await == 0
    })
    .await;
    assert_eq!(
        count(&jeton, "signing_key WHERE state = 'pending'").await,
        1
    );
}

async fn dashboard(jeton: &Jeton, admin: &Admin) -> u16 {
    let request = jeton_tests::http()
        .get(format!("{}/dashboard", jeton.url))
        .header("cookie", &admin.session);
    request.send().await.unwrap().status().as_u16()
}
