//! `POST …/secrets`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jeton_core::{ClientId, McpServerId, SecretOwner};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{CreatedSecretView, expiry};
use crate::api::{AdminWrite, ChangeErrors};
use crate::app::App;
use crate::http::{ApiJson, ApiPath, Problem};
use crate::service::{Operator, secrets};

/// A secret to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSecret {
    /// After how many seconds it expires; absent, never.
    #[schema(minimum = 1, maximum = 315_360_000)]
    expires_in: Option<u64>,
}

/// Make another secret of a client.
#[utoipa::path(
    post,
    path = "/api/v1/clients/{client_id}/secrets",
    operation_id = "create_client_secret",
    tag = "Secrets",
    params(("client_id" = String, Path, description = "The client's ID, m2m_…")),
    request_body = CreateSecret,
    security(("oauth2" = ["admin:write"])),
    responses((status = 201, body = CreatedSecretView), ChangeErrors)
)]
pub(crate) async fn of_client(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(client_id): ApiPath<ClientId>,
    ApiJson(body): ApiJson<CreateSecret>,
) -> Result<(StatusCode, Json<CreatedSecretView>), Problem> {
    create(&app, &operator, SecretOwner::Client(client_id), &body).await
}

/// Make a secret of an MCP server, with which it introspects and revokes the tokens meant for it.
#[utoipa::path(
    post,
    path = "/api/v1/mcp-servers/{mcp_server_id}/secrets",
    operation_id = "create_mcp_server_secret",
    tag = "Secrets",
    params(("mcp_server_id" = String, Path, description = "The MCP server's ID, res_…")),
    request_body = CreateSecret,
    security(("oauth2" = ["admin:write"])),
    responses((status = 201, body = CreatedSecretView), ChangeErrors)
)]
pub(crate) async fn of_mcp_server(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiPath(mcp_server_id): ApiPath<McpServerId>,
    ApiJson(body): ApiJson<CreateSecret>,
) -> Result<(StatusCode, Json<CreatedSecretView>), Problem> {
    create(
        &app,
        &operator,
        SecretOwner::McpServer(mcp_server_id),
        &body,
    )
    .await
}

async fn create(
    app: &App,
    operator: &Operator,
    owner: SecretOwner,
    body: &CreateSecret,
) -> Result<(StatusCode, Json<CreatedSecretView>), Problem> {
    let expiry = expiry("expires_in", body.expires_in)?;
    let (secret, plain) = secrets::create(app, operator, owner, expiry).await?;
    let view = CreatedSecretView::of(&secret, &plain, app.clock.now());
    Ok((StatusCode::CREATED, Json(view)))
}
