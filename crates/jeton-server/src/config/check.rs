//! Settings as somebody wrote them become settings that can be used.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::{
    Config, ConfigError, Forward, Issuer, ListenAddress, RawConfig, RawForward, TlsFiles,
    TrustedProxies, database,
};

/// Where the server listens if nothing else is said.
pub(super) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8420);

impl Config {
    /// Checks each setting, and those that go together.
    pub(super) fn check(raw: RawConfig) -> Result<Self, ConfigError> {
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
            second_factor: raw.admin_second_factor.unwrap_or_default(),
            trust_clock: false,
            data_dir,
            oidc: None,
            settings: Vec::new(),
        })
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

#[cfg(test)]
mod tests {
    use std::path::Path;

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
