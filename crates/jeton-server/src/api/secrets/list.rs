//! `GET …/secrets`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jeton_core::{ClientId, McpServerId, SecretOwner};

use super::SecretView;
use crate::api::{AdminRead, PageOf, ReadErrors};
use crate::app::App;
use crate::http::{ApiPath, Problem};
use crate::service::secrets;

/// List a client's secrets, oldest first: what is kept of them, never the secrets.
#[utoipa::path(
    get,
    path = "/api/v1/clients/{client_id}/secrets",
    operation_id = "list_client_secrets",
    tag = "Secrets",
    params(("client_id" = String, Path, description = "The client's ID, m2m_…")),
    security(("oauth2" = ["admin:read"])),
    responses((status = 200, body = PageOf<SecretView>), ReadErrors)
)]
pub(crate) async fn of_client(
    _: AdminRead,
    State(app): State<Arc<App>>,
    ApiPath(client_id): ApiPath<ClientId>,
) -> Result<Json<PageOf<SecretView>>, Problem> {
    list(&app, SecretOwner::Client(client_id)).await
}

/// List an MCP server's secrets, oldest first.
#[utoipa::path(
    get,
    path = "/api/v1/mcp-servers/{mcp_server_id}/secrets",
    operation_id = "list_mcp_server_secrets",
    tag = "Secrets",
    params(("mcp_server_id" = String, Path, description = "The MCP server's ID, res_…")),
    security(("oauth2" = ["admin:read"])),
    responses((status = 200, body = PageOf<SecretView>), ReadErrors)
)]
pub(crate) async fn of_mcp_server(
    _: AdminRead,
    State(app): State<Arc<App>>,
    ApiPath(mcp_server_id): ApiPath<McpServerId>,
) -> Result<Json<PageOf<SecretView>>, Problem> {
    list(&app, SecretOwner::McpServer(mcp_server_id)).await
}

async fn list(app: &App, owner: SecretOwner) -> Result<Json<PageOf<SecretView>>, Problem> {
    let now = app.clock.now();
    let secrets = secrets::list(app, owner).await?;
    let items = secrets
        .iter()
        .map(|secret| SecretView::of(secret, now))
        .collect();
    Ok(Json(PageOf {
        items,
        next_cursor: None,
    }))
}
