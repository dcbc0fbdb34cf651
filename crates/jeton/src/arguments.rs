//! The command line as a whole.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand};

use crate::command::{
    admin, apply, audit, backup, bridge, call, client, key, mcp_server, migrate, secret, serve,
    token,
};
use crate::{demo, value};

/// An OAuth 2.1 authorization server for agents that call MCP servers.
///
/// See it work:        jeton demo
/// Run it:             jeton serve
/// Register a server:  jeton mcp-server create --name Todo --url http://localhost:3002/mcp --scope todo:read
/// Create a client:    jeton client create --mcp-server Todo --name my-agent --scope todo:read
/// Get a token:        jeton token --client-id m2m_... --client-secret jeton_...
/// Call a tool:        jeton call http://localhost:3002/mcp list_todos
#[derive(Parser)]
#[command(name = "jeton", version, verbatim_doc_comment, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args, Clone)]
pub(crate) struct Global {
    /// Print one JSON document instead of text. A command that is refused prints none; stderr says why.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The configuration file [default: jeton.toml in the working directory, if it is there].
    #[arg(long, global = true, value_name = "FILE", env = "JETON_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Where the server keeps its data, and admin commands find admin.json [default: ./jeton-data].
    #[arg(long, global = true, value_name = "DIR", env = "JETON_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the server is [default: as admin.json says, else http://127.0.0.1:8420].
    #[arg(long, global = true, value_name = "URL", env = "JETON_URL", value_parser = value::server_url)]
    pub(crate) server: Option<String>,
    /// Allow plain http to and from other machines: secrets and tokens travel in the clear, so only
    /// where nobody can listen in.
    #[arg(
        long,
        global = true,
        env = "JETON_INSECURE_HTTP",
        hide_env_values = true,
        value_parser = BoolishValueParser::new()
    )]
    pub(crate) insecure_http: bool,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the server.
    Serve(serve::Serve),
    /// Show everything at work in one process: server, MCP server, agent.
    Demo(demo::Demo),
    /// Register, list, show, change and delete MCP servers.
    McpServer {
        #[command(subcommand)]
        command: mcp_server::McpServer,
    },
    /// Create, list, show, change, disable and delete clients.
    Client {
        #[command(subcommand)]
        command: client::Client,
    },
    /// Create, list, rotate and revoke secrets.
    Secret {
        #[command(subcommand)]
        command: secret::Secret,
    },
    /// Get an access token and print it.
    Token(token::Token),
    /// Discover how an MCP server is protected, get a token, call a tool, print the result.
    Call(call::Call),
    Bridge(bridge::Bridge),
    /// List, rotate and rewrap signing keys.
    Key {
        #[command(subcommand)]
        command: key::Key,
    },
    /// Make MCP servers, clients and grants as a file declares them.
    Apply(apply::Apply),
    /// Copy the database into a file while the server goes on.
    Backup(backup::Backup),
    /// Put a backup where the server keeps its data.
    Restore(backup::Restore),
    /// Move a whole installation to another database.
    Migrate(migrate::Migrate),
    /// Let people into the dashboard.
    Admin {
        #[command(subcommand)]
        command: admin::AdminCommand,
    },
    /// Read, prove and export the audit log.
    Audit {
        #[command(subcommand)]
        command: audit::Audit,
    },
}
