//! A call without a token, which makes an MCP server say how it is protected.

use jeton_core::{CLIENT_CREDENTIALS_EXTENSION, Challenge};
use reqwest::Client;
use reqwest::header::{ACCEPT, CONTENT_TYPE};

use crate::challenge::bearer_challenge;
use crate::http_client::HttpError;

/// The revision of MCP that the call is made in.
const REVISION: &str = "2026-07-28";

/// What an MCP server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpProbe {
    /// The HTTP status.
    pub status: u16,
    /// Its Bearer challenge.
    pub challenge: Option<Challenge>,
}

/// Asks for the list of tools without a token. The request is complete in MCP 2026-07-28, headers
/// and all, because some servers check those before anything else. A server that refuses it without
/// a challenge may speak an earlier revision only, and is asked once more, with the `initialize` of
/// 2025-11-25.
///
/// # Errors
///
/// [`HttpError`] where nothing answers.
pub async fn probe_mcp_server(client: &Client, url: &str) -> Result<McpProbe, HttpError> {
    let capabilities = format!(r#"{{"extensions":{{"{CLIENT_CREDENTIALS_EXTENSION}":{{}}}}}}"#);
    let list = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"{REVISION}","io.modelcontextprotocol/clientCapabilities":{capabilities}}}}}}}"#
    );
    let request = post(client, url, list)
        .header("MCP-Protocol-Version", REVISION)
        .header("Mcp-Method", "tools/list");
    let current = send(request, url).await?;
    if current.challenge.is_some() || !refused_for_its_form(current.status) {
        return Ok(current);
    }
    let version = env!("CARGO_PKG_VERSION");
    let initialize = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{capabilities},"clientInfo":{{"name":"jeton","version":"{version}"}}}}}}"#
    );
    let earlier = send(post(client, url, initialize), url).await?;
    Ok(match earlier.challenge {
        Some(_) => earlier,
        None => current,
    })
}

fn post(client: &Client, url: &str, body: String) -> reqwest::RequestBuilder {
    client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .body(body)
}

/// An unknown version, an unknown method, no session.
fn refused_for_its_form(status: u16) -> bool {
    matches!(status, 400 | 404 | 405 | 406 | 415 | 422)
}

async fn send(request: reqwest::RequestBuilder, url: &str) -> Result<McpProbe, HttpError> {
    let response = request
        .send()
        .await
        .map_err(|error| HttpError::at(url, error))?;
    Ok(McpProbe {
        status: response.status().as_u16(),
        challenge: bearer_challenge(response.headers()),
    })
}
