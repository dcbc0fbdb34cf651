//! What is honest is not called a forgery, and says what it was.

use jeton_tests::{Credentials, Jeton, JetonOptions, TestDatabase};
use serde_json::Value;

use crate::forger::Forger;
use crate::{assert_content, assert_found, busy, restart, restart_with, tokens};

async fn events(jeton: &Jeton, kind: &str) -> Vec<Value> {
    let found = jeton.json(&["audit", "list", "--kind", kind]).await;
    found.as_array().unwrap().clone()
}

/// The newest checkpoint, in a file.
async fn keep_checkpoint(jeton: &Jeton) -> String {
    let output = jeton.command(&["audit", "checkpoint"]).await;
    assert!(output.status.success());
    let file = jeton.folder().join("kept.txt");
    std::fs::write(&file, &output.stdout).unwrap();
    file.to_str().unwrap().to_owned()
}

/// What a kept checkpoint says about the log.
async fn against(jeton: &Jeton, file: &str) -> (bool, String) {
    let output = jeton
        .command(&["audit", "verify", "--checkpoint", file])
        .await;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), words)
}

async fn issue(jeton: &Jeton, client: &Credentials) {
    tokens(jeton, client, 5).await;
}

#[tokio::test]
async fn a_crash_is_no_theft() {
    let (mut jeton, client) = busy().await;
    for _ in 0..3 {
        issue(&jeton, &client).await;
        jeton.kill().await;
        jeton = restart(jeton).await;
        assert_content(&jeton).await;
    }
    // Nor is a file that the crash spoiled.
    issue(&jeton, &client).await;
    jeton.kill().await;
    std::fs::write(jeton.data_dir().join("audit-end.json"), "").unwrap();
    let jeton = restart(jeton).await;
    assert!(jeton.log().contains("audit-end.json"), "{}", jeton.log());
    assert_content(&jeton).await;
}

#[tokio::test]
async fn a_restored_backup_is_told_apart_from_a_theft() {
    let (mut jeton, client) = busy().await;
    if matches!(jeton.database(), TestDatabase::Postgres(_)) {
        // The next test restores there.
        return;
    }
    jeton.json(&["backup", "backup.db"]).await;
    issue(&jeton, &client).await;
    jeton.terminate().await;
    let mut jeton = restart(jeton).await;
    let kept = keep_checkpoint(&jeton).await;
    let (fits, words) = against(&jeton, &kept).await;
    assert!(fits, "{words}");
    jeton.terminate().await;
    jeton.json(&["restore", "backup.db", "--overwrite"]).await;
    let mut jeton = restart(jeton).await;
    assert_content(&jeton).await;
    let told = events(&jeton, "audit.restored").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["detail"]["command"], "restore");
    assert!(told[0]["detail"]["from_seq"].as_i64() > told[0]["detail"]["to_seq"].as_i64());
    // Whoever kept a checkpoint learns what happened.
    let (fits, words) = against(&jeton, &kept).await;
    assert!(
        !fits && words.contains("acknowledged: jeton restore"),
        "{words}"
    );
    let note = jeton.json(&["audit", "checkpoint"]).await["note"].to_string();
    assert!(note.contains("acknowledges jeton restore"), "{note}");
    // It is said once, and the log goes on.
    issue(&jeton, &client).await;
    jeton.terminate().await;
    let jeton = restart(jeton).await;
    assert_content(&jeton).await;
    assert_eq!(events(&jeton, "audit.restored").await.len(), 1);
    // The acknowledgement was for this backup, once: put back again, it is a theft.
    let mut jeton = jeton;
    jeton.terminate().await;
    std::fs::copy(
        jeton.folder().join("backup.db"),
        jeton.data_dir().join("jeton.db"),
    )
    .unwrap();
    for log in ["jeton.db-wal", "jeton.db-shm"] {
        let _ = std::fs::remove_file(jeton.data_dir().join(log));
    }
    let jeton = restart(jeton).await;
    assert_found(&jeton, "the same backup, copied back").await;
}

#[tokio::test]
async fn an_acknowledged_copy_is_no_theft() {
    let (mut jeton, client) = busy().await;
    let forger = Forger::of(&jeton);
    jeton.terminate().await;
    let copy = forger.copy(jeton.folder()).await;
    let mut jeton = restart(jeton).await;
    issue(&jeton, &client).await;
    jeton.terminate().await;
    forger.put_back(&copy).await;
    let mut jeton = restart(jeton).await;
    assert_found(&jeton, "an older copy").await;
    issue(&jeton, &client).await;
    let running = jeton.command(&["audit", "acknowledge", "--yes"]).await;
    assert_eq!(running.status.code(), Some(1), "a server runs");
    jeton.terminate().await;
    let url = jeton.database().url();
    let acknowledge = async |jeton: &Jeton, more: &[&str]| {
        let mut command = tokio::process::Command::new(jeton_tests::binary("jeton"));
        command.args(["audit", "acknowledge", "--reason", "we know"]);
        command.args(more).arg("--data-dir").arg(jeton.data_dir());
        if matches!(jeton.database(), TestDatabase::Postgres(_)) {
            command.env("JETON_DATABASE_URL", &url);
        }
        command.output().await.unwrap().status.code()
    };
    assert_eq!(acknowledge(&jeton, &[]).await, Some(1), "wants --yes");
    assert_eq!(acknowledge(&jeton, &["--yes"]).await, Some(0));
    let mut jeton = restart(jeton).await;
    assert_content(&jeton).await;
    let told = events(&jeton, "audit.restored").await;
    assert_eq!(told[0]["detail"]["reason"], "we know");
    issue(&jeton, &client).await;
    jeton.terminate().await;
    let jeton = restart(jeton).await;
    assert_content(&jeton).await;
}

#[tokio::test]
async fn a_moved_installation_is_no_other_log() {
    let (mut jeton, client) = busy().await;
    jeton.terminate().await;
    let from = match jeton.database() {
        TestDatabase::Sqlite(_) => format!("sqlite:{}/jeton.db", jeton.data_dir().display()),
        postgres @ TestDatabase::Postgres(_) => postgres.url(),
    };
    let to = TestDatabase::new(jeton.folder()).await.url();
    jeton.json(&["migrate", "--from", &from, "--to", &to]).await;
    let options = JetonOptions {
        environment: vec![("JETON_DATABASE_URL", &to)],
        ..JetonOptions::default()
    };
    let jeton = restart_with(jeton, options).await;
    issue(&jeton, &client).await;
    assert_content(&jeton).await;
    let told = events(&jeton, "audit.restored").await;
    assert_eq!(told[0]["detail"]["command"], "migrate", "{told:?}");
}

#[tokio::test]
async fn a_server_without_a_memory_takes_the_newest_checkpoint_over_and_says_so_once() {
    let (mut jeton, client) = busy().await;
    let kept = keep_checkpoint(&jeton).await;
    jeton.terminate().await;
    for file in ["audit-checkpoint.txt", "audit-end.json"] {
        std::fs::remove_file(jeton.data_dir().join(file)).unwrap();
    }
    let mut jeton = restart(jeton).await;
    assert!(jeton.log().contains("remembers nothing"), "{}", jeton.log());
    assert_content(&jeton).await;
    issue(&jeton, &client).await;
    jeton.terminate().await;
    let mut jeton = restart(jeton).await;
    assert_content(&jeton).await;
    assert_eq!(events(&jeton, "audit.checkpoint_adopted").await.len(), 1);
    let (fits, words) = against(&jeton, &kept).await;
    assert!(fits, "{words}");
    // Somebody who takes the memory away too is found by the checkpoint that was kept elsewhere.
    let forger = Forger::of(&jeton);
    let newest = keep_checkpoint(&jeton).await;
    jeton.terminate().await;
    let older = "SELECT seq FROM audit_note ORDER BY number LIMIT 1";
    let older = forger.number(older).await;
    forger.drop_checkpoints_after(older).await;
    forger.cut_after(older).await;
    for file in ["audit-checkpoint.txt", "audit-end.json"] {
        std::fs::remove_file(jeton.data_dir().join(file)).unwrap();
    }
    let jeton = restart(jeton).await;
    let (fits, words) = against(&jeton, &newest).await;
    assert!(!fits && words.contains("Nobody acknowledged"), "{words}");
    // What was altered in the file itself is no checkpoint.
    let note = std::fs::read_to_string(&newest).unwrap();
    std::fs::write(&newest, note.replace("\nseq ", "\nseq 1")).unwrap();
    let (fits, words) = against(&jeton, &newest).await;
    assert!(!fits && words.contains("no checkpoint"), "{words}");
}

/// What the last migration and this version added to a log, as the version before had it.
const UNDO: [&str; 8] = [
    "UPDATE audit_event SET batch_hash = SUBSTR(batch_hash, 1, 64)",
    "ALTER TABLE audit_head RENAME COLUMN head_hash TO batch_hash",
    "DROP TABLE audit_key",
    "DROP TABLE audit_note",
    "DROP TABLE audit_note_forward",
    "DROP TABLE audit_clock",
    "DROP TABLE audit_clock_step",
    "DELETE FROM _sqlx_migrations WHERE version = 6",
];

async fn of_earlier_version() -> (Jeton, Credentials, Forger) {
    let (mut jeton, client) = busy().await;
    jeton.terminate().await;
    let forger = Forger::of(&jeton);
    for statement in UNDO {
        forger.sql(statement).await;
    }
    for file in ["audit-checkpoint.txt", "audit-end.json"] {
        std::fs::remove_file(jeton.data_dir().join(file)).unwrap();
    }
    (jeton, client, forger)
}

#[tokio::test]
async fn the_log_of_an_earlier_version_is_walked_before_its_first_checkpoint_is_signed() {
    let (jeton, client, _) = of_earlier_version().await;
    let mut jeton = restart(jeton).await;
    assert_content(&jeton).await;
    issue(&jeton, &client).await;
    jeton.terminate().await;
    let jeton = restart(jeton).await;
    assert_content(&jeton).await;
    let newest = jeton.json(&["audit", "checkpoint"]).await;
    assert!(newest["number"].as_i64().unwrap() > 1, "{newest}");

    let (jeton, _, forger) = of_earlier_version().await;
    forger
        .sql("UPDATE audit_event SET actor = 'nobody' WHERE seq = 3")
        .await;
    let jeton = restart(jeton).await;
    assert_found(&jeton, "an event that was altered before").await;
    assert_eq!(forger.sql("SELECT number FROM audit_note").await, "");
}
