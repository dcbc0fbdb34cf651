//! Reading settings from their three places, and checking them.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use figment::Figment;
use figment::providers::{Data, Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::database;
use super::named_file::explained;
use super::setting_error::describe;
use super::settings;
use super::{
    Config, Forward, Issuer, IssuerError, ListenAddress, OidcConfig, RawConfig, RawForward,
    SecretText, TlsFiles, TrustedProxies,
};

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

/// The same for settings in a section of the file, or with another name there.
const IN_SECTIONS: [(&str, &str); 6] = [
    ("audit_durability", "audit.durability"),
    ("audit_retention_days", "audit.retention_days"),
    ("audit_forward_wait_days", "audit.forward_wait_days"),
    ("trusted_proxy", "trusted_proxies"),
    ("audit_reserve_mib", "audit.reserve_mib"),
    ("audit_on_discontinuity", "audit.on_discontinuity"),
];

const MASTER_KEY: &str = "JETON_MASTER_KEY";
const PREVIOUS_MASTER_KEY: &str = "JETON_PREVIOUS_MASTER_KEY";
const SIGNING_KEYS: &str = "JETON_SIGNING_KEYS";
const OIDC_CLIENT_SECRET: &str = "JETON_OIDC_CLIENT_SECRET";

/// What comes from the environment alone.
const SECRETS: [&str; 4] = [
    MASTER_KEY,
    PREVIOUS_MASTER_KEY,
    SIGNING_KEYS,
    OIDC_CLIENT_SECRET,
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
        if let Some(file) = file.or_else(default_file) {
            figment = figment.merge(toml(file)?);
        }
        figment = figment.merge(Env::prefixed("JETON_").only(&ENVIRONMENT));
        for (name, key) in IN_SECTIONS {
            let variable = Env::prefixed("JETON_").only(&[name]);
            figment = figment.merge(variable.map(move |_| key.into()));
        }
        let figment = figment.merge(Serialized::defaults(flags));
        let raw: RawConfig = figment
            .extract()
            .map_err(|error| ConfigError::Setting(describe(&error)))?;
        let oidc = raw.oidc.clone();
        let mut config = Self::check(raw)?;
        config.master_key = environment(MASTER_KEY)?;
        config.previous_master_key = environment(PREVIOUS_MASTER_KEY)?;
        config.signing_keys = environment(SIGNING_KEYS)?;
        if let Some(oidc) = oidc {
            let secret = plain_environment(OIDC_CLIENT_SECRET)?;
            config.oidc = Some(OidcConfig::check(oidc, secret)?);
        }
        config.settings = settings::settings(&config, &figment);
        Ok(config)
    }

    /// The names of all settings in the environment.
    pub fn environment_names() -> impl Iterator<Item = &'static str> {
        static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
            let in_sections = IN_SECTIONS.iter().map(|(name, _)| *name);
            ENVIRONMENT
                .into_iter()
                .chain(in_sections)
                .map(|name| format!("JETON_{}", name.to_uppercase()))
                .collect()
        });
        NAMES.iter().map(String::as_str).chain(SECRETS)
    }

    /// The variables that the configuration file names as holding secrets. A file that cannot be read has none
    /// here; [`Self::load`] says why.
    pub fn variables_named_in(file: Option<&Path>) -> Vec<String> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct File {
            audit: Audit,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Audit {
            forward: Vec<NamedSecret>,
        }
        #[derive(Deserialize)]
        struct NamedSecret {
            secret_env: Option<String>,
        }
        let Some(Ok(toml)) = file.or_else(default_file).map(toml) else {
            return Vec::new();
        };
        let file = Figment::from(toml).extract::<File>().unwrap_or_default();
        let secrets = file.audit.forward.into_iter();
        secrets.filter_map(|secret| secret.secret_env).collect()
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

/// `jeton.toml` in the working directory, where there is anything of that name.
fn default_file<'a>() -> Option<&'a Path> {
    let file = Path::new("jeton.toml");
    file.symlink_metadata().is_ok().then_some(file)
}

fn toml(file: &Path) -> Result<Data<Toml>, ConfigError> {
    let wrong = |source| ConfigError::File {
        path: file.to_owned(),
        source,
    };
    let is_regular = file
        .metadata()
        .map_err(|source| wrong(explained(file, source)))?
        .is_file();
    let text = fs::read_to_string(file).map_err(|source| wrong(explained(file, source)))?;
    // A pipe can be read once; errors in a file name it.
    Ok(if is_regular {
        Toml::file_exact(file)
    } else {
        Toml::string(&text)
    })
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
pub(super) fn plain_environment(name: &str) -> Result<Option<String>, ConfigError> {
    match std::env::var(name) {
        Ok(value) if value.trim().is_empty() => Err(ConfigError::Empty(name.to_owned())),
        Ok(value) => Ok(Some(value)),
        Err(_) => Ok(None),
    }
}

fn environment(name: &str) -> Result<Option<SecretText>, ConfigError> {
    let text = plain_environment(name)?;
    Ok(text.map(|text| SecretText(Zeroizing::new(text))))
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
