//! Words of other programs: what they are called here.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _};

use crate::arguments::Arguments;

/// Commands that people expect, and what to type instead.
const COMMANDS: [(&[&str], &str); 10] = [
    (&["start", "run", "up"], "jeton serve runs the server"),
    (
        &["server", "servers"],
        "jeton serve runs the server; jeton mcp-server is about MCP servers",
    ),
    (
        &["init", "setup", "install", "login"],
        "nothing has to be set up: jeton serve does so on its first start, and leaves the credentials that commands use",
    ),
    (&["version"], "jeton --version prints it"),
    (
        &["mcp-servers", "mcpserver", "mcp", "resource", "resources"],
        "jeton mcp-server is about MCP servers",
    ),
    (
        &["clients", "agent", "agents"],
        "jeton client is about clients",
    ),
    (
        &["user", "users", "invite"],
        "jeton admin invite lets a person into the dashboard",
    ),
    (
        &["log", "logs", "events"],
        "jeton audit list shows what happened",
    ),
    (&["keys", "rotate"], "jeton key is about signing keys"),
    (
        &["grant", "grants", "scope", "scopes"],
        "jeton mcp-server create and update define scopes; jeton client create and update grant them",
    ),
];

/// Commands below a noun, and their names here.
const VERBS: [(&[&str], &str); 6] = [
    (&["remove", "rm", "del", "destroy"], "delete"),
    (&["add", "new", "register", "make"], "create"),
    (
        &["get", "describe", "info", "view", "inspect", "cat"],
        "show",
    ),
    (&["ls", "all"], "list"),
    (&["edit", "change", "set", "modify", "rename"], "update"),
    (&["del", "delete", "remove", "rm"], "revoke"),
];

/// Flags, and their names here.
const FLAGS: [(&[&str], &str); 12] = [
    (&["--port", "--host", "--bind", "--address", "-p"], "listen"),
    (&["--base-url", "--public-url"], "issuer"),
    (&["--url", "--endpoint", "-u"], "server"),
    (&["--scopes", "-s"], "scope"),
    (&["--ttl", "--lifetime"], "token-ttl"),
    (&["--expires", "--expiry", "--ttl"], "expires-in"),
    (&["--id"], "client-id"),
    (&["--secret"], "client-secret"),
    (&["--verbose", "-v", "--debug", "--log-level"], "log"),
    (&["--force", "-y", "--confirm"], "yes"),
    (&["--format", "--output-format", "-o", "--output"], "json"),
    (&["-n", "--title"], "name"),
];

/// What to type instead of what nobody here knows.
pub(crate) fn tip(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let root = Arguments::command();
    let here = command(&root, &error.render().to_string());
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let typed = text(ContextKind::InvalidSubcommand)?;
            if typed.contains(char::is_whitespace) {
                return Some(format!("leave out the quotation marks: jeton {typed}"));
            }
            let is_it = |(words, _): &&(&[&str], _)| words.contains(&typed);
            if here.get_name() == root.get_name() {
                let found = COMMANDS.iter().find(is_it);
                return found.map(|(_, advice)| (*advice).to_owned());
            }
            let mut verbs = VERBS.iter().filter(is_it).map(|(_, verb)| *verb);
            let verb = verbs.find(|verb| here.find_subcommand(verb).is_some())?;
            Some(format!("that is {verb} here"))
        }
        ErrorKind::UnknownArgument => {
            let typed = text(ContextKind::InvalidArg)?;
            let has = |flag: &str| {
                let mut arguments = here.get_arguments().chain(root.get_arguments());
                arguments.any(|argument| argument.get_long() == Some(flag))
            };
            let mut characters = typed.chars();
            if characters.next() == Some('-')
                && characters.next().is_some_and(|c| c.is_ascii_digit())
            {
                return Some(
                    "a value does not begin with -; how long ago is written without it, like 1h"
                        .to_owned(),
                );
            }
            if typed.starts_with("m2m_") && has("client-id") {
                return Some("a client's ID is given with --client-id".to_owned());
            }
            let flags = FLAGS.iter().filter(|(words, _)| words.contains(&typed));
            let flag = flags.map(|(_, flag)| *flag).find(|flag| has(flag))?;
            Some(format!("that is --{flag} here"))
        }
        _ => None,
    }
}

/// The command that an error is about, as its line of usage names it.
fn command<'a>(root: &'a Command, text: &str) -> &'a Command {
    let usage = text.lines().find_map(|line| line.strip_prefix("Usage: "));
    let words = usage.unwrap_or_default().split_whitespace().skip(1);
    let mut here = root;
    for word in words {
        match here.find_subcommand(word) {
            Some(below) => here = below,
            None => break,
        }
    }
    here
}
