//! Which scopes of which MCP server a client may have.

use crate::{ClientId, McpServerId, ScopeSet, Timestamp};

/// A client's permission on one MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The client.
    pub client_id: ClientId,
    /// The MCP server.
    pub mcp_server_id: McpServerId,
    /// The scopes that the client may request there.
    pub scopes: ScopeSet,
    /// Creation time.
    pub created_at: Timestamp,
    /// Grows with each change: the `ETag` of the admin API. It begins with the time of creation, so
    /// that a grant made again never has a version that it had before it was removed.
    pub version: i64,
}

impl Grant {
    /// A new grant.
    pub fn new(
        client_id: ClientId,
        mcp_server_id: McpServerId,
        scopes: ScopeSet,
        created_at: Timestamp,
    ) -> Self {
        Self {
            client_id,
            mcp_server_id,
            scopes,
            created_at,
            version: created_at.as_millis(),
        }
    }
}
