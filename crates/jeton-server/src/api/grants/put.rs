//! `PUT /api/v1/clients/{client_id}/grants/{mcp_server_id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::{ClientId, McpServerId, Scope};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{GrantView, chosen_scopes};
use crate::api::{AdminWrite, ChangeErrors, ConditionalErrors, SeenGrant, Tagged};
use crate::app::App;
use crate::http::{ApiJson, ApiPath, Problem};
use crate::service::grants::{self, ScopeChoice, Seen};

/// The scopes that the client may request on the MCP server.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutGrant {
    /// All scopes of the grant from now on; absent means none for a grant that is made. To change one, send this or
    /// `all_scopes`.
    #[schema(value_type = Option<Vec<String>>, example = json!(["todo:read"]))]
    scopes: Option<Vec<Scope>>,
    /// true instead of `scopes`: every scope that the MCP server defines now.
    #[serde(default)]
    all_scopes: bool,
}

/// Make a grant, or change its scopes.
#[utoipa::path(
    put,
    path = "/api/v1/clients/{client_id}/grants/{mcp_server_id}",
    operation_id = "put_grant",
    tag = "Grants",
    params(
        ("client_id" = String, Path, description = "The client's ID, m2m_…"),
        ("mcp_server_id" = String, Path, description = "The MCP server's ID, res_…"),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read, or *: whatever is there. To make a grant, send If-None-Match instead"),
        ("If-None-Match" = Option<String>, Header, description = "*: make the grant, if there is none yet")
    ),
    request_body = PutGrant,
    security(("oauth2" = ["admin:write"])),
    responses((status = 200, body = GrantView), ChangeErrors, ConditionalErrors)
)]
pub(crate) async fn put(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(between): ApiPath<(ClientId, McpServerId)>,
    SeenGrant(seen): SeenGrant,
    ApiJson(body): ApiJson<PutGrant>,
) -> Result<Tagged<GrantView>, Problem> {
    let scopes = match chosen_scopes(body.scopes, body.all_scopes)? {
        Some(scopes) => scopes,
        None if seen == Seen::Nothing => ScopeChoice::none(),
        None => {
            let detail = "name the scopes, [] for none, or send all_scopes: true";
            return Err(Problem::invalid("scopes", detail));
        }
    };
    let grant = grants::put(&app, &operator, between, scopes, seen).await?;
    Ok(Tagged {
        status: StatusCode::OK,
        version: grant.version,
        body: GrantView::of(&grant),
    })
}
