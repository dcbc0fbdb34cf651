//! Names where IDs are taken. An ID is always that; any other text is the name of exactly one thing,
//! or refused.

use anyhow::bail;
use jeton_core::{ClientId, McpServerId, ResourceUri, SecretOwner, excerpt};
use serde_json::Value;

use crate::admin::Admin;
use crate::output::cell;
use crate::usage::Usage;

/// Something that has a name and an ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noun {
    Client,
    McpServer,
}

impl Noun {
    fn singular(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::McpServer => "MCP server",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Client => "clients",
            Self::McpServer => "MCP servers",
        }
    }

    fn known_by(self) -> &'static str {
        match self {
            Self::Client => "name or ID",
            Self::McpServer => "name, URL or ID",
        }
    }

    fn list(self) -> &'static str {
        match self {
            Self::Client => "jeton client list",
            Self::McpServer => "jeton mcp-server list",
        }
    }
}

impl Admin {
    /// The ID of the client with this ID or name.
    pub(crate) async fn client_id(&self, text: &str) -> anyhow::Result<String> {
        match text.parse::<ClientId>() {
            Ok(id) => Ok(id.to_string()),
            Err(error) if is_other_id(text) => Err(Usage::error(error.to_string())),
            Err(_) => one(Noun::Client, text, &self.clients_named(text).await?),
        }
    }

    /// The ID of the MCP server with this ID, name or URL.
    pub(crate) async fn mcp_server_id(&self, text: &str) -> anyhow::Result<String> {
        match text.parse::<McpServerId>() {
            Ok(id) => Ok(id.to_string()),
            Err(error) if is_other_id(text) => Err(Usage::error(error.to_string())),
            Err(_) => one(Noun::McpServer, text, &self.servers_named(text).await?),
        }
    }

    /// The path of the secrets of the client or MCP server with this ID or name.
    pub(crate) async fn secrets_path(&self, text: &str) -> anyhow::Result<String> {
        match text.parse::<SecretOwner>() {
            Ok(SecretOwner::Client(id)) => return Ok(format!("/clients/{id}/secrets")),
            Ok(SecretOwner::McpServer(id)) => return Ok(format!("/mcp-servers/{id}/secrets")),
            Err(error) if is_other_id(text) => return Err(Usage::error(error.to_string())),
            Err(_) => {}
        }
        let (clients, servers) = (
            self.clients_named(text).await?,
            self.servers_named(text).await?,
        );
        if !clients.is_empty() && !servers.is_empty() {
            let both: Vec<_> = clients.iter().chain(&servers).map(candidate).collect();
            bail!(
                "{} is the name of a client and of an MCP server: {}. Use the ID of the one you mean",
                excerpt(text),
                both.join(", ")
            );
        }
        if clients.is_empty() && !servers.is_empty() {
            let id = one(Noun::McpServer, text, &servers)?;
            return Ok(format!("/mcp-servers/{id}/secrets"));
        }
        let id = one(Noun::Client, text, &clients)?;
        Ok(format!("/clients/{id}/secrets"))
    }

    async fn clients_named(&self, text: &str) -> anyhow::Result<Vec<Value>> {
        let query = [("name", text.trim().to_owned())];
        self.list("/clients", &query, None).await
    }

    /// By name, or by one of its URLs.
    async fn servers_named(&self, text: &str) -> anyhow::Result<Vec<Value>> {
        let text = text.trim();
        let url = text.parse::<ResourceUri>().ok();
        let mut servers = self.list("/mcp-servers", &[], None).await?;
        servers.retain(|server| {
            cell(server, "name") == text || url.as_ref().is_some_and(|url| has_url(server, url))
        });
        Ok(servers)
    }
}

fn has_url(server: &Value, url: &ResourceUri) -> bool {
    let aliases = server.get("aliases").and_then(Value::as_array);
    let urls = server
        .get("url")
        .into_iter()
        .chain(aliases.into_iter().flatten());
    urls.filter_map(Value::as_str)
        .filter_map(|text| ResourceUri::from_registered(text).ok())
        .any(|known| known == *url)
}

/// Whether a text is an ID, of whatever kind but the wanted one.
fn is_other_id(text: &str) -> bool {
    jeton_core::id_kind(text).is_some()
}

fn candidate(thing: &Value) -> String {
    let id = cell(thing, "id");
    match thing.get("url").and_then(Value::as_str) {
        Some(url) => format!("{id} ({url})"),
        None => format!("{id} (created {})", cell(thing, "created_at")),
    }
}

/// The ID of the only thing with a name.
fn one(noun: Noun, text: &str, found: &[Value]) -> anyhow::Result<String> {
    match found {
        [one] => Ok(cell(one, "id")),
        [] => {
            let mistyped = match noun {
                Noun::Client => text.starts_with("m2m_"),
                Noun::McpServer => text.starts_with("res_"),
            };
            let note = if mistyped {
                "; it is not a whole ID either, which has 26 letters and digits after the underscore"
            } else {
                ""
            };
            bail!(
                "there is no {} with the {} {}{note}. {} shows those that there are",
                noun.singular(),
                noun.known_by(),
                excerpt(text),
                noun.list()
            )
        }
        several => {
            let ids: Vec<_> = several.iter().map(candidate).collect();
            bail!(
                "{} {} have the name {}: {}. Use the ID of the one you mean",
                several.len(),
                noun.plural(),
                excerpt(text),
                ids.join(", ")
            )
        }
    }
}
