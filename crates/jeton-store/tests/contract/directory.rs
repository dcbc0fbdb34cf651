//! MCP servers, clients, grants and secrets.

use std::time::Duration;

use jeton_core::{
    AuditEvent, AuditKind, Client, ClientSecret, ClientStatus, Grant, PlainSecret, ResourceUri,
    SecretId, SecretOwner, SecretState, Timestamp, TokensOf,
};
use jeton_jose::OsEntropy;
use jeton_store::{ClientFilter, ClientPart, RetiredUrl, StoreError, VoidTokens, WholeClient};

use crate::samples::{client, event, first, mcp_server, now};
use crate::world::World;

#[tokio::test]
async fn what_was_written_reads_back_and_survives_reopening() {
    let world = World::new().await;
    let server = mcp_server("http://localhost:3002/mcp");
    let client = Client {
        token_ttl: Some(60.try_into().unwrap()),
        ..client()
    };
    let grant = Grant::new(client.id, server.id, "todo:read".parse().unwrap(), now());
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
    let grant = Grant::new(client.id, server.id, jeton_core::ScopeSet::empty(), now());
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_mcp_server(&server).await.unwrap();
    tx.insert_client(&client).await.unwrap();
    tx.put_grant(&grant).await.unwrap();
    tx.insert_secret(&secret).await.unwrap();
    tx.commit().await.unwrap();
    let kept = world.store.secrets_of(owner).await.unwrap();
    assert!(kept[0].digest.matches(&plain.digest()));

    let mut tx = world.store.begin().await.unwrap();
    let version = client.version;
    assert!(!tx.delete_client(client.id, version - 1).await.unwrap());
    assert!(tx.delete_client(client.id, version).await.unwrap());
    assert!(!tx.delete_client(client.id, version).await.unwrap());
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
            grants: vec![Grant::new(
                client.id,
                server.id,
                "todo:read".parse().unwrap(),
                now(),
            )],
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

#[tokio::test]
async fn what_is_void_is_found_by_client_and_by_name_until_it_is_forgotten() {
    let world = World::new().await;
    let (client, other) = (client().id, client().id);
    let server = mcp_server("https://void.example.com/mcp").id;
    let begin = now();
    let void = |of: TokensOf, after: u64| VoidTokens {
        of,
        issued_until: begin.plus(Duration::from_millis(after)),
    };
    let url = TokensOf::Url("https://void.example.com/mcp".into());
    let of_grant = void(TokensOf::Grant(client, server), 5);
    let of_url = void(url.clone(), 5);
    let mut tx = world.store.begin().await.unwrap();
    tx.declare_void(&of_grant, Some(client), begin)
        .await
        .unwrap();
    tx.declare_void(&of_url, None, begin).await.unwrap();
    // An earlier moment takes nothing back; one far ahead came from a clock that was wrong.
    let earlier = void(url.clone(), 1);
    tx.declare_void(&earlier, None, begin).await.unwrap();
    tx.commit().await.unwrap();
    let found = world.store.void_tokens(client, &[]).await.unwrap();
    assert_eq!(found, [of_grant]);
    let found = world
        .store
        .void_tokens(other, std::slice::from_ref(&url))
        .await
        .unwrap();
    assert_eq!(found, [of_url]);
    let far = void(url.clone(), 1_000_000);
    let mut tx = world.store.begin().await.unwrap();
    tx.declare_void(&far, None, begin).await.unwrap();
    tx.declare_void(&earlier, None, begin).await.unwrap();
    let later = void(url.clone(), 9);
    tx.extend_void(&later).await.unwrap();
    tx.extend_void(&void(TokensOf::Client(client), 9))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let found = world
        .store
        .void_tokens(other, std::slice::from_ref(&url))
        .await
        .unwrap();
    assert_eq!(found, [later]);
    let day = Duration::from_secs(24 * 60 * 60);
    for (after, left) in [(day, 2), (day + day, 0)] {
        let mut tx = world.store.begin().await.unwrap();
        tx.forget_void_tokens(begin.plus(after)).await.unwrap();
        tx.commit().await.unwrap();
        let others = [url.clone()];
        let found = world.store.void_tokens(client, &others).await.unwrap();
        assert_eq!(found.len(), left);
    }
}

#[tokio::test]
async fn a_retired_url_is_kept_until_it_is_released() {
    let world = World::new().await;
    let server = mcp_server("https://gone.example.com/mcp");
    let retired = RetiredUrl {
        url: server.url.clone(),
        mcp_server_id: server.id,
        name: server.name.clone(),
        retired_at: now(),
    };
    let mut tx = world.store.begin().await.unwrap();
    tx.retire_url(&retired).await.unwrap();
    tx.retire_url(&retired).await.unwrap();
    tx.commit().await.unwrap();
    let listed = world.store.retired_urls().await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&retired));
    let other = mcp_server("https://there.example.com/mcp");
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_mcp_server(&other).await.unwrap();
    // It was retired again since.
    let earlier = RetiredUrl {
        retired_at: now().minus(Duration::from_secs(60)),
        ..retired.clone()
    };
    assert!(!tx.release_retired(&earlier).await.unwrap());
    tx.commit().await.unwrap();
    let both = world.store.mcp_servers_and_retired_urls().await.unwrap();
    assert_eq!(both, (vec![other], vec![retired]));
    // It is the same URL with a slash at its end.
    let url = "https://gone.example.com/mcp/".parse().unwrap();
    for was_there in [true, false] {
        let mut tx = world.store.begin().await.unwrap();
        assert_eq!(tx.release_url(&url).await.unwrap(), was_there);
        tx.commit().await.unwrap();
    }
    assert_eq!(world.store.retired_urls().await.unwrap(), []);
}

#[tokio::test]
async fn the_latest_event_is_found_behind_many_and_no_wrong_clock_counts() {
    let world = World::new().await;
    let until = now().plus(Duration::from_secs(60));
    let at = |at| AuditEvent {
        at,
        ..event(AuditKind::ClientCreated)
    };
    let ahead = now().plus(Duration::from_secs(30));
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let mut events = vec![at(ahead), at(now().plus(year))];
    events.extend((0..300).map(|_| at(now())));
    let mut tx = world.store.begin().await.unwrap();
    tx.append_audit(&events).await.unwrap();
    tx.commit().await.unwrap();
    let latest = world.store.latest_event_time(until).await.unwrap();
    assert_eq!(latest, Some(ahead));
}

#[tokio::test]
async fn an_alias_belongs_to_one_server_and_is_free_when_that_leaves_it() {
    let world = World::new().await;
    let alias = || "http://inside.example/mcp".parse::<ResourceUri>().unwrap();
    let mut first = mcp_server("https://a.example/mcp");
    first.aliases = vec![alias()];
    let mut second = mcp_server("https://b.example/mcp");
    second.aliases = vec![alias()];
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_mcp_server(&first).await.unwrap();
    tx.commit().await.unwrap();
    let key = alias().comparison_key().to_owned();
    let holder = async || {
        let found = world.store.find_mcp_server_by_url_key(&key).await.unwrap();
        found.map(|server| server.id)
    };
    assert_eq!(holder().await, Some(first.id));
    let (servers, _) = world.store.mcp_servers_and_retired_urls().await.unwrap();
    assert_eq!(servers, [first.clone()]);
    let mut tx = world.store.begin().await.unwrap();
    let taken = tx.insert_mcp_server(&second).await;
    assert!(matches!(taken, Err(StoreError::Exists)));
    drop(tx);
    first.aliases.clear();
    first.version = 2;
    let mut tx = world.store.begin().await.unwrap();
    tx.update_mcp_server(&first).await.unwrap();
    tx.insert_mcp_server(&second).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(holder().await, Some(second.id));
    let mut tx = world.store.begin().await.unwrap();
    assert!(tx.delete_mcp_server(second.id).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(holder().await, None);
}
