//! What every store has to do, whatever database is under it.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use jeton_core::{
    Actor, Admin, AdminId, AuditEvent, AuditKind, Client, ClientId, ClientSecret, ClientStatus,
    Clock as _, CustomClaims, EventId, Grant, Invitation, InvitationId, McpServer, McpServerId,
    PlainSecret, Role, ScopeDefinition, SecretId, SecretOwner, SecretState, SystemClock, Timestamp,
};
use jeton_jose::OsEntropy;
use jeton_store::{
    AuditFilter, BrokenReason, ClientFilter, ClientPart, ClientTallies, Database, PageRequest,
    Postgres, Store, StoreError, Upgrade, WholeClient,
};
use secrecy::ExposeSecret as _;
use sqlx::Connection as _;

/// A database of its own: SQLite, or PostgreSQL where `TEST_POSTGRES_URL` names a cluster.
struct World {
    store: Store,
    database: Database,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = match variable("TEST_POSTGRES_URL") {
            Some(cluster) => {
                let url = new_postgres_database(&cluster).await;
                // Through PgBouncer in transaction mode, where it is there.
                let pooler = variable("TEST_PGBOUNCER_URL").map(|pooler| {
                    let (base, _) = pooler.rsplit_once('/').unwrap();
                    let (_, name) = url.rsplit_once('/').unwrap();
                    format!("{base}/{name}")
                });
                Database::Postgres(Postgres {
                    notification_url: pooler.as_ref().map(|_| url.clone().into()),
                    url: pooler.unwrap_or(url).into(),
                    connections: 8,
                })
            }
            None => Database::Sqlite(folder.path().join("jeton test%20.db")),
        };
        let store = Store::open(&database).await.unwrap();
        Self {
            store,
            database,
            _folder: folder,
        }
    }

    /// As if by another server, or after a restart.
    async fn open_again(&self) -> Store {
        Store::open(&self.database).await.unwrap()
    }

    /// The hash that a copy of the last event would have as the next batch, computed by another
    /// store that continues the same chain.
    async fn next_hash(&self) -> String {
        let twin = World::new().await;
        let (mut after, mut last) = (0, None);
        loop {
            let events = self.store.audit_after(after, 2).await.unwrap();
            let Some((newest, _)) = events.last() else {
                break;
            };
            after = newest.seq;
            last = Some(newest.event.clone());
            let events: Vec<_> = events.into_iter().map(|(one, _)| one.event).collect();
            twin.store.append_audit(&events).await.unwrap();
        }
        twin.store.append_audit(&[last.unwrap()]).await.unwrap();
        let written = twin.store.audit_after(after, 1).await.unwrap();
        let (_, hash) = written.first().unwrap();
        hash.clone().unwrap()
    }

    /// Behind the store's back.
    async fn sql(&self, statement: &str) {
        let url = match &self.database {
            Database::Sqlite(file) => format!(
                "sqlite://{}",
                file.to_string_lossy()
                    .replace('%', "%25")
                    .replace(' ', "%20")
            ),
            Database::Postgres(postgres) => {
                let direct = postgres.notification_url.as_ref();
                direct.unwrap_or(&postgres.url).expose_secret().to_owned()
            }
        };
        let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "which database to test is said in the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// In the cluster, whose URL ends in a database of its own.
async fn new_postgres_database(cluster: &str) -> String {
    sqlx::any::install_default_drivers();
    let name = format!(
        "contract_{}_{}",
        std::process::id(),
        EventId::generate(now(), &OsEntropy)
            .unwrap()
            .to_string()
            .to_lowercase()
    );
    let mut connection = sqlx::AnyConnection::connect(cluster).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let (base, _) = cluster.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}

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
        assert!(span.last > after, "a walk gets on");
        after = span.last;
    }
}

fn now() -> Timestamp {
    SystemClock.now()
}

fn mcp_server(url: &str) -> McpServer {
    McpServer {
        id: McpServerId::generate(now(), &OsEntropy).unwrap(),
        name: "Todo".parse().unwrap(),
        description: "things, \"quoted\" and\nbroken".parse().unwrap(),
        url: url.parse().unwrap(),
        scopes: vec!["todo:read=Read todos".parse::<ScopeDefinition>().unwrap()],
        token_ttl: 3600.try_into().unwrap(),
        signing_alg: jeton_core::SigningAlgorithm::Rs256,
        token_profile: jeton_core::TokenProfile::Compatible,
        own_issuer: false,
        system: false,
        created_at: now(),
        updated_at: now(),
        version: 1,
    }
}

fn client() -> Client {
    Client {
        id: ClientId::generate(now(), &OsEntropy).unwrap(),
        name: "agent".parse().unwrap(),
        description: "".parse().unwrap(),
        status: ClientStatus::Enabled,
        token_ttl: None,
        custom_claims: CustomClaims::default(),
        created_at: now(),
        updated_at: now(),
        version: 1,
    }
}

fn event(kind: AuditKind) -> AuditEvent {
    let id = EventId::generate(now(), &OsEntropy).unwrap();
    AuditEvent::new(id, now(), kind, Actor::System)
}

fn first<C>(limit: u32) -> PageRequest<C> {
    PageRequest { after: None, limit }
}

#[tokio::test]
async fn what_was_written_reads_back_and_survives_reopening() {
    let world = World::new().await;
    let server = mcp_server("http://localhost:3002/mcp");
    let client = Client {
        token_ttl: Some(60.try_into().unwrap()),
        ..client()
    };
    let grant = Grant {
        client_id: client.id,
        mcp_server_id: server.id,
        scopes: "todo:read".parse().unwrap(),
        created_at: now(),
    };
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_mcp_server(&server).await.unwrap();
    tx.insert_client(&client).await.unwrap();
    tx.put_grant(&grant).await.unwrap();
    tx.commit().await.unwrap();
    world.store.close().await;

    let store = world.open_again().await;
    assert_eq!(
        store.find_mcp_server(server.id).await.unwrap(),
        Some(server.clone())
    );
    assert_eq!(
        store.find_client(client.id).await.unwrap(),
        Some(client.clone())
    );
    assert_eq!(store.grants_of_client(client.id).await.unwrap(), [grant]);
    assert_eq!(store.all_mcp_servers().await.unwrap(), [server]);
}

#[tokio::test]
async fn a_dropped_transaction_changes_nothing() {
    let world = World::new().await;
    let client = client();
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_client(&client).await.unwrap();
    drop(tx);
    assert_eq!(world.store.find_client(client.id).await.unwrap(), None);
}

#[tokio::test]
async fn two_servers_cannot_have_the_same_url() {
    let world = World::new().await;
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_mcp_server(&mcp_server("https://a.example/mcp"))
        .await
        .unwrap();
    let same = mcp_server("HTTPS://A.example:443/mcp/");
    assert!(matches!(
        tx.insert_mcp_server(&same).await,
        Err(StoreError::Exists)
    ));
}

#[tokio::test]
async fn an_update_from_an_old_version_is_stale() {
    let world = World::new().await;
    let client = client();
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_client(&client).await.unwrap();
    let changed = Client {
        version: 2,
        status: ClientStatus::Disabled,
        ..client.clone()
    };
    tx.update_client(&changed).await.unwrap();
    assert!(matches!(
        tx.update_client(&changed).await,
        Err(StoreError::Stale)
    ));
    tx.commit().await.unwrap();
    assert_eq!(
        world.store.find_client(client.id).await.unwrap(),
        Some(changed)
    );
}

#[tokio::test]
async fn deleting_a_client_takes_its_grants_and_secrets_along() {
    let world = World::new().await;
    let (server, client) = (mcp_server("https://a.example/"), client());
    let owner = SecretOwner::Client(client.id);
    let plain = PlainSecret::generate(&OsEntropy).unwrap();
    let secret = ClientSecret {
        id: SecretId::generate(now(), &OsEntropy).unwrap(),
        owner,
        digest: plain.digest(),
        suffix: plain.suffix(),
        created_at: now(),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    let grant = Grant {
        client_id: client.id,
        mcp_server_id: server.id,
        scopes: jeton_core::ScopeSet::empty(),
        created_at: now(),
    };
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_mcp_server(&server).await.unwrap();
    tx.insert_client(&client).await.unwrap();
    tx.put_grant(&grant).await.unwrap();
    tx.insert_secret(&secret).await.unwrap();
    tx.commit().await.unwrap();
    let kept = world.store.secrets_of(owner).await.unwrap();
    assert!(kept[0].digest.matches(&plain.digest()));

    let mut tx = world.store.begin().await.unwrap();
    assert!(tx.delete_client(client.id).await.unwrap());
    assert!(!tx.delete_client(client.id).await.unwrap());
    tx.commit().await.unwrap();
    assert!(world.store.secrets_of(owner).await.unwrap().is_empty());
    assert!(
        world
            .store
            .grants_on_mcp_server(server.id)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_secret_is_revoked_once_and_expires_when_rotated() {
    let world = World::new().await;
    let owner = SecretOwner::Client(client().id);
    let plain = PlainSecret::generate(&OsEntropy).unwrap();
    let secret = |expires_at| ClientSecret {
        id: SecretId::generate(now(), &OsEntropy).unwrap(),
        owner,
        digest: plain.digest(),
        suffix: plain.suffix(),
        created_at: now(),
        expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    let at = |seconds| Timestamp::from_seconds(seconds);
    let (forever, soon) = (secret(None), secret(Some(at(50))));
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_secret(&forever).await.unwrap();
    tx.insert_secret(&soon).await.unwrap();
    tx.expire_secrets(owner, at(100)).await.unwrap();
    tx.commit().await.unwrap();
    let used = async |used| {
        let part = ClientPart::LastUsed(used);
        world.store.count_part(1, &part).await.unwrap();
    };
    used(vec![(forever.id, at(7)), (soon.id, at(8))]).await;
    // Told late, and of an earlier use.
    used(vec![(forever.id, at(6))]).await;
    let forever_now = world.store.find_secret(forever.id).await.unwrap().unwrap();
    let soon_now = world.store.find_secret(soon.id).await.unwrap().unwrap();
    assert_eq!(forever_now.expires_at, Some(at(100)));
    assert_eq!(soon_now.expires_at, Some(at(50)));
    assert_eq!(forever_now.last_used_at, Some(at(7)));

    let mut tx = world.store.begin().await.unwrap();
    assert!(tx.revoke_secret(forever.id, at(9)).await.unwrap());
    assert!(!tx.revoke_secret(forever.id, at(10)).await.unwrap());
    tx.commit().await.unwrap();
    let revoked = world.store.find_secret(forever.id).await.unwrap().unwrap();
    assert_eq!(revoked.state(at(1)), SecretState::Revoked);
    assert_eq!(revoked.revoked_at, Some(at(9)));
}

#[tokio::test]
async fn pages_follow_one_another_without_gap_or_repetition() {
    let world = World::new().await;
    let mut tx = world.store.begin().await.unwrap();
    let mut expected = Vec::new();
    for _ in 0..7 {
        let client = client();
        tx.insert_client(&client).await.unwrap();
        expected.push(client.id);
    }
    tx.commit().await.unwrap();
    expected.sort();
    expected.reverse();
    let (mut found, mut request) = (Vec::new(), first(3));
    loop {
        let page = world
            .store
            .clients(&ClientFilter::default(), request)
            .await
            .unwrap();
        found.extend(page.items.iter().map(|client| client.id));
        let Some(next) = page.next else { break };
        request.after = Some(next.parse().unwrap());
    }
    assert_eq!(found, expected);
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

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let world = World::new().await;
    let checksum = match world.database {
        Database::Sqlite(_) => "x'00'",
        Database::Postgres(_) => "'\\x00'",
    };
    world
        .sql(&format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
             execution_time) VALUES (9999, 'later', TRUE, {checksum}, 0)"
        ))
        .await;
    world.store.close().await;
    let error = Store::open(&world.database).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { found: 9999 }),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_is_revoked_once() {
    let world = World::new().await;
    let mut tx = world.store.begin().await.unwrap();
    assert!(tx.revoke_token("j", now(), now()).await.unwrap());
    assert!(!tx.revoke_token("j", now(), now()).await.unwrap());
    tx.commit().await.unwrap();
    assert!(world.store.is_token_revoked("j").await.unwrap());
    assert!(!world.store.is_token_revoked("k").await.unwrap());
}

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

/// What migration 4 changed, as migration 2 had made it.
const UNDO_MANY_CLIENTS: &str = "\
    DROP INDEX audit_event_client;
    CREATE INDEX audit_event_client ON audit_event (client_id, seq) WHERE client_id IS NOT NULL;
    DROP TABLE client_hour;
    DROP TABLE client_use;
    CREATE TABLE client_hour (client_id TEXT NOT NULL, hour BIGINT NOT NULL, issued BIGINT NOT NULL,
        refused BIGINT NOT NULL, last_issued_at BIGINT, PRIMARY KEY (client_id, hour));
    CREATE INDEX client_hour_hour ON client_hour (hour);
    DROP TABLE secret_use;
    ALTER TABLE client_secret ADD COLUMN last_used_at BIGINT;
    DELETE FROM statistics_progress WHERE id = 2;
    ALTER TABLE statistics_progress DROP COLUMN until;
    DELETE FROM _sqlx_migrations WHERE version = 4;";

#[tokio::test]
async fn counts_outlive_the_upgrade_that_moved_them() {
    let world = World::new().await;
    let (busy, idle) = (client().id, client().id);
    let hour = Timestamp::from_seconds(1_800_000_000 / 3_600 * 3_600);
    let next = hour.plus(std::time::Duration::from_secs(3_600));
    let number = hour.as_millis() / 3_600_000;
    let later = next.as_millis() + 5;
    world
        .store
        .append_audit(&[event(AuditKind::TokenIssued), event(AuditKind::TokenIssued)])
        .await
        .unwrap();
    let secret = ClientSecret {
        id: SecretId::generate(now(), &OsEntropy).unwrap(),
        owner: SecretOwner::Client(busy),
        digest: PlainSecret::generate(&OsEntropy).unwrap().digest(),
        suffix: "abcd".into(),
        created_at: now(),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_secret(&secret).await.unwrap();
    tx.commit().await.unwrap();
    world.sql(UNDO_MANY_CLIENTS).await;
    world
        .sql(&format!(
            "INSERT INTO client_hour (client_id, hour, issued, refused, last_issued_at) VALUES \
             ('{busy}', {number}, 7, 1, {}), ('{busy}', {}, 2, 0, {later}), \
             ('{idle}', {number}, 0, 3, NULL); \
             UPDATE client_secret SET last_used_at = {later}; \
             UPDATE statistics_progress SET seq = 1 WHERE id = 1",
            hour.as_millis(),
            number + 1,
        ))
        .await;
    let mut told = None;
    let store = Store::open_telling(&world.database, |upgrade| told = Some(upgrade))
        .await
        .unwrap();
    assert_eq!(told, Some(Upgrade { from: 3, to: 4 }));
    let busiest = store.busiest_clients(hour, 10).await.unwrap();
    let counts: Vec<_> = busiest
        .iter()
        .map(|(id, count)| (*id, count.issued, count.refused))
        .collect();
    assert_eq!(counts.first(), Some(&(busy, 9, 1)));
    let last = store.client_activity(busy).await.unwrap().last_issued_at;
    assert_eq!(last, Some(Timestamp::from_millis(later)));
    let never = store.client_activity(idle).await.unwrap().last_issued_at;
    assert_eq!(never, None);
    let secret = store.find_secret(secret.id).await.unwrap().unwrap();
    assert_eq!(secret.last_used_at, Some(Timestamp::from_millis(later)));
    // And they go on from where they were.
    let progress = store.counting_progress().await.unwrap();
    assert_eq!(
        (progress.by_minute, progress.by_client, progress.end),
        (1, 1, 2)
    );
}

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

#[tokio::test]
async fn an_invitation_makes_one_admin_and_the_first_one_none_beside_others() {
    let world = World::new().await;
    let secret = || PlainSecret::generate(&OsEntropy).unwrap();
    let invitation = |first| Invitation {
        id: InvitationId::generate(now(), &OsEntropy).unwrap(),
        role: Role::Admin,
        note: "for a test".into(),
        first,
        created_at: now(),
        expires_at: now().plus(std::time::Duration::from_secs(60)),
    };
    let (first, second) = (secret(), secret());
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_admin_invitation(first.digest(), &invitation(true))
        .await
        .unwrap();
    tx.insert_admin_invitation(second.digest(), &invitation(false))
        .await
        .unwrap();
    let admin = Admin {
        id: AdminId::generate(now(), &OsEntropy).unwrap(),
        name: "Ada".parse().unwrap(),
        email: "Ada@example.com".parse().unwrap(),
        role: Role::Admin,
        created_at: now(),
        last_sign_in_at: None,
    };
    assert!(
        tx.use_admin_invitation(second.digest(), now())
            .await
            .unwrap()
    );
    assert!(
        !tx.use_admin_invitation(second.digest(), now())
            .await
            .unwrap()
    );
    tx.insert_admin(&admin, None).await.unwrap();
    assert!(
        !tx.use_admin_invitation(first.digest(), now())
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    let mut tx = world.store.begin().await.unwrap();
    let twin = Admin {
        id: AdminId::generate(now(), &OsEntropy).unwrap(),
        email: "ada@EXAMPLE.com".parse().unwrap(),
        ..admin
    };
    let inserted = tx.insert_admin(&twin, None).await;
    assert!(matches!(inserted, Err(StoreError::Exists)), "{inserted:?}");
}

#[tokio::test]
async fn clients_registered_by_the_hundred_read_back_whole() {
    let world = World::new().await;
    let server = mcp_server("http://localhost:3002/mcp");
    let whole = |_| {
        let client = client();
        let secret = |expires_at| ClientSecret {
            id: SecretId::generate(now(), &OsEntropy).unwrap(),
            owner: SecretOwner::Client(client.id),
            digest: PlainSecret::generate(&OsEntropy).unwrap().digest(),
            suffix: "abcd".into(),
            created_at: now(),
            expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        WholeClient {
            secrets: vec![secret(None), secret(Some(now()))],
            grants: vec![Grant {
                client_id: client.id,
                mcp_server_id: server.id,
                scopes: "todo:read".parse().unwrap(),
                created_at: now(),
            }],
            client,
        }
    };
    let written: Vec<_> = (0..250).map(whole).collect();
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_mcp_server(&server).await.unwrap();
    tx.insert_whole_clients(&written).await.unwrap();
    tx.commit().await.unwrap();
    for one in written.iter().step_by(83) {
        let read = world.store.find_whole_client(one.client.id).await.unwrap();
        let read = read.unwrap();
        assert_eq!((&read.client, &read.grants), (&one.client, &one.grants));
        let ids = |whole: &WholeClient| {
            let mut ids: Vec<_> = whole.secrets.iter().map(|secret| secret.id).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(&read), ids(one));
    }
    let (mut after, mut count) = (None, 0);
    loop {
        let part = world.store.whole_clients_after(after, 99).await.unwrap();
        let Some(last) = part.last() else {
            break;
        };
        after = Some(last.client.id);
        count += part.len();
    }
    assert_eq!(count, 250);
}
