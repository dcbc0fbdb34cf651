//! `/api/v1/signing-keys`: each key's state and dates, and rotating.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jeton_core::{KeyId, SigningAlgorithm, Timestamp};
use jeton_store::StoredKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AdminRead, AdminWrite, ChangeErrors, IfMatchAny, PageOf, ReadErrors, UpdateErrors};
use crate::app::App;
use crate::http::{ApiJson, Problem};
use crate::service::{ServiceError, signing_keys};

/// A signing key, without its private half.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SigningKeyView {
    /// Its ID, the `kid` of the tokens it signs.
    id: String,
    /// RS256, ES256 or `EdDSA`.
    algorithm: &'static str,
    /// pending, active or retired.
    state: &'static str,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it began to sign; of a pending key, when it will.
    #[schema(value_type = Option<String>, format = DateTime)]
    activated_at: Option<Timestamp>,
    /// When it stopped signing.
    #[schema(value_type = Option<String>, format = DateTime)]
    retired_at: Option<Timestamp>,
    /// Until when it is published once retired.
    #[schema(value_type = Option<String>, format = DateTime)]
    published_until: Option<Timestamp>,
}

impl SigningKeyView {
    fn of(key: &StoredKey) -> Self {
        Self {
            id: key.id.to_string(),
            algorithm: key.algorithm.as_str(),
            state: key.state.as_str(),
            created_at: key.created_at,
            activated_at: key.activated_at,
            retired_at: key.retired_at,
            published_until: key.published_until,
        }
    }
}

/// List the signing keys, oldest first.
#[utoipa::path(
    get,
    path = "/api/v1/signing-keys",
    operation_id = "list_signing_keys",
    tag = "Signing keys",
    security(("oauth2" = ["admin:read"])),
    responses((status = 200, body = PageOf<SigningKeyView>), ReadErrors)
)]
pub(crate) async fn list(
    _: AdminRead,
    State(app): State<Arc<App>>,
) -> Result<Json<PageOf<SigningKeyView>>, Problem> {
    let keys = app.store.signing_keys().await.map_err(ServiceError::from)?;
    let items = keys.iter().map(SigningKeyView::of).collect();
    Ok(Json(PageOf {
        items,
        next_cursor: None,
    }))
}

/// Which key to rotate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateSigningKey {
    /// RS256, ES256 or `EdDSA`.
    #[schema(example = "RS256")]
    algorithm: String,
    /// For a key that somebody else may have: the new one signs at once, and all others of the
    /// algorithm are retired and published no more, so that their tokens stop working wherever keys
    /// are fetched anew.
    #[serde(default)]
    emergency: bool,
    /// In an emergency: the ID of the key that was seen signing; where another one signs, nothing is replaced. Required
    /// then, without `If-Match: *`.
    #[schema(value_type = Option<String>)]
    seen_key_id: Option<KeyId>,
}

/// Make and publish the next key of an algorithm. It begins to sign 24 hours later, in place of
/// today's, which stays published until its last token has expired.
#[utoipa::path(
    post,
    path = "/api/v1/signing-keys/rotate",
    operation_id = "rotate_signing_key",
    tag = "Signing keys",
    params(
        ("If-Match" = Option<String>, Header, description = "*: in an emergency, replace whatever key signs. Without it, send seen_key_id")
    ),
    request_body = RotateSigningKey,
    security(("oauth2" = ["admin:write"])),
    responses((status = 201, body = SigningKeyView), ChangeErrors, UpdateErrors)
)]
pub(crate) async fn rotate(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    any: IfMatchAny,
    ApiJson(body): ApiJson<RotateSigningKey>,
) -> Result<(StatusCode, Json<SigningKeyView>), Problem> {
    let algorithm: SigningAlgorithm = body
        .algorithm
        .parse()
        .map_err(|error: String| Problem::invalid("algorithm", error))?;
    let key = if body.emergency {
        let seen = any.or_seen(
            body.seen_key_id,
            "seen_key_id",
            "the ID of the active key of the algorithm as GET …/signing-keys lists it",
        )?;
        signing_keys::rotate_now(&app, &operator, algorithm, seen).await?
    } else {
        signing_keys::rotate(&app, &operator, algorithm).await?
    };
    Ok((StatusCode::CREATED, Json(SigningKeyView::of(&key))))
}

/// What was sealed anew.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rewrapped {
    /// How many keys were sealed under the master key before.
    rewrapped: usize,
}

/// Seal all private keys under the current master key. To be called once every server runs with the
/// new master key and the previous one.
#[utoipa::path(
    post,
    path = "/api/v1/signing-keys/rewrap",
    operation_id = "rewrap_signing_keys",
    tag = "Signing keys",
    security(("oauth2" = ["admin:write"])),
    responses((status = 200, body = Rewrapped), ChangeErrors)
)]
pub(crate) async fn rewrap(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
) -> Result<Json<Rewrapped>, Problem> {
    let rewrapped = signing_keys::rewrap(&app, &operator).await?;
    Ok(Json(Rewrapped { rewrapped }))
}
