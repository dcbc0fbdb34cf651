//! A confidential OAuth client for a machine.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{
    ClientId, CustomClaims, Description, DisplayName, Grant, McpServerId, Timestamp, TokenTtl,
};

/// Whether a client may get tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientStatus {
    /// The client may request tokens.
    Enabled,
    /// The client may not, and its tokens are inactive at introspection.
    Disabled,
}

impl ClientStatus {
    /// The name used in the store and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

impl FromStr for ClientStatus {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "enabled" => Ok(Self::Enabled),
            "disabled" => Ok(Self::Disabled),
            _ => Err(()),
        }
    }
}

/// A registered client.
#[derive(Debug, Clone, PartialEq)]
pub struct Client {
    /// Its ID, which is its OAuth `client_id`.
    pub id: ClientId,
    /// What people call it.
    pub name: DisplayName,
    /// What it is for.
    pub description: Description,
    /// Whether it may get tokens.
    pub status: ClientStatus,
    /// A lifetime that lowers the MCP server's, if set.
    pub token_ttl: Option<TokenTtl>,
    /// Claims of its own that each of its tokens carries.
    pub custom_claims: CustomClaims,
    /// The MCP server that a token is for where a request names none, if the client has a grant on it.
    pub default_mcp_server: Option<McpServerId>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Counts its changes: the `ETag` of the admin API.
    pub version: i64,
}

impl Client {
    /// Whether it may get tokens.
    pub fn is_enabled(&self) -> bool {
        self.status == ClientStatus::Enabled
    }

    /// Its default MCP server, unless its grant there was removed.
    pub fn granted_default(&self, grants: &[Grant]) -> Option<McpServerId> {
        self.default_mcp_server
            .filter(|id| grants.iter().any(|grant| grant.mcp_server_id == *id))
    }
}
