//! Ready to paste: `jeton bridge` in the configuration of the programs that start MCP servers. The
//! secret is a variable of the environment, never part of a URL or an argument.

use jeton_core::McpServer;
use jeton_jose::is_trustworthy_url;
use serde_json::{Map, Value, json};

use super::snippet::{Snippet, literal, shell};

/// What VS Code calls the secret that it asks for.
const INPUT: &str = "jeton-client-secret";

/// The configurations for a client of `server`.
pub(super) fn hosts(server: &McpServer, issuer: &str, id: &str, secret: &str) -> Vec<Snippet> {
    let name = short_name(server.name.as_str());
    let url = server.url.as_given();
    let needs_switch = !is_trustworthy_url(issuer);
    let started = |secret: &str| started(url, issuer, id, secret, needs_switch);
    let common = pretty(&json!({ "mcpServers": { name.as_str(): started(secret) } }));
    let of_vs_code = with(started(&format!("${{input:{INPUT}}}")), "type", "stdio");
    let vs_code = pretty(&json!({
        "inputs": [{
            "type": "promptString",
            "id": INPUT,
            "description": format!("Secret of the Jeton client {id}"),
            "password": true,
        }],
        "servers": { name.as_str(): of_vs_code },
    }));
    let of_zed = with(started(secret), "source", "custom");
    let zed = pretty(&json!({ "context_servers": { name.as_str(): of_zed } }));
    let insecure = if needs_switch {
        " JETON_INSECURE_HTTP=true"
    } else {
        ""
    };
    let terminal = format!(
        "export JETON_ISSUER={} JETON_CLIENT_ID={} JETON_CLIENT_SECRET={}{insecure}\n\
         echo '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{{}},\"clientInfo\":{{\"name\":\"terminal\",\"version\":\"1\"}}}}}}' | jeton bridge {}",
        shell(issuer),
        shell(id),
        shell(secret),
        shell(url)
    );
    let snippet = |id, title, code| Snippet { id, title, code };
    let claude_desktop = "Claude Desktop: claude_desktop_config.json";
    let asks = "VS Code: .vscode/mcp.json (it asks for the secret once and keeps it)";
    vec![
        snippet("host-claude-desktop", claude_desktop, common.clone()),
        snippet("host-vs-code", asks, vs_code),
        snippet("host-cursor", "Cursor: ~/.cursor/mcp.json", common.clone()),
        snippet("host-claude-code", "Claude Code: .mcp.json", common.clone()),
        snippet("host-zed", "Zed: settings.json", zed),
        snippet("host-other", "Other hosts: mcpServers", common),
        snippet("host-terminal", "A terminal, to try it", terminal),
    ]
}

/// A server's configuration with another member.
fn with(mut server: Value, member: &str, value: &str) -> Value {
    if let Some(members) = server.as_object_mut() {
        members.insert(member.to_owned(), value.into());
    }
    server
}

/// How a host starts the bridge.
fn started(url: &str, issuer: &str, id: &str, secret: &str, needs_switch: bool) -> Value {
    let mut environment = Map::new();
    environment.insert("JETON_ISSUER".to_owned(), issuer.into());
    environment.insert("JETON_CLIENT_ID".to_owned(), id.into());
    environment.insert("JETON_CLIENT_SECRET".to_owned(), secret.into());
    if needs_switch {
        environment.insert("JETON_INSECURE_HTTP".to_owned(), "true".into());
    }
    json!({ "command": "jeton", "args": ["bridge", url], "env": environment })
}

fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_else(|_| literal(""))
}

/// What a host calls the server: lower-case letters, digits and hyphens.
fn short_name(name: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    if words.is_empty() {
        "mcp".to_owned()
    } else {
        words.join("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_name_becomes_one_that_hosts_take() {
        for (name, expected) in [
            ("Todo", "todo"),
            ("Équipe  (EU) 2", "quipe-eu-2"),
            ("日本", "mcp"),
        ] {
            assert_eq!(short_name(name), expected);
        }
    }
}
