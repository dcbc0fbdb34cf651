//! What a server remembers, and what it says once it found that the log does not continue: until somebody
//! acknowledges that, whatever the database says later.

use base64::Engine as _;
use jeton_core::hex;
use jeton_jose::{MerkleTree, leaf_hash};
use jeton_tests::{Jeton, TestDatabase};
use reqwest::Method;
use serde_json::{Value, json};

use crate::forger::Forger;
use crate::{assert_content, assert_found, busy, restart, tokens};

const NEWEST: &str = "SELECT COALESCE(MAX(number), 0) FROM audit_note";

async fn acknowledge(jeton: &Jeton) {
    let url = jeton.database().url();
    let mut environment = Vec::new();
    if matches!(jeton.database(), TestDatabase::Postgres(_)) {
        environment.push(("JETON_DATABASE_URL", url.as_str()));
    }
    let arguments = ["audit", "acknowledge", "--yes", "--reason", "we know"];
    let done = jeton.command_with(&environment, &arguments).await;
    assert!(done.status.success(), "{done:?}");
}

#[tokio::test]
async fn what_was_found_not_to_continue_stays_so_until_it_is_acknowledged() {
    let (jeton, client) = busy().await;
    let forger = Forger::of(&jeton);
    let number = forger.number(NEWEST).await;
    let newest = format!("FROM audit_note WHERE number = {number}");
    forger
        .sql(&format!("CREATE TABLE stolen AS SELECT * {newest}"))
        .await;
    forger.sql(&format!("DELETE {newest}")).await;
    assert_found(&jeton, "a removed checkpoint").await;
    // The thief brings it back.
    forger
        .sql("INSERT INTO audit_note SELECT * FROM stolen")
        .await;
    forger.sql("DROP TABLE stolen").await;
    // It may have signed another one just before the theft.
    let number = forger.number(NEWEST).await;
    let mut jeton = jeton;
    for place in ["while it runs", "after a start", "after another"] {
        let words = assert_found(&jeton, place).await;
        assert!(words.contains("this server remembers"), "{words}");
        let ready: Value = jeton.get("/readyz").await.json().await.unwrap();
        assert_eq!(
            ready["parts"]["audit_memory"]["status"], "warning",
            "{place}"
        );
        tokens(&jeton, &client, 2).await;
        // Nothing is signed meanwhile, at the end and at the start neither.
        assert_eq!(jeton.terminate().await, Some(0));
        assert_eq!(forger.number(NEWEST).await, number, "{place}");
        jeton = restart(jeton).await;
        assert_eq!(forger.number(NEWEST).await, number, "{place}");
    }
    jeton.terminate().await;
    acknowledge(&jeton).await;
    let jeton = restart(jeton).await;
    assert_content(&jeton).await;
    assert!(forger.number(NEWEST).await > number);
}

#[tokio::test]
async fn an_acknowledgement_is_for_one_place_in_the_log() {
    let (mut jeton, client) = busy().await;
    let forger = Forger::of(&jeton);
    jeton.terminate().await;
    let copy = forger.copy(jeton.folder()).await;
    let mut jeton = restart(jeton).await;
    tokens(&jeton, &client, 3).await;
    jeton.terminate().await;
    let acknowledged = forger.last_event().await;
    acknowledge(&jeton).await;
    // What was acknowledged is not what is there when the server starts.
    forger.put_back(&copy).await;
    assert!(forger.last_event().await < acknowledged);
    let number = forger.number(NEWEST).await;
    let mut jeton = restart(jeton).await;
    assert_eq!(forger.number(NEWEST).await, number, "it signs nothing");
    let words = assert_found(&jeton, "an older copy than the acknowledged one").await;
    assert!(words.contains("does not continue"), "{words}");
    let restored = "SELECT count(*) FROM audit_event WHERE kind = 'audit.restored'";
    assert_eq!(forger.number(restored).await, 0, "nor does it record it");
    jeton.terminate().await;
    // An acknowledgement of this one is another.
    acknowledge(&jeton).await;
    let jeton = restart(jeton).await;
    assert_content(&jeton).await;
}

/// The first checkpoint says another time, and the later ones follow it, so that they continue one another; nobody
/// without the key can sign them.
async fn rewrite_checkpoints(forger: &Forger) {
    let rows = forger
        .sql("SELECT number || '|' || leaf FROM audit_note ORDER BY number")
        .await;
    let mut tree = MerkleTree::default();
    for row in rows.lines() {
        let (number, _) = row.split_once('|').unwrap();
        let note = forger
            .sql(&format!(
                "SELECT note FROM audit_note WHERE number = {number}"
            ))
            .await;
        let (text, signatures) = note.split_once("\n\n").unwrap();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        for line in &mut lines {
            if line.starts_with("time ") {
                "time 2020-01-01T00:00:00.000Z".clone_into(line);
            }
        }
        let root = lines.remove(2);
        let leaf = leaf_hash(format!("{}\n", lines.join("\n")).as_bytes());
        tree.push(leaf);
        let new_root = base64::engine::general_purpose::STANDARD.encode(tree.root());
        assert_ne!(root, new_root);
        lines.insert(2, new_root);
        let note = format!("{}\n\n{}\n", lines.join("\n"), signatures.trim_end());
        let leaf = hex::encode(&leaf);
        forger
            .sql(&format!(
                "UPDATE audit_note SET note = '{note}', leaf = '{leaf}' \
                 WHERE number = {number}"
            ))
            .await;
    }
}

#[tokio::test]
async fn a_server_signs_nothing_on_top_of_checkpoints_that_are_others_than_it_remembers() {
    let (mut jeton, _) = busy().await;
    let forger = Forger::of(&jeton);
    jeton.terminate().await;
    rewrite_checkpoints(&forger).await;
    let number = forger.number(NEWEST).await;
    let jeton = restart(jeton).await;
    assert_eq!(forger.number(NEWEST).await, number);
    let log = jeton.log();
    assert!(log.contains("not signed with the checkpoint key"), "{log}");
    assert_found(&jeton, "rewritten checkpoints").await;
}

#[tokio::test]
async fn the_log_that_an_acknowledgement_left_is_another_one() {
    let (mut jeton, client) = busy().await;
    let forger = Forger::of(&jeton);
    jeton.terminate().await;
    let acknowledged = forger.copy(&jeton.folder().join("one")).await;
    for _ in 0..3 {
        jeton = restart(jeton).await;
        tokens(&jeton, &client, 2).await;
        jeton.terminate().await;
    }
    let left = forger.copy(&jeton.folder().join("other")).await;
    let longer = forger.number(NEWEST).await;
    forger.put_back(&acknowledged).await;
    acknowledge(&jeton).await;
    let mut jeton = restart(jeton).await;
    assert_content(&jeton).await;
    jeton.terminate().await;
    assert!(forger.number(NEWEST).await <= longer);
    // Every checkpoint of it was signed.
    forger.put_back(&left).await;
    let jeton = restart(jeton).await;
    let log = jeton.log();
    assert!(log.contains("another in its place"), "{log}");
    assert_found(&jeton, "the log before the acknowledgement").await;
}

#[tokio::test]
async fn a_server_looks_again_at_what_it_has_proven_before_it_signs() {
    for end in ["removed", "another"] {
        let (mut jeton, _) = busy().await;
        let forger = Forger::of(&jeton);
        // Proves the log to its end.
        assert_content(&jeton).await;
        let last = forger.last_event().await;
        assert!(last > forger.signed_through().await);
        match end {
            "removed" => forger.cut_after(last - 1).await,
            _ => {
                let event = "UPDATE audit_event SET actor = 'nobody' WHERE seq";
                forger.sql(&format!("{event} = {last}")).await;
                forger.rehash_from(last).await;
            }
        }
        let number = forger.number(NEWEST).await;
        assert_eq!(jeton.terminate().await, Some(0));
        let log = jeton.log();
        assert!(log.contains("does not continue"), "{end}: {log}");
        assert_eq!(forger.number(NEWEST).await, number, "{end}");
    }
}

/// What a kept note proves, whatever a whole walk over the log says.
async fn prove(jeton: &Jeton, note: &str) -> Value {
    let operator = jeton.operator().await;
    let path = "/audit-checkpoint/verify";
    let body = json!({ "note": note });
    let (status, proof) = operator.send(Method::POST, path, Some(body)).await;
    assert_eq!(status, 200, "{proof}");
    proof
}

#[tokio::test]
async fn a_kept_checkpoint_misses_its_batch_and_its_number() {
    let (mut jeton, client) = busy().await;
    let forger = Forger::of(&jeton);
    let kept = jeton.json(&["audit", "checkpoint"]).await;
    let note = kept["note"].as_str().unwrap();
    assert_eq!(prove(&jeton, note).await["verified"], true);
    // It is not the newest any more.
    tokens(&jeton, &client, 2).await;
    jeton.terminate().await;
    let jeton = restart(jeton).await;
    assert_eq!(prove(&jeton, note).await["verified"], true);
    let seq = kept["seq"].as_i64().unwrap();
    let hash = format!("UPDATE audit_event SET batch_hash = 'x' || batch_hash WHERE seq = {seq}");
    forger.sql(&hash).await;
    let proof = prove(&jeton, note).await;
    assert_eq!(proof["verified"], false);
    let reason = proof["reason"].as_str().unwrap();
    let batch = format!("another batch, or none, that ends with event {seq}");
    assert!(reason.contains(&batch), "{reason}");
    let hash =
        format!("UPDATE audit_event SET batch_hash = SUBSTR(batch_hash, 2) WHERE seq = {seq}");
    forger.sql(&hash).await;
    assert_eq!(prove(&jeton, note).await["verified"], true);
    // And the checkpoints end before it.
    let newest = jeton.json(&["audit", "checkpoint"]).await;
    let note = newest["note"].as_str().unwrap();
    let number = newest["number"].as_i64().unwrap();
    forger
        .sql(&format!("DELETE FROM audit_note WHERE number = {number}"))
        .await;
    let proof = prove(&jeton, note).await;
    assert_eq!(proof["verified"], false);
    let reason = proof["reason"].as_str().unwrap();
    let ends = format!("it is checkpoint {number}, and the newest of the database is");
    assert!(reason.contains(&ends), "{reason}");
}
