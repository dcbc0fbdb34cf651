//! `POST …/revoke-tokens`: all tokens that were issued so far.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jeton_core::{ClientId, McpServerId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{AdminWrite, ChangeErrors};
use crate::app::App;
use crate::http::{ApiPath, Problem};
use crate::service::void_tokens;

/// Whether tokens end too.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RevokeTokensQuery {
    /// true: also revoke the tokens that were issued by it.
    #[serde(default)]
    pub(crate) revoke_tokens: bool,
}

/// Tokens that were revoked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevokedTokens {
    /// Whose: a client's or an MCP server's ID.
    id: String,
    /// Tokens issued up to this moment are inactive at introspection and at the admin API.
    #[schema(value_type = String, format = DateTime)]
    issued_until: Timestamp,
}

/// Revoke all tokens that a client got so far. They are inactive at introspection at once; verifiers that
/// only check signatures accept them until they expire. The client can get new ones.
#[utoipa::path(
    post,
    path = "/api/v1/clients/{id}/revoke-tokens",
    operation_id = "revoke_client_tokens",
    tag = "Clients",
    params(("id" = String, Path, description = "The client's ID, m2m_…")),
    security(("oauth2" = ["admin:write"])),
    responses((status = 200, body = RevokedTokens), ChangeErrors)
)]
pub(crate) async fn of_client(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<ClientId>,
) -> Result<Json<RevokedTokens>, Problem> {
    Ok(Json(RevokedTokens {
        issued_until: void_tokens::of_client(&app, &operator, id).await?,
        id: id.to_string(),
    }))
}

/// Revoke all tokens that were issued so far for an MCP server. They are inactive at introspection at
/// once; verifiers that only check signatures accept them until they expire.
#[utoipa::path(
    post,
    path = "/api/v1/mcp-servers/{id}/revoke-tokens",
    operation_id = "revoke_mcp_server_tokens",
    tag = "MCP servers",
    params(("id" = String, Path, description = "The MCP server's ID, res_…")),
    security(("oauth2" = ["admin:write"])),
    responses((status = 200, body = RevokedTokens), ChangeErrors)
)]
pub(crate) async fn of_mcp_server(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<McpServerId>,
) -> Result<Json<RevokedTokens>, Problem> {
    Ok(Json(RevokedTokens {
        issued_until: void_tokens::of_mcp_server(&app, &operator, id).await?,
        id: id.to_string(),
    }))
}
