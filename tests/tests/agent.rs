//! `jeton-agent`: from a URL and credentials to calls that work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::routing::post;
use axum::{Json, Router};
use jeton_agent::{
    AgentError, AuthorizedClient, ClientCredentials, TokenSource, TokenSourceBuilder,
};
use jeton_core::{Clock as _, ManualClock, SystemClock};
use jeton_guard::GuardLayer;
use jeton_tests::{Credentials, FastMcp, Jeton, Operator, TodoServer, eventually, http};
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt as _};
use serde_json::json;

struct World {
    jeton: Jeton,
    operator: Operator,
    todo: TodoServer,
    writer: Credentials,
    reader: Credentials,
}

impl World {
    async fn new() -> Self {
        let jeton = Jeton::start().await;
        let operator = jeton.operator().await;
        let todo = TodoServer::start(&jeton.url).await;
        let server = operator.register(&todo).await;
        let writer = operator.client(&server, &["todo:read", "todo:write"]).await;
        let reader = operator.client(&server, &["todo:read"]).await;
        Self {
            jeton,
            operator,
            todo,
            writer,
            reader,
        }
    }

    fn source(&self, who: &Credentials) -> TokenSourceBuilder {
        self.source_of(&self.jeton.url, who)
    }

    /// With credentials that are said to belong to `issuer`.
    fn source_of(&self, issuer: &str, who: &Credentials) -> TokenSourceBuilder {
        let credentials = ClientCredentials::new(issuer, &who.client_id, &who.client_secret);
        TokenSource::builder(&self.todo.url, credentials)
    }

    async fn issued_to(&self, who: &Credentials) -> usize {
        self.operator
            .audit(&format!("kind=token.issued&client_id={}", who.client_id))
            .await
            .len()
    }
}

#[tokio::test]
async fn fifty_tasks_share_one_token_and_renew_it_in_one_flight() {
    let world = World::new().await;
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let source = world
        .source(&world.writer)
        .clock(clock.clone())
        .build()
        .unwrap();
    let ask = || async {
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let source = source.clone();
                tokio::spawn(async move { source.token().await.unwrap().expose().to_owned() })
            })
            .collect();
        let mut tokens = Vec::new();
        for task in tasks {
            tokens.push(task.await.unwrap());
        }
        tokens.sort();
        tokens.dedup();
        tokens
    };
    let first = ask().await;
    assert_eq!(first.len(), 1);
    assert_eq!(world.issued_to(&world.writer).await, 1);

    // A minute before its end it is renewed, once, behind the callers, who go on with the old one.
    clock.advance(Duration::from_secs(3541));
    assert!(ask().await.len() <= 2);
    eventually("it was renewed once", async || {
        source.token().await.unwrap().expose() != first[0]
    })
    .await;
    assert_eq!(world.issued_to(&world.writer).await, 2);
    // Once it is over, all wait for the new one.
    clock.advance(Duration::from_secs(3601));
    let third = ask().await;
    assert_eq!(third.len(), 1);
    assert_ne!(third, first);
    assert_eq!(world.issued_to(&world.writer).await, 3);
}

#[tokio::test]
async fn the_scope_is_widened_when_a_tool_needs_more() {
    let world = World::new().await;
    let source = world.source(&world.writer).build().unwrap();
    assert_eq!(
        source.token().await.unwrap().scope().unwrap().to_string(),
        "todo:read"
    );
    let transport = StreamableHttpClientTransport::with_client(
        AuthorizedClient::new(source.clone()),
        StreamableHttpClientTransportConfig::with_uri(world.todo.url.as_str()),
    );
    let lifecycle = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    let client = ().serve_with_lifecycle(transport, lifecycle).await.unwrap();
    let mut request = CallToolRequestParams::new("create_todo");
    request.arguments = json!({ "title": "Widened" }).as_object().cloned();
    let created = client.call_tool(request).await.unwrap();
    assert_eq!(
        created.structured_content.unwrap()["todo"]["title"],
        "Widened"
    );
    assert_eq!(
        source.token().await.unwrap().scope().unwrap().to_string(),
        "todo:read todo:write"
    );
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn what_was_not_granted_stays_refused_with_the_servers_answer() {
    let world = World::new().await;
    for builder in [
        world.source(&world.reader),
        world
            .source(&world.writer)
            .scope("todo:read".parse().unwrap()),
    ] {
        let source = builder.build().unwrap();
        let transport = StreamableHttpClientTransport::with_client(
            AuthorizedClient::new(source),
            StreamableHttpClientTransportConfig::with_uri(world.todo.url.as_str()),
        );
        let client =
            ().serve_with_lifecycle(transport, ClientLifecycleMode::Initialize)
                .await
                .unwrap();
        let mut request = CallToolRequestParams::new("create_todo");
        request.arguments = json!({ "title": "No" }).as_object().cloned();
        let error = client.call_tool(request).await.unwrap_err().to_string();
        assert!(error.to_lowercase().contains("scope"), "{error}");
        let listed = client
            .call_tool(CallToolRequestParams::new("list_todos"))
            .await
            .unwrap();
        assert_eq!(listed.structured_content.unwrap()["todos"], json!([]));
    }
}

/// Under `rmcp`, in either lifecycle, with a client that holds one of the two scopes that both servers list.
#[tokio::test]
async fn with_one_of_two_scopes_it_reads_from_both_servers_and_gives_up_writing() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let (rust, fast) = tokio::join!(TodoServer::start(&jeton.url), FastMcp::start(&jeton.url));
    for url in [&rust.url, &fast.url] {
        let server = operator.mcp_server(url, &["todo:read", "todo:write"]).await;
        for asked in ["", "todo:read todo:write"] {
            for lifecycle in [
                ClientLifecycleMode::Initialize,
                ClientLifecycleMode::Auto {
                    preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                    legacy_version: None,
                },
            ] {
                let reader = operator.client(&server, &["todo:read"]).await;
                let who = format!("asking for {asked:?} at {url}");
                let credentials =
                    ClientCredentials::new(&jeton.url, &reader.client_id, &reader.client_secret);
                let mut tokens = TokenSource::builder(url, credentials);
                if !asked.is_empty() {
                    tokens = tokens.scope(asked.parse().unwrap());
                }
                let transport = StreamableHttpClientTransport::with_client(
                    AuthorizedClient::new(tokens.build().unwrap()),
                    StreamableHttpClientTransportConfig::with_uri(url.as_str()),
                );
                let client = ().serve_with_lifecycle(transport, lifecycle).await.unwrap();
                for _ in 0..3 {
                    let mut create = CallToolRequestParams::new("create_todo");
                    create.arguments = json!({ "title": "No" }).as_object().cloned();
                    let created = client.call_tool(create).await;
                    let refused = created
                        .as_ref()
                        .map_or(true, |created| created.is_error == Some(true));
                    assert!(refused, "{who}: {created:?}");
                    let list = CallToolRequestParams::new("list_todos");
                    let listed = client.call_tool(list).await.unwrap();
                    let todos = &listed.structured_content.unwrap()["todos"];
                    assert_eq!(*todos, json!([]), "{who}");
                }
                let _ = client.cancel().await;
                // One for reading; one more at most, to learn that writing is not granted.
                let query = format!("client_id={}", reader.client_id);
                let events = operator.audit(&query).await;
                let asked_for = events
                    .iter()
                    .filter(|event| event["kind"].as_str().unwrap().starts_with("token."))
                    .count();
                assert!((1..=2).contains(&asked_for), "{who}: {events:?}");
            }
        }
    }
}

#[tokio::test]
async fn white_space_around_the_credentials_is_left_out() {
    let world = World::new().await;
    let surrounded = Credentials {
        client_id: format!(" {}\n", world.writer.client_id),
        client_secret: format!("\t{} \r\n", world.writer.client_secret),
    };
    let source = world.source(&surrounded).build().unwrap();
    assert!(source.token().await.is_ok());
}

#[tokio::test]
async fn a_request_is_sent_once_more_after_a_401() {
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let guard = GuardLayer::builder(&url, &jeton.url).build().unwrap();
    // Refuses the first token it sees, as a server that knows of a revocation would.
    let with_token = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&with_token);
    let refuse_first = from_fn(move |request: Request, next: Next| {
        let has_token = request.headers().contains_key("authorization");
        let first = has_token && counter.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                StatusCode::UNAUTHORIZED.into_response()
            } else {
                next.run(request).await
            }
        }
    });
    let router = Router::new()
        .route("/mcp", post(|| async { Json(json!({})) }))
        .layer(guard)
        .layer(refuse_first);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let server = operator.mcp_server(&url, &["a"]).await;
    let client = operator.client(&server, &["a"]).await;
    let credentials = ClientCredentials::new(&jeton.url, &client.client_id, &client.client_secret);
    let source = TokenSource::builder(&url, credentials).build().unwrap();
    let request = || http().post(&url).body("{}").build().unwrap();
    assert_eq!(source.send(request()).await.unwrap().status(), 200);
    assert_eq!(with_token.load(Ordering::SeqCst), 2);
    assert_eq!(source.send(request()).await.unwrap().status(), 200);
    assert_eq!(with_token.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn credentials_go_to_the_issuer_they_belong_to_and_no_other() {
    let world = World::new().await;
    let other = Jeton::start().await;
    let source = world.source_of(&other.url, &world.writer).build().unwrap();
    let error = source.token().await.unwrap_err();
    assert!(matches!(error, AgentError::OtherIssuer { .. }), "{error}");
    assert!(!format!("{error} {error:?} {source:?}").contains(&world.writer.client_secret));
    assert!(!other.log().contains(&world.writer.client_id));
}

#[tokio::test]
async fn a_token_is_sent_to_its_own_server_only() {
    let world = World::new().await;
    let source = world.source(&world.writer).build().unwrap();
    let elsewhere = http()
        .get(format!("{}/keys", world.jeton.url))
        .build()
        .unwrap();
    let error = source.send(elsewhere).await.unwrap_err();
    assert!(matches!(error, AgentError::OtherResource { .. }), "{error}");
}

#[tokio::test]
async fn metadata_about_another_resource_is_not_believed() {
    let world = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    // A server that poses as the todo server, to be sent a token for it.
    let document =
        json!({ "resource": world.todo.url, "authorization_servers": [world.jeton.url] });
    let router = Router::new().route(
        "/.well-known/oauth-protected-resource/mcp",
        axum::routing::get(move || async move { Json(document) }),
    );
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let credentials = ClientCredentials::new(
        &world.jeton.url,
        &world.writer.client_id,
        &world.writer.client_secret,
    );
    let source = TokenSource::builder(&url, credentials).build().unwrap();
    let error = source.token().await.unwrap_err();
    assert!(
        matches!(error, AgentError::ResourceMismatch { .. }),
        "{error}"
    );
    assert_eq!(world.issued_to(&world.writer).await, 0);
}

#[tokio::test]
async fn what_went_wrong_is_said_with_the_address() {
    let world = World::new().await;
    let wrong = Credentials {
        client_secret: "jeton_wrong".into(),
        ..world.writer.clone()
    };
    let error = world
        .source(&wrong)
        .build()
        .unwrap()
        .token()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("invalid_client"), "{error}");
    let unprotected = world.jeton.url.clone() + "/healthz";
    let credentials = ClientCredentials::new(&world.jeton.url, "m2m_x", "jeton_x");
    let source = TokenSource::builder(&unprotected, credentials)
        .build()
        .unwrap();
    let error = source.token().await.unwrap_err().to_string();
    assert!(
        error.contains(&unprotected) && error.contains("RFC 9728"),
        "{error}"
    );
    let credentials = ClientCredentials::new(&world.jeton.url, "m2m_x", "jeton_x");
    assert!(
        TokenSource::builder("http://mcp.example.com/mcp", credentials)
            .build()
            .is_err()
    );
}
