//! Reading settings from their three places, and checking them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::Deserializer;
use zeroize::Zeroizing;

use super::database;
use super::settings;
use super::{
    Config, Forward, Issuer, IssuerError, ListenAddress, OidcConfig, RawConfig, RawForward,
    SecretText, TlsFiles, TrustedProxies,
};

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named is not there.
    #[error("the configuration file {0} does not exist")]
    NoFile(PathBuf),
    /// A setting has the wrong name or type.
    #[error("the configuration cannot be read: {0}")]
    Read(#[from] Box<figment::Error>),
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
        "the database URL must be sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE; one that begins with {0:?} is neither"
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

/// The settings that may come from the environment, as `JETON_…`.
const ENVIRONMENT: [&str; 18] = [
    "data_dir",
    "listen",
    "issuer",
    "metadata_scopes",
    "database_url",
    "database_notification_url",
    "database_connections",
    "master_key_file",
    "previous_master_key_file",
    "signing_keys_file",
    "signing_key_rotation_days",
    "insecure_http",
    "tls_cert",
    "tls_key",
    "proxy_protocol",
    "max_connections",
    "max_connections_per_source",
    "health_listen",
];

/// Where the server listens if nothing else is said.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8420);

impl Config {
    /// Reads the settings: `file` (or `jeton.toml` in the working directory, if it is there), then
    /// the environment, then `flags`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the setting and where it came from.
    pub fn load(file: Option<&Path>, flags: &RawConfig) -> Result<Self, ConfigError> {
        let mut figment = Figment::new();
        match file {
            Some(file) if !file.is_file() => return Err(ConfigError::NoFile(file.to_owned())),
            Some(file) => figment = figment.merge(Toml::file_exact(file)),
            None if Path::new("jeton.toml").is_file() => {
                figment = figment.merge(Toml::file_exact("jeton.toml"));
            }
            None => {}
        }
        let figment = figment
            .merge(Env::prefixed("JETON_").only(&ENVIRONMENT))
            .merge(
                Env::prefixed("JETON_")
                    .only(&["audit_durability"])
                    .map(|_| "audit.durability".into()),
            )
            .merge(
                Env::prefixed("JETON_")
                    .only(&["audit_retention_days"])
                    .map(|_| "audit.retention_days".into()),
            )
            .merge(
                Env::prefixed("JETON_")
                    .only(&["audit_forward_wait_days"])
                    .map(|_| "audit.forward_wait_days".into()),
            )
            .merge(
                Env::prefixed("JETON_")
                    .only(&["trusted_proxy"])
                    .map(|_| "trusted_proxies".into()),
            )
            .merge(
                Env::prefixed("JETON_")
                    .only(&["audit_reserve_mib"])
                    .map(|_| "audit.reserve_mib".into()),
            )
            .merge(
                Env::prefixed("JETON_")
                    .only(&["audit_on_discontinuity"])
                    .map(|_| "audit.on_discontinuity".into()),
            )
            .merge(Serialized::defaults(flags));
        let raw: RawConfig = figment.extract().map_err(Box::new)?;
        let oidc = raw.oidc.clone();
        let mut config = Self::check(raw)?;
        config.master_key = environment("JETON_MASTER_KEY");
        config.previous_master_key = environment("JETON_PREVIOUS_MASTER_KEY");
        config.signing_keys = environment("JETON_SIGNING_KEYS");
        config.oidc = oidc
            .map(|oidc| OidcConfig::check(oidc, plain_environment("JETON_OIDC_CLIENT_SECRET")))
            .transpose()?;
        config.settings = settings::settings(&config, &figment);
        Ok(config)
    }

    /// Exactly these settings: no file, no environment.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn isolated(raw: RawConfig) -> Result<Self, ConfigError> {
        let figment = Figment::from(Serialized::defaults(&raw));
        let mut config = Self::check(raw)?;
        config.settings = settings::settings(&config, &figment);
        Ok(config)
    }

    fn check(raw: RawConfig) -> Result<Self, ConfigError> {
        let data_dir = raw.data_dir.unwrap_or_else(|| "jeton-data".into());
        let tls = tls_files(raw.tls_cert, raw.tls_key)?;
        let issuer = raw
            .issuer
            .map(|issuer| issuer.parse::<Issuer>())
            .transpose()?;
        let insecure_http = raw.insecure_http.unwrap_or(false);
        if let Some(issuer) = &issuer {
            if tls.is_some() && !issuer.as_str().starts_with("https:") {
                return Err(ConfigError::TlsIssuer(issuer.to_string()));
            }
            if !insecure_http {
                issuer.require_secure()?;
            }
        }
        let audit = raw.audit.unwrap_or_default();
        Ok(Self {
            listen: raw.listen.unwrap_or(ListenAddress::Address(LISTEN)),
            issuer,
            metadata_scopes: raw.metadata_scopes.unwrap_or_default(),
            database: database::database(
                raw.database_url.as_ref(),
                raw.database_notification_url,
                raw.database_connections,
                &data_dir,
            )?,
            master_key: None,
            previous_master_key: None,
            previous_master_key_file: raw.previous_master_key_file,
            signing_keys: None,
            signing_keys_file: raw.signing_keys_file,
            key_rotation: key_rotation(raw.signing_key_rotation_days)?,
            master_key_file_is_given: raw.master_key_file.is_some(),
            master_key_file: raw
                .master_key_file
                .unwrap_or_else(|| data_dir.join("master.key")),
            insecure_http,
            tls,
            proxy_protocol: proxy_protocol(raw.proxy_protocol, &raw.trusted_proxies)?,
            trusted_proxies: TrustedProxies::parse(&raw.trusted_proxies)?,
            max_connections: connections("max_connections", raw.max_connections)?
                .unwrap_or(MAX_CONNECTIONS),
            max_connections_per_source: connections(
                "max_connections_per_source",
                raw.max_connections_per_source,
            )?,
            health_listen: raw.health_listen,
            audit_durability: audit.durability.unwrap_or_default(),
            audit_retention: audit_retention(audit.retention_days)?,
            audit_reserve: audit_reserve(audit.reserve_mib),
            on_discontinuity: audit.on_discontinuity.unwrap_or_default(),
            audit_forward_wait: DAY * audit.forward_wait_days.unwrap_or(FORWARD_WAIT),
            audit_forward: audit_forward(audit.forward)?,
            trust_clock: false,
            data_dir,
            oidc: None,
            settings: Vec::new(),
        })
    }

    /// The issuer for the address that is really listened on.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Insecure`] where it would be plain http on an address that others reach.
    pub fn effective_issuer(&self, address: SocketAddr) -> Result<Issuer, IssuerError> {
        if let Some(issuer) = &self.issuer {
            return Ok(issuer.clone());
        }
        let issuer = match self.listen.host() {
            Some(host) => Issuer::of_host(host, address.port(), self.tls.is_some()),
            None => Issuer::of_address(address, self.tls.is_some()),
        };
        if !self.insecure_http {
            issuer.require_secure()?;
        }
        Ok(issuer)
    }

    /// What to write where the issuer follows from the address and is of no use to other machines, which the
    /// server takes connections from: it names this machine, and so does everything that they are told.
    pub fn issuer_advice(&self, address: SocketAddr) -> Option<String> {
        if self.issuer.is_some() || !address.ip().is_unspecified() {
            return None;
        }
        let issuer = Issuer::of_address(address, self.tls.is_some());
        let port = address.port();
        let write = if self.tls.is_some() {
            format!("--issuer https://HOST:{port} with the name in the certificate")
        } else {
            format!(
                "--issuer https://HOST where a TLS proxy is in front, or --issuer http://HOST:{port} --insecure-http in a network where nobody can listen in"
            )
        };
        Some(format!(
            "other machines can connect, but no issuer is given, so they are told {issuer}, which is their own address: their tokens and metadata do not work. Give the URL at which they reach this server: {write} (JETON_ISSUER and JETON_INSECURE_HTTP in the environment)"
        ))
    }
}

fn tls_files(cert: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<TlsFiles>, ConfigError> {
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (None, None) => Ok(None),
        _ => Err(ConfigError::Tls),
    }
}

/// A key that signs for less than two days would be followed before verifiers know the next.
const SHORTEST_ROTATION: u32 = 2;
const ROTATION: u32 = 90;

fn key_rotation(days: Option<u32>) -> Result<Option<Duration>, ConfigError> {
    match days.unwrap_or(ROTATION) {
        0 => Ok(None),
        days if days < SHORTEST_ROTATION => Err(ConfigError::KeyRotation(days)),
        days => Ok(Some(DAY * days)),
    }
}

const MAX_CONNECTIONS: usize = 10_000;

fn connections(name: &'static str, number: Option<u32>) -> Result<Option<usize>, ConfigError> {
    match number {
        Some(0) => Err(ConfigError::NoConnections(name)),
        number => Ok(number.map(|number| usize::try_from(number).unwrap_or(usize::MAX))),
    }
}

fn proxy_protocol(wanted: Option<bool>, proxies: &[String]) -> Result<bool, ConfigError> {
    match wanted.unwrap_or(false) {
        true if proxies.is_empty() => Err(ConfigError::ProxyProtocol),
        wanted => Ok(wanted),
    }
}
/// A destination that is away for longer than a week is not waited for.
const FORWARD_WAIT: u32 = 7;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn audit_forward(raw: Vec<RawForward>) -> Result<Vec<Forward>, ConfigError> {
    let mut all: Vec<Forward> = Vec::new();
    for raw in raw {
        let forward = Forward::check(raw)?;
        if all.iter().any(|other| other.name == forward.name) {
            let twice = "two destinations have this name".to_owned();
            return Err(ConfigError::Forward(forward.name, twice));
        }
        all.push(forward);
    }
    Ok(all)
}

fn audit_retention(days: Option<u32>) -> Result<Option<Duration>, ConfigError> {
    match days {
        Some(0) => Err(ConfigError::AuditRetention),
        days => Ok(days.map(|days| DAY * days)),
    }
}

/// In MiB.
const RESERVE: u32 = 256;

fn audit_reserve(mib: Option<u32>) -> Option<u64> {
    match mib.unwrap_or(RESERVE) {
        0 => None,
        mib => Some(u64::from(mib) << 20),
    }
}

/// `true`, `false`, and how people write them in an environment: `1`, `0`, `yes`, `no`, …
pub(super) fn optional_truth<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<bool>, D::Error> {
    figment::util::bool_from_str_or_int(deserializer).map(Some)
}

/// A secret from the environment, which never becomes part of a document that could be printed.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub(super) fn plain_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn environment(name: &str) -> Option<SecretText> {
    plain_environment(name).map(|text| SecretText(Zeroizing::new(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_refused_with_its_name() {
        let raw = |change: fn(&mut RawConfig)| {
            let mut raw = RawConfig::default();
            change(&mut raw);
            Config::check(raw).map(|_| ()).unwrap_err().to_string()
        };
        assert!(raw(|raw| raw.tls_cert = Some("a".into())).contains("--tls-key"));
        assert!(
            raw(|raw| raw.issuer = Some("http://auth.example.com".into()))
                .contains("--insecure-http")
        );
        let database = raw(|raw| raw.database_url = "mysql://u:hunter2@h/d".parse().ok());
        assert!(
            database.contains("mysql") && !database.contains("hunter2"),
            "{database}"
        );
        assert!(raw(|raw| raw.max_connections = Some(0)).contains("max_connections must"));
        let none = raw(|raw| raw.max_connections_per_source = Some(0));
        assert!(none.contains("max_connections_per_source"));
        assert!(raw(|raw| raw.proxy_protocol = Some(true)).contains("--trusted-proxy"));
        assert!(raw(|raw| raw.database_connections = Some(1)).contains("at least 4"));
        let url =
            |raw: &mut RawConfig| raw.database_notification_url = "postgres://h/d".parse().ok();
        assert!(raw(url).contains("database_notification_url"));
    }

    #[test]
    fn an_issuer_that_names_this_machine_to_others_comes_with_advice() {
        let advice = |listen: &str, issuer: Option<&str>| {
            let raw = RawConfig {
                listen: listen.parse().ok(),
                issuer: issuer.map(str::to_owned),
                ..RawConfig::default()
            };
            let address = "[::]:8420".parse().unwrap();
            let advice = Config::check(raw).unwrap().issuer_advice(address);
            advice.unwrap_or_default()
        };
        let text = advice(":8420", None);
        for words in [
            "told http://127.0.0.1:8420",
            "--issuer https://HOST ",
            "--issuer http://HOST:8420 --insecure-http",
            "JETON_ISSUER",
        ] {
            assert!(text.contains(words), "{text}");
        }
        assert_eq!(advice(":8420", Some("https://auth.example.com")), "");
        let config = Config::check(RawConfig::default()).unwrap();
        assert_eq!(config.issuer_advice(LISTEN), None);
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let config = Config::check(RawConfig::default()).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8420");
        assert_eq!(config.data_dir, Path::new("jeton-data"));
        assert_eq!(
            config.effective_issuer(LISTEN).unwrap().as_str(),
            "http://127.0.0.1:8420"
        );
    }
}
