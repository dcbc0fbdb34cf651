//! A client's grants.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use http::StatusCode;
use jeton_core::{McpServerId, ScopeSet};
use serde::Deserialize;

use super::form::required_scopes;
use super::show::{GrantView, assemble};
use super::{find, path};
use crate::app::App;
use crate::dashboard::session::see;
use crate::dashboard::view::id;
use crate::dashboard::{Change, PageResult, SignedIn, html, mcp_servers};
use crate::service::grants;

/// On which server.
#[derive(Deserialize)]
pub(crate) struct NewGrantQuery {
    mcp_server: String,
}

/// `/dashboard/clients/{id}/grants/new`: the client's page with the sheet.
pub(crate) async fn new(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(query): Query<NewGrantQuery>,
    signed_in: SignedIn,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let server = mcp_servers::find(&app, &query.mcp_server).await?;
    let mut page = assemble(&app, &signed_in, &entry).await?;
    if signed_in.may_change() {
        page.new_grant = Some(GrantView::new(&server, &ScopeSet::empty()));
        page.page.has_sheet = true;
    }
    html(StatusCode::OK, &page)
}

/// Makes a grant or changes its scopes.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Path(client_id): Path<String>,
    change: Change,
) -> PageResult {
    let entry = find(&app, &client_id).await?;
    let server_id: McpServerId = id(change.form.text("mcp_server_id"))?;
    let scopes = required_scopes(&change.form)?;
    let operator = &change.signed_in.operator;
    grants::put(&app, operator, entry.client.id, server_id, scopes).await?;
    Ok(see(&format!("{}?done=saved", path(&client_id))))
}

/// Takes a grant back.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Path((client_id, server_id)): Path<(String, String)>,
    change: Change,
) -> PageResult {
    let operator = &change.signed_in.operator;
    grants::delete(&app, operator, id(&client_id)?, id(&server_id)?).await?;
    Ok(see(&format!("{}?done=grant-deleted", path(&client_id))))
}
