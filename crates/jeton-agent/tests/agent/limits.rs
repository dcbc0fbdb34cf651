//! Answers that are too long, or never come.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream::{self, StreamExt as _};
use jeton_agent::{AgentError, AuthorizedClient, TokenError, TokenSource};
use rmcp::ServiceExt as _;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::json;

use crate::support::{
    Asked, AuthorizationServer, Mode, Site, World, credentials, json as document, status,
};

#[tokio::test]
async fn a_token_answer_is_read_to_its_limit_and_no_further() {
    let world = World::new().await;
    world.auth.set(Mode::Endless);
    let source = world.source();
    let outcome = tokio::time::timeout(Duration::from_secs(20), source.token()).await;
    let error = outcome.unwrap().unwrap_err();
    assert!(
        matches!(error, AgentError::Token(TokenError::TooLarge(_))),
        "{error}"
    );
    assert_eq!(world.auth.token_requests().len(), 1);
}

#[tokio::test]
async fn a_server_that_fails_is_asked_some_times_and_no_more() {
    let world = World::new().await;
    world.auth.set(Mode::Fail(503));
    let error = world.source().token().await.unwrap_err();
    assert!(
        matches!(
            error,
            AgentError::Token(TokenError::Unreadable { status: 503, .. })
        ),
        "{error}"
    );
    assert_eq!(world.auth.token_requests().len(), 4);
}

#[tokio::test]
async fn a_server_that_asks_for_a_pause_of_ages_gets_no_second_request() {
    for pause in ["18446744073709551615", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let world = World::new().await;
        world.auth.set(Mode::Busy(pause));
        let error = world.source().token().await.unwrap_err();
        assert!(
            matches!(
                error,
                AgentError::Token(TokenError::Unreadable { status: 503, .. })
            ),
            "{error}"
        );
        assert_eq!(world.auth.token_requests().len(), 1, "{pause}");
    }
}

/// An agent whose MCP server answers calls with a token as `answer` says.
async fn agent(answer: fn() -> Response) -> TokenSource {
    let auth = AuthorizationServer::start().await;
    let issuer = auth.issuer();
    let mcp = Site::start(move |asked: Asked| {
        let issuer = issuer.clone();
        async move {
            let origin = format!("http://{}", asked.header("host").unwrap());
            match asked.path.as_str() {
                "/mcp" if asked.body.contains("notifications/") => status(202),
                "/mcp" if asked.header("authorization").is_some() => answer(),
                "/mcp" => status(401),
                "/.well-known/oauth-protected-resource/mcp" => document(&json!({
                    "resource": format!("{origin}/mcp"), "authorization_servers": [issuer],
                })),
                _ => status(404),
            }
        }
    })
    .await;
    TokenSource::builder(format!("{}/mcp", mcp.url), credentials(&auth.issuer()))
        .idle_timeout(Duration::from_secs(2))
        .build()
        .unwrap()
}

/// Begins an MCP session.
async fn connect(source: TokenSource) -> Result<(), String> {
    let url = source.url().to_owned();
    let transport = StreamableHttpClientTransport::with_client(
        AuthorizedClient::new(source),
        StreamableHttpClientTransportConfig::with_uri(url),
    );
    let connected = tokio::time::timeout(Duration::from_secs(20), ().serve(transport));
    match connected.await.map_err(|_| "it hangs".to_owned())? {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// An answer that begins, and says nothing.
fn silence() -> Response {
    let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let mut response = Response::new(body);
    let event_stream = "text/event-stream".parse().unwrap();
    response.headers_mut().insert("content-type", event_stream);
    response
}

/// The answer to `initialize` after four seconds, with a sign of life every half second.
fn slow_but_alive() -> Response {
    let result = json!({
        "jsonrpc": "2.0", "id": 0,
        "result": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "serverInfo": { "name": "slow", "version": "1" },
        },
    });
    let events = stream::unfold(0, move |beat| {
        let event = match beat {
            0..8 => Some(": alive\n\n".to_owned()),
            8 => Some(format!("data: {result}\n\n")),
            _ => None,
        };
        async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            Some((Ok::<_, Infallible>(Bytes::from(event?)), beat + 1))
        }
    });
    let mut response = silence();
    *response.body_mut() = Body::from_stream(events.fuse());
    response
}

#[tokio::test]
async fn an_mcp_server_that_falls_silent_does_not_hold_a_call() {
    let error = connect(agent(silence).await).await.unwrap_err();
    assert!(!error.contains("it hangs"), "{error}");
}

#[tokio::test]
async fn a_stream_lives_as_long_as_something_comes() {
    connect(agent(slow_but_alive).await).await.unwrap();
}
