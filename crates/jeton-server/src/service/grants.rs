//! Making, changing and taking back grants.

use jeton_core::{AuditKind, ClientId, Grant, McpServer, McpServerId, ScopeSet};
use jeton_store::retry_on_conflict;

use super::{Operator, ServiceError, clients, mcp_servers};
use crate::app::App;

/// Makes a grant, or changes the scopes of the one that is there.
pub(crate) async fn put(
    app: &App,
    operator: &Operator,
    client_id: ClientId,
    mcp_server_id: McpServerId,
    scopes: ScopeSet,
) -> Result<Grant, ServiceError> {
    let _in_order = app.directory.changing_mcp_servers().await?;
    clients::find(app, client_id).await?;
    let server = mcp_servers::find(app, mcp_server_id).await?;
    let scopes = check_scopes(&server, scopes)?;
    let before = app
        .store
        .grants_of_client(client_id)
        .await?
        .into_iter()
        .find(|grant| grant.mcp_server_id == mcp_server_id);
    let kind = match before {
        Some(_) => AuditKind::GrantUpdated,
        None => AuditKind::GrantCreated,
    };
    let created_at = before.map_or_else(|| app.clock.now(), |grant| grant.created_at);
    let grant = Grant {
        client_id,
        mcp_server_id,
        scopes,
        created_at,
    };
    let mut event = operator.event(app, kind)?;
    event.client_id = Some(client_id);
    event.mcp_server_id = Some(mcp_server_id);
    event.scope = Some(grant.scopes.clone());
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        tx.put_grant(&grant).await?;
        tx.record(&event).await?;
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.client_changed(client_id);
    Ok(grant)
}

/// Takes a grant back; one that is not there is taken back already.
pub(crate) async fn delete(
    app: &App,
    operator: &Operator,
    client_id: ClientId,
    mcp_server_id: McpServerId,
) -> Result<(), ServiceError> {
    if operator.is_client(client_id) && mcp_server_id == app.admin_api.id {
        return Err(ServiceError::Conflict(
            "this is the grant that you are using; to take it back, use another admin client"
                .into(),
        ));
    }
    let mut event = operator.event(app, AuditKind::GrantDeleted)?;
    event.client_id = Some(client_id);
    event.mcp_server_id = Some(mcp_server_id);
    let _in_order = app.directory.changing_mcp_servers().await?;
    retry_on_conflict(|| async {
        let mut tx = app.store.begin().await?;
        if tx.delete_grant(client_id, mcp_server_id).await? {
            tx.record(&event).await?;
        }
        Ok::<_, ServiceError>(tx.commit().await?)
    })
    .await?;
    app.directory.client_changed(client_id);
    Ok(())
}

/// Refuses, by name, a scope that the MCP server does not define.
pub(super) fn check_scopes(server: &McpServer, scopes: ScopeSet) -> Result<ScopeSet, ServiceError> {
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
