//! From an MCP server's URL to its authorization server, in the order that the MCP specification
//! lists: challenge, protected resource metadata, authorization server metadata.

use jeton_core::{Challenge, ProtectedResourceMetadata, ResourceUri, ScopeSet, ServerMetadata};
use jeton_jose::{FetchError, discover_issuer, fetch_json, is_trustworthy_url};
use reqwest::Client;
use reqwest::header::{ACCEPT, CONTENT_TYPE, WWW_AUTHENTICATE};

use crate::AgentError;

/// What discovery found.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The challenge, where the server sent one.
    pub challenge: Option<Challenge>,
    /// Where the protected resource metadata was found.
    pub metadata_url: String,
    /// The protected resource metadata.
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

/// Finds out how the MCP server at `url` is protected. Where `issuer` is given, no other
/// authorization server is accepted.
///
/// # Errors
///
/// [`AgentError`], which says which step failed and at which address.
pub async fn discover(
    client: &Client,
    url: &str,
    issuer: Option<&str>,
) -> Result<Discovered, AgentError> {
    let resource: ResourceUri = url.parse().map_err(|_| AgentError::Url(url.to_owned()))?;
    if !is_trustworthy_url(url) {
        return Err(AgentError::Url(url.to_owned()));
    }
    let (status, challenge) = probe(client, url).await?;
    let (metadata_url, document) =
        resource_metadata(client, &resource, status, challenge.as_ref()).await?;
    // RFC 9728 §3.3. A parent is accepted: servers with one document for several paths publish
    // their origin.
    let about = document.resource.parse::<ResourceUri>();
    if !about.is_ok_and(|about| about.covers(&resource)) {
        return Err(AgentError::ResourceMismatch {
            metadata_url,
            expected: url.to_owned(),
            found: document.resource,
        });
    }
    let chosen = choose_issuer(url, &document, issuer)?;
    let server = discover_issuer(client, chosen).await?;
    Ok(Discovered {
        challenge,
        metadata_url,
        resource: document,
        server,
    })
}

/// Asks without a token, to be told what is missing.
async fn probe(client: &Client, url: &str) -> Result<(u16, Option<Challenge>), AgentError> {
    let response = client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .body(r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#)
        .send()
        .await?;
    let challenge = response
        .headers()
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(|value| Challenge::parse(value).ok());
    Ok((response.status().as_u16(), challenge))
}

/// The document that the challenge names; else the well-known path with the endpoint's path
/// inserted, else at the root.
async fn resource_metadata(
    client: &Client,
    resource: &ResourceUri,
    status: u16,
    challenge: Option<&Challenge>,
) -> Result<(String, ProtectedResourceMetadata), AgentError> {
    if let Some(url) = challenge.and_then(|challenge| challenge.resource_metadata.clone()) {
        if !is_trustworthy_url(&url) {
            return Err(AgentError::ResourceMetadata(FetchError::Insecure(url)));
        }
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
        status,
    })
}

/// Credentials are sent to the authorization server they belong to and no other.
fn choose_issuer<'a>(
    url: &str,
    document: &'a ProtectedResourceMetadata,
    issuer: Option<&str>,
) -> Result<&'a str, AgentError> {
    let named = &document.authorization_servers;
    let first = named
        .first()
        .ok_or_else(|| AgentError::NoAuthorizationServer(url.to_owned()))?;
    match issuer {
        None => Ok(first),
        // An MCP server may name the issuer, or its own issuer below it.
        Some(issuer) => named
            .iter()
            .find(|found| {
                found
                    .strip_prefix(issuer)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with("/resources/"))
            })
            .map(String::as_str)
            .ok_or_else(|| AgentError::OtherIssuer {
                url: url.to_owned(),
                issuer: issuer.to_owned(),
                found: named.clone(),
            }),
    }
}
