//! When the disk is full: nothing is issued that is not recorded, and it ends by itself.

use std::collections::HashSet;

use jeton_tests::{Credentials, Jeton, JetonOptions, TestDatabase, binary, claims, eventually};
use tokio::process::Command;

/// What a caller got: the token's ID, or the status of a refusal.
async fn ask(jeton: &Jeton, client: &Credentials) -> Result<String, u16> {
    let answer = client.ask(&jeton.url, &[]).await;
    match answer.body["access_token"].as_str() {
        Some(token) => Ok(claims(token)["jti"].as_str().unwrap().to_owned()),
        None => Err(answer.status),
    }
}

async fn recorded(jeton: &Jeton) -> HashSet<String> {
    let ids = "SELECT jti FROM audit_event WHERE kind = 'token.issued'";
    let rows = jeton.database().sql(ids).await;
    rows.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_issued_that_is_not_recorded() {
    // What a full disk is like, a limit of the system's is too.
    let mut jeton = Jeton::start().await;
    let TestDatabase::Sqlite(file) = jeton.database().clone() else {
        // PostgreSQL's disk is another machine's.
        return;
    };
    let operator = jeton.operator().await;
    let client = operator.todo_client().await;
    let mut received = Vec::new();
    // A few tokens more than the file has room for.
    let limit = std::fs::metadata(&file).unwrap().len() + 10_000;
    jeton.limit_files(&format!("{limit}:unlimited")).await;
    let mut refused = 0;
    for _ in 0..300 {
        match ask(&jeton, &client).await {
            Ok(jti) => received.push(jti),
            Err(status) => {
                assert_eq!(status, 503);
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "the disk was not full");
    assert_eq!(jeton.get("/keys").await.status(), 200, "the rest goes on");
    eventually("it says that it is not ready", async || {
        jeton.get("/readyz").await.status() == 503
    })
    .await;

    jeton.limit_files("unlimited").await;
    eventually("there is room again", async || {
        ask(&jeton, &client).await.is_ok()
    })
    .await;
    for _ in 0..20 {
        received.push(ask(&jeton, &client).await.unwrap());
    }
    let before = recorded(&jeton).await;
    assert!(received.iter().all(|jti| before.contains(jti)));
    let log = jeton.log();
    assert!(log.contains("writing the audit log failed"), "{log}");
    assert!(log.contains("the audit log is written again"), "{log}");
    let verified = jeton.json(&["audit", "verify"]).await;
    assert_eq!(verified["verified"], true);

    jeton.kill().await;
    let jeton = jeton.restart(JetonOptions::default()).await;
    assert!(recorded(&jeton).await.is_superset(&before));
}

#[tokio::test]
async fn a_limit_on_the_size_of_files_is_an_error_and_kills_nothing() {
    let mut jeton = Jeton::start().await;
    if !matches!(jeton.database(), TestDatabase::Sqlite(_)) {
        return;
    }
    let client = jeton.operator().await.todo_client().await;
    assert!(ask(&jeton, &client).await.is_ok());
    jeton.limit_files("0:unlimited").await;
    eventually("nothing is issued that cannot be recorded", async || {
        ask(&jeton, &client).await == Err(503)
    })
    .await;
    eventually("it says that it is not ready", async || {
        jeton.get("/readyz").await.status() == 503
    })
    .await;
    // Nor does a command die of it that writes a file.
    let to = jeton.folder().join("backup.db");
    let backup = limited(&["backup", to.to_str().unwrap()], &jeton).await;
    assert_eq!(backup, (Some(1), true));
    assert!(jeton.is_running());
    jeton.limit_files("unlimited").await;
    eventually("there is room again", async || {
        ask(&jeton, &client).await.is_ok()
    })
    .await;
    assert_eq!(jeton.terminate().await, Some(0));
    let start = limited(&["serve", "--listen", "127.0.0.1:0"], &jeton).await;
    assert_eq!(start, (Some(1), true));
}

/// Runs a command that can write no file; gives its exit code, and whether it says why it failed.
async fn limited(arguments: &[&str], jeton: &Jeton) -> (Option<i32>, bool) {
    let mut command = Command::new("prlimit");
    command
        .arg("--fsize=0")
        .arg(binary("jeton"))
        .args(arguments);
    command.env("JETON_DATA_DIR", jeton.data_dir());
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said.contains("error: "))
}
