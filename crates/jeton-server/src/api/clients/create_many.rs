//! `POST /api/v1/clients/bulk`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::create::{CreateClient, CreatedClientView};
use crate::api::{AdminWrite, ChangeErrors};
use crate::app::App;
use crate::http::{ApiJson, Problem};
use crate::service::clients;

/// The most clients of one request.
const MAX_CLIENTS: usize = 500;

/// Clients to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateClients {
    /// 1 to 500 of them.
    #[schema(min_items = 1, max_items = 500)]
    clients: Vec<CreateClient>,
}

/// Clients just registered, in the order of the request. Their secrets are shown here and never
/// again.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedClients {
    items: Vec<CreatedClientView>,
}

/// Register many clients at once: all of them, or none where one cannot be.
#[utoipa::path(
    post,
    path = "/api/v1/clients/bulk",
    operation_id = "create_clients",
    tag = "Clients",
    request_body = CreateClients,
    security(("oauth2" = ["admin:write"])),
    responses((status = 201, body = CreatedClients), ChangeErrors)
)]
pub(crate) async fn create_many(
    AdminWrite(operator): AdminWrite,
    State(app): State<Arc<App>>,
    ApiJson(body): ApiJson<CreateClients>,
) -> Result<(StatusCode, Json<CreatedClients>), Problem> {
    let count = body.clients.len();
    if !(1..=MAX_CLIENTS).contains(&count) {
        let detail = format!("1 to {MAX_CLIENTS} clients at once, not {count}");
        return Err(Problem::invalid("clients", detail));
    }
    let new = body
        .clients
        .into_iter()
        .map(CreateClient::parse)
        .collect::<Result<_, _>>()?;
    let created = clients::create_many(&app, &operator, new).await?;
    let now = app.clock.now();
    let items = created
        .into_iter()
        .map(|created| CreatedClientView::of(created, now))
        .collect();
    Ok((StatusCode::CREATED, Json(CreatedClients { items })))
}
