//! The settings in the environment: which variables there are, and the secrets among them.

use std::sync::LazyLock;

use figment::Figment;
use figment::providers::Env;
use serde::Deserializer;
use zeroize::Zeroizing;

use super::{Config, ConfigError, SecretText};

/// The settings that may come from the environment, as `JETON_…`.
const ENVIRONMENT: [&str; 19] = [
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
    "admin_second_factor",
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

pub(super) const MASTER_KEY: &str = "JETON_MASTER_KEY";
pub(super) const PREVIOUS_MASTER_KEY: &str = "JETON_PREVIOUS_MASTER_KEY";
pub(super) const SIGNING_KEYS: &str = "JETON_SIGNING_KEYS";
pub(super) const OIDC_CLIENT_SECRET: &str = "JETON_OIDC_CLIENT_SECRET";

/// What comes from the environment alone.
const SECRETS: [&str; 4] = [
    MASTER_KEY,
    PREVIOUS_MASTER_KEY,
    SIGNING_KEYS,
    OIDC_CLIENT_SECRET,
];

impl Config {
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
}

/// The settings that the environment has, over those that `figment` has already.
pub(super) fn merged_into(mut figment: Figment) -> Figment {
    figment = figment.merge(Env::prefixed("JETON_").only(&ENVIRONMENT));
    for (name, key) in IN_SECTIONS {
        let variable = Env::prefixed("JETON_").only(&[name]);
        figment = figment.merge(variable.map(move |_| key.into()));
    }
    figment
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

pub(super) fn secret_environment(name: &str) -> Result<Option<SecretText>, ConfigError> {
    let text = plain_environment(name)?;
    Ok(text.map(|text| SecretText(Zeroizing::new(text))))
}
