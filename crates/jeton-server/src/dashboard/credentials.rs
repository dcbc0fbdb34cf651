//! Whether a client's credentials work, and what cures them where they do not.

use jeton_core::{ClientSecret, PlainSecret, SecretState, Timestamp};

use super::format::when;
use crate::directory::ClientEntry;

/// Why a request would be refused, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) why: String,
    /// A link's text, and what follows the client's address in it.
    pub(super) cure: Option<(&'static str, &'static str)>,
}

const ROTATE: (&str, &str) = ("Rotate its secret", "#secrets");
const ADD: (&str, &str) = ("Add a secret", "#secrets");
const ENABLE: (&str, &str) = ("Enable the client", "");

impl Problem {
    pub(super) fn new(why: impl Into<String>, cure: Option<(&'static str, &'static str)>) -> Self {
        let why = why.into();
        Self { why, cure }
    }
}

/// What is wrong with all of the client's credentials, if none of them works.
pub(super) fn problem(entry: &ClientEntry, now: Timestamp) -> Option<Problem> {
    let secrets = &entry.secrets;
    let is_active = |secret: &ClientSecret| secret.state(now) == SecretState::Active;
    if !secrets.iter().any(is_active) {
        return Some(match secrets.as_slice() {
            [] => Problem::new("it has no secret", Some(ADD)),
            [only] => Problem::new(
                format!("its only secret {}", ended(only, now)),
                Some(ROTATE),
            ),
            _ => {
                let newest = secrets.iter().max_by_key(|secret| end(secret));
                let last = newest.map(|secret| ended(secret, now)).unwrap_or_default();
                Problem::new(
                    format!(
                        "none of its {} secrets works; the last {last}",
                        secrets.len()
                    ),
                    Some(ROTATE),
                )
            }
        });
    }
    (!entry.client.is_enabled()).then(|| Problem::new("the client is disabled", Some(ENABLE)))
}

fn end(secret: &ClientSecret) -> Option<Timestamp> {
    match (secret.revoked_at, secret.expires_at) {
        (Some(revoked), Some(expired)) => Some(revoked.min(expired)),
        (revoked, expired) => revoked.or(expired),
    }
}

/// `expired 5 days ago`
fn ended(secret: &ClientSecret, now: Timestamp) -> String {
    match (secret.state(now), secret.revoked_at, secret.expires_at) {
        (SecretState::Revoked, Some(at), _) => format!("was revoked {}", when(at, now).words),
        (SecretState::Expired, _, Some(at)) => format!("expired {}", when(at, now).words),
        _ => "no longer works".to_owned(),
    }
}

/// What the token endpoint would say of a secret that somebody typed: `Ok` names the secret that it is.
/// Nothing of what was typed is kept.
pub(super) fn check(
    entry: &ClientEntry,
    typed: &PlainSecret,
    now: Timestamp,
) -> Result<String, Problem> {
    let digest = typed.digest();
    if typed.is_surrounded() {
        let why = "the secret has white space or a line break around it: send it without";
        return Err(Problem::new(why, None));
    }
    if !typed.is_well_formed() {
        let why = "the secret is incomplete or mistyped: its checksum does not fit; copy it again";
        return Err(Problem::new(why, None));
    }
    let matching = |state| {
        let mut secrets = entry.secrets.iter();
        secrets.find(|secret| {
            secret.digest.matches(&digest) && (secret.state(now) == SecretState::Active) == state
        })
    };
    let Some(secret) = matching(true).or_else(|| matching(false)) else {
        let why = "this is not one of this client’s secrets";
        return Err(Problem::new(why, Some(ROTATE)));
    };
    match secret.state(now) {
        SecretState::Active if entry.client.is_enabled() => Ok(secret.suffix.clone()),
        SecretState::Active => Err(Problem::new("the client is disabled", Some(ENABLE))),
        SecretState::Expired | SecretState::Revoked => Err(Problem::new(
            format!("the secret …{} {}", secret.suffix, ended(secret, now)),
            Some(ROTATE),
        )),
    }
}
