//! Why the settings cannot be used.

use std::io;
use std::path::PathBuf;

use super::IssuerError;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file.
    #[error("the configuration file {path} cannot be read: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why, and what to do.
        source: io::Error,
    },
    /// A variable without a value.
    #[error("{0} is set, but empty; give it a value, or unset it")]
    Empty(String),
    /// A setting has the wrong name or type.
    #[error("{0}")]
    Setting(String),
    /// The issuer.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// One of the two is missing.
    #[error("--tls-cert and --tls-key go together: give both or neither")]
    Tls,
    /// TLS here, and an issuer that says otherwise.
    #[error("with --tls-cert the issuer must be https, and {0:?} is not")]
    TlsIssuer(String),
    /// Signing in through a provider.
    #[error("the [oidc] section: {0}")]
    Oidc(String),
    /// Another database.
    #[error(
        "the database URL must be sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE; {}",
        neither(.0)
    )]
    Database(String),
    /// A parameter of the database's URL.
    #[error("the database URL: {0}")]
    DatabaseParameter(String),
    /// Verifiers would never catch up.
    #[error(
        "signing_key_rotation_days must be at least 2, not {0}, since a new key is published for a day before it signs; 0 leaves rotating to you"
    )]
    KeyRotation(u32),
    /// A destination of the audit log.
    #[error("the [[audit.forward]] section {0:?}: {1}")]
    Forward(String, String),
    /// Nothing kept is nothing recorded.
    #[error("audit.retention_days must be at least 1; leave it out to keep events indefinitely")]
    AuditRetention,
    /// Without a pooler there is nothing to go round.
    #[error(
        "database_notification_url goes with a database_url that leads to a PostgreSQL pooler, and is the postgres:// URL of the database itself"
    )]
    NotificationUrl,
    /// A proxy that is no address.
    #[error(
        "trusted_proxies takes addresses and networks like 192.0.2.7, 10.0.0.0/8 and fd00::/8, and {0:?} is neither"
    )]
    TrustedProxy(String),
    /// Nobody would be asked for the header.
    #[error("--proxy-protocol is for trusted proxies: name them with --trusted-proxy")]
    ProxyProtocol,
    /// Nobody could connect.
    #[error("{0} must be at least 1")]
    NoConnections(&'static str),
    /// Too few to do one thing beside another.
    #[error("database_connections must be at least 4, not {0}")]
    DatabaseConnections(u32),
}

/// What a URL with another scheme is; it may hold a password, so the scheme is all that is shown of it.
fn neither(scheme: &str) -> String {
    match scheme {
        "" => "this one has no scheme; for a file, write sqlite: in front of its path".to_owned(),
        "sqlite" => "sqlite: needs the path of a file".to_owned(),
        scheme => format!("one that begins with {scheme:?} is neither"),
    }
}
