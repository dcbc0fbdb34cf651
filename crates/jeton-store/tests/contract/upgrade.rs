//! Databases of other versions.

use jeton_core::{
    Actor, Admin, AdminId, AuditKind, ClientSecret, Grant, Invitation, InvitationId, PlainSecret,
    ProviderIdentity, Role, RoleSource, SecretId, SecretOwner, Timestamp, TokenId,
};
use jeton_jose::OsEntropy;
use jeton_store::{AdminSession, AuditFilter, Database, Store, StoreError};
use sqlx::{Connection as _, Row as _};

use crate::samples::{client, event, mcp_server, now};
use crate::world::{World, indexing};

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

/// What migration 7 changed.
const UNDO_ADMIN_IDENTITY: &str = "\
    DROP INDEX admin_identity;
    ALTER TABLE admin DROP COLUMN oidc_issuer;
    ALTER TABLE admin DROP COLUMN oidc_subject;
    ALTER TABLE admin DROP COLUMN role_source;
    DELETE FROM _sqlx_migrations WHERE version = 7;";

/// What migration 6 changed, as migration 5 had made it.
const UNDO_AUDIT_MEMORY: &str = "\
    ALTER TABLE audit_head RENAME COLUMN head_hash TO batch_hash;
    DROP TABLE audit_key;
    DROP TABLE audit_note;
    DROP TABLE audit_note_forward;
    DROP TABLE audit_clock;
    DROP TABLE audit_clock_step;
    DELETE FROM _sqlx_migrations WHERE version = 6;";

/// What migration 5 changed, as migration 4 had made it.
const UNDO_AUDIT_INDEX: &str = "\
    DROP INDEX audit_event_jti;
    CREATE INDEX audit_event_jti ON audit_event (jti) WHERE jti IS NOT NULL;
    DROP TABLE audit_client_span;
    CREATE INDEX audit_event_client ON audit_event ((seq / 256), client_id)
        WHERE client_id IS NOT NULL;
    DELETE FROM statistics_progress WHERE id = 3;
    DELETE FROM _sqlx_migrations WHERE version = 5;";

/// What migration 8 changed, as it was before.
const UNDO_STANDING: &str = "\
    ALTER TABLE client_grant DROP COLUMN version;
    DROP TABLE void_token;
    DROP TABLE retired_url;
    DELETE FROM _sqlx_migrations WHERE version = 8;";

/// As migration 4 had made it.
async fn undo_audit_index(world: &World) {
    for undo in [UNDO_STANDING, UNDO_AUDIT_MEMORY, UNDO_AUDIT_INDEX] {
        world.sql(undo).await;
    }
}

#[tokio::test]
async fn events_are_found_after_the_upgrade_that_changed_how() {
    let world = World::new().await;
    let (about, other) = (client().id, client().id);
    let token = TokenId::generate(now(), &OsEntropy).unwrap();
    let events: Vec<_> = (0..1_000)
        .map(|number| {
            let mut event = event(AuditKind::TokenIssued);
            event.client_id = Some(if number % 100 == 7 { about } else { other });
            event.jti = (number == 7).then(|| token.to_string());
            event
        })
        .collect();
    world.store.append_audit(&events).await.unwrap();
    undo_audit_index(&world).await;
    let mut told = None;
    let store = Store::open_telling(&world.database, |upgrade| told = Some(upgrade))
        .await
        .unwrap();
    assert_eq!(told.map(|upgrade| upgrade.from), Some(4));
    let of_client = AuditFilter {
        client_id: Some(about),
        ..AuditFilter::default()
    };
    for _ in ["at once", "later"] {
        let found = store.search_audit(&of_client, None, 100).await.unwrap();
        assert_eq!((found.events.len(), found.next), (10, None));
        let alone = indexing(&store).await;
        while store.index_audit(&alone).await.unwrap() {}
    }
    let of_token = AuditFilter {
        jti: Some(token.to_string()),
        ..AuditFilter::default()
    };
    let found = store.search_audit(&of_token, None, 100).await.unwrap();
    let found: Vec<_> = found.events.iter().map(|event| event.seq).collect();
    assert_eq!(found, [8]);
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
    undo_audit_index(&world).await;
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
    assert_eq!(told.map(|upgrade| upgrade.from), Some(3));
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

#[tokio::test]
async fn the_upgrade_keeps_every_role_that_another_admin_may_have_given() {
    let world = World::new().await;
    let mut tx = world.store.begin().await.unwrap();
    for (name, role, hash) in [
        ("ada", Role::Admin, None),
        ("eve", Role::Admin, Some("hash")),
        ("vera", Role::Viewer, None),
        ("walt", Role::Viewer, Some("hash")),
    ] {
        let admin = Admin {
            role,
            ..someone(name, None)
        };
        let hash = hash.map(|hash: &str| hash.to_owned().into());
        tx.insert_admin(&admin, hash.as_ref()).await.unwrap();
    }
    tx.commit().await.unwrap();
    world.sql(UNDO_ADMIN_IDENTITY).await;
    let store = Store::open(&world.database).await.unwrap();
    let admins = store.admins().await.unwrap();
    let mut sources: Vec<_> = admins
        .iter()
        .map(|admin| (admin.name.as_str(), admin.role_source.as_str()))
        .collect();
    sources.sort_unstable();
    assert_eq!(
        sources,
        [
            ("ada", "manual"),
            ("eve", "manual"),
            ("vera", "provider"),
            ("walt", "manual")
        ]
    );
}

/// What migration 11 changed, as it was before.
const UNDO_DEFAULT_SERVER: &str = "\
    ALTER TABLE client DROP COLUMN default_mcp_server_id;
    ALTER TABLE mcp_server DROP COLUMN aliases;
    DROP TABLE mcp_server_url;
    DELETE FROM _sqlx_migrations WHERE version = 11;";

#[tokio::test]
async fn after_the_upgrade_a_clients_oldest_grant_is_its_default_and_urls_stay_taken() {
    let world = World::new().await;
    let (first, second) = (
        mcp_server("https://a.example/mcp"),
        mcp_server("https://b.example/mcp"),
    );
    let (busy, idle) = (client(), client());
    let at = |millis| Timestamp::from_millis(millis);
    let scopes = || first.scope_set();
    let mut tx = world.store.begin().await.unwrap();
    for server in [&first, &second] {
        tx.insert_mcp_server(server).await.unwrap();
    }
    for client in [&busy, &idle] {
        tx.insert_client(client).await.unwrap();
    }
    for (server, created) in [(&first, at(2_000)), (&second, at(1_000))] {
        let grant = Grant::new(busy.id, server.id, scopes(), created);
        tx.put_grant(&grant).await.unwrap();
    }
    tx.commit().await.unwrap();
    world.sql(UNDO_DEFAULT_SERVER).await;
    let store = Store::open(&world.database).await.unwrap();
    let default = async |id| {
        let client = store.find_client(id).await.unwrap().unwrap();
        client.default_mcp_server
    };
    assert_eq!(default(busy.id).await, Some(second.id));
    assert_eq!(default(idle.id).await, None);
    let mut tx = store.begin().await.unwrap();
    let mut third = mcp_server("https://c.example/mcp");
    third.aliases = vec!["HTTPS://A.example:443/mcp/".parse().unwrap()];
    assert!(matches!(
        tx.insert_mcp_server(&third).await,
        Err(StoreError::Exists)
    ));
}

/// What migration 13 changed, as it was before.
const UNDO_ADMINS: &str = "\
    ALTER TABLE admin DROP COLUMN invited_by;
    ALTER TABLE admin DROP COLUMN email_named;
    ALTER TABLE admin DROP COLUMN browsers_forgotten_at;
    ALTER TABLE admin_invitation DROP COLUMN invited_by;
    ALTER TABLE admin_invitation DROP COLUMN email;
    ALTER TABLE admin_invitation DROP COLUMN resets;
    ALTER TABLE admin_session DROP COLUMN source;
    ALTER TABLE admin_session DROP COLUMN user_agent;
    ALTER TABLE admin_session DROP COLUMN confirmed_at;
    ALTER TABLE admin_session DROP COLUMN failures;
    DROP TABLE used_sign_in;
    DELETE FROM _sqlx_migrations WHERE version = 13;";

fn someone(name: &str, subject: Option<&str>) -> Admin {
    Admin {
        id: AdminId::generate(now(), &OsEntropy).unwrap(),
        name: name.parse().unwrap(),
        email: format!("{name}@example.com").parse().unwrap(),
        role: Role::Admin,
        role_source: RoleSource::Manual,
        identity: subject.map(|subject| ProviderIdentity {
            issuer: "https://login.example.com".into(),
            subject: subject.into(),
        }),
        has_password: false,
        invited_by: None,
        email_named: false,
        browsers_forgotten_at: None,
        created_at: now(),
        last_sign_in_at: None,
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "each kind of admin and of link")]
async fn the_upgrade_leaves_nobody_a_password_beside_an_account_nor_a_link_of_an_unknown_maker() {
    let world = World::new().await;
    // With a password; with an account; with both, of which the password may be somebody else's.
    let people = [
        (someone("ada", None), true),
        (someone("eve", Some("1")), false),
        (someone("vera", Some("2")), true),
    ];
    let mut tx = world.store.begin().await.unwrap();
    for (admin, has_password) in &people {
        let hash = has_password.then(|| "hash".to_owned().into());
        tx.insert_admin(admin, hash.as_ref()).await.unwrap();
        let session = AdminSession {
            admin_id: admin.id,
            created_at: now(),
            seen_at: now(),
            confirmed_at: now(),
            source: None,
            user_agent: None,
        };
        let token = PlainSecret::generate(&OsEntropy).unwrap();
        tx.insert_admin_session(token.digest(), &session)
            .await
            .unwrap();
    }
    let mut links = Vec::new();
    for (note, first) in [("first", true), ("used", false), ("open", false)] {
        let link = PlainSecret::generate(&OsEntropy).unwrap();
        let invitation = Invitation {
            id: InvitationId::generate(now(), &OsEntropy).unwrap(),
            role: Role::Viewer,
            note: note.into(),
            invited_by: Actor::System,
            email: None,
            resets: None,
            first,
            created_at: now(),
            expires_at: now().plus(std::time::Duration::from_secs(60)),
        };
        tx.insert_admin_invitation(link.digest(), &invitation)
            .await
            .unwrap();
        links.push(link);
    }
    assert!(
        tx.use_admin_invitation(links[1].digest(), now())
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    world.sql(UNDO_ADMINS).await;

    let store = Store::open(&world.database).await.unwrap();
    let after = store.admins().await.unwrap();
    for ((admin, _), (has_password, sessions)) in
        people.iter().zip([(true, 1), (false, 1), (false, 0)])
    {
        let found = after.iter().find(|one| one.id == admin.id).unwrap();
        assert_eq!(found.has_password, has_password, "{}", admin.name);
        assert_eq!(found.identity, admin.identity, "{}", admin.name);
        // Nobody confirmed the address, and nobody is known to have invited them.
        assert!(!found.email_named && found.invited_by.is_none());
        let kept = store.admin_sessions_of(admin.id).await.unwrap();
        assert_eq!(kept.len(), sessions, "{}", admin.name);
        // Whoever was signed in gave the password when the session began.
        let mut begun = kept.iter().map(|kept| &kept.session);
        assert!(begun.all(|session| session.confirmed_at == session.created_at));
    }
    assert_eq!(store.admin_invitations(now()).await.unwrap().len(), 0);
    let open = store.find_admin_invitation(links[2].digest(), now()).await;
    assert!(open.unwrap().is_none());
    let mut connection = world.connect().await;
    let rows = sqlx::query("SELECT note, invited_by FROM admin_invitation ORDER BY note")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let kept: Vec<(String, String)> = rows
        .iter()
        .map(|row| (row.get("note"), row.get("invited_by")))
        .collect();
    let maker = |note: &str, by: &str| (note.to_owned(), by.to_owned());
    assert_eq!(kept, [maker("first", "system"), maker("used", "unknown")]);
}
