//! Wrong usage: exit status 2, with words that say what to type instead.

use std::fmt;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _};
use jeton_core::{presentable_url, redact, shown};

use crate::arguments::Arguments;
use crate::other_words;
use crate::output;
use crate::typed::is_typed;

/// A command that was typed wrongly, which only showed once it ran.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl Usage {
    pub(crate) fn error(words: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self(words.into()))
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// What the standard library says of numbers, and what it means to whoever typed them.
const NUMBERS: [(&str, &str); 4] = [
    ("invalid digit found in string", "expected a whole number"),
    (
        "cannot parse integer from empty string",
        "it is empty; expected a whole number",
    ),
    (
        "number too large to fit in target type",
        "this number is too large",
    ),
    (
        "invalid socket address syntax",
        "expected an address and a port, like 127.0.0.1:8420",
    ),
];

/// Says what was wrong with the arguments, without any secret that is among them. Help that was asked
/// for is printed as such.
pub(crate) fn refused(error: &clap::Error) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // Whoever closed the pipe has read enough.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    output::say(&words(error));
    ExitCode::from(2)
}

/// A URL that was typed: its query may hold a key. That there was one is seen.
fn presented(url: &str) -> String {
    let shown = presentable_url(url);
    match redact(url).chars().find(|c| ['?', '#'].contains(c)) {
        Some(mark) => format!("{shown}{mark}…"),
        None => shown,
    }
}

fn words(error: &clap::Error) -> String {
    let mut text = error.render().to_string();
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        && value.contains("://")
    {
        text = text.replace(value, &presented(value));
    }
    let text = redact(&text);
    let lines: Vec<_> = text.lines().map(shown).collect();
    let mut text = lines.join("\n");
    for (from, to) in NUMBERS {
        text = text.replace(from, to);
    }
    if let Some((before, range)) = text.split_once("..=") {
        let before = before.replace(" is not in ", " is not a whole number from ");
        text = format!("{before} to {range}");
    }
    if let Some(tip) = other_words::tip(error) {
        text = with_tip(&text, &tip);
    }
    if let Some(note) = variable_note(error) {
        text = text.replacen("\n\n", &format!("\n{note}\n\n"), 1);
    }
    text.trim_end().to_owned()
}

/// What was wrong, on one line and without the usage: for a host that shows it to its user.
pub(crate) fn sentence(error: &clap::Error) -> String {
    let words = words(error);
    let problem = words
        .split("\n\n")
        .take_while(|part| !part.starts_with("Usage:"));
    let lines: Vec<_> = problem.flat_map(str::lines).map(str::trim).collect();
    let sentence = lines.join(" ");
    sentence
        .strip_prefix("error: ")
        .unwrap_or(&sentence)
        .to_owned()
}

/// The text with another tip than clap's, which goes by similar letters.
fn with_tip(text: &str, tip: &str) -> String {
    let paragraphs = text.split("\n\n");
    let mut paragraphs: Vec<_> = paragraphs
        .filter(|paragraph| !paragraph.starts_with("  tip: "))
        .map(str::to_owned)
        .collect();
    paragraphs.insert(1.min(paragraphs.len()), format!("  tip: {tip}"));
    paragraphs.join("\n\n")
}

/// Where a value that nobody typed comes from.
fn variable_note(error: &clap::Error) -> Option<String> {
    if !matches!(
        error.kind(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation
    ) {
        return None;
    }
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let flag = argument.split([' ', '=']).next()?;
    if is_typed(flag) {
        return None;
    }
    let variable = variable_of(&Arguments::command(), flag.trim_start_matches('-'))?;
    Some(format!(
        "  {variable} in the environment says so: correct it there, or unset it"
    ))
}

fn variable_of(command: &Command, flag: &str) -> Option<String> {
    let argument = command
        .get_arguments()
        .find(|argument| argument.get_long() == Some(flag));
    let variable = argument.and_then(clap::Arg::get_env);
    variable
        .map(|variable| variable.to_string_lossy().into_owned())
        .or_else(|| {
            command
                .get_subcommands()
                .find_map(|inner| variable_of(inner, flag))
        })
}
