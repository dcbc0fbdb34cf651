//! `jeton call`.

use anyhow::{Context as _, bail};
use clap::Args;
use jeton_agent::{AuthorizedClient, TokenSource};
use jeton_core::ScopeSet;
use rmcp::model::{CallToolRequestParams, CallToolResult, ProtocolVersion, Tool};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt as _, RoleClient};
use serde_json::{Map, Value, json};

use super::credentials::Credentials;
use crate::arguments::Global;
use crate::output;

/// Discover how an MCP server is protected, get a token, call a tool, print the result.
///
/// Example: jeton call http://localhost:3002/mcp create_todo '{"title": "Buy milk"}'
#[derive(Args)]
pub(crate) struct Call {
    /// The URL of the MCP endpoint.
    mcp_url: String,
    /// The tool to call.
    #[arg(required_unless_present = "list")]
    tool: Option<String>,
    /// Its arguments, a JSON object.
    #[arg(value_name = "JSON", value_parser = object, default_value = "{}")]
    arguments: Map<String, Value>,
    /// List the tools instead.
    #[arg(long, conflicts_with = "tool")]
    list: bool,
    #[command(flatten)]
    credentials: Credentials,
    /// The scopes to ask for, separated by spaces and no more [default: what the server asks for].
    #[arg(long, value_name = "SCOPES", env = "JETON_SCOPE")]
    scope: Option<ScopeSet>,
    /// The authorization server that the credentials belong to; they are sent to no other
    /// [default: --server, else as admin.json says, else whichever the MCP server names].
    #[arg(long, value_name = "URL", env = "JETON_ISSUER")]
    issuer: Option<String>,
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| {
        format!("expected a JSON object like {{\"title\": \"Buy milk\"}}: {error}")
    })
}

pub(crate) async fn run(call: Call, global: &Global) -> anyhow::Result<()> {
    let credentials = call.credentials.find(global)?;
    let mut tokens = TokenSource::builder(&call.mcp_url, credentials);
    let issuer = match (call.issuer, &global.server) {
        (Some(issuer), _) => Some(issuer),
        (None, Some(url)) => Some(url.trim_end_matches('/').to_owned()),
        (None, None) => crate::admin::admin_file(global)?.1.map(|file| file.issuer),
    };
    if let Some(issuer) = issuer {
        tokens = tokens.issuer(issuer);
    }
    if let Some(scope) = call.scope {
        tokens = tokens.scope(scope);
    }
    let tokens = tokens.build()?;
    // What cannot be had is said here, in its own words, before the MCP client wraps it.
    tokens.token().await?;
    let client = connect(&call.mcp_url, tokens).await?;
    let outcome = match call.tool {
        None => list_tools(&client, global).await,
        Some(tool) => call_tool(&client, tool, call.arguments, global).await,
    };
    client.cancel().await.ok();
    outcome
}

type Connection = RunningService<RoleClient, ()>;

/// Speaks the newest revision of MCP with servers that know it, and an earlier one with others.
pub(crate) async fn connect(url: &str, tokens: TokenSource) -> anyhow::Result<Connection> {
    let transport = StreamableHttpClientTransport::with_client(
        AuthorizedClient::new(tokens)?,
        StreamableHttpClientTransportConfig::with_uri(url.to_owned()),
    );
    let lifecycle = ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: None,
    };
    ().serve_with_lifecycle(transport, lifecycle)
        .await
        .with_context(|| format!("no MCP connection to {url}"))
}

async fn list_tools(client: &Connection, global: &Global) -> anyhow::Result<()> {
    let tools: Vec<Tool> = client.list_all_tools().await?;
    if global.json {
        return output::json(&json!(tools));
    }
    let rows: Vec<_> = tools
        .iter()
        .map(|tool| {
            let description = tool.description.as_deref().unwrap_or("-");
            vec![
                tool.name.to_string(),
                description.lines().next().unwrap_or("-").to_owned(),
            ]
        })
        .collect();
    output::table(&["TOOL", "DESCRIPTION"], &rows)
}

async fn call_tool(
    client: &Connection,
    tool: String,
    arguments: Map<String, Value>,
    global: &Global,
) -> anyhow::Result<()> {
    let mut request = CallToolRequestParams::new(tool.clone());
    request.arguments = Some(arguments);
    let result = client
        .call_tool(request)
        .await
        .with_context(|| format!("{tool} failed"))?;
    if global.json {
        output::json(&json!(result))?;
    } else {
        output::data(&text(&result))?;
    }
    if result.is_error == Some(true) {
        bail!("{tool} answered with an error");
    }
    Ok(())
}

/// The structured result where there is one, else the texts.
fn text(result: &CallToolResult) -> String {
    if let Some(structured) = &result.structured_content {
        return serde_json::to_string_pretty(structured).unwrap_or_default();
    }
    let texts: Vec<String> = result
        .content
        .iter()
        .map(|block| match block.as_text() {
            Some(text) => text.text.clone(),
            None => serde_json::to_string(block).unwrap_or_default(),
        })
        .collect();
    texts.join("\n")
}
