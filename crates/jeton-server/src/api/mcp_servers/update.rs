//! `PATCH /api/v1/mcp-servers/{id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::{
    Description, DisplayName, McpServerId, ResourceUri, SigningAlgorithm, TokenProfile, TokenTtl,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{McpServerView, ScopeView};
use crate::api::{AdminWrite, ChangeErrors, IfMatch, Tagged, UpdateErrors};
use crate::app::App;
use crate::http::{ApiJson, ApiPath, Problem};
use crate::service::mcp_servers::{self, McpServerChange};

/// What to change; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateMcpServer {
    /// What people call it.
    #[schema(value_type = Option<String>)]
    name: Option<DisplayName>,
    /// What it is for.
    #[schema(value_type = Option<String>)]
    description: Option<Description>,
    /// Its URL, with the MCP path.
    #[schema(value_type = Option<String>, format = "uri")]
    url: Option<ResourceUri>,
    /// All scopes it defines from now on; one that goes away goes from every grant too.
    scopes: Option<Vec<ScopeView>>,
    /// How long its tokens live, in seconds.
    #[schema(value_type = Option<u32>, minimum = 60, maximum = 86400)]
    token_ttl: Option<TokenTtl>,
    /// What its tokens are signed with.
    #[schema(value_type = Option<String>)]
    signing_alg: Option<SigningAlgorithm>,
    /// The shape of its tokens: compatible or strict.
    #[schema(value_type = Option<String>)]
    token_profile: Option<TokenProfile>,
    /// Whether its tokens name its own issuer.
    own_issuer: Option<bool>,
}

/// Change an MCP server.
#[utoipa::path(
    patch,
    path = "/api/v1/mcp-servers/{id}",
    operation_id = "update_mcp_server",
    tag = "MCP servers",
    params(
        ("id" = String, Path, description = "The MCP server's ID, res_…"),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read; absent, the last to write wins")
    ),
    request_body = UpdateMcpServer,
    security(("oauth2" = ["admin:write"])),
    responses((status = 200, body = McpServerView), ChangeErrors, UpdateErrors)
)]
pub(crate) async fn update(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<McpServerId>,
    IfMatch(expected): IfMatch,
    ApiJson(body): ApiJson<UpdateMcpServer>,
) -> Result<Tagged<McpServerView>, Problem> {
    let change = McpServerChange {
        name: body.name,
        description: body.description,
        url: body.url,
        scopes: body
            .scopes
            .map(|scopes| scopes.into_iter().map(Into::into).collect()),
        token_ttl: body.token_ttl,
        signing_alg: body.signing_alg,
        token_profile: body.token_profile,
        own_issuer: body.own_issuer,
    };
    let server = mcp_servers::update(&app, &operator, id, change, expected).await?;
    Ok(Tagged {
        status: StatusCode::OK,
        version: server.version,
        body: McpServerView::of(&app, &server),
    })
}
