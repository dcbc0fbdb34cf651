//! A client's secret from a file, or from a command that asks a keyring or a password manager.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, anyhow, ensure};
use jeton_server::read_named_text;
use secrecy::SecretString;
use zeroize::Zeroizing;

/// The longest that is taken for a secret, in bytes: one of Jeton's has some fifty.
const MAX: usize = 4_096;

/// The first line of a file.
pub(crate) fn from_file(path: &Path) -> anyhow::Result<SecretString> {
    let whence = || {
        format!(
            "--client-secret-file {} (JETON_CLIENT_SECRET_FILE) cannot be read",
            path.display()
        )
    };
    let text = match read_named_text(path) {
        Ok(text) => Zeroizing::new(text),
        // What starts a bridge is often not a shell.
        Err(error) if path.is_relative() && error.kind() == io::ErrorKind::NotFound => {
            let note = "a program that another one started may know neither ~ nor where a relative path begins, so give the whole path";
            return Err(anyhow!("{error}; {note}").context(whence()));
        }
        Err(error) => return Err(error).with_context(whence),
    };
    first_line(&text).with_context(whence)
}

/// The first line that a command prints.
pub(crate) fn from_command(command: &str) -> anyhow::Result<SecretString> {
    let whence = || "the command of --client-secret-command (JETON_CLIENT_SECRET_COMMAND)";
    // Its stdin is not ours: there the host speaks.
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(whence)?;
    let text = Zeroizing::new(output.stdout);
    ensure!(
        output.status.success(),
        "{} ended with {}; run it in a terminal to see why",
        whence(),
        output.status
    );
    let text = std::str::from_utf8(&text).with_context(whence)?;
    first_line(text).with_context(whence)
}

fn first_line(text: &str) -> anyhow::Result<SecretString> {
    let line = text.lines().next().unwrap_or("").trim();
    ensure!(
        !line.is_empty(),
        "the first line is empty, where the secret was expected"
    );
    ensure!(
        line.len() <= MAX,
        "the first line has more than {MAX} bytes, where the secret was expected; is it the right file?"
    );
    Ok(SecretString::from(line.to_owned()))
}
