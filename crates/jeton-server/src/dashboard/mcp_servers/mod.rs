//! MCP servers: the list, and a server's page with its tabs.

pub(crate) mod activity;
pub(crate) mod clients;
pub(crate) mod created_client;
mod form;
pub(crate) mod list;
pub(crate) mod metadata;
pub(crate) mod overview;
pub(crate) mod scopes;
pub(crate) mod settings;

use std::sync::Arc;

use jeton_core::{McpServer, McpServerId};

use super::view::{ScopeView, id, scope_choices};
use super::{Crumb, Nav, Page, PageError, SignedIn};
use crate::app::App;
use crate::service::mcp_servers;

/// The tabs of a server's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Clients,
    Scopes,
    Metadata,
    Activity,
    Settings,
}

const TABS: [(Tab, &str, &str); 6] = [
    (Tab::Overview, "", "Overview"),
    (Tab::Clients, "/clients", "Clients"),
    (Tab::Scopes, "/scopes", "Scopes"),
    (Tab::Metadata, "/metadata", "Metadata"),
    (Tab::Activity, "/activity", "Activity"),
    (Tab::Settings, "/settings", "Settings"),
];

/// What every tab shows of a server.
#[derive(Debug)]
pub(super) struct ServerView {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) url: String,
    pub(super) aliases: Vec<String>,
    pub(super) scopes: Vec<ScopeView>,
    pub(super) version: i64,
    tab: Tab,
}

impl ServerView {
    pub(super) fn new(server: &McpServer, tab: Tab) -> Self {
        Self {
            id: server.id.to_string(),
            name: server.name.to_string(),
            description: server.description.to_string(),
            url: server.url.to_string(),
            aliases: server.aliases.iter().map(ToString::to_string).collect(),
            scopes: scope_choices(server, &server.scope_set()),
            version: server.version,
            tab,
        }
    }

    pub(super) fn path(&self) -> String {
        path(&self.id)
    }

    /// Address, name, whether it is here.
    pub(super) fn tabs(&self) -> impl Iterator<Item = (String, &'static str, bool)> {
        let path = self.path();
        TABS.into_iter()
            .map(move |(tab, end, name)| (format!("{path}{end}"), name, tab == self.tab))
    }
}

pub(super) fn path(id: &impl std::fmt::Display) -> String {
    format!("/dashboard/mcp-servers/{id}")
}

/// The server that an address names.
pub(super) async fn find(app: &App, text: &str) -> Result<Arc<McpServer>, PageError> {
    let id: McpServerId = id(text)?;
    Ok(mcp_servers::find(app, id).await?)
}

fn page(signed_in: &SignedIn, server: &McpServer) -> Page {
    Page::new(signed_in, Nav::McpServers, server.name.as_str())
        .under([Crumb::new("MCP Servers", "/dashboard/mcp-servers")])
}
