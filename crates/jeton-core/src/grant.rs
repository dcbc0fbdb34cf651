//! Which scopes of which MCP server a client may have.

use crate::{ClientId, McpServerId, ScopeSet, Timestamp};

/// A client's permission on one MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who may.
    pub client_id: ClientId,
    /// Where.
    pub mcp_server_id: McpServerId,
    /// What.
    pub scopes: ScopeSet,
    /// Since when.
    pub created_at: Timestamp,
}
