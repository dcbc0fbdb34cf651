//! `GET /api/v1/clients/{id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jeton_core::ClientId;

use super::ClientView;
use crate::api::{AdminRead, ReadErrors, Tagged};
use crate::app::App;
use crate::http::{ApiPath, Problem};
use crate::service::{ServiceError, clients};

/// Show a client.
#[utoipa::path(
    get,
    path = "/api/v1/clients/{id}",
    operation_id = "show_client",
    tag = "Clients",
    params(("id" = String, Path, description = "The client's ID, m2m_…")),
    security(("oauth2" = ["admin:read"])),
    responses((status = 200, body = ClientView), ReadErrors)
)]
pub(crate) async fn show(
    _: AdminRead,
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<ClientId>,
) -> Result<Tagged<ClientView>, Problem> {
    let client = clients::find(&app, id).await?;
    Ok(Tagged {
        status: StatusCode::OK,
        version: client.version,
        body: ClientView::read(&app, client)
            .await
            .map_err(ServiceError::from)?,
    })
}
