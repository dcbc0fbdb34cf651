//! `POST /api/v1/mcp-servers`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::{Description, DisplayName, ResourceUri, SigningAlgorithm, TokenProfile, TokenTtl};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{DefineScope, McpServerView};
use crate::api::{AdminWrite, ChangeErrors, Tagged};
use crate::app::App;
use crate::http::{ApiJson, Problem};
use crate::service::mcp_servers::{self, NewMcpServer};

/// An MCP server to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateMcpServer {
    /// What people call it.
    #[schema(value_type = String, example = "Todo")]
    name: DisplayName,
    /// What it is for.
    #[serde(default)]
    #[schema(value_type = String)]
    description: Description,
    /// Its URL, with the MCP path.
    #[schema(value_type = String, format = "uri", example = "https://todo.example.com/mcp")]
    url: ResourceUri,
    /// Further URLs at which it is reached, 20 at most: localhost and 127.0.0.1, inside and outside a gateway.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 20)]
    aliases: Vec<ResourceUri>,
    /// The scopes it defines.
    #[serde(default)]
    scopes: Vec<DefineScope>,
    /// How long its tokens live, in seconds.
    #[serde(default)]
    #[schema(value_type = u32, minimum = 60, maximum = 86400, default = 3600)]
    token_ttl: TokenTtl,
    /// What its tokens are signed with.
    #[serde(default)]
    #[schema(value_type = String, default = "RS256", example = "RS256")]
    signing_alg: SigningAlgorithm,
    /// The shape of its tokens: compatible or strict.
    #[serde(default)]
    #[schema(value_type = String, default = "compatible")]
    token_profile: TokenProfile,
    /// Whether its tokens name its own issuer, `{issuer}/resources/{id}`.
    #[serde(default)]
    own_issuer: bool,
}

/// Register an MCP server.
#[utoipa::path(
    post,
    path = "/api/v1/mcp-servers",
    operation_id = "create_mcp_server",
    tag = "MCP servers",
    request_body = CreateMcpServer,
    security(("oauth2" = ["admin:write"])),
    responses((status = 201, body = McpServerView), ChangeErrors)
)]
pub(crate) async fn create(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiJson(body): ApiJson<CreateMcpServer>,
) -> Result<Tagged<McpServerView>, Problem> {
    let new = NewMcpServer {
        name: body.name,
        description: body.description,
        url: body.url,
        aliases: body.aliases,
        scopes: body.scopes.into_iter().map(Into::into).collect(),
        token_ttl: body.token_ttl,
        signing_alg: body.signing_alg,
        token_profile: body.token_profile,
        own_issuer: body.own_issuer,
    };
    let server = mcp_servers::create(&app, &operator, new).await?;
    Ok(Tagged {
        status: StatusCode::CREATED,
        version: server.version,
        body: McpServerView::of(&app, &server),
    })
}
