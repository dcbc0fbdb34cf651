//! The URLs that a client may ask for, for a refusal.

use std::fmt;

use jeton_core::{McpServer, ResourceUri};

use crate::directory::{ClientEntry, Directory};

/// The most URLs that a refusal names, and the most characters that they take.
const NAMED: usize = 10;
const CHARACTERS: usize = 1_000;

/// URLs of the MCP servers that a client has grants on: the first of them, and how many more there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct GrantedUrls {
    urls: Vec<String>,
    more: usize,
}

impl GrantedUrls {
    /// The resource identifiers first, then the aliases.
    pub(super) fn of(client: &ClientEntry, directory: &Directory) -> Self {
        let ids = client.grants.iter().map(|grant| grant.mcp_server_id);
        let servers: Vec<_> = ids.filter_map(|id| directory.find_mcp_server(id)).collect();
        let identifiers = servers.iter().map(|server| &server.url);
        let aliases = servers.iter().flat_map(aliases);
        let mut granted = Self {
            urls: Vec::new(),
            more: 0,
        };
        let mut characters = 0;
        for url in identifiers.chain(aliases) {
            characters += url.as_given().len();
            if granted.urls.len() < NAMED && characters <= CHARACTERS {
                granted.urls.push(url.as_given().to_owned());
            } else {
                granted.more += 1;
            }
        }
        granted
    }
}

fn aliases(server: &std::sync::Arc<McpServer>) -> &[ResourceUri] {
    &server.aliases
}

impl fmt::Display for GrantedUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.urls.is_empty(), self.more) {
            (true, 0) => f.write_str("none"),
            (true, more) => write!(f, "{more} that are too long to name"),
            (false, 0) => f.write_str(&self.urls.join(" ")),
            (false, more) => write!(f, "{} and {more} more", self.urls.join(" ")),
        }
    }
}
