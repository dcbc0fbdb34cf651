//! Who changed a thing last, and when: for somebody whose form was overtaken.

use jeton_core::{ClientId, McpServerId};
use jeton_store::AuditFilter;

use super::PageError;
use super::events::Names;
use super::format::when;
use crate::app::App;

/// So many of the newest events are looked at: what overtook a form happened a moment ago.
const NEWEST: u32 = 30;

/// `Ada changed this 2 minutes ago`, of a client.
pub(super) async fn of_client(app: &App, id: ClientId) -> Result<Option<String>, PageError> {
    let filter = AuditFilter {
        client_id: Some(id),
        ..AuditFilter::default()
    };
    find(app, filter).await
}

/// The same of an MCP server.
pub(super) async fn of_mcp_server(app: &App, id: McpServerId) -> Result<Option<String>, PageError> {
    let filter = AuditFilter {
        mcp_server_id: Some(id),
        ..AuditFilter::default()
    };
    find(app, filter).await
}

async fn find(app: &App, filter: AuditFilter) -> Result<Option<String>, PageError> {
    let found = app.store.search_audit(&filter, None, NEWEST).await?;
    let mut changes = found
        .events
        .into_iter()
        .filter(|recorded| !recorded.event.kind.as_str().starts_with("token."));
    let Some(change) = changes.next() else {
        return Ok(None);
    };
    let who = Names::new(app).actor(change.event.actor.as_str()).await?;
    let ago = when(change.event.at, app.clock.now()).words;
    Ok(Some(format!("{who} changed this {ago}.")))
}
