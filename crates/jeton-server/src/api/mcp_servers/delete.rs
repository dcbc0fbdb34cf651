//! `DELETE /api/v1/mcp-servers/{id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::McpServerId;

use crate::api::{AdminWrite, ChangeErrors};
use crate::app::App;
use crate::http::{ApiPath, Problem};
use crate::service::mcp_servers;

/// Delete an MCP server with its grants. Tokens issued for it stay valid until they expire.
#[utoipa::path(
    delete,
    path = "/api/v1/mcp-servers/{id}",
    operation_id = "delete_mcp_server",
    tag = "MCP servers",
    params(("id" = String, Path, description = "The MCP server's ID, res_…")),
    security(("oauth2" = ["admin:write"])),
    responses((status = 204, description = "It is not there any more"), ChangeErrors)
)]
pub(crate) async fn delete(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<McpServerId>,
) -> Result<StatusCode, Problem> {
    mcp_servers::delete(&app, &operator, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
