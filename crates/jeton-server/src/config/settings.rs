//! Each setting as it took effect, and where its value came from.

use std::path::Path;
use std::time::Duration;

use figment::Figment;
use jeton_core::presentable_url;
use jeton_store::Database;

use super::{AuditDurability, Config, MetadataScopes, OnDiscontinuity, SecondFactor};

/// One setting, for people to read. The master key is not among them.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// Its name in `jeton.toml`.
    pub(crate) name: &'static str,
    /// Its value.
    pub(crate) value: String,
    /// Where that was set.
    pub(crate) source: String,
}

/// All of them.
pub(super) fn settings(config: &Config, figment: &Figment) -> Vec<Setting> {
    [
        server(config),
        connections(config),
        database(config),
        keys(config),
        audit(config),
        others(config),
    ]
    .into_iter()
    .flatten()
    .map(|(name, value)| Setting {
        name,
        value,
        source: source(figment, name),
    })
    .collect()
}

type Named = (&'static str, String);

fn truth(value: bool) -> String {
    if value { "true" } else { "false" }.to_owned()
}

fn path(path: Option<&Path>) -> String {
    path.map_or_else(|| "not set".to_owned(), |path| path.display().to_string())
}

fn days(duration: Duration) -> String {
    (duration.as_secs() / 86_400).to_string()
}

fn server(config: &Config) -> Vec<Named> {
    let tls = config.tls.as_ref();
    let issuer = config.issuer.as_ref();
    vec![
        ("data_dir", path(Some(&config.data_dir))),
        ("listen", config.listen.to_string()),
        (
            "issuer",
            issuer.map_or_else(|| "from the address".to_owned(), ToString::to_string),
        ),
        (
            "metadata_scopes",
            match config.metadata_scopes {
                MetadataScopes::None => "none",
                MetadataScopes::All => "all",
            }
            .to_owned(),
        ),
        ("insecure_http", truth(config.insecure_http)),
        ("tls_cert", path(tls.map(|tls| tls.cert.as_path()))),
        ("tls_key", path(tls.map(|tls| tls.key.as_path()))),
    ]
}

fn connections(config: &Config) -> Vec<Named> {
    let proxies = &config.trusted_proxies;
    let per_source = config.max_connections_per_source;
    let health = config.health_listen.as_ref();
    vec![
        (
            "trusted_proxies",
            if proxies.is_empty() {
                "none".to_owned()
            } else {
                proxies.to_string()
            },
        ),
        ("proxy_protocol", truth(config.proxy_protocol)),
        ("max_connections", config.max_connections.to_string()),
        (
            "max_connections_per_source",
            per_source.map_or_else(|| "a quarter of all".to_owned(), |most| most.to_string()),
        ),
        (
            "health_listen",
            health.map_or_else(|| "not set".to_owned(), ToString::to_string),
        ),
    ]
}

fn database(config: &Config) -> Vec<Named> {
    let (notification, connections) = match &config.database {
        Database::Sqlite(_) => ("not used", "not used".to_owned()),
        Database::Postgres(postgres) => (
            if postgres.notification_url.is_some() {
                "set"
            } else {
                "not set"
            },
            postgres.connections.to_string(),
        ),
    };
    vec![
        ("database_url", config.database.redacted()),
        ("database_notification_url", notification.to_owned()),
        ("database_connections", connections),
    ]
}

fn keys(config: &Config) -> Vec<Named> {
    let elsewhere = |name: &str| format!("not used: {name} holds it");
    vec![
        (
            "master_key_file",
            match config.master_key {
                Some(_) => elsewhere("JETON_MASTER_KEY"),
                None => path(Some(&config.master_key_file)),
            },
        ),
        (
            "previous_master_key_file",
            match config.previous_master_key {
                Some(_) => elsewhere("JETON_PREVIOUS_MASTER_KEY"),
                None => path(config.previous_master_key_file.as_deref()),
            },
        ),
        (
            "signing_keys_file",
            path(config.signing_keys_file.as_deref()),
        ),
        (
            "signing_key_rotation_days",
            config
                .key_rotation
                .map_or_else(|| "only on request".to_owned(), days),
        ),
    ]
}

fn audit(config: &Config) -> Vec<Named> {
    let durability = match config.audit_durability {
        AuditDurability::Sync => "sync",
        AuditDurability::Async => "async",
    };
    vec![
        ("audit.durability", durability.to_owned()),
        (
            "audit.retention_days",
            config
                .audit_retention
                .map_or_else(|| "indefinitely".to_owned(), days),
        ),
        ("audit.forward_wait_days", days(config.audit_forward_wait)),
        (
            "audit.reserve_mib",
            config
                .audit_reserve
                .map_or_else(|| "0".to_owned(), |bytes| (bytes >> 20).to_string()),
        ),
        (
            "audit.on_discontinuity",
            match config.on_discontinuity {
                OnDiscontinuity::Continue => "continue",
                OnDiscontinuity::Stop => "stop",
            }
            .to_owned(),
        ),
        (
            "audit.forward",
            match config.audit_forward.as_slice() {
                [] => "nowhere".to_owned(),
                some => {
                    let names: Vec<_> = some.iter().map(|to| to.name.as_str()).collect();
                    names.join(", ")
                }
            },
        ),
    ]
}

fn others(config: &Config) -> Vec<Named> {
    let oidc = config.oidc.as_ref();
    vec![
        (
            "admin_second_factor",
            match config.second_factor {
                SecondFactor::Optional => "optional",
                SecondFactor::Required => "required",
            }
            .to_owned(),
        ),
        (
            "oidc.issuer",
            oidc.map_or_else(
                || "not set".to_owned(),
                |oidc| presentable_url(&oidc.issuer),
            ),
        ),
    ]
}

fn source(figment: &Figment, name: &'static str) -> String {
    let Some(metadata) = figment.find_metadata(name) else {
        return "default".to_owned();
    };
    if metadata.name.contains("environment") {
        if name == "trusted_proxies" {
            return "JETON_TRUSTED_PROXY".to_owned();
        }
        return format!("JETON_{}", name.replace('.', "_").to_uppercase());
    }
    match &metadata.source {
        Some(figment::Source::File(file)) => file.display().to_string(),
        _ => "flag".to_owned(),
    }
}
