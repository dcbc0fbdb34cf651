//! What retention is to remove is proven, and is old.

use jeton_core::{AuditKind, Timestamp};
use jeton_store::{AuditEnd, BrokenReason, OldPart, OldStep, Store};

use crate::samples::event;
use crate::world::World;

fn at(minute: u64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000).plus(std::time::Duration::from_secs(minute * 60))
}

/// Twenty batches of two events, a minute after one another.
async fn twenty_batches(store: &Store) {
    store.authenticate_batches(&[7; 32]);
    for minute in 0..20 {
        let mut events = [event(AuditKind::TokenIssued), event(AuditKind::TokenIssued)];
        for event in &mut events {
            event.at = at(minute);
        }
        store.append_audit(&events).await.unwrap();
    }
}

async fn proven(store: &Store, through: i64, known: Vec<AuditEnd>) -> OldStep {
    let mut old = store.begin_old_audit(OldPart {
        begin: AuditEnd::genesis(),
        through,
        before: at(10),
        authentic_after: 0,
        known,
    });
    loop {
        match store.prove_old_audit(&mut old).await.unwrap() {
            OldStep::More => {}
            done => return done,
        }
    }
}

fn reason(step: OldStep) -> Option<(i64, BrokenReason)> {
    match step {
        OldStep::Broken(broken) => Some((broken.seq, broken.reason)),
        _ => None,
    }
}

#[tokio::test]
async fn only_what_is_old_by_its_hash_is_old() {
    let world = World::new().await;
    let store = &world.store;
    twenty_batches(store).await;
    // However much is believed to be old.
    for (through, last) in [(8, 8), (9, 8), (20, 20), (40, 20)] {
        let step = proven(store, through, Vec::new()).await;
        let OldStep::Proven(Some(end)) = step else {
            panic!("{step:?}");
        };
        assert_eq!(end.seq, last, "{through}");
        assert_eq!(store.audit_end_at(last).await.unwrap(), Some(end));
    }
    assert_eq!(proven(store, 1, Vec::new()).await, OldStep::Proven(None));
    let other = AuditEnd {
        seq: 6,
        hash: "0".repeat(64),
    };
    let step = proven(store, 20, vec![other]).await;
    assert_eq!(reason(step), Some((6, BrokenReason::Remembered)));
    world
        .sql("UPDATE audit_event SET at = at - 86400000 WHERE seq > 30")
        .await;
    let step = proven(store, 40, Vec::new()).await;
    assert_eq!(reason(step), Some((31, BrokenReason::Altered)));
    world.sql("DELETE FROM audit_event WHERE seq = 4").await;
    let step = proven(store, 20, Vec::new()).await;
    assert!(matches!(reason(step), Some((_, BrokenReason::Missing))));
}

#[tokio::test]
async fn a_batch_that_no_server_wrote_is_not_removed() {
    let world = World::new().await;
    let store = &world.store;
    twenty_batches(store).await;
    // As if somebody without the key had written it.
    world
        .sql("UPDATE audit_event SET batch_hash = SUBSTR(batch_hash, 1, 64) WHERE seq = 10")
        .await;
    let step = proven(store, 20, Vec::new()).await;
    assert_eq!(reason(step), Some((9, BrokenReason::Foreign)));
    // Nor one without an end.
    world.sql("UPDATE audit_event SET batch_hash = NULL").await;
    let step = proven(store, 20, Vec::new()).await;
    assert_eq!(reason(step), Some((1, BrokenReason::Foreign)));
}
