//! `/api/v1/signing-keys`: each key's state and dates.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jeton_core::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{AdminRead, PageOf, ReadErrors};
use crate::app::App;
use crate::http::Problem;
use crate::service::ServiceError;

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
    /// When it began to sign.
    #[schema(value_type = Option<String>, format = DateTime)]
    activated_at: Option<Timestamp>,
    /// When it stopped signing.
    #[schema(value_type = Option<String>, format = DateTime)]
    retired_at: Option<Timestamp>,
    /// Until when it is published once retired.
    #[schema(value_type = Option<String>, format = DateTime)]
    published_until: Option<Timestamp>,
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
    let items = keys
        .into_iter()
        .map(|key| SigningKeyView {
            id: key.id.to_string(),
            algorithm: key.algorithm.as_str(),
            state: key.state.as_str(),
            created_at: key.created_at,
            activated_at: key.activated_at,
            retired_at: key.retired_at,
            published_until: key.published_until,
        })
        .collect();
    Ok(Json(PageOf {
        items,
        next_cursor: None,
    }))
}
