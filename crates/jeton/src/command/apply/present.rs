//! What is registered, and how it is found: by ID, by URL or by name, however much there is.

use std::collections::HashMap;

use jeton_core::ResourceUri;
use serde_json::Value;

use super::plan::{is_system, text};
use crate::output::cell;

/// What is there.
pub(super) struct Present {
    pub(super) servers: Vec<Value>,
    pub(super) clients: Vec<Value>,
    servers_by_id: HashMap<String, usize>,
    /// Operators' own MCP servers.
    servers_by_url: HashMap<String, usize>,
    servers_by_name: HashMap<String, Vec<usize>>,
    clients_by_name: HashMap<String, Vec<usize>>,
}

impl Present {
    pub(super) fn new(servers: Vec<Value>, clients: Vec<Value>) -> Self {
        let mut present = Self {
            servers_by_id: HashMap::new(),
            servers_by_url: HashMap::new(),
            servers_by_name: HashMap::new(),
            clients_by_name: HashMap::new(),
            servers,
            clients,
        };
        for (place, server) in present.servers.iter().enumerate() {
            present.servers_by_id.insert(cell(server, "id"), place);
            if is_system(server) {
                continue;
            }
            if let Some(key) = url_key(text(server, "url")) {
                present.servers_by_url.entry(key).or_insert(place);
            }
            let named = text(server, "name").to_owned();
            present
                .servers_by_name
                .entry(named)
                .or_default()
                .push(place);
        }
        for (place, client) in present.clients.iter().enumerate() {
            let named = text(client, "name").to_owned();
            present
                .clients_by_name
                .entry(named)
                .or_default()
                .push(place);
        }
        present
    }

    /// The MCP server with this ID.
    pub(super) fn server(&self, id: &str) -> Option<&Value> {
        self.servers.get(*self.servers_by_id.get(id)?)
    }

    /// The operator's MCP server with this URL.
    pub(super) fn server_at(&self, url: &ResourceUri) -> Option<&Value> {
        self.servers
            .get(*self.servers_by_url.get(url.comparison_key())?)
    }

    /// The operator's MCP servers with this name.
    pub(super) fn servers_named(&self, name: &str) -> impl Iterator<Item = &Value> {
        let places = self.servers_by_name.get(name).into_iter().flatten();
        places.filter_map(|place| self.servers.get(*place))
    }

    /// The clients with this name.
    pub(super) fn clients_named(&self, name: &str) -> impl Iterator<Item = &Value> {
        let places = self.clients_by_name.get(name).into_iter().flatten();
        places.filter_map(|place| self.clients.get(*place))
    }
}

/// What makes two URLs the same.
pub(super) fn url_key(url: &str) -> Option<String> {
    let url = url.parse::<ResourceUri>().ok()?;
    Some(url.comparison_key().to_owned())
}
