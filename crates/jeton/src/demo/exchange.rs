//! HTTP as the demo's agent speaks it: plainly, so that each exchange can be shown.

use jeton_core::Challenge;
use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::stage::DemoClient;

/// An answer, taken apart.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) challenge: Option<String>,
    pub(super) body: Value,
}

impl Answer {
    async fn of(response: reqwest::Response) -> anyhow::Result<Self> {
        let status = response.status();
        let challenge = response
            .headers()
            .get(WWW_AUTHENTICATE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let text = response.text().await?;
        // A streamable HTTP server may answer as a stream of one event.
        let json = text
            .lines()
            .find_map(|line| line.strip_prefix("data: {").map(|_| line.get(6..)));
        let body = serde_json::from_str(json.flatten().unwrap_or(&text)).unwrap_or(Value::Null);
        Ok(Self {
            status,
            challenge,
            body,
        })
    }

    pub(super) fn text(&self) -> String {
        match &self.body {
            Value::Null => String::new(),
            body => serde_json::to_string_pretty(body).unwrap_or_default(),
        }
    }

    /// The challenge, read.
    pub(super) fn parsed_challenge(&self) -> Challenge {
        let challenge = self.challenge.as_deref().map(Challenge::parse);
        challenge.and_then(Result::ok).unwrap_or_default()
    }

    /// A member of the body.
    pub(super) fn member(&self, path: &str) -> &Value {
        self.body.pointer(path).unwrap_or(&Value::Null)
    }
}

pub(super) async fn get(client: &Client, url: &str) -> anyhow::Result<Answer> {
    Answer::of(client.get(url).send().await?).await
}

/// OAuth 2.1 §4.2, with the secret in the body.
pub(super) async fn token(
    client: &Client,
    endpoint: &str,
    who: &DemoClient,
    resource: &str,
) -> anyhow::Result<Answer> {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &who.client_id),
        ("client_secret", who.client_secret.expose()),
        ("resource", resource),
    ];
    let body = form_body(&form);
    let request = client
        .post(endpoint)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body);
    Answer::of(request.send().await?).await
}

fn form_body(form: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

/// A tool call in the stateless revision of MCP, 2026-07-28: one request, no session.
pub(super) async fn call_tool(
    client: &Client,
    mcp_url: &str,
    token: Option<&str>,
    tool: &str,
    arguments: Value,
) -> anyhow::Result<Answer> {
    let version = "2026-07-28";
    let body = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": tool,
            "arguments": arguments,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": version,
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    });
    let mut request = client
        .post(mcp_url)
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", version)
        .header("Mcp-Method", "tools/call")
        .header("Mcp-Name", tool)
        .json(&body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    Answer::of(request.send().await?).await
}
