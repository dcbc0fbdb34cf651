//! What still stands of a token: what only the authorization server knows (RFC 7662 §2.2).
//!
//! Everything is decided by what is registered now: the client, its grant, the MCP server with its
//! scopes, and what was revoked or declared void since. Verifiers that only check signatures know
//! nothing of it, and accept a token until it expires.

use std::sync::Arc;

use jeton_core::{
    AccessTokenClaims, Audience, McpServer, McpServerId, ResourceUri, ScopeSet, SecretId,
    Timestamp, TokenId, TokensOf,
};
use jeton_store::StoreError;

use crate::app::App;

/// The scopes of a verified token that its client still has; nothing where the token does not stand.
pub(crate) async fn standing_scopes(
    app: &App,
    claims: &AccessTokenClaims,
) -> Result<Option<ScopeSet>, StoreError> {
    let Some(client_id) = claims.parsed_client_id() else {
        return Ok(None);
    };
    let (Some(entry), Some(server)) = (
        app.directory.find_client(client_id).await?,
        server_of(app, claims),
    ) else {
        return Ok(None);
    };
    let grant = entry
        .grants
        .iter()
        .find(|grant| grant.mcp_server_id == server.id);
    let Some(grant) = grant.filter(|_| entry.client.is_enabled()) else {
        return Ok(None);
    };
    let scope = claims
        .scope
        .intersection(&server.scopes.granted(&grant.scopes));
    if scope.is_empty()
        || app.store.is_token_revoked(&claims.jti).await?
        || is_void(app, claims, &server).await?
    {
        return Ok(None);
    }
    Ok(Some(scope))
}

/// The MCP server that a token is for, if it is still there.
pub(crate) fn server_of(app: &App, claims: &AccessTokenClaims) -> Option<Arc<McpServer>> {
    match &claims.aud {
        // In the strict profile the audience is the resource as asked for.
        Audience::One(resource) => {
            let resource = ResourceUri::from_registered(resource).ok()?;
            app.directory.find_covering(&resource)
        }
        Audience::Many(names) => {
            let id: McpServerId = names.iter().find_map(|name| name.parse().ok())?;
            app.directory.find_mcp_server(id)
        }
    }
}

/// Whether a token is one of those that were declared void together.
async fn is_void(
    app: &App,
    claims: &AccessTokenClaims,
    server: &McpServer,
) -> Result<bool, StoreError> {
    let Some(client_id) = claims.parsed_client_id() else {
        return Ok(true);
    };
    let mut others = vec![TokensOf::McpServer(server.id)];
    if let Audience::One(resource) = &claims.aud
        && let Ok(resource) = ResourceUri::from_registered(resource)
    {
        others.extend(
            resource
                .covering_keys()
                .map(|key| TokensOf::Url(key.into())),
        );
    }
    let issued_at = issued_at(claims);
    let mut secrets = Vec::new();
    for void in app.store.void_tokens(client_id, &others).await? {
        if void.issued_until < issued_at {
            continue;
        }
        match void.of {
            TokensOf::Client(_) | TokensOf::McpServer(_) | TokensOf::Url(_) => return Ok(true),
            TokensOf::Grant(_, granted) if granted == server.id => return Ok(true),
            TokensOf::Grant(..) => {}
            TokensOf::Secret(secret) => secrets.push(secret),
        }
    }
    // Looked up once, however many secrets there are.
    Ok(!secrets.is_empty() && was_got_with(app, claims, &secrets).await?)
}

/// To the millisecond, by the token's ID; by `iat`, in seconds, where the ID does not say.
fn issued_at(claims: &AccessTokenClaims) -> Timestamp {
    match claims.jti.parse::<TokenId>() {
        Ok(id) => id.made_at(),
        Err(_) => Timestamp::from_seconds(claims.iat),
    }
}

/// Whether the record of the token's issue names one of the secrets. A token whose record is not found counts
/// as one that was got with them.
async fn was_got_with(
    app: &App,
    claims: &AccessTokenClaims,
    secrets: &[SecretId],
) -> Result<bool, StoreError> {
    let found = app.store.find_issue(&claims.jti).await?;
    let used = found.and_then(|record| record.event.secret_id);
    Ok(used.is_none_or(|used| secrets.contains(&used)))
}
