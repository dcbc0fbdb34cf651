//! The `[[audit.forward]]` sections: where else audit events go.

use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jeton_core::AuditKind;
use jeton_jose::is_trustworthy_url;
use secrecy::SecretSlice;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::ConfigError;
use super::environment::plain_environment;
use super::named_file::read_named_text;

/// A section as somebody wrote it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawForward {
    /// What it is called: the name under which is remembered how far it has come.
    pub name: String,
    /// `https://…` for signed webhooks; `syslog+udp://HOST:PORT`, `syslog+tcp://HOST:PORT` or
    /// `syslog+unix:/dev/log` for syslog.
    pub url: String,
    /// Which kinds of events: names like `client.created`, or all of a noun like `client.*`.
    /// Absent, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
    /// Webhooks: the most events in one request, 1 to 200. Absent, one, as Standard Webhooks has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Webhooks: the variable of the environment that holds the secret, `whsec_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// Webhooks: the file that holds the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
}

/// A destination, checked.
#[derive(Debug, Clone)]
pub(crate) struct Forward {
    pub(crate) name: String,
    pub(crate) kinds: Vec<AuditKind>,
    pub(crate) to: Destination,
    /// The most events in one request; nothing means that requests have one event and its form.
    pub(crate) batch: Option<usize>,
}

/// Where to.
#[derive(Debug, Clone)]
pub(crate) enum Destination {
    Webhook {
        url: String,
        secret: SecretSlice<u8>,
    },
    SyslogUdp(String),
    SyslogTcp(String),
    SyslogUnix(PathBuf),
}

/// The most events in one request.
const MAX_BATCH: usize = 200;
/// The shortest secret, in bytes (Standard Webhooks).
const MIN_SECRET: usize = 24;

impl Forward {
    pub(super) fn check(raw: RawForward) -> Result<Self, ConfigError> {
        let wrong = |text: String| ConfigError::Forward(raw.name.clone(), text);
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if !(1..=64).contains(&raw.name.len()) || !raw.name.chars().all(letters) {
            return Err(wrong("name is up to 64 letters, digits, - and _".into()));
        }
        let to = if let Some(place) = raw.url.strip_prefix("syslog+udp://") {
            Destination::SyslogUdp(host_and_port(place).ok_or_else(|| wrong(SYSLOG.into()))?)
        } else if let Some(place) = raw.url.strip_prefix("syslog+tcp://") {
            Destination::SyslogTcp(host_and_port(place).ok_or_else(|| wrong(SYSLOG.into()))?)
        } else if let Some(path) = raw.url.strip_prefix("syslog+unix:") {
            Destination::SyslogUnix(path.into())
        } else if is_trustworthy_url(&raw.url) {
            Destination::Webhook {
                url: raw.url.clone(),
                secret: secret(&raw)?,
            }
        } else {
            return Err(wrong(format!("url is https://… for webhooks, or {SYSLOG}")));
        };
        let batch = raw.batch.filter(|most| *most != 1);
        if batch.is_some_and(|most| !(1..=MAX_BATCH).contains(&most)) {
            return Err(wrong(format!("batch is 1 to {MAX_BATCH}")));
        }
        if batch.is_some() && !matches!(to, Destination::Webhook { .. }) {
            return Err(wrong("batch is for webhooks".into()));
        }
        Ok(Self {
            batch,
            kinds: kinds(raw.kinds.as_deref()).map_err(wrong)?,
            name: raw.name,
            to,
        })
    }
}

const SYSLOG: &str = "syslog+udp://HOST:PORT, syslog+tcp://HOST:PORT or syslog+unix:/dev/log";

fn host_and_port(place: &str) -> Option<String> {
    let (host, port) = place.rsplit_once(':')?;
    let good =
        place.parse::<SocketAddr>().is_ok() || (!host.is_empty() && port.parse::<u16>().is_ok());
    good.then(|| place.to_owned())
}

fn kinds(named: Option<&[String]>) -> Result<Vec<AuditKind>, String> {
    let Some(named) = named else {
        return Ok(AuditKind::ALL.to_vec());
    };
    let mut kinds = Vec::new();
    for name in named {
        let before = kinds.len();
        let matching = |kind: &&AuditKind| match name.strip_suffix(".*") {
            Some(noun) => kind
                .as_str()
                .split_once('.')
                .is_some_and(|(of, _)| of == noun),
            None => kind.as_str() == name,
        };
        kinds.extend(AuditKind::ALL.iter().filter(matching).copied());
        if kinds.len() == before {
            let all: Vec<_> = AuditKind::ALL.iter().map(|kind| kind.as_str()).collect();
            return Err(format!(
                "kinds: there are no events of the kind {name:?}; there are {}, and all of a noun like client.*",
                all.join(", ")
            ));
        }
    }
    Ok(kinds)
}

/// Standard Webhooks: `whsec_` and the base64 of 24 to 64 bytes.
fn secret(raw: &RawForward) -> Result<SecretSlice<u8>, ConfigError> {
    let wrong = |text: &str| ConfigError::Forward(raw.name.clone(), text.to_owned());
    let text = match (&raw.secret_env, &raw.secret_file) {
        (Some(name), None) => plain_environment(name)?
            .ok_or_else(|| wrong(&format!("secret_env: {name} is not in the environment")))?,
        (None, Some(path)) => read_named_text(path)
            .map_err(|error| wrong(&format!("secret_file {}: {error}", path.display())))?,
        _ => {
            return Err(wrong(
                "a webhook is signed: name where its secret is, with secret_env or secret_file (one of them)",
            ));
        }
    };
    let text = Zeroizing::new(text);
    let bytes = text
        .trim()
        .strip_prefix("whsec_")
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .filter(|bytes| bytes.len() >= MIN_SECRET);
    bytes.map(SecretSlice::from).ok_or_else(|| {
        wrong("the secret is whsec_ and the base64 of at least 24 random bytes; echo whsec_$(openssl rand -base64 32) makes one")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named_and_kinds_are_expanded() {
        let raw = |url: &str, kinds: Option<&[&str]>| RawForward {
            name: "siem".into(),
            url: url.into(),
            batch: None,
            kinds: kinds.map(|kinds| kinds.iter().map(ToString::to_string).collect()),
            secret_env: None,
            secret_file: None,
        };
        let udp = "syslog+udp://127.0.0.1:514";
        let check = |raw| Forward::check(raw).map_err(|error| error.to_string());
        assert_eq!(
            check(raw(udp, None)).unwrap().kinds.len(),
            AuditKind::ALL.len()
        );
        let some = check(raw(udp, Some(&["secret.*", "token.refused"]))).unwrap();
        assert_eq!(some.kinds.len(), 5);
        for (url, kinds, expected) in [
            ("http://siem.example.com/", None, "https://"),
            ("https://siem.example.com/", None, "secret_env"),
            ("syslog+tcp://nowhere", None, "HOST:PORT"),
            (udp, Some(&["tokens.*"][..]), "tokens.*"),
        ] {
            let error = check(raw(url, kinds)).unwrap_err();
            assert!(
                error.contains("siem") && error.contains(expected),
                "{error}"
            );
        }
    }
}
