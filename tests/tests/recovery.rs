//! Somebody who is locked out and holds the machine, the database and the master key gets back in.

use std::os::unix::fs::PermissionsExt as _;

use jeton_tests::{Admin, Jeton, JetonOptions, TestDatabase};
use serde_json::Value;

async fn recover(jeton: &Jeton, more: &[&str]) -> std::process::Output {
    let url = jeton.database().url();
    let mut arguments = vec!["admin", "recover", "--json"];
    if matches!(jeton.database(), TestDatabase::Postgres(_)) {
        arguments.extend(["--database-url", &url]);
    }
    arguments.extend(more);
    jeton.command(&arguments).await
}

#[tokio::test]
async fn who_is_locked_out_gets_new_credentials_and_a_link() {
    let mut jeton = Jeton::start().await;
    let port = jeton.port();
    let file = jeton.data_dir().join("admin.json");
    std::fs::remove_file(&file).unwrap();
    if matches!(jeton.database(), TestDatabase::Sqlite(_)) {
        let running = recover(&jeton, &[]).await;
        assert_eq!(running.status.code(), Some(1));
        let words = String::from_utf8_lossy(&running.stderr).into_owned();
        assert!(words.contains("in use"), "{words}");
    }
    jeton.terminate().await;
    // Not without the master key.
    let other = jeton.folder().join("other.key");
    std::fs::write(&other, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n").unwrap();
    let refused = recover(&jeton, &["--master-key-file", other.to_str().unwrap()]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(!file.exists());

    let recovered = recover(&jeton, &[]).await;
    let words = String::from_utf8_lossy(&recovered.stderr).into_owned();
    assert!(recovered.status.success(), "{words}");
    let document: Value = serde_json::from_slice(&recovered.stdout).unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let options = JetonOptions {
        port: Some(port),
        ..JetonOptions::default()
    };
    let jeton = jeton.restart(options).await;
    jeton.json(&["client", "list"]).await;
    let link = document["link"].as_str().unwrap();
    let path = link.strip_prefix(&jeton.url).unwrap();
    let admin = Admin::join(&jeton, path, "Grace", "grace@example.com").await;
    admin.page("/dashboard/settings").await;
    let events = jeton.operator().await.audit("kind=admin.recovered").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["client_id"], document["client_id"]);
    let verified = jeton.json(&["audit", "verify"]).await;
    assert_eq!(verified["verified"], true);
}

#[tokio::test]
async fn a_machine_without_a_data_directory_gets_one() {
    let mut jeton = Jeton::start().await;
    jeton.terminate().await;
    let url = jeton.database().url();
    let (key, elsewhere) = (
        jeton.data_dir().join("master.key"),
        jeton.folder().join("elsewhere"),
    );
    let (key, folder) = (key.to_str().unwrap(), elsewhere.to_str().unwrap());
    let arguments = [
        "admin",
        "recover",
        "--json",
        "--data-dir",
        folder,
        "--database-url",
        &url,
        "--master-key-file",
        key,
    ];
    let recovered = jeton.command(&arguments).await;
    let words = String::from_utf8_lossy(&recovered.stderr).into_owned();
    assert!(recovered.status.success(), "{words}");
    assert!(elsewhere.join("admin.json").is_file());
    let mode = std::fs::metadata(&elsewhere).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn where_nothing_is_installed_nothing_is_made() {
    let mut jeton = Jeton::start().await;
    jeton.terminate().await;
    let empty = jeton.folder().join("empty");
    let arguments = ["admin", "recover", "--data-dir", empty.to_str().unwrap()];
    let refused = jeton.command(&arguments).await;
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("no Jeton installation"), "{words}");
    assert!(!empty.join("admin.json").exists());
}

#[tokio::test]
async fn what_was_there_before_a_recovery_stays_and_the_link_works_once() {
    let mut jeton = Jeton::start().await;
    let port = jeton.port();
    let before = jeton.operator().await;
    let first = std::fs::read(jeton.data_dir().join("admin.json")).unwrap();
    jeton.terminate().await;
    let recovered = recover(&jeton, &[]).await;
    assert!(recovered.status.success());
    let document: Value = serde_json::from_slice(&recovered.stdout).unwrap();
    let kept = jeton.data_dir().join("admin.json.replaced");
    assert_eq!(std::fs::read(&kept).unwrap(), first);
    let words = String::from_utf8_lossy(&recovered.stderr).into_owned();
    assert!(words.contains("admin.json.replaced"), "{words}");
    let options = JetonOptions {
        port: Some(port),
        ..JetonOptions::default()
    };
    let jeton = jeton.restart(options).await;
    // Whoever was an admin still is, with the secret from before and the new one.
    assert_eq!(before.credentials.ask(&jeton.url, &[]).await.status, 200);
    let now = jeton.operator().await;
    assert_eq!(document["client_id"], now.credentials.client_id.as_str());
    assert_ne!(now.credentials.client_id, before.credentials.client_id);
    let link = document["link"].as_str().unwrap();
    let path = link.strip_prefix(&jeton.url).unwrap();
    Admin::join(&jeton, path, "Grace", "grace@example.com").await;
    let again = jeton_tests::http().get(link).send().await.unwrap();
    assert_ne!(again.status(), 200);
    // Neither the secret nor the link is in the log or the database.
    let everything = jeton.database().everything().await;
    let code = path.rsplit('/').next().unwrap();
    for secret in [code, now.credentials.client_secret.as_str()] {
        let is_there = everything
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!is_there && !jeton.log().contains(secret));
    }
}
