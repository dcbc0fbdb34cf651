//! Runs the todo server.

use std::io::IsTerminal as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Parser;
use todo_server::{Protection, router};

/// An MCP server with todos, protected by jeton-guard.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:3002")]
    listen: SocketAddr,
    /// The issuer of the tokens to accept.
    #[arg(long, default_value = "http://127.0.0.1:8420")]
    issuer: String,
    /// The URL of the MCP endpoint, as it is registered with Jeton.
    #[arg(long, default_value = "http://localhost:3002/mcp")]
    resource: String,
    /// A further audience to accept, for example the server's res_… ID.
    #[arg(long)]
    audience: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter("info,rmcp=warn")
        .init();
    let router = router(&Protection {
        resource: arguments.resource.clone(),
        issuer: arguments.issuer,
        audience: arguments.audience,
    })?;
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    announce(&arguments.resource, listener.local_addr()?);
    axum::serve(listener, router)
        .with_graceful_shutdown(interrupted())
        .await?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "words to the person who started it")]
fn announce(resource: &str, address: SocketAddr) {
    eprintln!("todo server: {resource} (listening on {address})");
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
