//! Searching the audit log.

use std::time::Duration;

use jeton_core::{AuditEvent, AuditKind, ClientId, Timestamp, TokenId};
use jeton_jose::OsEntropy;
use jeton_store::{AuditFilter, BrokenReason, Store};

use crate::samples::{client, event, now};
use crate::world::{World, indexing};

/// 50,000 events of a busy client; every thousandth is another's, with a word to be found.
async fn append_one_a_second(store: &Store, start: Timestamp, busy: ClientId, rare: ClientId) {
    for batch in 0..50_u64 {
        let events: Vec<_> = (0..1_000)
            .map(|index| {
                let mut event = event(AuditKind::TokenIssued);
                event.at = start.plus(Duration::from_secs(batch * 1_000 + index));
                event.reason = (index == 500).then(|| format!("Needle 100%_{batch}"));
                event.client_id = Some(if index == 500 { rare } else { busy });
                event
            })
            .collect();
        let mut tx = store.begin().await.unwrap();
        for chunk in events.chunks(32) {
            tx.append_audit(chunk).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
}

/// Everything that is found, and in how many steps.
async fn search(store: &Store, filter: AuditFilter, limit: u32) -> (Vec<i64>, u32) {
    let (mut found, mut before, mut steps) = (Vec::new(), None, 0);
    loop {
        let part = store.search_audit(&filter, before, limit).await.unwrap();
        assert!(u32::try_from(part.events.len()).unwrap() <= limit);
        found.extend(part.events.iter().map(|event| event.seq));
        steps += 1;
        match part.next {
            Some(next) => before = Some(next),
            None => return (found, steps),
        }
    }
}

#[tokio::test]
async fn a_search_finds_everything_in_bounded_steps() {
    let world = World::new().await;
    let start = Timestamp::from_seconds(1_800_000_000);
    let at = |seconds: u64| start.plus(Duration::from_secs(seconds));
    let (busy, rare) = (client().id, client().id);
    append_one_a_second(&world.store, start, busy, rare).await;
    let search = async |filter| search(&world.store, filter, 10).await;
    let text = |text: &str| AuditFilter {
        text: Some(text.to_owned()),
        ..AuditFilter::default()
    };
    let (found, steps) = search(text("nEEdle")).await;
    assert_eq!(found.len(), 50, "in {steps} steps");
    assert!(found.is_sorted_by(|one, two| one > two), "newest first");
    let needles = found;
    // What a pattern would mean is plain text here.
    assert_eq!(search(text("100%_7")).await.0, [7_501]);
    assert_eq!(search(text("100__7")).await.0, [0_i64; 0]);
    // Nothing at all is found in few steps, not in one long one.
    let (found, steps) = search(text("nothing like it")).await;
    assert!(found.is_empty() && (2..=4).contains(&steps), "{steps}");
    let (found, _) = search(AuditFilter {
        since: Some(at(10_000)),
        until: Some(at(10_003)),
        ..AuditFilter::default()
    })
    .await;
    assert_eq!(found, [10_003, 10_002, 10_001]);
    let of = |id| AuditFilter {
        client_id: Some(id),
        ..AuditFilter::default()
    };
    // Whether nothing, a part or all of the log is easy to find by client.
    let alone = indexing(&world.store).await;
    for rounds in [0, 3, 100] {
        let mut is_more = true;
        for _ in 0..rounds {
            is_more = world.store.index_audit(&alone).await.unwrap();
        }
        let (of_rare, steps) = search(of(rare)).await;
        assert_eq!(of_rare, needles, "after {rounds} rounds");
        assert!(is_more || steps <= 6, "{steps}");
        let (of_nobody, steps) = search(of(client().id)).await;
        assert!(of_nobody.is_empty() && (is_more || steps == 1), "{steps}");
        let early = search(AuditFilter {
            until: Some(at(3)),
            ..of(busy)
        });
        assert_eq!(early.await.0, [3, 2, 1]);
        assert!(!is_more || rounds < 100);
    }
    let newest = world
        .store
        .search_audit(&AuditFilter::default(), None, 2)
        .await
        .unwrap();
    assert_eq!(newest.events[0].seq, 50_000);
    assert_eq!(newest.next, Some(49_999));
}

#[tokio::test]
async fn what_is_pruned_is_not_found_and_does_not_hide_the_rest() {
    let world = World::new().await;
    let (busy, rare) = (client().id, client().id);
    let start = Timestamp::from_seconds(1_800_000_000);
    append_one_a_second(&world.store, start, busy, rare).await;
    let alone = indexing(&world.store).await;
    world.store.index_audit(&alone).await.unwrap();
    let prune = async || world.store.delete_pruned_audit(44_600, &alone).await;
    while prune().await.unwrap() {}
    let of_rare = AuditFilter {
        client_id: Some(rare),
        ..AuditFilter::default()
    };
    let mut rounds = 1;
    while world.store.index_audit(&alone).await.unwrap() {
        rounds += 1;
    }
    assert!(rounds <= 4, "only what is left: {rounds}");
    let found = world.store.search_audit(&of_rare, None, 10).await.unwrap();
    let found: Vec<_> = found.events.iter().map(|event| event.seq).collect();
    assert_eq!(found, [49_501, 48_501, 47_501, 46_501, 45_501]);
}

/// A token issued at `issued` that the log has from `recorded` on.
fn token(issued: Timestamp, recorded: Timestamp) -> AuditEvent {
    let mut event = event(AuditKind::TokenIssued);
    event.jti = Some(TokenId::generate(issued, &OsEntropy).unwrap().to_string());
    event.at = recorded;
    event
}

#[tokio::test]
async fn a_token_is_found_by_its_id_wherever_it_is() {
    let world = World::new().await;
    let start = Timestamp::from_seconds(1_800_000_000);
    let at = |seconds: u64| start.plus(Duration::from_secs(seconds));
    // Ten tokens a second for 45 minutes. One was recorded half a minute after it was issued, and one an
    // hour before, by a server whose clock was wrong.
    let mut events: Vec<_> = (0..27_000)
        .map(|number| token(at(number / 10), at(number / 10)))
        .collect();
    events[9_000] = token(at(870), at(900));
    events[100] = token(at(3_600), at(10));
    let jti = |seq: usize| events[seq - 1].jti.clone().unwrap();
    let (usual, late, wrong) = (jti(5_000), jti(9_001), jti(101));
    let mut revoked = event(AuditKind::TokenRevoked);
    revoked.at = at(5_000);
    revoked.jti = Some(usual.clone());
    events.push(revoked);
    let mut tx = world.store.begin().await.unwrap();
    tx.append_audit(&events).await.unwrap();
    tx.commit().await.unwrap();
    let search = async |filter, limit| search(&world.store, filter, limit).await;
    let of = |jti: &str| AuditFilter {
        jti: Some(jti.to_owned()),
        ..AuditFilter::default()
    };
    assert_eq!(search(of(&usual), 10).await, (vec![27_001, 5_000], 1));
    assert_eq!(search(of(&usual), 1).await, (vec![27_001, 5_000], 2));
    let only = |kind| AuditFilter {
        kind: Some(kind),
        ..of(&usual)
    };
    let (issued, _) = search(only(AuditKind::TokenIssued), 10).await;
    let (revoked, _) = search(only(AuditKind::TokenRevoked), 10).await;
    assert_eq!((issued, revoked), (vec![5_000], vec![27_001]));
    assert_eq!(search(of(&late), 10).await, (vec![9_001], 1));
    // Where its time does not lead to it, the log is read, in bounded steps.
    assert_eq!(search(of(&wrong), 10).await, (vec![101], 2));
    let never_issued = token(at(50), at(50)).jti.unwrap();
    assert_eq!(search(of(&never_issued), 10).await, (vec![], 2));
    assert_eq!(search(of("not an ID"), 10).await, (vec![], 2));
}

#[tokio::test]
async fn an_event_that_a_search_by_client_would_miss_is_hidden() {
    let (about, other) = (client().id, client().id);
    for (tampering, hidden) in [
        ("DELETE FROM audit_client_span WHERE span = 1", 256),
        (
            "UPDATE audit_client_span SET last_seq = 300 WHERE span = 1",
            301,
        ),
        (
            "UPDATE audit_client_span SET first_seq = 258 WHERE span = 1",
            256,
        ),
        ("UPDATE statistics_progress SET seq = 700 WHERE id = 3", 512),
    ] {
        let world = World::new().await;
        let events: Vec<_> = (0..600)
            .map(|number| {
                let mut event = event(AuditKind::TokenIssued);
                event.client_id = Some(if number % 2 == 0 { about } else { other });
                event
            })
            .collect();
        world.store.append_audit(&events).await.unwrap();
        let alone = indexing(&world.store).await;
        while world.store.index_audit(&alone).await.unwrap() {}
        let hidden_event = async |after| {
            let hidden = world.store.hidden_audit_event(after, 600).await.unwrap();
            hidden.map(|event| (event.seq, event.reason))
        };
        assert_eq!(hidden_event(0).await, None);
        world.sql(tampering).await;
        let expected = Some((hidden, BrokenReason::Hidden));
        assert_eq!(hidden_event(0).await, expected, "{tampering}");
        // As docs/operations.md has it.
        let anew = "DELETE FROM audit_client_span; \
                    UPDATE statistics_progress SET seq = 0 WHERE id = 3;";
        world.sql(anew).await;
        while world.store.index_audit(&alone).await.unwrap() {}
        assert_eq!(hidden_event(0).await, None);
        assert_eq!(hidden_event(255).await, None);
    }
}

/// Ten events a minute apart, ten a year ahead, ten more after the first ten; with their tokens.
async fn append_with_a_jump(store: &Store, start: Timestamp) -> Vec<TokenId> {
    let minute = |number: u64| start.plus(Duration::from_secs(60 * number));
    let times = (0..10)
        .map(minute)
        .chain((10..20).map(|number| minute(number).plus(YEAR)))
        .chain((20..30).map(minute));
    let mut tokens = Vec::new();
    for at in times {
        let token = TokenId::generate(at, &OsEntropy).unwrap();
        let mut issued = event(AuditKind::TokenIssued);
        issued.at = at;
        issued.jti = Some(token.to_string());
        tokens.push(token);
        store.append_audit(&[issued]).await.unwrap();
    }
    tokens
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

#[tokio::test]
async fn times_are_found_though_the_clock_was_a_year_ahead_for_a_while() {
    let world = World::new().await;
    let start = now();
    let minute = |number: u64| start.plus(Duration::from_secs(60 * number));
    let tokens = append_with_a_jump(&world.store, start).await;
    let find = async |since, until| {
        let filter = AuditFilter {
            since,
            until,
            ..AuditFilter::default()
        };
        let found = world.store.search_audit(&filter, None, 100).await.unwrap();
        assert_eq!(found.next, None);
        found
            .events
            .iter()
            .map(|event| event.seq)
            .collect::<Vec<_>>()
    };
    for _ in ["while nothing is noted", "once it is"] {
        let all = find(None, None).await;
        assert_eq!(all.len(), 30);
        let late = find(Some(minute(25)), Some(start.plus(YEAR / 2))).await;
        assert_eq!(late, [30, 29, 28, 27, 26]);
        let early = find(Some(minute(3)), Some(minute(5))).await;
        assert_eq!(early, [5, 4]);
        let ahead = find(Some(minute(12).plus(YEAR)), None).await;
        assert_eq!(ahead, (13..=20).rev().collect::<Vec<_>>());
        for (seq, token) in (1..).zip(&tokens) {
            let filter = AuditFilter {
                jti: Some(token.to_string()),
                ..AuditFilter::default()
            };
            let found = world.store.search_audit(&filter, None, 2).await.unwrap();
            assert_eq!(
                found
                    .events
                    .iter()
                    .map(|event| event.seq)
                    .collect::<Vec<_>>(),
                [seq]
            );
        }
        let alone = indexing(&world.store).await;
        while world.store.note_clock_steps(&alone).await.unwrap() {}
    }
    // Retention keeps what is younger, and all after it.
    let old = world.store.audit_batch_end_at(minute(40)).await.unwrap();
    assert_eq!(old.map(|end| end.seq), Some(10));
}

#[tokio::test]
async fn that_the_clock_was_set_back_cannot_be_hidden() {
    let world = World::new().await;
    append_with_a_jump(&world.store, now()).await;
    let alone = indexing(&world.store).await;
    while world.store.note_clock_steps(&alone).await.unwrap() {}
    assert_eq!(world.store.hidden_clock_step(0, 30).await.unwrap(), None);
    world.sql("DELETE FROM audit_clock_step").await;
    let hidden = world.store.hidden_clock_step(0, 30).await.unwrap().unwrap();
    assert_eq!((hidden.seq, hidden.reason), (21, BrokenReason::HiddenTime));
    // Made anew.
    world.store.discard_audit_index().await.unwrap();
    while world.store.note_clock_steps(&alone).await.unwrap() {}
    assert_eq!(world.store.hidden_clock_step(0, 30).await.unwrap(), None);
}
