//! Reading settings from their three places: a file, the environment, flags.

use std::path::Path;

use figment::Figment;
use figment::providers::Serialized;

use super::environment::{
    self, MASTER_KEY, OIDC_CLIENT_SECRET, PREVIOUS_MASTER_KEY, SIGNING_KEYS, plain_environment,
    secret_environment,
};
use super::file::{default_file, toml};
use super::setting_error::describe;
use super::{Config, ConfigError, OidcConfig, RawConfig, settings};

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
        let figment = environment::merged_into(figment).merge(Serialized::defaults(flags));
        let raw: RawConfig = figment
            .extract()
            .map_err(|error| ConfigError::Setting(describe(&error, &figment)))?;
        let oidc = raw.oidc.clone();
        let mut config = Self::check(raw)?;
        config.master_key = secret_environment(MASTER_KEY)?;
        config.previous_master_key = secret_environment(PREVIOUS_MASTER_KEY)?;
        config.signing_keys = secret_environment(SIGNING_KEYS)?;
        if let Some(oidc) = oidc {
            let secret = plain_environment(OIDC_CLIENT_SECRET)?;
            config.oidc = Some(OidcConfig::check(oidc, secret)?);
        }
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
}
