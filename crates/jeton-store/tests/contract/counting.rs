//! Counting from the audit log.

use jeton_core::{Actor, AuditKind, SecretId, Timestamp};
use jeton_jose::OsEntropy;
use jeton_store::{ClientTallies, Store};

use crate::samples::{client, event, now};
use crate::world::World;

/// A few events at a time, and each of them twice.
async fn count_by_minute(store: &Store, end: i64) {
    for (after, through) in (0..end).step_by(7).map(|seq| (seq, (seq + 7).min(end))) {
        let tallies = store.tally(after, through).await.unwrap();
        for first_time in [true, false] {
            let mut tx = store.begin().await.unwrap();
            let done = tx.count_minutes(after, through, &tallies).await.unwrap();
            assert_eq!(done, first_time, "nothing is counted twice");
            tx.commit().await.unwrap();
        }
    }
    let progress = store.counting_progress().await.unwrap();
    assert_eq!((progress.by_minute, progress.by_client), (end, 0));
}

async fn gathered(store: &Store, after: i64, through: i64) -> ClientTallies {
    let mut clients = ClientTallies::default();
    for tally in store.tally(after, through).await.unwrap() {
        clients.add(&tally);
    }
    clients
}

/// From each mark to the next, with interruptions and latecomers.
async fn count_by_client(store: &Store, marks: &[i64]) {
    for (after, through) in marks.iter().copied().zip(marks.iter().copied().skip(1)) {
        let gather = async || gathered(store, after, through).await.into_parts();
        let begin = async |to| store.begin_counting_clients(after, to).await.unwrap();
        assert!(begin(through).await);
        // Whoever goes on in place of somebody who stopped half-way counts the same part.
        for part in gather().await.take(1).chain(gather().await) {
            store.count_part(through, &part).await.unwrap();
        }
        assert!(!begin(through + 1).await);
        store.end_counting_clients(through).await.unwrap();
        // One who was slow and comes late changes nothing.
        for part in gather().await {
            store.count_part(through, &part).await.unwrap();
        }
        assert!(!begin(through).await);
        let progress = store.counting_progress().await.unwrap();
        assert_eq!(
            (progress.by_client, progress.by_client_until),
            (through, None)
        );
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one log, counted in every way")]
async fn counts_follow_the_audit_log_once_in_batches_of_any_size() {
    let world = World::new().await;
    let (busy, quiet) = (client().id, client().id);
    let hour = Timestamp::from_seconds(1_800_000_000 / 3_600 * 3_600);
    let token = |id, minute: u64, reason: Option<&str>| {
        let mut event = event(match reason {
            None => AuditKind::TokenIssued,
            Some(_) => AuditKind::TokenRefused,
        });
        event.at = hour.plus(std::time::Duration::from_secs(minute * 60));
        event.client_id = Some(id);
        event.reason = reason.map(str::to_owned);
        event
    };
    let mut events = vec![event(AuditKind::ClientCreated)];
    events.extend((0..30).map(|minute| token(busy, minute % 3, None)));
    let secret = SecretId::generate(now(), &OsEntropy).unwrap();
    let mut with_secret = token(busy, 5, Some("first"));
    with_secret.secret_id = Some(secret);
    events.push(with_secret.clone());
    // Who presents an expired secret was not authenticated by it.
    with_secret = token(busy, 7, Some("second"));
    with_secret.secret_id = Some(secret);
    with_secret.actor = Actor::Anonymous;
    events.push(with_secret);
    events.push(token(quiet, 61, None));
    world.store.append_audit(&events).await.unwrap();
    count_by_minute(&world.store, 34).await;
    let used = Some(hour.plus(std::time::Duration::from_secs(5 * 60)));
    assert_eq!(gathered(&world.store, 0, 34).await.last_used(secret), used);
    count_by_client(&world.store, &[0, 20, 34]).await;
    let spans = world.store.tokens_by_span(hour, 60).await.unwrap();
    let counts: Vec<_> = spans
        .iter()
        .map(|(at, count)| (*at, count.issued, count.refused))
        .collect();
    let next = hour.plus(std::time::Duration::from_secs(3_600));
    assert_eq!(counts, [(hour, 30, 2), (next, 1, 0)]);
    let busiest = world.store.busiest_clients(hour, 10).await.unwrap();
    let busiest: Vec<_> = busiest.iter().map(|(id, n)| (*id, n.issued)).collect();
    assert_eq!(busiest, [(busy, 30), (quiet, 1)]);
    assert_eq!(
        world.store.busiest_clients(next, 10).await.unwrap().len(),
        1
    );
    let activity = world.store.client_activity(busy).await.unwrap();
    assert_eq!(activity.last_refusal.as_deref(), Some("second"));
    assert_eq!(
        activity.last_issued_at,
        Some(hour.plus(std::time::Duration::from_secs(120)))
    );
    // Who was refused, for what, and since when: after the last token, and never twice.
    let refused = async |since| {
        let refused = world.store.refused_clients([hour, next, since], now(), 10);
        let refused = refused.await.unwrap();
        let refused = refused
            .into_iter()
            .map(|one| (one.reason, one.refused, one.since));
        refused.collect::<Vec<_>>()
    };
    let minute = |minute: u64| hour.plus(std::time::Duration::from_secs(minute * 60));
    assert_eq!(
        refused(hour).await,
        [
            ("first".to_owned(), [1, 0, 1], Some(minute(5))),
            ("second".to_owned(), [1, 0, 1], Some(minute(7))),
        ]
    );
    let by_reason = world.store.refusals_by_reason([hour, next, next], 10);
    let by_reason = by_reason.await.unwrap();
    assert_eq!(
        by_reason,
        [
            ("first".to_owned(), [1, 0, 0]),
            ("second".to_owned(), [1, 0, 0])
        ]
    );
    let first = world.store.first_token_minute().await.unwrap();
    assert_eq!(first, Some(hour));
    let between = world.store.tokens_between(minute(1), minute(6)).await;
    let between = between.unwrap();
    assert_eq!((between.issued, between.refused), (20, 1));
    let tokens = async |since| {
        world
            .store
            .tokens_of_client(busy, since, next)
            .await
            .unwrap()
    };
    let (all, none) = (tokens(hour).await, tokens(next).await);
    assert_eq!((all.issued, all.refused), (30, 2));
    assert_eq!((none.issued, none.refused), (0, 0));
}

#[tokio::test]
async fn refusals_recorded_together_count_for_the_time_at_which_they_were() {
    let world = World::new().await;
    let id = client().id;
    let at = |seconds: i64| Timestamp::from_seconds(1_800_000_000 + seconds);
    let mut refused = event(AuditKind::TokenRefused);
    (refused.client_id, refused.at) = (Some(id), at(60));
    refused.reason = Some("invalid_client: expired secret".into());
    let mut summary = refused.clone();
    let detail = [
        ("count", 4.into()),
        ("first_at", at(1).to_string().into()),
        ("last_at", at(9).to_string().into()),
    ];
    for (name, value) in detail {
        let value: serde_json::Value = value;
        summary.detail.insert(name.into(), value);
    }
    // A token that was issued in between ended the trouble, though it was recorded before the refusals.
    let mut issued = event(AuditKind::TokenIssued);
    (issued.client_id, issued.at) = (Some(id), at(20));
    world.store.append_audit(&[issued, summary]).await.unwrap();
    count_by_minute(&world.store, 2).await;
    count_by_client(&world.store, &[0, 2]).await;
    let times = [at(0); 3];
    let refused = async |lately| {
        world
            .store
            .refused_clients(times, lately, 10)
            .await
            .unwrap()
    };
    assert_eq!(refused(at(100)).await, []);
    let found = refused(at(0)).await;
    let found = found.first().unwrap();
    assert_eq!(
        (found.refused, found.since, found.last_at),
        ([4; 3], None, at(9))
    );
    let activity = world.store.client_activity(id).await.unwrap();
    assert_eq!(activity.last_refused_at, Some(at(9)));
}
