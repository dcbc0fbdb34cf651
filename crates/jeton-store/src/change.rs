//! Changes that every server has to hear of, as they travel between servers.

use std::fmt;

use jeton_core::{ClientId, McpServerId};

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// A client, its secrets or its grants.
    Client(ClientId),
    /// Clients that were not there before, and nothing else.
    NewClients,
    /// An MCP server, and with it grants of clients that are told by themselves.
    McpServer(McpServerId),
    /// URLs that were retired or released.
    RetiredUrls,
    /// Signing keys.
    SigningKeys,
    /// So much that naming it all would take longer than reading it anew.
    Everything,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(id) => write!(f, "client {id}"),
            Self::NewClients => f.write_str("new_clients"),
            Self::McpServer(id) => write!(f, "mcp_server {id}"),
            Self::RetiredUrls => f.write_str("retired_urls"),
            Self::SigningKeys => f.write_str("signing_keys"),
            Self::Everything => f.write_str("everything"),
        }
    }
}

impl Change {
    /// What [`fmt::Display`] wrote; nothing where a newer version wrote it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (what, id) = text.split_once(' ').unwrap_or((text, ""));
        match what {
            "client" => id.parse().map(Self::Client).ok(),
            "mcp_server" => id.parse().map(Self::McpServer).ok(),
            "new_clients" => Some(Self::NewClients),
            "retired_urls" => Some(Self::RetiredUrls),
            "signing_keys" => Some(Self::SigningKeys),
            "everything" => Some(Self::Everything),
            _ => None,
        }
    }
}

/// Notifications of one transaction; beyond [`MAX_NAMED`] they become [`Change::Everything`].
#[derive(Debug, Default)]
pub(crate) struct Changes(Vec<Change>);

const MAX_NAMED: usize = 100;

impl Changes {
    pub(crate) fn push(&mut self, change: Change) {
        if !self.0.contains(&change) && self.0.len() <= MAX_NAMED {
            self.0.push(change);
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Change> {
        let changes = std::mem::take(&mut self.0);
        if changes.len() > MAX_NAMED {
            return vec![Change::Everything];
        }
        changes
    }
}
