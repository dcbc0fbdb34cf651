//! Registering, changing and deleting MCP servers.

use std::sync::Arc;

use jeton_core::{
    AuditEvent, AuditKind, ClientId, Description, DisplayName, McpServer, McpServerId, ResourceUri,
    Scope, ScopeDefinition, SigningAlgorithm, TokenProfile, TokenTtl,
};
use jeton_store::{StoreError, retry_on_conflict};
use serde_json::{Map, Value};

use super::scope_change::{self, DeclaredScope, ScopeRename};
use super::server_urls::{self, Moves, UrlChange};
use super::{Confirmation, Operator, ServiceError, changes};
use crate::app::App;

/// An MCP server to register.
#[derive(Debug)]
pub(crate) struct NewMcpServer {
    pub(crate) name: DisplayName,
    pub(crate) description: Description,
    pub(crate) url: ResourceUri,
    pub(crate) aliases: Vec<ResourceUri>,
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
    pub(crate) urls: UrlChange,
    /// All scopes from now on.
    pub(crate) scopes: Option<Vec<DeclaredScope>>,
    /// Scopes to add, or to describe anew.
    pub(crate) add_scopes: Vec<DeclaredScope>,
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

/// Registers one. URLs that were retired are released.
pub(crate) async fn create(
    app: &App,
    operator: &Operator,
    new: NewMcpServer,
) -> Result<McpServer, ServiceError> {
    server_urls::check_aliases(&new.url, &new.aliases)?;
    let scopes = scope_change::defined(new.scopes)?;
    let now = app.clock.now();
    let server = McpServer {
        id: McpServerId::generate(now, app.entropy.as_ref())?,
        name: new.name,
        description: new.description,
        url: new.url,
        aliases: new.aliases,
        scopes,
        token_ttl: new.token_ttl,
        signing_alg: new.signing_alg,
        token_profile: new.token_profile,
        own_issuer: new.own_issuer,
        system: false,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    server_urls::check_not_own(app, server.urls())?;
    let mut event = about(operator.event(app, AuditKind::McpServerCreated)?, &server);
    changes::note_mcp_server(&mut event, None, Some(&server));
    if !server.aliases.is_empty() {
        event.detail.insert("aliases".into(), aliases(&server));
    }
    if !server.scopes.hierarchy().is_empty() {
        let implied = implications(&server);
        event.detail.insert("implies".into(), implied);
    }
    let _in_order = app.directory.changing_mcp_servers().await?;
    let moves = Moves::of_change(app, None, &server).await?;
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        match tx.insert_mcp_server(&server).await {
            Err(StoreError::Exists) => {
                drop(tx);
                return Err(server_urls::taken(app, &server).await?);
            }
            inserted => inserted?,
        }
        moves.release(&mut tx).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.mcp_server_changed(server.clone(), &[]);
    Ok(server)
}

/// Says which URLs an earlier version registered in a spelling that is refused today: token requests for them
/// are.
pub(crate) fn warn_of_refused_urls(app: &App) {
    for server in app.directory.mcp_servers() {
        for url in server.urls() {
            if let Err(error) = url.as_given().parse::<ResourceUri>() {
                tracing::warn!(
                    mcp_server = %server.id,
                    name = %server.name,
                    url = %url,
                    error = %error,
                    "token requests for this MCP server's URL are refused: change it to its normal spelling"
                );
            }
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
    /// Whether the operator saw a version before this one.
    pub(crate) fn is_older_than(self, version: i64) -> bool {
        self.expected.is_some_and(|expected| expected < version)
    }

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
    let scopes = scope_change::scopes_after(&before, &mut change)?;
    let renames = std::mem::take(&mut change.rename_scopes);
    let (url, aliases) = server_urls::after(&before, std::mem::take(&mut change.urls))?;
    let after = McpServer {
        url,
        aliases,
        scopes,
        ..apply(app, &before, change)
    };
    let new_urls = after
        .urls()
        .filter(|url| before.urls().all(|had| had != *url));
    server_urls::check_not_own(app, new_urls)?;
    let affected = scope_change::affected_grants(app, &before, &after, &renames).await?;
    let moves = Moves::of_change(app, Some(&before), &after).await?;
    let lost = scope_change::losses(app, &after, &affected).await?;
    consent.require(Confirmation::both(lost, moves.opened(app, id)))?;
    let changed: Vec<_> = affected.into_iter().filter(|one| one.is_changed).collect();
    let mut events = scope_change::events(app, operator, &changed, &renames)?;
    let event = operator.event(app, AuditKind::McpServerUpdated)?;
    events.push(about_change(event, (&before, &after), changed.len()));
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        moves.retire(&mut tx).await?;
        match tx.update_mcp_server(&after).await {
            Err(StoreError::Exists) => {
                drop(tx);
                return Err(server_urls::taken(app, &after).await?);
            }
            updated => updated?,
        }
        moves.release(&mut tx).await?;
        for one in &changed {
            tx.change_grant(&one.grant).await?;
        }
        tx.append_audit(&events).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.mcp_server_changed(after.clone(), &moves.left);
    announce(app, changed.iter().map(|one| one.grant.client_id));
    Ok(after)
}

/// Deletes one with its grants and credentials; one that is not there is deleted already. Its URLs are
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
    let moves = Moves::of_deletion(app, &server).await?;
    consent.require(moves.opened(app, id))?;
    let mut event = about(operator.event(app, AuditKind::McpServerDeleted)?, &server);
    changes::note_mcp_server(&mut event, Some(&server), None);
    let grants = app.store.grants_on_mcp_server(id).await?;
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        moves.retire(&mut tx).await?;
        if tx.delete_mcp_server(id).await? {
            tx.record(&event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.mcp_server_deleted(id, &moves.left);
    announce(app, grants.iter().map(|grant| grant.client_id));
    Ok(())
}

fn about(mut event: AuditEvent, server: &McpServer) -> AuditEvent {
    event.mcp_server_id = Some(server.id);
    event.scope = Some(server.scope_set());
    event.resource = Some(server.url.as_given().to_owned());
    let name = server.name.as_str();
    event.detail.insert("name".into(), name.into());
    event
}

/// The event of a change, which names aliases and implications where they are other than before.
fn about_change(
    event: AuditEvent,
    (before, after): (&McpServer, &McpServer),
    changed_grants: usize,
) -> AuditEvent {
    let mut event = about(event, after);
    changes::note_mcp_server(&mut event, Some(before), Some(after));
    let detail = &mut event.detail;
    detail.insert("changed_grants".into(), changed_grants.into());
    if before.aliases != after.aliases {
        detail.insert("aliases".into(), aliases(after));
    }
    if before.scopes.hierarchy() != after.scopes.hierarchy() {
        detail.insert("implies".into(), implications(after));
    }
    event
}

fn aliases(server: &McpServer) -> Value {
    let aliases = server.aliases.iter().map(ResourceUri::as_given);
    aliases.collect::<Vec<_>>().into()
}

/// What each scope implies directly.
fn implications(server: &McpServer) -> Value {
    let implying = server
        .scopes
        .iter()
        .filter(|scope| !scope.implies.is_empty());
    let implied = |scope: &ScopeDefinition| -> Value {
        let names = scope.implies.iter().map(Scope::as_str);
        names.collect::<Vec<_>>().into()
    };
    let implications: Map<_, _> = implying
        .map(|scope| (scope.name.to_string(), implied(scope)))
        .collect();
    implications.into()
}

fn apply(app: &App, before: &McpServer, change: McpServerChange) -> McpServer {
    let before = before.clone();
    McpServer {
        name: change.name.unwrap_or(before.name),
        description: change.description.unwrap_or(before.description),
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
