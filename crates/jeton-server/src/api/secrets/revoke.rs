//! `DELETE /api/v1/secrets/{id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::SecretId;

use crate::api::tokens::RevokeTokensQuery;
use crate::api::{AdminWrite, ChangeErrors};
use crate::app::App;
use crate::http::{ApiPath, ApiQuery, Problem};
use crate::service::secrets;

/// Revoke a secret immediately. With `revoke_tokens`, the tokens that were issued with it are inactive at
/// introspection too; this also works for a secret that was revoked before.
#[utoipa::path(
    delete,
    path = "/api/v1/secrets/{id}",
    operation_id = "revoke_secret",
    tag = "Secrets",
    params(
        ("id" = String, Path, description = "The secret's ID, sec_…"),
        RevokeTokensQuery
    ),
    security(("oauth2" = ["admin:write"])),
    responses((status = 204, description = "It does not work any more"), ChangeErrors)
)]
pub(crate) async fn revoke(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<SecretId>,
    ApiQuery(query): ApiQuery<RevokeTokensQuery>,
) -> Result<StatusCode, Problem> {
    secrets::revoke(&app, &operator, id, query.revoke_tokens).await?;
    Ok(StatusCode::NO_CONTENT)
}
