//! How the server is set up: defaults, then `jeton.toml`, then `JETON_*` in the environment, then
//! flags; the later wins.

mod announced_issuer;
mod check;
mod database;
mod environment;
mod error;
mod file;
mod forward;
mod issuer;
mod listen;
mod load;
mod named_file;
mod nearest_setting;
mod oidc;
mod setting_error;
mod settings;
mod trusted_proxies;

use std::path::PathBuf;
use std::time::Duration;

use jeton_store::Database;
use serde::{Deserialize, Serialize};

pub use database::DatabaseUrl;
pub use error::ConfigError;
pub use forward::RawForward;
pub(crate) use forward::{Destination, Forward};
pub(crate) use issuer::TOKEN_ENDPOINT;
pub use issuer::{Issuer, IssuerError};
pub use listen::{ListenAddress, ListenAddressError};
pub use named_file::{not_written, read_named_file, read_named_text};
pub use nearest_setting::nearest_setting;
pub(crate) use oidc::OidcConfig;
pub use oidc::RawOidc;
pub(crate) use settings::Setting;
pub(crate) use trusted_proxies::TrustedProxies;

/// When a token's audit event has to be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditDurability {
    /// Before the token leaves: no token without a record.
    #[default]
    Sync,
    /// Soon after. A crash may lose the records of the last moments.
    Async,
}

/// What a server does whose audit log does not continue what it remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDiscontinuity {
    /// It goes on issuing, signs nothing more, and says so wherever somebody may look.
    #[default]
    Continue,
    /// It does not start, and issues nothing.
    Stop,
}

/// Which scopes the issuer's own metadata lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetadataScopes {
    /// None. Each MCP server's own issuer lists that server's.
    #[default]
    None,
    /// Those of all MCP servers.
    All,
}

/// Whether a password is enough to sign in to the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactor {
    /// It is, for whoever set up no second factor.
    #[default]
    Optional,
    /// Nobody gets further than to the page on which they set one up.
    Required,
}

/// Settings as somebody wrote them: a file, the environment, or flags. Everything is optional.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Where the database, the master key and `admin.json` are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// The address to listen on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<ListenAddress>,
    /// The issuer URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// `none` or `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_scopes: Option<MetadataScopes>,
    /// Where the data is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<DatabaseUrl>,
    /// The PostgreSQL database itself, where `database_url` leads to a pooler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_notification_url: Option<DatabaseUrl>,
    /// The most connections to PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_connections: Option<u32>,
    /// The file with the master key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_key_file: Option<PathBuf>,
    /// The file with the master key before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_master_key_file: Option<PathBuf>,
    /// A file with private signing keys that are managed elsewhere, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_keys_file: Option<PathBuf>,
    /// How many days a signing key signs; 0 means until somebody rotates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key_rotation_days: Option<u32>,
    /// Allow a plain-http issuer that is not loopback.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "environment::optional_truth"
    )]
    pub insecure_http: Option<bool>,
    /// The certificate chain, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Whether trusted proxies speak the PROXY protocol, version 2.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "environment::optional_truth"
    )]
    pub proxy_protocol: Option<bool>,
    /// The most connections at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// The most connections of one source address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections_per_source: Option<u32>,
    /// A further address, for `/healthz` and `/readyz` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_listen: Option<ListenAddress>,
    /// The proxies that are believed about the source of a request, as networks.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "trusted_proxies::list_or_text"
    )]
    pub trusted_proxies: Vec<String>,
    /// `optional` or `required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_second_factor: Option<SecondFactor>,
    /// The audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<RawAudit>,
    /// Signing in to the dashboard through an OpenID Connect provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<RawOidc>,
}

/// The `[audit]` section.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAudit {
    /// `sync` or `async`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durability: Option<AuditDurability>,
    /// How many days events are kept; absent, indefinitely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// How much room, in MiB, is kept for tokens and changes; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserve_mib: Option<u32>,
    /// `continue` or `stop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_discontinuity: Option<OnDiscontinuity>,
    /// How many days longer they are kept for a destination that is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_wait_days: Option<u32>,
    /// Where else events go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forward: Vec<RawForward>,
}

/// A certificate chain and its private key.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// Settings that were checked.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, named as in jeton.toml"
)]
pub struct Config {
    /// Where the database, the master key and `admin.json` are.
    pub data_dir: PathBuf,
    /// The address to listen on.
    pub listen: ListenAddress,
    /// The issuer as configured; absent, it follows from the address.
    pub(crate) issuer: Option<Issuer>,
    pub(crate) metadata_scopes: MetadataScopes,
    /// Where the data is kept.
    pub(crate) database: Database,
    /// The master key from the environment, if it is there.
    pub(crate) master_key: Option<SecretText>,
    /// The master key before it, from the environment or from a file.
    pub(crate) previous_master_key: Option<SecretText>,
    pub(crate) previous_master_key_file: Option<PathBuf>,
    /// Signing keys that are managed elsewhere, from the environment and from a file.
    pub(crate) signing_keys: Option<SecretText>,
    pub(crate) signing_keys_file: Option<PathBuf>,
    /// How long a signing key signs.
    pub(crate) key_rotation: Option<Duration>,
    /// The file with the master key otherwise.
    pub(crate) master_key_file: PathBuf,
    /// Whether the file was named, and is not to be made at first start.
    pub(crate) master_key_file_is_given: bool,
    pub(crate) insecure_http: bool,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) proxy_protocol: bool,
    pub(crate) max_connections: usize,
    /// Absent, a quarter of all.
    pub(crate) max_connections_per_source: Option<usize>,
    pub(crate) health_listen: Option<ListenAddress>,
    pub(crate) audit_durability: AuditDurability,
    pub(crate) audit_retention: Option<Duration>,
    /// The room, in bytes, that is kept for tokens and changes.
    pub(crate) audit_reserve: Option<u64>,
    pub(crate) on_discontinuity: OnDiscontinuity,
    pub(crate) audit_forward_wait: Duration,
    pub(crate) audit_forward: Vec<Forward>,
    /// Whether a password is enough to sign in to the dashboard.
    pub(crate) second_factor: SecondFactor,
    pub(crate) oidc: Option<OidcConfig>,
    /// The operator says that the clock is right: for one start, and not a setting.
    pub trust_clock: bool,
    /// Each setting as it took effect, for people to read.
    pub(crate) settings: Vec<Setting>,
}

impl Config {
    /// Where the data is kept.
    pub fn database(&self) -> &Database {
        &self.database
    }
}

/// A key from the environment, hidden from `Debug`.
#[derive(Clone)]
pub(crate) struct SecretText(pub(crate) zeroize::Zeroizing<String>);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}
