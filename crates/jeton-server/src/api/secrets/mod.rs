//! Secrets of clients and MCP servers.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;
pub(crate) mod rotate;

use std::time::Duration;

use jeton_core::{ClientSecret, PlainSecret, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Problem;

/// What is kept of a secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretView {
    /// Its ID.
    id: String,
    /// The client or MCP server it belongs to.
    owner: String,
    /// Its last four characters.
    suffix: String,
    /// active, expired or revoked.
    state: &'static str,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// From when on it no longer works; null where it has no end.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it last authenticated somebody, with thousands of secrets up to two minutes behind; null where
    /// it never did.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// When it was revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

/// A secret just made. It is shown here and never again.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedSecretView {
    /// Whose it is: what to send as `client_id`.
    client_id: String,
    /// The secret: this is the only time it is shown.
    client_secret: String,
    #[serde(flatten)]
    secret: SecretView,
}

impl SecretView {
    pub(crate) fn of(secret: &ClientSecret, now: Timestamp) -> Self {
        Self {
            id: secret.id.to_string(),
            owner: secret.owner.to_string(),
            suffix: secret.suffix.clone(),
            state: secret.state(now).as_str(),
            created_at: secret.created_at,
            expires_at: secret.expires_at,
            last_used_at: secret.last_used_at,
            revoked_at: secret.revoked_at,
        }
    }
}

impl CreatedSecretView {
    fn of(secret: &ClientSecret, plain: &PlainSecret, now: Timestamp) -> Self {
        Self {
            client_id: secret.owner.to_string(),
            client_secret: plain.expose().to_owned(),
            secret: SecretView::of(secret, now),
        }
    }
}

/// A lifetime in seconds: one to ten years.
pub(crate) fn expiry(
    parameter: &'static str,
    seconds: Option<u64>,
) -> Result<Option<Duration>, Problem> {
    match seconds {
        None => Ok(None),
        Some(seconds @ 1..=315_360_000) => Ok(Some(Duration::from_secs(seconds))),
        Some(seconds) => Err(Problem::invalid(
            parameter,
            format!("expected one second to ten years (315360000 seconds), not {seconds}"),
        )),
    }
}
