//! `DELETE /api/v1/secrets/{id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::SecretId;

use crate::api::{AdminWrite, ChangeErrors};
use crate::app::App;
use crate::http::{ApiPath, Problem};
use crate::service::secrets;

/// Revoke a secret, at once.
#[utoipa::path(
    delete,
    path = "/api/v1/secrets/{id}",
    operation_id = "revoke_secret",
    tag = "Secrets",
    params(("id" = String, Path, description = "The secret's ID, sec_…")),
    security(("oauth2" = ["admin:write"])),
    responses((status = 204, description = "It does not work any more"), ChangeErrors)
)]
pub(crate) async fn revoke(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<SecretId>,
) -> Result<StatusCode, Problem> {
    secrets::revoke(&app, &operator, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
