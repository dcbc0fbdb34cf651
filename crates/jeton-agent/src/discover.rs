//! From an MCP server's URL to its authorization server, in the order that the MCP specification
//! lists: challenge, protected resource metadata, authorization server metadata.

use jeton_core::{Challenge, ProtectedResourceMetadata, ScopeSet, ServerMetadata, presentable_url};
use jeton_jose::{check_resolved_link, discover_named_issuer, probe_mcp_server};
use reqwest::Client;

use crate::mcp_url::McpUrl;
use crate::{AgentError, ClientCredentials, resource_metadata};

/// What discovery found.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The challenge, where the server sent one.
    pub challenge: Option<Challenge>,
    /// Where the protected resource metadata was found.
    pub metadata_url: String,
    /// The protected resource metadata. Its `resource` is the MCP server's URL, without a query, or
    /// a parent of it.
    pub resource: ProtectedResourceMetadata,
    /// The authorization server's metadata.
    pub server: ServerMetadata,
}

impl Discovered {
    /// The scopes that the challenge asks for.
    pub fn challenged_scope(&self) -> Option<&ScopeSet> {
        self.challenge
            .as_ref()?
            .scope
            .as_ref()
            .filter(|scope| !scope.is_empty())
    }
}

/// Finds out how the MCP server at `url` is protected. The only authorization server accepted is
/// the one that `credentials` belong to ([`ClientCredentials::belong_to`]); no secret is sent.
///
/// # Errors
///
/// [`AgentError`], which says which step failed and at which URL.
pub async fn discover(
    client: &Client,
    url: &str,
    credentials: &ClientCredentials,
) -> Result<Discovered, AgentError> {
    let plain_http = credentials.plain_http();
    let url = McpUrl::new(url, plain_http)?;
    let resource = url.resource();
    let probe = probe_mcp_server(client, url.as_given()).await?;
    let (metadata_url, document) =
        resource_metadata::find(client, resource, &probe, plain_http).await?;
    let issuer = choose_issuer(resource.as_given(), &document, credentials)?;
    let server = discover_named_issuer(client, issuer, plain_http).await?;
    // The issuer is as the person gave it; where its metadata leads is checked against that.
    check_resolved_link(credentials.issuer(), &server.token_endpoint, plain_http)
        .await
        .map_err(AgentError::Endpoint)?;
    Ok(Discovered {
        challenge: probe.challenge,
        metadata_url,
        resource: document,
        server,
    })
}

/// Of the authorization servers named, the first that the credentials belong to.
fn choose_issuer<'a>(
    url: &str,
    document: &'a ProtectedResourceMetadata,
    credentials: &ClientCredentials,
) -> Result<&'a str, AgentError> {
    let named = &document.authorization_servers;
    if named.is_empty() {
        return Err(AgentError::NoAuthorizationServer(url.to_owned()));
    }
    named
        .iter()
        .find(|named| credentials.belong_to(named))
        .map(String::as_str)
        .ok_or_else(|| AgentError::OtherIssuer {
            url: url.to_owned(),
            issuer: presentable_url(credentials.issuer()),
            found: named.iter().map(|issuer| presentable_url(issuer)).collect(),
        })
}
