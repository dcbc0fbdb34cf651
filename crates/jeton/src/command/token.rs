//! `jeton token`.

use clap::Args;
use jeton_agent::request_token;
use jeton_core::ScopeSet;
use jeton_jose::http_client;
use serde_json::json;

use super::credentials::{Credentials, server_url};
use crate::arguments::Global;
use crate::output;
use crate::reach::reach;

/// Get an access token and print it; with --json the whole answer.
#[derive(Args)]
pub(crate) struct Token {
    #[command(flatten)]
    credentials: Credentials,
    /// The scopes, separated by spaces [default: all that the client was granted].
    #[arg(long, value_name = "SCOPES", env = "JETON_SCOPE")]
    scope: Option<ScopeSet>,
    /// The MCP server's URL [default: the client's only grant].
    #[arg(long, value_name = "URL", env = "JETON_RESOURCE")]
    resource: Option<String>,
}

pub(crate) async fn run(token: Token, global: &Global) -> anyhow::Result<()> {
    let credentials = token.credentials.find(global)?;
    let client = http_client()?;
    let reached = reach(&client, &server_url(global, &credentials)?, credentials).await?;
    let response = request_token(
        &client,
        &reached.server,
        &reached.credentials,
        token.resource.as_deref(),
        token.scope.as_ref(),
    )
    .await?;
    if global.json {
        output::json(&json!(response))
    } else {
        output::data(&response.access_token)
    }
}
