//! A server appends to no log but the one that it wrote, without saying so: whatever the database says is the end.

use jeton_tests::{Credentials, Jeton, JetonOptions, TestDatabase, eventually};
use serde_json::Value;

use crate::forger::Forger;
use crate::{assert_content, assert_found, busy, restart, restart_with, tokens};

async fn is_noted(jeton: &Jeton, seq: i64) {
    eventually("the server noted how far it wrote", async || {
        let noted = std::fs::read_to_string(jeton.data_dir().join("audit-end.json"));
        let noted: Value = serde_json::from_str(&noted.unwrap_or_default()).unwrap_or_default();
        noted["end"]["seq"] == seq
    })
    .await;
}

/// Three tokens of which no checkpoint tells, and which are cut off.
async fn cut_three(jeton: &Jeton, client: &Credentials, forger: &Forger) -> i64 {
    assert_content(jeton).await;
    let before = forger.last_event().await;
    tokens(jeton, client, 3).await;
    let last = forger.last_event().await;
    is_noted(jeton, last).await;
    forger.cut_after(before).await;
    last
}

async fn count(forger: &Forger, kind: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM audit_event WHERE kind = '{kind}'");
    forger.number(&sql).await
}

#[tokio::test]
async fn a_log_that_was_cut_off_is_not_written_on_until_it_is_longer() {
    let (jeton, client) = busy().await;
    let TestDatabase::Postgres(_) = jeton.database() else {
        // Of one file, the only server knows the end: the next test.
        return;
    };
    let forger = Forger::of(&jeton);
    let last = cut_three(&jeton, &client, &forger).await;
    // The first of them is one too many.
    tokens(&jeton, &client, 1).await;
    assert_eq!(count(&forger, "audit.discontinuity").await, 1);
    tokens(&jeton, &client, 6).await;
    assert!(forger.last_event().await > last);
    assert_found(&jeton, "an end that was cut off, and written on").await;
    let noted = std::fs::read_to_string(jeton.data_dir().join("audit-end.json")).unwrap();
    assert!(noted.contains("discontinuity"), "{noted}");
    let mut jeton = jeton;
    jeton.terminate().await;
    let jeton = restart(jeton).await;
    assert_found(&jeton, "the same, a start later").await;
}

#[tokio::test]
async fn where_a_server_is_to_stop_no_token_follows_an_end_that_was_cut_off() {
    let stop = JetonOptions {
        flags: vec!["--audit-on-discontinuity", "stop"],
        ..JetonOptions::default()
    };
    let (mut jeton, client) = busy().await;
    let TestDatabase::Postgres(_) = jeton.database() else {
        return;
    };
    jeton.terminate().await;
    let jeton = restart_with(jeton, stop).await;
    let forger = Forger::of(&jeton);
    cut_three(&jeton, &client, &forger).await;
    let issued = count(&forger, "token.issued").await;
    let refused = client.ask(&jeton.url, &[]).await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(count(&forger, "token.issued").await, issued);
}

/// Somebody who holds the file of SQLite until the server gives up an append, and removes the end meanwhile.
const HOLD: &str = "import os,sqlite3,sys,time
c = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
c.execute('BEGIN IMMEDIATE')
c.execute('DELETE FROM audit_event WHERE seq > ?', (int(sys.argv[2]),))
open(sys.argv[3], 'w').close()
while os.path.exists(sys.argv[3]): time.sleep(0.05)
c.execute('COMMIT')";

#[tokio::test]
async fn an_end_that_goes_while_an_append_waits_is_missed() {
    let (jeton, client) = busy().await;
    let TestDatabase::Sqlite(_) = jeton.database() else {
        return;
    };
    let forger = Forger::of(&jeton);
    assert_content(&jeton).await;
    let before = forger.last_event().await;
    tokens(&jeton, &client, 3).await;
    let last = forger.last_event().await;
    is_noted(&jeton, last).await;
    let held = jeton.folder().join("held");
    let mut holding = tokio::process::Command::new("python3");
    holding
        .args(["-c", HOLD])
        .arg(jeton.data_dir().join("jeton.db"));
    holding
        .arg(before.to_string())
        .arg(&held)
        .kill_on_drop(true);
    let mut holding = holding.spawn().unwrap();
    eventually("the file is held", async || held.exists()).await;
    let refused = client.ask(&jeton.url, &[]).await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    std::fs::remove_file(&held).unwrap();
    assert!(holding.wait().await.unwrap().success());
    // As many as were removed, and more.
    eventually("tokens are issued again", async || {
        client.ask(&jeton.url, &[]).await.status == 200
    })
    .await;
    tokens(&jeton, &client, 6).await;
    assert!(forger.last_event().await > last);
    assert_found(&jeton, "an end that went meanwhile").await;
    let mut jeton = jeton;
    jeton.terminate().await;
    let jeton = restart(jeton).await;
    assert_found(&jeton, "the same, a start later").await;
}

#[tokio::test]
async fn a_server_that_cannot_note_it_stops_all_the_same() {
    let stop = JetonOptions {
        flags: vec!["--audit-on-discontinuity", "stop"],
        ..JetonOptions::default()
    };
    let (mut jeton, client) = busy().await;
    jeton.terminate().await;
    let jeton = restart_with(jeton, stop).await;
    tokens(&jeton, &client, 2).await;
    // No file can take this place.
    let file = jeton.data_dir().join("audit-end.json");
    eventually("nothing can be noted", async || {
        let _ = std::fs::remove_file(&file);
        let _ = std::fs::create_dir(&file);
        std::fs::write(file.join("full"), "").is_ok()
    })
    .await;
    let forger = Forger::of(&jeton);
    forger.drop_checkpoints_after(0).await;
    let (content, words) = jeton.verify_audit().await;
    assert!(!content, "{words}");
    let refused = client.ask(&jeton.url, &[]).await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(count(&forger, "audit.discontinuity").await, 1);
}

async fn acknowledge(jeton: &Jeton) {
    let url = jeton.database().url();
    let environment = [("JETON_DATABASE_URL", url.as_str())];
    let arguments = ["audit", "acknowledge", "--yes", "--reason", "we know"];
    let done = jeton.command_with(&environment, &arguments).await;
    assert!(done.status.success(), "{done:?}");
}

/// What another server over the same database says of its log.
async fn is_content(jeton: &Jeton, other: &Jeton) -> bool {
    let operator = jeton.operator_at(&other.listening()).await;
    let walked = operator.get("/audit-verification").await;
    assert!(walked["events"].is_number(), "{walked}");
    walked["broken"].is_null()
}

#[tokio::test]
async fn a_server_that_forgot_is_followed_all_the_same() {
    let (mut jeton, client) = busy().await;
    let TestDatabase::Postgres(_) = jeton.database() else {
        return;
    };
    let other = jeton.replica().await;
    let forger = Forger::of(&jeton);
    for forgets in [false, true] {
        jeton.terminate().await;
        // Written by the other one alone, and cut off.
        let before = forger.last_event().await;
        for _ in 0..3 {
            client.token(&other.listening(), &[]).await;
        }
        forger.cut_after(before).await;
        assert!(!is_content(&jeton, &other).await, "an end that was cut off");
        if forgets {
            for file in ["audit-checkpoint.txt", "audit-end.json"] {
                std::fs::remove_file(jeton.data_dir().join(file)).unwrap();
            }
            // The first acknowledgement is gone from the database, too.
            let first = "SELECT MIN(number) FROM audit_note WHERE note LIKE '%acknowledges%'";
            let first = forger.number(first).await;
            forger
                .sql(&format!("DELETE FROM audit_note WHERE number >= {first}"))
                .await;
        }
        acknowledge(&jeton).await;
        jeton = restart(jeton).await;
        assert_content(&jeton).await;
        assert!(is_content(&jeton, &other).await, "{}", other.log());
    }
    let told = ["audit", "list", "--kind", "audit.checkpoint_adopted"];
    let told = jeton.json(&told).await.to_string();
    assert!(told.contains("from_checkpoint"), "{told}");
}
