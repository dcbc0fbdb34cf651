//! What a store needs to look after itself: locks, dead connections, forgetting, moving.

use std::time::Duration;

use jeton_core::{AuditKind, ClientSecret, Grant, PlainSecret, SecretId, SecretOwner, Timestamp};
use jeton_jose::OsEntropy;
use jeton_store::{
    ClientPart, CopyError, Database, Lock, Over, Store, StoreError, TokenCount, WholeClient,
    copy_everything, retry_on_conflict,
};

use crate::samples::{client, event, mcp_server, now};
use crate::world::World;

/// PostgreSQL itself, with no pooler between, whose own connections would be ended.
async fn on_postgres() -> Option<World> {
    let world = World::without_pooler().await;
    matches!(world.database, Database::Postgres(_)).then_some(world)
}

#[expect(clippy::panic, reason = "a failed step is a failed test")]
async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never happened: {what}");
}

const OTHERS: &str =
    "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test]
async fn a_write_that_never_began_is_begun_again() {
    let Some(world) = on_postgres().await else {
        return;
    };
    let store = &world.store;
    // Every pooled connection has just been used, and is not asked whether it lives.
    for _ in 0..3 {
        for transaction in together(4, || store.begin()).await.into_iter().flatten() {
            transaction.commit().await.unwrap();
        }
        together(8, || store.admins()).await;
        store
            .append_audit(&[event(AuditKind::TokenIssued)])
            .await
            .unwrap();
        world
            .sql(&format!("SELECT pg_terminate_backend(pid) {OTHERS}"))
            .await;
        store
            .append_audit(&[event(AuditKind::TokenIssued)])
            .await
            .unwrap();
        for _ in 0..10 {
            retry_on_conflict(|| async {
                let mut tx = store.begin().await?;
                tx.insert_client(&client()).await?;
                tx.record(&event(AuditKind::ClientCreated)).await?;
                tx.commit().await
            })
            .await
            .unwrap();
            store.admins().await.unwrap();
        }
    }
    let events = store.audit_after(0, 100).await.unwrap();
    assert_eq!(events.len(), 36, "each once");
}

/// What each of several gives, held until all are there.
async fn together<T, F: Future<Output = T>>(number: usize, make: impl Fn() -> F) -> Vec<T> {
    let mut held = Vec::new();
    for _ in 0..number {
        held.push(make().await);
    }
    held
}

#[tokio::test]
async fn a_lock_that_is_lost_is_noticed() {
    let Some(world) = on_postgres().await else {
        return;
    };
    let lock = world.store.lock(Lock::Statistics).await.unwrap();
    lock.check().await.unwrap();
    world
        .sql(&format!("SELECT pg_terminate_backend(pid) {OTHERS}"))
        .await;
    eventually("it is noticed", async || {
        matches!(lock.check().await, Err(StoreError::LockLost))
    })
    .await;
    let other = world.store.try_lock(Lock::Statistics).await.unwrap();
    assert!(other.is_some(), "it is free");
}

#[tokio::test]
async fn no_step_of_work_on_the_audit_log_is_made_without_its_lock() {
    let Some(world) = on_postgres().await else {
        return;
    };
    let store = &world.store;
    let alone = store.lock(Lock::AuditIndex).await.unwrap();
    store.note_clock_steps(&alone).await.unwrap();
    world
        .sql(&format!("SELECT pg_terminate_backend(pid) {OTHERS}"))
        .await;
    eventually("the lock is lost", async || alone.check().await.is_err()).await;
    for step in [
        store.note_clock_steps(&alone).await,
        store.index_audit(&alone).await,
        store.delete_audit_index(&alone).await,
        store.delete_pruned_audit(1, &alone).await,
    ] {
        assert!(matches!(step, Err(StoreError::LockLost)), "{step:?}");
    }
}

#[tokio::test]
async fn a_lock_lasts_as_long_as_the_work() {
    let Some(world) = on_postgres().await else {
        return;
    };
    let _lock = world.store.lock(Lock::Statistics).await.unwrap();
    let kept = format!(
        "DO $$ BEGIN ASSERT EXISTS (SELECT 1 {OTHERS} AND state = 'idle in transaction' \
         AND query = 'SELECT 1'); END $$"
    );
    eventually("its holder says that it works", async || {
        world.try_sql(&kept).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn two_servers_never_migrate_at_once() {
    let Some(world) = on_postgres().await else {
        return;
    };
    world
        .sql("DROP TABLE write_probe; DROP TABLE server_clock; DELETE FROM _sqlx_migrations WHERE version = 9")
        .await;
    // The migration takes long: somebody keeps it from being noted.
    let mut slow = world.connect().await;
    let run = async |connection: &mut sqlx::AnyConnection, sql: &'static str| {
        sqlx::raw_sql(sql).execute(connection).await.unwrap();
    };
    run(
        &mut slow,
        "BEGIN; LOCK TABLE _sqlx_migrations IN SHARE MODE",
    )
    .await;
    let open = || {
        let database = world.database.clone();
        tokio::task::JoinSet::from_iter([async move { Store::open(&database).await }])
    };
    let waiting = |number: u32| {
        format!(
            "DO $$ BEGIN ASSERT (SELECT count(*) {OTHERS} AND wait_event_type = 'Lock') = {number}; END $$"
        )
    };
    let (first, second);
    first = open();
    eventually("the first migrates", async || {
        world.try_sql(&waiting(1)).await.is_ok()
    })
    .await;
    // It loses the lock of the start.
    world
        .sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1845493761")
        .await;
    second = open();
    eventually("the second waits", async || {
        world.try_sql(&waiting(2)).await.is_ok()
    })
    .await;
    run(&mut slow, "COMMIT").await;
    for mut opening in [first, second] {
        opening.join_next().await.unwrap().unwrap().unwrap();
    }
}

fn secret(owner: SecretOwner, expires_at: Option<Timestamp>) -> ClientSecret {
    let plain = PlainSecret::generate(&OsEntropy).unwrap();
    ClientSecret {
        id: SecretId::generate(now(), &OsEntropy).unwrap(),
        owner,
        digest: plain.digest(),
        suffix: plain.suffix(),
        created_at: now(),
        expires_at,
        last_used_at: None,
        revoked_at: None,
    }
}

#[expect(clippy::too_many_lines, reason = "one of everything")]
#[tokio::test]
async fn what_is_over_is_forgotten_and_the_rest_is_kept() {
    let world = World::new().await;
    let store = &world.store;
    let day = Duration::from_secs(24 * 60 * 60);
    let (old, limit) = (now().minus(day * 60), now().minus(day * 30));
    let client = client();
    let owner = SecretOwner::Client(client.id);
    let kept = [secret(owner, None), secret(owner, Some(now().minus(day)))];
    let revoked = secret(owner, None);
    let mut tx = store.begin().await.unwrap();
    tx.insert_client(&client).await.unwrap();
    for secret in kept.iter().chain([&secret(owner, Some(old)), &revoked]) {
        tx.insert_secret(secret).await.unwrap();
    }
    assert!(tx.revoke_secret(revoked.id, old).await.unwrap());
    tx.revoke_token("old", old, old).await.unwrap();
    tx.revoke_token("new", now(), now()).await.unwrap();
    tx.commit().await.unwrap();
    // Many rows, of which some are of nobody that is there.
    let gone = crate::samples::client().id;
    let uses = |id| vec![(id, now())];
    let hours = |hour| {
        vec![(
            (hour, client.id),
            TokenCount {
                issued: 1,
                refused: 0,
            },
        )]
    };
    for part in [
        ClientPart::LastIssued(uses(client.id)),
        ClientPart::LastIssued(uses(gone)),
        ClientPart::LastUsed(vec![(kept[0].id, now()), (revoked.id, now())]),
        ClientPart::Hours(hours(1)),
        ClientPart::Hours(hours(now().as_millis() / 3_600_000)),
    ] {
        store.count_part(1, &part).await.unwrap();
    }
    for over in [
        Over::Secrets(limit),
        Over::RevokedTokens(limit),
        Over::ClientHours(limit),
        Over::Minutes(limit),
        Over::Invitations(limit),
        Over::UsesOfSecrets,
        Over::UsesOfClients,
        Over::RefusalsOfClients,
    ] {
        assert!(!store.forget(over).await.unwrap(), "{over:?}");
    }
    let left: Vec<_> = store.secrets_of(owner).await.unwrap();
    let left: Vec<_> = left.iter().map(|secret| secret.id).collect();
    // IDs of the same millisecond are in any order.
    let mut expected = kept.each_ref().map(|secret| secret.id);
    expected.sort_unstable();
    assert_eq!(left, expected);
    assert!(!store.is_token_revoked("old").await.unwrap());
    assert!(store.is_token_revoked("new").await.unwrap());
    let activity = store.client_activity(client.id).await.unwrap();
    assert!(activity.last_issued_at.is_some());
    assert!(
        store
            .client_activity(gone)
            .await
            .unwrap()
            .last_issued_at
            .is_none()
    );
    let count = store
        .tokens_of_client(client.id, now().minus(day), now())
        .await;
    assert_eq!(count.unwrap().issued, 1);
}

#[tokio::test]
async fn a_client_with_many_secrets_and_grants_is_read_as_their_sum() {
    let world = World::new().await;
    let client = client();
    let owner = SecretOwner::Client(client.id);
    let secrets: Vec<_> = (0..40).map(|_| secret(owner, None)).collect();
    let mut tx = world.store.begin().await.unwrap();
    let mut grants = Vec::new();
    for number in 0..30 {
        let server = mcp_server(&format!("http://localhost:3002/{number}"));
        tx.insert_mcp_server(&server).await.unwrap();
        grants.push(Grant {
            client_id: client.id,
            mcp_server_id: server.id,
            scopes: "todo:read".parse().unwrap(),
            created_at: now(),
            version: 1,
        });
    }
    let whole = WholeClient {
        client: client.clone(),
        secrets,
        grants,
    };
    tx.insert_whole_clients(std::slice::from_ref(&whole))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let found = world
        .store
        .find_whole_client(client.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.client, whole.client);
    assert_eq!((found.secrets.len(), found.grants.len()), (40, 30));
    let all = world.store.whole_clients_after(None, 10).await.unwrap();
    assert_eq!((all[0].secrets.len(), all[0].grants.len()), (40, 30));
}

#[tokio::test]
async fn every_column_of_every_table_is_moved() {
    let (from, to) = (World::new().await, World::new().await);
    let client = client();
    let mut tx = from.store.begin().await.unwrap();
    tx.insert_client(&client).await.unwrap();
    tx.record(&event(AuditKind::ClientCreated)).await.unwrap();
    tx.commit().await.unwrap();
    // A column that a later migration made.
    for world in [&from, &to] {
        world.sql("ALTER TABLE client ADD COLUMN later TEXT").await;
    }
    from.sql("UPDATE client SET later = 'kept'").await;
    // As every migration is done before anything is read.
    let (source, target) = (from.open_again().await, to.open_again().await);
    copy_everything(&source, &target, |_, _| ()).await.unwrap();
    let moved = "UPDATE client SET name = 'moved' WHERE later = 'kept'";
    to.sql(moved).await;
    let found = target.find_client(client.id).await.unwrap().unwrap();
    assert_eq!(found.name.as_str(), "moved");
    // A table that nobody thought of.
    from.sql("CREATE TABLE forgotten (id TEXT NOT NULL PRIMARY KEY)")
        .await;
    let error = copy_everything(&source, &target, |_, _| ())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, CopyError::UnknownTable { table } if table == "forgotten"),
        "{error}"
    );
}
