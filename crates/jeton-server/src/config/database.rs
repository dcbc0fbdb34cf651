//! Where the data is kept.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use jeton_store::{Database, Postgres};
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::named_file::read_named_file;

/// A database's URL, which may hold a password: hidden from `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(String);

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl FromStr for DatabaseUrl {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl DatabaseUrl {
    fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    fn is_postgres(&self) -> bool {
        matches!(self.scheme(), "postgres" | "postgresql")
    }

    /// The database with this URL, for commands that work on a database by themselves.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Database`] where it is neither `sqlite:PATH` nor `postgres://…`.
    pub fn database(&self) -> Result<Database, ConfigError> {
        database(Some(self), None, None, Path::new(""))
    }
}

/// The parameters of a PostgreSQL URL that name a file.
const TLS_FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];

/// What says how the connection is protected is not ignored because of a typo, and a file that it
/// names is there: the connection itself would not say which one is missing.
fn check_tls_parameters(url: &DatabaseUrl) -> Result<(), ConfigError> {
    // Whatever else is wrong with it, connecting says.
    let parsed = url::Url::parse(&url.0);
    let pairs = parsed.iter().flat_map(url::Url::query_pairs);
    for (name, value) in pairs.filter(|(name, _)| name.to_lowercase().starts_with("ssl")) {
        let wrong = if TLS_FILES.contains(&&*name) {
            read_named_file(Path::new(&*value))
                .err()
                .map(|error| format!("{name} names {value}, which cannot be used: {error}"))
        } else if name == "sslmode" {
            let modes = [
                "disable",
                "allow",
                "prefer",
                "require",
                "verify-ca",
                "verify-full",
            ];
            (!modes.contains(&&*value))
                .then(|| format!("sslmode must be one of {}, not {value:?}", modes.join(", ")))
        } else {
            Some(format!(
                "there is no parameter {name}; those of TLS are sslmode, {}",
                TLS_FILES.join(", ")
            ))
        };
        if let Some(wrong) = wrong {
            return Err(ConfigError::DatabaseParameter(wrong));
        }
    }
    Ok(())
}

const CONNECTIONS: u32 = 16;
const FEWEST_CONNECTIONS: u32 = 4;

pub(super) fn database(
    url: Option<&DatabaseUrl>,
    notification_url: Option<DatabaseUrl>,
    connections: Option<u32>,
    data_dir: &Path,
) -> Result<Database, ConfigError> {
    if let Some(few) = connections.filter(|connections| *connections < FEWEST_CONNECTIONS) {
        return Err(ConfigError::DatabaseConnections(few));
    }
    let postgres = url.filter(|url| url.is_postgres());
    if let Some(notification) = &notification_url
        && (postgres.is_none() || !notification.is_postgres())
    {
        return Err(ConfigError::NotificationUrl);
    }
    for url in postgres.iter().copied().chain(&notification_url) {
        check_tls_parameters(url)?;
    }
    if let Some(url) = postgres {
        return Ok(Database::Postgres(Postgres {
            url: url.0.clone().into(),
            notification_url: notification_url.map(|url| url.0.into()),
            connections: connections.unwrap_or(CONNECTIONS),
        }));
    }
    let Some(url) = url else {
        return Ok(Database::Sqlite(data_dir.join("jeton.db")));
    };
    let path = url
        .0
        .strip_prefix("sqlite://")
        .or_else(|| url.0.strip_prefix("sqlite:"));
    match path {
        Some(path) if !path.is_empty() => Ok(Database::Sqlite(path.into())),
        // The URL may hold a password: only its scheme is shown.
        _ => Err(ConfigError::Database(url.scheme().to_owned())),
    }
}
