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
mod environment;
mod output;
mod reach;
mod resolve;
mod signals;
mod table;
mod usage;
mod value;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};
use jeton_server::Config;

use arguments::{Arguments, Command};

/// A token is some hundred small allocations; this allocator makes them cheaper than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
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

/// The command line, and an environment that fits it. Help and the version are given whatever that is.
fn arguments() -> Result<Arguments, ExitCode> {
    let command = Arguments::command();
    let matches = match command.clone().try_get_matches() {
        Err(error) if !error.use_stderr() => error.exit(),
        matches => matches,
    };
    let parsed = matches
        .as_ref()
        .ok()
        .and_then(|matches| Arguments::from_arg_matches(matches).ok());
    let file = parsed
        .as_ref()
        .and_then(|parsed| parsed.global.config.as_deref());
    let declared = Config::variables_named_in(file);
    let variables = environment::variables();
    // First, because a variable that is wrong makes arguments wrong.
    if let Err(wrong) = environment::check(&command, matches.as_ref().ok(), &declared, &variables) {
        for sentence in wrong.lines() {
            output::say(&format!("error: {sentence}"));
        }
        return Err(ExitCode::from(WRONG_USAGE));
    }
    match (parsed, matches) {
        (Some(arguments), _) => Ok(arguments),
        (None, Err(error)) => Err(usage::refused(&error)),
        (None, Ok(_)) => Ok(Arguments::parse()),
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
        Command::Bridge(bridge) => command::bridge::run(bridge, &global).await,
        Command::Key { command } => command::key::run(command, &global).await,
        Command::Apply(apply) => command::apply::run(apply, &global).await,
        Command::Backup(backup) => command::backup::back_up(backup, &global).await,
        Command::Restore(restore) => command::backup::restore(restore, &global).await,
        Command::Migrate(migrate) => command::migrate::run(migrate, &global).await,
        Command::Admin { command } => command::admin::run(command, &global).await,
        Command::Audit { command } => command::audit::run(command, &global).await,
    }
}
