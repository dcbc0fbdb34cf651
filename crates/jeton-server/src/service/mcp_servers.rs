//! Registering, changing and deleting MCP servers.

use std::sync::Arc;

use jeton_core::{
    AuditEvent, AuditKind, ClientId, Description, DisplayName, McpServer, McpServerId, ResourceUri,
    ResourceUriError, Scope, ScopeDefinition, SigningAlgorithm, TokenProfile, TokenTtl, TokensOf,
};
use jeton_store::{RetiredUrl, StoreError, retry_on_conflict};

use super::scope_change::{self, ScopeRename};
use super::void_tokens::ToVoid;
use super::{Confirmation, Operator, ServiceError};
use crate::app::App;

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
    /// All scopes from now on.
    pub(crate) scopes: Option<Vec<ScopeDefinition>>,
    /// Scopes to add, or to describe anew.
    pub(crate) add_scopes: Vec<ScopeDefinition>,
    /// Whether an empty description among these takes the one that is there away.
    pub(crate) clear_descriptions: bool,
    pub(crate) remove_scopes: Vec<Scope>,
    pub(crate) rename_scopes: Vec<ScopeRename>,
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

/// Finds one as it is now, for a change of what belongs to it.
pub(super) async fn find_now(app: &App, id: McpServerId) -> Result<Arc<McpServer>, ServiceError> {
    app.directory
        .read_mcp_server(id)
        .await?
        .ok_or_else(|| ServiceError::not_found("MCP server", &id))
}

/// Registers one. A URL that was retired is released.
pub(crate) async fn create(
    app: &App,
    operator: &Operator,
    new: NewMcpServer,
) -> Result<McpServer, ServiceError> {
    check_url(app, &new.url)?;
    scope_change::check(&new.scopes)?;
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
    let event = about(operator.event(app, AuditKind::McpServerCreated)?, &server);
    let _in_order = app.directory.changing_mcp_servers().await?;
    let regained = tokens_of_url(app, &server.url).await?;
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        match tx.insert_mcp_server(&server).await {
            Err(StoreError::Exists) => {
                drop(tx);
                return Err(url_taken(app, &server.url).await?);
            }
            inserted => inserted?,
        }
        if tx.release_url(&server.url).await? {
            regained.extend(&mut tx).await?;
        }
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.mcp_server_changed(server.clone(), None);
    Ok(server)
}

/// The URL that `text` gives a server, if it is another than `before` has: that may be spelled as it is refused
/// today.
pub(crate) fn new_url(
    before: &McpServer,
    text: &str,
) -> Result<Option<ResourceUri>, ResourceUriError> {
    if text == before.url.as_given() {
        return Ok(None);
    }
    text.parse().map(Some)
}

/// Says which URLs an earlier version registered in a spelling that is refused today: token requests for them
/// are.
pub(crate) fn warn_of_refused_urls(app: &App) {
    for server in app.directory.mcp_servers() {
        if let Err(error) = server.url.as_given().parse::<ResourceUri>() {
            tracing::warn!(
                mcp_server = %server.id,
                name = %server.name,
                url = %server.url,
                error = %error,
                "token requests for this MCP server's URL are refused: change it to its normal spelling"
            );
        }
    }
}

/// What an operator says about a change beside the change itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Consent {
    /// The version that the operator saw, if it said so.
    pub(crate) expected: Option<i64>,
    /// Whether the operator knows the consequences.
    pub(crate) confirmed: bool,
}

impl Consent {
    fn check_version(self, there: i64) -> Result<(), ServiceError> {
        match self.expected {
            Some(expected) if expected != there => Err(ServiceError::Stale),
            _ => Ok(()),
        }
    }

    fn require(self, consequences: Option<Confirmation>) -> Result<(), ServiceError> {
        match consequences {
            Some(consequences) if !self.confirmed => {
                Err(ServiceError::Unconfirmed(Box::new(consequences)))
            }
            _ => Ok(()),
        }
    }
}

/// Changes one. A scope that is removed goes from every grant too, one that is renamed is renamed
/// there.
pub(crate) async fn update(
    app: &App,
    operator: &Operator,
    id: McpServerId,
    mut change: McpServerChange,
    consent: Consent,
) -> Result<McpServer, ServiceError> {
    let _in_order = app.directory.changing_mcp_servers().await?;
    let before = app
        .store
        .find_mcp_server(id)
        .await?
        .ok_or_else(|| ServiceError::not_found("MCP server", &id))?;
    refuse_system(&before)?;
    consent.check_version(before.version)?;
    if let Some(url) = &change.url {
        check_url(app, url)?;
    }
    change.scopes = Some(scope_change::scopes_after(&before, &mut change)?);
    let renames = std::mem::take(&mut change.rename_scopes);
    let after = apply(app, &before, change);
    let changed = scope_change::changed_grants(app, &after, &renames).await?;
    let left = leaves(app, &before, &after).await?.then_some(&before);
    let opened = left.and_then(|left| opened_by_leaving(app, left));
    let lost = scope_change::losses(app, &after, &changed).await?;
    consent.require(Confirmation::both(lost, opened))?;
    let mut event = about(operator.event(app, AuditKind::McpServerUpdated)?, &after);
    event
        .detail
        .insert("changed_grants".into(), changed.len().into());
    let mut events = scope_change::events(app, operator, &changed, &renames)?;
    events.push(event);
    let retired = match left {
        Some(left) => Some((retired(app, left), tokens_of_url(app, &left.url).await?)),
        None => None,
    };
    let regained = tokens_of_url(app, &after.url).await?;
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        if let Some((retired, void)) = &retired {
            tx.retire_url(retired).await?;
            void.declare(&mut tx).await?;
        }
        match tx.update_mcp_server(&after).await {
            Err(StoreError::Exists) => {
                drop(tx);
                return Err(url_taken(app, &after.url).await?);
            }
            updated => updated?,
        }
        if tx.release_url(&after.url).await? {
            regained.extend(&mut tx).await?;
        }
        for one in &changed {
            tx.change_grant(&one.grant).await?;
        }
        tx.append_audit(&events).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    let left = retired.map(|(retired, _)| retired);
    app.directory
        .mcp_server_changed(after.clone(), left.as_ref());
    announce(app, changed.iter().map(|one| one.grant.client_id));
    Ok(after)
}

/// Deletes one with its grants and credentials; one that is not there is deleted already. Its URL is
/// retired.
pub(crate) async fn delete(
    app: &App,
    operator: &Operator,
    id: McpServerId,
    consent: Consent,
) -> Result<(), ServiceError> {
    let _in_order = app.directory.changing_mcp_servers().await?;
    let Some(server) = app.store.find_mcp_server(id).await? else {
        return Ok(());
    };
    refuse_system(&server)?;
    consent.check_version(server.version)?;
    app.directory.read_mcp_servers().await?;
    consent.require(opened_by_leaving(app, &server))?;
    let event = about(operator.event(app, AuditKind::McpServerDeleted)?, &server);
    let grants = app.store.grants_on_mcp_server(id).await?;
    let (retired, void) = (
        retired(app, &server),
        tokens_of_url(app, &server.url).await?,
    );
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.retire_url(&retired).await?;
        void.declare(&mut tx).await?;
        if tx.delete_mcp_server(id).await? {
            tx.record(&event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.mcp_server_deleted(id, &retired);
    announce(app, grants.iter().map(|grant| grant.client_id));
    Ok(())
}

/// Whether the URL of `before` belongs to that server no more once it is as `after` says.
async fn leaves(app: &App, before: &McpServer, after: &McpServer) -> Result<bool, ServiceError> {
    if after.url == before.url {
        return Ok(false);
    }
    // It is decided by what is registered now, here and elsewhere.
    app.directory.read_mcp_servers().await?;
    Ok(!app.directory.would_keep(after, &before.url))
}

fn about(mut event: AuditEvent, server: &McpServer) -> AuditEvent {
    event.mcp_server_id = Some(server.id);
    event.scope = Some(server.scope_set());
    event.resource = Some(server.url.as_given().to_owned());
    let name = server.name.as_str();
    event.detail.insert("name".into(), name.into());
    event
}

fn retired(app: &App, left: &McpServer) -> RetiredUrl {
    RetiredUrl {
        url: left.url.clone(),
        mcp_server_id: left.id,
        name: left.name.clone(),
        retired_at: app.clock.now(),
    }
}

/// The tokens that name the URL and nothing else.
pub(super) async fn tokens_of_url(app: &App, url: &ResourceUri) -> Result<ToVoid, ServiceError> {
    let of = TokensOf::Url(url.comparison_key().to_owned());
    ToVoid::so_far(app, of, None).await
}

/// What an operator has to know before a server leaves a URL that lies under another server's.
fn opened_by_leaving(app: &App, server: &McpServer) -> Option<Confirmation> {
    let parent = app.directory.covering_besides(server.id, &server.url)?;
    Some(Confirmation {
        detail: format!(
            "the URL {} lies under {} ({}, {}): without this registration it would belong to that \
             server, and clients of it could get tokens for whatever still runs there. Jeton retires the \
             URL, so that nobody gets tokens for it, until you release it or register it again",
            server.url, parent.url, parent.name, parent.id
        ),
        ..Confirmation::default()
    })
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
