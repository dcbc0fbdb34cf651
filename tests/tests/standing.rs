//! What introspection tells of a token after access was taken away.

use jeton_tests::{Credentials, Jeton, Operator, eventually, http};
use reqwest::Method;
use serde_json::{Value, json};

/// A todo server with credentials of its own, and a client with `a` and `b` on it.
struct World {
    jeton: Jeton,
    operator: Operator,
    todo: String,
    server: Credentials,
    client: Credentials,
}

const RESOURCE: &str = "http://localhost:3002/mcp";

impl World {
    async fn new(settings: Value) -> Self {
        let jeton = Jeton::start().await;
        let operator = jeton.operator().await;
        let todo = operator
            .mcp_server_with(RESOURCE, &["a", "b"], settings)
            .await;
        let secrets = format!("/mcp-servers/{todo}/secrets");
        let server = Credentials::of(&operator.post(&secrets, json!({})).await);
        let client = operator.client(&todo, &["a", "b"]).await;
        Self {
            jeton,
            operator,
            todo,
            server,
            client,
        }
    }

    async fn token(&self) -> String {
        self.client
            .token(&self.jeton.url, &[("resource", RESOURCE)])
            .await
    }

    /// The scope that introspection tells, to the client and to the MCP server alike; nothing where
    /// the token is not active.
    async fn standing(&self, token: &str) -> Option<String> {
        let told = self.server.introspect(&self.jeton.url, token).await;
        let scope = told["scope"].as_str().map(str::to_owned);
        assert_eq!(told["active"], scope.is_some(), "{told}");
        scope
    }

    fn client_path(&self) -> String {
        format!("/clients/{}", self.client.client_id)
    }

    fn grant_path(&self) -> String {
        format!("{}/grants/{}", self.client_path(), self.todo)
    }

    /// The first secret of the client.
    async fn secret_id(&self) -> String {
        let path = format!("{}/secrets", self.client_path());
        let list = self.operator.get(&path).await;
        list["items"][0]["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn introspection_tells_only_the_scopes_that_the_client_still_has() {
    for settings in [json!({}), json!({ "token_profile": "strict" })] {
        let world = World::new(settings).await;
        let token = world.token().await;
        assert_eq!(world.standing(&token).await.as_deref(), Some("a b"));
        let grant = json!({ "scopes": ["b"] });
        world.operator.put(&world.grant_path(), grant).await;
        assert_eq!(world.standing(&token).await.as_deref(), Some("b"));
        let own = world.client.introspect(&world.jeton.url, &token).await;
        assert_eq!(own["scope"], "b");
        let path = format!("/mcp-servers/{}?confirm=true", world.todo);
        let without = json!({ "remove_scopes": ["b"] });
        world.operator.patch(&path, without).await;
        assert_eq!(world.standing(&token).await, None, "nothing is left");
    }
}

#[tokio::test]
async fn a_token_is_inactive_without_its_grant_or_its_mcp_server() {
    for settings in [json!({}), json!({ "token_profile": "strict" })] {
        let world = World::new(settings.clone()).await;
        let token = world.token().await;
        world.operator.delete(&world.grant_path()).await;
        assert_eq!(world.standing(&token).await, None);
        let grant = json!({ "scopes": ["a", "b"] });
        world.operator.put(&world.grant_path(), grant).await;
        let token = world.token().await;
        assert!(world.standing(&token).await.is_some());

        let path = format!("/mcp-servers/{}", world.todo);
        world.operator.delete(&path).await;
        let own = async || {
            let told = world.client.introspect(&world.jeton.url, &token).await;
            told["active"].as_bool().unwrap()
        };
        assert!(!own().await);
        // Another server at the same URL is another server.
        let again = world
            .operator
            .mcp_server_with(RESOURCE, &["a", "b"], settings)
            .await;
        let grant = json!({ "scopes": ["a", "b"] });
        let path = format!("{}/grants/{again}", world.client_path());
        world.operator.put(&path, grant).await;
        assert!(!own().await);
        let token = world.token().await;
        let told = world.client.introspect(&world.jeton.url, &token).await;
        assert_eq!(told["active"], true, "a token of today's server");
    }
}

#[tokio::test]
async fn tokens_of_a_disabled_client_stay_dead_when_it_is_enabled_again() {
    let world = World::new(json!({})).await;
    let token = world.token().await;
    let path = world.client_path();
    world
        .operator
        .patch(&path, json!({ "status": "disabled" }))
        .await;
    world
        .operator
        .patch(&path, json!({ "status": "enabled" }))
        .await;
    assert_eq!(world.standing(&token).await, None);
    // A token of the same second is as good as any.
    assert!(world.standing(&world.token().await).await.is_some());
}

#[tokio::test]
async fn all_tokens_of_a_client_or_an_mcp_server_can_be_revoked() {
    let world = World::new(json!({})).await;
    let other = world.operator.client(&world.todo, &["a"]).await;
    for (noun, id, spares_others) in [
        ("client", &world.client.client_id, true),
        ("mcp-server", &world.todo, false),
    ] {
        let (token, others) = (
            world.token().await,
            other.token(&world.jeton.url, &[]).await,
        );
        let revoked = world.jeton.json(&[noun, "revoke-tokens", id]).await;
        assert_eq!(revoked["id"], id.as_str());
        assert_eq!(world.standing(&token).await, None, "{noun}");
        assert_eq!(world.standing(&others).await.is_some(), spares_others);
        assert!(world.standing(&world.token().await).await.is_some());
        let kind = format!("kind={}.tokens_revoked", noun.replace('-', "_"));
        assert_eq!(world.operator.audit(&kind).await.len(), 1, "{kind}");
    }
    let unknown = format!("/clients/m2m_{}/revoke-tokens", "0".repeat(26));
    let (status, _) = world.operator.send(Method::POST, &unknown, None).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn revoking_a_secret_can_revoke_the_tokens_that_were_issued_with_it() {
    let world = World::new(json!({})).await;
    let first = world.secret_id().await;
    let with_first = world.token().await;
    let path = format!("{}/secrets", world.client_path());
    let second = Credentials::of(&world.operator.post(&path, json!({})).await);
    let with_second = second.token(&world.jeton.url, &[]).await;
    world.jeton.json(&["secret", "revoke", &first]).await;
    assert!(
        world.standing(&with_first).await.is_some(),
        "left as they are"
    );
    let tokens = ["secret", "revoke", &first, "--tokens"];
    world.jeton.json(&tokens).await;
    assert_eq!(world.standing(&with_first).await, None);
    assert!(world.standing(&with_second).await.is_some());
    let events = world.operator.audit("kind=secret.tokens_revoked").await;
    assert_eq!(events.len(), 1);
    let third = Credentials::of(&world.operator.post(&path, json!({})).await);
    let with_third = third.token(&world.jeton.url, &[]).await;
    let list = world.operator.get(&path).await;
    let second = list["items"].as_array().unwrap().iter().find(|secret| {
        let suffix = secret["suffix"].as_str().unwrap();
        second.client_secret.ends_with(suffix)
    });
    let id = second.unwrap()["id"].as_str().unwrap();
    world
        .jeton
        .json(&["secret", "revoke", id, "--tokens"])
        .await;
    assert_eq!(world.standing(&with_second).await, None);
    assert_eq!(world.standing(&with_first).await, None);
    assert!(world.standing(&with_third).await.is_some());
    assert_eq!(events[0]["secret_id"], first.as_str());
}

#[tokio::test]
async fn a_grant_that_is_made_again_brings_no_token_back() {
    let world = World::new(json!({})).await;
    let grant = json!({ "scopes": ["a", "b"] });
    for take_away in ["remove it", "leave it without scopes"] {
        let token = world.token().await;
        if take_away == "remove it" {
            world.operator.delete(&world.grant_path()).await;
        } else {
            let none = json!({ "scopes": [] });
            world.operator.put(&world.grant_path(), none).await;
        }
        assert_eq!(world.standing(&token).await, None, "{take_away}");
        world.operator.put(&world.grant_path(), grant.clone()).await;
        assert_eq!(world.standing(&token).await, None, "{take_away}");
        assert!(world.standing(&world.token().await).await.is_some());
    }
    // A single scope that is given back counts for the tokens that were issued with it.
    let token = world.token().await;
    let one = json!({ "scopes": ["a"] });
    world.operator.put(&world.grant_path(), one).await;
    assert_eq!(world.standing(&token).await.as_deref(), Some("a"));
    world.operator.put(&world.grant_path(), grant).await;
    assert_eq!(world.standing(&token).await.as_deref(), Some("a b"));
}

#[tokio::test]
async fn an_admin_token_is_worth_what_its_client_still_has() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let api = operator.get("/mcp-servers?system=true").await["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let second = operator.client(&api, &["admin:write"]).await;
    let token = second.token(&jeton.url, &[]).await;
    let ask = async |path: &str| {
        let url = format!("{}/api/v1{path}", jeton.url);
        let answer = http().get(url).bearer_auth(&token).send().await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!(ask("/clients").await, 200);
    let path = format!("/clients/{}/grants/{api}", second.client_id);
    operator
        .put(&path, json!({ "scopes": ["admin:read"] }))
        .await;
    assert_eq!(ask("/clients").await, 401, "admin:write is gone");
    operator.delete(&path).await;
    assert_eq!(ask("/clients").await, 401);
}

#[tokio::test]
async fn what_was_revoked_stays_so_after_a_restart() {
    let world = World::new(json!({})).await;
    let token = world.token().await;
    world
        .jeton
        .json(&["client", "revoke-tokens", &world.client.client_id])
        .await;
    let World { jeton, client, .. } = world;
    let port = jeton.url.rsplit(':').next().unwrap().parse().unwrap();
    let options = jeton_tests::JetonOptions {
        port: Some(port),
        ..jeton_tests::JetonOptions::default()
    };
    let jeton = jeton.crash_and_restart(options).await;
    eventually("it answers", async || {
        jeton.operator().await.is_ready().await
    })
    .await;
    let told = client.introspect(&jeton.url, &token).await;
    assert_eq!(told, json!({ "active": false }));
}

#[tokio::test]
async fn tokens_of_a_server_whose_clock_is_ahead_are_revoked_too_but_not_for_a_year() {
    for (ahead, is_void) in [(30_000, true), (365 * 24 * 60 * 60 * 1_000_i64, false)] {
        let world = World::new(json!({})).await;
        world.token().await;
        // Its record is the last one of the server that is ahead.
        let moved = format!(
            "UPDATE audit_event SET at = at + {ahead} WHERE seq = (SELECT MAX(seq) FROM audit_event)"
        );
        world.jeton.database().sql(&moved).await;
        let arguments = ["client", "revoke-tokens", &world.client.client_id];
        world.jeton.json(&arguments).await;
        // By the clock of this server, this one too is from before.
        let token = world.token().await;
        assert_eq!(world.standing(&token).await.is_none(), is_void, "{ahead}");
    }
}
