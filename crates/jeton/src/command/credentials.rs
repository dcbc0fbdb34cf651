//! A client's credentials from flags or the environment.

use std::str::FromStr;

use clap::Args;
use jeton_agent::ClientSecret;
use secrecy::{ExposeSecret as _, SecretString};

use crate::admin::admin_file;
use crate::arguments::Global;

/// A secret from the command line: not printable.
#[derive(Clone)]
pub(crate) struct SecretArgument(SecretString);

impl FromStr for SecretArgument {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(SecretString::from(text.to_owned())))
    }
}

/// Who asks.
#[derive(Args, Clone)]
pub(crate) struct Credentials {
    /// The client's ID [default: that of admin.json].
    #[arg(
        long,
        value_name = "ID",
        env = "JETON_CLIENT_ID",
        requires = "client_secret"
    )]
    client_id: Option<String>,
    /// The client's secret. Better set JETON_CLIENT_SECRET: other users of this machine see flags.
    #[arg(
        long,
        value_name = "SECRET",
        env = "JETON_CLIENT_SECRET",
        hide_env_values = true,
        requires = "client_id"
    )]
    client_secret: Option<SecretArgument>,
}

impl Credentials {
    /// What was given, else the admin client of this data directory.
    pub(crate) fn find(&self, global: &Global) -> anyhow::Result<ClientSecret> {
        if let (Some(id), Some(secret)) = (&self.client_id, &self.client_secret) {
            return Ok(ClientSecret::new(id, secret.0.expose_secret()));
        }
        match admin_file(global)? {
            (_, Some(file)) => Ok(ClientSecret::new(file.client_id, file.client_secret)),
            (path, None) => anyhow::bail!(
                "no credentials: give --client-id and --client-secret (or JETON_CLIENT_ID and JETON_CLIENT_SECRET); there is no {} either",
                path.display()
            ),
        }
    }
}

/// `JETON_CLIENT_ID` and `JETON_CLIENT_SECRET`, if both are set.
#[expect(
    clippy::disallowed_methods,
    reason = "admin commands take them from the environment only"
)]
pub(crate) fn from_environment() -> Option<ClientSecret> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    Some(ClientSecret::new(
        variable("JETON_CLIENT_ID")?,
        variable("JETON_CLIENT_SECRET")?,
    ))
}
