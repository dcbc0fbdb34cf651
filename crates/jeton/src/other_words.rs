//! Words of other programs: what they are called here.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _};
use jeton_core::AuditKind;
use jeton_server::nearest_setting;

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

/// Values that people give without their flag, by the command, and where they belong.
const VALUES: [(&str, &str); 8] = [
    (
        "serve",
        "the address to listen on is given with --listen, the data directory with --data-dir",
    ),
    (
        "mcp-server create",
        "the name is given with --name, the URL with --url",
    ),
    (
        "client create",
        "the MCP server is given with --mcp-server, the client's name with --name",
    ),
    (
        "token",
        "the client is given with JETON_CLIENT_ID and JETON_CLIENT_SECRET, the MCP server with --resource",
    ),
    ("key rotate", "the algorithm is given with --algorithm"),
    ("apply", "the file is given with --file"),
    ("admin invite", "who it is for is given with --note"),
    (
        "audit verify",
        "a checkpoint that was kept is given with --checkpoint",
    ),
];

/// What to type instead of what nobody here knows.
pub(crate) fn tip(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let root = Arguments::command();
    let (here, path) = command(&root, &error.render().to_string());
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
            argument_tip(text(ContextKind::InvalidArg)?, (&root, here), &path)
        }
        ErrorKind::ArgumentConflict => {
            let same = text(ContextKind::InvalidArg) == text(ContextKind::PriorArg);
            let advice = if same {
                "give it once"
            } else {
                "give one of them"
            };
            Some(advice.to_owned())
        }
        ErrorKind::ValueValidation if text(ContextKind::InvalidArg)? == "--kind <KIND>" => {
            let kinds = AuditKind::ALL.iter().map(|kind| kind.as_str());
            let nearest = nearest_setting(text(ContextKind::InvalidValue)?, kinds)?;
            Some(format!("a similar kind exists: {nearest}"))
        }
        _ => None,
    }
}

/// What to type instead of an argument that is not known.
fn argument_tip(typed: &str, (root, here): (&Command, &Command), path: &str) -> Option<String> {
    let has = |flag: &str| {
        let mut arguments = here.get_arguments().chain(root.get_arguments());
        arguments.any(|argument| argument.get_long() == Some(flag))
    };
    let mut characters = typed.chars();
    if characters.next() == Some('-') && characters.next().is_some_and(|c| c.is_ascii_digit()) {
        let advice = "a value does not begin with -; how long ago is written without it, like 1h";
        return Some(advice.to_owned());
    }
    if typed.starts_with("m2m_") && has("client-id") {
        return Some("a client's ID is given with --client-id".to_owned());
    }
    if !typed.starts_with('-') {
        return value_tip(here, path).map(str::to_owned);
    }
    let flags = FLAGS.iter().filter(|(words, _)| words.contains(&typed));
    let flag = flags.map(|(_, flag)| *flag).find(|flag| has(flag))?;
    Some(format!("that is --{flag} here"))
}

/// Where a value belongs that stands where none is taken.
fn value_tip(here: &Command, path: &str) -> Option<&'static str> {
    let known = VALUES.iter().find(|(of, _)| *of == path);
    known.map(|(_, advice)| *advice).or_else(|| {
        here.get_positionals()
            .next()
            .map(|_| "give one at a time; a name with a space in it needs quotation marks")
    })
}

/// The command that an error is about, as its line of usage names it, and its name.
fn command<'a>(root: &'a Command, text: &str) -> (&'a Command, String) {
    let usage = text.lines().find_map(|line| line.strip_prefix("Usage: "));
    let words = usage.unwrap_or_default().split_whitespace().skip(1);
    let mut here = root;
    let mut path: Vec<&str> = Vec::new();
    for word in words {
        match here.find_subcommand(word) {
            Some(below) => {
                here = below;
                path.push(word);
            }
            None => break,
        }
    }
    (here, path.join(" "))
}
