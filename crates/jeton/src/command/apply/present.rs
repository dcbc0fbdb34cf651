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
    /// How many clients have a scope, by MCP server and scope.
    granted: HashMap<(String, String), usize>,
}

impl Present {
    pub(super) fn new(servers: Vec<Value>, clients: Vec<Value>) -> Self {
        let mut present = Self {
            servers_by_id: HashMap::new(),
            servers_by_url: HashMap::new(),
            servers_by_name: HashMap::new(),
            clients_by_name: HashMap::new(),
            granted: HashMap::new(),
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
            for granted in granted(client) {
                *present.granted.entry(granted).or_default() += 1;
            }
        }
        present
    }

    /// How many clients have a scope of an MCP server.
    pub(super) fn clients_with(&self, server_id: &str, scope: &str) -> usize {
        let granted = (server_id.to_owned(), scope.to_owned());
        self.granted.get(&granted).copied().unwrap_or(0)
    }

    /// Whether an operator's MCP server has the URL with this comparison key.
    pub(super) fn has_url(&self, key: &str) -> bool {
        self.servers_by_url.contains_key(key)
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

/// Each scope that a client has, with the ID of its MCP server.
fn granted(client: &Value) -> impl Iterator<Item = (String, String)> {
    let grants = client.get("grants").and_then(Value::as_array);
    grants.into_iter().flatten().flat_map(|grant| {
        let scopes = grant.get("scopes").and_then(Value::as_array);
        let scopes = scopes.into_iter().flatten().filter_map(Value::as_str);
        scopes.map(|scope| (cell(grant, "mcp_server_id"), scope.to_owned()))
    })
}

/// What makes two URLs the same.
pub(super) fn url_key(url: &str) -> Option<String> {
    let url = ResourceUri::from_registered(url).ok()?;
    Some(url.comparison_key().to_owned())
}
