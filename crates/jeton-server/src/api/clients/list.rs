//! `GET /api/v1/clients`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jeton_core::{Client, ClientId, DisplayName, McpServerId};
use jeton_store::{ClientFilter, PageRequest};
use serde::Deserialize;
use utoipa::IntoParams;

use super::ClientView;
use crate::api::pages::page_request;
use crate::api::{AdminRead, PageOf, ReadErrors};
use crate::app::App;
use crate::http::{ApiQuery, Problem};
use crate::service::{ServiceError, mcp_servers};

/// Which clients.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ClientQuery {
    /// Only those with a grant on this MCP server.
    #[param(value_type = Option<String>)]
    mcp_server_id: Option<McpServerId>,
    /// Only those with exactly this name; names need not be unique.
    name: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// List clients, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/clients",
    operation_id = "list_clients",
    tag = "Clients",
    params(ClientQuery),
    security(("oauth2" = ["admin:read"])),
    responses((status = 200, body = PageOf<ClientView>), ReadErrors)
)]
pub(crate) async fn list(
    _: AdminRead,
    State(app): State<Arc<App>>,
    ApiQuery(query): ApiQuery<ClientQuery>,
) -> Result<Json<PageOf<ClientView>>, Problem> {
    if let Some(id) = query.mcp_server_id {
        mcp_servers::find(&app, id).await?;
    }
    let page = page_request(query.cursor.as_deref(), query.limit)?;
    if let Some(name) = &query.name {
        return named(&app, name, (query.mcp_server_id, page)).await;
    }
    let filter = ClientFilter {
        mcp_server_id: query.mcp_server_id,
        ..ClientFilter::default()
    };
    let clients = app
        .store
        .clients(&filter, page)
        .await
        .map_err(ServiceError::from)?;
    let mut items = Vec::with_capacity(clients.items.len());
    for client in clients.items {
        items.push(view(&app, client).await?);
    }
    Ok(Json(PageOf {
        items,
        next_cursor: clients.next,
    }))
}

async fn view(app: &App, client: Client) -> Result<ClientView, Problem> {
    let view = ClientView::read(app, client).await;
    Ok(view.map_err(ServiceError::from)?)
}

/// The clients with a name.
async fn named(
    app: &App,
    name: &str,
    (server, page): (Option<McpServerId>, PageRequest<ClientId>),
) -> Result<Json<PageOf<ClientView>>, Problem> {
    if DisplayName::from_registered(name).is_err() {
        return Ok(Json(PageOf {
            items: Vec::new(),
            next_cursor: None,
        }));
    }
    let clients = app.store.clients_named(name, page).await;
    let clients = clients.map_err(ServiceError::from)?;
    let mut items = Vec::with_capacity(clients.items.len());
    for client in clients.items {
        let view = view(app, client).await?;
        if server.is_none_or(|server| view.has_grant_on(server)) {
            items.push(view);
        }
    }
    Ok(Json(PageOf {
        items,
        next_cursor: clients.next,
    }))
}
