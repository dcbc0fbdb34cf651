//! The keys of checkpoints: each vouches for its own time only.

use base64::Engine as _;
use jeton_core::{Clock as _, SystemClock, hex};
use jeton_jose::{MasterKey, MerkleTree, NoteSigner, leaf_hash, sign_note};
use jeton_tests::{Jeton, JetonOptions};
use serde_json::Value;
use tokio::process::Command;

use crate::forger::Forger;
use crate::{assert_content, assert_found, busy, restart, restart_with, tokens};

/// A checkpoint key, stolen from the database and the data directory together.
async fn stolen_key(jeton: &Jeton, forger: &Forger) -> NoteSigner {
    let master = std::fs::read_to_string(jeton.data_dir().join("master.key")).unwrap();
    let master = MasterKey::from_base64(&master).unwrap();
    let sealing = master.sealing_key("audit keys").unwrap();
    let row = forger
        .sql("SELECT id || ' ' || sealed FROM audit_key WHERE purpose = 'checkpoint' ORDER BY id LIMIT 1")
        .await;
    let (id, sealed) = row.trim().split_once(' ').unwrap();
    let pkcs8 = sealing
        .open(sealed, &format!("jeton audit key {id} checkpoint"))
        .unwrap();
    let newest = jeton.json(&["audit", "checkpoint"]).await;
    let note = newest["note"].as_str().unwrap();
    NoteSigner::from_pkcs8(note.lines().next().unwrap(), &pkcs8).unwrap()
}

/// The next checkpoint, right in everything, but signed with `key`.
async fn insert_checkpoint(jeton: &Jeton, forger: &Forger, key: &NoteSigner) {
    let newest = jeton.json(&["audit", "checkpoint"]).await;
    insert_checkpoint_after(&newest, forger, key).await;
}

async fn insert_checkpoint_after(newest: &Value, forger: &Forger, key: &NoteSigner) {
    let origin = key.verifier().name();
    let number = newest["number"].as_i64().unwrap() + 1;
    let seq = newest["seq"].as_i64().unwrap();
    let hash = newest["batch_hash"].as_str().unwrap();
    let lines = format!(
        "seq {seq}\nbatch {hash}\ntime {}\nepoch 0\nauthentic-after 4\n",
        SystemClock.now()
    );
    let leaf = leaf_hash(format!("{origin}\n{number}\n{lines}").as_bytes());
    let mut tree = MerkleTree::default();
    for leaf in forger
        .sql("SELECT leaf FROM audit_note ORDER BY number")
        .await
        .lines()
    {
        tree.push(hex::decode(leaf).unwrap());
    }
    tree.push(leaf);
    let root = base64::engine::general_purpose::STANDARD.encode(tree.root());
    let text = format!("{origin}\n{number}\n{root}\n{lines}");
    let note = sign_note(&text, &[key]).unwrap();
    forger
        .sql(&format!(
            "INSERT INTO audit_note (number, seq, batch_hash, pruned_seq, pruned_hash, leaf, note, keep) \
             VALUES ({number}, {seq}, '{hash}', 0, '{}', '{}', '{note}', 0)",
            "0".repeat(64),
            hex::encode(&leaf)
        ))
        .await;
}

#[tokio::test]
async fn a_retired_key_vouches_for_nothing_after() {
    for emergency in [false, true] {
        let (jeton, client) = busy().await;
        let forger = Forger::of(&jeton);
        let key = stolen_key(&jeton, &forger).await;
        // As long as it is the key, what it signs counts.
        insert_checkpoint(&jeton, &forger, &key).await;
        assert_content(&jeton).await;
        let mut rotate = vec!["audit", "rotate-key"];
        if emergency {
            rotate.push("--emergency");
        }
        let rotated = jeton.json(&rotate).await;
        assert_ne!(rotated["key"], key.verifier().to_string());
        tokens(&jeton, &client, 2).await;
        assert_content(&jeton).await;
        let note = jeton.json(&["audit", "checkpoint"]).await["note"].to_string();
        assert_eq!(
            note.matches('\u{2014}').count(),
            if emergency { 1 } else { 2 }
        );
        insert_checkpoint(&jeton, &forger, &key).await;
        let words = assert_found(&jeton, "a checkpoint of a retired key").await;
        assert!(
            words.contains("not signed with the checkpoint key"),
            "{words}"
        );
    }
}

#[tokio::test]
async fn a_retired_key_vouches_for_nothing_where_its_retirement_is_hidden() {
    for place in ["while a server runs", "between two starts"] {
        let (mut jeton, client) = busy().await;
        let forger = Forger::of(&jeton);
        let key = stolen_key(&jeton, &forger).await;
        jeton.json(&["audit", "rotate-key", "--emergency"]).await;
        tokens(&jeton, &client, 2).await;
        let newest = jeton.json(&["audit", "checkpoint"]).await;
        let hide = format!(
            "UPDATE audit_note SET note = NULL, keep = 0 WHERE number >= {}",
            newest["number"]
        );
        if place == "between two starts" {
            jeton.kill().await;
        }
        forger.sql(&hide).await;
        insert_checkpoint_after(&newest, &forger, &key).await;
        let jeton = match place {
            "between two starts" => restart(jeton).await,
            _ => jeton,
        };
        assert_found(&jeton, place).await;
    }
}

#[tokio::test]
async fn a_key_that_is_none_of_the_installation_vouches_for_nothing() {
    let (jeton, _) = busy().await;
    let newest = jeton.json(&["audit", "checkpoint"]).await;
    let origin = newest["note"].as_str().unwrap().lines().next().unwrap();
    let own = NoteSigner::from_pkcs8(origin, &NoteSigner::generate_pkcs8().unwrap()).unwrap();
    insert_checkpoint(&jeton, &Forger::of(&jeton), &own).await;
    let words = assert_found(&jeton, "a checkpoint of the forger's own key").await;
    assert!(
        words.contains("not signed with the checkpoint key"),
        "{words}"
    );
}

#[tokio::test]
async fn another_key_or_another_master_key_is_no_other_log() {
    let (jeton, client) = busy().await;
    let kept = jeton.command(&["audit", "checkpoint"]).await;
    std::fs::write(jeton.folder().join("kept.txt"), &kept.stdout).unwrap();
    let newest = jeton.json(&["audit", "checkpoint"]).await;
    let first = newest["key"].as_str().unwrap().to_owned();
    jeton.json(&["audit", "rotate-key"]).await;
    jeton.json(&["audit", "rotate-key", "--emergency"]).await;
    tokens(&jeton, &client, 2).await;
    let against = async |jeton: &Jeton, key: &str| {
        let arguments = ["audit", "verify", "--checkpoint", "kept.txt", "--key", key];
        jeton.command(&arguments).await.status.code()
    };
    assert_eq!(against(&jeton, &first).await, Some(0));
    let newest = jeton.json(&["audit", "checkpoint"]).await;
    assert_eq!(
        against(&jeton, newest["key"].as_str().unwrap()).await,
        Some(1)
    );

    let mut jeton = jeton;
    jeton.terminate().await;
    let new = jeton.folder().join("new.key");
    let mut made = Command::new("openssl");
    made.args(["rand", "-base64", "-out"]);
    assert!(made.arg(&new).arg("32").status().await.unwrap().success());
    let old = jeton.data_dir().join("master.key");
    let (new, old) = (
        new.to_str().unwrap().to_owned(),
        old.to_str().unwrap().to_owned(),
    );
    let flags = vec![
        "--master-key-file",
        &new,
        "--previous-master-key-file",
        &old,
    ];
    let options = JetonOptions {
        flags,
        ..JetonOptions::default()
    };
    let mut jeton = restart_with(jeton, options).await;
    jeton.json(&["key", "rewrap"]).await;
    assert_content(&jeton).await;
    jeton.terminate().await;
    std::fs::copy(&new, &old).unwrap();
    let jeton = restart(jeton).await;
    assert_content(&jeton).await;
}
