//! Each setting as it took effect, and where its value came from.

use figment::Figment;
use jeton_store::Database;

use super::{AuditDurability, Config};

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
    let truth = |value: bool| if value { "true" } else { "false" }.to_owned();
    let path = |path: &std::path::Path| path.display().to_string();
    let not_set = || "not set".to_owned();
    let tls = config.tls.as_ref();
    let values = [
        ("data_dir", path(&config.data_dir)),
        ("listen", config.listen.to_string()),
        (
            "issuer",
            config
                .issuer
                .as_ref()
                .map_or_else(|| "from the address".to_owned(), ToString::to_string),
        ),
        ("database_url", config.database.redacted()),
        (
            "database_notification_url",
            match &config.database {
                Database::Postgres(postgres) if postgres.notification_url.is_some() => "set",
                _ => "not set",
            }
            .to_owned(),
        ),
        (
            "database_connections",
            match &config.database {
                Database::Postgres(postgres) => postgres.connections.to_string(),
                Database::Sqlite(_) => "not used".to_owned(),
            },
        ),
        (
            "master_key_file",
            if config.master_key.is_some() {
                "not used: JETON_MASTER_KEY holds the key".to_owned()
            } else {
                path(&config.master_key_file)
            },
        ),
        ("insecure_http", truth(config.insecure_http)),
        ("tls_cert", tls.map_or_else(not_set, |tls| path(&tls.cert))),
        ("tls_key", tls.map_or_else(not_set, |tls| path(&tls.key))),
        (
            "oidc.issuer",
            config
                .oidc
                .as_ref()
                .map_or_else(not_set, |oidc| oidc.issuer.clone()),
        ),
        (
            "audit.durability",
            match config.audit_durability {
                AuditDurability::Sync => "sync",
                AuditDurability::Async => "async",
            }
            .to_owned(),
        ),
        (
            "audit.retention_days",
            config.audit_retention.map_or_else(
                || "for ever".to_owned(),
                |kept| (kept.as_secs() / 86_400).to_string(),
            ),
        ),
    ];
    values
        .into_iter()
        .map(|(name, value)| Setting {
            name,
            value,
            source: source(figment, name),
        })
        .collect()
}

fn source(figment: &Figment, name: &'static str) -> String {
    let Some(metadata) = figment.find_metadata(name) else {
        return "default".to_owned();
    };
    if metadata.name.contains("environment") {
        return format!("JETON_{}", name.replace('.', "_").to_uppercase());
    }
    match &metadata.source {
        Some(figment::Source::File(file)) => file.display().to_string(),
        _ => "flag".to_owned(),
    }
}
