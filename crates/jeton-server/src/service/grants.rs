//! Making, changing and removing grants.

use jeton_core::{AuditKind, ClientId, Grant, McpServer, McpServerId, ScopeSet, TokensOf};
use jeton_store::retry_on_conflict;

use super::void_tokens::ToVoid;
use super::{Operator, ServiceError, changes, clients, default_server, mcp_servers};
use crate::app::App;

/// What an operator saw of a grant before it changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// There is one; whatever it is.
    Existing,
    /// There was none.
    Nothing,
    /// This version.
    Version(i64),
}

impl Seen {
    fn check(self, there: Option<&Grant>) -> Result<(), ServiceError> {
        let is_so = match self {
            Self::Existing => there.is_some(),
            Self::Nothing => there.is_none(),
            Self::Version(version) => there.is_some_and(|grant| grant.version == version),
        };
        if is_so {
            Ok(())
        } else {
            Err(ServiceError::Stale)
        }
    }
}

/// The scopes that a grant is to have. Nothing chooses all of them by itself.
#[derive(Debug)]
pub(crate) enum ScopeChoice {
    /// These, each of which the MCP server has to define.
    These(ScopeSet),
    /// All that the MCP server defines now.
    All,
}

impl ScopeChoice {
    /// None.
    pub(crate) fn none() -> Self {
        Self::These(ScopeSet::empty())
    }

    /// The scopes that are meant on `server`.
    pub(super) fn on(self, server: &McpServer) -> Result<ScopeSet, ServiceError> {
        match self {
            Self::These(scopes) => check_scopes(server, scopes),
            Self::All => Ok(server.scope_set()),
        }
    }
}

/// A client and an MCP server.
pub(crate) type Between = (ClientId, McpServerId);

async fn find(app: &App, (client, server): Between) -> Result<Option<Grant>, ServiceError> {
    let grants = app.store.grants_of_client(client).await?;
    Ok(grants
        .into_iter()
        .find(|grant| grant.mcp_server_id == server))
}

/// Makes a grant, or changes the scopes of the one that is there.
pub(crate) async fn put(
    app: &App,
    operator: &Operator,
    between: Between,
    scopes: ScopeChoice,
    seen: Seen,
) -> Result<Grant, ServiceError> {
    let _in_order = app.directory.changing_mcp_servers().await?;
    let (client_id, mcp_server_id) = between;
    let client = clients::find(app, client_id).await?;
    let server = mcp_servers::find_now(app, mcp_server_id).await?;
    let scopes = scopes.on(&server)?;
    let before = find(app, between).await?;
    seen.check(before.as_ref())?;
    let had_none = before.as_ref().is_none_or(|grant| grant.scopes.is_empty());
    let scopes_before = before.as_ref().map(|grant| grant.scopes.clone());
    let (kind, grant) = match before {
        Some(before) => {
            let version = before.version + 1;
            let after = Grant {
                scopes,
                version,
                ..before
            };
            (AuditKind::GrantUpdated, after)
        }
        None => (
            AuditKind::GrantCreated,
            Grant::new(client_id, mcp_server_id, scopes, app.clock.now()),
        ),
    };
    let mut event = operator.event(app, kind)?;
    event.client_id = Some(client_id);
    event.mcp_server_id = Some(mcp_server_id);
    event.scope = Some(grant.scopes.clone());
    changes::note_scopes(&mut event, scopes_before.as_ref(), Some(&grant.scopes));
    // A grant without scopes has ended too, until it has some again.
    let (begins, ends) = (had_none, grant.scopes.is_empty());
    let so_far = tokens_of(app, between).await?;
    let kept_default = match kind {
        AuditKind::GrantCreated => default_server::to_keep(app, &client).await?,
        _ => None,
    };
    if kept_default.is_some() {
        default_server::note(&mut event, kept_default);
        let [before, after] = [client.default_mcp_server, kept_default]
            .map(|default| default.map(|id| id.to_string()));
        changes::note_field(&mut event, "default_mcp_server_id", before, after);
    }
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.put_grant(&grant).await?;
        if ends {
            so_far.declare(&mut tx).await?;
        } else if begins {
            so_far.extend(&mut tx).await?;
        }
        if let Some(default) = kept_default {
            default_server::keep(app, &mut tx, (client_id, default)).await?;
        }
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.client_changed(client_id);
    Ok(grant)
}

/// The tokens that a client got by a grant.
async fn tokens_of(app: &App, (client, server): Between) -> Result<ToVoid, ServiceError> {
    ToVoid::so_far(app, TokensOf::Grant(client, server), Some(client)).await
}

/// Removes a grant; one that is not there is removed already. The tokens that the client got by it are void from
/// then on, so that another grant does not bring them back.
pub(crate) async fn delete(
    app: &App,
    operator: &Operator,
    between: Between,
    seen: Seen,
) -> Result<(), ServiceError> {
    let (client_id, mcp_server_id) = between;
    if operator.is_client(client_id) && mcp_server_id == app.admin_api.id {
        return Err(ServiceError::Conflict(
            "this is the grant that you are using; to remove it, use another admin client".into(),
        ));
    }
    let mut event = operator.event(app, AuditKind::GrantDeleted)?;
    event.client_id = Some(client_id);
    event.mcp_server_id = Some(mcp_server_id);
    let _in_order = app.directory.changing_mcp_servers().await?;
    let before = find(app, between).await?;
    if let Some(before) = &before {
        seen.check(Some(before))?;
        changes::note_scopes(&mut event, Some(&before.scopes), None);
    }
    let void = tokens_of(app, between).await?;
    let until = void.issued_until().to_string();
    event
        .detail
        .insert("tokens_issued_until".into(), until.into());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        let was_there = tx.delete_grant(client_id, mcp_server_id).await?;
        if was_there {
            void.declare(&mut tx).await?;
            tx.record(&event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.client_changed(client_id);
    Ok(())
}

/// Refuses, by name, a scope that the MCP server does not define.
fn check_scopes(server: &McpServer, scopes: ScopeSet) -> Result<ScopeSet, ServiceError> {
    let defined = server.scope_set();
    match scopes.first_outside(&defined) {
        None => Ok(scopes),
        Some(unknown) => Err(ServiceError::Invalid {
            parameter: "scopes",
            detail: format!(
                "the MCP server {} does not define the scope {unknown}; it defines: {}",
                server.id,
                if defined.is_empty() {
                    "none".to_owned()
                } else {
                    defined.to_string()
                }
            ),
        }),
    }
}
