//! What the walk over the audit log compares it with: its numbers, whoever wrote it, what was signed, what is
//! remembered.

use jeton_core::{AuditEvent, AuditKind};
use jeton_store::{AuditEnd, AuditNote, AuditWalk, BrokenLink, BrokenReason, Store, StoreError};

use crate::samples::event;
use crate::world::World;

const KEY: [u8; 32] = [7; 32];

/// Three batches of two events, the last of which ends with event 6.
struct Log {
    world: World,
    events: Vec<AuditEvent>,
}

impl Log {
    async fn write(key: Option<&[u8]>) -> Self {
        let world = World::new().await;
        if let Some(key) = key {
            world.store.authenticate_batches(key);
        }
        let events: Vec<_> = (0..6).map(|_| event(AuditKind::TokenIssued)).collect();
        append(&world.store, &events).await;
        Self { world, events }
    }

    async fn end(&self, seq: i64) -> AuditEnd {
        let end = self.world.store.audit_end_at(seq).await.unwrap();
        end.unwrap()
    }

    /// The events from number 5 on become others, with the right hash; gives the new end. The authenticator
    /// stays, where there is one.
    async fn rewrite_last_batch(&self) -> AuditEnd {
        let twin = World::new().await;
        let mut events = self.events.clone();
        events.get_mut(4).unwrap().reason = Some("other".into());
        append(&twin.store, &events).await;
        let end = twin.store.audit_end_at(6).await.unwrap().unwrap();
        let rewritten = format!(
            "UPDATE audit_event SET reason = 'other' WHERE seq = 5; \
             UPDATE audit_event SET batch_hash = '{}' || SUBSTR(batch_hash, 65) WHERE seq = 6",
            end.hash
        );
        self.world.sql(&rewritten).await;
        end
    }

    /// What does not fit, for a store that knows nothing else of the log.
    async fn broken(&self, what: AuditWalk<'_>) -> Option<(i64, BrokenReason)> {
        let span = self.world.store.walk_audit(&what).await.unwrap();
        span.broken.map(|broken| (broken.seq, broken.reason))
    }
}

async fn append(store: &Store, events: &[AuditEvent]) {
    for batch in events.chunks(2) {
        store.append_audit(batch).await.unwrap();
    }
}

fn whole() -> AuditWalk<'static> {
    AuditWalk {
        limit: 100,
        ..AuditWalk::default()
    }
}

fn other_hash(seq: i64) -> AuditEnd {
    AuditEnd {
        seq,
        hash: "ab".repeat(32),
    }
}

#[tokio::test]
async fn a_rewritten_end_contradicts_whoever_wrote_it() {
    let log = Log::write(None).await;
    assert_eq!(log.broken(whole()).await, None);
    log.rewrite_last_batch().await;
    // The chain fits: only the writer knows better.
    assert_eq!(log.broken(whole()).await, Some((7, BrokenReason::Altered)));
}

#[tokio::test]
async fn a_rewritten_end_is_no_servers_where_batches_are_authenticated() {
    let log = Log::write(Some(&KEY)).await;
    let authentic = AuditWalk {
        authentic_after: Some(0),
        ..whole()
    };
    assert_eq!(log.broken(authentic.clone()).await, None);
    log.rewrite_last_batch().await;
    let foreign = Some((5, BrokenReason::Foreign));
    assert_eq!(log.broken(authentic.clone()).await, foreign);
    let cut = "UPDATE audit_event SET batch_hash = SUBSTR(batch_hash, 1, 64) WHERE seq = 6";
    log.world.sql(cut).await;
    assert_eq!(log.broken(authentic.clone()).await, foreign);
    // Nor is one that was written with another key, though everybody's hashes fit.
    let other = log.world.open_again().await;
    other.authenticate_batches(&[8; 32]);
    let span = other.walk_audit(&authentic).await.unwrap();
    let broken = span.broken.unwrap();
    assert_eq!((broken.seq, broken.reason), (1, BrokenReason::Foreign));
    // What was written before batches were authenticated is only chained.
    let later = AuditWalk {
        authentic_after: Some(6),
        ..whole()
    };
    let broken = other.walk_audit(&later).await.unwrap().broken;
    assert_eq!(broken.filter(|broken| broken.seq <= 6), None);
}

#[tokio::test]
async fn what_was_signed_has_to_be_on_the_way() {
    use BrokenReason::{Checkpoint, CutOff};
    let log = Log::write(None).await;
    for (place, broken) in [
        (log.end(4).await, None),
        (other_hash(4), Some((4, Checkpoint))),
        // In the middle of a batch.
        (other_hash(3), Some((3, Checkpoint))),
        (other_hash(9), Some((7, CutOff))),
    ] {
        let note = AuditNote {
            number: 1,
            end: place.clone(),
            pruned: AuditEnd::genesis(),
            leaf: "00".repeat(32),
            note: None,
            keep: false,
        };
        let mut tx = log.world.store.begin().await.unwrap();
        tx.delete_audit_notes_after(0).await.unwrap();
        tx.insert_audit_note(&note).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(log.broken(whole()).await, broken, "{place:?}");
    }
}

#[tokio::test]
async fn what_an_earlier_version_signed_has_to_be_on_the_way() {
    let log = Log::write(None).await;
    for (place, broken) in [
        (log.end(4).await, None),
        (other_hash(4), Some((4, BrokenReason::Checkpoint))),
    ] {
        let (seq, hash) = (place.seq, &place.hash);
        let sign = format!(
            "DELETE FROM audit_checkpoint; INSERT INTO audit_checkpoint \
             (seq, batch_hash, at, signature) VALUES ({seq}, '{hash}', 1, 'x')"
        );
        log.world.sql(&sign).await;
        assert_eq!(log.broken(whole()).await, broken, "{place:?}");
    }
}

#[tokio::test]
async fn what_is_remembered_has_to_be_on_the_way() {
    use BrokenReason::{CutOff, Remembered};
    let log = Log::write(None).await;
    let right = log.end(4).await;
    for (place, broken) in [
        (right.clone(), None),
        (other_hash(4), Some((4, Remembered))),
        (other_hash(5), Some((5, Remembered))),
        (other_hash(9), Some((7, CutOff))),
    ] {
        let known = [right.clone(), place];
        let walk = AuditWalk {
            known: &known,
            ..whole()
        };
        assert_eq!(log.broken(walk).await, broken, "{known:?}");
    }
}

#[tokio::test]
async fn a_walk_begins_where_a_batch_ends() {
    let log = Log::write(None).await;
    for (after, begins) in [(4, true), (3, false), (9, false)] {
        let walk = AuditWalk { after, ..whole() };
        let walked = log.world.store.walk_audit(&walk).await;
        let is_stale = matches!(walked, Err(StoreError::Stale));
        assert_eq!(!is_stale, begins, "{after}");
    }
}

#[tokio::test]
async fn a_walk_names_where_servers_found_the_log_not_to_continue() {
    let log = Log::write(None).await;
    let store = &log.world.store;
    let said = event(AuditKind::AuditDiscontinuity);
    store.append_audit(&[said]).await.unwrap();
    let span = store.walk_audit(&whole()).await.unwrap();
    assert_eq!(span.discontinuities, [7]);
}

#[tokio::test]
async fn the_links_between_batches_show_that_servers_wrote_them_and_what_is_missing() {
    let log = Log::write(Some(&KEY)).await;
    let store = &log.world.store;
    let (first, last) = (log.end(2).await, log.end(6).await);
    let links = |from: AuditEnd, known: Vec<AuditEnd>| async move {
        store.prove_audit_links(&from, &known).await.unwrap()
    };
    let whole = links(first.clone(), vec![log.end(4).await, last.clone()]).await;
    assert_eq!((whole.end, whole.broken), (last.clone(), None));
    // Another end than the one that is known, or none, is not what was written.
    for (expected, seq) in [(other_hash(4), 3), (other_hash(5), 5)] {
        let found = links(first.clone(), vec![expected.clone()]).await;
        let broken = found.broken.unwrap();
        assert_eq!(broken.seq, seq, "{expected:?}");
        assert_eq!(broken.expected, Some(expected));
    }
    let beyond = other_hash(9);
    let missing = BrokenLink {
        seq: 7,
        expected: Some(beyond.clone()),
        found: None,
    };
    let cut = links(first.clone(), vec![beyond]).await;
    assert_eq!(cut.broken, Some(missing));
    // Nor does a batch continue another beginning, or have another hash, even if everybody's hashes fit.
    let moved = links(other_hash(2), Vec::new()).await;
    assert_eq!(moved.broken.map(|broken| broken.seq), Some(3));
    let rewritten = log.rewrite_last_batch().await;
    let broken = links(first, Vec::new()).await.broken.unwrap();
    assert_eq!((broken.seq, broken.expected), (5, None));
    assert_eq!(broken.found, Some(rewritten));
}
