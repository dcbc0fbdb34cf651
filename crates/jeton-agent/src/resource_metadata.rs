//! The protected resource metadata (RFC 9728): where the challenge says, else where it belongs.

use jeton_core::{ProtectedResourceMetadata, ResourceUri, presentable_url};
use jeton_jose::{FetchError, McpProbe, PlainHttp, check_resolved_link, fetch_json};
use reqwest::Client;

use crate::AgentError;
use crate::failure::causes;
use crate::mcp_url::without_query;

/// A document, and where it was found.
type Found = (String, ProtectedResourceMetadata);

/// Finds the document of `resource`, an MCP server that answered a call without a token with `probe`. What its challenge names comes first; where that is of no use, the well-known addresses
/// of the server that the person named. Each is held to the same rules: it is about this server
/// (RFC 9728 §3.3), and does not lead to this machine or its network from elsewhere.
pub(crate) async fn find(
    client: &Client,
    resource: &ResourceUri,
    probe: &McpProbe,
    plain_http: PlainHttp,
) -> Result<Found, AgentError> {
    let status = probe.status;
    let challenge = probe.challenge.as_ref();
    let advertised = challenge.and_then(|challenge| challenge.resource_metadata.as_deref());
    let Some(url) = advertised else {
        return at_well_known(client, resource, status).await;
    };
    let wrong = match at_advertised(client, resource, url, plain_http).await {
        Ok(document) => return Ok((url.to_owned(), document)),
        Err(wrong) => wrong,
    };
    match at_well_known(client, resource, status).await {
        Ok(found) => {
            tracing::warn!(
                url = resource.as_given(),
                found = found.0,
                problem = causes(&wrong),
                "the protected resource metadata is not where the MCP server says that it is; the one at its well-known address is used"
            );
            Ok(found)
        }
        Err(_) => Err(wrong),
    }
}

async fn at_advertised(
    client: &Client,
    resource: &ResourceUri,
    url: &str,
    plain_http: PlainHttp,
) -> Result<ProtectedResourceMetadata, AgentError> {
    let unusable = |source| AgentError::AdvertisedMetadata {
        url: resource.as_given().to_owned(),
        source,
    };
    check_resolved_link(resource.as_given(), url, plain_http)
        .await
        .map_err(unusable)?;
    let document = fetch_json(client, url).await.map_err(unusable)?;
    checked(resource, url, document)
}

/// The well-known path with the endpoint's path inserted, else at the root.
async fn at_well_known(
    client: &Client,
    resource: &ResourceUri,
    status: u16,
) -> Result<Found, AgentError> {
    let mut paths = vec![ProtectedResourceMetadata::well_known_path(resource.path())];
    let root = ProtectedResourceMetadata::well_known_path("/");
    if !paths.contains(&root) {
        paths.push(root);
    }
    let mut about_another = None;
    for path in paths {
        let url = format!("{}{path}", resource.origin());
        match fetch_json(client, &url).await {
            Ok(document) => match checked(resource, &url, document) {
                Ok(document) => return Ok((url, document)),
                Err(error) => {
                    about_another.get_or_insert(error);
                }
            },
            Err(FetchError::Status { .. } | FetchError::Json { .. }) => {}
            Err(error) => return Err(AgentError::ResourceMetadata(error)),
        }
    }
    Err(about_another.unwrap_or_else(|| AgentError::NotProtected {
        url: resource.as_given().to_owned(),
        status,
    }))
}

/// RFC 9728 §3.3 wants the server's own URL. A parent of it on the same host is accepted as well,
/// because servers with one document for several paths publish their origin; it is not asked for
/// without permission ([`crate::TokenSourceBuilder::allow_parent_resource`]). A query is ignored.
fn checked(
    resource: &ResourceUri,
    metadata_url: &str,
    document: ProtectedResourceMetadata,
) -> Result<ProtectedResourceMetadata, AgentError> {
    let named = without_query(&document.resource);
    match named.parse::<ResourceUri>() {
        Ok(about) if about.covers(resource) => {
            let resource = named.to_owned();
            Ok(ProtectedResourceMetadata {
                resource,
                ..document
            })
        }
        _ => Err(AgentError::ResourceMismatch {
            metadata_url: presentable_url(metadata_url),
            expected: resource.as_given().to_owned(),
            found: presentable_url(&document.resource),
        }),
    }
}
