//! Data to stdout, words to stderr.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jeton_core::{counted, redact, shown};
use serde_json::{Value, json};

use crate::usage::Usage;

/// Prints data, a line at a time. A reader that closed the pipe has had enough, which is no error. Others'
/// texts are in it: on a terminal, what would control the terminal is written as its number.
pub(crate) fn data(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let text = if stdout.is_terminal() {
        tame(text)
    } else {
        Cow::Borrowed(text)
    };
    match writeln!(stdout, "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("stdout cannot be written"))
        }
        _ => Ok(()),
    }
}

/// Prints one JSON document.
pub(crate) fn json(value: &Value) -> anyhow::Result<()> {
    data(&serde_json::to_string_pretty(value)?)
}

/// Says something to the person at the keyboard. It may name what others sent, so nothing in it controls the
/// terminal.
pub(crate) fn say(words: &str) {
    // Who closed the terminal hears nothing more, which is no reason to stop.
    let _ = writeln!(io::stderr(), "{}", tame(words));
}

/// A text whose line breaks and tabs are all that it does to a terminal.
fn tame(text: &str) -> Cow<'_, str> {
    let is_tame = |c: char| {
        matches!(c, '\n' | '\t') || !matches!(shown(c.encode_utf8(&mut [0; 4])), Cow::Owned(_))
    };
    if text.chars().all(is_tame) {
        return Cow::Borrowed(text);
    }
    let mut tamed = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_tame(c) {
            tamed.push(c);
        } else {
            tamed.extend(c.escape_unicode());
        }
    }
    Cow::Owned(tamed)
}

/// How far long work has come: one line that renews itself for a person at a terminal, nothing
/// elsewhere.
pub(crate) struct Progress {
    verb: &'static str,
    /// Of one.
    noun: &'static str,
    shown: bool,
    last: Instant,
}

impl Progress {
    pub(crate) fn new(verb: &'static str, noun: &'static str) -> Self {
        Self {
            verb,
            noun,
            shown: false,
            last: Instant::now(),
        }
    }

    /// So many so far.
    pub(crate) fn show(&mut self, count: i64) {
        let often_enough = self.last.elapsed() < Duration::from_millis(200);
        if often_enough || !io::stderr().is_terminal() {
            return;
        }
        self.last = Instant::now();
        self.shown = true;
        // A terminal that cannot be written to is no reason to stop.
        let _ = write!(
            io::stderr(),
            "\r{} {} ...",
            self.verb,
            counted(count, self.noun)
        );
    }

    /// Takes the line away.
    pub(crate) fn end(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Causes that say nothing to whoever reads them.
const FILLERS: [&str; 3] = [
    "error sending request",
    "client error (Connect)",
    "tcp connect error",
];

/// What the operating system says, without its number.
fn without_number(cause: &str) -> &str {
    cause.split(" (os error ").next().unwrap_or(cause)
}

/// Says what failed and why, cause by cause. Wrong usage is 2, everything else 1.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    let mut previous = error.to_string();
    let mut words = format!("error: {}", without_number(&previous));
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Some libraries repeat their cause in their own text, or only say that something failed.
        let cause = without_number(&cause).to_owned();
        if !previous.contains(&cause) && !FILLERS.contains(&cause.as_str()) {
            words.push_str("\n  because: ");
            words.push_str(&cause);
        }
        previous = cause;
    }
    // Somebody may have typed a secret, or a URL with a password, which the words then name.
    say(&redact(&words));
    if error.is::<Usage>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

/// Says that a thing has ended; with `--json` as one document too.
pub(crate) fn ended(as_json: bool, id: &str, how: &str, words: &str) -> anyhow::Result<()> {
    say(&format!("{id} is {how}{words}"));
    if as_json {
        json(&json!({ "id": id, how: true }))
    } else {
        Ok(())
    }
}

/// Says which tokens are revoked; with `--json` as one document too.
pub(crate) fn revoked(document: &Value, as_json: bool) -> anyhow::Result<()> {
    say(&format!(
        "tokens of {} issued until {} are revoked: introspection calls them inactive; servers that only check signatures accept them until they expire",
        cell(document, "id"),
        cell(document, "issued_until")
    ));
    if as_json { json(document) } else { Ok(()) }
}

/// Prints names and values, a line each.
pub(crate) fn fields(fields: &[(&str, String)]) -> anyhow::Result<()> {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        data(format!("{name:width$}  {}", shown(value)).trim_end())?;
    }
    Ok(())
}

/// A member of a JSON object as people read it: `-` for null, lists with commas.
pub(crate) fn cell(object: &Value, member: &str) -> String {
    match object.get(member) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let texts: Vec<String> = items
                .iter()
                .map(|item| {
                    item.as_str()
                        .map_or_else(|| item.to_string(), str::to_owned)
                })
                .collect();
            texts.join(" ")
        }
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_others_sent_controls_the_terminal() {
        let lines = "two lines\n\tand a tab: 漢字 é";
        assert_eq!(tame(lines), lines);
        for hostile in [
            "\u{1b}]0;title\u{7}",
            "\u{9b}31m",
            "\rfake",
            "a\u{8}b",
            "\u{202e}txt",
        ] {
            let tamed = tame(hostile);
            assert!(
                tamed.chars().all(|c| !c.is_control() && c != '\u{202e}'),
                "{tamed:?}"
            );
        }
    }
}
