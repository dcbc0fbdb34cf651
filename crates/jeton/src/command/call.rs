//! `jeton call`.

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use jeton_agent::{AgentError, AuthorizedClient, TokenSource};
use jeton_core::{Challenge, ScopeSet, presentable_url};
use rmcp::model::{CallToolRequestParams, CallToolResult, ProtocolVersion, Tool};
use rmcp::service::{RunningService, ServiceError};
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
#[command(
    override_usage = "jeton call <MCP_URL> <TOOL> [JSON] [OPTIONS]\n       jeton call <MCP_URL> --list [OPTIONS]"
)]
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
    let token = tokens.token().await;
    let token = token.map_err(|error| with_advice(error, tokens.resource()))?;
    let has = token.scope().map(ScopeSet::summary);
    let client = connect(&call.mcp_url, tokens).await?;
    let outcome = match call.tool {
        None => list_tools(&client, global).await,
        Some(tool) => call_tool(&client, tool, call.arguments, has, global).await,
    };
    client.cancel().await.ok();
    outcome
}

/// An error with the flag that helps.
fn with_advice(error: AgentError, url: &str) -> anyhow::Error {
    match &error {
        AgentError::Http(_) => anyhow::Error::new(error).context(format!(
            "no answer from the MCP server at {url}: is it running, and can this machine reach it?"
        )),
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
        .with_context(|| format!("no MCP connection to {}", presentable_url(url)))
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
    has: Option<String>,
    global: &Global,
) -> anyhow::Result<()> {
    let mut request = CallToolRequestParams::new(tool.clone());
    request.arguments = Some(arguments);
    let result = client.call_tool(request).await;
    let result = result.map_err(|error| not_called(error, &tool, has))?;
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

/// Why a tool was not called: where the MCP server asks for a scope, which one, and who can grant it.
fn not_called(error: ServiceError, tool: &str, has: Option<String>) -> anyhow::Error {
    let challenge = error.auth_challenge().map(Challenge::parse);
    match challenge
        .and_then(Result::ok)
        .and_then(|challenge| challenge.scope)
    {
        Some(wanted) => anyhow!(
            "{tool} needs the scope {}, and this client's token has {}. An admin can grant it: jeton client update CLIENT_ID --mcp-server SERVER --add-scope SCOPE",
            wanted.summary(),
            has.unwrap_or_else(|| "another".to_owned())
        ),
        None => anyhow::Error::new(error).context(format!("{tool} failed")),
    }
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
