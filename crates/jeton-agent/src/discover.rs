//! From an MCP server's URL to its authorization server, in the order that the MCP specification
//! lists: challenge, protected resource metadata, authorization server metadata.

use jeton_core::{Challenge, ProtectedResourceMetadata, ResourceUri, ScopeSet, ServerMetadata};
use jeton_jose::{
    FetchError, McpProbe, PlainHttp, check_resolved_link, discover_named_issuer, fetch_json,
    probe_mcp_server,
};
use reqwest::Client;

use crate::{AgentError, ClientCredentials};

/// What discovery found.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The challenge, where the server sent one.
    pub challenge: Option<Challenge>,
    /// Where the protected resource metadata was found.
    pub metadata_url: String,
    /// The protected resource metadata. Its `resource` is the MCP server's URL or a parent of it.
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
    let resource: ResourceUri = url.parse().map_err(|_| AgentError::Url(url.to_owned()))?;
    let plain_http = credentials.plain_http();
    plain_http.check(url).map_err(AgentError::Endpoint)?;
    let probe = probe_mcp_server(client, url).await?;
    let (metadata_url, document) = resource_metadata(client, &resource, &probe, plain_http).await?;
    check_resource(&resource, &metadata_url, &document)?;
    let issuer = choose_issuer(url, &document, credentials)?;
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

/// The document that the challenge names; else the well-known path with the endpoint's path
/// inserted, else at the root.
async fn resource_metadata(
    client: &Client,
    resource: &ResourceUri,
    probe: &McpProbe,
    plain_http: PlainHttp,
) -> Result<(String, ProtectedResourceMetadata), AgentError> {
    let challenge = probe.challenge.as_ref();
    if let Some(url) = challenge.and_then(|challenge| challenge.resource_metadata.clone()) {
        check_resolved_link(resource.as_given(), &url, plain_http)
            .await
            .map_err(AgentError::ResourceMetadata)?;
        let document = fetch_json(client, &url)
            .await
            .map_err(AgentError::ResourceMetadata)?;
        return Ok((url, document));
    }
    for path in [resource.path(), "/"] {
        let path = ProtectedResourceMetadata::well_known_path(path);
        let url = format!("{}{path}", resource.origin());
        match fetch_json(client, &url).await {
            Ok(document) => return Ok((url, document)),
            Err(FetchError::Status { .. } | FetchError::Json { .. }) => {}
            Err(error) => return Err(AgentError::ResourceMetadata(error)),
        }
    }
    Err(AgentError::NotProtected {
        url: resource.as_given().to_owned(),
        status: probe.status,
    })
}

/// RFC 9728 §3.3 wants the server's own URL. A parent of it on the same host is accepted as well,
/// because servers with one document for several paths publish their origin; it is not asked for
/// without permission ([`crate::TokenSourceBuilder::allow_parent_resource`]).
fn check_resource(
    resource: &ResourceUri,
    metadata_url: &str,
    document: &ProtectedResourceMetadata,
) -> Result<(), AgentError> {
    match document.resource.parse::<ResourceUri>() {
        Ok(about) if about.covers(resource) => Ok(()),
        _ => Err(AgentError::ResourceMismatch {
            metadata_url: metadata_url.to_owned(),
            expected: resource.as_given().to_owned(),
            found: document.resource.clone(),
        }),
    }
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
            issuer: credentials.issuer().to_owned(),
            found: named.clone(),
        })
}
