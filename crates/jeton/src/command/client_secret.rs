//! A client's secret from a file, or from a command that asks a keyring or a password manager.

use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use secrecy::SecretString;
use zeroize::Zeroizing;

/// The most that is read, in bytes: a secret has some fifty.
const MAX: u64 = 4_096;

/// The first line of a file.
pub(crate) fn from_file(path: &Path) -> anyhow::Result<SecretString> {
    let whence = || format!("--client-secret-file {}", path.display());
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "there is no file {} (--client-secret-file, JETON_CLIENT_SECRET_FILE); programs that are started by others may not know ~ or relative paths, so give the whole path",
            path.display()
        ),
        Err(error) => return Err(error).with_context(whence),
    };
    let mut text = Zeroizing::new(String::new());
    file.take(MAX)
        .read_to_string(&mut text)
        .with_context(whence)?;
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
    Ok(SecretString::from(line.to_owned()))
}
