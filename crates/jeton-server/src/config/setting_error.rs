//! What is wrong with a setting, by the name under which somebody wrote it.

use figment::error::Kind;
use figment::{Error, Figment, Source};
use serde::de::DeserializeOwned;

use super::nearest_setting::{nearest_setting, plain};
use super::{RawAudit, RawConfig, RawForward, RawOidc};

/// A sentence about a setting that cannot be read.
pub(super) fn describe(error: &Error, figment: &Figment) -> String {
    if let Kind::UnknownField(name, known) = &error.kind {
        return unknown(&error.path, name, known, figment);
    }
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
    let wrong = match &error.kind {
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("expected {}, found {found}", in_words(expected))
        }
        Kind::Message(words) => words.replacen(
            "TOML parse error at line ",
            "it is not as TOML has it, from line ",
            1,
        ),
        other => other.to_string(),
    };
    format!("{place} cannot be used: {wrong}")
}

/// What a type of this program is to whoever writes a file.
fn in_words(expected: &str) -> &str {
    match expected {
        "u32" | "usize" => "a whole number, 0 or more",
        "path string" | "a string" => "a text in quotation marks",
        "a boolean" => "true or false",
        other => other,
    }
}

/// A key that is none. Only a file can have one: variables and flags are known by name.
fn unknown(path: &[String], name: &str, known: &[&'static str], figment: &Figment) -> String {
    let file = figment
        .metadata()
        .find_map(|metadata| match &metadata.source {
            Some(Source::File(file)) => Some(file.display().to_string()),
            _ => None,
        });
    let file = file.unwrap_or_else(|| "the configuration file".to_owned());
    let section = section(path, name);
    let there = match section.as_str() {
        "" => String::new(),
        section => format!(" in the section {section}"),
    };
    let advice = match meant(&section, name, known) {
        Some(meant) => format!("Did you mean {meant}?"),
        None => format!("The settings there are {}.", known.join(", ")),
    };
    format!(
        "{file} sets {name}{there}, but there is no such setting. {advice} Correct the name, or leave it out"
    )
}

/// The section that a key is in, without the key and the numbers of sections that may stand several times.
fn section(path: &[String], name: &str) -> String {
    let parts = match path.split_last() {
        Some((last, parts)) if last == name => parts,
        _ => path,
    };
    let names = parts.iter().filter(|part| part.parse::<usize>().is_err());
    names.map(String::as_str).collect::<Vec<_>>().join(".")
}

/// A setting of the same section with nearly that name, or one of another section with exactly that.
fn meant(section: &str, name: &str, known: &[&'static str]) -> Option<String> {
    if let Some(nearest) = nearest_setting(name, known.iter().copied()) {
        return Some(nearest.to_owned());
    }
    let name = plain(name);
    let (other, key) = sections().into_iter().find_map(|(other, keys)| {
        let is_it = |key: &&&str| {
            other != section && (**key == name || plain(&format!("{other}.{key}")) == name)
        };
        Some((other, *keys.iter().find(is_it)?))
    })?;
    Some(match other {
        "" => format!("{key}, which belongs above the first section"),
        other => format!("{key}, which belongs in the section {other}"),
    })
}

/// The sections of the file, and the names of the settings in each.
fn sections() -> [(&'static str, &'static [&'static str]); 4] {
    [
        ("", keys::<RawConfig>()),
        ("audit", keys::<RawAudit>()),
        ("audit.forward", keys::<RawForward>()),
        ("oidc", keys::<RawOidc>()),
    ]
}

/// The keys of a section, as its type names them to whoever sends another.
fn keys<Section: DeserializeOwned>() -> &'static [&'static str] {
    match Figment::from(("?", "")).extract::<Section>() {
        Err(error) => match error.kind {
            Kind::UnknownField(_, keys) => keys,
            _ => &[],
        },
        Ok(_) => &[],
    }
}
