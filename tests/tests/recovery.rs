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
    let port = jeton.url.rsplit(':').next().unwrap().parse().unwrap();
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
