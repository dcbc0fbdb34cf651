//! `DELETE /api/v1/mcp-servers/{id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::McpServerId;

use crate::api::{AdminWrite, ChangeErrors, ConditionalErrors, ConfirmQuery, Consenting};
use crate::app::App;
use crate::http::{ApiPath, Problem};
use crate::service::mcp_servers;

/// Delete an MCP server with its grants. Its tokens are inactive at introspection at once; verifiers
/// that only check signatures accept them until they expire. Its URL is retired: nobody gets tokens for it
/// until it is released or registered again. Where it lies under another server's URL, that has to be
/// confirmed.
#[utoipa::path(
    delete,
    path = "/api/v1/mcp-servers/{id}",
    operation_id = "delete_mcp_server",
    tag = "MCP servers",
    params(
        ("id" = String, Path, description = "The MCP server's ID, res_…"),
        ("If-Match" = String, Header, description = "The ETag that was read, or *: whatever is there"),
        ConfirmQuery
    ),
    security(("oauth2" = ["admin:write"])),
    responses((status = 204, description = "It is not there any more"), ChangeErrors, ConditionalErrors)
)]
pub(crate) async fn delete(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<McpServerId>,
    Consenting(consent): Consenting,
) -> Result<StatusCode, Problem> {
    mcp_servers::delete(&app, &operator, id, consent).await?;
    Ok(StatusCode::NO_CONTENT)
}
