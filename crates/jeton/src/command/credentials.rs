//! A client's credentials from flags, the environment or `admin.json`, and where they belong.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::bail;
use clap::Args;
use jeton_agent::ClientCredentials;
use jeton_core::{PlainSecret, excerpt, presentable_url};
use jeton_jose::{is_loopback_url, is_same_issuer};
use jeton_server::AdminCredentials;
use secrecy::{ExposeSecret as _, SecretString};

use super::client_secret;
use crate::admin::{DEFAULT_URL, admin_file};
use crate::arguments::Global;
use crate::usage::Usage;
use crate::value;

/// A secret from a flag or a variable: not printable.
#[derive(Clone)]
pub(crate) struct SecretArgument(SecretString);

/// It refuses nothing, for what is refused here would be printed.
impl FromStr for SecretArgument {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(SecretString::from(
            PlainSecret::trimmed(text).to_owned(),
        )))
    }
}

/// Who asks.
#[derive(Args, Clone)]
pub(crate) struct Credentials {
    /// The client's ID [default: that of admin.json].
    #[arg(long, value_name = "ID", env = "JETON_CLIENT_ID")]
    client_id: Option<String>,
    /// The client's secret. Better set JETON_CLIENT_SECRET: other users of this machine see flags.
    #[arg(
        long,
        value_name = "SECRET",
        env = "JETON_CLIENT_SECRET",
        hide_env_values = true,
        group = "secret"
    )]
    client_secret: Option<SecretArgument>,
    /// A file with the client's secret on its first line.
    #[arg(
        long,
        value_name = "FILE",
        env = "JETON_CLIENT_SECRET_FILE",
        group = "secret"
    )]
    client_secret_file: Option<PathBuf>,
    /// A command that prints the client's secret, run by sh: how keyrings and password managers are
    /// asked. Example: secret-tool lookup service jeton
    #[arg(
        long,
        value_name = "COMMAND",
        env = "JETON_CLIENT_SECRET_COMMAND",
        group = "secret"
    )]
    client_secret_command: Option<String>,
    /// The authorization server that the credentials belong to; they are sent to no other [default:
    /// as admin.json says of its own, else --server, else http://127.0.0.1:8420].
    #[arg(long, value_name = "URL", env = "JETON_ISSUER", value_parser = value::server_url)]
    issuer: Option<String>,
}

/// Credentials as a command found them.
pub(crate) struct FoundCredentials {
    client_id: String,
    client_secret: SecretString,
    issuer: Option<String>,
    file: Option<PathBuf>,
}

impl FoundCredentials {
    /// Those of `admin.json`, which says where they belong.
    pub(crate) fn of_file(path: PathBuf, file: AdminCredentials) -> Self {
        Self {
            client_id: file.client_id,
            client_secret: SecretString::from(file.client_secret),
            issuer: Some(file.issuer),
            file: Some(path),
        }
    }

    /// The same, now that it is known where they belong.
    pub(crate) fn belonging_to(mut self, issuer: String) -> Self {
        self.issuer = Some(issuer);
        self
    }

    /// The issuer that they belong to, where that is known.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Where they come from, for a message.
    pub(crate) fn origin(&self) -> String {
        match &self.file {
            Some(file) => format!("the credentials in {}", file.display()),
            None => format!(
                "the credentials of {} (JETON_CLIENT_ID and JETON_CLIENT_SECRET)",
                excerpt(&self.client_id)
            ),
        }
    }

    /// The file that they come from.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// As credentials of `issuer`.
    pub(crate) fn of_issuer(self, issuer: impl Into<String>) -> ClientCredentials {
        ClientCredentials::new(issuer, self.client_id, self.client_secret.expose_secret())
    }
}

impl Credentials {
    /// The secret, from wherever it is to come.
    fn secret(&self) -> anyhow::Result<Option<SecretString>> {
        if let Some(secret) = &self.client_secret {
            return Ok(Some(secret.0.clone()));
        }
        if let Some(path) = &self.client_secret_file {
            return client_secret::from_file(path).map(Some);
        }
        let command = self.client_secret_command.as_deref();
        command.map(client_secret::from_command).transpose()
    }

    /// What was given, else the admin client of this data directory.
    pub(crate) fn find(&self, global: &Global) -> anyhow::Result<FoundCredentials> {
        let secret = self.secret()?;
        if let Some((client_id, client_secret)) = pair(self.client_id.clone(), secret)? {
            return Ok(FoundCredentials {
                client_id,
                client_secret,
                issuer: self.issuer.clone(),
                file: None,
            });
        }
        match (admin_file(global)?, &self.issuer) {
            ((path, Some(file)), Some(issuer)) if !is_same_issuer(issuer, &file.issuer) => bail!(
                "the credentials in {} belong to {}, not to {issuer} (--issuer, JETON_ISSUER): give the client's own with --client-id and --client-secret",
                path.display(),
                presentable_url(&file.issuer)
            ),
            ((path, Some(file)), _) => Ok(FoundCredentials::of_file(path, file)),
            ((path, None), _) => bail!(
                "no credentials: set JETON_CLIENT_ID and JETON_CLIENT_SECRET (or --client-id, with --client-secret-file or --client-secret-command); there is no {} either",
                path.display()
            ),
        }
    }
}

/// Where the server is: as --server says, else where the credentials belong, else as admin.json
/// says, else where `jeton serve` listens by default.
pub(crate) fn server_url(
    global: &Global,
    credentials: &FoundCredentials,
) -> anyhow::Result<String> {
    let known = global.server.as_deref().or(credentials.issuer());
    let url = match known {
        Some(url) => url.to_owned(),
        None => match admin_file(global)? {
            (path, Some(file)) => issuer_in(global, &path, &file)?,
            (_, None) => DEFAULT_URL.to_owned(),
        },
    };
    Ok(url.trim_end_matches('/').to_owned())
}

/// The issuer in `admin.json`, for credentials from elsewhere that do not say where they belong. Not where the
/// file is merely found in the working directory, which may be anybody's: the secret would go to whatever it names.
pub(crate) fn issuer_in(
    global: &Global,
    path: &Path,
    file: &AdminCredentials,
) -> anyhow::Result<String> {
    if global.data_dir.is_none() && !is_loopback_url(&file.issuer) {
        bail!(
            "JETON_CLIENT_ID and JETON_CLIENT_SECRET do not say which server they belong to: set JETON_URL to it. {}, found in the working directory, names {}: if that is the one, repeat with JETON_URL={} or --data-dir",
            path.display(),
            presentable_url(&file.issuer),
            presentable_url(&file.issuer)
        );
    }
    Ok(file.issuer.clone())
}

/// `JETON_CLIENT_ID` and `JETON_CLIENT_SECRET`, if both are set.
#[expect(
    clippy::disallowed_methods,
    reason = "admin commands take them from the environment only"
)]
pub(crate) fn from_environment() -> anyhow::Result<Option<FoundCredentials>> {
    let variable = |name| std::env::var(name).ok();
    let secret = variable("JETON_CLIENT_SECRET");
    let secret = secret.map(|text| SecretString::from(PlainSecret::trimmed(&text).to_owned()));
    let found = pair(variable("JETON_CLIENT_ID"), secret)?;
    Ok(found.map(|(client_id, client_secret)| FoundCredentials {
        client_id,
        client_secret,
        issuer: None,
        file: None,
    }))
}

/// An ID and its secret, or neither. One that is set to nothing counts as not set, as long as the
/// other is not set either.
fn pair(
    id: Option<String>,
    secret: Option<SecretString>,
) -> anyhow::Result<Option<(String, SecretString)>> {
    let id = id.map(|id| id.trim().to_owned());
    let has_secret = secret
        .as_ref()
        .map(|secret| !secret.expose_secret().is_empty());
    let words = match (id.as_deref(), has_secret) {
        (None | Some(""), None | Some(false)) => return Ok(None),
        (Some(""), Some(true)) => {
            "the client ID is empty: JETON_CLIENT_ID (or --client-id) is set, but to nothing. Set it to the ID that belongs to the secret, m2m_…"
        }
        (None, Some(true)) => {
            "there is a client secret and no client ID: set JETON_CLIENT_ID (or --client-id) to the ID that belongs to it, m2m_…, or unset JETON_CLIENT_SECRET"
        }
        (Some(_), Some(false)) => {
            "the client secret is empty: JETON_CLIENT_SECRET (or --client-secret) is set, but to nothing. Set it to the client's secret, jeton_…, or unset JETON_CLIENT_ID too"
        }
        (Some(_), None) => {
            "there is a client ID and no client secret: set JETON_CLIENT_SECRET (or --client-secret) to the client's secret, jeton_…, or unset JETON_CLIENT_ID"
        }
        (Some(_), Some(true)) => return Ok(id.zip(secret)),
    };
    Err(Usage::error(words))
}
