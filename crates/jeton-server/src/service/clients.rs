//! Registering, changing and deleting clients.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use jeton_core::{
    AuditEvent, AuditKind, Client, ClientId, ClientSecret, ClientStatus, CustomClaims, Description,
    DisplayName, Grant, McpServer, McpServerId, PlainSecret, SecretOwner, TokenTtl, TokensOf,
};

use jeton_store::{WholeClient, retry_on_conflict};

use super::grants::ScopeChoice;
use super::secrets::{Expiry, make_secret};
use super::void_tokens::ToVoid;
use super::{Operator, ServiceError, changes, default_server, mcp_servers};
use crate::app::App;

/// A client to register.
#[derive(Debug)]
pub(crate) struct NewClient {
    /// Its ID, where the form that creates it has one so that it creates no second client.
    pub(crate) id: Option<ClientId>,
    /// Where its first grant is.
    pub(crate) mcp_server_id: McpServerId,
    /// What it may there.
    pub(crate) scopes: ScopeChoice,
    /// Its default MCP server; absent, that of its first grant.
    pub(crate) default_mcp_server: Option<McpServerId>,
    pub(crate) name: DisplayName,
    pub(crate) description: Description,
    pub(crate) token_ttl: Option<TokenTtl>,
    pub(crate) custom_claims: CustomClaims,
    pub(crate) secret_expiry: Expiry,
}

/// A client just registered; its secret is known here and never again.
#[derive(Debug)]
pub(crate) struct CreatedClient {
    pub(crate) client: Client,
    pub(crate) grant: Grant,
    pub(crate) secret: ClientSecret,
    pub(crate) plain: PlainSecret,
}

/// A change; what is absent stays as it is.
#[derive(Debug, Default)]
pub(crate) struct ClientChange {
    pub(crate) name: Option<DisplayName>,
    pub(crate) description: Option<Description>,
    pub(crate) status: Option<ClientStatus>,
    pub(crate) token_ttl: Option<Option<TokenTtl>>,
    pub(crate) custom_claims: Option<CustomClaims>,
    pub(crate) default_mcp_server: Option<Option<McpServerId>>,
}

/// Finds one, for an operator.
pub(crate) async fn find(app: &App, id: ClientId) -> Result<Client, ServiceError> {
    app.store
        .find_client(id)
        .await?
        .ok_or_else(|| ServiceError::not_found("client", &id))
}

/// Registers one, with a first grant and a first secret.
pub(crate) async fn create(
    app: &App,
    operator: &Operator,
    new: NewClient,
) -> Result<CreatedClient, ServiceError> {
    let _in_order = app.directory.changing_mcp_servers().await?;
    let server = mcp_servers::find_now(app, new.mcp_server_id).await?;
    let chosen = new.id;
    let (created, event) = prepare(app, operator, &server, new)?;
    // Should there have been a client of this ID that was deleted, its tokens do not come back.
    let void = match chosen {
        Some(id) => Some(ToVoid::so_far(app, TokensOf::Client(id), Some(id)).await?),
        None => None,
    };
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.insert_client(&created.client).await?;
        if let Some(void) = &void {
            void.declare(&mut tx).await?;
        }
        tx.put_grant(&created.grant).await?;
        tx.insert_secret(&created.secret).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.client_changed(created.client.id);
    Ok(created)
}

/// Registers many, all or none.
pub(crate) async fn create_many(
    app: &App,
    operator: &Operator,
    new: Vec<NewClient>,
) -> Result<Vec<CreatedClient>, ServiceError> {
    let (mut all, mut events) = (Vec::new(), Vec::new());
    let _in_order = app.directory.changing_mcp_servers().await?;
    let mut servers = HashMap::new();
    for new in new {
        let server = match servers.entry(new.mcp_server_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                unknown.insert(mcp_servers::find_now(app, new.mcp_server_id).await?)
            }
        };
        let (created, event) = prepare(app, operator, server, new)?;
        all.push(created);
        events.push(event);
    }
    let whole: Vec<_> = all
        .iter()
        .map(|created| WholeClient {
            client: created.client.clone(),
            secrets: vec![created.secret.clone()],
            grants: vec![created.grant.clone()],
        })
        .collect();
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.insert_whole_clients(&whole).await?;
        tx.append_audit(&events).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.clients_added();
    Ok(all)
}

/// `server` is as it is while nobody else changes MCP servers.
fn prepare(
    app: &App,
    operator: &Operator,
    server: &McpServer,
    new: NewClient,
) -> Result<(CreatedClient, AuditEvent), ServiceError> {
    let scopes = new.scopes.on(server)?;
    let default = new.default_mcp_server.unwrap_or(server.id);
    default_server::check(default, &[server.id])?;
    let now = app.clock.now();
    let client = Client {
        id: match new.id {
            Some(id) => id,
            None => ClientId::generate(now, app.entropy.as_ref())?,
        },
        name: new.name,
        description: new.description,
        status: ClientStatus::Enabled,
        token_ttl: new.token_ttl,
        custom_claims: new.custom_claims,
        default_mcp_server: Some(default),
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let (secret, plain) = make_secret(app, SecretOwner::Client(client.id), new.secret_expiry)?;
    let grant = Grant::new(client.id, server.id, scopes, now);
    let mut event = operator.event(app, AuditKind::ClientCreated)?;
    event.client_id = Some(client.id);
    event.mcp_server_id = Some(server.id);
    event.secret_id = Some(secret.id);
    event.scope = Some(grant.scopes.clone());
    event
        .detail
        .insert("name".into(), client.name.as_str().into());
    changes::note_client(&mut event, None, Some(&client));
    changes::note_scopes(&mut event, None, Some(&grant.scopes));
    let created = CreatedClient {
        client,
        grant,
        secret,
        plain,
    };
    Ok((created, event))
}

/// Changes one. Disabling it revokes its tokens permanently. `expected` is the version that the operator
/// saw, if it said so.
pub(crate) async fn update(
    app: &App,
    operator: &Operator,
    id: ClientId,
    change: ClientChange,
    expected: Option<i64>,
) -> Result<Client, ServiceError> {
    // Its grants stay as they are meanwhile.
    let _in_order = match change.default_mcp_server {
        Some(_) => Some(app.directory.changing_mcp_servers().await?),
        None => None,
    };
    let before = find(app, id).await?;
    if expected.is_some_and(|expected| expected != before.version) {
        return Err(ServiceError::Stale);
    }
    if let Some(Some(default)) = change.default_mcp_server {
        default_server::check_granted(app, id, default).await?;
    }
    let kind = kind_of(operator, &before, change.status)?;
    let sets_default = change.default_mcp_server.is_some();
    let after = apply(app, &before, change);
    let mut event = operator.event(app, kind)?;
    event.client_id = Some(id);
    changes::note_client(&mut event, Some(&before), Some(&after));
    if sets_default {
        event.mcp_server_id = after.default_mcp_server;
        default_server::note(&mut event, after.default_mcp_server);
    }
    // Also when it is enabled: until every server had heard, one may have issued another token.
    let void = match kind {
        AuditKind::ClientDisabled | AuditKind::ClientEnabled => {
            Some(ToVoid::so_far(app, TokensOf::Client(id), Some(id)).await?)
        }
        _ => None,
    };
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.update_client(&after).await?;
        if let Some(void) = &void {
            void.declare(&mut tx).await?;
        }
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.client_changed(id);
    Ok(after)
}

fn apply(app: &App, before: &Client, change: ClientChange) -> Client {
    let before = before.clone();
    Client {
        name: change.name.unwrap_or(before.name),
        description: change.description.unwrap_or(before.description),
        status: change.status.unwrap_or(before.status),
        token_ttl: change.token_ttl.unwrap_or(before.token_ttl),
        custom_claims: change.custom_claims.unwrap_or(before.custom_claims),
        default_mcp_server: change
            .default_mcp_server
            .unwrap_or(before.default_mcp_server),
        updated_at: app.clock.now(),
        version: before.version + 1,
        ..before
    }
}

/// The kind of event that a change of a client is.
fn kind_of(
    operator: &Operator,
    before: &Client,
    status: Option<ClientStatus>,
) -> Result<AuditKind, ServiceError> {
    Ok(match status {
        Some(ClientStatus::Disabled) if before.is_enabled() => {
            refuse_own(operator, before.id, "disable")?;
            AuditKind::ClientDisabled
        }
        Some(ClientStatus::Enabled) if !before.is_enabled() => AuditKind::ClientEnabled,
        _ => AuditKind::ClientUpdated,
    })
}

/// Deletes one with its grants and secrets; one that is not there is deleted already. `expected` is the version that
/// the operator saw, or nothing where any is meant; what is recorded is what was deleted.
pub(crate) async fn delete(
    app: &App,
    operator: &Operator,
    id: ClientId,
    expected: Option<i64>,
) -> Result<(), ServiceError> {
    refuse_own(operator, id, "delete")?;
    let mut event = operator.event(app, AuditKind::ClientDeleted)?;
    event.client_id = Some(id);
    for _ in 0..DELETIONS {
        let Some(client) = app.store.find_client(id).await? else {
            return Ok(());
        };
        if expected.is_some_and(|expected| expected != client.version) {
            return Err(ServiceError::Stale);
        }
        if delete_seen(app, &client, event.clone()).await? {
            app.directory.client_changed(id);
            return Ok(());
        }
        // Somebody changed or deleted it meanwhile.
    }
    Err(ServiceError::Stale)
}

/// How often a client is read anew, whatever its version, while others change it.
const DELETIONS: u32 = 5;

/// Deletes one as it was read; says whether it was still so.
async fn delete_seen(
    app: &App,
    client: &Client,
    mut event: AuditEvent,
) -> Result<bool, ServiceError> {
    event
        .detail
        .insert("name".into(), client.name.as_str().into());
    changes::note_client(&mut event, Some(client), None);
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        let is_deleted = tx.delete_client(client.id, client.version).await?;
        if is_deleted {
            tx.record(&event).await?;
            tx.commit().await?;
        }
        Ok::<_, ServiceError>(is_deleted)
    })
    .await
}

/// An operator that takes away the client it works with has locked itself out.
fn refuse_own(operator: &Operator, id: ClientId, verb: &str) -> Result<(), ServiceError> {
    if operator.is_client(id) {
        return Err(ServiceError::Conflict(format!(
            "this is the client that you are using; to {verb} it, use another admin client"
        )));
    }
    Ok(())
}
