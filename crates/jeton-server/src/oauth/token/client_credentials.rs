//! The client credentials grant (OAuth 2.1 §4.2): which MCP server, which scopes, how long.

use std::sync::Arc;

use jeton_core::{Grant, McpServer, TokenRequest};

use super::decision::{Decision, Issue, Refusal};
use super::granted_scopes::{GrantedScopes, granted_scopes};
use crate::directory::{ClientEntry, Directory};

/// Decides on a request of an authenticated, enabled client.
pub(super) fn decide(
    directory: &Directory,
    client: &Arc<ClientEntry>,
    request: &TokenRequest,
    default_server: Option<&Arc<McpServer>>,
) -> Decision {
    let (server, grant) = target(directory, client, request, default_server)?;
    let GrantedScopes { scope, left_out } = granted_scopes(request.scope.as_ref(), grant, &server)?;
    let token_ttl = match client.client.token_ttl {
        Some(own) => own.min(server.token_ttl),
        None => server.token_ttl,
    };
    Ok(Issue {
        client: Arc::clone(client),
        server,
        scope,
        left_out,
        resource: request.resource.clone(),
        token_ttl,
    })
}

/// RFC 8707 §2: the MCP server that the token is for.
fn target<'a>(
    directory: &Directory,
    client: &'a ClientEntry,
    request: &TokenRequest,
    default_server: Option<&Arc<McpServer>>,
) -> Result<(Arc<McpServer>, &'a Grant), Refusal> {
    let named = match &request.resource {
        Some(resource) => Some(directory.find_covering(resource).ok_or_else(|| {
            match directory.retired_covering(resource) {
                Some(retired) => Refusal::ResourceRetired {
                    server: retired.mcp_server_id,
                },
                None => Refusal::ResourceNotGranted { server: None },
            }
        })?),
        None => default_server.cloned(),
    };
    let mut grants = client
        .grants
        .iter()
        .filter_map(|grant| Some((directory.find_mcp_server(grant.mcp_server_id)?, grant)));
    match named {
        Some(server) => grants
            .find(|(_, grant)| grant.mcp_server_id == server.id)
            .ok_or(Refusal::ResourceNotGranted {
                server: Some(server.id),
            }),
        None => match (grants.next(), grants.next()) {
            (None, _) => Err(Refusal::NoGrant),
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => Err(Refusal::ResourceMissing),
        },
    }
}
