//! What is wrong with a setting, by the name under which somebody wrote it.

use figment::{Error, Source};

/// A sentence about a setting that cannot be read.
pub(super) fn describe(error: &Error) -> String {
    let key = error.path.join(".");
    let metadata = error.metadata.as_ref();
    let file = metadata.and_then(|metadata| match &metadata.source {
        Some(Source::File(file)) => Some(file.display()),
        _ => None,
    });
    let is_variable = metadata.is_some_and(|metadata| metadata.name.contains("environment"));
    let place = match (file, key.as_str()) {
        (Some(file), "") => format!("the configuration file {file}"),
        (Some(file), key) => format!("{key} in {file}"),
        (None, "trusted_proxies") if is_variable => "JETON_TRUSTED_PROXY".to_owned(),
        (None, key) if is_variable => format!("JETON_{}", key.replace('.', "_").to_uppercase()),
        (None, "") => "the configuration".to_owned(),
        (None, key) => key.to_owned(),
    };
    format!("{place} cannot be used: {}", error.kind)
}
