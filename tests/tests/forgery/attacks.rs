//! The attempts.

use jeton_tests::{Credentials, Jeton, JetonOptions, TestDatabase, binary, eventually};
use tokio::task::JoinSet;

use crate::forger::Forger;
use crate::{assert_content, assert_found, busy, restart, tokens};

/// What somebody does with the log, whether a server runs or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attack {
    /// The events and checkpoints after an older checkpoint are cut off.
    CutBehindOlderCheckpoint,
    /// What no checkpoint covers yet is cut off.
    CutUnsignedEnd,
    /// All events are removed.
    CutEverything,
    /// All events and all checkpoints are removed.
    CutEverythingWithCheckpoints,
    /// All checkpoints are removed.
    RemoveCheckpoints,
    /// The oldest checkpoint is removed, and the others stay.
    RemoveOldestCheckpoint,
    /// The newest checkpoint is removed.
    RemoveNewestCheckpoint,
    /// An old checkpoint is altered.
    AlterCheckpoint,
    /// The note of an old checkpoint seems to be dropped, as notes are in time, and its leaf is another.
    AlterLeaf,
    /// An older checkpoint is put in the place of the newest.
    ReplayCheckpoint,
    /// A checkpoint seems to say that the beginning was removed, and it is.
    PretendRetention,
    /// The keys of the log are removed, and its checkpoints.
    RemoveKeys,
    /// An event is altered.
    AlterEvent,
    /// An event is altered, and every hash from there on made anew.
    AlterEventWithHashes,
    /// The newest event is altered, which no checkpoint covers, and its hash made anew.
    AlterUnsignedEventWithHash,
    /// Two events change places, and every hash from there on is made anew.
    MoveEventsWithHashes,
    /// An event is removed, the later ones close up, and every hash is made anew.
    RemoveEventWithHashes,
    /// An event is added at the end, with the right hash.
    AddEventWithHash,
    /// The end is cut off and written anew with other events and right hashes.
    RewriteUnsignedEnd,
    /// The list by which a client's events are found hides some.
    HideFromSearch,
}

use Attack::*;

const ATTACKS: [Attack; 20] = [
    CutBehindOlderCheckpoint,
    CutUnsignedEnd,
    CutEverything,
    CutEverythingWithCheckpoints,
    RemoveCheckpoints,
    RemoveOldestCheckpoint,
    RemoveNewestCheckpoint,
    AlterCheckpoint,
    AlterLeaf,
    ReplayCheckpoint,
    PretendRetention,
    RemoveKeys,
    AlterEvent,
    AlterEventWithHashes,
    AlterUnsignedEventWithHash,
    MoveEventsWithHashes,
    RemoveEventWithHashes,
    AddEventWithHash,
    RewriteUnsignedEnd,
    HideFromSearch,
];

/// Those that change the end of the log or its newest checkpoint: a server notices them before it signs.
const ATTACKS_AT_THE_END: [Attack; 13] = [
    CutBehindOlderCheckpoint,
    CutUnsignedEnd,
    CutEverything,
    CutEverythingWithCheckpoints,
    RemoveCheckpoints,
    RemoveNewestCheckpoint,
    ReplayCheckpoint,
    RemoveKeys,
    AlterUnsignedEventWithHash,
    MoveEventsWithHashes,
    RemoveEventWithHashes,
    AddEventWithHash,
    RewriteUnsignedEnd,
];

/// Attacks that are tried at the same time.
const AT_ONCE: usize = 4;

impl Attack {
    async fn run(self, forger: &Forger) {
        let last = forger.last_event().await;
        match self {
            CutBehindOlderCheckpoint => {
                let older = "SELECT seq FROM audit_note ORDER BY number LIMIT 1";
                let older = forger.number(older).await;
                forger.drop_checkpoints_after(older).await;
                forger.cut_after(older).await;
            }
            CutUnsignedEnd => {
                forger
                    .cut_after(forger.signed_through().await.max(last - 2))
                    .await
            }
            CutEverything => forger.cut_after(0).await,
            CutEverythingWithCheckpoints => {
                forger.drop_checkpoints_after(0).await;
                forger.cut_after(0).await;
            }
            RemoveCheckpoints => forger.drop_checkpoints_after(0).await,
            RemoveOldestCheckpoint => {
                forger.sql("DELETE FROM audit_note WHERE number = 1").await;
            }
            RemoveNewestCheckpoint => {
                let newest = "DELETE FROM audit_note WHERE number = \
                              (SELECT MAX(number) FROM audit_note)";
                forger.sql(newest).await;
            }
            AlterCheckpoint => {
                let altered = "UPDATE audit_note SET note = REPLACE(note, 'seq ', 'seq 1') \
                               WHERE number = 1";
                forger.sql(altered).await;
            }
            AlterLeaf => {
                let altered = "UPDATE audit_note SET note = NULL, \
                     leaf = SUBSTR(leaf, 33) || SUBSTR(leaf, 1, 32) WHERE number = 1";
                forger.sql(altered).await;
            }
            ReplayCheckpoint => {
                let replayed = "UPDATE audit_note SET note = o.note, seq = o.seq, \
                     batch_hash = o.batch_hash, leaf = o.leaf \
                     FROM (SELECT * FROM audit_note WHERE number = 1) AS o \
                     WHERE audit_note.number = (SELECT MAX(number) FROM audit_note)";
                forger.sql(replayed).await;
            }
            PretendRetention => {
                let end = forger.some_batch_end().await;
                let pretended = format!(
                    "UPDATE audit_note SET pruned_seq = {end}, pruned_hash = (SELECT \
                     SUBSTR(batch_hash, 1, 64) FROM audit_event WHERE seq = {end}) \
                     WHERE number = (SELECT MAX(number) FROM audit_note)"
                );
                forger.sql(&pretended).await;
                forger
                    .sql(&format!("DELETE FROM audit_event WHERE seq <= {end}"))
                    .await;
            }
            RemoveKeys => {
                forger.sql("DELETE FROM audit_key").await;
                forger.drop_checkpoints_after(0).await;
            }
            AlterEvent => {
                forger
                    .sql("UPDATE audit_event SET actor = 'nobody' WHERE seq = 3")
                    .await;
            }
            AlterEventWithHashes => {
                forger
                    .sql("UPDATE audit_event SET actor = 'nobody' WHERE seq = 6")
                    .await;
                forger.rehash_from(6).await;
            }
            AlterUnsignedEventWithHash => {
                forger
                    .sql(&format!(
                        "UPDATE audit_event SET actor = 'nobody' WHERE seq = {last}"
                    ))
                    .await;
                forger.rehash_from(last).await;
            }
            MoveEventsWithHashes => {
                let before = last - 1;
                swap(forger, before, last).await;
                forger.rehash_from(before).await;
            }
            RemoveEventWithHashes => {
                forger
                    .sql(&format!("DELETE FROM audit_event WHERE seq = {}", last - 1))
                    .await;
                forger
                    .sql(&format!(
                        "UPDATE audit_event SET seq = {} WHERE seq = {last}",
                        last - 1
                    ))
                    .await;
                forger.rehash_from(last - 1).await;
            }
            AddEventWithHash => {
                forger.sql(&added(last, last + 1)).await;
                forger.rehash_from(last + 1).await;
            }
            RewriteUnsignedEnd => {
                forger.cut_after(last - 2).await;
                forger.sql(&added(last - 2, last - 1)).await;
                forger.sql(&added(last - 2, last)).await;
                forger.rehash_from(last - 1).await;
            }
            HideFromSearch => {
                forger.sql("DELETE FROM audit_client_span").await;
                forger
                    .sql("UPDATE statistics_progress SET seq = 100000 WHERE id = 3")
                    .await;
            }
        }
    }
}

/// Two events change their contents, but for what ends a batch.
async fn swap(forger: &Forger, one: i64, other: i64) {
    for (from, to) in [(one, -1), (other, one), (-1, other)] {
        forger
            .sql(&format!(
                "UPDATE audit_event SET seq = {to} WHERE seq = {from}"
            ))
            .await;
    }
}

/// Adds a copy of an event with another number.
fn added(of: i64, number: i64) -> String {
    format!(
        "INSERT INTO audit_event SELECT {number}, id, at, kind, outcome, reason, 'nobody', client_id, \
         mcp_server_id, secret_id, scope, resource, jti, source, request_id, detail, batch_hash \
         FROM audit_event WHERE seq = {of}"
    )
}

async fn before() -> (Jeton, Credentials, Forger) {
    let (jeton, client) = busy().await;
    assert_content(&jeton).await;
    let forger = Forger::of(&jeton);
    (jeton, client, forger)
}

/// Tries every attack, a few at once, and names all that went unfound.
async fn all_are_found<F>(attacks: &[Attack], attempt: fn(Attack) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut waiting = attacks.iter().copied();
    let mut running = JoinSet::new();
    let mut unfound = Vec::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(attack) = waiting.next()
        {
            let attempt = tokio::spawn(attempt(attack));
            running.spawn(async move { (attack, attempt.await.is_ok()) });
        }
        match running.join_next().await {
            Some(tried) => {
                let (attack, is_found) = tried.unwrap();
                unfound.extend((!is_found).then_some(attack));
            }
            None => break,
        }
    }
    assert!(unfound.is_empty(), "{unfound:?}");
}

async fn while_a_server_runs(attack: Attack) {
    let (jeton, client, forger) = before().await;
    attack.run(&forger).await;
    assert_found(&jeton, &format!("{attack:?}")).await;
    // The server may go on, but it does not make up for it.
    for _ in 0..3 {
        client.ask(&jeton.url, &[]).await;
    }
    assert_found(&jeton, &format!("{attack:?}, later")).await;
}

async fn before_a_server_signs(attack: Attack) {
    let (mut jeton, client, forger) = before().await;
    // Nobody has verified these.
    tokens(&jeton, &client, 3).await;
    attack.run(&forger).await;
    let newest = "SELECT COALESCE(MAX(number), 0) FROM audit_note";
    let signed = forger.number(newest).await;
    // It signs at its end.
    assert_eq!(jeton.terminate().await, Some(0));
    assert!(jeton.log().contains("does not continue"), "{attack:?}");
    assert_eq!(forger.number(newest).await, signed, "{attack:?}");
}

async fn between_two_starts(attack: Attack) {
    let (mut jeton, client, forger) = before().await;
    // In a crash, so that there is something that no checkpoint covers.
    eventually("the server noted how far it wrote", async || {
        let noted = std::fs::read_to_string(jeton.data_dir().join("audit-end.json"));
        let noted: serde_json::Value =
            serde_json::from_str(&noted.unwrap_or_default()).unwrap_or_default();
        noted["end"]["seq"] == forger.last_event().await
    })
    .await;
    jeton.kill().await;
    attack.run(&forger).await;
    let jeton = restart(jeton).await;
    assert_found(&jeton, &format!("{attack:?}")).await;
    tokens(&jeton, &client, 3).await;
    let mut jeton = jeton;
    jeton.terminate().await;
    let jeton = restart(jeton).await;
    assert_found(&jeton, &format!("{attack:?}, a start later")).await;
}

#[tokio::test]
async fn whatever_is_done_while_a_server_runs_is_found() {
    all_are_found(&ATTACKS, while_a_server_runs).await;
}

#[tokio::test]
async fn whatever_is_done_between_two_starts_is_found() {
    // Nothing is hidden from a server that makes the list anew.
    let attacks: Vec<_> = ATTACKS
        .into_iter()
        .filter(|attack| *attack != HideFromSearch)
        .collect();
    all_are_found(&attacks, between_two_starts).await;
}

#[tokio::test]
async fn a_server_signs_nothing_that_does_not_continue_what_it_remembers() {
    all_are_found(&ATTACKS_AT_THE_END, before_a_server_signs).await;
}

#[tokio::test]
async fn an_older_copy_of_the_database_is_no_other_log() {
    let (mut jeton, client) = busy().await;
    let forger = Forger::of(&jeton);
    jeton.terminate().await;
    let copy = forger.copy(jeton.folder()).await;
    let mut jeton = restart(jeton).await;
    tokens(&jeton, &client, 20).await;
    jeton.terminate().await;
    forger.put_back(&copy).await;
    let jeton = restart(jeton).await;
    assert!(jeton.log().contains("does not continue"), "{}", jeton.log());
    let words = assert_found(&jeton, "an older copy").await;
    assert!(words.contains("remembers checkpoint"), "{words}");
    let ready: serde_json::Value = jeton.get("/readyz").await.json().await.unwrap();
    assert_eq!(ready["status"], "ready", "{ready}");
    assert_eq!(
        ready["parts"]["audit_memory"]["status"], "warning",
        "{ready}"
    );
    // It issues, and says so; it does not sign that this is the log.
    tokens(&jeton, &client, 30).await;
    let mut jeton = jeton;
    jeton.terminate().await;
    let jeton = restart(jeton).await;
    assert_found(&jeton, "an older copy that was continued").await;
    let document = jeton.command(&["audit", "verify", "--json"]).await;
    let document: serde_json::Value = serde_json::from_slice(&document.stdout).unwrap();
    for member in ["expected", "found", "next_step"] {
        assert!(document["broken"][member].is_string(), "{document}");
    }
}

#[tokio::test]
async fn where_the_operator_wants_it_so_a_server_stops() {
    let stop = || JetonOptions {
        flags: vec!["--audit-on-discontinuity", "stop"],
        ..JetonOptions::default()
    };
    let (mut jeton, client) = busy().await;
    jeton.terminate().await;
    let jeton = crate::restart_with(jeton, stop()).await;
    tokens(&jeton, &client, 3).await;
    let forger = Forger::of(&jeton);
    RemoveNewestCheckpoint.run(&forger).await;
    assert_found(&jeton, "a removed checkpoint").await;
    let refused = client.ask(&jeton.url, &[]).await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    eventually("it is not ready", async || {
        jeton.get("/readyz").await.status() == 503
    })
    .await;
    assert_eq!(jeton.get("/healthz").await.status(), 200);
    let mut jeton = jeton;
    jeton.terminate().await;
    // Nor does it start.
    let mut command = tokio::process::Command::new(binary("jeton"));
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--audit-on-discontinuity",
            "stop",
        ])
        .args(["--database-url", &jeton.database().url(), "--data-dir"])
        .arg(jeton.data_dir());
    let starting = command.kill_on_drop(true).output();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), starting).await;
    let output = ended.expect("it ends by itself").unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("jeton audit acknowledge"), "{words}");
}

#[tokio::test]
async fn what_one_server_wrote_is_missed_by_all() {
    let (jeton, client) = busy().await;
    let TestDatabase::Postgres(_) = jeton.database() else {
        // One file has one server.
        return;
    };
    let other = jeton.replica().await;
    let listening = other.listening();
    let forger = Forger::of(&jeton);
    let before = forger.last_event().await;
    for _ in 0..5 {
        client.token(&listening, &[]).await;
    }
    // What the other server wrote since is cut off; this one knows nothing of it.
    forger.cut_after(before).await;
    tokens(&jeton, &client, 8).await;
    // The other one looks every minute, and before it stops.
    let mut other = other;
    assert_eq!(other.terminate().await, Some(0));
    assert!(other.log().contains("does not continue"), "{}", other.log());
    // It recorded that, so that every server says so.
    let (content, words) = jeton.verify_audit().await;
    assert!(!content, "{words}");
}
