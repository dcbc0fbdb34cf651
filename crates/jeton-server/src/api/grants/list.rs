//! `GET /api/v1/clients/{client_id}/grants`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jeton_core::ClientId;

use super::GrantView;
use crate::api::{AdminRead, PageOf, ReadErrors};
use crate::app::App;
use crate::http::{ApiPath, Problem};
use crate::service::{ServiceError, clients};

/// List a client's grants, oldest first.
#[utoipa::path(
    get,
    path = "/api/v1/clients/{client_id}/grants",
    operation_id = "list_grants",
    tag = "Grants",
    params(("client_id" = String, Path, description = "The client's ID, m2m_…")),
    security(("oauth2" = ["admin:read"])),
    responses((status = 200, body = PageOf<GrantView>), ReadErrors)
)]
pub(crate) async fn list(
    _: AdminRead,
    State(app): State<Arc<App>>,
    ApiPath(client_id): ApiPath<ClientId>,
) -> Result<Json<PageOf<GrantView>>, Problem> {
    clients::find(&app, client_id).await?;
    let grants = app
        .store
        .grants_of_client(client_id)
        .await
        .map_err(ServiceError::from)?;
    Ok(Json(PageOf {
        items: grants.iter().map(GrantView::of).collect(),
        next_cursor: None,
    }))
}
