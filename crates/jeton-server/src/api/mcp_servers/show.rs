//! `GET /api/v1/mcp-servers/{id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::McpServerId;

use super::McpServerView;
use crate::api::{AdminRead, ReadErrors, Tagged};
use crate::app::App;
use crate::http::{ApiPath, Problem};
use crate::service::mcp_servers;

/// Show an MCP server.
#[utoipa::path(
    get,
    path = "/api/v1/mcp-servers/{id}",
    operation_id = "show_mcp_server",
    tag = "MCP servers",
    params(("id" = String, Path, description = "The MCP server's ID, res_…")),
    security(("oauth2" = ["admin:read"])),
    responses((status = 200, body = McpServerView), ReadErrors)
)]
pub(crate) async fn show(
    _: AdminRead,
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<McpServerId>,
) -> Result<Tagged<McpServerView>, Problem> {
    let server = mcp_servers::find(&app, id).await?;
    Ok(Tagged {
        status: StatusCode::OK,
        version: server.version,
        body: McpServerView::of(&app, &server),
    })
}
