//! The audit log: its order and its chain.

use jeton_core::{AuditEvent, AuditKind, EventId, Timestamp};
use jeton_jose::OsEntropy;
use jeton_store::{AuditFilter, BrokenReason, Store};

use crate::samples::{client, event, now};
use crate::world::World;

/// The first event of what does not fit.
async fn broken(store: &Store) -> Option<(i64, BrokenReason)> {
    let mut after = 0;
    loop {
        let span = store.verify_audit(after, 3).await.unwrap();
        if let Some(broken) = span.broken {
            return Some((broken.seq, broken.reason));
        }
        if span.is_end {
            return None;
        }
        assert!(span.end.seq > after, "a walk gets on");
        after = span.end.seq;
    }
}

#[tokio::test]
async fn audit_events_are_numbered_filtered_and_chained() {
    let world = World::new().await;
    let about = client().id;
    for batch in [1, 3, 21, 40] {
        let mut events: Vec<_> = (0..batch).map(|_| event(AuditKind::TokenIssued)).collect();
        events[0].client_id = Some(about);
        events[0].reason = Some("because".into());
        events[0].scope = Some("a b".parse().unwrap());
        let mut tx = world.store.begin().await.unwrap();
        tx.append_audit(&events).await.unwrap();
        tx.commit().await.unwrap();
    }
    let all = world
        .store
        .search_audit(&AuditFilter::default(), None, 100)
        .await
        .unwrap()
        .events;
    assert_eq!(
        all.iter().map(|e| e.seq).collect::<Vec<_>>(),
        (1..=65).rev().collect::<Vec<_>>()
    );
    let filter = AuditFilter {
        client_id: Some(about),
        kind: Some(AuditKind::TokenIssued),
        since: Some(Timestamp::from_seconds(0)),
        ..AuditFilter::default()
    };
    let found = world.store.search_audit(&filter, None, 3).await.unwrap();
    assert_eq!(
        found.events.iter().map(|e| e.seq).collect::<Vec<_>>(),
        [26, 5, 2]
    );
    assert_eq!(found.next, Some(2));
    assert_eq!(found.events[0].event.scope, Some("a b".parse().unwrap()));
    let rest = world
        .store
        .search_audit(&filter, found.next, 3)
        .await
        .unwrap();
    assert_eq!(rest.events.iter().map(|e| e.seq).collect::<Vec<_>>(), [1]);
    assert_eq!(rest.next, None);
    assert_eq!(broken(&world.store).await, None);
}

#[tokio::test]
async fn an_altered_deleted_moved_or_added_event_breaks_the_chain() {
    use BrokenReason::{Altered, CutOff, Foreign, Missing};
    let forged = |seq: i64, hash: &str| {
        format!(
            "INSERT INTO audit_event (seq, id, at, kind, outcome, actor, detail, batch_hash) \
             VALUES ({seq}, 'evt_x', 1, 'token.issued', 'success', 'system', '{{}}', {hash})"
        )
    };
    let swap = "UPDATE audit_event SET seq = 100 WHERE seq = 3; \
                UPDATE audit_event SET seq = 3 WHERE seq = 4; \
                UPDATE audit_event SET seq = 4 WHERE seq = 100";
    for (tampering, expected) in [
        (
            "UPDATE audit_event SET reason = 'other' WHERE seq = 3".into(),
            (3, Altered),
        ),
        (
            "UPDATE audit_event SET at = at + 1 WHERE seq = 6".into(),
            (5, Altered),
        ),
        ("DELETE FROM audit_event WHERE seq = 1".into(), (2, Missing)),
        ("DELETE FROM audit_event WHERE seq = 4".into(), (3, Missing)),
        ("DELETE FROM audit_event WHERE seq = 6".into(), (5, Missing)),
        ("DELETE FROM audit_event WHERE seq = 7".into(), (7, CutOff)),
        ("DELETE FROM audit_event WHERE seq > 4".into(), (5, CutOff)),
        (swap.into(), (3, Altered)),
        (
            "UPDATE audit_event SET batch_hash = NULL WHERE seq = 2".into(),
            (1, Altered),
        ),
        (forged(8, "NULL"), (8, Foreign)),
        (forged(8, "'00'"), (8, Altered)),
        // The chain needs no secret: somebody can continue it by the book.
        (
            "INSERT INTO audit_event SELECT 8, id, at, kind, outcome, reason, actor, client_id, \
             mcp_server_id, secret_id, scope, resource, jti, source, request_id, detail, \
             'FORGED' FROM audit_event WHERE seq = 7"
                .into(),
            (8, Foreign),
        ),
    ] {
        let world = World::new().await;
        for events in [2, 2, 2, 1] {
            let events: Vec<_> = (0..events).map(|_| event(AuditKind::TokenIssued)).collect();
            world.store.append_audit(&events).await.unwrap();
        }
        assert_eq!(broken(&world.store).await, None);
        let tampering: String = tampering;
        let tampering = if tampering.contains("FORGED") {
            tampering.replace("FORGED", &world.next_hash().await)
        } else {
            tampering
        };
        world.sql(&tampering).await;
        assert_eq!(broken(&world.store).await, Some(expected), "{tampering}");
    }
}

#[tokio::test]
async fn single_appends_and_transactions_share_one_chain() {
    let world = World::new().await;
    for round in 0..6 {
        let events = vec![event(AuditKind::TokenIssued); 1 + round * 9];
        let events: Vec<_> = events
            .into_iter()
            .map(|event| AuditEvent {
                id: EventId::generate(now(), &OsEntropy).unwrap(),
                ..event
            })
            .collect();
        world.store.append_audit(&events).await.unwrap();
        let mut tx = world.store.begin().await.unwrap();
        tx.append_audit(&events[..1]).await.unwrap();
        tx.append_audit(&events[..1]).await.unwrap();
        tx.commit().await.unwrap();
        // What is not committed leaves no trace in the chain.
        let mut dropped = world.store.begin().await.unwrap();
        dropped.append_audit(&events).await.unwrap();
        drop(dropped);
    }
    assert_eq!(broken(&world.store).await, None);
}
