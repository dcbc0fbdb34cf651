//! `DELETE /api/v1/clients/{client_id}/grants/{mcp_server_id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::{ClientId, McpServerId};

use crate::api::{AdminWrite, ChangeErrors};
use crate::app::App;
use crate::http::{ApiPath, Problem};
use crate::service::grants;

/// Take a grant back.
#[utoipa::path(
    delete,
    path = "/api/v1/clients/{client_id}/grants/{mcp_server_id}",
    operation_id = "delete_grant",
    tag = "Grants",
    params(
        ("client_id" = String, Path, description = "The client's ID, m2m_…"),
        ("mcp_server_id" = String, Path, description = "The MCP server's ID, res_…")
    ),
    security(("oauth2" = ["admin:write"])),
    responses((status = 204, description = "It is not there any more"), ChangeErrors)
)]
pub(crate) async fn delete(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath((client_id, mcp_server_id)): ApiPath<(ClientId, McpServerId)>,
) -> Result<StatusCode, Problem> {
    grants::delete(&app, &operator, client_id, mcp_server_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
