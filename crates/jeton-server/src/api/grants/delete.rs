//! `DELETE /api/v1/clients/{client_id}/grants/{mcp_server_id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::{ClientId, McpServerId};

use crate::api::{AdminWrite, ChangeErrors, ConditionalErrors, SeenGrant};
use crate::app::App;
use crate::http::{ApiPath, Problem};
use crate::service::grants;

/// Remove a grant. The client gets no more tokens by it, and those that it has are inactive at introspection,
/// also when the grant is made again.
#[utoipa::path(
    delete,
    path = "/api/v1/clients/{client_id}/grants/{mcp_server_id}",
    operation_id = "delete_grant",
    tag = "Grants",
    params(
        ("client_id" = String, Path, description = "The client's ID, m2m_…"),
        ("mcp_server_id" = String, Path, description = "The MCP server's ID, res_…"),
        ("If-Match" = String, Header, description = "The ETag that was read, or *: whatever is there")
    ),
    security(("oauth2" = ["admin:write"])),
    responses((status = 204, description = "It is not there any more"), ChangeErrors, ConditionalErrors)
)]
pub(crate) async fn delete(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(between): ApiPath<(ClientId, McpServerId)>,
    SeenGrant(seen): SeenGrant,
) -> Result<StatusCode, Problem> {
    grants::delete(&app, &operator, between, seen).await?;
    Ok(StatusCode::NO_CONTENT)
}
