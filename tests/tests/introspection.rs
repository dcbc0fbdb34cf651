//! Who may see and revoke which token.

use jeton_tests::{Credentials, Jeton, http};
use serde_json::json;

#[tokio::test]
async fn only_the_client_and_its_mcp_server_see_a_token() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let notes = operator
        .mcp_server("http://localhost:3003/mcp", &["a"])
        .await;
    let secret = |server: String| {
        let operator = &operator;
        async move {
            Credentials::of(
                &operator
                    .post(&format!("/mcp-servers/{server}/secrets"), json!({}))
                    .await,
            )
        }
    };
    let (todo_server, notes_server) = (secret(todo.clone()).await, secret(notes).await);
    let owner = operator.client(&todo, &["a"]).await;
    let stranger = operator.client(&todo, &["a"]).await;
    let token = owner.token(&jeton.url, &[]).await;

    for allowed in [&owner, &todo_server] {
        let seen = allowed.introspect(&jeton.url, &token).await;
        assert_eq!(seen["active"], true, "{seen}");
        assert_eq!(seen["client_id"], owner.client_id.as_str());
        assert_eq!(seen["scope"], "a");
        assert_eq!(seen["token_type"], "Bearer");
        assert_eq!(seen["iss"], jeton.url.as_str());
        assert!(seen["exp"].is_i64() && seen["jti"].is_string() && seen["aud"].is_array());
    }
    for denied in [&stranger, &notes_server, &operator.credentials] {
        assert_eq!(
            denied.introspect(&jeton.url, &token).await,
            json!({ "active": false })
        );
    }
    for nonsense in ["x", "a.b.c", &token[..token.len() - 4]] {
        assert_eq!(
            owner.introspect(&jeton.url, nonsense).await,
            json!({ "active": false })
        );
    }
}

#[tokio::test]
async fn a_strict_token_is_seen_by_its_mcp_server_too() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let strict = json!({ "token_profile": "strict" });
    let todo = operator
        .mcp_server_with("http://localhost:3002/", &["a"], strict)
        .await;
    let secrets = format!("/mcp-servers/{todo}/secrets");
    let server = Credentials::of(&operator.post(&secrets, json!({})).await);
    let client = operator.client(&todo, &["a"]).await;
    let token = client
        .token(&jeton.url, &[("resource", "http://localhost:3002/mcp")])
        .await;
    assert_eq!(server.introspect(&jeton.url, &token).await["active"], true);
}

#[tokio::test]
async fn a_token_is_revoked_by_its_owner_only() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let owner = operator.client(&todo, &["a"]).await;
    let stranger = operator.client(&todo, &["a"]).await;
    let token = owner.token(&jeton.url, &[]).await;
    let revoke = format!("{}/oauth/revoke", jeton.url);

    assert_eq!(
        stranger.send(&revoke, &[("token", &token)]).await.status,
        200
    );
    assert_eq!(owner.introspect(&jeton.url, &token).await["active"], true);
    for _ in 0..2 {
        assert_eq!(owner.send(&revoke, &[("token", &token)]).await.status, 200);
        assert_eq!(
            owner.introspect(&jeton.url, &token).await,
            json!({ "active": false })
        );
    }
    let events = operator.audit("kind=token.revoked").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["mcp_server_id"], todo.as_str());
    let of_server = format!("kind=token.revoked&mcp_server_id={todo}");
    assert_eq!(operator.audit(&of_server).await.len(), 1);
    assert_eq!(owner.send(&revoke, &[]).await.error(), "invalid_request");
}

#[tokio::test]
async fn a_disabled_or_deleted_clients_tokens_are_inactive() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    let secrets = format!("/mcp-servers/{todo}/secrets");
    let server = Credentials::of(&operator.post(&secrets, json!({})).await);
    let client = operator.client(&todo, &["a"]).await;
    let token = client.token(&jeton.url, &[]).await;
    let path = format!("/clients/{}", client.client_id);
    assert_eq!(server.introspect(&jeton.url, &token).await["active"], true);
    operator.patch(&path, json!({ "status": "disabled" })).await;
    assert_eq!(server.introspect(&jeton.url, &token).await["active"], false);
    operator.patch(&path, json!({ "status": "enabled" })).await;
    assert_eq!(server.introspect(&jeton.url, &token).await["active"], false);
    let token = client.token(&jeton.url, &[]).await;
    assert_eq!(server.introspect(&jeton.url, &token).await["active"], true);
    operator.delete(&path).await;
    assert_eq!(server.introspect(&jeton.url, &token).await["active"], false);
}

#[tokio::test]
async fn nobody_introspects_without_credentials() {
    let jeton = Jeton::start().await;
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        let response = http()
            .post(format!("{}{path}", jeton.url))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body("token=x")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 401, "{path}");
    }
    let refused = jeton
        .operator()
        .await
        .audit("kind=authentication.refused")
        .await;
    assert_eq!(refused.len(), 2);
}
