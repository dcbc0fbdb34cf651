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
mod other_words;
mod output;
mod reach;
mod resolve;
mod signals;
mod table;
mod typed;
mod usage;
mod value;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};
use jeton_server::Config;

use arguments::{Arguments, Command, Global};
use usage::Usage;

/// A token is some hundred small allocations; this allocator makes them cheaper than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WRONG_USAGE: u8 = 2;

/// The command that hosts start.
const BRIDGE: &str = "bridge";

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
    let command = with_negative_numbers(Arguments::command());
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
        tell_host(&command, &matches, &wrong.replace('\n', " "));
        return Err(ExitCode::from(WRONG_USAGE));
    }
    match (parsed, &matches) {
        (Some(arguments), _) => match refuse_json(&arguments.command, &arguments.global) {
            Ok(()) => Ok(arguments),
            Err(error) => {
                let refused = output::failed(&error);
                tell_host(&command, &matches, &error.to_string());
                Err(refused)
            }
        },
        (None, Err(error)) => {
            let refused = usage::refused(error);
            tell_host(&command, &matches, &usage::sentence(error));
            Err(refused)
        }
        (None, Ok(_)) => Ok(Arguments::parse()),
    }
}

/// `--json` where there is no document to print.
fn refuse_json(command: &Command, global: &Global) -> anyhow::Result<()> {
    let words = match command {
        Command::Serve(_) => {
            "jeton serve prints no JSON document; for log lines in JSON, use --log-format json"
        }
        Command::Demo(_) => "jeton demo prints no JSON document; leave out --json",
        Command::Bridge(_) => "jeton bridge speaks MCP on stdout; leave out --json",
        _ => return Ok(()),
    };
    if global.json {
        return Err(Usage::error(words));
    }
    Ok(())
}

/// A flag that takes a number says what is wrong with `-1`; by itself clap would call that an unknown flag.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let takes_value = |argument: &clap::Arg| argument.get_action().takes_values();
    command
        .mut_args(|argument| {
            let takes_value = takes_value(&argument) && !argument.is_positional();
            argument.allow_negative_numbers(takes_value)
        })
        .mut_subcommands(with_negative_numbers)
}

/// Answers the host that started `jeton bridge` wrongly: it shows its user an answer, and seldom what a program
/// that ended has written.
fn tell_host(
    command: &clap::Command,
    matches: &Result<clap::ArgMatches, clap::Error>,
    problem: &str,
) {
    let is_bridge = |matches: &clap::ArgMatches| matches.subcommand_name() == Some(BRIDGE);
    let is_bridge = if let Ok(matches) = matches {
        is_bridge(matches)
    } else {
        // What can be read of the arguments says which command it was to be.
        let lenient = command.clone().ignore_errors(true);
        lenient
            .try_get_matches()
            .is_ok_and(|matches| is_bridge(&matches))
    };
    if is_bridge {
        command::bridge::refuse(problem);
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
