//! `PATCH /api/v1/clients/{id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::{
    ClientId, ClientStatus, CustomClaims, Description, DisplayName, McpServerId, TokenTtl,
};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::ClientView;
use crate::api::{AdminWrite, ChangeErrors, ConditionalErrors, IfMatch, Tagged};
use crate::app::App;
use crate::http::{ApiJson, ApiPath, Problem};
use crate::service::ServiceError;
use crate::service::clients::{self, ClientChange};

/// What to change; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateClient {
    /// What people call it.
    #[schema(value_type = Option<String>)]
    name: Option<DisplayName>,
    /// What it is for.
    #[schema(value_type = Option<String>)]
    description: Option<Description>,
    /// enabled or disabled.
    #[schema(value_type = Option<String>)]
    status: Option<ClientStatus>,
    /// A lifetime that lowers the MCP server's, in seconds; null takes it away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 60, maximum = 86400)]
    token_ttl: Option<Option<TokenTtl>>,
    /// All claims of its own from now on.
    #[schema(value_type = Option<Object>)]
    custom_claims: Option<CustomClaims>,
    /// The MCP server that a token is for where a request names none: one that the client has a grant on;
    /// null takes it away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    default_mcp_server_id: Option<Option<McpServerId>>,
}

/// Tells null from absent.
fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// Change, disable or enable a client.
#[utoipa::path(
    patch,
    path = "/api/v1/clients/{id}",
    operation_id = "update_client",
    tag = "Clients",
    params(
        ("id" = String, Path, description = "The client's ID, m2m_…"),
        ("If-Match" = String, Header, description = "The ETag that was read, or *: whatever is there")
    ),
    request_body = UpdateClient,
    security(("oauth2" = ["admin:write"])),
    responses((status = 200, body = ClientView), ChangeErrors, ConditionalErrors)
)]
pub(crate) async fn update(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<ClientId>,
    IfMatch(expected): IfMatch,
    ApiJson(body): ApiJson<UpdateClient>,
) -> Result<Tagged<ClientView>, Problem> {
    let change = ClientChange {
        name: body.name,
        description: body.description,
        status: body.status,
        token_ttl: body.token_ttl,
        custom_claims: body.custom_claims,
        default_mcp_server: body.default_mcp_server_id,
    };
    let client = clients::update(&app, &operator, id, change, expected).await?;
    Ok(Tagged {
        status: StatusCode::OK,
        version: client.version,
        body: ClientView::read(&app, client)
            .await
            .map_err(ServiceError::from)?,
    })
}
