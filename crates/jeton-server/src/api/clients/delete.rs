//! `DELETE /api/v1/clients/{id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::ClientId;

use crate::api::{AdminWrite, ChangeErrors, ConditionalErrors, IfMatch};
use crate::app::App;
use crate::http::{ApiPath, Problem};
use crate::service::clients;

/// Delete a client with its grants and secrets. Its tokens are inactive at introspection at once;
/// verifiers that only check signatures accept them until they expire.
#[utoipa::path(
    delete,
    path = "/api/v1/clients/{id}",
    operation_id = "delete_client",
    tag = "Clients",
    params(
        ("id" = String, Path, description = "The client's ID, m2m_…"),
        ("If-Match" = String, Header, description = "The ETag that was read, or *: whatever is there")
    ),
    security(("oauth2" = ["admin:write"])),
    responses((status = 204, description = "It is not there any more"), ChangeErrors, ConditionalErrors)
)]
pub(crate) async fn delete(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<ClientId>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, Problem> {
    clients::delete(&app, &operator, id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
