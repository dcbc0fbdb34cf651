//! Signing keys over time: rotated by schedule and in an emergency, sealed under another master key,
//! managed elsewhere.

use std::collections::HashSet;

use jeton_tests::{Credentials, Jeton, JetonOptions, Operator, eventually};
use serde_json::Value;
use tokio::process::Command;

fn kid(token: &str) -> String {
    use base64::Engine as _;
    let header = token.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(header)
        .unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

async fn published(jeton: &Jeton) -> HashSet<String> {
    let keys: Value = jeton.get("/keys").await.json().await.unwrap();
    let keys = keys["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

async fn client(operator: &Operator) -> Credentials {
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    operator.client(&todo, &["a"]).await
}

#[tokio::test]
async fn the_next_key_comes_by_itself_a_day_before_it_signs() {
    let mut jeton = Jeton::start().await;
    let client = client(&jeton.operator().await).await;
    let first = kid(&client.token(&jeton.url, &[]).await);
    let before = published(&jeton).await;
    // Eighty-nine days and a little pass.
    jeton.terminate().await;
    let days = |days: i64| days * 24 * 60 * 60 * 1000 + 1000;
    let age = format!(
        "UPDATE signing_key SET activated_at = activated_at - {}",
        days(89)
    );
    jeton.database().sql(&age).await;
    let mut jeton = jeton.restart(JetonOptions::default()).await;
    eventually("the next keys are published", async || {
        published(&jeton).await.len() == 2 * before.len()
    })
    .await;
    let token = client.token(&jeton.url, &[]).await;
    assert_eq!(kid(&token), first, "the next key does not sign yet");
    // Another day.
    jeton.terminate().await;
    let age = format!(
        "UPDATE signing_key SET activated_at = activated_at - {} WHERE state = 'pending'",
        days(1)
    );
    jeton.database().sql(&age).await;
    let jeton = jeton.restart(JetonOptions::default()).await;
    eventually("the next key signs", async || {
        kid(&client.token(&jeton.url, &[]).await) != first
    })
    .await;
    assert!(published(&jeton).await.contains(&first), "for its tokens");
}

#[tokio::test]
async fn in_an_emergency_the_old_key_is_gone_at_once() {
    let jeton = Jeton::start().await;
    let client = client(&jeton.operator().await).await;
    let old = client.token(&jeton.url, &[]).await;
    assert!(client.introspect(&jeton.url, &old).await["active"] == true);
    // One that waits for its day is suspect too.
    let waiting = jeton.json(&["key", "rotate"]).await;
    let new = jeton.json(&["key", "rotate", "--emergency"]).await;
    let token = client.token(&jeton.url, &[]).await;
    assert_eq!(kid(&token), new["id"].as_str().unwrap());
    let published = published(&jeton).await;
    assert!(!published.contains(&kid(&old)));
    assert!(!published.contains(waiting["id"].as_str().unwrap()));
    assert!(client.introspect(&jeton.url, &old).await["active"] == false);
    assert!(client.introspect(&jeton.url, &token).await["active"] == true);
    let retired = jeton.operator().await.audit("kind=key.retired").await;
    assert_eq!(retired.len(), 2);
    assert_eq!(retired[0]["detail"]["emergency"], true);
}

#[tokio::test]
async fn the_master_key_is_replaced_without_losing_a_key() {
    let mut jeton = Jeton::start().await;
    let client = client(&jeton.operator().await).await;
    let token = client.token(&jeton.url, &[]).await;
    jeton.terminate().await;
    let old = jeton.data_dir().join("master.key.old");
    let current = jeton.data_dir().join("master.key");
    std::fs::rename(&current, &old).unwrap();
    let made = Command::new("openssl")
        .args(["rand", "-base64", "-out"])
        .arg(&current)
        .arg("32")
        .status()
        .await
        .unwrap();
    assert!(made.success());
    let old = old.to_str().unwrap();
    let mut jeton = jeton
        .restart(JetonOptions {
            flags: vec!["--previous-master-key-file", old],
            ..JetonOptions::default()
        })
        .await;
    let done = jeton.json(&["key", "rewrap"]).await;
    // Three that sign tokens, two of the audit log.
    assert_eq!(done["rewrapped"], 5);
    let again = jeton.json(&["key", "rewrap"]).await;
    assert_eq!(again["rewrapped"], 0, "idempotent");
    jeton.terminate().await;
    // The old one is not needed any more.
    let jeton = jeton.restart(JetonOptions::default()).await;
    assert!(published(&jeton).await.contains(&kid(&token)));
    assert_eq!(kid(&client.token(&jeton.url, &[]).await), kid(&token));
}

#[tokio::test]
async fn keys_may_be_managed_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.pem");
    let make = async |options: &[&str]| {
        let output = Command::new("openssl")
            .arg("genpkey")
            .args(options)
            .output()
            .await
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let rsa = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let ed = ["-algorithm", "ED25519"];
    let first = make(&rsa).await + &make(&ed).await;
    std::fs::write(&file, &first).unwrap();
    let path = file.to_str().unwrap().to_owned();
    let options = || JetonOptions {
        flags: vec!["--signing-keys-file", &path],
        ..JetonOptions::default()
    };
    let mut jeton = Jeton::start_with(options()).await;
    let client = client(&jeton.operator().await).await;
    let old = kid(&client.token(&jeton.url, &[]).await);
    let modulus = async |jeton: &Jeton, id: &str| {
        let keys: Value = jeton.get("/keys").await.json().await.unwrap();
        let keys = keys["keys"].as_array().unwrap().clone();
        let key = keys.into_iter().find(|key| key["kid"] == id).unwrap();
        key["n"].as_str().unwrap().to_owned()
    };
    // It is the one in the file.
    let mut check = Command::new("openssl");
    check.args(["rsa", "-noout", "-modulus", "-in", &path]);
    let output = check.output().await.unwrap();
    let expected = String::from_utf8(output.stdout).unwrap();
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(modulus(&jeton, &old).await)
        .unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(expected.trim(), format!("Modulus={hex}"));
    // Rotating is the file's business, but for the algorithm that is not in it.
    let refused = jeton.command(&["key", "rotate"]).await;
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains("signing_keys_file"), "{words}");
    jeton.json(&["key", "rotate", "--algorithm", "ES256"]).await;
    // The next one is published at once, and does not sign yet.
    jeton.terminate().await;
    std::fs::write(&file, first.clone() + &make(&rsa).await).unwrap();
    let mut jeton = jeton.restart(options()).await;
    assert_eq!(published(&jeton).await.len(), 5);
    assert_eq!(kid(&client.token(&jeton.url, &[]).await), old);
    jeton.terminate().await;
    let jeton = jeton.restart(options()).await;
    assert_eq!(published(&jeton).await.len(), 5, "taken over once");
    drop(jeton);
    // What is no key is refused with what to do.
    std::fs::write(
        &file,
        "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n",
    )
    .unwrap();
    let mut command = Command::new(jeton_tests::binary("jeton"));
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--signing-keys-file",
            &path,
            "--data-dir",
        ])
        .arg(folder.path().join("data"));
    let output = command.output().await.unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && words.contains("openssl pkcs8"),
        "{words}"
    );
}

#[tokio::test]
async fn the_private_half_of_a_key_goes_when_it_is_published_no_more() {
    let jeton = Jeton::start().await;
    let client = client(&jeton.operator().await).await;
    let old = kid(&client.token(&jeton.url, &[]).await);
    let sealed = format!("SELECT sealed FROM signing_key WHERE id = '{old}'");
    jeton
        .json(&["key", "rotate", "--emergency", "--algorithm", "RS256"])
        .await;
    let jeton = jeton.crash_and_restart(JetonOptions::default()).await;
    eventually("its private half is gone", async || {
        jeton.database().sql(&sealed).await.starts_with("public:")
    })
    .await;
    let erased = jeton.operator().await.audit("kind=key.erased").await;
    assert_eq!(erased[0]["detail"]["key_id"], old.as_str());
    // Its public half still verifies what it signed, and is sealed anew like the others.
    let mut jeton = jeton;
    jeton.terminate().await;
    let jeton = jeton.restart(JetonOptions::default()).await;
    let verified = jeton.json(&["audit", "verify"]).await;
    assert_eq!(verified["verified"], true);
    client.token(&jeton.url, &[]).await;
}
