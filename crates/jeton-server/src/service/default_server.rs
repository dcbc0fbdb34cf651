//! A client's default MCP server: the one that a token is for where a request names none.

use jeton_core::{AuditEvent, Client, ClientId, McpServerId};
use jeton_store::{StoreError, Transaction};

use super::ServiceError;
use crate::app::App;

/// Notes a client's new default.
pub(super) fn note(event: &mut AuditEvent, default: Option<McpServerId>) {
    let default = default.map(|id| id.to_string());
    event
        .detail
        .insert("default_mcp_server_id".into(), default.into());
}

/// A client's default is one that it has a grant on.
pub(super) async fn check_granted(
    app: &App,
    client: ClientId,
    default: McpServerId,
) -> Result<(), ServiceError> {
    let grants = app.store.grants_of_client(client).await?;
    let granted: Vec<_> = grants.iter().map(|grant| grant.mcp_server_id).collect();
    check(default, &granted)
}

/// The same, where the grants are known.
pub(super) fn check(default: McpServerId, granted: &[McpServerId]) -> Result<(), ServiceError> {
    if granted.contains(&default) {
        return Ok(());
    }
    let granted: Vec<_> = granted.iter().map(ToString::to_string).collect();
    Err(ServiceError::Invalid {
        parameter: "default_mcp_server_id",
        detail: format!(
            "the client has no grant on {default}; make one first, or choose one of these: {}",
            if granted.is_empty() {
                "none".to_owned()
            } else {
                granted.join(" ")
            }
        ),
    })
}

/// The default that a client has to get before it gets another grant, if any. A client without a default that has
/// one grant uses that without naming it: with a second grant beside it, it would get no more tokens, or tokens for
/// the default that it once had.
pub(super) async fn to_keep(
    app: &App,
    client: &Client,
) -> Result<Option<McpServerId>, ServiceError> {
    let grants = app.store.grants_of_client(client.id).await?;
    let has_default = client.granted_default(&grants).is_some();
    Ok(match grants.as_slice() {
        [only] if !has_default => Some(only.mcp_server_id),
        _ => None,
    })
}

/// Writes what [`to_keep`] found.
pub(super) async fn keep(
    app: &App,
    tx: &mut Transaction,
    (client, default): (ClientId, McpServerId),
) -> Result<(), StoreError> {
    let now = app.clock.now();
    tx.set_default_mcp_server(client, default, now).await
}
