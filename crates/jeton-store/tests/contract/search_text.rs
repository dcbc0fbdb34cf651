//! Searching for text that is not ASCII: the same is found on both databases.

use jeton_core::{AuditKind, Client, Timestamp};
use jeton_store::{AuditFilter, ClientFilter, Store};

use crate::samples::{client, event, first};
use crate::world::World;

/// Spellings of one name, and what is another.
const SAME: [&str; 4] = ["Équipe", "équipe", "ÉQUIPE", "E\u{301}QUIPE"];
const OTHER: [&str; 3] = ["equipe", "é_uipe", "é%"];

async fn names(store: &Store, text: &str) -> Vec<String> {
    let filter = ClientFilter {
        text: Some(text.to_owned()),
        ..ClientFilter::default()
    };
    let page = store.clients(&filter, first(10)).await.unwrap();
    let names = page.items.into_iter().map(|client| client.name.to_string());
    names.collect()
}

async fn insert(store: &Store, client: &Client) {
    let mut tx = store.begin().await.unwrap();
    tx.insert_client(client).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_client_is_found_whatever_the_case_of_its_letters() {
    let world = World::new().await;
    let mut team = Client {
        name: "Équipe".parse().unwrap(),
        description: "Команда Straße 100%".parse().unwrap(),
        ..client()
    };
    insert(&world.store, &team).await;
    insert(&world.store, &client()).await;
    for text in SAME {
        assert_eq!(names(&world.store, text).await, ["Équipe"], "{text}");
    }
    for text in [
        "КОМАНДА",
        "STRASSE",
        "100%",
        &team.id.to_string().to_uppercase(),
    ] {
        assert_eq!(names(&world.store, text).await, ["Équipe"], "{text}");
    }
    for text in OTHER {
        assert!(names(&world.store, text).await.is_empty(), "{text}");
    }
    team.name = "Ελλάς".parse().unwrap();
    team.version += 1;
    let mut tx = world.store.begin().await.unwrap();
    tx.update_client(&team).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(names(&world.store, "ΕΛΛΆΣ").await, ["Ελλάς"]);
    assert!(names(&world.store, "équipe").await.is_empty());
}

#[tokio::test]
async fn clients_of_an_older_version_are_found_after_the_upgrade() {
    let world = World::new().await;
    let mut tx = world.store.begin().await.unwrap();
    for number in 0..450 {
        let name = if number % 100 == 7 {
            "Équipe"
        } else {
            "agent"
        };
        let name = name.parse().unwrap();
        tx.insert_client(&Client { name, ..client() })
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    world
        .sql(
            "DROP INDEX client_not_folded;
             ALTER TABLE client DROP COLUMN search_text;
             ALTER TABLE client DROP COLUMN search_version;
             DELETE FROM _sqlx_migrations WHERE version = 10;",
        )
        .await;
    world.store.close().await;
    let store = world.open_again().await;
    assert_eq!(names(&store, "ÉQUIPE").await.len(), 5);
    // A server of an older version renames one.
    world
        .sql("UPDATE client SET name = 'Été', version = version + 1 WHERE name = 'Équipe'")
        .await;
    store.fold_clients().await.unwrap();
    assert_eq!(names(&store, "ÉTÉ").await.len(), 5);
    assert!(names(&store, "équipe").await.is_empty());
}

#[tokio::test]
async fn an_event_is_found_whatever_the_case_of_its_letters() {
    let world = World::new().await;
    let named = |name: &str| {
        let mut event = event(AuditKind::ClientCreated);
        event.detail.insert("name".into(), name.into());
        event.at = Timestamp::from_millis(1_800_000_000_000);
        event
    };
    // More than are compared in one step, and one that differs in each.
    let mut events: Vec<_> = (0..3_000).map(|_| named("Été")).collect();
    for (place, text) in [(1, "Équipe"), (700, "ÉQUIPE"), (2_999, "e\u{301}quipe")] {
        events[place] = named(text);
    }
    events[1_500] = named("an ASCII Equipe");
    for part in events.chunks(500) {
        world.store.append_audit(part).await.unwrap();
    }
    let search = async |text: &str, limit: u32| {
        let filter = AuditFilter {
            text: Some(text.to_owned()),
            ..AuditFilter::default()
        };
        let found = world
            .store
            .search_audit(&filter, None, limit)
            .await
            .unwrap();
        let seqs: Vec<_> = found.events.iter().map(|event| event.seq).collect();
        (seqs, found.next)
    };
    for text in SAME {
        assert_eq!(
            search(text, 10).await,
            (vec![3_000, 701, 2], None),
            "{text}"
        );
    }
    assert_eq!(search("équipe", 2).await, (vec![3_000, 701], Some(701)));
    assert_eq!(search("equipe", 10).await, (vec![1_501], None));
    assert_eq!(search("QUIPE", 10).await.0, [3_000, 1_501, 701, 2]);
    for text in OTHER.iter().skip(1) {
        assert_eq!(search(text, 10).await, (vec![], None), "{text}");
    }
}

#[tokio::test]
async fn a_search_finds_what_is_about_or_by_those_whose_names_hold_the_text() {
    let world = World::new().await;
    let (client, server, admin) = ("m2m", "res", "adm");
    let id = |prefix: &str, number: u8| format!("{prefix}_{}{number}", "0".repeat(25));
    let mut events: Vec<_> = (0..6).map(|_| event(AuditKind::TokenIssued)).collect();
    events[1].client_id = id(client, 1).parse().ok();
    events[2].mcp_server_id = id(server, 2).parse().ok();
    events[3].actor = id(admin, 3).as_str().into();
    events[4].reason = Some("Nightly".to_owned());
    events[5].client_id = id(client, 5).parse().ok();
    world.store.append_audit(&events).await.unwrap();
    let search = async |text: &str, named: &[String], kind| {
        let filter = AuditFilter {
            text: Some(text.to_owned()),
            named: named.to_vec(),
            kind,
            ..AuditFilter::default()
        };
        let found = world.store.search_audit(&filter, None, 10).await.unwrap();
        let seqs: Vec<_> = found.events.iter().map(|event| event.seq).collect();
        seqs
    };
    let named = [id(client, 1), id(server, 2), id(admin, 3)];
    for text in ["nightly", "nïghtly"] {
        let expected: &[i64] = if text.is_ascii() {
            &[5, 4, 3, 2]
        } else {
            &[4, 3, 2]
        };
        assert_eq!(search(text, &named, None).await, expected, "{text}");
        // The other conditions hold all the same.
        let refused = Some(AuditKind::TokenRefused);
        assert_eq!(search(text, &named, refused).await, [0_i64; 0], "{text}");
    }
    assert_eq!(search("nightly", &[], None).await, [5]);
    assert_eq!(world.store.audit_size().await.unwrap(), 6);
}
