//! The `jeton` command: one file a command.
//!
//! Data goes to stdout, words to stderr. Exit status: 0 done, 1 refused or failed, 2 wrong usage.

#![expect(
    clippy::doc_markdown,
    reason = "the doc comments of arguments are their help texts"
)]

mod admin;
mod arguments;
mod command;
mod demo;
mod duration;
mod output;
mod reach;
mod signals;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};

/// A token is some hundred small allocations; this allocator makes them cheaper than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return output::failed(&anyhow::Error::new(error).context("no runtime")),
    };
    // Boxed: the commands' futures are large.
    match runtime.block_on(Box::pin(run(arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failed(&error),
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    signals::survive_file_limits()?;
    let Arguments { global, command } = arguments;
    match command {
        Command::Serve(serve) => Box::pin(command::serve::run(serve, global)).await,
        Command::Demo(demo) => demo::run(demo).await,
        Command::McpServer { command } => command::mcp_server::run(command, &global).await,
        Command::Client { command } => command::client::run(command, &global).await,
        Command::Secret { command } => command::secret::run(command, &global).await,
        Command::Token(token) => command::token::run(token, &global).await,
        Command::Call(call) => command::call::run(call, &global).await,
        Command::Key { command } => command::key::run(command, &global).await,
        Command::Apply(apply) => command::apply::run(apply, &global).await,
        Command::Backup(backup) => command::backup::back_up(backup, &global).await,
        Command::Restore(restore) => command::backup::restore(restore, &global).await,
        Command::Migrate(migrate) => command::migrate::run(migrate, &global).await,
        Command::Admin { command } => command::admin::run(command, &global).await,
        Command::Audit { command } => command::audit::run(command, &global).await,
    }
}
