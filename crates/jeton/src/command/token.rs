//! `jeton token`.

use clap::Args;
use jeton_agent::request_token;
use jeton_core::{ScopeSet, ServerMetadata};
use jeton_jose::http_client;
use serde_json::json;

use super::credentials::Credentials;
use crate::admin::{DEFAULT_URL, admin_file};
use crate::arguments::Global;
use crate::output;

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
    let url = server_url(global)?;
    let server = ServerMetadata::for_issuer(&url, &url, &ScopeSet::empty());
    let response = request_token(
        &http_client()?,
        &server,
        &credentials,
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

/// Where the authorization server is.
pub(super) fn server_url(global: &Global) -> anyhow::Result<String> {
    let url = match &global.server {
        Some(url) => url.clone(),
        None => admin_file(global)?
            .1
            .map_or_else(|| DEFAULT_URL.to_owned(), |file| file.issuer),
    };
    Ok(url.trim_end_matches('/').to_owned())
}
