//! The client credentials grant (OAuth 2.1 §4.2): which MCP server, which scopes, how long.

use std::sync::Arc;

use jeton_core::{Grant, McpServer, TokenRequest, looks_secret};

use super::decision::{Decision, Issue, Refusal};
use super::granted_scopes::{GrantedScopes, granted_scopes};
use super::granted_urls::GrantedUrls;
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
            let granted = GrantedUrls::of(client, directory);
            match directory.retired_covering(resource) {
                Some(retired) => Refusal::ResourceRetired {
                    server: retired.mcp_server_id,
                    granted,
                },
                None => Refusal::ResourceNotGranted {
                    server: None,
                    granted,
                },
            }
        })?),
        None => default_server.cloned(),
    };
    let Some(server) = named else {
        return default_target(directory, client);
    };
    let mut grants = client.grants.iter();
    match grants.find(|grant| grant.mcp_server_id == server.id) {
        Some(_) if names_a_secret(request, &server) => Err(Refusal::ResourceSecret {
            registered: server.url.as_given().to_owned(),
            server: server.id,
        }),
        Some(grant) => Ok((server, grant)),
        None => Err(Refusal::ResourceNotGranted {
            server: Some(server.id),
            granted: GrantedUrls::of(client, directory),
        }),
    }
}

/// Whether somebody put a secret below a registered URL.
fn names_a_secret(request: &TokenRequest, server: &McpServer) -> bool {
    let Some(resource) = &request.resource else {
        return false;
    };
    looks_secret(resource.as_given()) && !server.urls().any(|url| looks_secret(url.as_given()))
}

/// Where no resource is named: the client's default MCP server; without one, its only grant.
fn default_target<'a>(
    directory: &Directory,
    client: &'a ClientEntry,
) -> Result<(Arc<McpServer>, &'a Grant), Refusal> {
    let mut grants = client
        .grants
        .iter()
        .filter_map(|grant| Some((directory.find_mcp_server(grant.mcp_server_id)?, grant)));
    let default = client.client.default_mcp_server;
    if let Some(target) = grants
        .clone()
        .find(|(server, _)| default == Some(server.id))
    {
        return Ok(target);
    }
    match (grants.next(), grants.next()) {
        (None, _) => Err(Refusal::NoGrant),
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Refusal::ResourceMissing {
            granted: GrantedUrls::of(client, directory),
        }),
    }
}
