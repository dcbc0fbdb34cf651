//! The call that makes a server say how it is protected.

use jeton_agent::TokenSource;
use serde_json::{Value, json};

use crate::support::{Asked, AuthorizationServer, Site, credentials, json as document, status};

const EXTENSION: &str = "io.modelcontextprotocol/oauth-client-credentials";

/// An MCP server that answers 400 without a challenge unless it `accepts` the request's form, and
/// whose metadata is where only its challenge says.
async fn picky(issuer: &str, accepts: fn(&Asked) -> bool) -> Site {
    let issuer = issuer.to_owned();
    Site::start(move |asked: Asked| {
        let issuer = issuer.clone();
        async move {
            let origin = format!("http://{}", asked.header("host").unwrap());
            match asked.path.as_str() {
                "/mcp" if !accepts(&asked) => status(400),
                "/mcp" => {
                    let mut refused = status(401);
                    let header =
                        format!(r#"Bearer resource_metadata="{origin}/metadata", scope="a""#);
                    refused
                        .headers_mut()
                        .insert("www-authenticate", header.parse().unwrap());
                    refused
                }
                "/metadata" => document(&json!({
                    "resource": format!("{origin}/mcp"), "authorization_servers": [issuer],
                })),
                _ => status(404),
            }
        }
    })
    .await
}

async fn is_served(accepts: fn(&Asked) -> bool) {
    let auth = AuthorizationServer::start().await;
    let mcp = picky(&auth.issuer(), accepts).await;
    let url = format!("{}/mcp", mcp.url);
    let source = TokenSource::builder(url, credentials(&auth.issuer())).build();
    source.unwrap().token().await.unwrap();
}

fn is_json(asked: &Asked) -> bool {
    asked.method == "POST"
        && asked.header("content-type") == Some("application/json")
        && asked.header("accept") == Some("application/json, text/event-stream")
}

#[tokio::test]
async fn a_server_that_checks_headers_first_answers_with_its_challenge() {
    is_served(|asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let meta = &body["params"]["_meta"];
        is_json(asked)
            && asked.header("mcp-protocol-version") == Some("2026-07-28")
            && asked.header("mcp-method") == body["method"].as_str()
            && meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
            && meta["io.modelcontextprotocol/clientCapabilities"]["extensions"][EXTENSION]
                .is_object()
    })
    .await;
}

#[tokio::test]
async fn so_does_one_that_knows_an_earlier_revision_only() {
    is_served(|asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let version = asked.header("mcp-protocol-version");
        is_json(asked)
            && version.is_none_or(|version| version == "2025-11-25")
            && body["method"] == "initialize"
            && body["params"]["protocolVersion"] == "2025-11-25"
            && body["params"]["capabilities"]["extensions"][EXTENSION].is_object()
    })
    .await;
}
