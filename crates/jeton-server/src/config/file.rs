//! The configuration file, `jeton.toml`.

use std::fs;
use std::path::Path;

use figment::Figment;
use figment::providers::{Data, Format as _, Toml};
use serde::Deserialize;

use super::named_file::explained;
use super::{Config, ConfigError};

impl Config {
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
}

/// `jeton.toml` in the working directory, where there is anything of that name.
pub(super) fn default_file<'a>() -> Option<&'a Path> {
    let file = Path::new("jeton.toml");
    file.symlink_metadata().is_ok().then_some(file)
}

/// The file as a source of settings.
pub(super) fn toml(file: &Path) -> Result<Data<Toml>, ConfigError> {
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
