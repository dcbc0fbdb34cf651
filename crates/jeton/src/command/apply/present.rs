//! What is registered, and how it is found: by ID, by URL or by name, however much there is.

use std::collections::HashMap;

use jeton_core::{DefinedScopes, ResourceUri, ScopeSet};
use serde_json::Value;

use super::document::{is_system, text};
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
    /// How many clients have a scope, by itself or because one that they have implies it, by MCP server
    /// and scope.
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
            for key in urls(server).filter_map(url_key) {
                present.servers_by_url.entry(key).or_insert(place);
            }
            let named = text(server, "name").to_owned();
            present
                .servers_by_name
                .entry(named)
                .or_default()
                .push(place);
        }
        let defined: HashMap<_, _> = present
            .servers
            .iter()
            .map(|server| (cell(server, "id"), defined(server)))
            .collect();
        for (place, client) in present.clients.iter().enumerate() {
            let named = text(client, "name").to_owned();
            present
                .clients_by_name
                .entry(named)
                .or_default()
                .push(place);
            for granted in granted(client, &defined) {
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

    /// Whether an operator's MCP server has the URL or alias with this comparison key.
    pub(super) fn has_url(&self, key: &str) -> bool {
        self.servers_by_url.contains_key(key)
    }

    /// The MCP server with this ID.
    pub(super) fn server(&self, id: &str) -> Option<&Value> {
        self.servers.get(*self.servers_by_id.get(id)?)
    }

    /// The operator's MCP server with this URL or alias.
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
fn granted(
    client: &Value,
    defined: &HashMap<String, DefinedScopes>,
) -> impl Iterator<Item = (String, String)> {
    let grants = client.get("grants").and_then(Value::as_array);
    grants.into_iter().flatten().flat_map(|grant| {
        let server = cell(grant, "mcp_server_id");
        let scopes = scope_set(grant);
        let scopes = match defined.get(&server) {
            Some(defined) => defined.granted(&scopes),
            None => scopes,
        };
        let named: Vec<_> = scopes.iter().map(ToString::to_string).collect();
        named.into_iter().map(move |scope| (server.clone(), scope))
    })
}

/// The scopes of a grant.
pub(super) fn scope_set(grant: &Value) -> ScopeSet {
    let scopes = grant.get("scopes").and_then(Value::as_array);
    let names = scopes.into_iter().flatten().filter_map(Value::as_str);
    names.filter_map(|name| name.parse().ok()).collect()
}

/// The scopes that a server defines.
pub(super) fn defined(server: &Value) -> DefinedScopes {
    let scopes = server.get("scopes").cloned().unwrap_or_default();
    serde_json::from_value(scopes).unwrap_or_default()
}

/// The URL and the aliases of a server.
pub(super) fn urls(server: &Value) -> impl Iterator<Item = &str> {
    let aliases = server.get("aliases").and_then(Value::as_array);
    let aliases = aliases.into_iter().flatten().filter_map(Value::as_str);
    std::iter::once(text(server, "url")).chain(aliases)
}

/// What makes two URLs the same.
pub(super) fn url_key(url: &str) -> Option<String> {
    let url = ResourceUri::from_registered(url).ok()?;
    Some(url.comparison_key().to_owned())
}
