//! The todo MCP server, and a tool call in plain HTTP.

use reqwest::Response;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{Process, binary, free_port, http};

/// A running todo server.
pub struct TodoServer {
    pub process: Process,
    pub url: String,
    issuer: String,
    port: u16,
}

impl TodoServer {
    pub async fn start(issuer: &str) -> Self {
        Self::start_with(issuer, &[]).await
    }

    /// With variables in its environment.
    pub async fn start_with(issuer: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_with_flags(issuer, environment, &[]).await
    }

    /// With further flags, too.
    pub async fn start_with_flags(
        issuer: &str,
        environment: &[(&str, &str)],
        flags: &[&str],
    ) -> Self {
        let port = free_port();
        Self {
            process: start(issuer, port, environment, flags).await,
            url: url(port),
            issuer: issuer.to_owned(),
            port,
        }
    }

    /// Kills it and starts it at the same address.
    pub async fn restart(&mut self) {
        self.process.kill().await;
        self.process = start(&self.issuer, self.port, &[], &[]).await;
    }
}

fn url(port: u16) -> String {
    format!("http://localhost:{port}/mcp")
}

async fn start(issuer: &str, port: u16, environment: &[(&str, &str)], flags: &[&str]) -> Process {
    let mut command = Command::new(binary("todo-server"));
    command
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args(["--issuer", issuer, "--resource", &url(port)])
        .args(flags)
        .envs(environment.iter().copied());
    let mut process = Process::start(&mut command);
    process.wait_for("todo server:").await;
    process
}

/// A stateless tool call of MCP 2026-07-28, and the raw answer.
pub async fn call_tool(url: &str, token: &str, tool: &str, arguments: Value) -> Response {
    let version = "2026-07-28";
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {
            "name": tool, "arguments": arguments,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": version,
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    });
    http()
        .post(url)
        .bearer_auth(token)
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", version)
        .header("Mcp-Method", "tools/call")
        .header("Mcp-Name", tool)
        .json(&body)
        .send()
        .await
        .unwrap()
}
