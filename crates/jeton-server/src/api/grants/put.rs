//! `PUT /api/v1/clients/{client_id}/grants/{mcp_server_id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jeton_core::{ClientId, McpServerId, Scope};
use serde::Deserialize;
use utoipa::ToSchema;

use super::GrantView;
use crate::api::{AdminWrite, ChangeErrors};
use crate::app::App;
use crate::http::{ApiJson, ApiPath, Problem};
use crate::service::grants;

/// What the client may on the MCP server.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutGrant {
    /// All scopes of the grant from now on.
    #[schema(value_type = Vec<String>, example = json!(["todo:read"]))]
    scopes: Vec<Scope>,
}

/// Make a grant, or change its scopes.
#[utoipa::path(
    put,
    path = "/api/v1/clients/{client_id}/grants/{mcp_server_id}",
    operation_id = "put_grant",
    tag = "Grants",
    params(
        ("client_id" = String, Path, description = "The client's ID, m2m_…"),
        ("mcp_server_id" = String, Path, description = "The MCP server's ID, res_…")
    ),
    request_body = PutGrant,
    security(("oauth2" = ["admin:write"])),
    responses((status = 200, body = GrantView), ChangeErrors)
)]
pub(crate) async fn put(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath((client_id, mcp_server_id)): ApiPath<(ClientId, McpServerId)>,
    ApiJson(body): ApiJson<PutGrant>,
) -> Result<Json<GrantView>, Problem> {
    let scopes = body.scopes.into_iter().collect();
    let grant = grants::put(&app, &operator, client_id, mcp_server_id, scopes).await?;
    Ok(Json(GrantView::of(&grant)))
}
