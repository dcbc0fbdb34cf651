//! `jeton bridge`.

use std::io::{self, BufReader, IsTerminal as _};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jeton_agent::TokenSource;
use jeton_bridge::{Ended, Input, Output};
use jeton_core::{ScopeSet, presentable_url};
use jeton_server::{LogFormat, init_telemetry};

use super::credentials::{Credentials, server_url};
use crate::arguments::Global;
use crate::output;
use crate::signals::Signals;
use crate::usage::Usage;
use crate::value;

/// How long the MCP server may send nothing before the connection counts as dead. Hosts have their
/// own, shorter limits, and cancel.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3_600);

/// Be a stdio MCP server for an editor or assistant, and forward to a protected one with tokens
///
/// The host starts this command and speaks MCP with it over stdin and stdout; every message goes to
/// MCP_URL over streamable HTTP, with tokens that the bridge gets, renews and widens by itself.
/// Requests that fail are answered with a JSON-RPC error that says what to do. Logs go to stderr.
///
/// For Claude Desktop (claude_desktop_config.json), Cursor (mcp.json) and most other hosts:
///
///   {
///     "mcpServers": {
///       "todo": {
///         "command": "jeton",
///         "args": ["bridge", "http://localhost:3002/mcp"],
///         "env": {
///           "JETON_ISSUER": "http://127.0.0.1:8420",
///           "JETON_CLIENT_ID": "m2m_...",
///           "JETON_CLIENT_SECRET": "jeton_..."
///         }
///       }
///     }
///   }
///
/// Where the host does not find jeton, give its whole path as "command". To keep the secret out of
/// the file, name a file (JETON_CLIENT_SECRET_FILE), or a command that asks your keyring
/// (JETON_CLIENT_SECRET_COMMAND): "secret-tool lookup service jeton" on Linux,
/// "security find-generic-password -s jeton -w" on macOS.
#[expect(
    clippy::doc_link_with_quotes,
    reason = "it is the help text, and shows JSON"
)]
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Bridge {
    /// The URL of the MCP endpoint.
    mcp_url: String,
    #[command(flatten)]
    credentials: Credentials,
    /// The scopes to ask for, separated by spaces and no more [default: what the server asks for].
    #[arg(long, value_name = "SCOPES", env = "JETON_SCOPE")]
    scope: Option<ScopeSet>,
    /// Accept a token for a parent of the URL, where the MCP server says that this is its resource:
    /// such a token works for every server below the parent.
    #[arg(long)]
    allow_parent_resource: bool,
    /// How long a request waits for an MCP server that cannot be reached, in seconds.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "JETON_WAIT",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(0..=3_600)
    )]
    wait: u64,
    /// What is logged to stderr: a level, or a list like warn,jeton_bridge=debug.
    #[arg(long, value_name = "FILTER", env = "JETON_LOG", default_value = "info", value_parser = value::log_filter)]
    log: String,
}

pub(crate) async fn run(bridge: Bridge, global: &Global) -> anyhow::Result<()> {
    init_telemetry(LogFormat::Text, &bridge.log);
    let mut signals = Signals::new()?;
    let input = Input::of(BufReader::new(io::stdin())).context("stdin cannot be read")?;
    let output = Output::to(io::stdout()).context("stdout cannot be written to")?;
    let tokens = match tokens(&bridge, global) {
        Ok(tokens) => tokens,
        Err(error) => {
            // The host's user sees an answer, and seldom what a program that ended has written.
            let problem = format!("{error:#}");
            output::say(&format!("error: {problem}"));
            // Whoever typed it at a terminal has read the problem there.
            if !io::stdin().is_terminal() {
                tokio::select! {
                    () = jeton_bridge::refuse(input, output, &problem) => {}
                    () = signals.stop(None) => {}
                }
            }
            return Err(Usage::error(format!(
                "it was started without what it needs: {problem}"
            )));
        }
    };
    tracing::info!(
        url = tokens.resource(),
        client_id = tokens.credentials().client_id(),
        issuer = presentable_url(tokens.credentials().issuer()),
        "forwarding"
    );
    let wait = Duration::from_secs(bridge.wait);
    let running = jeton_bridge::Bridge::new(tokens, output, wait)?;
    match running.run(input, signals.stop(None)).await {
        Ended::ByHost => tracing::info!("the host closed the connection"),
        Ended::Stopped => tracing::info!("stopped by a signal"),
    }
    Ok(())
}

/// Answers each request with `problem`, for a bridge that was not even started with arguments that can be read.
/// Whoever typed it at a terminal has read the problem there.
pub(crate) fn refuse(problem: &str) {
    if io::stdin().is_terminal() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let input = Input::of(BufReader::new(io::stdin()));
    let output = Output::to(io::stdout());
    if let (Ok(runtime), Ok(input), Ok(output)) = (runtime, input, output) {
        runtime.block_on(jeton_bridge::refuse(input, output, problem));
    }
}

fn tokens(bridge: &Bridge, global: &Global) -> anyhow::Result<TokenSource> {
    let found = bridge.credentials.find(global)?;
    let issuer = match found.issuer() {
        Some(issuer) => issuer.to_owned(),
        None => server_url(global, &found)?,
    };
    let mut tokens = TokenSource::builder(&bridge.mcp_url, found.of_issuer(issuer))
        .insecure_http(global.insecure_http)
        .idle_timeout(IDLE_TIMEOUT);
    if bridge.allow_parent_resource {
        tokens = tokens.allow_parent_resource();
    }
    if let Some(scope) = bridge.scope.clone() {
        tokens = tokens.scope(scope);
    }
    Ok(tokens.build()?)
}
