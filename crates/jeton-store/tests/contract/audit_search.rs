//! Searching the audit log.

use jeton_core::{AuditKind, ClientId, Timestamp};
use jeton_store::{AuditFilter, Store};

use crate::samples::{client, event};
use crate::world::World;

/// 50,000 events of a busy client; every thousandth is another's, with a word to be found.
async fn append_one_a_second(store: &Store, start: Timestamp, busy: ClientId, rare: ClientId) {
    for batch in 0..50_u64 {
        let events: Vec<_> = (0..1_000)
            .map(|index| {
                let mut event = event(AuditKind::TokenIssued);
                event.at = start.plus(std::time::Duration::from_secs(batch * 1_000 + index));
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

#[tokio::test]
async fn a_search_finds_everything_in_bounded_steps() {
    let world = World::new().await;
    let start = Timestamp::from_seconds(1_800_000_000);
    let at = |seconds: u64| start.plus(std::time::Duration::from_secs(seconds));
    let (busy, rare) = (client().id, client().id);
    append_one_a_second(&world.store, start, busy, rare).await;
    let search = async |filter: AuditFilter| {
        let (mut found, mut before, mut steps) = (Vec::new(), None, 0);
        loop {
            let part = world.store.search_audit(&filter, before, 10).await.unwrap();
            assert!(part.events.len() <= 10);
            found.extend(part.events.iter().map(|event| event.seq));
            steps += 1;
            match part.next {
                Some(next) => before = Some(next),
                None => return (found, steps),
            }
        }
    };
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
    let (of_rare, steps) = search(of(rare)).await;
    assert!(of_rare == needles && steps <= 6, "{steps}");
    let of_nobody = search(of(client().id)).await;
    assert_eq!(of_nobody, (vec![], 1));
    let early = search(AuditFilter {
        until: Some(at(3)),
        ..of(busy)
    });
    assert_eq!(early.await.0, [3, 2, 1]);
    let newest = world
        .store
        .search_audit(&AuditFilter::default(), None, 2)
        .await
        .unwrap();
    assert_eq!(newest.events[0].seq, 50_000);
    assert_eq!(newest.next, Some(49_999));
}
