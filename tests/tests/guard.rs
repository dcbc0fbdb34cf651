//! `jeton-guard` in front of a server, with real tokens of a real Jeton.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Extension, Request};
use axum::routing::{get, post};
use axum::{Json, Router};
use jeton_core::{KeyId, SigningAlgorithm, Timestamp};
use jeton_guard::{GuardBuilder, GuardLayer, VerifiedToken};
use jeton_jose::{OsEntropy, SigningKey};
use jeton_tests::{Answer, Jeton, JetonOptions, TodoServer, free_port, http};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

/// A protected server that says whose token it got.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn echo(guard: GuardBuilder) -> Router {
    let say = |Extension(token): Extension<VerifiedToken>, request: Request| async move {
        let body = axum::body::to_bytes(request.into_body(), 1 << 20)
            .await
            .unwrap();
        Json(json!({ "sub": token.sub, "bytes": body.len() }))
    };
    Router::new()
        .route("/mcp", post(say).get(say))
        .layer(guard.build().unwrap())
}

/// A server under its own address, once that is known.
async fn protected(issuer: &str, change: impl Fn(GuardBuilder) -> GuardBuilder) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let router = echo(change(GuardLayer::builder(&url, issuer)));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn post_with(url: &str, token: &str) -> Answer {
    Answer::of(
        http()
            .post(url)
            .bearer_auth(token)
            .body("{}")
            .send()
            .await
            .unwrap(),
    )
    .await
}

#[tokio::test]
async fn a_token_for_this_server_passes_with_its_claims_and_one_for_another_does_not() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let url = protected(&jeton.url, |guard| guard).await;
    let here = operator.mcp_server(&url, &["a"]).await;
    let elsewhere = operator.mcp_server("http://localhost:1/mcp", &["a"]).await;
    let client = operator.client(&here, &["a"]).await;
    let stranger = operator.client(&elsewhere, &["a"]).await;

    let passed = post_with(&url, &client.token(&jeton.url, &[]).await).await;
    assert_eq!(passed.status, 200, "{}", passed.body);
    assert_eq!(passed.body["sub"], client.client_id.as_str());
    let refused = post_with(&url, &stranger.token(&jeton.url, &[]).await).await;
    assert_eq!(refused.status, 401);
    let challenge = refused.headers["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.contains("invalid_token") && challenge.contains("another resource"),
        "{challenge}"
    );
}

#[tokio::test]
async fn a_token_for_the_parent_path_is_not_a_token_for_this_server() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let url = protected(&jeton.url, |guard| guard).await;
    let parent = operator
        .mcp_server(url.strip_suffix("mcp").unwrap(), &["a"])
        .await;
    let client = operator.client(&parent, &["a"]).await;
    assert_eq!(
        post_with(&url, &client.token(&jeton.url, &[]).await)
            .await
            .status,
        401
    );
    // Asked for this server by name, the token is for it.
    let token = client.token(&jeton.url, &[("resource", &url)]).await;
    assert_eq!(post_with(&url, &token).await.status, 200);
    // A server that was told its ID accepts what carries it.
    let told = protected(&jeton.url, |guard| guard.audience(&parent)).await;
    assert_eq!(
        post_with(&told, &client.token(&jeton.url, &[]).await)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_metadata_is_public_at_both_well_known_paths() {
    let jeton = Jeton::start().await;
    let url = protected(&jeton.url, |guard| guard.require(["a"])).await;
    let origin = url.strip_suffix("/mcp").unwrap();
    for path in [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource",
    ] {
        let document =
            Answer::of(http().get(format!("{origin}{path}")).send().await.unwrap()).await;
        assert_eq!(document.status, 200);
        assert_eq!(document.body["resource"], url.as_str());
        assert_eq!(document.body["authorization_servers"], json!([jeton.url]));
        assert_eq!(document.body["scopes_supported"], json!(["a"]));
    }
    let refused = Answer::of(http().post(&url).send().await.unwrap()).await;
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.headers["www-authenticate"].to_str().unwrap(),
        format!(
            "Bearer resource_metadata=\"{origin}/.well-known/oauth-protected-resource/mcp\", scope=\"a\""
        )
    );
}

#[tokio::test]
async fn it_works_on_while_jeton_is_down_and_says_503_where_it_never_saw_a_key() {
    let mut jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let url = protected(&jeton.url, |guard| guard.refresh_keys_after(Duration::ZERO)).await;
    let fresh = protected(&jeton.url, |guard| guard.audience(&url)).await;
    let server = operator.mcp_server(&url, &["a"]).await;
    let token = operator
        .client(&server, &["a"])
        .await
        .token(&jeton.url, &[])
        .await;
    assert_eq!(post_with(&url, &token).await.status, 200);
    jeton.kill().await;
    for _ in 0..5 {
        assert_eq!(post_with(&url, &token).await.status, 200);
    }
    let unavailable = post_with(&fresh, &token).await;
    assert_eq!(unavailable.status, 503);
    assert!(unavailable.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched_when_a_token_names_it() {
    let port = free_port();
    let options = || JetonOptions {
        port: Some(port),
        ..JetonOptions::default()
    };
    let mut old = Jeton::start_with(options()).await;
    let url = protected(&old.url, |guard| guard.key_fetch_interval(Duration::ZERO)).await;
    let operator = old.operator().await;
    let server = operator.mcp_server(&url, &["a"]).await;
    let token = operator
        .client(&server, &["a"])
        .await
        .token(&old.url, &[])
        .await;
    assert_eq!(post_with(&url, &token).await.status, 200);
    old.kill().await;
    // Another server at the same address has other keys.
    let new = Jeton::start_with(options()).await;
    let operator = new.operator().await;
    let server = operator.mcp_server(&url, &["a"]).await;
    let token = operator
        .client(&server, &["a"])
        .await
        .token(&new.url, &[])
        .await;
    assert_eq!(post_with(&url, &token).await.status, 200);
}

#[tokio::test]
async fn unknown_keys_cause_one_fetch_however_many_come() {
    let fetches = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&fetches);
    let id = KeyId::generate(Timestamp::from_seconds(1), &OsEntropy).unwrap();
    let algorithm = SigningAlgorithm::Es256;
    let pkcs8 = SigningKey::generate_pkcs8(algorithm).unwrap();
    let key = SigningKey::from_pkcs8(id, algorithm, &pkcs8).unwrap();
    let keys = json!({ "keys": [key.public_jwk()] });
    let issuer = serve(Router::new().route(
        "/keys",
        get(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let keys = keys.clone();
            async move { Json(keys) }
        }),
    ))
    .await;
    let keys_url = format!("{issuer}/keys");
    let url = protected(&issuer, move |guard| guard.jwks_uri(keys_url.clone())).await;
    let mut attempts = Vec::new();
    for number in 0..40_i64 {
        let id = KeyId::generate(Timestamp::from_seconds(number), &OsEntropy).unwrap();
        let forged = SigningKey::from_pkcs8(id, algorithm, &pkcs8).unwrap();
        let claims = serde_json::from_value(json!({
            "iss": issuer, "aud": url, "sub": "x", "client_id": "x", "jti": "x",
            "exp": 9_999_999_999_i64, "iat": 0, "scope": "a",
        }))
        .unwrap();
        let token = forged.sign_access_token(&claims).unwrap();
        let url = url.clone();
        attempts.push(tokio::spawn(
            async move { post_with(&url, &token).await.status },
        ));
    }
    for attempt in attempts {
        assert_eq!(attempt.await.unwrap(), 401);
    }
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
}

/// A tool call with a header that says something else.
fn lying(url: &str, token: &str, header: &str, body: &Value) -> RequestBuilder {
    http()
        .post(url)
        .bearer_auth(token)
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2026-07-28")
        .header("Mcp-Method", "tools/call")
        .header("Mcp-Name", header)
        .json(body)
}

#[tokio::test]
async fn the_body_decides_which_tool_is_called_however_it_is_wrapped() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let todo = TodoServer::start(&jeton.url).await;
    let server = operator
        .mcp_server(&todo.url, &["todo:read", "todo:write"])
        .await;
    let reader = operator.client(&server, &["todo:read"]).await;
    let token = reader.token(&jeton.url, &[]).await;
    let call = |name: &str| json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {"title": "x"}}});
    for body in [
        call("create_todo"),
        json!([call("list_todos"), call("create_todo")]),
    ] {
        let refused = lying(&todo.url, &token, "list_todos", &body)
            .send()
            .await
            .unwrap();
        assert_eq!(refused.status(), 403, "{body}");
    }
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_todos","name":"create_todo","arguments":{"title":"x"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"create_todo","arguments":{"title":"x"}}}"#,
        "not JSON",
    ] {
        let refused = http()
            .post(&todo.url)
            .bearer_auth(&token)
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(refused.status(), 400, "{body}");
    }
    let encoded = lying(&todo.url, &token, "list_todos", &call("create_todo"))
        .header("Content-Encoding", "gzip");
    assert_eq!(encoded.send().await.unwrap().status(), 415);
}

#[tokio::test]
async fn only_the_authorization_header_is_read_and_only_one() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let url = protected(&jeton.url, |guard| guard).await;
    let server = operator.mcp_server(&url, &["a"]).await;
    let token = operator
        .client(&server, &["a"])
        .await
        .token(&jeton.url, &[])
        .await;
    let status =
        |request: RequestBuilder| async { request.send().await.unwrap().status().as_u16() };
    assert_eq!(
        status(http().get(format!("{url}?access_token={token}"))).await,
        401
    );
    assert_eq!(
        status(http().post(&url).body(format!("access_token={token}"))).await,
        401
    );
    assert_eq!(
        status(
            http()
                .post(&url)
                .header("Authorization", format!("bearer {token}"))
        )
        .await,
        200
    );
    assert_eq!(
        status(
            http()
                .post(&url)
                .header("Authorization", format!("Basic {token}"))
        )
        .await,
        401
    );
    let two = http()
        .post(&url)
        .bearer_auth(&token)
        .header("Authorization", "Bearer other");
    assert_eq!(status(two).await, 400);
}
