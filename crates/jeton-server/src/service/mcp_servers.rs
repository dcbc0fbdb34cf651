//! Registering, changing and deleting MCP servers.

use std::sync::Arc;

use jeton_core::{
    AuditKind, ClientId, Description, DisplayName, Grant, McpServer, McpServerId, ResourceUri,
    ScopeDefinition, SigningAlgorithm, TokenProfile, TokenRequest, TokenTtl,
};
use jeton_store::{StoreError, retry_on_conflict};

use super::{Operator, ServiceError};
use crate::app::App;

const MAX_SCOPES: usize = TokenRequest::MAX_SCOPES;

/// An MCP server to register.
#[derive(Debug)]
pub(crate) struct NewMcpServer {
    pub(crate) name: DisplayName,
    pub(crate) description: Description,
    pub(crate) url: ResourceUri,
    pub(crate) scopes: Vec<ScopeDefinition>,
    pub(crate) token_ttl: TokenTtl,
    pub(crate) signing_alg: SigningAlgorithm,
    pub(crate) token_profile: TokenProfile,
    pub(crate) own_issuer: bool,
}

/// A change; what is absent stays as it is.
#[derive(Debug, Default)]
pub(crate) struct McpServerChange {
    pub(crate) name: Option<DisplayName>,
    pub(crate) description: Option<Description>,
    pub(crate) url: Option<ResourceUri>,
    pub(crate) scopes: Option<Vec<ScopeDefinition>>,
    pub(crate) token_ttl: Option<TokenTtl>,
    pub(crate) signing_alg: Option<SigningAlgorithm>,
    pub(crate) token_profile: Option<TokenProfile>,
    pub(crate) own_issuer: Option<bool>,
}

/// Finds one, for an operator.
pub(crate) async fn find(app: &App, id: McpServerId) -> Result<Arc<McpServer>, ServiceError> {
    if let Some(server) = app.directory.find_mcp_server(id) {
        return Ok(server);
    }
    // Registered on another server a moment ago, perhaps.
    app.directory
        .read_mcp_server(id)
        .await?
        .ok_or_else(|| ServiceError::not_found("MCP server", &id))
}

/// Registers one.
pub(crate) async fn create(
    app: &App,
    operator: &Operator,
    new: NewMcpServer,
) -> Result<McpServer, ServiceError> {
    check_url(app, &new.url)?;
    check_scopes(&new.scopes)?;
    let now = app.clock.now();
    let server = McpServer {
        id: McpServerId::generate(now, app.entropy.as_ref())?,
        name: new.name,
        description: new.description,
        url: new.url,
        scopes: new.scopes,
        token_ttl: new.token_ttl,
        signing_alg: new.signing_alg,
        token_profile: new.token_profile,
        own_issuer: new.own_issuer,
        system: false,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let mut event = operator.event(app, AuditKind::McpServerCreated)?;
    event.mcp_server_id = Some(server.id);
    event.scope = Some(server.scope_set());
    event.resource = Some(server.url.as_given().to_owned());
    event
        .detail
        .insert("name".into(), server.name.as_str().into());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        match tx.insert_mcp_server(&server).await {
            Err(StoreError::Exists) => {
                drop(tx);
                return Err(url_taken(app, &server.url).await?);
            }
            inserted => inserted?,
        }
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.mcp_server_changed(server.clone());
    Ok(server)
}

/// Changes one. A scope that goes away goes from every grant too. `expected` is the version that
/// the operator saw, if it said so.
pub(crate) async fn update(
    app: &App,
    operator: &Operator,
    id: McpServerId,
    change: McpServerChange,
    expected: Option<i64>,
) -> Result<McpServer, ServiceError> {
    let _in_order = app.directory.changing_mcp_servers().await?;
    let before = app
        .store
        .find_mcp_server(id)
        .await?
        .ok_or_else(|| ServiceError::not_found("MCP server", &id))?;
    refuse_system(&before)?;
    if expected.is_some_and(|expected| expected != before.version) {
        return Err(ServiceError::Stale);
    }
    if let Some(url) = &change.url {
        check_url(app, url)?;
    }
    if let Some(scopes) = &change.scopes {
        check_scopes(scopes)?;
    }
    let after = apply(app, &before, change);
    let narrowed = narrowed_grants(app, &after).await?;
    let mut event = operator.event(app, AuditKind::McpServerUpdated)?;
    event.mcp_server_id = Some(id);
    event.scope = Some(after.scope_set());
    event.resource = Some(after.url.as_given().to_owned());
    event
        .detail
        .insert("narrowed_grants".into(), narrowed.len().into());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        match tx.update_mcp_server(&after).await {
            Err(StoreError::Exists) => {
                drop(tx);
                return Err(url_taken(app, &after.url).await?);
            }
            updated => updated?,
        }
        for grant in &narrowed {
            tx.narrow_grant(grant).await?;
        }
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.mcp_server_changed(after.clone());
    announce(app, narrowed.iter().map(|grant| grant.client_id));
    Ok(after)
}

/// Deletes one with its grants and credentials; one that is not there is deleted already.
pub(crate) async fn delete(
    app: &App,
    operator: &Operator,
    id: McpServerId,
) -> Result<(), ServiceError> {
    let _in_order = app.directory.changing_mcp_servers().await?;
    let Some(server) = app.store.find_mcp_server(id).await? else {
        return Ok(());
    };
    refuse_system(&server)?;
    let mut event = operator.event(app, AuditKind::McpServerDeleted)?;
    event.mcp_server_id = Some(id);
    event.resource = Some(server.url.as_given().to_owned());
    event
        .detail
        .insert("name".into(), server.name.as_str().into());
    let grants = app.store.grants_on_mcp_server(id).await?;
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        if tx.delete_mcp_server(id).await? {
            tx.record(&event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.mcp_server_deleted(id);
    announce(app, grants.iter().map(|grant| grant.client_id));
    Ok(())
}

fn apply(app: &App, before: &McpServer, change: McpServerChange) -> McpServer {
    let before = before.clone();
    McpServer {
        name: change.name.unwrap_or(before.name),
        description: change.description.unwrap_or(before.description),
        url: change.url.unwrap_or(before.url),
        scopes: change.scopes.unwrap_or(before.scopes),
        token_ttl: change.token_ttl.unwrap_or(before.token_ttl),
        signing_alg: change.signing_alg.unwrap_or(before.signing_alg),
        token_profile: change.token_profile.unwrap_or(before.token_profile),
        own_issuer: change.own_issuer.unwrap_or(before.own_issuer),
        updated_at: app.clock.now(),
        version: before.version + 1,
        ..before
    }
}

/// The grants that lose scopes, as they are afterwards.
async fn narrowed_grants(app: &App, after: &McpServer) -> Result<Vec<Grant>, ServiceError> {
    let defined = after.scope_set();
    Ok(app
        .store
        .grants_on_mcp_server(after.id)
        .await?
        .into_iter()
        .filter(|grant| !grant.scopes.is_subset_of(&defined))
        .map(|grant| Grant {
            scopes: grant.scopes.intersection(&defined),
            ..grant
        })
        .collect())
}

fn announce(app: &App, clients: impl Iterator<Item = ClientId>) {
    for client in clients {
        app.directory.client_changed(client);
    }
}

fn refuse_system(server: &McpServer) -> Result<(), ServiceError> {
    if server.system {
        return Err(ServiceError::Conflict(
            "this is Jeton's own admin API, which cannot be changed or deleted".into(),
        ));
    }
    Ok(())
}

/// Tokens for URLs of Jeton's own would be tokens for its admin API.
fn check_url(app: &App, url: &ResourceUri) -> Result<(), ServiceError> {
    if url.origin() == app.issuer.as_str() {
        return Err(ServiceError::Invalid {
            parameter: "url",
            detail: "this is Jeton's own address; give the address of the MCP server".into(),
        });
    }
    Ok(())
}

fn check_scopes(scopes: &[ScopeDefinition]) -> Result<(), ServiceError> {
    let invalid = |detail| {
        Err(ServiceError::Invalid {
            parameter: "scopes",
            detail,
        })
    };
    if scopes.len() > MAX_SCOPES {
        return invalid(format!("at most {MAX_SCOPES} scopes, not {}", scopes.len()));
    }
    for (index, scope) in scopes.iter().enumerate() {
        if scopes
            .iter()
            .take(index)
            .any(|earlier| earlier.name == scope.name)
        {
            return invalid(format!("the scope {} is defined twice", scope.name));
        }
    }
    Ok(())
}

async fn url_taken(app: &App, url: &ResourceUri) -> Result<ServiceError, ServiceError> {
    let holder = app
        .store
        .find_mcp_server_by_url_key(url.comparison_key())
        .await?;
    Ok(ServiceError::Conflict(match holder {
        Some(server) => format!(
            "the URL {url} is registered already, as {} ({}); update that one, or choose another URL",
            server.id, server.name
        ),
        None => format!("the URL {url} is registered already"),
    }))
}
