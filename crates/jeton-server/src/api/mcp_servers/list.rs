//! `GET /api/v1/mcp-servers`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::McpServerView;
use crate::api::pages::page_request;
use crate::api::{AdminRead, PageOf, ReadErrors};
use crate::app::App;
use crate::http::{ApiQuery, Problem};
use crate::service::ServiceError;

/// Which MCP servers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct McpServerQuery {
    /// true for Jeton's own admin API instead of those that operators registered.
    #[serde(default)]
    system: bool,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// List MCP servers, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/mcp-servers",
    operation_id = "list_mcp_servers",
    tag = "MCP servers",
    params(McpServerQuery),
    security(("oauth2" = ["admin:read"])),
    responses((status = 200, body = PageOf<McpServerView>), ReadErrors)
)]
pub(crate) async fn list(
    _: AdminRead,
    State(app): State<Arc<App>>,
    ApiQuery(query): ApiQuery<McpServerQuery>,
) -> Result<Json<PageOf<McpServerView>>, Problem> {
    let page = page_request(query.cursor.as_deref(), query.limit)?;
    let servers = app
        .store
        .mcp_servers(query.system, page)
        .await
        .map_err(ServiceError::from)?;
    Ok(Json(PageOf::of(servers, |server| {
        McpServerView::of(&app, &server)
    })))
}
