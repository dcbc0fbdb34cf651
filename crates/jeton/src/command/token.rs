//! `jeton token`.

use clap::Args;
use jeton_agent::request_token;
use jeton_core::{LONG_TOKEN, ScopeSet, TokenResponse};
use jeton_jose::http_client;
use serde_json::json;

use super::credentials::{Credentials, server_url};
use crate::arguments::Global;
use crate::output::{self, say};
use crate::reach::reach;

/// Get an access token and print it; with --json the whole answer.
#[derive(Args)]
pub(crate) struct Token {
    #[command(flatten)]
    credentials: Credentials,
    /// The scopes, separated by spaces [default: all that the client was granted].
    #[arg(long, value_name = "SCOPES", env = "JETON_SCOPE")]
    scope: Option<ScopeSet>,
    /// The MCP server's URL [default: the client's default MCP server].
    #[arg(long, value_name = "URL", env = "JETON_RESOURCE")]
    resource: Option<String>,
}

pub(crate) async fn run(token: Token, global: &Global) -> anyhow::Result<()> {
    let credentials = token.credentials.find(global)?;
    let client = http_client()?;
    let url = server_url(global, &credentials)?;
    let reached = reach(&client, &url, credentials, global.insecure_http).await?;
    let response = request_token(
        &client,
        &reached.server,
        &reached.credentials,
        token.resource.as_deref(),
        token.scope.as_ref(),
    )
    .await?;
    warn(token.scope.as_ref(), &response);
    if global.json {
        output::json(&json!(response))
    } else {
        output::data(&response.access_token)
    }
}

/// Says what the token lacks of what was asked for, and where it is too long for some servers.
fn warn(asked: Option<&ScopeSet>, response: &TokenResponse) {
    if let (Some(asked), Some(granted)) = (asked, &response.scope) {
        let left_out = asked.difference(granted);
        if !left_out.is_empty() {
            say(&format!(
                "warning: not granted to this client, so left out: {}",
                left_out.summary()
            ));
        }
    }
    let length = response.access_token.len();
    if length >= LONG_TOKEN {
        say(&format!(
            "warning: the token has {length} bytes, and many servers refuse headers over 8 kB (nginx) or 16 kB (Node); ask for fewer scopes with --scope"
        ));
    }
}
