//! Runs the todo server.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Parser;
use todo_server::{Protection, router};
use tokio::signal::unix::{SignalKind, signal};

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
    /// Allow an issuer that is plain http on another machine, where nobody can alter its keys on their way.
    #[arg(long)]
    insecure_http: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter("info,rmcp=warn")
        .log_internal_errors(false)
        .init();
    let router = router(&Protection {
        resource: arguments.resource.clone(),
        issuer: arguments.issuer,
        audience: arguments.audience,
        insecure_http: arguments.insecure_http,
    })?;
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let stopped = stopped()?;
    announce(&arguments.resource, listener.local_addr()?);
    axum::serve(listener, router)
        .with_graceful_shutdown(stopped)
        .await?;
    Ok(())
}

fn announce(resource: &str, address: SocketAddr) {
    // Nobody may be there to read it.
    let _ = writeln!(
        std::io::stderr(),
        "todo server: {resource} (listening on {address})"
    );
}

/// Waits for SIGINT, SIGTERM or SIGQUIT. Signals that would otherwise kill do nothing.
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    for ignored in [
        SignalKind::hangup(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
        SignalKind::alarm(),
    ] {
        // Once a handler is installed, the default action no longer applies.
        let _ = signal(ignored)?;
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut quit = signal(SignalKind::quit())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = quit.recv() => {}
        }
    })
}
