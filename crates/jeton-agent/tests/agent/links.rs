//! A server elsewhere does not lead the agent to this machine.

use axum::response::{IntoResponse as _, Redirect};
use jeton_agent::{AgentError, TokenSource};
use jeton_jose::FetchError;
use serde_json::json;

use crate::support::{Asked, SECRET, Site, Tls, credentials, json as document, status};

/// A service that only this machine can reach.
async fn inside() -> Site {
    Site::start(async |_| document(&json!({}))).await
}

const MCP: &str = "https://mcp.example.com/mcp";
const ISSUER: &str = "https://auth.example.com";

/// An agent whose MCP server is elsewhere and answers with `answer`, and whose authorization server
/// has its token endpoint at `token_endpoint`.
async fn agent<R>(
    answer: impl Fn(Asked) -> R + Clone + Send + Sync + 'static,
    token_endpoint: String,
) -> TokenSource
where
    R: Future<Output = axum::response::Response> + Send + 'static,
{
    let tls = Tls::new();
    let (mcp, auth) = (tls.listen().await, tls.listen().await);
    let names = [
        ("mcp.example.com", mcp.address()),
        ("auth.example.com", auth.address()),
    ];
    Site::on(mcp, MCP.to_owned(), answer);
    Site::on(auth, ISSUER.to_owned(), move |asked: Asked| {
        let metadata = json!({ "issuer": ISSUER, "token_endpoint": token_endpoint });
        async move {
            match asked.path.as_str() {
                "/.well-known/oauth-authorization-server" => document(&metadata),
                "/oauth/token" => document(&json!({
                    "access_token": "token", "token_type": "Bearer", "expires_in": 3600,
                })),
                _ => status(404),
            }
        }
    });
    TokenSource::builder(MCP, credentials(ISSUER))
        .configure_http(tls.reaching(&names))
        .build()
        .unwrap()
}

fn challenge(metadata_url: &str) -> axum::response::Response {
    let header = format!(r#"Bearer resource_metadata="{metadata_url}""#);
    let mut response = status(401);
    response
        .headers_mut()
        .insert("www-authenticate", header.parse().unwrap());
    response
}

async fn honest(asked: Asked) -> axum::response::Response {
    match asked.path.as_str() {
        "/mcp" => challenge("https://mcp.example.com/metadata"),
        "/metadata" => document(&json!({ "resource": MCP, "authorization_servers": [ISSUER] })),
        _ => status(404),
    }
}

#[tokio::test]
async fn an_honest_server_elsewhere_is_served() {
    let source = agent(honest, format!("{ISSUER}/oauth/token")).await;
    assert_eq!(source.token().await.unwrap().expose(), "token");
}

#[tokio::test]
async fn a_challenge_does_not_lead_inside() {
    let inside = inside().await;
    let port = inside.url.rsplit(':').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "[::1]", "a.localhost"] {
        let url = format!("http://{host}:{port}/metadata");
        let source = agent(
            move |_| {
                let answer = challenge(&url);
                async move { answer }
            },
            format!("{ISSUER}/oauth/token"),
        )
        .await;
        let error = source.token().await.unwrap_err();
        assert!(
            matches!(
                error,
                AgentError::AdvertisedMetadata {
                    source: FetchError::Inward { .. },
                    ..
                }
            ),
            "{host}: {error:?}"
        );
    }
    assert!(inside.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_does_not_lead_inside_or_anywhere() {
    let inside = inside().await;
    let url = inside.url.clone();
    let everything = move |_| {
        let answer = Redirect::temporary(&format!("{url}/x")).into_response();
        async move { answer }
    };
    let source = agent(everything, format!("{ISSUER}/oauth/token")).await;
    assert!(source.token().await.is_err());
    let url = inside.url.clone();
    let metadata = move |asked: Asked| {
        let answer = match asked.path.as_str() {
            "/metadata" => Redirect::temporary(&format!("{url}/metadata")).into_response(),
            _ => challenge("https://mcp.example.com/metadata"),
        };
        async move { answer }
    };
    let source = agent(metadata, format!("{ISSUER}/oauth/token")).await;
    assert!(source.token().await.is_err());
    assert!(inside.asked().is_empty());
}

#[tokio::test]
async fn an_authorization_server_elsewhere_does_not_lead_inside_either() {
    let inside = inside().await;
    let source = agent(honest, format!("{}/oauth/token", inside.url)).await;
    let error = source.token().await.unwrap_err();
    assert!(
        matches!(error, AgentError::Endpoint(FetchError::Inward { .. })),
        "{error:?}"
    );
    assert!(inside.asked().is_empty());
    assert!(!format!("{error:?}").contains(SECRET));
}
