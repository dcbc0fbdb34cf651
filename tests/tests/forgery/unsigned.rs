//! What no signature covers counts for nothing: columns, checkpoints that nobody signed, rows where the log
//! has none.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jeton_core::hex;
use jeton_jose::{MerkleTree, NoteSigner, leaf_hash, sign_note};
use jeton_tests::{Credentials, Jeton, JetonOptions, TestDatabase, eventually};

use crate::forger::Forger;
use crate::{assert_content, assert_found, busy, restart, restart_with, tokens};

const NEWEST: &str = "SELECT COALESCE(MAX(number), 0) FROM audit_note";

fn remembered(jeton: &Jeton) -> PathBuf {
    jeton.data_dir().join("audit-checkpoint.txt")
}

/// Who signs what a forger writes.
#[derive(Debug, Clone, Copy)]
enum Signer {
    Nobody,
    OwnKey,
}

/// The log is cut off after `seq`, altered, and made to fit; its only checkpoint begins another epoch, as after an
/// acknowledged step back.
async fn begin_an_epoch(forger: &Forger, seq: i64, signer: Signer) {
    let note = forger
        .sql("SELECT note FROM audit_note ORDER BY number LIMIT 1")
        .await;
    let origin = note.lines().next().unwrap().to_owned();
    forger.cut_after(seq).await;
    forger
        .sql("UPDATE audit_event SET actor = 'nobody' WHERE seq = 6")
        .await;
    forger.rehash_from(6).await;
    let hash = forger
        .sql(&format!(
            "SELECT SUBSTR(batch_hash, 1, 64) FROM audit_event WHERE seq = {seq}"
        ))
        .await;
    let hash = hash.trim();
    let lines = format!(
        "seq {seq}\nbatch {hash}\ntime 2026-01-01T00:00:00.000Z\nepoch 1\nauthentic-after {seq}\n"
    );
    let leaf = leaf_hash(format!("{origin}\n1\n{lines}").as_bytes());
    let mut tree = MerkleTree::default();
    tree.push(leaf);
    let text = format!("{origin}\n1\n{}\n{lines}", STANDARD.encode(tree.root()));
    let note = match signer {
        Signer::Nobody => format!("{text}\n\u{2014} nobody {}\n", STANDARD.encode([b'x'; 68])),
        Signer::OwnKey => {
            let own = NoteSigner::generate_pkcs8().unwrap();
            let own = NoteSigner::from_pkcs8(&origin, &own).unwrap();
            sign_note(&text, &[&own]).unwrap()
        }
    };
    forger.drop_checkpoints_after(0).await;
    let zeros = "0".repeat(64);
    let leaf = hex::encode(&leaf);
    // As a column says that never counts.
    let keep = i64::from(matches!(signer, Signer::OwnKey));
    forger
        .sql(&format!(
            "INSERT INTO audit_note (number, seq, batch_hash, pruned_seq, pruned_hash, leaf, note, keep) \
             VALUES (1, {seq}, '{hash}', 0, '{zeros}', '{leaf}', '{note}', {keep})"
        ))
        .await;
}

#[tokio::test]
async fn an_epoch_that_no_server_signed_is_not_followed() {
    for signer in [Signer::Nobody, Signer::OwnKey] {
        let (mut jeton, client) = busy().await;
        let forger = Forger::of(&jeton);
        assert_eq!(jeton.terminate().await, Some(0));
        let note = std::fs::read_to_string(remembered(&jeton)).unwrap();
        let seq = forger.some_batch_end().await + 3;
        begin_an_epoch(&forger, seq, signer).await;
        let mut jeton = restart(jeton).await;
        let words = assert_found(&jeton, &format!("an epoch of {signer:?}")).await;
        assert!(words.contains("this server remembers"), "{words}");
        tokens(&jeton, &client, 2).await;
        let told = ["audit", "list", "--kind", "audit.discontinuity"];
        let told = jeton.json(&told).await;
        assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
        assert_eq!(jeton.terminate().await, Some(0));
        // Nothing was signed on top of it, and what is remembered is what was.
        assert_eq!(forger.number(NEWEST).await, 1);
        let kept = std::fs::read_to_string(remembered(&jeton)).unwrap();
        assert_eq!(kept, note);
    }
}

#[tokio::test]
async fn an_epoch_that_no_server_signed_is_not_followed_while_one_runs() {
    let (jeton, client) = busy().await;
    let forger = Forger::of(&jeton);
    let note = std::fs::read_to_string(remembered(&jeton)).unwrap();
    let seq = forger.some_batch_end().await + 3;
    begin_an_epoch(&forger, seq, Signer::OwnKey).await;
    for _ in 0..3 {
        client.ask(&jeton.url, &[]).await;
    }
    assert_found(&jeton, "an epoch of the forger's own").await;
    let kept = std::fs::read_to_string(remembered(&jeton)).unwrap();
    assert_eq!(kept, note);
}

/// The newest checkpoint seems to be old, and says in its columns that the beginning was removed.
async fn pretend_with_the_newest(forger: &Forger) -> i64 {
    let end = forger.some_batch_end().await;
    forger
        .sql(&format!(
            "UPDATE audit_note SET note = NULL, keep = 0, pruned_seq = {end}, pruned_hash = (SELECT \
             SUBSTR(batch_hash, 1, 64) FROM audit_event WHERE seq = {end}) \
             WHERE number = (SELECT MAX(number) FROM audit_note)"
        ))
        .await;
    forger
        .sql(&format!("DELETE FROM audit_event WHERE seq <= {end}"))
        .await;
    end
}

/// What a checkpoint in a file says about the log.
async fn against(jeton: &Jeton, note: &str) -> (bool, String) {
    let file = jeton.folder().join("kept.txt");
    std::fs::write(&file, note).unwrap();
    let file = file.to_str().unwrap();
    let output = jeton
        .command(&["audit", "verify", "--checkpoint", file])
        .await;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), words)
}

#[tokio::test]
async fn a_checkpoint_without_its_note_says_nothing() {
    let (jeton, client) = busy().await;
    let forger = Forger::of(&jeton);
    assert_content(&jeton).await;
    let kept = jeton.json(&["audit", "checkpoint"]).await;
    let note = kept["note"].as_str().unwrap().to_owned();
    pretend_with_the_newest(&forger).await;
    assert_found(&jeton, "a newest checkpoint without its note").await;
    let (fits, words) = against(&jeton, &note).await;
    assert!(!fits, "{words}");
    tokens(&jeton, &client, 2).await;
    let mut jeton = jeton;
    assert_eq!(jeton.terminate().await, Some(0));
    let jeton = restart(jeton).await;
    assert_found(&jeton, "the same, a start later").await;
}

#[tokio::test]
async fn a_checkpoint_that_lost_its_note_as_it_was_signed_says_nothing() {
    let (jeton, client) = busy().await;
    let forger = Forger::of(&jeton);
    let end = forger.some_batch_end().await;
    let hash = format!("(SELECT SUBSTR(batch_hash, 1, 64) FROM audit_event WHERE seq = {end})");
    let pretend = format!(
        "UPDATE audit_note SET note = NULL, keep = 0, pruned_seq = {end}, pruned_hash = {hash} \
         WHERE number = NEW.number; DELETE FROM audit_event WHERE seq <= {end};"
    );
    match jeton.database() {
        TestDatabase::Sqlite(_) => {
            forger
                .script(&format!(
                    "CREATE TRIGGER mine AFTER INSERT ON audit_note BEGIN {pretend} END"
                ))
                .await;
        }
        TestDatabase::Postgres(_) => {
            forger
                .sql(&format!(
                    "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {pretend} \
                     RETURN NULL; END $$"
                ))
                .await;
            forger
                .sql("CREATE TRIGGER mine AFTER INSERT ON audit_note FOR EACH ROW EXECUTE FUNCTION mine()")
                .await;
        }
    }
    // Signs a checkpoint.
    let number = forger.number(NEWEST).await;
    jeton.command(&["audit", "rotate-key"]).await;
    assert_eq!(forger.number(NEWEST).await, number + 1);
    tokens(&jeton, &client, 2).await;
    assert_found(&jeton, "a checkpoint that lost its note").await;
    let mut jeton = jeton;
    jeton.terminate().await;
    let jeton = restart(jeton).await;
    assert_found(&jeton, "the same, a start later").await;
}

#[tokio::test]
async fn only_old_checkpoints_lose_their_notes() {
    let (mut jeton, client) = busy().await;
    let forger = Forger::of(&jeton);
    for _ in 0..2 {
        jeton.terminate().await;
        jeton = restart(jeton).await;
        tokens(&jeton, &client, 2).await;
    }
    assert!(forger.number(NEWEST).await >= 4);
    assert_content(&jeton).await;
    jeton.kill().await;
    for (which, name) in [("number = 2", "the second"), ("number = 1", "the first")] {
        let copy = format!("CREATE TABLE stolen AS SELECT * FROM audit_note WHERE {which}");
        forger.sql(&copy).await;
        let lost = format!("UPDATE audit_note SET note = NULL, keep = 0 WHERE {which}");
        forger.sql(&lost).await;
        jeton = restart(jeton).await;
        assert_found(&jeton, name).await;
        jeton.kill().await;
        forger
            .sql(&format!("DELETE FROM audit_note WHERE {which}"))
            .await;
        forger
            .sql("INSERT INTO audit_note SELECT * FROM stolen")
            .await;
        forger.sql("DROP TABLE stolen").await;
        // For the next one.
        std::fs::remove_file(jeton.data_dir().join("audit-end.json")).unwrap();
    }
}

/// Events where the log has none: in a log whose beginning was removed, and below the first number.
#[tokio::test]
async fn no_event_is_added_before_the_beginning() {
    let options = || JetonOptions {
        flags: vec!["--audit-retention-days", "90"],
        ..JetonOptions::default()
    };
    let (mut jeton, client) = busy().await;
    jeton.terminate().await;
    jeton.age_audit_log(200 * 86_400_000).await;
    let forger = Forger::of(&jeton);
    let old = forger.last_event().await;
    let mut jeton = restart(jeton).await;
    tokens(&jeton, &client, 3).await;
    jeton.terminate().await;
    let jeton = restart_with(jeton, options()).await;
    let left = format!("SELECT COUNT(*) FROM audit_event WHERE seq <= {old}");
    eventually("the old events are gone", async || {
        forger.number(&left).await == 0
    })
    .await;
    assert_content(&jeton).await;
    for seq in [5, -1, 0] {
        add_event(&jeton, &forger, &client, seq).await;
        assert_content(&jeton).await;
    }
    drop(jeton);
    // And in a log of which nothing was removed.
    let (jeton, client) = busy().await;
    let forger = Forger::of(&jeton);
    add_event(&jeton, &forger, &client, -1).await;
}

/// The event is found by a proof and by nothing else; afterwards it is gone.
async fn add_event(jeton: &Jeton, forger: &Forger, client: &Credentials, seq: i64) {
    let jti = "forged";
    let add = format!(
        "INSERT INTO audit_event (seq, id, at, kind, outcome, actor, client_id, jti, detail, batch_hash) \
         SELECT {seq}, 'evt_00000000000000000000000000', at, 'token.revoked', outcome, actor, '{}', '{jti}', \
         detail, batch_hash FROM audit_event WHERE seq = {}",
        client.client_id,
        forger.last_event().await
    );
    let there = format!("SELECT COUNT(*) FROM audit_event WHERE seq = {seq}");
    // Retention, which removes such a row, has had its round; should it be at its end, the row is added again.
    eventually("the event is found", async || {
        if forger.number(&there).await == 0 {
            forger.sql(&add).await;
        }
        let (content, words) = jeton.verify_audit().await;
        !content && words.contains("before the beginning of the log")
    })
    .await;
    let shown = [
        vec!["audit", "list", "--limit", "1000"],
        vec!["audit", "list", "--jti", jti],
        vec!["audit", "list", "--client", &client.client_id],
        vec!["audit", "list", "--since", "2000-01-01T00:00:00Z"],
        vec!["audit", "list", "--kind", "token.revoked"],
    ];
    for search in shown {
        let found = jeton.json(&search).await.to_string();
        assert!(!found.contains("evt_0000000000"), "{search:?}: {found}");
    }
    let export = jeton.command(&["audit", "export"]).await;
    let export = String::from_utf8_lossy(&export.stdout).into_owned();
    assert!(export.contains("\"seq\":"), "{export}");
    assert!(!export.contains("evt_0000000000"), "{seq}: {export}");
    forger
        .sql(&format!("DELETE FROM audit_event WHERE seq = {seq}"))
        .await;
}
