//! A client's grants.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use jeton_core::{ClientId, McpServerId, ScopeSet};
use serde::Deserialize;

use super::form::required_scopes;
use super::show::{GrantView, assemble};
use super::{find, path};
use crate::app::App;
use crate::dashboard::session::see;
use crate::dashboard::view::id;
use crate::dashboard::{Change, PageError, PageQuery, PageResult, SignedIn, html, mcp_servers};
use crate::service::ServiceError;
use crate::service::grants::{self, Seen};

/// On which server.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGrantQuery {
    mcp_server: String,
}

/// `/dashboard/clients/{id}/grants/new`: the client's page with the sheet.
pub(crate) async fn new(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    PageQuery(query): PageQuery<NewGrantQuery>,
    signed_in: SignedIn,
) -> PageResult {
    let entry = find(&app, &id).await?;
    let server = mcp_servers::find(&app, &query.mcp_server).await?;
    let mut page = assemble(&app, &signed_in, &entry).await?;
    if signed_in.may_change() {
        page.new_grant = Some(GrantView::new(&server, &ScopeSet::empty(), NONE));
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
    let between = (entry.client.id, server_id);
    match grants::put(&app, operator, between, scopes.clone(), seen(&change)?).await {
        Err(ServiceError::Stale) => stale(&app, &change, between, &scopes).await,
        put => {
            put?;
            Ok(see(&format!("{}?done=saved", path(&client_id))))
        }
    }
}

/// The version of a form for a grant that there is not yet.
const NONE: i64 = 0;

/// The grant that the form was made from.
pub(in crate::dashboard) fn seen(change: &Change) -> Result<Seen, PageError> {
    Ok(match change.form.version()? {
        NONE => Seen::Nothing,
        version => Seen::Version(version),
    })
}

/// The client's page with what was ticked, beside what somebody else saved.
pub(in crate::dashboard) async fn stale(
    app: &App,
    change: &Change,
    (client_id, server_id): (ClientId, McpServerId),
    ticked: &ScopeSet,
) -> PageResult {
    let entry = find(app, &client_id.to_string()).await?;
    let server = mcp_servers::find(app, &server_id.to_string()).await?;
    let mut page = assemble(app, &change.signed_in, &entry).await?;
    let there = entry
        .grants
        .iter()
        .find(|grant| grant.mcp_server_id == server_id);
    let mut view = GrantView::new(&server, ticked, there.map_or(NONE, |grant| grant.version));
    let saved = there.map_or_else(
        || "none: the grant was removed".to_owned(),
        |grant| grant.scopes.to_string(),
    );
    view.errors
        .note_stale([("Scopes", ticked.to_string(), saved)]);
    if there.is_some() {
        page.replace_grant(view);
    } else {
        page.new_grant = Some(view);
        page.page.has_sheet = true;
    }
    html(StatusCode::CONFLICT, &page)
}

/// Removes a grant.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Path((client_id, server_id)): Path<(String, String)>,
    change: Change,
) -> PageResult {
    let operator = &change.signed_in.operator;
    let between = (id(&client_id)?, id(&server_id)?);
    grants::delete(&app, operator, between, seen(&change)?).await?;
    Ok(see(&format!("{}?done=grant-deleted", path(&client_id))))
}
