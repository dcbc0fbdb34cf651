//! `jeton call`.

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use jeton_agent::{AgentError, AuthorizedClient, TokenSource};
use jeton_core::ScopeSet;
use rmcp::model::{CallToolRequestParams, CallToolResult, ProtocolVersion, Tool};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt as _, RoleClient};
use serde_json::{Map, Value, json};

use super::credentials::{Credentials, server_url};
use crate::arguments::Global;
use crate::output;
use crate::table::table;
use crate::value;

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
    #[arg(value_name = "JSON", value_parser = value::object, default_value = "{}")]
    arguments: Map<String, Value>,
    /// List the tools instead.
    #[arg(long, conflicts_with = "tool")]
    list: bool,
    #[command(flatten)]
    credentials: Credentials,
    /// The scopes to ask for, separated by spaces and no more [default: what the server asks for].
    #[arg(long, value_name = "SCOPES", env = "JETON_SCOPE")]
    scope: Option<ScopeSet>,
    /// Accept a token for a parent of the URL, where the MCP server says that this is its resource:
    /// such a token works for every server below the parent.
    #[arg(long)]
    allow_parent_resource: bool,
}

pub(crate) async fn run(call: Call, global: &Global) -> anyhow::Result<()> {
    let found = call.credentials.find(global)?;
    // Never "whatever the MCP server says": the secret would go there.
    let issuer = match found.issuer() {
        Some(issuer) => issuer.to_owned(),
        None => server_url(global, &found)?,
    };
    let mut tokens = TokenSource::builder(&call.mcp_url, found.of_issuer(issuer))
        .insecure_http(global.insecure_http);
    if call.allow_parent_resource {
        tokens = tokens.allow_parent_resource();
    }
    if let Some(scope) = call.scope {
        tokens = tokens.scope(scope);
    }
    let tokens = tokens.build()?;
    // What cannot be had is said here, in its own words, before the MCP client wraps it.
    tokens.token().await.map_err(with_advice)?;
    let client = connect(&call.mcp_url, tokens).await?;
    let outcome = match call.tool {
        None => list_tools(&client, global).await,
        Some(tool) => call_tool(&client, tool, call.arguments, global).await,
    };
    client.cancel().await.ok();
    outcome
}

/// An error with the flag that helps.
fn with_advice(error: AgentError) -> anyhow::Error {
    match &error {
        AgentError::OtherIssuer { .. } => {
            anyhow!("{error} (here: --issuer or JETON_ISSUER)")
        }
        AgentError::ParentResource { .. } => {
            anyhow::Error::new(error).context("add --allow-parent-resource, if you mean it")
        }
        _ => error.into(),
    }
}

type Connection = RunningService<RoleClient, ()>;

/// Speaks the newest revision of MCP with servers that know it, and an earlier one with others.
pub(crate) async fn connect(url: &str, tokens: TokenSource) -> anyhow::Result<Connection> {
    let transport = StreamableHttpClientTransport::with_client(
        AuthorizedClient::new(tokens),
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
    table(&["TOOL", "DESCRIPTION"], &rows)
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
